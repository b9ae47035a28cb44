//! What a pool's KV events said lately: blocks stored in the prefix cache and blocks removed from it, with their instants.
//!
//! A router's precise prefix index is fed by these events and lags behind them. Instead of building a second index, the pool
//! keeps the events of the last `keep` and takes them back from what is cached now. A block of the prompt is announced when
//! it is registered, a block of output when its request lets go of it: until then nobody else can name its tokens.
use crate::types::SimTime;
use std::collections::VecDeque;

/// Blocks `lo..hi` of `of` were stored or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KvEvent {
    at: SimTime,
    /// A pool's own name for what the blocks belong to.
    pub of: u32,
    lo: u32,
    hi: u32,
    stored: bool,
}

/// See the module head.
#[derive(Debug)]
pub(super) struct KvLog {
    now: SimTime,
    keep: SimTime,
    events: VecDeque<KvEvent>,
}

impl KvLog {
    /// An empty log that forgets what is older than `keep`.
    pub fn new(keep: SimTime) -> KvLog {
        KvLog { now: SimTime::ZERO, keep, events: VecDeque::new() }
    }
    pub fn keep(&self) -> SimTime {
        self.keep
    }
    /// What follows happens at `now`.
    pub fn stamp(&mut self, now: SimTime) {
        self.now = self.now.max(now);
    }
    /// Takes out an event that nobody will ask about any more.
    pub fn forget(&mut self) -> Option<KvEvent> {
        let old = self.events.front().is_some_and(|e| e.at.0.saturating_add(self.keep.0) <= self.now.0);
        if old { self.events.pop_front() } else { None }
    }
    pub fn note(&mut self, of: u32, lo: u32, hi: u32, stored: bool) {
        if lo < hi {
            self.events.push_back(KvEvent { at: self.now, of, lo, hi, stored });
        }
    }
    /// Makes of what is cached of `of` now what was cached at `at`, an instant within `keep`.
    pub fn undo(&self, of: u32, at: SimTime, cached: &mut [bool]) {
        for e in self.events.iter().rev().take_while(|e| e.at > at).filter(|e| e.of == of) {
            let end = (e.hi as usize).min(cached.len());
            cached[(e.lo as usize).min(end)..end].fill(!e.stored);
        }
    }
}
