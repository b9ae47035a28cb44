//! A set of request numbers that takes a bit each where they are dense, and gives up, openly, where they are too sparse.
use rustc_hash::FxHashMap;

/// Numbers of a page.
const PAGE: u64 = 1 << 15;
/// Pages at most: 64 MiB.
const MOST_PAGES: usize = 1 << 14;

/// Numbers met so far.
#[derive(Debug, Default)]
pub struct IdSet {
    /// By page: where it starts in `bits`.
    pages: FxHashMap<u64, usize>,
    bits: Vec<u64>,
    /// The page last used.
    last: Option<(u64, usize)>,
    full: bool,
}

impl IdSet {
    /// Takes `id`; `false` when it was there. Where the set is full, new pages are not remembered.
    pub fn insert(&mut self, id: u64) -> bool {
        let page = id / PAGE;
        let start = match self.last {
            Some((last, start)) if last == page => start,
            _ => match self.pages.get(&page) {
                Some(&start) => start,
                None if self.pages.len() >= MOST_PAGES => {
                    self.full = true;
                    return true;
                }
                None => {
                    let start = self.bits.len();
                    self.bits.resize(start + (PAGE / 64) as usize, 0);
                    self.pages.insert(page, start);
                    start
                }
            },
        };
        self.last = Some((page, start));
        let (word, bit) = (start + (id % PAGE / 64) as usize, 1 << (id % 64));
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }
    /// Whether `id` was taken.
    pub fn contains(&self, id: u64) -> bool {
        self.pages
            .get(&(id / PAGE))
            .is_some_and(|start| self.bits[start + (id % PAGE / 64) as usize] & 1 << (id % 64) != 0)
    }
    /// Whether there were too many to remember all.
    pub fn is_full(&self) -> bool {
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_new_once() {
        let mut set = IdSet::default();
        for id in [0, 1, 63, 64, PAGE - 1, PAGE, u64::MAX, 7 * PAGE] {
            assert!(!set.contains(id) && set.insert(id) && !set.insert(id) && set.contains(id), "{id}");
        }
        assert!(!set.is_full());
        (0..MOST_PAGES as u64 + 2).for_each(|page| _ = set.insert(page * PAGE + 9));
        assert!(set.is_full() && !set.insert(0));
    }
}
