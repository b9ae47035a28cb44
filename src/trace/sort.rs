//! Entries put in order of arrival. Holds the whole trace.
use crate::types::{Clock, Entries, Entry};

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

/// All entries of `entries`.
///
/// # Errors
/// The reader's.
pub fn collect(entries: &mut dyn Entries) -> Result<Vec<Entry>, String> {
    let mut all = Vec::new();
    let mut entry = Entry::blank();
    while entries.next(&mut entry)? {
        all.push(std::mem::replace(&mut entry, Entry::blank()));
    }
    Ok(all)
}

impl Entries for Sorted {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, String> {
        if self.ready.is_none() {
            let mut all = collect(&mut *self.inner)?;
            all.sort_by_key(|e| e.at_ns);
            self.ready = Some(all.into_iter());
        }
        let next = self.ready.as_mut().and_then(Iterator::next);
        let any = next.is_some();
        next.into_iter().for_each(|e| *entry = e);
        Ok(any)
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
    fn total(&self) -> Option<u64> {
        self.inner.total()
    }
}
