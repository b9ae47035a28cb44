//! A replica: one scheduler, its clock in femtoseconds, and the batches in flight.
//!
//! The world calls `advance` for ends of steps and `schedule` once all arrivals of that instant are in, because
//! the order of one instant is step ends, arrivals, schedules. Instants are published in ns, rounded down.
use super::batch::{Batch, StepResult};
use super::scheduler::Scheduler;
use super::static_batch::StaticScheduler;
use super::vllm::VllmScheduler;
use crate::types::{AttemptId, Effect, FailureCause, Femtos, Job, Load, SimTime, StepTime};
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// The longest gap between tokens that is told apart: an hour.
const LONGEST_GAP_NS: u64 = 3_600_000_000_000;

/// The schedulers there are.
#[derive(Debug)]
pub enum Engine {
    /// Continuous batching.
    Vllm(Box<VllmScheduler>),
    /// Static batching.
    Static(StaticScheduler),
}

impl Engine {
    fn get(&self) -> &dyn Scheduler {
        match self {
            Engine::Vllm(s) => s.as_ref(),
            Engine::Static(s) => s,
        }
    }
    fn get_mut(&mut self) -> &mut dyn Scheduler {
        match self {
            Engine::Vllm(s) => s.as_mut(),
            Engine::Static(s) => s,
        }
    }
    /// Batches that may be in flight.
    fn depth(&self) -> usize {
        match self {
            Engine::Vllm(s) if s.config().async_scheduling => 2,
            _ => 1,
        }
    }
}

struct Flight {
    batch: Batch,
    ends: Femtos,
}

/// See the module head.
pub struct Replica {
    engine: Engine,
    step_time: Arc<dyn StepTime>,
    depth: usize,
    /// End of the last step that ended.
    clock: Femtos,
    flight: VecDeque<Flight>,
    spare: Vec<Batch>,
    result: StepResult,
    lost: Vec<(AttemptId, u32)>,
    wants_schedule: bool,
    steps: u64,
    busy: Femtos,
    gaps: Histogram<u64>,
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (load, steps) = (self.observe(), self.steps);
        f.debug_struct("Replica").field("load", &load).field("steps", &steps).finish_non_exhaustive()
    }
}

impl Replica {
    /// An idle replica.
    pub fn new(engine: Engine, step_time: Arc<dyn StepTime>) -> Replica {
        let depth = engine.depth();
        Replica {
            engine,
            step_time,
            depth,
            clock: Femtos(0),
            flight: VecDeque::with_capacity(depth),
            spare: Vec::with_capacity(depth + 1),
            result: StepResult::default(),
            lost: Vec::new(),
            wants_schedule: false,
            steps: 0,
            busy: Femtos(0),
            gaps: Histogram::new_with_bounds(1, LONGEST_GAP_NS, 3).expect("gap-bounds: constant and valid"),
        }
    }

    /// Takes a job; a job that can never run, or finds the queue full, fails at once.
    pub fn submit(&mut self, job: Job, now: SimTime, out: &mut Vec<Effect>) {
        let attempt = job.attempt;
        match self.engine.get_mut().enqueue(job, now) {
            Ok(()) => self.wants_schedule |= self.flight.is_empty(),
            Err(cause) => out.push(Effect::Failed { attempt, at: now, cause, emitted: 0 }),
        }
    }

    /// Drops a job; says how many tokens had left, `None` if it is not here (any more). A token in flight is discarded.
    pub fn cancel(&mut self, attempt: AttemptId, _now: SimTime) -> Option<u32> {
        let emitted = self.engine.get_mut().abort(attempt)?;
        self.wants_schedule |= self.flight.is_empty() && self.engine.get().unfinished() > 0;
        Some(emitted)
    }

    /// When `advance` has something to do; `NEVER` while idle.
    pub fn next_event(&self) -> SimTime {
        match self.flight.front() {
            Some(first) => first.ends.to_time(),
            None if self.wants_schedule => SimTime::NEVER,
            None => self.engine.get().deadline(),
        }
    }

    /// Ends the steps that are due at `now`, and notes a scheduler's deadline.
    pub fn advance(&mut self, now: SimTime, out: &mut Vec<Effect>) {
        if self.flight.is_empty() {
            self.wants_schedule |= self.engine.get().deadline() <= now;
            return;
        }
        while let Some(first) = self.flight.front() {
            if first.ends.to_time() > now {
                break;
            }
            let Flight { batch, ends } = self.flight.pop_front().expect("flight-fifo: it has a front");
            self.clock = ends;
            self.engine.get_mut().update(&batch, &mut self.result);
            self.publish(ends.to_time(), out);
            self.spare.push(batch);
            self.wants_schedule = true;
        }
    }

    fn publish(&mut self, at: SimTime, out: &mut Vec<Effect>) {
        let r = &self.result;
        out.extend(r.first_tokens.iter().map(|&attempt| Effect::FirstToken { attempt, at }));
        for f in &r.finished {
            let (cached_tokens, preemptions) = (f.cached_tokens, f.preemptions);
            out.push(Effect::Done { attempt: f.attempt, at, cached_tokens, preemptions });
        }
        for gap in &r.gaps {
            self.gaps.saturating_record_n(at.since(gap.since).0, u64::from(gap.tokens));
        }
    }

    /// Whether `schedule` is due at this instant, after its arrivals.
    pub fn needs_schedule(&self) -> bool {
        self.wants_schedule
    }

    /// Fills the pipeline: starts steps until it is full or nothing can run.
    pub fn schedule(&mut self, now: SimTime) {
        self.wants_schedule = false;
        while self.flight.len() < self.depth && self.engine.get().unfinished() + self.flight.len() > 0 {
            let mut batch = self.spare.pop().unwrap_or_default();
            self.engine.get_mut().schedule(now, &mut batch);
            if batch.is_empty() {
                let again = self.flight.is_empty() && !batch.preempted.is_empty();
                self.spare.push(batch);
                if again {
                    continue; // it preempted without computing: the next call admits
                }
                break;
            }
            let lasts = self.step_time.batch(&batch.shape());
            let starts = match self.flight.back() {
                Some(last) => last.ends,
                None => self.clock.max(Femtos::from_time(now)),
            };
            let ends = starts + lasts;
            batch.ends_at = ends.to_time();
            self.steps += 1;
            self.busy = self.busy + lasts;
            self.flight.push_back(Flight { batch, ends });
        }
    }

    /// What a gateway may see.
    pub fn observe(&self) -> Load {
        self.engine.get().load()
    }

    /// Dies: every job fails, whatever is in flight is lost.
    pub fn kill(&mut self, now: SimTime, out: &mut Vec<Effect>) {
        self.engine.get_mut().kill_all(&mut self.lost);
        for (attempt, emitted) in self.lost.drain(..) {
            out.push(Effect::Failed { attempt, at: now, cause: FailureCause::ReplicaLost, emitted });
        }
        if let Some(last) = self.flight.back() {
            let unspent = last.ends.0.saturating_sub(Femtos::from_time(now).0);
            self.busy = Femtos(self.busy.0.saturating_sub(unspent));
        }
        self.spare.extend(self.flight.drain(..).map(|f| f.batch));
        self.wants_schedule = false;
    }

    /// Jobs that have not ended.
    pub fn unfinished(&self) -> usize {
        self.engine.get().unfinished()
    }
    /// Steps started.
    pub fn steps(&self) -> u64 {
        self.steps
    }
    /// Time in which a step ran or is due to run.
    pub fn busy(&self) -> Femtos {
        self.busy
    }
    /// Gaps between successive tokens of a request, in ns.
    pub fn gaps(&self) -> &Histogram<u64> {
        &self.gaps
    }
    /// The scheduler, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}
