//! Entries that their file has almost in order: put right while a few are held, so that a long trace still streams.
use super::Rows;
use crate::unopened::Unopened;
use baseload_core::types::{Account, Clock, Entries, Entry, TraceFault};

/// Entries that are held.
const HELD: usize = 1_024;

/// Opens a text of which each line is an entry, late by fewer than [`HELD`] of them.
///
/// # Errors
/// What is no text.
pub(super) fn windowed(trace: Unopened<'_>, rows: impl Rows + 'static) -> Result<Box<dyn Entries>, TraceFault> {
    Ok(Box::new(Window::new(super::rows(trace, rows)?, HELD)))
}

/// Entries of `inner` in order of time, as far as those that are held reach; one that is later goes out as it is, for the replay
/// to refuse. The reader fills the places of a ring, so that an entry in order is moved once.
struct Window {
    inner: Box<dyn Entries>,
    ring: Vec<Entry>,
    /// Where the next entry to go out stands, and how many stand from there on.
    first: usize,
    held: usize,
    ended: bool,
    late: u64,
}

impl Window {
    fn new(inner: Box<dyn Entries>, most: usize) -> Window {
        Window { inner, ring: vec![Entry::blank(); most], first: 0, held: 0, ended: false, late: 0 }
    }

    /// Where the `n`th of those that are held stands.
    fn at(&self, n: usize) -> usize {
        let at = self.first + n;
        if at < self.ring.len() { at } else { at - self.ring.len() }
    }

    /// Moves the last one that came before those that start later.
    fn settle(&mut self) {
        let mut n = self.held - 1;
        let mut late = false;
        while n > 0 {
            let (before, here) = (self.at(n - 1), self.at(n));
            if self.ring[before].at_ns <= self.ring[here].at_ns {
                break;
            }
            self.ring.swap(before, here);
            late = true;
            n -= 1;
        }
        self.late += u64::from(late);
    }
}

impl Entries for Window {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        while !self.ended && self.held < self.ring.len() {
            let place = self.at(self.held);
            if !self.inner.next(&mut self.ring[place])? {
                self.ended = true;
                break;
            }
            self.held += 1;
            self.settle();
        }
        if self.held == 0 {
            return Ok(false);
        }
        std::mem::swap(entry, &mut self.ring[self.first]);
        (self.first, self.held) = (self.at(1), self.held - 1);
        Ok(true)
    }
    fn clock(&self) -> Clock {
        self.inner.clock()
    }
    fn place(&self) -> String {
        self.inner.place()
    }
    fn account(&self) -> Account {
        self.inner.account()
    }
    fn notes(&self) -> Vec<String> {
        let late = (self.late > 0).then(|| format!("{} requests were out of order: sorted", self.late));
        self.inner.notes().into_iter().chain(late).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Held, collect};

    #[test]
    fn what_is_late_within_the_window_is_put_right() {
        let entry = |(id, at): (usize, &i64)| Entry { id: id as u64, at_ns: *at, prompt_tokens: 1, ..Entry::blank() };
        let sorted = |times: &[i64], most: usize| {
            let all = times.iter().enumerate().map(entry).collect();
            let mut window = Window::new(Box::new(Held::new(all, Clock::Common, "t", Vec::new())), most);
            let out: Vec<(i64, u64)> = collect(&mut window).unwrap().iter().map(|e| (e.at_ns, e.id)).collect();
            (out, window.notes())
        };
        let (out, notes) = sorted(&[3, 1, 2, 2, 9, 4], 4);
        assert_eq!(out, [(1, 1), (2, 2), (2, 3), (3, 0), (4, 5), (9, 4)]);
        assert_eq!(notes, ["4 requests were out of order: sorted"]);
        assert_eq!(sorted(&[1, 2, 3], 2), (vec![(1, 0), (2, 1), (3, 2)], vec![]));
        // Later than the window reaches: it goes out as it is.
        assert_eq!(sorted(&[5, 6, 7, 1], 2).0, [(5, 0), (6, 1), (1, 3), (7, 2)]);
    }
}
