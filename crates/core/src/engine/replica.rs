//! A replica: one scheduler, its clock in femtoseconds, and the batches in flight.
//!
//! The world calls `advance` for ends of steps and `schedule` once all arrivals of that instant are in, because
//! the order of one instant is step ends, arrivals, schedules. Instants are published in ns, rounded down.
//! Must keep true: with and without strides every effect, gap and observation is the same to the nanosecond.
use super::batch::StepResult;
use super::flight::Flight;
use super::scheduler::Scheduler;
use super::stride::Ahead;
use crate::types::{
    AttemptId, Backend, Cancelled, Effect, FailureCause, Femtos, GapRun, Job, Load, Outbox, Run, SimTime, StepTime,
    Stop, Usd,
};
use std::fmt;
use std::sync::Arc;

/// How engines are simulated. It never changes what they do, only how fast that is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineMode {
    /// Take runs of equal decode steps at once.
    pub strides: bool,
    /// Keep every KV block one by one, as vLLM does; without strides.
    pub reference_pool: bool,
}

impl Default for EngineMode {
    fn default() -> EngineMode {
        EngineMode { strides: true, reference_pool: false }
    }
}

/// What a replica counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplicaCounts {
    /// Steps started.
    pub steps: u64,
    /// Strides taken.
    pub strides: u64,
    /// Batches that were not one of a stride: what simulating the engine costs.
    pub batch_changes: u64,
    /// Time in which a step ran or is due to run.
    pub busy: Femtos,
}

/// See the module head.
pub struct Replica {
    engine: Box<dyn Scheduler>,
    step_time: Arc<dyn StepTime>,
    /// End of the last step that ended.
    clock: Femtos,
    /// Batches in flight.
    flight: Flight,
    /// The stride under way: what `flight` goes on to, as long as nobody intervenes.
    ahead: Option<Ahead>,
    result: StepResult,
    lost: Vec<(AttemptId, u32)>,
    wants_schedule: bool,
    /// Whether the replica is stopped: it takes no jobs.
    stopped: bool,
    keeps_events: bool,
    counts: ReplicaCounts,
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica").field("clock", &self.clock).field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Replica {
    /// An idle replica.
    pub fn new(engine: Box<dyn Scheduler>, step_time: Arc<dyn StepTime>) -> Replica {
        Replica {
            flight: Flight::new(engine.concurrent_batches()),
            engine,
            step_time,
            clock: Femtos(0),
            ahead: None,
            result: StepResult::default(),
            lost: Vec::new(),
            wants_schedule: false,
            stopped: false,
            keeps_events: false,
            counts: ReplicaCounts::default(),
        }
    }

    fn end_steps(&mut self, now: SimTime, out: &mut Outbox) {
        while let Some(batch) = self.flight.front() {
            let at = batch.ends_at.to_time();
            if at > now {
                break;
            }
            self.clock = batch.ends_at;
            if self.keeps_events {
                self.engine.stamp(at);
            }
            self.engine.update(batch, &mut self.result);
            self.flight.land();
            self.publish(at, out);
            self.wants_schedule = true;
        }
    }

    /// Says what the step that ended at the replica's clock has made; published, that is `at`.
    fn publish(&self, at: SimTime, out: &mut Outbox) {
        let (r, end) = (&self.result, self.clock);
        out.effects.extend(r.first_tokens.iter().map(|&attempt| Effect::FirstToken { attempt, at }));
        for f in &r.finished {
            let (cached_tokens, preemptions) = (f.cached_tokens, f.preemptions);
            out.effects.push(Effect::Done { attempt: f.attempt, at, cached_tokens, preemptions, cost: Usd::ZERO });
        }
        for gap in &r.gaps {
            out.gaps.push(GapRun { first_fs: (end - gap.since).0, more_fs: 0, steps: 1, tokens: gap.tokens });
        }
    }

    /// Ends the stride under way where `now` cuts it, so that somebody may intervene: what an eager replica had done by
    /// now is done, a step that ends at this very instant included. No stride hides an effect.
    fn catch_up(&mut self, now: SimTime, out: &mut Outbox) {
        if let Some(ahead) = self.ahead.take() {
            self.take(&ahead, ahead.cycles_before(now), out);
            self.end_steps(now, out);
        }
    }

    /// Takes the first `cycles` cycles of a stride.
    fn take(&mut self, ahead: &Ahead, cycles: u32, out: &mut Outbox) {
        if cycles == 0 {
            return;
        }
        let before = ahead.end_of(0);
        ahead.gaps(self.clock, cycles, &mut out.gaps);
        self.clock = ahead.update_of(cycles);
        self.engine.apply(cycles, self.clock);
        let newest = self.flight.len() - 1;
        self.flight.for_each_mut(|i, batch| {
            batch.advance(cycles);
            batch.ends_at = ahead.end_of(i64::from(cycles) - (newest - i) as i64);
        });
        self.counts.steps += u64::from(cycles);
        self.counts.strides += 1;
        self.counts.busy = self.counts.busy + (ahead.end_of(cycles.into()) - before);
    }

    /// Whether `schedule` is due at this instant, after its arrivals.
    pub fn needs_schedule(&self) -> bool {
        self.wants_schedule
    }

    /// Fills the pipeline: starts steps until it is full or nothing can run.
    pub fn schedule(&mut self, now: SimTime) {
        self.wants_schedule = false;
        self.stamp(now);
        while !self.flight.is_full() && (!self.flight.is_empty() || self.engine.unfinished() > 0) {
            let starts = match self.flight.back() {
                Some(last) => last.ends_at,
                None => self.clock.max(Femtos::from_time(now)),
            };
            let batch = self.flight.next_mut();
            self.engine.schedule(now, batch);
            if batch.is_empty() {
                if !batch.preempted.is_empty() && self.flight.is_empty() {
                    continue; // it preempted without computing: the next call admits
                }
                break;
            }
            let lasts = self.step_time.batch(&batch.shape());
            batch.ends_at = starts + lasts;
            self.flight.launch();
            self.counts.steps += 1;
            self.counts.batch_changes += 1;
            self.counts.busy = self.counts.busy + lasts;
        }
        self.look_ahead();
    }

    /// Plans a stride, if what is in flight will repeat itself.
    fn look_ahead(&mut self) {
        let Some(batches) = self.flight.full() else { return };
        if !batches.iter().all(|b| b.rows.is_empty() && b.prefill.is_empty()) {
            return;
        }
        let Some(stride) = self.engine.stride() else { return };
        if batches.iter().any(|b| b.decode_rows != stride.rows) {
            return;
        }
        let newest = self.flight.back().expect("flight-full: as deep as the pipeline");
        let law = self.step_time.decode(stride.rows, newest.decode_ctx_sum + u64::from(stride.rows));
        self.ahead = Ahead::new(&self.flight, stride, law);
    }

    /// Tokens of a prompt that are in the prefix cache, from its start: what an index fed by KV events without delay knows.
    /// A pure read; exact after [`Replica::settle`] at this instant.
    pub fn cached_tokens(&self, prompt: &[Run]) -> u64 {
        self.engine.cached_tokens(prompt)
    }

    /// What an index fed by KV events that were published up to `at` knows. A pure read; only for a replica that keeps them
    /// for long enough.
    pub fn cached_tokens_at(&self, prompt: &[Run], at: SimTime) -> u64 {
        self.engine.cached_tokens_at(prompt, at)
    }

    /// From now on keeps KV events of the last `keep`.
    pub fn keep_kv_events(&mut self, keep: SimTime) {
        self.keeps_events = true;
        self.engine.keep_kv_events(keep);
    }

    fn stamp(&mut self, now: SimTime) {
        if self.keeps_events {
            self.engine.stamp(now);
        }
    }

    /// Brings the engine's books to `now`, for somebody who looks at more than `observe` shows. What follows is what would
    /// have followed.
    pub fn settle(&mut self, now: SimTime, out: &mut Outbox) {
        self.catch_up(now, out);
    }

    /// Dies: every job fails, whatever is in flight is lost.
    fn kill(&mut self, now: SimTime, out: &mut Outbox) {
        if let Some(ahead) = self.ahead.take() {
            self.take(&ahead, ahead.cycles_before(now), out);
        }
        self.engine.kill_all(&mut self.lost);
        for (attempt, emitted) in self.lost.drain(..) {
            out.effects.push(Effect::Failed { attempt, at: now, cause: FailureCause::ReplicaLost, emitted });
        }
        if let Some(last) = self.flight.back() {
            let unspent = last.ends_at.0.saturating_sub(Femtos::from_time(now).0);
            self.counts.busy = Femtos(self.counts.busy.0.saturating_sub(unspent));
        }
        self.flight.clear();
        self.wants_schedule = false;
    }

    /// Jobs that have not ended.
    pub fn unfinished(&self) -> usize {
        self.engine.unfinished()
    }
    /// Counts of what the replica has done.
    pub fn counts(&self) -> ReplicaCounts {
        self.counts
    }
    /// The scheduler, to look at.
    pub fn engine(&self) -> &dyn Scheduler {
        self.engine.as_ref()
    }
}

impl Backend for Replica {
    /// A job that can never run, or finds the queue full, fails at once.
    fn submit(&mut self, job: Job, now: SimTime, out: &mut Outbox) {
        assert!(!self.stopped, "started: a replica that is stopped takes no jobs");
        self.catch_up(now, out);
        let attempt = job.attempt;
        match self.engine.enqueue(job, now) {
            Ok(()) => self.wants_schedule |= self.flight.is_empty(),
            Err(cause) => out.effects.push(Effect::Failed { attempt, at: now, cause, emitted: 0 }),
        }
    }

    fn cancel(&mut self, attempt: AttemptId, now: SimTime, out: &mut Outbox) -> Option<Cancelled> {
        self.catch_up(now, out);
        self.stamp(now);
        let output_tokens = self.engine.abort(attempt)?;
        self.wants_schedule |= self.flight.is_empty() && self.engine.unfinished() > 0;
        Some(Cancelled { output_tokens, ..Cancelled::default() })
    }

    fn next_event(&self) -> SimTime {
        if let Some(ahead) = &self.ahead {
            return ahead.ends().to_time();
        }
        match self.flight.front() {
            Some(first) => first.ends_at.to_time(),
            None if self.wants_schedule => SimTime::NEVER,
            None => self.engine.deadline(),
        }
    }

    /// Ends the steps that are due at `now`, and notes a scheduler's deadline.
    fn advance(&mut self, now: SimTime, out: &mut Outbox) {
        if let Some(ahead) = self.ahead.filter(|a| a.ends().to_time() <= now) {
            self.ahead = None;
            self.take(&ahead, ahead.cycles(), out);
        }
        if self.ahead.is_some() {
            return;
        }
        if self.flight.is_empty() {
            self.wants_schedule |= self.engine.deadline() <= now;
            return;
        }
        self.end_steps(now, out);
    }

    /// Just before the schedules of instant `before`.
    fn observe(&self, before: SimTime) -> Load {
        let mut load = self.engine.load();
        if let Some(ahead) = &self.ahead {
            load.kv_used_blocks += self.engine.blocks_after(ahead.cycles_before(before));
        }
        load
    }

    fn start(&mut self, now: SimTime) {
        assert!(self.flight.is_empty() && self.engine.unfinished() == 0, "started: it was stopped by then");
        self.clock = self.clock.max(Femtos::from_time(now));
        self.stopped = false;
    }

    fn stop(&mut self, now: SimTime, how: Stop, out: &mut Outbox) {
        self.stopped = true;
        if how == Stop::Kill {
            self.kill(now, out);
        }
    }
}
