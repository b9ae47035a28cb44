//! What every schedule keeps.
use super::*;
use crate::engine::testkit::job;
use crate::kv::KvPool;
use crate::types::{AttemptId, Backend, Effect, Outbox, SimTime};
use std::collections::VecDeque;
use std::sync::Arc;

/// Drives a scheduler through a whole workload and asserts what every step must keep.
fn drive(config: &VllmConfig, workload: &[Draw]) {
    let depth = if config.async_scheduling { 2 } else { 1 };
    let mut s = VllmScheduler::new(config.clone());
    let (mut flight, mut result) = (VecDeque::new(), StepResult::default());
    let (mut next, mut due, mut accepted, mut ended) = (0, 0, 0, 0);
    let mut arrived = Vec::new();
    let mut first_admissions = Vec::new();
    for call in 0u64.. {
        assert!(call < 60_000, "every-request-ends: no end after {call} calls");
        while next < workload.len() && due + workload[next].gap <= call {
            due += workload[next].gap;
            accepted += usize::from(s.enqueue(job_of(workload, next), SimTime(call)).is_ok());
            arrived.push(call);
            next += 1;
        }
        for (id, &at) in arrived.iter().enumerate() {
            if workload[id].leaves.is_some_and(|after| at + after == call) {
                ended += usize::from(s.abort(AttemptId(id as u64)).is_some());
            }
        }
        let mut batch = Batch::default();
        s.schedule(SimTime(call), &mut batch);
        let rows: Vec<_> = s.scheduled(&batch).collect();
        let tokens: u32 = rows.iter().map(|r| r.1).sum();
        assert!(tokens <= config.max_num_batched_tokens, "budget: {tokens} tokens in a step");
        assert!(s.load().running <= config.max_num_seqs, "sequence-limit: {} run", s.load().running);
        assert!(batch.preempted.is_empty() || batch.admitted.is_empty(), "no-admission-in-a-preempting-step");
        if config.policy == QueuePolicy::Fcfs && !config.async_scheduling {
            // Asynchronous scheduling lets others pass one whose tokens from before its preemption are still in flight.
            assert!(rows.is_sorted(), "fcfs: who came first is scheduled first, preempted or not: {rows:?}");
        }
        let shape: u32 = batch.prefill.iter().map(|c| c.tokens).sum::<u32>() + batch.decode_rows;
        assert_eq!(shape, tokens, "shape-covers-batch");
        for &(attempt, hit) in &batch.admitted {
            let known = job_of(workload, attempt.0 as usize).prompt_tokens + workload[attempt.0 as usize].output;
            assert!(hit < known, "hits-leave-a-token: {hit} tokens hit");
            if !first_admissions.contains(&attempt) {
                first_admissions.push(attempt);
            }
        }
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
    if config.policy == QueuePolicy::Fcfs {
        assert!(first_admissions.is_sorted(), "fcfs: {first_admissions:?} were admitted first in this order");
    }
}

/// Runs a workload on a replica; returns its effects and the gaps it closed.
fn replay(engine: Box<dyn Scheduler>, workload: &[Draw]) -> (Vec<Effect>, u64, Replica) {
    let mut replica = Replica::new(engine, Arc::new(crate::engine::testkit::Toy));
    let (mut out, mut at, mut next) = (Outbox::default(), SimTime::ZERO, 0);
    loop {
        let arrival = workload.get(next).map_or(SimTime::NEVER, |d| at + SimTime(d.gap * 300_000));
        let now = arrival.min(replica.next_event());
        if now == SimTime::NEVER {
            let gaps = out.gaps.iter().map(|g| u64::from(g.steps) * u64::from(g.tokens)).sum();
            return (out.effects, gaps, replica);
        }
        if replica.next_event() == now {
            replica.advance(now, &mut out);
        }
        while next < workload.len() && at + SimTime(workload[next].gap * 300_000) == now {
            let prompt = job_of(workload, next).prompt_tokens;
            replica.submit(job(next as u64, prompt, workload[next].output), now, &mut out);
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
    #![proptest_config(cases())]

    #[test]
    fn schedules_keep_their_limits_and_every_request_ends(config in configs(), workload in draws()) {
        drive(&config, &workload);
    }

    #[test]
    fn a_replica_ends_every_job_once_and_counts_every_gap(config in configs(), workload in draws()) {
        let (effects, gaps, _) = replay(Box::new(VllmScheduler::new(config)), &workload);
        assert_each_ends_once(&effects, workload.len());
        let done = effects.iter().filter_map(|e| match e {
            Effect::Done { attempt, .. } => Some(u64::from(workload[attempt.0 as usize].output) - 1),
            _ => None,
        });
        prop_assert_eq!(gaps, done.sum::<u64>(), "a gap for every token but the first");
    }

    #[test]
    fn a_static_replica_ends_every_job_once(max_batch in 1u32..6, timeout in 0u64..5, workload in draws()) {
        let timeout = SimTime::from_millis(timeout);
        let config = StaticConfig { max_batch, timeout, max_model_len: 160, block_size: 16, num_blocks: 20 };
        let (effects, _, replica) = replay(Box::new(StaticScheduler::new(config)), &workload);
        assert_each_ends_once(&effects, workload.len());
        prop_assert_eq!(replica.unfinished(), 0);
    }
}
