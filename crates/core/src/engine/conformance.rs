//! Replays a recorded schedule of the real vLLM by call index and names the first difference.
//!
//! Reads no files: who calls it hands over a case. The form of a case: `conformance/case.rs`, and `tests/golden` with its
//! README; what a case may use that is not built: `conformance/need.rs`.
mod case;
mod need;
#[cfg(test)]
mod tests;

pub use case::{Case, CaseConfig, CaseRequest, CaseStep, GroupKind, KvGroup, Label, When};
pub use need::Feature;

use super::batch::{Batch, StepResult};
use super::scheduler::Scheduler;
use super::vllm::VllmScheduler;
use crate::kv::{BlockPool, KvPool, SpanPool};
use crate::types::{AttemptId, Content, ContentId, Femtos, Job, Run, SimTime};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

/// The first difference between a case and its replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The case.
    pub case: String,
    /// The call.
    pub step: u64,
    /// The field that differs.
    pub field: &'static str,
    /// The field's value in the recording.
    pub expected: String,
    /// The field's value in the replay.
    pub got: String,
}

impl Case {
    /// Replays the case: through the scheduler that simulations use, and once more with strides under the horizon "calls
    /// until the next arrival or abort", each stride expanded call by call before comparing.
    ///
    /// # Errors
    /// The first field that differs from the recording.
    pub fn replay(&self, strides: bool) -> Result<(), Box<Mismatch>> {
        let scheduler = VllmScheduler::<SpanPool>::on_pool(self.vllm_config(), strides);
        Replay::new(self, scheduler, !strides).run()
    }

    /// Replays the case on the reference pool.
    ///
    /// # Errors
    /// As [`Case::replay`].
    pub fn replay_on_reference(&self) -> Result<(), Box<Mismatch>> {
        let scheduler = VllmScheduler::<BlockPool>::on_pool(self.vllm_config(), false);
        Replay::new(self, scheduler, true).run()
    }

    /// The job of request `index`, and the content of what it generates.
    fn job(&self, index: usize) -> (Job, Box<[Run]>) {
        let r = &self.requests[index];
        let size = self.config.block_size;
        let total = r.prompt_len + r.output_len;
        let mut all: Vec<Run> = Vec::with_capacity(r.block_ids.len() + 1);
        all.extend(r.block_ids.iter().map(|&id| Run { id: ContentId::Named(id), start: 0, len: size }));
        let named = r.block_ids.len() as u32 * size;
        all.push(Run { id: ContentId::Private(index as u64), start: 0, len: total.saturating_sub(named) });
        let (mut prompt, mut output, mut at) = (Vec::new(), Vec::new(), 0);
        for run in all {
            let first = run.len.min(r.prompt_len.saturating_sub(at));
            prompt.push(Run { len: first, ..run });
            output.push(Run { start: run.start + first, len: run.len - first, ..run });
            at += run.len;
        }
        prompt.retain(|run| run.len > 0);
        output.retain(|run| run.len > 0);
        let job = Job {
            attempt: AttemptId(index as u64),
            request: index as u64,
            try_number: 0,
            prompt_tokens: r.prompt_len,
            output_tokens: r.output_len,
            max_output_tokens: r.output_len,
            priority: r.priority,
            content: Content::from(prompt),
        };
        (job, output.into_boxed_slice())
    }

    fn name(&self, attempt: AttemptId) -> String {
        self.requests[attempt.0 as usize].id.clone()
    }

    fn differs(&self, step: u64, field: &'static str, expected: &dyn Debug, got: &dyn Debug) -> Box<Mismatch> {
        let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
        Box::new(Mismatch { case: self.case.clone(), step, field, expected, got })
    }

    fn compare(&self, want: &CaseStep, got: &CaseStep) -> Result<(), Box<Mismatch>> {
        macro_rules! same {
            ($($field:ident),*) => {$(
                if want.$field != got.$field {
                    return Err(self.differs(want.step, stringify!($field), &want.$field, &got.$field));
                }
            )*};
        }
        same!(step, scheduled, admitted_with_cached, preempted, aborted, finished, free_blocks, running, waiting);
        match (&want.held, &got.held) {
            (Some(recorded), Some(held)) if recorded != held => Err(self.differs(want.step, "held", recorded, held)),
            _ => Ok(()),
        }
    }
}

/// A case under way: the loop around vLLM's scheduler, whose clock is the index of the call.
struct Replay<'a, P: KvPool> {
    case: &'a Case,
    scheduler: VllmScheduler<P>,
    /// Whether each request's blocks are with it after every call; those of steady rows are not.
    holds: bool,
    depth: usize,
    call: u64,
    /// Requests that are still to come, by the call before which they do; the next one is the last.
    arrivals: Vec<usize>,
    /// Clients that are still to leave, by call and place; the next one is the last.
    aborts: Vec<((u64, When), usize)>,
    flight: VecDeque<Batch>,
    spare: Vec<Batch>,
    result: StepResult,
    recorded: std::slice::Iter<'a, CaseStep>,
}

impl<'a, P: KvPool> Replay<'a, P> {
    fn new(case: &'a Case, scheduler: VllmScheduler<P>, holds: bool) -> Replay<'a, P> {
        let requests = &case.requests;
        let mut arrivals: Vec<usize> = (0..requests.len()).collect();
        arrivals.sort_by_key(|&i| std::cmp::Reverse((requests[i].arrival_step, &requests[i].id)));
        let leaves = |i: usize| requests[i].abort.map(|at| (at, i));
        let mut aborts: Vec<((u64, When), usize)> = (0..requests.len()).filter_map(leaves).collect();
        aborts.sort_by_key(|&(at, i)| std::cmp::Reverse((at, &requests[i].id)));
        Replay {
            case,
            scheduler,
            holds,
            depth: if case.config.async_scheduling { 2 } else { 1 },
            call: 0,
            arrivals,
            aborts,
            flight: VecDeque::new(),
            spare: Vec::new(),
            result: StepResult::default(),
            recorded: case.steps.iter(),
        }
    }

    fn run(mut self) -> Result<(), Box<Mismatch>> {
        loop {
            if self.scheduler.unfinished() == 0 && self.flight.is_empty() {
                match self.arrivals.last() {
                    Some(&next) => self.call = self.call.max(self.case.requests[next].arrival_step),
                    None => break,
                }
            }
            self.one_call()?;
            self.call += 1;
        }
        match self.recorded.next() {
            Some(want) => Err(self.case.differs(want.step, "step", want, &"the end")),
            None => Ok(()),
        }
    }

    /// One call, or a stride of them.
    fn one_call(&mut self) -> Result<(), Box<Mismatch>> {
        self.arrive()?;
        let before = self.leave(When::Schedule);
        let mut batch: Batch = self.spare.pop().unwrap_or_default();
        self.scheduler.schedule(SimTime(self.call), &mut batch);
        let rows: Vec<(AttemptId, u32)> = self.scheduler.scheduled(&batch).collect();
        let mut got = self.describe(&batch, &rows);
        got.aborted = [before, self.leave(When::Update)];
        let empty = batch.is_empty();
        if empty {
            self.spare.push(batch);
        } else {
            self.flight.push_back(batch);
        }
        if got.aborted[1].is_empty() {
            self.stride(&mut got)?;
        }
        if (self.flight.len() == self.depth || empty)
            && let Some(oldest) = self.flight.pop_front()
        {
            self.scheduler.update(&oldest, &mut self.result);
            got.finished = self.result.finished.iter().map(|f| self.case.name(f.attempt)).collect();
            got.finished.sort_unstable();
            self.spare.push(oldest);
        }
        got.held = self.holds.then(|| self.held_by(&rows));
        self.look(0, &mut got);
        self.check(&got)
    }

    fn arrive(&mut self) -> Result<(), Box<Mismatch>> {
        while let Some(next) = self.arrivals.pop_if(|i| self.case.requests[*i].arrival_step <= self.call) {
            let (job, output) = self.case.job(next);
            self.scheduler
                .enqueue_with_output(job, Some(output))
                .map_err(|cause| self.case.differs(self.call, "enqueue", &"accepted", &cause))?;
        }
        Ok(())
    }

    /// Aborts those whose clients leave here, and says who was still there.
    fn leave(&mut self, when: When) -> Vec<String> {
        let now = (self.call, when);
        let mut left = Vec::new();
        while let Some((at, index)) = self.aborts.pop_if(|(at, _)| *at <= now) {
            let attempt = AttemptId(index as u64);
            // In a call that an idle engine passed over, nobody was there.
            if at == now && self.scheduler.abort(attempt).is_some() {
                left.push(self.case.name(attempt));
            }
        }
        left
    }

    /// Takes the stride on offer after a schedule, up to the next arrival or abort. The record of a call holds its schedule
    /// and the update after it, and a cycle is that update and the next schedule.
    fn stride(&mut self, got: &mut CaseStep) -> Result<(), Box<Mismatch>> {
        if self.flight.len() < self.depth || !self.flight.iter().all(|b| b.rows.is_empty()) {
            return Ok(());
        }
        let Some(stride) = self.scheduler.stride() else { return Ok(()) };
        if self.flight.iter().any(|b| b.decode_rows != stride.rows) {
            return Ok(());
        }
        let arrival = self.arrivals.last().map_or(u64::MAX, |&i| self.case.requests[i].arrival_step - self.call - 1);
        let abort = self.aborts.last().map_or(u64::MAX, |&((call, when), _)| match when {
            When::Schedule => call - self.call - 1,
            When::Update => call - self.call,
        });
        let cycles = u64::from(stride.cycles).min(arrival).min(abort) as u32;
        for cycle in 0..cycles {
            self.look(cycle, got);
            self.check(got)?;
            got.step += 1;
            got.aborted = Default::default();
        }
        if cycles > 0 {
            self.scheduler.apply(cycles, Femtos(0));
            self.flight.iter_mut().for_each(|batch| batch.advance(cycles));
            self.call += u64::from(cycles);
            got.aborted[1] = self.leave(When::Update);
        }
        Ok(())
    }

    fn describe(&self, batch: &Batch, rows: &[(AttemptId, u32)]) -> CaseStep {
        let name = |attempt: AttemptId| self.case.name(attempt);
        let mut preempted: Vec<String> = batch.preempted.iter().map(|&attempt| name(attempt)).collect();
        preempted.sort_unstable();
        CaseStep {
            step: self.call,
            scheduled: rows.iter().map(|&(attempt, tokens)| (name(attempt), tokens)).collect(),
            admitted_with_cached: batch.admitted.iter().map(|&(attempt, hit)| (name(attempt), hit)).collect(),
            preempted,
            ..CaseStep::default()
        }
    }

    /// Notes what stands after an update, `cycles` cycles from now.
    fn look(&self, cycles: u32, got: &mut CaseStep) {
        let load = self.scheduler.load();
        got.free_blocks = load.kv_total_blocks - load.kv_used_blocks - self.scheduler.blocks_after(cycles);
        (got.running, got.waiting) = (load.running, load.waiting);
    }

    /// Blocks of those of a batch's requests that are still there.
    fn held_by(&self, rows: &[(AttemptId, u32)]) -> BTreeMap<String, [u32; 1]> {
        let held = |&(attempt, _): &(AttemptId, u32)| {
            self.scheduler.table_of(attempt).map(|table| (self.case.name(attempt), [P::held(table)]))
        };
        rows.iter().filter_map(held).collect()
    }

    fn check(&mut self, got: &CaseStep) -> Result<(), Box<Mismatch>> {
        if got.is_quiet() {
            return Ok(());
        }
        match self.recorded.next() {
            Some(want) => self.case.compare(want, got),
            None => Err(self.case.differs(got.step, "step", &"no further step", got)),
        }
    }
}
