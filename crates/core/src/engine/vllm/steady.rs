//! Steady rows: requests of which every schedule computes one token and every update emits one, until their last.
//!
//! They are the first `len` of the running list. Nobody counts for them: a steady row is a single number, the tick (the
//! number of the batch) of its last sample, and everything else follows from that and from how many batches were scheduled
//! and updated since. So a step costs what it changes, not its rows, and a run of steps that change nothing, a stride,
//! costs as much as one.
//!
//! Must keep true: after any call the scheduler is as the reference step (`schedule.rs` and `update.rs` alone, with no
//! steady rows) would have left it. Who the lent blocks belong to and which full blocks are registered is written down
//! when a row finishes or is unfolded; until then nobody can ask, because the pool watches the names of these blocks. What
//! this file has no rule for (a budget or blocks that do not suffice, an abort, a name met) unfolds all rows first.
use super::VllmScheduler;
use crate::engine::batch::{Batch, Gap, Row, StepResult};
use crate::engine::scheduler::Stride;
use crate::kv::KvPool;
use crate::types::Femtos;

/// No tick.
const NEVER: u32 = u32::MAX;

/// See the module head. Ticks count the batches that compute something, from 1.
#[derive(Debug)]
pub(super) struct Steady {
    /// By place in the running list: tick of the row's last sample.
    leave: Vec<u32>,
    /// Rows that the next schedule includes, as far as it is known, and their computed tokens together.
    active: u32,
    ctx_sum: u64,
    /// Least `leave` of an active row, and of any.
    next_leave: u32,
    next_finish: u32,
    /// Rows with `leave` up to here are not active any more.
    left: u32,
    /// Active rows by the tick, modulo the block size, at which they begin a block.
    phases: Vec<u32>,
    /// Batches scheduled, and updated.
    tick: u32,
    updated: u32,
    /// Whether the last thing that happened is a schedule.
    scheduled_last: bool,
    last_end: Femtos,
    /// Whether a batch is being ended: rows of it that are not steady may still have to emit.
    ending: bool,
    /// Rows of batches in flight whose steady rows have been unfolded since, by tick.
    unfolded: Vec<(u32, Vec<Row>)>,
}

impl Steady {
    pub fn new(block_size: u32) -> Steady {
        Steady {
            leave: Vec::new(),
            active: 0,
            ctx_sum: 0,
            next_leave: NEVER,
            next_finish: NEVER,
            left: 0,
            phases: vec![0; block_size as usize],
            tick: 0,
            updated: 0,
            scheduled_last: false,
            last_end: Femtos(0),
            ending: false,
            unfolded: Vec::new(),
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.leave.len()
    }

    /// The tick of a batch that has just been put together; 0 for one that computes nothing.
    pub fn next_tick(&mut self, batch: &Batch) -> u32 {
        self.scheduled_last = true;
        if batch.steady == 0 && batch.rows.is_empty() {
            return 0;
        }
        assert!(self.tick < NEVER - 1, "steady-ticks: more than 4 billion steps of one engine");
        self.tick += 1;
        self.tick
    }

    /// Takes note that all rows of a batch were ended.
    pub fn batch_ended(&mut self) {
        self.ending = false;
    }

    /// Forgets the batches in flight.
    pub fn forget_flight(&mut self) {
        self.unfolded.clear();
        self.updated = self.tick;
    }

    /// Where among the ticks a row begins blocks: it does at a schedule that finds a multiple of the block size computed.
    fn phase(&self, leave: u32, last_computed: u32) -> usize {
        let size = self.phases.len() as i64;
        (i64::from(leave) + 1 - i64::from(last_computed)).rem_euclid(size) as usize
    }

    /// The row is not scheduled any more; `last_computed` is what it has computed in the end.
    fn drop_row(&mut self, leave: u32, last_computed: u32) {
        self.active -= 1;
        self.ctx_sum -= u64::from(last_computed);
        let phase = self.phase(leave, last_computed);
        self.phases[phase] -= 1;
    }

    fn find_next(&mut self) {
        let left = self.left;
        self.next_leave = self.leave.iter().map(|&l| if l > left { l } else { NEVER }).min().unwrap_or(NEVER);
        self.next_finish = self.leave.iter().copied().min().unwrap_or(NEVER);
    }

    /// Blocks that the next `cycles` schedules begin.
    fn blocks_of(&self, cycles: u32) -> u32 {
        let size = self.phases.len() as u32;
        let first = (self.tick + 1) % size;
        let rest = (0..cycles % size).map(|i| self.phases[((first + i) % size) as usize]).sum::<u32>();
        (cycles / size) * self.active + rest
    }
}

impl<P: KvPool> VllmScheduler<P> {
    /// Lets the rows in that have become steady, and schedules the steady ones. If there is not room for them and all that
    /// runs behind them, there are none afterwards.
    pub(super) fn schedule_steady(&mut self, cap: u32, budget: &mut u32, batch: &mut Batch) {
        self.join();
        let tick = self.steady.tick + 1;
        if self.steady.next_leave < tick {
            self.leave();
        }
        let rows = self.steady.active;
        if rows == 0 {
            return;
        }
        let need = self.steady.phases[tick as usize % self.steady.phases.len()];
        if rows > *budget || need + self.need_behind(cap, *budget - rows) > self.pool.free_count() {
            self.unfold(None);
            return;
        }
        if need > 0 {
            self.pool.lend(need);
        }
        *budget -= rows;
        batch.steady = rows;
        batch.decode_rows = rows;
        batch.decode_ctx_sum = self.steady.ctx_sum;
        self.steady.ctx_sum += u64::from(rows);
    }

    /// Blocks that the running requests behind the steady rows will ask for.
    fn need_behind(&self, cap: u32, mut budget: u32) -> u32 {
        let mut need = 0;
        for &slot in &self.running[self.steady.len()..] {
            let n = self.wants(slot, cap, budget);
            need += if n > 0 { self.growth(slot, n) } else { 0 };
            budget -= n;
        }
        need
    }

    /// Rows whose last sample is scheduled take no part any more; they finish when its batch ends.
    fn leave(&mut self) {
        let s = &mut self.steady;
        for place in 0..s.leave.len() {
            let leave = s.leave[place];
            if leave > s.left && leave <= s.tick {
                let r = &self.slots[self.running[place]];
                s.drop_row(leave, r.prompt + r.output - 1);
            }
        }
        s.left = s.tick;
        s.find_next();
    }

    /// Lets in, in running order, the rows that sampled last time and will do so until they end.
    fn join(&mut self) {
        if !self.strides || !P::LENDS {
            return;
        }
        while let Some(&slot) = self.running.get(self.steady.len()) {
            let r = &self.slots[slot];
            let samples = r.emitted + r.placeholders;
            let decodes = samples > 0 && samples < r.output && r.computed + 1 == r.prompt + samples;
            if !decodes || r.last_sample != self.steady.tick {
                return;
            }
            let (leave, computed, last) = (self.steady.tick - samples + r.output, r.computed, r.prompt + r.output - 1);
            if self.config.prefix_caching {
                let all = last / self.config.block_size;
                let before = self.steady.len();
                self.name_blocks(slot, all, None);
                if self.steady.len() < before || !self.pool.watch(&mut self.slots[slot].table) {
                    return;
                }
            }
            self.slots[slot].steady = true;
            let s = &mut self.steady;
            s.leave.push(leave);
            s.active += 1;
            s.ctx_sum += u64::from(computed);
            let phase = s.phase(leave, last);
            s.phases[phase] += 1;
            s.next_leave = s.next_leave.min(leave);
            s.next_finish = s.next_finish.min(leave);
        }
    }

    /// Ends the steady rows of a batch.
    pub(super) fn end_steady(&mut self, batch: &Batch, result: &mut StepResult) {
        self.steady.scheduled_last = false;
        self.steady.updated = batch.tick;
        self.steady.ending = true;
        let since = std::mem::replace(&mut self.steady.last_end, batch.ends_at);
        if batch.steady == 0 {
            return;
        }
        match self.steady.unfolded.iter().position(|u| u.0 == batch.tick) {
            Some(at) => {
                let (_, rows) = self.steady.unfolded.swap_remove(at);
                rows.iter().for_each(|row| self.end_row(row, batch.ends_at, result));
            }
            None => {
                result.gaps.push(Gap { since, tokens: batch.steady });
                if self.steady.next_finish == batch.tick {
                    self.finish_steady(batch.tick, result);
                }
            }
        }
    }

    /// The rows whose last sample was in this batch are done.
    fn finish_steady(&mut self, tick: u32, result: &mut StepResult) {
        let mut place = 0;
        while place < self.steady.len() {
            if self.steady.leave[place] != tick {
                place += 1;
                continue;
            }
            self.steady.leave.remove(place);
            let slot = self.running.remove(place);
            let r = &self.slots[slot];
            let computed = r.prompt + r.output - 1;
            if tick > self.steady.left {
                self.steady.drop_row(tick, computed);
            }
            self.write_down(slot, computed, computed);
            self.finish(slot, result);
            self.forget(slot);
        }
        self.steady.left = self.steady.left.max(tick);
        self.steady.find_next();
    }

    /// Writes a steady row's blocks down: those for `computed` tokens, the full ones of `registered` tokens cached.
    fn write_down(&mut self, slot: u32, computed: u32, registered: u32) {
        let need = self.blocks_for(computed) - P::held(&self.slots[slot].table);
        let told = self.slots[slot].prompt / self.config.block_size;
        let table = &mut self.slots[slot].table;
        self.pool.settle(table, need);
        if self.config.prefix_caching {
            self.pool.cache(table, registered / self.config.block_size, told);
            self.pool.unwatch(table);
        }
    }

    /// Makes ordinary rows of all steady ones. `batch` is the one that is being scheduled, if one is: its steady rows become
    /// its first rows.
    pub(super) fn unfold(&mut self, batch: Option<&mut Batch>) {
        if self.steady.len() == 0 {
            return;
        }
        let (tick, updated) = (self.steady.tick, self.steady.updated);
        // In a batch that is being scheduled, rows have their blocks already but have not advanced.
        let scheduling = batch.as_ref().is_some_and(|b| b.steady > 0);
        let mut in_flight: Vec<(u32, Vec<Row>)> = (updated + 1..=tick).map(|t| (t, Vec::new())).collect();
        let mut rows = Vec::new();
        for place in 0..self.steady.len() {
            let (slot, leave) = (self.running[place], self.steady.leave[place]);
            let r = &mut self.slots[slot];
            let base = leave - r.output;
            let joined = base + r.emitted + r.placeholders;
            let sampled = tick.min(leave) - base;
            let yet_to_emit = self.steady.ending && joined == updated && r.placeholders > 0;
            let emitted = if yet_to_emit { r.emitted } else { updated.min(leave) - base };
            let active = leave > self.steady.left;
            let row = |before: u32, samples| Row {
                slot,
                generation: r.generation,
                attempt: r.attempt,
                tokens: 1,
                computed: r.prompt + before - 1,
                samples,
            };
            for (t, rows) in &mut in_flight {
                if joined < *t && *t <= leave {
                    rows.push(row(*t - base - 1, true));
                }
            }
            if scheduling && active {
                rows.push(row(sampled, false));
            }
            if emitted > r.emitted {
                r.last_token = self.steady.last_end;
            }
            r.steady = false;
            r.computed = r.prompt + sampled - 1;
            r.emitted = emitted;
            r.in_flight = sampled - emitted;
            r.placeholders = if self.config.async_scheduling { sampled - emitted } else { 0 };
            r.last_sample = tick.min(leave);
            let held = r.computed + u32::from(scheduling && active);
            // A schedule registers what is known then, an update what its tokens verify.
            let fresh = active && (scheduling || self.steady.scheduled_last);
            let registered = r.tokens() - u32::from(!fresh);
            self.write_down(slot, held, registered.min(held));
        }
        if let Some(batch) = batch.filter(|_| scheduling) {
            batch.decode_rows -= batch.steady;
            batch.decode_ctx_sum = 0;
            batch.steady = 0;
            batch.rows.splice(0..0, rows);
        }
        in_flight.retain(|(_, rows)| !rows.is_empty());
        self.steady.unfolded.append(&mut in_flight);
        let s = &mut self.steady;
        s.leave.clear();
        (s.active, s.ctx_sum, s.next_leave, s.next_finish) = (0, 0, NEVER, NEVER);
        s.phases.fill(0);
    }

    /// The stride on offer after a schedule; see `Scheduler::stride`.
    pub(super) fn repeats(&self) -> Option<Stride> {
        let s = &self.steady;
        let rows = s.active;
        if rows == 0 || rows as usize != self.running.len() || !s.unfolded.is_empty() || !self.queue_stands() {
            return None;
        }
        let cycles = self.affordable(s.next_leave - s.tick);
        (cycles > 0).then_some(Stride { cycles, rows })
    }

    /// Whether the waiting queue stands still until a request finishes.
    fn queue_stands(&self) -> bool {
        let Some(&head) = self.waiting.front() else { return true };
        self.running.len() >= self.config.max_num_seqs as usize
            || self.steady.active >= self.config.max_num_batched_tokens
            || self.blocked == Some(head)
    }

    /// The most cycles up to `most` for whose blocks there is room; where KV events are kept, without an eviction, for each
    /// has its instant.
    fn affordable(&self, most: u32) -> u32 {
        let free = self.pool.silent_count();
        if self.steady.blocks_of(most) <= free {
            return most;
        }
        let (mut fits, mut too_many) = (0, most);
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            if self.steady.blocks_of(middle) <= free {
                fits = middle;
            } else {
                too_many = middle;
            }
        }
        fits
    }

    /// See `Scheduler::blocks_after`.
    pub(super) fn blocks_of_cycles(&self, cycles: u32) -> u32 {
        self.steady.blocks_of(cycles)
    }

    /// See `Scheduler::apply`.
    pub(super) fn repeat(&mut self, cycles: u32, last_update: Femtos) {
        let need = self.steady.blocks_of(cycles);
        if need > 0 {
            self.pool.lend(need);
        }
        let s = &mut self.steady;
        assert!(cycles <= s.next_leave - s.tick, "stride-bound: a row leaves within {cycles} cycles");
        s.tick += cycles;
        s.updated += cycles;
        s.ctx_sum += u64::from(cycles) * u64::from(s.active);
        s.last_end = last_update;
        s.scheduled_last = true;
    }

    /// The attempts and tokens of a batch that has just been scheduled, in order.
    pub fn scheduled<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = (crate::types::AttemptId, u32)> + 'a {
        let places = if batch.steady > 0 { 0..self.steady.len() } else { 0..0 };
        let steady = places.filter(|&p| self.steady.leave[p] >= batch.tick);
        let steady = steady.map(|p| (self.slots[self.running[p]].attempt, 1));
        steady.chain(batch.rows.iter().map(|row| (row.attempt, row.tokens)))
    }
}
