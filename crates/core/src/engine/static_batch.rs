//! Static batching (spec/engines.md 2.2): a batch is fixed at launch, padded, and returned whole.
//!
//! Prompts are padded to the longest; then one decode step for each output token of the longest output. No row
//! leaves before the last ends, and nobody sees a token before. KV for every row's longest possible length is held.
mod section;

use super::batch::{Batch, Finished, StepResult};
use super::scheduler::Scheduler;
use crate::types::{AttemptId, FailureCause, Job, Load, SimTime};
use std::collections::VecDeque;

pub use section::ROW;

/// Knobs of a static batcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticConfig {
    /// Rows at most; a batch of that size starts at once.
    pub max_batch: u32,
    /// How long the oldest waits for others.
    pub timeout: SimTime,
    /// Padded prompt and output tokens of a row at most.
    pub max_model_len: u32,
    /// Tokens a KV block.
    pub block_size: u32,
    /// KV blocks, the null block included, as a memory plan counts them.
    pub num_blocks: u32,
}

#[derive(Debug)]
struct Waiter {
    attempt: AttemptId,
    prompt: u32,
    output: u32,
    since: SimTime,
}

/// The batch that runs.
#[derive(Debug, Default)]
struct Running {
    /// Who still wants its result; an aborted row computes on for nobody.
    rows: Vec<AttemptId>,
    width: u32,
    prompt: u32,
    decodes: u32,
    /// Steps scheduled: the prefill, then decodes.
    scheduled: u32,
    updated: u32,
    blocks: u32,
}

/// The scheduler. See the module head.
#[derive(Debug)]
pub struct StaticScheduler {
    config: StaticConfig,
    waiting: VecDeque<Waiter>,
    running: Running,
}

impl StaticScheduler {
    /// An empty batcher.
    pub fn new(config: StaticConfig) -> StaticScheduler {
        assert!(
            config.max_batch > 0 && config.block_size > 0 && config.num_blocks > 0,
            "static-config: batch, block size and blocks are at least 1"
        );
        StaticScheduler { config, waiting: VecDeque::new(), running: Running::default() }
    }

    fn busy(&self) -> bool {
        self.running.width > 0
    }

    /// Blocks that hold tokens: all but the null block.
    fn usable(&self) -> u32 {
        self.config.num_blocks - 1
    }

    fn row_blocks(&self, prompt: u32, output: u32) -> u64 {
        (u64::from(prompt) + u64::from(output)).div_ceil(u64::from(self.config.block_size))
    }

    fn row_fits(&self, prompt: u32, output: u32) -> bool {
        u64::from(prompt) + u64::from(output) <= u64::from(self.config.max_model_len)
    }

    /// How many of the queue, in order, make a batch, its padded prompt and its longest output; and whether the next
    /// in the queue is kept out by size, so that waiting longer cannot make the batch larger.
    fn candidate(&self) -> (usize, u32, u32, bool) {
        let (mut rows, mut prompt, mut output) = (0, 0, 0);
        for w in &self.waiting {
            let (p, o) = (prompt.max(w.prompt), output.max(w.output));
            let blocks = (rows as u64 + 1) * self.row_blocks(p, o);
            if rows == self.config.max_batch as usize || !self.row_fits(p, o) || blocks > u64::from(self.usable()) {
                return (rows, prompt, output, true);
            }
            (rows, prompt, output) = (rows + 1, p, o);
        }
        (rows, prompt, output, rows == self.config.max_batch as usize)
    }

    fn launch(&mut self, now: SimTime) {
        let (rows, prompt, output, full) = self.candidate();
        if rows == 0 || !(full || now >= self.oldest_expires()) {
            return;
        }
        let r = &mut self.running;
        r.rows.clear();
        r.rows.extend(self.waiting.drain(..rows).map(|w| w.attempt));
        (r.width, r.prompt, r.decodes) = (rows as u32, prompt, output);
        (r.scheduled, r.updated) = (0, 0);
        self.running.blocks = (rows as u64 * self.row_blocks(prompt, output)) as u32;
    }

    fn oldest_expires(&self) -> SimTime {
        self.waiting.front().map_or(SimTime::NEVER, |w| w.since + self.config.timeout)
    }
}

impl Scheduler for StaticScheduler {
    fn enqueue(&mut self, job: Job, now: SimTime) -> Result<(), FailureCause> {
        let (prompt, output) = (job.prompt_tokens, job.output_tokens);
        if !self.row_fits(prompt, output) || self.row_blocks(prompt, output) > u64::from(self.usable()) {
            return Err(FailureCause::TooLong);
        }
        self.waiting.push_back(Waiter { attempt: job.attempt, prompt, output, since: now });
        Ok(())
    }

    fn abort(&mut self, attempt: AttemptId) -> Option<u32> {
        if let Some(at) = self.waiting.iter().position(|w| w.attempt == attempt) {
            self.waiting.remove(at);
            return Some(0);
        }
        let at = self.running.rows.iter().position(|&a| a == attempt)?;
        let r = &mut self.running;
        r.rows.remove(at);
        if r.rows.is_empty() {
            // Nobody wants the rest: the batch ends with the step in flight, or at once.
            r.decodes = r.scheduled.saturating_sub(1);
            if r.updated == r.scheduled {
                (r.width, r.blocks) = (0, 0);
            }
        }
        Some(0)
    }

    fn schedule(&mut self, now: SimTime, batch: &mut Batch) {
        batch.clear();
        if !self.busy() {
            self.launch(now);
            batch.admitted.extend(self.running.rows.iter().map(|&a| (a, 0)));
        }
        let r = &mut self.running;
        if r.width == 0 || r.scheduled > r.decodes {
            return;
        }
        if r.scheduled == 0 {
            (0..r.width).for_each(|_| batch.price(0, r.prompt, false));
        } else {
            batch.decode_rows = r.width;
            batch.decode_ctx_sum = u64::from(r.width) * u64::from(r.prompt + r.scheduled - 1);
        }
        r.scheduled += 1;
    }

    fn update(&mut self, _batch: &Batch, result: &mut StepResult) {
        result.clear();
        let r = &mut self.running;
        r.updated += 1;
        if r.updated <= r.decodes {
            return;
        }
        for attempt in r.rows.drain(..) {
            result.first_tokens.push(attempt);
            result.finished.push(Finished { attempt, cached_tokens: 0, preemptions: 0 });
        }
        (r.width, r.blocks) = (0, 0);
    }

    fn load(&self) -> Load {
        Load {
            waiting: self.waiting.len() as u32,
            running: self.running.width,
            kv_used_blocks: self.running.blocks,
            kv_total_blocks: self.usable(),
        }
    }

    fn unfinished(&self) -> usize {
        self.waiting.len() + self.running.rows.len()
    }

    fn kill_all(&mut self, lost: &mut Vec<(AttemptId, u32)>) {
        let from = lost.len();
        lost.extend(self.waiting.drain(..).map(|w| (w.attempt, 0)));
        lost.extend(self.running.rows.drain(..).map(|a| (a, 0)));
        lost[from..].sort_unstable();
        self.running = Running::default();
    }

    fn deadline(&self) -> SimTime {
        if self.busy() { SimTime::NEVER } else { self.oldest_expires() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testkit::job;

    fn config() -> StaticConfig {
        StaticConfig {
            max_batch: 3,
            timeout: SimTime::from_millis(50),
            max_model_len: 4096,
            block_size: 16,
            num_blocks: 100,
        }
    }

    #[test]
    fn a_batch_is_padded_and_returned_whole() {
        let mut s = StaticScheduler::new(config());
        for (id, prompt, output) in [(0, 10, 5), (1, 50, 20), (2, 100, 100)] {
            s.enqueue(job(id, prompt, output), SimTime::ZERO).unwrap();
        }
        let (mut batch, mut result) = (Batch::default(), StepResult::default());
        s.schedule(SimTime::ZERO, &mut batch);
        assert_eq!(batch.prefill.iter().map(|c| c.tokens).sum::<u32>(), 300);
        s.update(&batch, &mut result);
        let mut decode_rows = 0;
        for step in 0..100 {
            assert!(result.finished.is_empty(), "nobody is done before step {step}");
            s.schedule(SimTime::ZERO, &mut batch);
            assert_eq!(batch.decode_ctx_sum, 3 * (100 + step));
            decode_rows += batch.decode_rows;
            s.update(&batch, &mut result);
        }
        assert_eq!(decode_rows, 300);
        assert_eq!(result.finished.len(), 3);
        assert_eq!((s.unfinished(), s.load().kv_used_blocks), (0, 0));
    }

    #[test]
    fn a_batch_closes_at_the_timeout_of_the_oldest_or_when_memory_is_full() {
        let mut s = StaticScheduler::new(config());
        let mut batch = Batch::default();
        s.enqueue(job(0, 10, 5), SimTime::from_millis(1)).unwrap();
        s.schedule(SimTime::from_millis(1), &mut batch);
        assert!(batch.is_empty());
        assert_eq!(s.deadline(), SimTime::from_millis(51));
        s.schedule(SimTime::from_millis(51), &mut batch);
        assert_eq!(batch.prefill.len(), 1);

        let mut s = StaticScheduler::new(config());
        s.enqueue(job(0, 600, 200), SimTime::ZERO).unwrap();
        s.enqueue(job(1, 600, 300), SimTime::ZERO).unwrap();
        assert_eq!(s.enqueue(job(2, 1600, 1), SimTime::ZERO), Err(FailureCause::TooLong));
        s.schedule(SimTime::ZERO, &mut batch);
        assert_eq!(batch.admitted, [(AttemptId(0), 0)], "two rows of 57 blocks do not fit 99");
    }

    #[test]
    fn the_null_block_holds_no_tokens() {
        // Rows of 33 blocks.
        for (num_blocks, rows) in [(67, 2), (66, 1)] {
            let mut s = StaticScheduler::new(StaticConfig { max_batch: 2, num_blocks, ..config() });
            let mut batch = Batch::default();
            (0..2).for_each(|id| s.enqueue(job(id, 500, 28), SimTime::ZERO).unwrap());
            s.schedule(SimTime::ZERO, &mut batch);
            assert_eq!((batch.admitted.len(), s.load().kv_total_blocks), (rows, num_blocks - 1));
        }
        let mut s = StaticScheduler::new(StaticConfig { num_blocks: 33, ..config() });
        assert_eq!(s.enqueue(job(0, 500, 28), SimTime::ZERO), Err(FailureCause::TooLong));
        assert_eq!(s.enqueue(job(1, 500, 12), SimTime::ZERO), Ok(()));
    }

    #[test]
    fn a_batch_that_nobody_wants_any_more_ends_with_its_step() {
        let mut s = StaticScheduler::new(StaticConfig { max_batch: 1, ..config() });
        let (mut batch, mut result) = (Batch::default(), StepResult::default());
        s.enqueue(job(0, 10, 5), SimTime::ZERO).unwrap();
        s.schedule(SimTime::ZERO, &mut batch);
        assert_eq!(s.abort(AttemptId(0)), Some(0));
        s.enqueue(job(1, 20, 5), SimTime::ZERO).unwrap();
        assert_eq!(s.load().running, 1, "the step in flight computes on");
        s.update(&batch, &mut result);
        assert!(result.finished.is_empty());
        s.schedule(SimTime::ZERO, &mut batch);
        assert_eq!(batch.admitted, [(AttemptId(1), 0)]);
    }
}
