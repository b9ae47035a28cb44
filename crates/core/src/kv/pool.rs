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
    /// Runs of prompt and output together.
    pub(super) fn len(self) -> usize {
        self.prompt.len() + self.output.len()
    }
    /// Run `i` of prompt and output together.
    pub(super) fn run(&self, i: usize) -> Run {
        if i < self.prompt.len() { self.prompt[i] } else { self.output[i - self.prompt.len()] }
    }
}

/// A cached prefix that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hits {
    /// Blocks of the prefix.
    pub blocks: u32,
    /// Blocks of the prefix that nobody holds: taking them uses up free blocks.
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
    /// Blocks of a prompt's first `blocks` that were cached at the earlier instant `at`, from its start, as KV events
    /// tell it; `at` is at most as long ago as the log is kept.
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
    use crate::types::{Content, ContentId, served_prefix};
    use proptest::prelude::*;

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

    /// A request of the law below: its prompt, tokens of its output, and after how many further requests it is let go of.
    type Asked = (Vec<Run>, u32, usize);

    /// A request as numbers are drawn for it: pieces (kind, of which request, start, length), own tokens, output, how
    /// long kept.
    type Drawn = (Vec<(u8, u64, u32, u32)>, u32, u32, usize);

    fn asks() -> impl Strategy<Value = Vec<Asked>> {
        let piece = (0u8..6, 0u64..4, prop_oneof![3 => Just(0u32), 1 => 1u32..20], 0u32..40);
        let one = (prop::collection::vec(piece, 0..5), 1u32..40, 0u32..40, prop_oneof![Just(0usize), 0usize..4]);
        prop::collection::vec(one, 1..30).prop_map(|all| {
            let ask = |(i, (pieces, own, output, kept)): (usize, Drawn)| {
                let run = |(kind, of, start, len): (u8, u64, u32, u32)| {
                    let earlier = (of < i as u64).then_some(of);
                    let id = match (kind, earlier) {
                        (0..=2, Some(of)) => ContentId::Private(of),
                        (3, Some(of)) => ContentId::Output(of),
                        _ => ContentId::Named(of),
                    };
                    Run { id, start, len }
                };
                let mut prompt: Vec<Run> = pieces.into_iter().map(run).collect();
                prompt.push(self::run(ContentId::Private(i as u64), own));
                (prompt, output, kept)
            };
            all.into_iter().enumerate().map(ask).collect()
        })
    }

    /// What each request hits in a pool that forgets nothing.
    fn hits<P: KvPool>(asks: &[Asked], block: u32) -> Vec<u32> {
        let mut pool = P::new(100_000, block);
        let mut held: Vec<(usize, P::Table)> = Vec::new();
        let mut found = Vec::new();
        for (i, (prompt, output, kept)) in asks.iter().enumerate() {
            for (_, mut table) in held.extract_if(.., |(until, _)| *until < i) {
                pool.release(&mut table);
                pool.retire(&mut table);
            }
            let output = [self::run(ContentId::Output(i as u64), *output)];
            let (tokens, mut table) = (Tokens { prompt, output: &output }, P::Table::default());
            let length: u32 = prompt.iter().map(|r| r.len).sum();
            let (most, all) = (served_prefix(length, length, block) / block, (length + output[0].len) / block);
            let seen = pool.cached(tokens, most);
            pool.name(&mut table, tokens, most);
            let hit = pool.look_up(&mut table, most).blocks;
            assert_eq!(hit, seen, "request {i}: a look changes nothing");
            pool.take_hits(&mut table);
            pool.take(&mut table, all - hit);
            pool.name(&mut table, tokens, all);
            pool.cache(&mut table, all, length / block);
            pool.check();
            found.push(hit * block);
            held.push((i + kept, table));
        }
        found
    }

    proptest! {
        #[test]
        fn both_pools_hit_what_was_written_and_nothing_else(asks in asks(), block in prop_oneof![1u32..5, Just(16)]) {
            let mut written: Vec<Content> = Vec::new();
            let mut right = Vec::new();
            for (i, (prompt, output, _)) in asks.iter().enumerate() {
                let length: u32 = prompt.iter().map(|r| r.len).sum();
                let mut whole = Content::from(prompt.clone());
                let shared = written.iter().map(|w| w.shared_prefix(&whole)).max().unwrap_or(0);
                right.push(served_prefix(shared as u32, length, block));
                let output = run(ContentId::Output(i as u64), *output);
                whole = Content::from(prompt.iter().copied().chain([output]).collect::<Vec<_>>());
                written.push(whole);
            }
            prop_assert_eq!(&hits::<BlockPool>(&asks, block), &right, "the reference pool");
            prop_assert_eq!(&hits::<SpanPool>(&asks, block), &right, "the fast pool");
        }
    }

    #[test]
    fn two_prompts_that_leave_a_third_ones_text_in_one_block_are_two() {
        let text = |of, len| run(ContentId::Private(of), len);
        let asks: [Asked; 3] = [
            (vec![text(0, 7), text(1, 9)], 1, 0),
            (vec![text(0, 7), run(ContentId::Named(2), 2), text(2, 9)], 1, 0),
            (vec![text(0, 7), text(1, 9), text(3, 9)], 1, 0),
        ];
        for (hits, pool) in [(hits::<BlockPool>(&asks, 16), "reference"), (hits::<SpanPool>(&asks, 16), "fast")] {
            assert_eq!(hits, [0, 0, 16], "{pool}");
        }
    }

    #[test]
    fn both_pools_say_what_is_cached_and_change_nothing() {
        asked::<BlockPool>();
        asked::<SpanPool>();
    }
}
