//! Which replicas were sent which blocks of prompts: llm-d's approximate index (spec/routers.md 3.3), an LRU of blocks for
//! each replica. With a very long LRU and blocks of 32 tokens it is production-stack's trie of 128-character chunks (3.2).
//!
//! A block's name is the name of the block before it and the run pieces inside it. The last, partial block has none.
use crate::types::{Content, IdMap, ReplicaId, joined};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

/// Sizes of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRule {
    /// Tokens of a block.
    pub block_tokens: u32,
    /// Blocks remembered for a replica; the least recently sent are forgotten first.
    pub blocks: u32,
    /// Tokens of a prompt that are looked at, from its start.
    pub max_tokens: u32,
}

impl Default for BlockRule {
    /// llm-d's: 31,250 blocks of 64 tokens (16, clamped to at least 64), 131,072 tokens matched.
    fn default() -> Self {
        BlockRule { block_tokens: 64, blocks: 31_250, max_tokens: 131_072 }
    }
}

const NONE: u32 = u32::MAX;

/// A replica's blocks, the most recently sent first, as a linked list in a slab.
#[derive(Debug, Clone)]
struct Lru {
    at: FxHashMap<u64, u32>,
    links: Vec<(u64, u32, u32)>,
    head: u32,
    tail: u32,
}

impl Lru {
    fn new() -> Lru {
        Lru { at: FxHashMap::default(), links: Vec::new(), head: NONE, tail: NONE }
    }
    fn unlink(&mut self, slot: u32) {
        let (_, before, after) = self.links[slot as usize];
        match before {
            NONE => self.head = after,
            b => self.links[b as usize].2 = after,
        }
        match after {
            NONE => self.tail = before,
            a => self.links[a as usize].1 = before,
        }
    }
    fn push(&mut self, slot: u32) {
        (self.links[slot as usize].1, self.links[slot as usize].2) = (NONE, self.head);
        match self.head {
            NONE => self.tail = slot,
            h => self.links[h as usize].1 = slot,
        }
        self.head = slot;
    }
    /// Makes `block` the most recent: whether it is new, and the block forgotten for it.
    fn touch(&mut self, block: u64, capacity: u32) -> (bool, Option<u64>) {
        if let Some(&slot) = self.at.get(&block) {
            if self.head != slot {
                self.unlink(slot);
                self.push(slot);
            }
            return (false, None);
        }
        let (slot, forgotten) = if self.links.len() as u32 >= capacity {
            let slot = self.tail;
            self.unlink(slot);
            let old = std::mem::replace(&mut self.links[slot as usize].0, block);
            self.at.remove(&old);
            (slot, Some(old))
        } else {
            self.links.push((block, NONE, NONE));
            (self.links.len() as u32 - 1, None)
        };
        self.push(slot);
        self.at.insert(block, slot);
        (true, forgotten)
    }
}

/// Notes a match of `depth` blocks for the replicas of one word of a set.
fn note(matched: &mut [u32], word: usize, replicas: u64, depth: u32) {
    if depth == 0 {
        return;
    }
    let mut left = replicas;
    while left != 0 {
        matched[word * 64 + left.trailing_zeros() as usize] = depth;
        left &= left - 1;
    }
}

/// See the module head.
#[derive(Debug, Clone)]
pub struct Blocks {
    rule: BlockRule,
    /// The column that a replica has in sets of owners; one that left gave its own back.
    columns: IdMap<ReplicaId, Option<u32>>,
    vacant: Vec<u32>,
    /// By column.
    lrus: Vec<Lru>,
    /// By block: where the bits of its owners lie, one a column.
    owners: FxHashMap<u64, u32>,
    bits: Vec<u64>,
    /// Words of a set of owners.
    words: usize,
    free: Vec<u32>,
    /// Blocks of the last prompt looked up.
    path: Vec<u64>,
    /// By column: leading blocks of that prompt that its replica was sent.
    matched: Vec<u32>,
    alive: Vec<u64>,
}

impl Blocks {
    /// An empty index.
    pub fn new(rule: BlockRule) -> Blocks {
        Blocks {
            rule,
            columns: IdMap::default(),
            vacant: Vec::new(),
            lrus: Vec::new(),
            owners: FxHashMap::default(),
            bits: Vec::new(),
            words: 1,
            free: Vec::new(),
            path: Vec::new(),
            matched: Vec::new(),
            alive: Vec::new(),
        }
    }

    /// Looks a prompt up.
    pub fn look(&mut self, prompt: &Content) {
        self.cut(prompt);
        self.matched.clear();
        self.matched.resize(self.lrus.len(), 0);
        self.alive.clear();
        self.alive.resize(self.words, u64::MAX);
        let mut depth = 0;
        for block in &self.path {
            let Some(&place) = self.owners.get(block) else { break };
            let owners = &self.bits[place as usize * self.words..][..self.words];
            let mut any = 0;
            for (word, (alive, owners)) in self.alive.iter_mut().zip(owners).enumerate() {
                // Who was sent all blocks so far but not this one matches up to here.
                note(&mut self.matched, word, *alive & !owners, depth);
                *alive &= owners;
                any |= *alive;
            }
            if any == 0 {
                return;
            }
            depth += 1;
        }
        for (word, &alive) in self.alive.iter().enumerate() {
            note(&mut self.matched, word, alive, depth);
        }
    }

    /// Tokens of the prompt looked up last that `replica` was sent, from its start.
    pub fn matched_tokens(&self, replica: ReplicaId) -> u64 {
        u64::from(self.matched_blocks(replica)) * u64::from(self.rule.block_tokens)
    }

    fn matched_blocks(&self, replica: ReplicaId) -> u32 {
        let column = self.columns.get(replica).copied().flatten();
        column.and_then(|c| self.matched.get(c as usize).copied()).unwrap_or(0)
    }

    /// Share of that prompt's blocks that `replica` was sent.
    pub fn share(&self, replica: ReplicaId, prompt_tokens: u32) -> f64 {
        let blocks = prompt_tokens.min(self.rule.max_tokens) / self.rule.block_tokens;
        if blocks == 0 {
            return 0.0;
        }
        f64::from(self.matched_blocks(replica)) / f64::from(blocks)
    }

    /// Takes note that the prompt looked up last goes to `replica`.
    pub fn sent(&mut self, replica: ReplicaId) {
        let column = self.column_of(replica);
        let (word, bit) = (column as usize / 64, 1u64 << (column % 64));
        // The last block first, so that the first of a prompt is forgotten last.
        for i in (0..self.path.len()).rev() {
            let block = self.path[i];
            let (new, forgotten) = self.lrus[column as usize].touch(block, self.rule.blocks);
            if let Some(old) = forgotten {
                self.disown(old, word, bit);
            }
            if new {
                let (free, bits, words) = (&mut self.free, &mut self.bits, self.words);
                let place = *self.owners.entry(block).or_insert_with(|| {
                    free.pop().unwrap_or_else(|| {
                        bits.resize(bits.len() + words, 0);
                        (bits.len() / words - 1) as u32
                    })
                });
                self.bits[place as usize * words + word] |= bit;
            }
        }
    }

    /// A replica has left: its blocks are forgotten, and its column is free for another.
    pub fn forget(&mut self, replica: ReplicaId) {
        let Some(column) = self.columns.of(replica).take() else { return };
        let (word, bit) = (column as usize / 64, 1u64 << (column % 64));
        let lru = std::mem::replace(&mut self.lrus[column as usize], Lru::new());
        // In the order of the list, so that places are free in an order of their own.
        lru.links.iter().for_each(|(block, ..)| self.disown(*block, word, bit));
        self.vacant.push(column);
    }

    /// A block is no more of the column that has this bit; one that nobody has leaves.
    fn disown(&mut self, block: u64, word: usize, bit: u64) {
        let place = self.owners[&block] as usize * self.words;
        self.bits[place + word] &= !bit;
        if self.bits[place..place + self.words].iter().all(|w| *w == 0) {
            self.free.extend(self.owners.remove(&block));
        }
    }

    fn column_of(&mut self, replica: ReplicaId) -> u32 {
        if let Some(column) = *self.columns.of(replica) {
            return column;
        }
        let column = self.vacant.pop().unwrap_or_else(|| {
            self.lrus.push(Lru::new());
            self.lrus.len() as u32 - 1
        });
        *self.columns.of(replica) = Some(column);
        self.widen();
        column
    }

    /// Makes sets of owners wide enough for all columns.
    fn widen(&mut self) {
        let words = self.lrus.len().div_ceil(64);
        if words > self.words {
            let mut bits = vec![0; self.bits.len() / self.words * words];
            for (new, old) in bits.chunks_mut(words).zip(self.bits.chunks(self.words)) {
                new[..old.len()].copy_from_slice(old);
            }
            (self.bits, self.words) = (bits, words);
        }
    }

    fn cut(&mut self, prompt: &Content) {
        self.path.clear();
        let most = (self.rule.max_tokens / self.rule.block_tokens) as usize;
        let (mut hasher, mut room) = (FxHasher::default(), self.rule.block_tokens);
        0u64.hash(&mut hasher);
        for run in joined(prompt.runs()) {
            let mut at = 0;
            while at < run.len {
                let len = room.min(run.len - at);
                (run.id, run.start + at, len).hash(&mut hasher);
                (at, room) = (at + len, room - len);
                if room == 0 {
                    if self.path.len() == most {
                        return;
                    }
                    let name = hasher.finish();
                    self.path.push(name);
                    (hasher, room) = (FxHasher::default(), self.rule.block_tokens);
                    name.hash(&mut hasher);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ContentId, Run};

    fn prompt(names: &[(u64, u32)]) -> Content {
        let run = |&(n, len): &(u64, u32)| Run { id: ContentId::Named(n), start: 0, len };
        Content::from(names.iter().map(run).collect::<Vec<_>>())
    }

    #[test]
    fn a_match_counts_whole_leading_blocks_of_each_replica() {
        let mut index = Blocks::new(BlockRule { block_tokens: 64, blocks: 100, max_tokens: 131_072 });
        index.look(&prompt(&[(1, 200)]));
        assert_eq!(index.share(ReplicaId(0), 200), 0.0);
        index.sent(ReplicaId(0));
        index.look(&prompt(&[(1, 128), (2, 128)]));
        assert_eq!((index.matched_tokens(ReplicaId(0)), index.share(ReplicaId(0), 256)), (128, 0.5));
        index.sent(ReplicaId(70));
        index.look(&prompt(&[(1, 128), (2, 100)]));
        assert_eq!(
            (
                index.matched_tokens(ReplicaId(0)),
                index.matched_tokens(ReplicaId(70)),
                index.matched_tokens(ReplicaId(5))
            ),
            (128, 192, 0)
        );
        index.look(&prompt(&[(2, 128)]));
        assert_eq!(index.matched_tokens(ReplicaId(70)), 0, "the same text after another prefix is another");
        index.look(&Content::private(3, 130));
        assert_eq!(index.matched_tokens(ReplicaId(0)), 0);
        index.sent(ReplicaId(0));
        let turn = Run { id: ContentId::Private(3), start: 0, len: 130 };
        index.look(&Content::from([turn, Run { id: ContentId::Output(3), start: 0, len: 90 }]));
        assert_eq!(index.matched_tokens(ReplicaId(0)), 128, "a later turn repeats private text");
    }

    #[test]
    fn the_least_recently_sent_blocks_are_forgotten_the_end_of_a_prompt_first() {
        let mut index = Blocks::new(BlockRule { block_tokens: 10, blocks: 3, max_tokens: 100 });
        for p in [&[(1, 20)][..], &[(2, 20)]] {
            index.look(&prompt(p));
            index.sent(ReplicaId(0));
        }
        index.look(&prompt(&[(1, 20)]));
        assert_eq!(index.matched_tokens(ReplicaId(0)), 10, "its second block made room");
        index.look(&prompt(&[(2, 20)]));
        assert_eq!(index.matched_tokens(ReplicaId(0)), 20);
        let kept = index.owners.len();
        assert_eq!(kept, 3);
        index.look(&prompt(&[(3, 30)]));
        index.sent(ReplicaId(0));
        index.sent(ReplicaId(1));
        assert_eq!(index.owners.len(), 3, "what everybody forgot leaves the index");
    }

    #[test]
    fn a_replica_that_leaves_takes_its_blocks_along_and_its_column_is_used_again() {
        let mut index = Blocks::new(BlockRule { block_tokens: 10, blocks: 9, max_tokens: 100 });
        index.look(&prompt(&[(1, 30)]));
        index.sent(ReplicaId(0));
        index.sent(ReplicaId(1));
        index.forget(ReplicaId(0));
        index.look(&prompt(&[(1, 30)]));
        assert_eq!([0, 1].map(|r| index.matched_tokens(ReplicaId(r))), [0, 30]);
        index.sent(ReplicaId(70));
        assert_eq!((index.lrus.len(), index.words), (2, 1), "the column of the one that left");
        index.forget(ReplicaId(1));
        index.forget(ReplicaId(70));
        assert_eq!((index.owners.len(), index.free.len()), (0, 3));
    }
}
