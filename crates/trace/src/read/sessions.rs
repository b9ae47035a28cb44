//! Reads formats of which a line, or an element of a JSON file, holds several requests, and puts those of different ones
//! in order of time while only what can still be overtaken is held.
use super::Lines;
use super::elements::Elements;
use super::parse::{checked, zero_outputs};
use crate::unopened::Unopened;
use baseload_core::types::TraceFault;
use baseload_core::types::{Clock, Entries, Entry};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The order that items stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Any: entries are yielded as they stand.
    File,
    /// By their first entry. One that breaks this goes out as it is, for the replay to refuse or a sort to mend.
    Starts,
    /// Entries are late by at most so many ns.
    Window(i64),
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
}

/// Opens a text of which each line is an item.
///
/// # Errors
/// What is no text.
pub fn session_lines(
    mut trace: Unopened<'_>,
    sessions: impl Sessions + 'static,
) -> Result<Box<dyn Entries>, TraceFault> {
    let items = Items::Lines(Lines::new(trace.text()?, trace.name));
    Ok(Box::new(SessionReader::new(items, Box::new(sessions))))
}

/// Opens a text of JSON objects, in an array or one behind the other, of which each is an item.
///
/// # Errors
/// What is no text.
pub fn session_elements(
    mut trace: Unopened<'_>,
    sessions: impl Sessions + 'static,
) -> Result<Box<dyn Entries>, TraceFault> {
    let items = Items::Elements(Elements::new(trace.text()?, trace.name));
    Ok(Box::new(SessionReader::new(items, Box::new(sessions))))
}

/// Where items come from.
enum Items {
    Lines(Lines),
    Elements(Elements),
}

impl Items {
    fn advance(&mut self) -> Result<bool, TraceFault> {
        match self {
            Items::Lines(lines) => lines.advance(),
            Items::Elements(elements) => elements.advance(),
        }
    }
    fn text(&self) -> &str {
        match self {
            Items::Lines(lines) => lines.text(),
            Items::Elements(elements) => elements.text(),
        }
    }
    fn place(&self) -> String {
        match self {
            Items::Lines(lines) => lines.place(),
            Items::Elements(elements) => elements.place(),
        }
    }
    fn fault(&self, what: impl Into<TraceFault>) -> TraceFault {
        match self {
            Items::Lines(lines) => lines.fault(what),
            Items::Elements(elements) => elements.fault(what),
        }
    }
}

/// Entries of items that hold several, numbered in the file's order.
struct SessionReader {
    items: Items,
    sessions: Box<dyn Sessions>,
    /// Time (0 where the file's order holds), id, and place in `slots`.
    waiting: BinaryHeap<Reverse<(i64, u64, usize)>>,
    slots: Vec<Entry>,
    free: Vec<usize>,
    batch: Vec<Entry>,
    /// What is earlier than this can have no other before it.
    settled_ns: i64,
    /// Time of the entry last yielded.
    yielded_ns: i64,
    made: u64,
    empty: u64,
    ended: bool,
}

impl SessionReader {
    fn new(items: Items, sessions: Box<dyn Sessions>) -> SessionReader {
        SessionReader {
            items,
            sessions,
            waiting: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            batch: Vec::new(),
            settled_ns: i64::MIN,
            yielded_ns: i64::MIN,
            made: 0,
            empty: 0,
            ended: false,
        }
    }

    /// Reads an item.
    fn read(&mut self) -> Result<(), TraceFault> {
        if !self.items.advance()? {
            if self.made == 0 {
                return Err(self.items.fault(TraceFault::no_requests()));
            }
            self.ended = true;
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        self.sessions.item(self.items.text(), self.made, &mut batch).map_err(|e| self.items.fault(e))?;
        let order = self.sessions.order();
        match (order, batch.first(), batch.last()) {
            (Order::Starts, Some(first), _) => self.settled_ns = first.at_ns,
            (Order::Window(width), _, Some(last)) => {
                self.settled_ns = self.settled_ns.max(last.at_ns.saturating_sub(width));
            }
            _ => {}
        }
        for mut entry in batch.drain(..) {
            checked(&entry).map_err(|e| self.items.fault(e))?;
            if let Order::Window(width) = order
                && entry.at_ns < self.yielded_ns
            {
                return Err(self.items.fault(format!(
                    "it starts more than {} minutes before one further up; put the file in order of start",
                    width / 60_000_000_000
                )));
            }
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
                self.yielded_ns = entry.at_ns;
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
    fn notes(&self) -> Vec<String> {
        let mut notes = self.sessions.notes();
        notes.extend(zero_outputs(self.empty));
        notes
    }
}
