//! What scheduling does to KV blocks (spec/vllm.md 1.6 and 1.7).
use super::VllmScheduler;
use super::slots::State;

impl VllmScheduler {
    fn blocks_for(&self, tokens: u32) -> u32 {
        tokens.min(self.config.max_model_len).div_ceil(self.config.block_size)
    }

    /// Gives a running request blocks for `n` tokens more; false, and nothing changed, if they are not free.
    pub(super) fn grow(&mut self, slot: u32, n: u32) -> bool {
        let tokens = self.slots[slot].computed + n;
        let need = self.blocks_for(tokens).saturating_sub(self.slots[slot].blocks.len() as u32);
        if need > self.pool.free_count() {
            return false;
        }
        self.take_blocks(slot, need);
        self.cache_blocks(slot, tokens);
        true
    }

    /// Gives a waiting request the blocks it hit and new ones for `n` tokens after them; false, and nothing changed,
    /// if they are not free.
    pub(super) fn admit_blocks(&mut self, slot: u32, n: u32) -> bool {
        let hits = self.hits.len() as u32;
        let from_queue = self.hits.iter().filter(|&&b| self.pool.refs(b) == 0).count() as u32;
        let watermark = if self.running.is_empty() { 0 } else { self.watermark_blocks };
        let room = self.pool.free_count();
        let tokens = hits * self.config.block_size + n;
        let need = self.blocks_for(tokens).saturating_sub(hits);
        let gate = self.blocks_for(self.slots[slot].tokens()).saturating_sub(hits);
        let asked = if self.config.reserve_full_isl { need.max(gate) } else { need };
        if asked + from_queue + watermark > room {
            return false;
        }
        for &block in &self.hits {
            self.pool.touch(block);
            self.slots[slot].blocks.push(block);
        }
        self.slots[slot].cached_blocks = self.hits.len();
        self.take_blocks(slot, need);
        self.cache_blocks(slot, tokens);
        true
    }

    fn take_blocks(&mut self, slot: u32, need: u32) {
        for _ in 0..need {
            let block = self.pool.allocate();
            self.slots[slot].blocks.push(block);
        }
    }

    /// Puts the full blocks of a request's first `tokens` tokens, as far as these are known, into the prefix cache.
    pub(super) fn cache_blocks(&mut self, slot: u32, tokens: u32) {
        if !self.config.prefix_caching {
            return;
        }
        let request = &mut self.slots[slot];
        let full = (tokens.min(request.tokens()) / self.config.block_size) as usize;
        if full <= request.cached_blocks {
            return;
        }
        let (chain, prompt, output) = request.chain_parts();
        chain.extend(&mut self.pool.interner, prompt, output, self.config.block_size, full);
        for i in request.cached_blocks..full {
            self.pool.register(request.blocks[i], request.chain.ids()[i]);
        }
        request.cached_blocks = full;
    }

    /// Finds the cached prefix of a waiting request, at most all but one token; leaves it in `hits`.
    pub(super) fn look_up(&mut self, slot: u32) {
        self.hits.clear();
        if !self.config.prefix_caching {
            return;
        }
        let request = &mut self.slots[slot];
        let most = ((request.tokens() - 1) / self.config.block_size) as usize;
        let (chain, prompt, output) = request.chain_parts();
        chain.extend(&mut self.pool.interner, prompt, output, self.config.block_size, most);
        for &id in &request.chain.ids()[..most] {
            match self.pool.lookup(id) {
                Some(block) => self.hits.push(block),
                None => break,
            }
        }
    }

    /// Frees what a request holds.
    pub(super) fn release_blocks(&mut self, slot: u32) {
        let request = &mut self.slots[slot];
        self.pool.release(&request.blocks);
        request.blocks.clear();
        request.cached_blocks = 0;
    }

    /// Recompute preemption of a request that left the running list: back to the queue with nothing computed.
    pub(super) fn preempt(&mut self, slot: u32) {
        self.release_blocks(slot);
        let request = &mut self.slots[slot];
        request.computed = 0;
        request.preemptions += 1;
        request.state = State::Waiting;
        self.queue(slot, true);
    }
}
