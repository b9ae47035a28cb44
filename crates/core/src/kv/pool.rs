//! The seam between a scheduler and its KV blocks: what both pools do, in vLLM's words (spec/vllm.md 1.5 to 1.7).
//!
//! Must keep true: for the same calls every pool gives the same hits, the same free counts and the same evictions.
use crate::types::{Run, SimTime};
use std::fmt::Debug;

/// The tokens of one request as runs: those of `prompt`, then those of `output`.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a> {
    /// Runs of the prompt.
    pub prompt: &'a [Run],
    /// Runs of what it generates.
    pub output: &'a [Run],
}

impl Tokens<'_> {
    /// Run `i` of prompt and output together.
    pub(super) fn run(&self, i: usize) -> Run {
        if i < self.prompt.len() { self.prompt[i] } else { self.output[i - self.prompt.len()] }
    }
}

/// A cached prefix that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hits {
    /// Blocks.
    pub blocks: u32,
    /// Those of them that nobody holds: taking them uses up free blocks.
    pub idle: u32,
}

/// Blocks of one replica, their free queue and the prefix cache over them. A `Table` is one request's part.
///
/// Two steps make a request's blocks: `take` moves them from the free queue, `cache` registers the full ones. A pool that
/// lends lets a scheduler put both off for requests that grow block by block: `lend` takes the blocks from the queue at
/// once for all of them, and `settle` says later whose they are. That is exact only while nobody else can name the blocks
/// that go unregistered, so such a request is under `watch`: `name` tells when another request's chain meets it.
pub trait KvPool: Debug {
    /// The blocks that a request holds and the names of its full blocks.
    type Table: Debug + Default;
    /// Whether it can `lend`. One that tells block ids apart cannot: the order of taking matters to it.
    const LENDS: bool;

    /// A pool of `num_blocks` blocks of `block_size` tokens, the null block included.
    fn new(num_blocks: u32, block_size: u32) -> Self;
    /// Blocks that can be held at all.
    fn usable(&self) -> u32;
    /// Blocks in the free queue, cached ones included.
    fn free_count(&self) -> u32;
    /// Blocks a request holds; lent ones that are not settled are not counted.
    fn held(table: &Self::Table) -> u32;
    /// Names the request's first `blocks` blocks. True if one of them is under another request's watch: that request must
    /// settle and register before this one looks up or registers anything.
    fn name(&mut self, table: &mut Self::Table, tokens: Tokens<'_>, blocks: u32) -> bool;
    /// Of the first `blocks` blocks of a prompt those that are cached, from its start. A pure read: nothing is named. What a
    /// request under watch has filled but not registered counts as not cached.
    fn cached(&self, tokens: Tokens<'_>, blocks: u32) -> u32;
    /// The same at the earlier instant `at`, as KV events tell it; at most as long ago as the log is kept.
    fn cached_at(&self, tokens: Tokens<'_>, blocks: u32, at: SimTime) -> u32;
    /// From now on keeps the KV events of the last `keep`.
    fn keep_log(&mut self, keep: SimTime);
    /// How long KV events are kept, if they are.
    fn log_kept(&self) -> Option<SimTime>;
    /// What follows happens at `now`; for the log.
    fn stamp(&mut self, now: SimTime);
    /// Free blocks whose taking makes no KV event that the log wants: all that are free, where none is kept.
    fn silent_count(&self) -> u32;
    /// Finds the cached prefix of a request that holds nothing, at most `most` blocks, all of them named; remembers it for
    /// `take_hits`.
    fn look_up(&mut self, table: &mut Self::Table, most: u32) -> Hits;
    /// Gives the request the blocks that the last `look_up` found; without one since, none.
    fn take_hits(&mut self, table: &mut Self::Table);
    /// Gives the request `n` blocks from the head of the free queue; cached ones among them are evicted.
    fn take(&mut self, table: &mut Self::Table, n: u32);
    /// Registers the request's first `full` blocks, all of them named, in the prefix cache, as far as they are not yet. The
    /// first `told` of its blocks are announced at once, the others when it releases them.
    fn cache(&mut self, table: &mut Self::Table, full: u32, told: u32);
    /// Frees what the request holds, last block first: never cached blocks to the front of the queue, cached ones to
    /// its tail.
    fn release(&mut self, table: &mut Self::Table);
    /// Forgets the names of a request that holds nothing.
    fn retire(&mut self, table: &mut Self::Table);
    /// Puts the named blocks of a request that are not registered yet under watch; false, and nothing changed, if
    /// somebody else has named or registered one of them.
    fn watch(&mut self, table: &mut Self::Table) -> bool;
    /// Ends a watch.
    fn unwatch(&mut self, table: &mut Self::Table);
    /// Takes `n` blocks from the head of the free queue for requests that will be told by `settle`.
    fn lend(&mut self, n: u32);
    /// Gives the request `n` of the lent blocks.
    fn settle(&mut self, table: &mut Self::Table, n: u32);
    /// Panics unless the pool's books agree.
    fn check(&self);
}

#[cfg(test)]
mod tests {
    use super::super::{BlockPool, SpanPool};
    use super::*;
    use crate::types::ContentId;

    fn run(id: ContentId, len: u32) -> Run {
        Run { id, start: 0, len }
    }

    /// Asks about prompts while their blocks come, go idle and are evicted.
    fn asked<P: KvPool>() {
        let prompt = [run(ContentId::Named(1), 10), run(ContentId::Named(2), 6)];
        let other = [run(ContentId::Named(1), 10), run(ContentId::Named(3), 6)];
        let tokens = |prompt| Tokens { prompt, output: &[] };
        let (mut pool, mut table) = (P::new(10, 4), P::Table::default());
        assert_eq!(pool.cached(tokens(&prompt), 4), 0, "an empty pool has nothing");
        pool.name(&mut table, tokens(&prompt), 4);
        pool.take(&mut table, 4);
        assert_eq!(pool.cached(tokens(&prompt), 4), 0, "named is not yet cached");
        pool.cache(&mut table, 4, 4);
        assert_eq!(pool.cached(tokens(&prompt), 4), 4);
        assert_eq!((pool.cached(tokens(&prompt), 3), pool.cached(tokens(&other), 4)), (3, 2));
        pool.release(&mut table);
        pool.retire(&mut table);
        assert_eq!(pool.cached(tokens(&prompt), 4), 4, "idle blocks stay cached");
        let mut private = P::Table::default();
        pool.take(&mut private, 6);
        assert_eq!(pool.cached(tokens(&prompt), 4), 3, "the sixth block taken was the prompt's last");
        pool.check();
    }

    #[test]
    fn both_pools_say_what_is_cached_and_change_nothing() {
        asked::<BlockPool>();
        asked::<SpanPool>();
    }
}
