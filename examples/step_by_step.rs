//! A world driven from outside: a clock that ticks every 100 ms hands in what has arrived, looks at what came out, and keeps
//! a fleet of its own size. An emulator in real time would sleep between ticks; this one does not.
//!
//!     cargo run --no-default-features --example step_by_step
use baseload::catalog::Catalog;
use baseload::engine::{EngineMode, Engines};
use baseload::fleet::{LongestSequence, MemoryOptions, ReplicaSpec};
use baseload::gateway::{ASSUMED_PREFILL_TOKENS_PER_S, Resilience, Routing};
use baseload::sim::{Effects, PoolSpec, SimError, World, WorldEffect, WorldSpec};
use baseload::types::{
    BatchShape, ClassSpec, Content, DecodeLaw, Femtos, NO_SESSION, Outcome, PlaceMap, PoolId, ReplicaId, Request,
    SimTime, StepTime,
};
use std::sync::Arc;

const TICK: SimTime = SimTime::from_millis(100);
/// A new replica loads its weights for so long.
const COLD_START: SimTime = SimTime::from_secs(20);

/// A step of 10 ms, 20 microseconds more for each prompt token and row.
struct Steps;

impl StepTime for Steps {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let prefill: u64 = shape.prefill.iter().map(|c| u64::from(c.tokens)).sum();
        Femtos(u128::from(10_000 + 20 * (prefill + u64::from(shape.decode_rows))) * 1_000_000_000)
    }
    fn decode(&self, rows: u32, _: u64) -> DecodeLaw {
        DecodeLaw { base_fs: (10_000 + 20 * u64::from(rows)) * 1_000_000_000, per_ctx_fs: 0, until_ctx_sum: u64::MAX }
    }
}

/// One pool that starts with one replica of 16 sequences.
fn spec() -> WorldSpec {
    let section: toml::Table = toml::from_str("vllm = { max_num_seqs = 16 }").expect("a table");
    let engine = Engines::embedded().chosen(&section).expect("a known engine");
    let memory = MemoryOptions {
        num_blocks: Some(2_000),
        max_model_len: LongestSequence::Tokens(8_192),
        ..MemoryOptions::default()
    };
    let words = ReplicaSpec { memory, ..ReplicaSpec::new("llama-3.1-8b", "h100-sxm", engine) };
    let replica = words.resolve(Catalog::embedded()).expect("it fits").with_step_time(Arc::new(Steps));
    WorldSpec {
        seed: 1,
        replicate: 0,
        pools: vec![PoolSpec {
            name: "chat".into(),
            replicas: 1,
            replica: Arc::new(replica),
            mode: EngineMode::default(),
            assumed_prefill_tokens_per_s: ASSUMED_PREFILL_TOKENS_PER_S,
        }],
        endpoints: Vec::new(),
        routing: Routing::least_outstanding(),
        resilience: Resilience { timeout: SimTime::from_secs(600), ..Resilience::none() },
        scrape: (SimTime::from_secs(1), SimTime::ZERO),
        kv_event_delay: SimTime::ZERO,
        classes: vec![(ClassSpec::default(), 1_000_000)],
        failures: None,
        slo: [None; 3],
        sample_every: SimTime::from_secs(1),
        answers: PlaceMap::default(),
    }
}

/// Five requests a second, twenty in the second minute, five again in the third: (index, arrival).
fn traffic() -> impl Iterator<Item = (u64, SimTime)> {
    let mut at_ms = 0;
    let arrivals = (0..).map(move |index| {
        at_ms += if (60_000..120_000).contains(&at_ms) { 50 } else { 200 };
        (index, SimTime::from_millis(at_ms))
    });
    arrivals.take_while(|(_, at)| *at < SimTime::from_secs(180))
}

fn request(index: u64, arrival: SimTime) -> Request {
    Request {
        index,
        arrival,
        tenant: 0,
        session: NO_SESSION,
        class: 0,
        prompt_tokens: 500,
        output_tokens: 150,
        max_output_tokens: 150,
        priority: 0,
        content: Content::private(index, 500),
    }
}

/// What a run comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    completed: u64,
    first_tokens: u64,
    most_replicas: usize,
    left: usize,
}

fn run() -> Result<Seen, SimError> {
    let spec = spec();
    let mut world = World::new(&spec);
    let (mut seen, mut fleet, mut clock) = (Seen::default(), vec![ReplicaId(0)], SimTime::ZERO);
    let (mut traffic, mut effects) = (traffic().peekable(), Effects::default());
    while traffic.peek().is_some() || world.in_flight() > 0 {
        clock += TICK;
        while let Some((index, at)) = traffic.next_if(|(_, at)| *at <= clock) {
            world.advance(at)?;
            world.arrive(request(index, at));
        }
        world.advance(clock)?;
        world.effects(&mut effects);
        for effect in &effects.list {
            match effect {
                WorldEffect::FirstToken { .. } => seen.first_tokens += 1,
                WorldEffect::Request(r) => seen.completed += u64::from(r.outcome == Outcome::Completed),
                WorldEffect::Left { .. } => seen.left += 1,
                WorldEffect::Attempt(_) | WorldEffect::Series(_) => {}
            }
        }
        // A fleet of the size that the load wants, by a rule of thumb: at most twelve requests a replica, at least two.
        let wanted = (world.in_flight() as usize).div_ceil(12).clamp(1, 8);
        let fewest = (world.in_flight() as usize).div_ceil(2).max(1);
        if wanted > fleet.len() {
            fleet.push(world.add_replica(PoolId(0), world.now() + COLD_START));
            println!(
                "{:>6.1} s: {} in flight, replica {} is added",
                clock.as_secs_f64(),
                world.in_flight(),
                fleet.len()
            );
        } else if fewest < fleet.len()
            && let Some(last) = fleet.pop()
        {
            world.drain(last.into());
            println!("{:>6.1} s: {} in flight, one is drained", clock.as_secs_f64(), world.in_flight());
        }
        seen.most_replicas = seen.most_replicas.max(fleet.len());
    }
    assert_eq!(seen.completed, world.arrived(), "every request ends, and here all are answered");
    Ok(seen)
}

fn main() -> Result<(), SimError> {
    println!("{:?}", run()?);
    Ok(())
}

#[test]
fn the_fleet_follows_the_load_and_every_run_is_the_same() {
    let seen = run().expect("it makes progress");
    assert_eq!(seen, run().expect("it makes progress"));
    assert_eq!(seen.first_tokens, seen.completed);
    assert!(seen.most_replicas > 2 && seen.left >= seen.most_replicas - 1, "{seen:?}");
}
