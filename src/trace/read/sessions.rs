//! Reads formats of which a line is a whole session.
//!
//! Sessions of one clock overlap: entries are merged into order of time under the rule that sessions stand in order of
//! their first request. One that starts before what was already yielded goes out as it is, for the replay to refuse.
use super::Lines;
use super::parse::{checked, zero_outputs};
use crate::types::{Clock, Entries, Entry};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Understands the lines of one format. Errors are `what is wrong; what would be right`.
pub(super) trait Sessions: Send {
    /// Appends the entries of a line, in order of time; ids are given later, in this order from `first_id`.
    fn line(&mut self, line: &str, first_id: u64, out: &mut Vec<Entry>) -> Result<(), String>;
    /// What times count from.
    fn clock(&self) -> Clock;
    /// What people should know.
    fn notes(&self) -> Vec<String>;
}

/// Entries of a text that has a session a line, numbered in the file's order.
pub(super) struct SessionReader {
    lines: Lines,
    sessions: Box<dyn Sessions>,
    /// Time (0 where sessions have clocks of their own), id, and place in `slots`.
    waiting: BinaryHeap<Reverse<(i64, u64, usize)>>,
    slots: Vec<Entry>,
    free: Vec<usize>,
    batch: Vec<Entry>,
    /// Start of the session last read.
    start_ns: Option<i64>,
    made: u64,
    empty: u64,
    ended: bool,
}

impl SessionReader {
    pub(super) fn new(lines: Lines, sessions: Box<dyn Sessions>) -> SessionReader {
        SessionReader {
            lines,
            sessions,
            waiting: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            batch: Vec::new(),
            start_ns: None,
            made: 0,
            empty: 0,
            ended: false,
        }
    }

    /// Reads a line; `false` at the end.
    fn read(&mut self) -> Result<bool, String> {
        if !self.lines.advance()? {
            if self.made == 0 {
                return Err(self.lines.fault("the trace has no requests; it needs at least one"));
            }
            self.ended = true;
            return Ok(false);
        }
        let mut batch = std::mem::take(&mut self.batch);
        self.sessions.line(self.lines.text(), self.made, &mut batch).map_err(|e| self.lines.fault(e))?;
        let own_clock = self.sessions.clock() == Clock::Session;
        if let Some(first) = batch.first() {
            self.start_ns = Some(first.at_ns);
        }
        for mut entry in batch.drain(..) {
            checked(&entry).map_err(|e| self.lines.fault(e))?;
            entry.id = self.made;
            self.made += 1;
            self.empty += u64::from(entry.output_tokens == 0);
            let key = (if own_clock { 0 } else { entry.at_ns }, entry.id);
            let slot = match self.free.pop() {
                Some(slot) => {
                    self.slots[slot] = entry;
                    slot
                }
                None => {
                    self.slots.push(entry);
                    self.slots.len() - 1
                }
            };
            self.waiting.push(Reverse((key.0, key.1, slot)));
        }
        self.batch = batch;
        Ok(true)
    }
}

impl Entries for SessionReader {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, String> {
        loop {
            // What starts before the session last read can have no other before it.
            let ready = self.waiting.peek().is_some_and(|Reverse((at, _, _))| {
                self.ended || self.sessions.clock() == Clock::Session || self.start_ns.is_some_and(|s| *at < s)
            });
            if ready && let Some(Reverse((_, _, slot))) = self.waiting.pop() {
                self.free.push(slot);
                std::mem::swap(entry, &mut self.slots[slot]);
                return Ok(true);
            }
            if self.ended || !self.read()? && self.waiting.is_empty() {
                return Ok(false);
            }
        }
    }
    fn clock(&self) -> Clock {
        self.sessions.clock()
    }
    fn place(&self) -> String {
        self.lines.place()
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = self.sessions.notes();
        notes.extend(zero_outputs(self.empty));
        notes
    }
}
