//! Reads formats of which a line, or an element of a JSON file, holds several requests, and puts those of different ones
//! in order of time while only what can still be overtaken is held.
use super::items::{Items, without_bare_words};
use super::parse::{checked, zero_outputs};
use super::tally::{NO_PROMPT, Tally};
use crate::unopened::Unopened;
use baseload_core::types::{Account, Clock, Entries, Entry, Rest, TraceFault, UnknownField};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The order that items stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Any: entries are yielded as they stand.
    File,
    /// By their first entry. One that breaks this goes out as it is, for the replay to refuse or a sort to mend.
    Starts,
}

/// Understands the items (lines or elements) of one format. Errors are `what is wrong; what would be right`.
pub trait Sessions: Send {
    /// Appends the entries of an item, in order of time; their ids will count from `first_id`.
    ///
    /// # Errors
    /// What is wrong with the item; its place is added.
    fn item(&mut self, text: &str, first_id: u64, out: &mut Vec<Entry>) -> Result<(), TraceFault>;
    /// What times count from.
    fn clock(&self) -> Clock;
    /// How items are ordered.
    fn order(&self) -> Order;
    /// What people should know.
    fn notes(&self) -> Vec<String>;
    /// Fields of the items so far that it does not know.
    fn unknown_fields(&self) -> Vec<UnknownField> {
        Vec::new()
    }
    /// Names of its sessions, that of number 0 first; none where they have none.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    /// Items, or parts of them, that are no requests, by reason, since it was last asked.
    fn left_out(&mut self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

/// Opens a text of which each line, or each JSON object, is an item.
///
/// # Errors
/// What is no text.
pub fn session_items(
    mut trace: Unopened<'_>,
    sessions: impl Sessions + 'static,
) -> Result<Box<dyn Entries>, TraceFault> {
    let items = Items::open(&mut trace)?;
    Ok(Box::new(SessionReader::new(items, Box::new(sessions), Tally::new(trace.strictness))))
}

/// Entries of items that hold several, numbered in the file's order.
struct SessionReader {
    items: Items,
    sessions: Box<dyn Sessions>,
    tally: Tally,
    /// Time (0 where the file's order holds), id, and place in `slots`.
    waiting: BinaryHeap<Reverse<(i64, u64, usize)>>,
    slots: Vec<Entry>,
    free: Vec<usize>,
    batch: Vec<Entry>,
    /// What is earlier than this can have no other before it.
    settled_ns: i64,
    made: u64,
    empty: u64,
    ended: bool,
}

impl SessionReader {
    fn new(items: Items, sessions: Box<dyn Sessions>, tally: Tally) -> SessionReader {
        SessionReader {
            items,
            sessions,
            tally,
            waiting: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            batch: Vec::new(),
            settled_ns: i64::MIN,
            made: 0,
            empty: 0,
            ended: false,
        }
    }

    /// Reads an item.
    fn read(&mut self) -> Result<(), TraceFault> {
        let more = match self.items.advance(false) {
            Ok(more) => more,
            Err(fault) if fault.rest == Rest::MayRead => {
                self.tally.row(true);
                return self.tally.faulty(fault, self.items.line());
            }
            // How much is lost behind it nobody knows.
            Err(fault) => return Err(fault),
        };
        if !more {
            if self.made == 0 {
                return Err(self.items.fault(self.tally.nothing()));
            }
            self.ended = true;
            return Ok(());
        }
        self.tally.row(true);
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let understood = self.understand(&mut batch);
        for (reason, count) in self.sessions.left_out() {
            (0..count).for_each(|_| self.tally.leave_out(reason, self.items.line()));
        }
        if let Err(fault) = understood {
            batch.clear();
            self.batch = batch;
            return self.tally.faulty(self.items.fault(fault), self.items.line());
        }
        self.tally.refusal().map_err(|fault| self.items.fault(fault))?;
        let order = self.sessions.order();
        if let (Order::Starts, Some(first)) = (order, batch.first()) {
            self.settled_ns = first.at_ns;
        }
        for mut entry in batch.drain(..) {
            entry.id = self.made;
            self.made += 1;
            self.empty += u64::from(entry.output_tokens == 0);
            let (at, id) = (if order == Order::File { 0 } else { entry.at_ns }, entry.id);
            let slot = self.free.pop().unwrap_or(self.slots.len());
            if slot == self.slots.len() {
                self.slots.push(entry);
            } else {
                self.slots[slot] = entry;
            }
            self.waiting.push(Reverse((at, id, slot)));
        }
        self.batch = batch;
        Ok(())
    }
}

impl SessionReader {
    /// Understands the item last read.
    fn understand(&mut self, batch: &mut Vec<Entry>) -> Result<(), TraceFault> {
        let mut made = self.sessions.item(self.items.text(), self.made, batch);
        if made.is_err()
            && let Some(text) = without_bare_words(self.items.text())
        {
            batch.clear();
            made = self.sessions.item(&text, self.made, batch);
        }
        made?;
        if self.tally.leaves_out() {
            let before = batch.len();
            batch.retain(|entry| entry.prompt_tokens > 0);
            (batch.len()..before).for_each(|_| self.tally.leave_out(NO_PROMPT, self.items.line()));
        }
        batch.iter().try_for_each(checked)
    }
}

impl Entries for SessionReader {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        loop {
            let in_file_order = self.sessions.order() == Order::File;
            let ready = self
                .waiting
                .peek()
                .is_some_and(|Reverse((at, _, _))| self.ended || in_file_order || *at < self.settled_ns);
            if ready && let Some(Reverse((_, _, slot))) = self.waiting.pop() {
                self.free.push(slot);
                std::mem::swap(entry, &mut self.slots[slot]);
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            self.read()?;
        }
    }
    fn clock(&self) -> Clock {
        self.sessions.clock()
    }
    fn place(&self) -> String {
        self.items.place()
    }
    fn account(&self) -> Account {
        let mut account = self.tally.account();
        account.unknown_fields.extend(self.sessions.unknown_fields());
        account.sessions = self.sessions.names();
        account
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = self.account().notes();
        notes.extend(self.sessions.notes());
        notes.extend(zero_outputs(self.empty));
        notes
    }
}
