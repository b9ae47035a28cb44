//! The seam between a scheduler (a state machine without a clock) and the replica that owns the clock.
use super::batch::{Batch, StepResult};
use crate::types::{AttemptId, FailureCause, Femtos, Job, Load, Run, SimTime};

/// A run of equal decode steps that an engine may take in one event. A cycle is the update of the oldest batch in
/// flight and the schedule of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stride {
    /// Cycles that change nothing but add a token to every row: no finish, no first token, no row that comes or goes.
    pub cycles: u32,
    /// Rows in each batch.
    pub rows: u32,
}

/// Decides what each step computes. Times are stamps handed in; only static batching's timeout compares them.
pub trait Scheduler {
    /// Takes a job into the waiting queue.
    ///
    /// # Errors
    /// `TooLong` if it can never run here, `QueueFull` if the queue has its limit.
    fn enqueue(&mut self, job: Job, now: SimTime) -> Result<(), FailureCause>;
    /// Drops a job; says how many tokens it had emitted, `None` if it is not here.
    fn abort(&mut self, attempt: AttemptId) -> Option<u32>;
    /// Fills `batch` with the next step; an empty one if nothing can run.
    fn schedule(&mut self, now: SimTime, batch: &mut Batch);
    /// Applies a batch that ended at `batch.ends_at`. Batches return in the order of their schedules.
    fn update(&mut self, batch: &Batch, result: &mut StepResult);
    /// What a gateway may see.
    fn load(&self) -> Load;
    /// Tokens of a prompt whose blocks are in the prefix cache, from its start. A pure read.
    fn cached_tokens(&self, _prompt: &[Run]) -> u64 {
        0
    }
    /// Tokens of `prompt` that were cached at the earlier instant `at`, which is at most as long ago as KV events are
    /// kept: what an index knows that is fed by those events.
    fn cached_tokens_at(&self, _prompt: &[Run], _at: SimTime) -> u64 {
        0
    }
    /// From now on keeps its KV events for so long.
    fn keep_kv_events(&mut self, _keep: SimTime) {}
    /// What follows happens at `now`; for KV events.
    fn stamp(&mut self, _now: SimTime) {}
    /// Batches that may be under way at once; from 1.
    fn concurrent_batches(&self) -> usize {
        1
    }
    /// Jobs that have not ended.
    fn unfinished(&self) -> usize;
    /// Drops everything, batches in flight included: pushes each job with the tokens it had emitted, ordered by attempt.
    fn kill_all(&mut self, lost: &mut Vec<(AttemptId, u32)>);
    /// When an idle scheduler wants to be asked again; `NEVER` if only a job can change its mind.
    fn deadline(&self) -> SimTime {
        SimTime::NEVER
    }
    /// The decode run that could be taken at once right after a schedule, if as many batches are in flight as may be and
    /// each of them holds only the stride's rows; none is always right, only slower.
    fn stride(&self) -> Option<Stride> {
        None
    }
    /// Blocks that the first `cycles` cycles of the stride on offer take.
    fn blocks_after(&self, _cycles: u32) -> u32 {
        0
    }
    /// Takes the first `cycles` cycles of the stride on offer at once; the last of their updates is at `last_update`.
    /// Whoever owns the batches in flight moves them by [`Batch::advance`].
    fn apply(&mut self, _cycles: u32, _last_update: Femtos) {
        unreachable!("stride-on-offer: a scheduler that offers no stride is asked to take one")
    }
}
