//! Every mode decides the same: the reference pool, the fast pool, strides.
use super::*;
use crate::engine::testkit::Pieces;
use crate::kv::{BlockPool, KvPool, SpanPool};
use crate::types::{AttemptId, Backend, Effect, GapRun, Load, Outbox, SimTime, Stop};
use proptest::strategy::ValueTree;
use std::collections::VecDeque;
use std::sync::Arc;

/// What one call of a scheduler decided and what its update made of it.
#[derive(Debug, PartialEq, Eq)]
struct CallResult {
    accepted: Vec<bool>,
    left: Vec<Option<u32>>,
    scheduled: Vec<(AttemptId, u32)>,
    admitted: Vec<(AttemptId, u32)>,
    preempted: Vec<AttemptId>,
    shape: (Vec<(u32, u32)>, u32, u64),
    first_tokens: Vec<AttemptId>,
    finished: Vec<(AttemptId, u32, u32)>,
    gaps: Vec<(u128, u32)>,
    load: Load,
}

/// A scheduler that is driven call by call. Batch `k` ends at `k` thousand fs.
struct Driver<P: KvPool> {
    s: VllmScheduler<P>,
    flight: VecDeque<Batch>,
    result: StepResult,
    batches: u128,
    /// Steady rows of the last schedule.
    steady: u32,
    /// Whether a stride was on offer, and nothing but steady rows was scheduled since.
    strode: bool,
}

impl<P: KvPool> Driver<P> {
    fn new(config: &VllmConfig, strides: bool) -> Driver<P> {
        let s = VllmScheduler::on_pool(config.clone(), strides);
        Driver { s, flight: VecDeque::new(), result: StepResult::default(), batches: 0, steady: 0, strode: false }
    }

    fn call(&mut self, arrivals: &[(Job, Option<Box<[Run]>>)], leave: &[AttemptId]) -> CallResult {
        let accepted =
            arrivals.iter().map(|(job, says)| self.s.enqueue_with_output(job.clone(), says.clone()).is_ok()).collect();
        let left = leave.iter().map(|&attempt| self.s.abort(attempt)).collect();
        let mut batch = Batch::default();
        self.s.schedule(SimTime(0), &mut batch);
        let scheduled = self.s.scheduled(&batch).collect();
        let (admitted, preempted) = (batch.admitted.clone(), batch.preempted.clone());
        let prefill = batch.prefill.iter().map(|c| (c.context, c.tokens)).collect();
        let shape = (prefill, batch.decode_rows, batch.decode_ctx_sum);
        self.steady = batch.steady;
        self.strode = self.s.stride().is_some() || self.strode && batch.rows.is_empty();
        let empty = batch.is_empty();
        if !empty {
            self.batches += 1;
            batch.ends_at = crate::types::Femtos(self.batches * 1_000);
            self.flight.push_back(batch);
        }
        self.result.clear();
        let depth = if self.s.config().async_scheduling { 2 } else { 1 };
        let mut end = 0;
        if (self.flight.len() == depth || empty)
            && let Some(oldest) = self.flight.pop_front()
        {
            end = oldest.ends_at.0;
            self.s.update(&oldest, &mut self.result);
        }
        self.s.pool().check();
        let mut gaps: Vec<(u128, u32)> = Vec::new();
        for gap in &self.result.gaps {
            let length = end - gap.since.0;
            match gaps.iter_mut().find(|g| g.0 == length) {
                Some(same) => same.1 += gap.tokens,
                None => gaps.push((length, gap.tokens)),
            }
        }
        gaps.sort_unstable();
        CallResult {
            accepted,
            left,
            scheduled,
            admitted,
            preempted,
            shape,
            first_tokens: self.result.first_tokens.clone(),
            finished: self.result.finished.iter().map(|f| (f.attempt, f.cached_tokens, f.preemptions)).collect(),
            gaps,
            load: self.s.load(),
        }
    }

    fn idle(&self) -> bool {
        self.s.unfinished() == 0 && self.flight.is_empty()
    }
}

/// How long the property keeps KV events, in calls.
const KEPT: u64 = 9;

/// A replica under events of its own: arrivals, clients that leave, and its death and return at once.
fn run(engine: Box<dyn Scheduler>, workload: &[Draw], dies: Option<u64>, looks: u64, base_fs: u64) -> Life {
    let mut replica = Replica::new(engine, Arc::new(Pieces { base_fs }));
    let mut life = Life::default();
    let mut out = Outbox::default();
    // Instants are multiples of half a step of one row, so that many of them are ends of steps.
    let tick = SimTime(base_fs / 2_000_000);
    let (mut plan, mut at) = (Vec::new(), SimTime::ZERO);
    for (id, draw) in workload.iter().enumerate() {
        at += SimTime(draw.gap * tick.0);
        plan.push((at, 2, id));
        plan.extend(draw.leaves.map(|after| (at + SimTime(after * tick.0), 1, id)));
    }
    plan.extend(dies.map(|after| (SimTime(after * tick.0), 0, 0)));
    plan.sort_unstable();
    let mut plan = plan.into_iter().peekable();
    let mut look = SimTime(looks);
    loop {
        let planned = plan.peek().map_or(SimTime::NEVER, |p| p.0);
        let now = planned.min(replica.next_event());
        while looks > 0 && look < now.min(SimTime(at.0 * 2)) {
            life.seen.push((look, replica.observe(look + SimTime(1))));
            look += SimTime(looks);
        }
        if now == SimTime::NEVER {
            break;
        }
        while let Some((_, 0, _)) = plan.next_if(|p| p.0 == now && p.1 == 0) {
            replica.stop(now, Stop::Kill, &mut out);
            replica.start(now);
        }
        if replica.next_event() <= now {
            replica.advance(now, &mut out);
        }
        while let Some((_, kind, id)) = plan.next_if(|p| p.0 == now) {
            if kind == 1 {
                life.left.push((now, id, replica.cancel(AttemptId(id as u64), now, &mut out).map(|c| c.output_tokens)));
            } else {
                life.seen.push((now, replica.observe(now)));
                replica.submit(job_of(workload, id), now, &mut out);
            }
        }
        if replica.needs_schedule() {
            replica.schedule(now);
        }
    }
    life.effects = out.effects;
    life.gaps(&out.gaps);
    life.steps = (replica.counts().steps, replica.counts().busy.0);
    life
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Life {
    effects: Vec<Effect>,
    seen: Vec<(SimTime, Load)>,
    left: Vec<(SimTime, usize, Option<u32>)>,
    /// Length and number.
    gaps: std::collections::BTreeMap<u128, u64>,
    steps: (u64, u128),
}

impl Life {
    fn gaps(&mut self, runs: &[GapRun]) {
        for run in runs {
            for i in 0..run.steps {
                let length = run.first_fs + u128::from(i) * u128::from(run.more_fs);
                *self.gaps.entry(length).or_default() += u64::from(run.tokens);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_kv_events_told_is_what_was_cached_then_in_every_mode(config in configs(), workload in draws()) {
        let mut reference = Driver::<BlockPool>::new(&config, false);
        let mut fast = Driver::<SpanPool>::new(&config, false);
        let mut steady = Driver::<SpanPool>::new(&config, true);
        reference.s.keep_kv_events(SimTime(KEPT));
        fast.s.keep_kv_events(SimTime(KEPT));
        steady.s.keep_kv_events(SimTime(KEPT));
        let prompts: Vec<Content> = (0..workload.len()).map(|id| job_of(&workload, id).content).collect();
        // By call: of each prompt what was cached after it.
        let mut history: Vec<Vec<u64>> = Vec::new();
        let mut ended: Vec<AttemptId> = Vec::new();
        let (mut next, mut due) = (0, 0);
        for call in 0u64..5_000 {
            let mut arrivals = Vec::new();
            while next < workload.len() && due + workload[next].gap <= call {
                due += workload[next].gap;
                arrivals.push((job_of(&workload, next), None));
                next += 1;
            }
            let leave: Vec<AttemptId> =
                (0..next).filter(|&id| workload[id].leaves == Some(call)).map(|id| AttemptId(id as u64)).collect();
            ended.extend(&leave);
            let now = SimTime(call);
            reference.s.stamp(now);
            fast.s.stamp(now);
            steady.s.stamp(now);
            let said = reference.call(&arrivals, &leave);
            prop_assert_eq!(&said, &fast.call(&arrivals, &leave), "call {}: keeping events disturbs", call);
            prop_assert_eq!(&said, &steady.call(&arrivals, &leave), "call {}: keeping events disturbs", call);
            ended.extend(said.finished.iter().map(|f| f.0));
            history.push(prompts.iter().map(|p| reference.s.cached_tokens(p.runs())).collect());
            for lag in [0, 1, 2, 5, KEPT] {
                let Some(then) = call.checked_sub(lag) else { continue };
                for (id, prompt) in prompts.iter().enumerate() {
                    // Nobody can ask for text that is being generated.
                    let exists = |r: &Run| match r.id {
                        ContentId::Output(of) => ended.contains(&AttemptId(of)),
                        _ => true,
                    };
                    if !prompt.runs().iter().all(exists) {
                        continue;
                    }
                    let told = reference.s.cached_tokens_at(prompt.runs(), SimTime(then));
                    prop_assert_eq!(told, fast.s.cached_tokens_at(prompt.runs(), SimTime(then)), "{} at {}", id, call);
                    prop_assert_eq!(told, steady.s.cached_tokens_at(prompt.runs(), SimTime(then)), "{} at {}", id, call);
                    // Of output only what was let go of is told; text of prompts at once.
                    if prompt.runs().iter().all(|r| !matches!(r.id, ContentId::Output(_))) {
                        prop_assert_eq!(told, history[then as usize][id], "prompt {} of call {} at {}", id, then, call);
                    }
                }
            }
            if next == workload.len() && reference.idle() && call > due + KEPT {
                break;
            }
        }
    }

    #[test]
    fn the_reference_pool_the_fast_pool_and_steady_rows_decide_alike(config in configs(), workload in draws()) {
        let mut reference = Driver::<BlockPool>::new(&config, false);
        let mut fast = Driver::<SpanPool>::new(&config, false);
        let mut steady = Driver::<SpanPool>::new(&config, true);
        let (mut next, mut due) = (0, 0);
        let mut arrived: Vec<u64> = Vec::new();
        for call in 0u64..60_000 {
            let mut arrivals = Vec::new();
            while next < workload.len() && due + workload[next].gap <= call {
                due += workload[next].gap;
                arrivals.push((job_of(&workload, next), output_of(&workload, next)));
                arrived.push(call);
                next += 1;
            }
            let leaves = |(id, &at): (usize, &u64)| {
                workload[id].leaves.is_some_and(|after| at + after == call).then_some(AttemptId(id as u64))
            };
            let leave: Vec<AttemptId> = arrived.iter().enumerate().filter_map(leaves).collect();
            let said = reference.call(&arrivals, &leave);
            prop_assert_eq!(&said, &fast.call(&arrivals, &leave), "call {}: the pools differ", call);
            prop_assert_eq!(&said, &steady.call(&arrivals, &leave), "call {}: steady rows differ", call);
            if next == workload.len() && reference.idle() {
                break;
            }
        }
        prop_assert!(steady.idle() && fast.idle());
    }

    #[test]
    fn a_replica_lives_the_same_life_with_strides_and_without(
        config in configs(),
        workload in draws(),
        dies in prop_oneof![2 => Just(None), 1 => (0u64..300).prop_map(Some)],
        looks in prop_oneof![Just(0u64), Just(1_000_000), Just(10_000_000)],
        base_fs in prop_oneof![Just(2_000_000_000_000u64), Just(4_000_000), Just(1_000_000)],
    ) {
        let reference = Box::new(VllmScheduler::<BlockPool>::on_pool(config.clone(), false));
        let looks = if base_fs < 1_000_000_000 { looks / 1_000_000 } else { looks };
        let slow = run(reference, &workload, dies, looks, base_fs);
        let fast = run(Box::new(VllmScheduler::new(config.clone())), &workload, dies, looks, base_fs);
        prop_assert_eq!(&slow, &fast);
        let unseen = run(Box::new(VllmScheduler::new(config)), &workload, dies, 0, base_fs);
        prop_assert_eq!((&unseen.effects, &unseen.gaps), (&fast.effects, &fast.gaps), "looking disturbs");
    }
}

/// A request whose prompt holds what a running one is generating waits for it, hits it as it grows, and finds what the
/// reference finds.
#[test]
fn a_waiting_head_meets_what_a_running_request_generates() {
    for async_scheduling in [false, true] {
        for (blocks, gap) in [(60, 0), (60, 9), (60, 40), (14, 3), (12, 20)] {
            let config = VllmConfig { block_size: 4, num_blocks: blocks, async_scheduling, ..VllmConfig::default() };
            let talks = Draw {
                gap: 0,
                shared: (0, 0),
                own: 9,
                after: None,
                most: None,
                again: false,
                output: 30,
                priority: 0,
                leaves: None,
            };
            let hears = Draw { gap, after: Some((0, 25)), own: 2, output: 3, ..talks.clone() };
            let workload = [talks, hears.clone(), Draw { gap: 2, ..hears }];
            let mut drivers = (Driver::<BlockPool>::new(&config, false), Driver::<SpanPool>::new(&config, true));
            let mut next = 0;
            for call in 0..200 {
                let mut arrivals = Vec::new();
                while next < 3 && workload[..=next].iter().map(|d| d.gap).sum::<u64>() <= call {
                    arrivals.push((job_of(&workload, next), None));
                    next += 1;
                }
                assert_eq!(
                    drivers.0.call(&arrivals, &[]),
                    drivers.1.call(&arrivals, &[]),
                    "{blocks} blocks, call {call}"
                );
            }
            assert!(drivers.1.idle());
        }
    }
}

/// What [`priority_tight`] is drawn for: in many drawn lives a request preempts itself among steady rows, and strides go before it.
#[test]
fn requests_preempt_themselves_among_steady_rows_and_after_strides() {
    let mut luck = proptest::test_runner::TestRunner::deterministic();
    let mut draw = || {
        let (config, workload) = (priority_tight(), draws()).new_tree(&mut luck).expect("a draw").current();
        (config, workload.into_iter().map(|d| Draw { output: d.output + 20, leaves: None, ..d }).collect::<Vec<_>>())
    };
    let (mut among_steady, mut after_strides) = (0, 0);
    for _ in 0..300 {
        let (config, workload) = draw();
        let mut reference = Driver::<BlockPool>::new(&config, false);
        let mut steady = Driver::<SpanPool>::new(&config, true);
        let (mut next, mut due) = (0, 0);
        for call in 0u64..20_000 {
            let mut arrivals = Vec::new();
            while next < workload.len() && due + workload[next].gap <= call {
                due += workload[next].gap;
                arrivals.push((job_of(&workload, next), None));
                next += 1;
            }
            let (rows, strode) = (steady.steady, steady.strode);
            let said = steady.call(&arrivals, &[]);
            assert_eq!(reference.call(&arrivals, &[]), said, "call {call} of {config:?}");
            // Who preempts another is scheduled itself; so here somebody found no other victim, and the rest had to wait.
            let itself = said.scheduled.is_empty() && !said.preempted.is_empty() && said.load.running > 0;
            among_steady += usize::from(itself && rows > 1);
            after_strides += usize::from(itself && rows > 1 && strode);
            if next == workload.len() && reference.idle() {
                break;
            }
        }
    }
    assert!(
        among_steady >= 20 && after_strides >= 20,
        "{among_steady} among steady rows, {after_strides} after strides"
    );
}
