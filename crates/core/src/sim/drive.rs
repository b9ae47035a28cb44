//! The driver that replays a source through a world as fast as it can.
use super::{Effects, SimError, SimStats, World, WorldEffect, WorldSpec};
use crate::types::{RecordSink, SimTime, Source};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Events after which the wish to stop is asked for, arrivals or not: long after the last one a queue may still drain.
const EVENTS_A_LOOK: u64 = 1 << 16;
/// Arrivals after which progress is told and the wish to stop is asked for.
const ARRIVALS_A_REPORT: u64 = 256;

/// Replays `source` through the world of `spec`, in one thread, until every request has ended.
/// `progress` counts arrivals; `stop` ends it early.
///
/// # Errors
/// The source's fault, an interruption, or a loop without progress.
pub fn simulate(
    spec: &WorldSpec,
    source: &mut dyn Source,
    sink: &mut impl RecordSink,
    progress: &AtomicU64,
    stop: &AtomicBool,
) -> Result<SimStats, SimError> {
    let mut world = World::new(spec);
    if sink.wants_series() {
        world.keep_series();
    }
    let (mut effects, mut next_look) = (Effects::default(), EVENTS_A_LOOK);
    loop {
        let arrival = source.peek().map_err(SimError::Source)?;
        if arrival.is_some_and(|at| at <= world.now()) {
            world.arrive(source.next());
            if world.arrived().is_multiple_of(ARRIVALS_A_REPORT) {
                progress.fetch_add(ARRIVALS_A_REPORT, Ordering::Relaxed);
                next_look = 0;
            }
        } else {
            let due = arrival.unwrap_or(SimTime::NEVER).min(world.next_event());
            // Failures go on for ever; once nothing is in flight and nothing comes they end the simulation.
            if due == SimTime::NEVER || (arrival.is_none() && world.in_flight() == 0) {
                break;
            }
            world.advance(due)?;
        }
        world.effects(&mut effects);
        effects.gaps.iter().for_each(|run| sink.gaps(run));
        for effect in &effects.list {
            match effect {
                WorldEffect::FirstToken { .. } | WorldEffect::Left { .. } => {}
                WorldEffect::Attempt(record) => sink.attempt(record),
                WorldEffect::Series(row) => sink.series(row),
                WorldEffect::Request(record) => {
                    sink.request(record);
                    source.finished(record.session, record.ended, record.outcome);
                }
            }
        }
        if world.events() >= next_look {
            if stop.load(Ordering::Relaxed) {
                return Err(SimError::Interrupted);
            }
            next_look = world.events() + EVENTS_A_LOOK;
        }
    }
    assert_eq!(world.in_flight(), 0, "nothing-lost: requests left when the simulation ended");
    progress.fetch_add(world.arrived() % ARRIVALS_A_REPORT, Ordering::Relaxed);
    Ok(world.stats())
}
