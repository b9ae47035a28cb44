//! A world driven from outside: a clock that ticks every 100 ms hands in what has arrived, looks at what came out, and keeps
//! a fleet of its own size. An emulator in real time would sleep between ticks; this one does not.
//!
//!     cargo run --no-default-features --example step_by_step
use baseload::economics::rented_line;
use baseload::engine::EngineMode;
use baseload::experiment::Experiment;
use baseload::sim::{Effects, World, WorldEffect};
use baseload::types::{ClassSpec, Content, NO_SESSION, Outcome, PoolId, ReplicaId, Request, SimTime, Usd};
use std::error::Error;
use std::path::Path;

const TICK: SimTime = SimTime::from_millis(100);
/// A new replica loads its weights for so long.
const COLD_START: SimTime = SimTime::from_secs(20);

/// Five requests a second, twenty in the second minute, five again in the third.
fn traffic() -> impl Iterator<Item = Request> {
    let mut at_ms = 0;
    let requests = (0..).map(move |index| {
        at_ms += if (60_000..120_000).contains(&at_ms) { 50 } else { 200 };
        Request {
            index,
            arrival: SimTime::from_millis(at_ms),
            tenant: 0,
            session: NO_SESSION,
            class: 0,
            prompt_tokens: 500,
            output_tokens: 150,
            max_output_tokens: 150,
            priority: 0,
            content: Content::private(index, 500),
        }
    });
    requests.take_while(|r| r.arrival < SimTime::from_secs(180))
}

/// What a run comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    completed: u64,
    most_replicas: usize,
    left: usize,
    rent_usd_per_month: Usd,
}

fn run() -> Result<Seen, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/quickstart.toml");
    let experiment = Experiment::load(&path)?;
    let policy = experiment.policies.iter().find(|p| p.name == "own-mean").ok_or("no such policy")?;
    let mut spec = experiment.world(policy, 0, EngineMode::default());
    spec.pools[0].replicas = 1;
    // Nothing is bought: all requests are of one class, which the pool may serve.
    spec.classes = vec![(ClassSpec::default(), 1_000_000)];
    let mut world = World::new(&spec);
    let (mut seen, mut fleet, mut clock) = (Seen::default(), vec![ReplicaId(0)], SimTime::ZERO);
    let (mut traffic, mut effects) = (traffic().peekable(), Effects::default());
    while traffic.peek().is_some() || world.in_flight() > 0 {
        clock += TICK;
        while let Some(request) = traffic.next_if(|r| r.arrival <= clock) {
            world.advance(request.arrival)?;
            world.arrive(request);
        }
        world.advance(clock)?;
        world.effects(&mut effects);
        for effect in &effects.list {
            match effect {
                WorldEffect::Request(r) => seen.completed += u64::from(r.outcome == Outcome::Completed),
                WorldEffect::Left { .. } => seen.left += 1,
                WorldEffect::FirstToken { .. } | WorldEffect::Attempt(_) | WorldEffect::Series(_) => {}
            }
        }
        // A fleet of the size that the load wants, by a rule of thumb: 16 to 64 requests a replica, at most eight replicas.
        let in_flight = world.in_flight() as usize;
        if in_flight.div_ceil(64).min(8) > fleet.len() {
            fleet.push(world.add_replica(PoolId(0), world.now() + COLD_START));
            println!("{:>6.1} s: {in_flight} in flight, replica {} is added", clock.as_secs_f64(), fleet.len());
        } else if in_flight.div_ceil(16).max(1) < fleet.len()
            && let Some(last) = fleet.pop()
        {
            world.drain(last.into());
            println!("{:>6.1} s: {in_flight} in flight, one is drained", clock.as_secs_f64());
        }
        seen.most_replicas = seen.most_replicas.max(fleet.len());
    }
    assert_eq!(seen.completed, world.arrived(), "every request ends, and here all are answered");
    // Replicas are paid from when they are added until they have left.
    let gpu_ns = world.rentals().iter().map(|rental| rental.gpu_ns(clock)).sum();
    seen.rent_usd_per_month = rented_line("chat", gpu_ns, clock, experiment.pools[0].rent())?.usd_per_month;
    Ok(seen)
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("{:?}", run()?);
    Ok(())
}

#[test]
fn the_fleet_follows_the_load_and_every_run_is_the_same() {
    let seen = run().expect("it makes progress");
    assert_eq!(seen, run().expect("it makes progress"));
    assert!(seen.most_replicas > 2 && seen.left >= seen.most_replicas - 1, "{seen:?}");
    assert!(seen.rent_usd_per_month > Usd::ZERO, "{seen:?}");
}
