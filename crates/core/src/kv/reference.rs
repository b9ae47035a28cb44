//! The reference pool: physical block ids and a literal free queue, exactly as vLLM keeps them.
//!
//! Block 0 is the null block: never handed out, and here the sentinel of the free queue's ring.
use super::chain::{Chain, Identity, Interner};
use super::log::KvLog;
use super::pool::{Hits, KvPool, Tokens};
use crate::types::SimTime;

/// No block, no identity.
const NONE: u32 = u32::MAX;

/// Physical blocks `1..=usable`, their free queue, and the prefix cache over them.
#[derive(Debug)]
pub struct BlockPool {
    next: Vec<u32>,
    prev: Vec<u32>,
    refs: Vec<u32>,
    identity: Vec<Identity>,
    /// Next block registered under the same identity.
    twin: Vec<u32>,
    /// First block registered under an identity, by identity.
    first: Vec<u32>,
    free: u32,
    block_size: u32,
    /// Blocks found by the last look-up.
    hits: Vec<u32>,
    log: Option<KvLog>,
    /// The names of blocks.
    pub interner: Interner,
}

/// What one request holds.
#[derive(Debug, Default)]
pub struct BlockTable {
    /// Block ids in order.
    pub blocks: Vec<u32>,
    /// Cached blocks, counted from the first.
    pub cached: u32,
    /// Cached blocks, from the first, that were announced by KV events.
    told: u32,
    chain: Chain,
}

impl BlockPool {
    /// A pool of `num_blocks` blocks, the null block included.
    fn with_size(num_blocks: u32, block_size: u32) -> BlockPool {
        assert!((2..NONE).contains(&num_blocks), "block-pool: {num_blocks} blocks leave none beside the null block");
        let n = num_blocks;
        BlockPool {
            next: (0..n).map(|b| (b + 1) % n).collect(),
            prev: (0..n).map(|b| (b + n - 1) % n).collect(),
            refs: vec![0; n as usize],
            identity: vec![NONE; n as usize],
            twin: vec![NONE; n as usize],
            first: Vec::new(),
            free: n - 1,
            block_size,
            hits: Vec::new(),
            log: None,
            interner: Interner::default(),
        }
    }

    /// Holders of a block.
    pub fn refs(&self, block: u32) -> u32 {
        self.refs[block as usize]
    }

    /// The identity under which a block is cached.
    pub fn identity(&self, block: u32) -> Option<Identity> {
        Some(self.identity[block as usize]).filter(|&id| id != NONE)
    }

    /// The block cached first under `id`, of those still cached.
    pub fn lookup(&self, id: Identity) -> Option<u32> {
        self.first.get(id as usize).copied().filter(|&b| b != NONE)
    }

    /// Takes the block at the head of the free queue; if it was cached, that is its eviction.
    pub fn allocate(&mut self) -> u32 {
        let block = self.next[0];
        assert!(block != 0, "block-conserved: allocation from an empty free queue");
        self.unlink(block);
        self.forget(block);
        self.refs[block as usize] = 1;
        block
    }

    /// One more holder of a cached block; a free one leaves the middle of the queue.
    pub fn touch(&mut self, block: u32) {
        if self.refs[block as usize] == 0 {
            self.unlink(block);
        }
        self.refs[block as usize] += 1;
    }

    /// Puts a held, not yet cached block into the prefix cache.
    pub fn register(&mut self, block: u32, id: Identity) {
        assert!(self.refs[block as usize] > 0, "block-conserved: block {block} is cached but nobody holds it");
        assert!(self.identity[block as usize] == NONE, "block-cached-once: block {block} has an identity");
        self.interner.retain(id);
        self.identity[block as usize] = id;
        if self.first.len() <= id as usize {
            self.first.resize(id as usize + 1, NONE);
        }
        match self.first[id as usize] {
            NONE => self.first[id as usize] = block,
            mut at => {
                while self.twin[at as usize] != NONE {
                    at = self.twin[at as usize];
                }
                self.twin[at as usize] = block;
            }
        }
    }

    /// One holder less for each of a request's blocks, last block first. Of those nobody holds now, the never
    /// cached go to the front of the free queue and the cached to its tail, both in the order of the walk.
    pub fn free_blocks(&mut self, blocks: &[u32]) {
        let mut front = 0;
        for &block in blocks.iter().rev() {
            let refs = &mut self.refs[block as usize];
            assert!(*refs > 0, "block-conserved: block {block} is freed but nobody holds it");
            *refs -= 1;
            if *refs > 0 {
                continue;
            }
            if self.identity[block as usize] == NONE {
                self.link_after(front, block);
                front = block;
            } else {
                self.link_after(self.prev[0], block);
            }
        }
    }

    /// The free queue, head first.
    pub fn free_queue(&self) -> impl Iterator<Item = u32> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            at = self.next[at as usize];
            (at != 0).then_some(at)
        })
    }

    fn link_after(&mut self, at: u32, block: u32) {
        let next = self.next[at as usize];
        self.next[at as usize] = block;
        self.prev[block as usize] = at;
        self.next[block as usize] = next;
        self.prev[next as usize] = block;
        self.free += 1;
    }

    fn unlink(&mut self, block: u32) {
        let (prev, next) = (self.prev[block as usize], self.next[block as usize]);
        self.next[prev as usize] = next;
        self.prev[next as usize] = prev;
        self.free -= 1;
    }

    fn note(&mut self, id: Identity, stored: bool) {
        if let Some(log) = &mut self.log {
            self.interner.retain(id);
            log.note(id, 0, 1, stored);
        }
    }

    fn forget(&mut self, block: u32) {
        let id = std::mem::replace(&mut self.identity[block as usize], NONE);
        if id == NONE {
            return;
        }
        let after = std::mem::replace(&mut self.twin[block as usize], NONE);
        let mut at = self.first[id as usize];
        if at == block {
            self.first[id as usize] = after;
        } else {
            while self.twin[at as usize] != block {
                at = self.twin[at as usize];
            }
            self.twin[at as usize] = after;
        }
        if self.first[id as usize] == NONE {
            self.note(id, false);
        }
        self.interner.release(id);
    }
}

impl KvPool for BlockPool {
    type Table = BlockTable;
    const LENDS: bool = false;

    fn new(num_blocks: u32, block_size: u32) -> BlockPool {
        BlockPool::with_size(num_blocks, block_size)
    }
    fn usable(&self) -> u32 {
        self.next.len() as u32 - 1
    }
    fn free_count(&self) -> u32 {
        self.free
    }
    fn held(table: &BlockTable) -> u32 {
        table.blocks.len() as u32
    }
    fn name(&mut self, table: &mut BlockTable, tokens: Tokens<'_>, blocks: u32) -> bool {
        table.chain.extend(&mut self.interner, tokens.prompt, tokens.output, self.block_size, blocks as usize);
        false
    }
    fn cached(&self, tokens: Tokens<'_>, blocks: u32) -> u32 {
        let known = Chain::known(&self.interner, tokens.prompt, tokens.output, self.block_size, blocks as usize);
        known.iter().take_while(|id| self.lookup(**id).is_some()).count() as u32
    }
    fn cached_at(&self, tokens: Tokens<'_>, blocks: u32, at: SimTime) -> u32 {
        let known = Chain::known(&self.interner, tokens.prompt, tokens.output, self.block_size, blocks as usize);
        let was_cached = |id: &&Identity| {
            let mut cached = [self.lookup(**id).is_some()];
            self.log.iter().for_each(|log| log.undo(**id, at, &mut cached));
            cached[0]
        };
        known.iter().take_while(was_cached).count() as u32
    }
    fn keep_log(&mut self, keep: SimTime) {
        self.log = Some(KvLog::new(keep));
    }
    fn log_kept(&self) -> Option<SimTime> {
        self.log.as_ref().map(KvLog::keep)
    }
    fn stamp(&mut self, now: SimTime) {
        let Some(log) = &mut self.log else { return };
        log.stamp(now);
        while let Some(old) = log.forget() {
            self.interner.release(old.of);
        }
    }
    fn silent_count(&self) -> u32 {
        let silent = |b: &u32| self.log.is_none() || self.identity(*b).is_none();
        self.free_queue().take_while(silent).count() as u32
    }
    fn look_up(&mut self, table: &mut BlockTable, most: u32) -> Hits {
        self.hits.clear();
        for &id in &table.chain.ids()[..most as usize] {
            match self.lookup(id) {
                Some(block) => self.hits.push(block),
                None => break,
            }
        }
        let idle = self.hits.iter().filter(|&&b| self.refs(b) == 0).count() as u32;
        Hits { blocks: self.hits.len() as u32, idle }
    }
    fn take_hits(&mut self, table: &mut BlockTable) {
        table.cached += self.hits.len() as u32;
        for i in 0..self.hits.len() {
            self.touch(self.hits[i]);
            table.blocks.push(self.hits[i]);
        }
        self.hits.clear();
        table.told = table.told.max(table.cached);
    }
    fn take(&mut self, table: &mut BlockTable, n: u32) {
        for _ in 0..n {
            let block = self.allocate();
            table.blocks.push(block);
        }
    }
    fn cache(&mut self, table: &mut BlockTable, full: u32, told: u32) {
        for i in table.cached..full {
            let id = table.chain.ids()[i as usize];
            let new = self.lookup(id).is_none();
            self.register(table.blocks[i as usize], id);
            if new && i < told {
                self.note(id, true);
            }
        }
        table.told = table.told.max(full.min(told));
        table.cached = table.cached.max(full);
    }
    fn release(&mut self, table: &mut BlockTable) {
        for i in table.told as usize..table.cached as usize {
            let id = table.chain.ids()[i];
            if self.lookup(id) == Some(table.blocks[i]) {
                self.note(id, true);
            }
        }
        self.free_blocks(&table.blocks);
        table.blocks.clear();
        (table.cached, table.told) = (0, 0);
    }
    fn retire(&mut self, table: &mut BlockTable) {
        assert!(table.blocks.is_empty(), "block-conserved: a request is retired with blocks");
        table.chain.clear(&mut self.interner);
    }
    fn watch(&mut self, _table: &mut BlockTable) -> bool {
        false
    }
    fn unwatch(&mut self, _table: &mut BlockTable) {}
    fn lend(&mut self, _n: u32) {
        unreachable!("pool-lends: the reference pool tells block ids apart")
    }
    fn settle(&mut self, _table: &mut BlockTable, _n: u32) {
        unreachable!("pool-lends: the reference pool tells block ids apart")
    }
    /// Panics unless the free queue holds exactly the blocks that nobody holds.
    fn check(&self) {
        let mut queued = 0;
        for block in self.free_queue() {
            assert!(self.refs[block as usize] == 0, "block-conserved: block {block} is both free and held");
            queued += 1;
        }
        let idle = self.refs[1..].iter().filter(|&&r| r == 0).count() as u32;
        assert!(
            queued == idle && queued == self.free,
            "block-conserved: {queued} queued, {idle} idle, {} free",
            self.free
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Chain;
    use crate::types::{ContentId, Run};

    #[test]
    fn freed_blocks_queue_as_vllm_queues_them_and_twins_outlive_the_first() {
        let mut pool = <BlockPool as KvPool>::new(6, 16);
        let held: Vec<u32> = (0..3).map(|_| pool.allocate()).collect();
        assert_eq!(held, [1, 2, 3]);
        let mut chain = Chain::default();
        let runs = [Run { id: ContentId::Named(7), start: 0, len: 32 }];
        chain.extend(&mut pool.interner, &runs, &[], 16, 2);
        let ids = chain.ids().to_vec();
        pool.register(1, ids[0]);
        pool.register(2, ids[1]);
        let twin = pool.allocate();
        pool.register(twin, ids[0]);
        assert_eq!(pool.lookup(ids[0]), Some(1), "the first registered is found");
        pool.free_blocks(&held);
        assert_eq!(pool.free_queue().collect::<Vec<_>>(), [3, 5, 2, 1]);
        pool.touch(2);
        assert_eq!((pool.allocate(), pool.allocate(), pool.allocate()), (3, 5, 1));
        assert_eq!(pool.lookup(ids[0]), Some(twin));
        pool.free_blocks(&[twin]);
        pool.check();
        assert_eq!(pool.allocate(), twin);
        assert_eq!(pool.lookup(ids[0]), None);
        pool.free_blocks(&[1, 2, 3, 5, twin]);
        pool.check();
        chain.clear(&mut pool.interner);
        assert_eq!(pool.interner.live(), 2, "block 2 is cached still, and names its parent");
    }
}
