//! Properties of every schedule, and of the replica around it.
use super::testkit::{Toy, job, named};
use super::*;
use crate::types::{AttemptId, Effect, FailureCause, Femtos, SimTime};
use proptest::prelude::*;
use std::sync::Arc;

fn configs() -> impl Strategy<Value = VllmConfig> {
    let sizes = (prop_oneof![Just(4u32), Just(16)], 8u32..40, 1u32..6, 1u32..80);
    (sizes, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), prop_oneof![Just(0u32), Just(7)], 0.0..0.3f64)
        .prop_map(|((block_size, num_blocks, seqs, budget), cache, priority, gate, two, cap, watermark)| VllmConfig {
            block_size,
            num_blocks,
            max_num_seqs: seqs,
            max_num_batched_tokens: budget,
            prefix_caching: cache,
            policy: if priority { QueuePolicy::Priority } else { QueuePolicy::Fcfs },
            reserve_full_isl: gate,
            async_scheduling: two,
            long_prefill_token_threshold: cap,
            watermark,
            ..VllmConfig::default()
        })
}

/// (gap to the arrival before in steps of 0.3 ms, name of the shared part, shared, own, output, priority, cancelled after)
type Draw = (u64, u64, u32, u32, u32, i32, Option<u64>);

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let cancel = prop_oneof![4 => Just(None), 1 => (0u64..40).prop_map(Some)];
    prop::collection::vec((0u64..12, 0u64..3, 0u32..40, 1u32..60, 1u32..30, -1i32..2, cancel), 1..25)
}

/// Drives a scheduler through a whole workload and asserts what every step must keep.
fn drive(config: &VllmConfig, workload: &[Draw]) {
    let depth = if config.async_scheduling { 2 } else { 1 };
    let mut s = VllmScheduler::new(config.clone());
    let (mut flight, mut result) = (std::collections::VecDeque::new(), StepResult::default());
    let (mut next, mut accepted, mut ended) = (0, 0, 0);
    for call in 0u64.. {
        assert!(call < 60_000, "every-request-ends: no end after {call} calls");
        while next < workload.len() && workload[next].0 * next as u64 / 2 <= call {
            let (_, name, shared, own, output, priority, _) = workload[next];
            let id = next as u64;
            let base = named(id, &[(name, shared), (100 + id, own)], output);
            accepted += usize::from(s.enqueue(crate::types::Job { priority, ..base }, SimTime(call)).is_ok());
            next += 1;
        }
        for (id, draw) in workload[..next].iter().enumerate() {
            if draw.6.is_some_and(|after| draw.0 * id as u64 / 2 + after == call) {
                ended += usize::from(s.abort(AttemptId(id as u64)).is_some());
            }
        }
        let mut batch = Batch::default();
        s.schedule(SimTime(call), &mut batch);
        let tokens: u32 = batch.rows.iter().map(|r| r.tokens).sum();
        assert!(tokens <= config.max_num_batched_tokens, "budget: {tokens} tokens in a step");
        assert!(s.load().running <= config.max_num_seqs, "sequence-limit: {} run", s.load().running);
        assert!(batch.preempted.is_empty() || batch.admitted.is_empty(), "no-admission-in-a-preempting-step");
        let shape: u32 = batch.prefill.iter().map(|c| c.tokens).sum::<u32>() + batch.decode_rows;
        assert_eq!(shape, tokens, "shape-covers-batch");
        let empty = batch.is_empty();
        if !empty {
            flight.push_back(batch);
        }
        if (flight.len() == depth || empty) && !flight.is_empty() {
            let oldest: Batch = flight.pop_front().expect("not empty");
            s.update(&oldest, &mut result);
            ended += result.finished.len();
        }
        s.pool().check();
        if next == workload.len() && s.unfinished() == 0 && flight.is_empty() {
            break;
        }
    }
    assert_eq!(ended, accepted, "every-request-ends");
    assert_eq!(s.load().kv_used_blocks, 0, "block-conserved: all blocks are free at the end");
}

/// Runs a workload on a replica; returns its effects.
fn replay(engine: Engine, workload: &[Draw]) -> (Vec<Effect>, Replica) {
    let mut replica = Replica::new(engine, Arc::new(Toy));
    let (mut out, mut at, mut next) = (Vec::new(), SimTime::ZERO, 0);
    loop {
        let arrival = workload.get(next).map_or(SimTime::NEVER, |d| at + SimTime(d.0 * 300_000));
        let now = arrival.min(replica.next_event());
        if now == SimTime::NEVER {
            return (out, replica);
        }
        if replica.next_event() == now {
            replica.advance(now, &mut out);
        }
        while next < workload.len() && at + SimTime(workload[next].0 * 300_000) == now {
            let (_, _, shared, own, output, _, _) = workload[next];
            replica.submit(job(next as u64, shared + own, output), now, &mut out);
            (at, next) = (now, next + 1);
        }
        if replica.needs_schedule() {
            replica.schedule(now);
        }
    }
}

fn assert_each_ends_once(effects: &[Effect], jobs: usize) {
    let mut ends = vec![0; jobs];
    let mut last = SimTime::ZERO;
    for effect in effects {
        let at = match *effect {
            Effect::FirstToken { at, .. } => at,
            Effect::Done { attempt, at, .. } | Effect::Failed { attempt, at, .. } => {
                ends[attempt.0 as usize] += 1;
                at
            }
        };
        assert!(at >= last, "clock-forward");
        last = at;
    }
    assert!(ends.iter().all(|&n| n == 1), "nothing-lost: {ends:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn schedules_keep_their_limits_and_every_request_ends(config in configs(), workload in draws()) {
        drive(&config, &workload);
    }

    #[test]
    fn a_replica_ends_every_job_once_and_counts_every_gap(config in configs(), workload in draws()) {
        let (effects, replica) = replay(Engine::Vllm(Box::new(VllmScheduler::new(config))), &workload);
        assert_each_ends_once(&effects, workload.len());
        let done = effects.iter().filter_map(|e| match e {
            Effect::Done { attempt, .. } => Some(u64::from(workload[attempt.0 as usize].4) - 1),
            _ => None,
        });
        prop_assert_eq!(replica.gaps().len(), done.sum::<u64>(), "a gap for every token but the first");
    }

    #[test]
    fn a_static_replica_ends_every_job_once(max_batch in 1u32..6, timeout in 0u64..5, workload in draws()) {
        let timeout = SimTime::from_millis(timeout);
        let config = StaticConfig { max_batch, timeout, max_model_len: 120, block_size: 16, num_blocks: 20 };
        let (effects, replica) = replay(Engine::Static(StaticScheduler::new(config)), &workload);
        assert_each_ends_once(&effects, workload.len());
        prop_assert_eq!(replica.unfinished(), 0);
    }
}

fn small(async_scheduling: bool) -> Replica {
    let config = VllmConfig { async_scheduling, ..VllmConfig::default() };
    Replica::new(Engine::Vllm(Box::new(VllmScheduler::new(config))), Arc::new(Toy))
}

#[test]
fn the_clock_keeps_femtoseconds_across_steps_and_publishes_nanoseconds() {
    for two in [false, true] {
        let mut r = small(two);
        let mut out = Vec::new();
        r.submit(job(0, 10, 3), SimTime(5), &mut out);
        assert!(r.needs_schedule() && r.next_event() == SimTime::NEVER);
        r.schedule(SimTime(5));
        while r.next_event() != SimTime::NEVER {
            let now = r.next_event();
            r.advance(now, &mut out);
            r.schedule(now);
        }
        // Steps of 10 prefill tokens, then one decode on a context of 10, then of 11.
        let first = 1_000_000_000_001 + 10_000_000_000;
        let all = first + 2 * (1_000_000_000_001 + 1_000_000_000) + 10 + 11;
        let at = |fs: u128| Femtos(5_000_000 + fs).to_time();
        let attempt = AttemptId(0);
        assert_eq!(out[0], Effect::FirstToken { attempt, at: at(first) });
        assert_eq!(out[1], Effect::Done { attempt, at: at(all), cached_tokens: 0, preemptions: 0 });
        assert_eq!((r.steps(), r.busy(), r.gaps().len()), (3, Femtos(all), 2));
    }
}

#[test]
fn a_killed_or_cancelled_job_reports_the_tokens_that_left() {
    let mut r = small(true);
    let mut out = Vec::new();
    r.submit(job(0, 10, 30), SimTime(0), &mut out);
    r.submit(job(1, 10, 30), SimTime(0), &mut out);
    r.schedule(SimTime(0));
    for _ in 0..4 {
        let now = r.next_event();
        r.advance(now, &mut out);
        r.schedule(now);
    }
    assert_eq!(r.cancel(AttemptId(1), r.next_event()), Some(4));
    assert_eq!(r.cancel(AttemptId(1), r.next_event()), None);
    out.clear();
    let now = SimTime::from_secs(1);
    r.kill(now, &mut out);
    let lost = Effect::Failed { attempt: AttemptId(0), at: now, cause: FailureCause::ReplicaLost, emitted: 4 };
    assert_eq!(out, [lost]);
    assert_eq!((r.next_event(), r.unfinished(), r.needs_schedule()), (SimTime::NEVER, 0, false));
}
