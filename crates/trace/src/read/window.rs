//! Entries that their file has almost in order: put right while a few are held, so that a long trace still streams.
use super::Rows;
use crate::unopened::Unopened;
use baseload_core::types::{Account, Clock, Entries, Entry, TraceFault};
use std::collections::VecDeque;

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
/// to refuse.
struct Window {
    inner: Box<dyn Entries>,
    held: VecDeque<Entry>,
    most: usize,
    /// Emptied entries, whose buffers are used again.
    spare: Vec<Entry>,
    ended: bool,
    late: u64,
}

impl Window {
    fn new(inner: Box<dyn Entries>, most: usize) -> Window {
        Window { inner, held: VecDeque::with_capacity(most), most, spare: Vec::new(), ended: false, late: 0 }
    }
}

impl Entries for Window {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        while !self.ended && self.held.len() < self.most {
            let mut next = self.spare.pop().unwrap_or_else(Entry::blank);
            if !self.inner.next(&mut next)? {
                self.ended = true;
                break;
            }
            if self.held.back().is_none_or(|last| last.at_ns <= next.at_ns) {
                self.held.push_back(next);
            } else {
                self.late += 1;
                let place = self.held.partition_point(|e| e.at_ns <= next.at_ns);
                self.held.insert(place, next);
            }
        }
        let Some(mut first) = self.held.pop_front() else { return Ok(false) };
        std::mem::swap(entry, &mut first);
        if !self.ended {
            self.spare.push(first);
        }
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
