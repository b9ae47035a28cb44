//! Entries changed one by one: how many there are and where they stand stays.
use baseload_core::types::{Clock, Entries, Entry};
use baseload_core::types::{TraceFault, wrong};

/// Changes an entry in place, or says why it cannot.
pub(super) type Change = Box<dyn FnMut(&mut Entry) -> Result<(), TraceFault> + Send>;

struct Mapped {
    inner: Box<dyn Entries>,
    change: Change,
    from_first: bool,
}

/// Entries, each changed, by the clock that they have.
pub(super) fn mapped(inner: Box<dyn Entries>, change: Change) -> Box<dyn Entries> {
    Box::new(Mapped { inner, change, from_first: false })
}

/// Entries, each changed, whose times count from the first one where they counted from a common instant.
pub(super) fn mapped_from_first(inner: Box<dyn Entries>, change: Change) -> Box<dyn Entries> {
    Box::new(Mapped { inner, change, from_first: true })
}

impl Entries for Mapped {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        if !self.inner.next(entry)? {
            return Ok(false);
        }
        (self.change)(entry).map_err(|what| wrong!("{}: {what}", self.inner.place()))?;
        Ok(true)
    }
    fn clock(&self) -> Clock {
        match self.inner.clock() {
            Clock::Common if self.from_first => Clock::Zero,
            other => other,
        }
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
