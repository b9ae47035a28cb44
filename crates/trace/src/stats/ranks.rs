//! A line of slots, some taken: how many are taken up to a slot. One bit a slot and a Fenwick tree over groups of bits.

/// Words of 64 slots in a group.
const WORDS: usize = 8;
/// Slots in a group.
const GROUP: usize = WORDS * 64;

/// Slots and who is taken.
pub(super) struct Ranks {
    words: Vec<u64>,
    /// Fenwick tree of the groups' counts; its index 0 is unused.
    tree: Vec<u32>,
    taken: u32,
}

impl Ranks {
    /// At least `slots` slots, of which those that `first` yields are taken.
    pub(super) fn new(slots: usize, first: impl Iterator<Item = u32>) -> Ranks {
        let groups = slots.div_ceil(GROUP).max(1);
        let mut ranks = Ranks { words: vec![0; groups * WORDS], tree: vec![0; groups + 1], taken: 0 };
        for slot in first {
            let slot = slot as usize;
            ranks.words[slot / 64] |= 1 << (slot % 64);
            ranks.tree[slot / GROUP + 1] += 1;
            ranks.taken += 1;
        }
        for i in 1..=groups {
            let up = i + (i & i.wrapping_neg());
            if up <= groups {
                ranks.tree[up] += ranks.tree[i];
            }
        }
        ranks
    }

    /// Slots there are.
    pub(super) fn slots(&self) -> usize {
        self.words.len() * 64
    }

    /// Takes a free slot.
    pub(super) fn take(&mut self, slot: u32) {
        self.words[slot as usize / 64] |= 1 << (slot % 64);
        self.add(slot, 1);
        self.taken += 1;
    }

    /// Frees a taken slot.
    pub(super) fn free(&mut self, slot: u32) {
        self.words[slot as usize / 64] &= !(1 << (slot % 64));
        self.add(slot, u32::MAX);
        self.taken -= 1;
    }

    /// Adds to the count of the slot's group; `u32::MAX` is -1.
    fn add(&mut self, slot: u32, by: u32) {
        let mut i = slot as usize / GROUP + 1;
        while i < self.tree.len() {
            self.tree[i] = self.tree[i].wrapping_add(by);
            i += i & i.wrapping_neg();
        }
    }

    /// Slots taken up to `slot`, itself included.
    pub(super) fn up_to(&self, slot: u32) -> u32 {
        let (slot, mut count) = (slot as usize, 0);
        let mut i = slot / GROUP;
        let word = slot / 64;
        count += self.words[i * WORDS..word].iter().map(|w| w.count_ones()).sum::<u32>();
        count += (self.words[word] << (63 - slot % 64)).count_ones();
        while i > 0 {
            count += self.tree[i];
            i &= i - 1;
        }
        count
    }

    /// Slots taken beyond `slot`.
    pub(super) fn above(&self, slot: u32) -> u32 {
        self.taken - self.up_to(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn ranks_are_those_of_a_sorted_set(
            first in prop::collection::btree_set(0u32..3000, 0..40),
            moves in prop::collection::vec((0u32..3000, 0u32..3000), 0..120),
        ) {
            let mut ranks = Ranks::new(3000, first.iter().copied());
            let mut set: BTreeSet<u32> = first;
            for (slot, asked) in moves {
                if set.remove(&slot) {
                    ranks.free(slot);
                } else {
                    set.insert(slot);
                    ranks.take(slot);
                }
                prop_assert_eq!(ranks.up_to(asked) as usize, set.range(..=asked).count());
                prop_assert_eq!(ranks.above(asked) as usize, set.range(asked + 1..).count());
            }
        }
    }
}
