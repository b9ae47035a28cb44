//! The quickstart's world driven by others than `simulate`: by the ticks of a clock, and with a fleet that changes.
use baseload::economics::{gpu_line, rented_line};
use baseload::engine::EngineMode;
use baseload::experiment::Experiment;
use baseload::sim::{Effects, World, WorldEffect, WorldSpec, simulate};
use baseload::trace::{GenerateSpec, Generator, SourceOptions};
use baseload::types::{
    AttemptRecord, GapRun, Outcome, Place, PoolId, RecordSink, ReplicaId, Request, RequestRecord, SeriesRow, SimTime,
    Source, Usd,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};

const TICK: SimTime = SimTime::from_millis(10);

/// All records, as text, in their order; gaps as a histogram, since only each backend's own are in order.
#[derive(Default, PartialEq, Eq)]
struct Log {
    records: Vec<String>,
    gaps: BTreeMap<u128, u64>,
    attempts: Vec<(u64, Place, SimTime, SimTime, u32)>,
    ended: Vec<u64>,
}

impl Log {
    fn take(&mut self, world: &mut World<'_>) {
        let mut effects = Effects::default();
        world.effects(&mut effects);
        effects.gaps.iter().for_each(|run| self.gaps(run));
        for effect in &effects.list {
            match effect {
                WorldEffect::Attempt(record) => self.attempt(record),
                WorldEffect::Request(record) => self.request(record),
                WorldEffect::FirstToken { .. } | WorldEffect::Series(_) | WorldEffect::Left { .. } => {}
            }
        }
    }
}

impl RecordSink for Log {
    fn attempt(&mut self, r: &AttemptRecord) {
        self.records.push(format!("{r:?}"));
        let place = r.replica.map_or(r.backend, Place::Replica);
        self.attempts.push((r.request, place, r.sent, r.ended, r.output_tokens));
    }
    fn request(&mut self, r: &RequestRecord) {
        self.records.push(format!("{r:?}"));
        assert!(r.outcome != Outcome::Failed, "nothing fails here: {r:?}");
        self.ended.push(r.index);
    }
    fn gaps(&mut self, run: &GapRun) {
        for step in 0..u128::from(run.steps) {
            *self.gaps.entry(run.first_fs + step * u128::from(run.more_fs)).or_default() += u64::from(run.tokens);
        }
    }
    fn wants_series(&self) -> bool {
        false
    }
    fn series(&mut self, _: &SeriesRow) {}
}

fn quickstart() -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/quickstart.toml");
    Experiment::load(&path).unwrap()
}

fn traffic(requests: u64) -> impl Source {
    let text = include_str!("../../traces/support-desk.toml");
    let options = SourceOptions { limit: Some(requests), ..SourceOptions::default() };
    Generator::source(&GenerateSpec::parse(text, "support-desk").unwrap(), &options).unwrap()
}

fn requests(n: u64) -> Vec<Request> {
    let mut source = traffic(n);
    let mut all = Vec::new();
    while source.peek().unwrap().is_some() {
        all.push(source.next());
    }
    all
}

fn world_of(policy: &str) -> WorldSpec {
    let exp = quickstart();
    let policy = exp.policies.iter().find(|p| p.name == policy).unwrap();
    exp.world(policy, 0, EngineMode::default())
}

/// Hands requests in by the ticks of a clock that knows nothing of the world's events; `each_tick` may change the fleet.
fn by_ticks(spec: &WorldSpec, asked: Vec<Request>, mut each_tick: impl FnMut(&mut World<'_>, SimTime)) -> Log {
    let mut world = World::new(spec);
    let (mut log, mut clock, mut asked) = (Log::default(), SimTime::ZERO, asked.into_iter().peekable());
    while asked.peek().is_some() || world.in_flight() > 0 {
        clock += TICK;
        while let Some(request) = asked.next_if(|r| r.arrival <= clock) {
            if world.now() < request.arrival {
                world.advance(request.arrival).unwrap();
            }
            world.arrive(request);
        }
        world.advance(clock).unwrap();
        each_tick(&mut world, clock);
        log.take(&mut world);
    }
    for replica in (0..100).map(ReplicaId) {
        let held = world.load_of(replica).map_or(0, |load| load.kv_used_blocks);
        assert_eq!(held, 0, "blocks-conserved: {replica:?} holds blocks when all requests have ended");
    }
    log
}

#[test]
fn a_clock_from_outside_gives_the_records_of_simulate() {
    for policy in ["overflow", "own-peak-lo", "cost-aware"] {
        let spec = world_of(policy);
        let mut driven = Log::default();
        simulate(&spec, &mut traffic(3_000), &mut driven, &AtomicU64::new(0), &AtomicBool::new(false)).unwrap();
        let ticked = by_ticks(&spec, requests(3_000), |_, _| {});
        let differ = driven.records.iter().zip(&ticked.records).find(|(a, b)| a != b);
        assert_eq!(differ, None, "{policy}: the first difference");
        assert!(driven == ticked, "{policy}: {} and {} records", driven.records.len(), ticked.records.len());
    }
}

#[test]
fn a_fleet_changes_at_60_s_and_at_120_s_and_nothing_is_lost() {
    let spec = world_of("own-peak-lo");
    let (first, at_60, at_120) = (ReplicaId(0), SimTime::from_secs(60), SimTime::from_secs(120));
    let (mut added, mut left_at, mut rentals, mut end) = (None, None, Vec::new(), SimTime::ZERO);
    let log = by_ticks(&spec, requests(3_000), |world, now| {
        if now == at_60 {
            added = Some(world.add_replica(PoolId(0), now));
        }
        if now == at_120 {
            assert!(world.under_way(first.into()) > 0, "there is something to drain");
            world.drain(first.into());
        }
        if left_at.is_none() && !world.is_here(first.into()) {
            left_at = Some(now);
        }
        (rentals, end) = (world.rentals().to_vec(), now);
    });
    let added = Place::Replica(added.expect("the clock passes 60 s"));
    assert_eq!(added, Place::Replica(ReplicaId(spec.pools[0].replicas)), "the next id");
    let indices: BTreeSet<u64> = log.ended.iter().copied().collect();
    assert_eq!((log.ended.len(), indices.len()), (3_000, 3_000), "nothing-lost: each request ends once");
    let at = |place: Place| log.attempts.iter().filter(move |a| a.1 == place);
    assert!(at(added).count() > 100 && at(added).all(|a| a.2 >= at_60), "the new replica serves, from 60 s on");
    let drained = Place::Replica(first);
    assert!(at(drained).all(|a| a.2 <= at_120), "the drained one takes nothing after 120 s");
    let last = at(drained).map(|a| a.3).max().unwrap();
    assert!(last > at_120 && left_at.is_some_and(|left| left >= last && left <= last + TICK), "{last:?} {left_at:?}");
    // Each is paid for while it is there, and the bill of them all is exact.
    let paid = |id: ReplicaId| *rentals.iter().find(|r| r.replica == id).unwrap();
    assert_eq!(rentals.len() as u32, spec.pools[0].replicas + 1, "one rental a replica");
    let (first, new) = (paid(first), paid(ReplicaId(spec.pools[0].replicas)));
    assert!(first.from == SimTime::ZERO && first.to.is_some_and(|to| to >= last && Some(to) <= left_at), "{first:?}");
    assert_eq!((new.from, new.to), (at_60, None));
    let gpus = u128::from(new.gpus);
    let others = u128::from(spec.pools[0].replicas - 1) * u128::from(end.0);
    let gpu_ns: u128 = rentals.iter().map(|r| r.gpu_ns(end)).sum();
    let left = first.to.map_or(0, |to| to.0);
    assert_eq!(gpu_ns, gpus * (others + u128::from(left) + u128::from(end.0 - at_60.0)));
    let line = rented_line("chat", gpu_ns, end, Usd::parse("2").unwrap()).unwrap().usd_per_month;
    let steady = gpu_line("chat", spec.pools[0].replicas, new.gpus, Usd::parse("2").unwrap()).usd_per_month;
    let more = i128::from(end.0 - at_60.0) - i128::from(end.0 - left);
    assert_eq!((line > steady, line < steady), (more > 0, more < 0), "{line:?} {steady:?}");
    // Both answer in full what they were sent: every token of every attempt is in the gaps, or is a first one.
    let tokens: u64 = log.attempts.iter().map(|a| u64::from(a.4)).sum();
    let firsts = log.attempts.iter().filter(|a| a.4 > 0).count() as u64;
    assert_eq!(log.gaps.values().sum::<u64>() + firsts, tokens, "tokens-conserved");
}
