//! Spreads entries that a trace published in buckets of time, such as Mooncake's of 3 seconds.
//!
//! Must hold: order is kept; where in its bucket an entry falls depends on (seed, replicate, id); one bucket is held.
use super::SourceOptions;
use baseload_core::random::{StreamFamily, StreamKey, dist::uniform01};
use baseload_core::types::TraceFault;
use baseload_core::types::{Account, Clock, Entries, Entry};
use std::collections::VecDeque;

/// Entries of one instant, spread over [it, the earlier of a bucket's width later and the next entry's instant).
pub struct Buckets {
    inner: Box<dyn Entries>,
    width_ns: i64,
    spread: StreamFamily,
    /// Start of the first bucket, the simulation's start where the trace's clock has none.
    origin_ns: Option<i64>,
    /// The first entry of the next bucket.
    ahead: Option<Entry>,
    ready: VecDeque<Entry>,
    place: String,
}

impl Buckets {
    /// Spreads buckets of `width_ns`.
    pub fn new(inner: Box<dyn Entries>, width_ns: u64, options: &SourceOptions) -> Buckets {
        let spread = StreamKey { seed: options.seed, replicate: options.replicate, name: "trace.bucket" }.family();
        let width_ns = width_ns as i64;
        let origin_ns = (inner.clock() == Clock::Zero).then_some(0);
        Buckets { inner, width_ns, spread, origin_ns, ahead: None, ready: VecDeque::new(), place: String::new() }
    }

    fn fill(&mut self) -> Result<(), TraceFault> {
        let mut entry = Entry::blank();
        let first = match self.ahead.take() {
            Some(entry) => entry,
            None if self.inner.next(&mut entry)? => entry,
            None => return Ok(()),
        };
        let start = first.at_ns;
        let origin = *self.origin_ns.get_or_insert(start);
        let mut width = self.width_ns;
        self.ready.push_back(first);
        let mut entry = Entry::blank();
        while self.inner.next(&mut entry)? {
            let next = std::mem::replace(&mut entry, Entry::blank());
            if next.at_ns != start {
                // An entry from before the bucket goes on as it is, for the replay to refuse.
                width = width.min((next.at_ns - start).max(1));
                self.place = self.inner.place();
                self.ahead = Some(next);
                break;
            }
            self.ready.push_back(next);
        }
        let offset = |e: &Entry| (uniform01(&mut self.spread.at(e.id, 0)) * width as f64) as i64;
        let mut offsets: Vec<i64> = self.ready.iter().map(offset).collect();
        offsets.sort_unstable();
        self.ready.iter_mut().zip(offsets).for_each(|(e, offset)| e.at_ns = start - origin + offset);
        Ok(())
    }
}

impl Entries for Buckets {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        if self.ready.is_empty() {
            self.fill()?;
        }
        Ok(entry.become_next(self.ready.pop_front()))
    }
    fn clock(&self) -> Clock {
        match self.inner.clock() {
            Clock::Common => Clock::Zero,
            other => other,
        }
    }
    fn place(&self) -> String {
        if self.place.is_empty() { self.inner.place() } else { self.place.clone() }
    }
    fn account(&self) -> Account {
        self.inner.account()
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = self.inner.notes();
        notes.push(format!(
            "arrivals stand in {}-second buckets and are spread over each by seed; trace.spread_buckets = false replays \
             them as published",
            self.width_ns as f64 / 1e9
        ));
        notes
    }
    fn total(&self) -> Option<u64> {
        self.inner.total()
    }
}
