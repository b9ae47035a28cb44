//! A hash table from a 64-bit hash to 32 bits that is small: about 15 bytes an entry, and growing never doubles it.

/// Tables that grow apart, so that only one two-hundred-and-fifty-sixth is copied at a time.
const SHARDS: usize = 256;
/// Entries of a shard's first allocation.
const FIRST: usize = 8;

/// Hashes and what is noted of each. Two keys of one hash are one entry: among 20 million random ones the odds of any
/// such pair are 1 in 90,000.
pub(super) struct Marks {
    shards: Vec<Shard>,
    len: usize,
}

#[derive(Default, Clone)]
struct Shard {
    /// 0 where nothing stands.
    keys: Vec<u64>,
    values: Vec<u32>,
    len: usize,
}

impl Marks {
    pub(super) fn new() -> Marks {
        Marks { shards: vec![Shard::default(); SHARDS], len: 0 }
    }

    /// Entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What is noted of `hash`; `absent` is noted first, and `true` returned, where it is new.
    pub(super) fn note(&mut self, hash: u64, absent: u32) -> (&mut u32, bool) {
        let key = hash.max(1);
        let shard = &mut self.shards[(key >> 56) as usize];
        if shard.len * 20 >= shard.keys.len() * 17 {
            shard.grow();
        }
        let at = shard.find(key);
        let new = shard.keys[at] == 0;
        if new {
            shard.keys[at] = key;
            shard.values[at] = absent;
            shard.len += 1;
            self.len += 1;
        }
        (&mut shard.values[at], new)
    }

    /// Keeps what `keep` says; it may change what is noted.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(u64, &mut u32) -> bool) {
        self.len = 0;
        for shard in &mut self.shards {
            let old = std::mem::take(shard);
            let mut kept: Vec<(u64, u32)> = Vec::new();
            for (key, mut value) in old.keys.into_iter().zip(old.values).filter(|(key, _)| *key != 0) {
                if keep(key, &mut value) {
                    kept.push((key, value));
                }
            }
            shard.resize(kept.len() * 5 / 4 + FIRST);
            kept.into_iter().for_each(|(key, value)| shard.insert(key, value));
            self.len += shard.len;
        }
    }

    /// Every value, to be changed.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.shards
            .iter_mut()
            .flat_map(|p| p.keys.iter().zip(&mut p.values))
            .filter(|(key, _)| **key != 0)
            .map(|(_, v)| v)
    }
}

impl Shard {
    /// Where `key` stands or would stand. There is always a free place.
    fn find(&self, key: u64) -> usize {
        let places = self.keys.len();
        let mut at = ((u128::from(key << 8) * places as u128) >> 64) as usize;
        while self.keys[at] != 0 && self.keys[at] != key {
            at += 1;
            if at == places {
                at = 0;
            }
        }
        at
    }

    fn insert(&mut self, key: u64, value: u32) {
        let at = self.find(key);
        self.keys[at] = key;
        self.values[at] = value;
        self.len += 1;
    }

    fn resize(&mut self, places: usize) {
        self.keys = vec![0; places];
        self.values = vec![0; places];
        self.len = 0;
    }

    fn grow(&mut self) {
        let old = std::mem::take(self);
        self.resize(old.keys.len() * 6 / 5 + FIRST);
        let pairs = old.keys.into_iter().zip(old.values).filter(|(key, _)| *key != 0);
        pairs.for_each(|(key, value)| self.insert(key, value));
    }
}

/// A number's hash: a bijection of 64 bits whose every bit depends on every bit (the finaliser of SplitMix64).
pub(super) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn marks_are_those_of_a_map_through_growth_and_loss() {
        let (mut marks, mut map) = (Marks::new(), BTreeMap::new());
        for round in 0..40_000u64 {
            let key = mix(1 + round * round % 9_973);
            let new = !map.contains_key(&key);
            *map.entry(key).or_insert(7) += 1;
            let (value, was_new) = marks.note(key, 7);
            *value += 1;
            assert_eq!((*value, was_new), (map[&key], new));
            if round % 10_000 == 9_999 {
                map.retain(|k, _| k % 3 != 0);
                marks.retain(|k, _| k % 3 != 0);
                assert_eq!(marks.len(), map.len());
            }
        }
        let mut values: Vec<u32> = marks.values_mut().map(|v| *v).collect();
        let mut want: Vec<u32> = map.into_values().collect();
        values.sort_unstable();
        want.sort_unstable();
        assert_eq!(values, want);
    }

    #[test]
    fn a_table_costs_less_than_20_bytes_an_entry() {
        let mut marks = Marks::new();
        (0..1_000_000).for_each(|i| *marks.note(mix(i), 0).0 = 1);
        let places: usize = marks.shards.iter().map(|p| p.keys.len()).sum();
        assert!(places * 12 < 1_000_000 * 20, "{places} places for a million entries");
    }
}
