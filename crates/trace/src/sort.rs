//! Entries put in order of arrival. Holds the whole trace.
use baseload_core::types::TraceFault;
use baseload_core::types::{Account, Clock, Entries, Entry};

/// Entries of `inner` in order of time; those of one instant keep the file's order.
pub struct Sorted {
    inner: Box<dyn Entries>,
    ready: Option<std::vec::IntoIter<Entry>>,
}

impl Sorted {
    /// Sorts `inner` when first asked.
    pub fn new(inner: Box<dyn Entries>) -> Sorted {
        Sorted { inner, ready: None }
    }
}

/// Entries that are in memory, with what is to be said of them.
pub struct Held {
    ready: std::vec::IntoIter<Entry>,
    clock: Clock,
    place: String,
    notes: Vec<String>,
}

impl Held {
    /// `all`, in their order; `place` is for messages.
    pub fn new(all: Vec<Entry>, clock: Clock, place: &str, notes: Vec<String>) -> Held {
        Held { ready: all.into_iter(), clock, place: place.into(), notes }
    }
}

impl Entries for Held {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        Ok(entry.become_next(self.ready.next()))
    }
    fn clock(&self) -> Clock {
        self.clock
    }
    fn place(&self) -> String {
        self.place.clone()
    }
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
    fn total(&self) -> Option<u64> {
        Some(self.ready.len() as u64)
    }
}

/// All entries of `entries`.
///
/// # Errors
/// The reader's.
pub fn collect(entries: &mut dyn Entries) -> Result<Vec<Entry>, TraceFault> {
    let mut all = Vec::new();
    let mut entry = Entry::blank();
    while entries.next(&mut entry)? {
        all.push(std::mem::replace(&mut entry, Entry::blank()));
    }
    Ok(all)
}

impl Entries for Sorted {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        if self.ready.is_none() {
            let mut all = collect(&mut *self.inner)?;
            all.sort_by_key(|e| e.at_ns);
            self.ready = Some(all.into_iter());
        }
        Ok(entry.become_next(self.ready.as_mut().and_then(Iterator::next)))
    }
    fn clock(&self) -> Clock {
        self.inner.clock()
    }
    fn place(&self) -> String {
        self.inner.place()
    }
    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }
    fn account(&self) -> Account {
        self.inner.account()
    }
    fn total(&self) -> Option<u64> {
        self.inner.total()
    }
}
