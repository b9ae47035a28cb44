//! How much of the prompts a prefix cache would have, against its size: LRU stack distances (Mattson) in one pass.
//!
//! The unit is a block of B prompt tokens cut as the engine's prefix cache cuts them: full blocks only, each known by
//! the block before it and by the runs inside it. A request first looks its blocks up, all at once, then touches them
//! from the last to the first, as vLLM frees them: a block is so always more recent than those that follow it, and at
//! any size what is cached of a prompt is a prefix of it. The prompt's last token is never looked up, because an engine
//! has to compute it. Blocks of outputs do not enter; they count once a later prompt names them.
//!
//! Private text is followed like named text, because a later prompt may name it (the rule: `types/content.rs`). Where the
//! entries say that none does (`Entries::names_private_text`), it only pushes others out and takes no memory.
//!
//! Must hold: equal to a literal LRU list at every size (`reuse_tests.rs`) up to `limit` distinct blocks; beyond, a
//! fixed share of all blocks, chosen by their hash, stands for all (SHARDS), and the curve says so.
use super::marks::{Marks, mix};
use super::ranks::Ranks;
use baseload_core::types::{ContentId, Entry, Run, served_prefix};
use serde::Serialize;
use std::collections::VecDeque;

/// Distinct blocks that are tracked exactly.
pub const EXACT_BLOCKS: usize = 20_000_000;
/// Requests before the first that names anything whose prompts are remembered: a later turn may name those.
const NAMELESS: usize = 65_536;

/// Share of prompt tokens that a prefix cache has, by its size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrefixCurve {
    /// Tokens of a block.
    pub block_tokens: u32,
    /// Sizes of 1, 2, 4, ... blocks, up to the first that has all that a cache without limit has.
    pub points: Vec<CurvePoint>,
    /// The share that a cache without limit has, 0 to 1.
    pub unlimited: f64,
    /// Distinct blocks: what a cache without limit holds at the end. An estimate where sampled.
    pub distinct_blocks: u64,
    /// One block in so many was followed; 1 where all were and the curve is exact.
    pub sampled_one_in: u64,
}

/// One size of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Blocks it holds.
    pub blocks: u64,
    /// Tokens it holds.
    pub tokens: u64,
    /// Share of all prompt tokens that it has when they are asked for, 0 to 1.
    pub hit_share: f64,
}

/// Follows a trace's prompts, and counts what a prefix cache would find of each.
pub(super) struct Reuse {
    block: u32,
    limit: usize,
    /// Whether private text may be named later.
    named_later: bool,
    /// Hash of a block -> slot of its last use.
    marks: Marks,
    /// Slots in order of use; taken where a block was used last.
    ranks: Ranks,
    least_slots: usize,
    /// The next slot.
    now: u32,
    /// Slots at which blocks that nobody can name came, and how many had come up to each.
    cold: Vec<(u32, u64)>,
    /// One block in 2^this is followed.
    halvings: u32,
    /// Looked-up blocks by the logarithm of their distance: `hits[k]` lie within 2^k blocks but not 2^(k-1).
    hits: [u64; 65],
    /// Blocks looked up that can be named, and what those followed stand for.
    looked_up: u64,
    followed: u64,
    prompt_tokens: u64,
    any_named: bool,
    /// Id and tokens of the requests before the first that names anything.
    nameless: VecDeque<(u64, u32)>,
    hashes: Vec<u64>,
    old: Vec<u32>,
}

impl Reuse {
    /// In blocks of so many tokens; `named_later`: whether private text may be named later.
    pub(super) fn new(block: u32, named_later: bool) -> Reuse {
        Reuse { named_later, ..Reuse::with(block, EXACT_BLOCKS, 1 << 20) }
    }

    /// Statistics with another limit of exactness, and so many slots to begin with; private text may be named later.
    pub(super) fn with(block: u32, limit: usize, least_slots: usize) -> Reuse {
        Reuse {
            block,
            limit,
            named_later: true,
            marks: Marks::new(),
            ranks: Ranks::new(least_slots, std::iter::empty()),
            least_slots,
            now: 0,
            cold: Vec::new(),
            halvings: 0,
            hits: [0; 65],
            looked_up: 0,
            followed: 0,
            prompt_tokens: 0,
            any_named: false,
            nameless: VecDeque::new(),
            hashes: Vec::new(),
            old: Vec::new(),
        }
    }

    /// The next request.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.prompt_tokens += u64::from(entry.prompt_tokens);
        if !self.any_named && entry.content.is_empty() {
            self.nameless.push_back((entry.id, entry.prompt_tokens));
            if self.nameless.len() > NAMELESS {
                let (_, tokens) = self.nameless.pop_front().expect("nameless: it is longer than its bound");
                self.chill(u64::from(tokens / self.block));
            }
            return;
        }
        self.any_named = true;
        for (id, tokens) in std::mem::take(&mut self.nameless) {
            self.prompt(&[], Some(Run { id: ContentId::Private(id), start: 0, len: tokens }), tokens);
        }
        self.prompt(&entry.content, entry.private_text(), entry.prompt_tokens);
    }

    fn prompt(&mut self, content: &[Run], private: Option<Run>, tokens: u32) {
        let private = private.filter(|_| self.named_later);
        let known: u32 = content.iter().chain(&private).map(|r| r.len).sum();
        let (all, known) = (u64::from(tokens / self.block), known / self.block);
        // Blocks that end before the prompt's last token.
        let eligible = u64::from(served_prefix(tokens, tokens, self.block) / self.block).min(u64::from(known));
        // A prompt that is over the limit alone, most likely a wrong number, must not take the memory before it is sampled.
        while u64::from(known) >> self.halvings > self.limit as u64 {
            self.halve();
        }
        let (mut hashes, skip) = (std::mem::take(&mut self.hashes), (1u64 << self.halvings) - 1);
        hashes.clear();
        let (mut index, mut lookups) = (0u64, 0);
        blocks(content.iter().copied().chain(private), self.block, |hash| {
            if hash & skip == 0 {
                hashes.push(hash);
                lookups += usize::from(index < eligible);
            }
            index += 1;
        });
        // What this request itself pushes in is no part of how far back its own blocks lie.
        let cold = self.cold.last().map_or(0, |c| c.1);
        self.chill(all - u64::from(known));
        self.touch(&hashes, lookups, cold);
        self.looked_up += eligible;
        self.hashes = hashes;
        while self.marks.len() > self.limit {
            self.halve();
        }
    }

    /// Blocks that nobody can name were used.
    fn chill(&mut self, blocks: u64) {
        if blocks == 0 {
            return;
        }
        let before = self.cold.last().map_or(0, |c| c.1);
        match self.cold.last_mut() {
            Some(last) if last.0 + 1 == self.now => last.1 += blocks,
            _ => {
                self.room(1);
                self.cold.push((self.now, before + blocks));
                self.now += 1;
            }
        }
    }

    /// Looks up the first `lookups` of a prompt's blocks, before which `cold` blocks that nobody can name had come, then
    /// touches all of them from the last to the first.
    fn touch(&mut self, hashes: &[u64], lookups: usize, cold: u64) {
        self.room(hashes.len());
        let base = self.now;
        let mut old = std::mem::take(&mut self.old);
        old.clear();
        // Slot and distances of the block before: a prompt's blocks mostly lie as the last such prompt left them.
        let mut before: Option<(u32, u64, u64)> = None;
        for (i, &hash) in hashes.iter().enumerate() {
            let slot = base + (hashes.len() - 1 - i) as u32;
            let (noted, new) = self.marks.note(hash, slot);
            let was = std::mem::replace(noted, slot);
            if new {
                continue;
            }
            old.push(was);
            if i >= lookups {
                continue;
            }
            let (above, colder) = match before {
                Some((slot, above, colder)) if slot == was.wrapping_add(1) => (above + 1, colder),
                _ => {
                    let up_to = self.cold.partition_point(|c| c.0 <= was);
                    let below = up_to.checked_sub(1).map_or(0, |i| self.cold[i].1);
                    (u64::from(self.ranks.above(was)), cold.saturating_sub(below))
                }
            };
            before = Some((was, above, colder));
            let distance = ((above + 1) << self.halvings) + colder;
            self.hits[(64 - (distance - 1).leading_zeros()) as usize] += 1 << self.halvings;
        }
        (0..hashes.len() as u32).for_each(|i| self.ranks.take(base + i));
        old.iter().for_each(|&slot| self.ranks.free(slot));
        self.old = old;
        self.now += hashes.len() as u32;
        self.followed += (lookups as u64) << self.halvings;
    }

    /// Makes sure of `more` slots; where there are not, slots that are free are taken out of the line.
    fn room(&mut self, more: usize) {
        if self.now as usize + more <= self.ranks.slots() {
            return;
        }
        // Cold blocks between the same two others become one.
        let mut kept: Vec<(u32, u64)> = Vec::new();
        for &(slot, sum) in &self.cold {
            let live = if slot == 0 { 0 } else { self.ranks.up_to(slot) };
            match kept.last_mut() {
                Some(last) if last.0 == live => last.1 = sum,
                _ => kept.push((live, sum)),
            }
        }
        let ranks = &self.ranks;
        self.marks.values_mut().for_each(|slot| {
            let live = ranks.up_to(*slot) - 1;
            *slot = live + kept.partition_point(|c| c.0 <= live) as u32;
        });
        kept.iter_mut().enumerate().for_each(|(i, c)| c.0 += i as u32);
        self.now = (self.marks.len() + kept.len()) as u32;
        let slots = ((self.now as usize) * 4 + more).max(self.least_slots);
        self.ranks = Ranks::new(slots, self.marks.values_mut().map(|slot| *slot));
        self.cold = kept;
    }

    /// Follows half as many blocks from now on.
    fn halve(&mut self) {
        self.halvings += 1;
        let (skip, ranks) = ((1u64 << self.halvings) - 1, &mut self.ranks);
        self.marks.retain(|hash, slot| {
            let keep = hash & skip == 0;
            if !keep {
                ranks.free(*slot);
            }
            keep
        });
    }

    /// The curve; `None` where no prompt names anything.
    pub(super) fn curve(&self) -> Option<PrefixCurve> {
        if !self.any_named {
            return None;
        }
        let block = u64::from(self.block);
        let tokens = self.prompt_tokens.max(1) as f64;
        // Where the followed blocks were looked up more or less often than their share, the often used ones are why,
        // and these lie close (SHARDS's correction).
        let mut sum = i128::from(self.looked_up) - i128::from(self.followed);
        let last = self.hits.iter().rposition(|n| *n > 0).map_or(0, |i| i + 1);
        let share = |sum: i128| (sum.max(0) as f64 * block as f64 / tokens).min(1.0);
        let points = (0..last).map(|k| {
            sum += i128::from(self.hits[k]);
            CurvePoint { blocks: 1 << k, tokens: block << k, hit_share: share(sum) }
        });
        let points: Vec<CurvePoint> = points.collect();
        let cold = self.cold.last().map_or(0, |c| c.1);
        Some(PrefixCurve {
            block_tokens: self.block,
            unlimited: points.last().map_or(0.0, |p| p.hit_share),
            points,
            distinct_blocks: ((self.marks.len() as u64) << self.halvings) + cold,
            sampled_one_in: 1 << self.halvings,
        })
    }
}

/// The hashes of the full blocks of `runs`, in order: each of the block before and of the tokens inside, however the
/// runs are cut.
fn blocks(runs: impl Iterator<Item = Run>, block: u32, mut each: impl FnMut(u64)) {
    let mut chain = 0x5851_f42d_4c95_7f2d_u64;
    let mut missing = block;
    // The piece that is open, so that one that goes on in the next run stays one.
    let mut piece: Option<(ContentId, u64, u32)> = None;
    for run in runs {
        let (mut start, mut left) = (u64::from(run.start), run.len);
        while left > 0 {
            let take = missing.min(left);
            piece = match piece {
                Some((id, from, len)) if id == run.id && from + u64::from(len) == start => Some((id, from, len + take)),
                other => {
                    other.into_iter().for_each(|p| chain = chained(chain, p));
                    Some((run.id, start, take))
                }
            };
            (start, left, missing) = (start + u64::from(take), left - take, missing - take);
            if missing == 0 {
                piece.take().into_iter().for_each(|p| chain = chained(chain, p));
                // Only a block's end is marked, so a block is not its own beginning.
                chain = mix(chain ^ 0x9e37_79b9_7f4a_7c15);
                each(chain);
                missing = block;
            }
        }
    }
}

/// The hash of a chain with one piece more.
fn chained(chain: u64, (id, start, len): (ContentId, u64, u32)) -> u64 {
    let (kind, id) = match id {
        ContentId::Named(id) => (0x2545_f491_4f6c_dd1d, id),
        ContentId::Output(id) => (0x6a09_e667_f3bc_c909, id),
        ContentId::Private(id) => (0xbb67_ae85_84ca_a73b, id),
    };
    let owner = mix(id ^ kind).wrapping_add(chain.rotate_left(23));
    mix(mix(owner ^ start.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(u64::from(len)) ^ chain)
}

#[cfg(test)]
#[path = "reuse_tests.rs"]
mod tests;
