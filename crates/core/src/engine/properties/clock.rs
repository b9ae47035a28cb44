//! The replica's clock, and what it says of jobs that are cut short.
use super::*;
use crate::engine::testkit::Toy;
use crate::types::{AttemptId, Backend, Cancelled, Effect, FailureCause, Femtos, Outbox, SimTime, Stop, Usd};
use std::sync::Arc;

fn small(async_scheduling: bool) -> Replica {
    let config = VllmConfig { async_scheduling, ..VllmConfig::default() };
    Replica::new(config.scheduler(EngineMode::default()), Arc::new(Toy))
}

#[test]
fn the_clock_keeps_femtoseconds_across_steps_and_publishes_nanoseconds() {
    for two in [false, true] {
        let mut r = small(two);
        let mut out = Outbox::default();
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
        assert_eq!(out.effects[0], Effect::FirstToken { attempt, at: at(first) });
        assert_eq!(
            out.effects[1],
            Effect::Done { attempt, at: at(all), cached_tokens: 0, preemptions: 0, cost: Usd::ZERO }
        );
        let gaps: u32 = out.gaps.iter().map(|g| g.steps * g.tokens).sum();
        assert_eq!((r.counts().steps, r.counts().busy, gaps), (3, Femtos(all), 2));
    }
}

#[test]
fn a_killed_or_cancelled_job_reports_the_tokens_that_left() {
    let mut r = small(true);
    let mut out = Outbox::default();
    r.submit(job(0, 10, 30), SimTime(0), &mut out);
    r.submit(job(1, 10, 30), SimTime(0), &mut out);
    r.schedule(SimTime(0));
    // Steps of about a millisecond: the third update is of the second token.
    let now = SimTime::from_millis(4) + SimTime(500_000);
    while r.next_event() <= now {
        let at = r.next_event();
        r.advance(at, &mut out);
        r.schedule(at);
    }
    assert_eq!(r.cancel(AttemptId(1), now, &mut out), Some(Cancelled { output_tokens: 4, ..Cancelled::default() }));
    assert_eq!(r.cancel(AttemptId(1), now, &mut out), None);
    out.effects.clear();
    r.stop(now, Stop::Kill, &mut out);
    let lost = Effect::Failed { attempt: AttemptId(0), at: now, cause: FailureCause::ReplicaLost, emitted: 4 };
    assert_eq!(out.effects, [lost]);
    assert_eq!((r.next_event(), r.unfinished(), r.needs_schedule()), (SimTime::NEVER, 0, false));
}
