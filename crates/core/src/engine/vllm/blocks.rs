//! What scheduling does to KV blocks (spec/vllm.md 1.6 and 1.7).
use super::VllmScheduler;
use super::slots::State;
use crate::engine::batch::Batch;
use crate::kv::{Hits, KvPool};

impl<P: KvPool> VllmScheduler<P> {
    pub(super) fn blocks_for(&self, tokens: u32) -> u32 {
        tokens.min(self.config.max_model_len).div_ceil(self.config.block_size)
    }

    /// Blocks that a running request needs for `n` tokens more.
    pub(super) fn growth(&self, slot: u32, n: u32) -> u32 {
        let r = &self.slots[slot];
        self.blocks_for(r.computed + n).saturating_sub(P::held(&r.table))
    }

    /// Gives a running request blocks for `n` tokens more; false, and nothing changed, if they are not free.
    pub(super) fn grow(&mut self, slot: u32, n: u32, batch: &mut Batch) -> bool {
        let need = self.growth(slot, n);
        if need > self.pool.free_count() {
            return false;
        }
        if need > 0 {
            self.pool.take(&mut self.slots[slot].table, need);
        }
        self.cache_blocks(slot, self.slots[slot].computed + n, Some(batch));
        true
    }

    /// Gives a waiting request the blocks it hit and new ones for `n` tokens after them; false, and nothing changed,
    /// if they are not free.
    pub(super) fn admit_blocks(&mut self, slot: u32, hits: Hits, n: u32, batch: &mut Batch) -> bool {
        let watermark = if self.running.is_empty() { 0 } else { self.watermark_blocks };
        let tokens = hits.blocks * self.config.block_size + n;
        let need = self.blocks_for(tokens).saturating_sub(hits.blocks);
        let gate = self.blocks_for(self.slots[slot].tokens()).saturating_sub(hits.blocks);
        let asked = if self.config.reserve_full_isl { need.max(gate) } else { need };
        if asked + hits.idle + watermark > self.pool.free_count() {
            return false;
        }
        let table = &mut self.slots[slot].table;
        if hits.blocks > 0 {
            self.pool.take_hits(table);
        }
        self.pool.take(table, need);
        self.cache_blocks(slot, tokens, Some(batch));
        true
    }

    /// Puts the full blocks of a request's first `tokens` tokens, as far as these are known, into the prefix cache.
    /// `batch` is the one that is being scheduled, if one is.
    pub(super) fn cache_blocks(&mut self, slot: u32, tokens: u32, batch: Option<&mut Batch>) {
        if !self.config.prefix_caching {
            return;
        }
        let full = tokens.min(self.slots[slot].tokens()) / self.config.block_size;
        self.name_blocks(slot, full, batch);
        let told = self.slots[slot].prompt / self.config.block_size;
        self.pool.cache(&mut self.slots[slot].table, full, told);
    }

    /// Finds the cached prefix of a waiting request, at most all but one token.
    pub(super) fn look_up(&mut self, slot: u32, batch: &mut Batch) -> Hits {
        if !self.config.prefix_caching {
            return Hits::default();
        }
        let most = (self.slots[slot].tokens() - 1) / self.config.block_size;
        self.name_blocks(slot, most, Some(batch));
        self.pool.look_up(&mut self.slots[slot].table, most)
    }

    /// Names a request's first `blocks` blocks. If a steady row fills one of them, the steady rows register first.
    pub(super) fn name_blocks(&mut self, slot: u32, blocks: u32, batch: Option<&mut Batch>) {
        let (table, tokens) = self.slots[slot].parts();
        if self.pool.name(table, tokens, blocks) {
            self.unfold(batch);
        }
    }

    /// Recompute preemption of a request that left the running list: back to the queue with nothing computed.
    pub(super) fn preempt(&mut self, slot: u32) {
        let request = &mut self.slots[slot];
        self.pool.release(&mut request.table);
        request.computed = 0;
        request.preemptions += 1;
        request.state = State::Waiting;
        self.queue(slot, true);
    }
}
