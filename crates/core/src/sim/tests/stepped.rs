//! Worlds that are stepped from outside, and places that come and go in them.
use super::drawn::{PLACES, drawn_world, rules};
use super::*;
use proptest::prelude::*;

/// What is done to places: when, what, and to which of those that there are.
type Change = (SimTime, u8, usize);

/// Hands requests in and lets time go on by ticks of 10 ms, until all have ended; with `changes`, in the order of time.
fn step(spec: &WorldSpec, requests: Vec<Request>, changes: &[Change]) -> (Kept, Vec<(SimTime, Place)>, SimStats) {
    let mut world = World::new(spec);
    world.keep_series();
    let (mut kept, mut clock, mut drained) = (Kept::default(), SimTime::ZERO, Vec::new());
    let (mut requests, mut changes) = (requests.into_iter().peekable(), changes.iter().peekable());
    while requests.peek().is_some() || world.in_flight() > 0 {
        clock += ms(10);
        while let Some(request) = requests.next_if(|r| r.arrival <= clock) {
            if world.now() < request.arrival {
                world.advance(request.arrival).expect("it makes progress");
            }
            world.arrive(request);
            kept.take(&mut world);
        }
        world.advance(clock).expect("it makes progress");
        while let Some((_, kind, which)) = changes.next_if(|change| change.0 <= clock) {
            drained.extend(change(&mut world, *kind, *which).map(|place| (clock, place)));
        }
        kept.take(&mut world);
        assert!(clock < SimTime::from_secs(60), "nothing-lost: {} requests never end", world.in_flight());
    }
    let replicas = (0..20).map(ReplicaId).filter_map(|r| world.load_of(r));
    replicas
        .for_each(|load| assert_eq!((load.kv_used_blocks, load.running, load.waiting), (0, 0, 0), "blocks-conserved"));
    (kept, drained, world.stats())
}

/// Adds, drains or kills a place; which one takes nothing from now on.
fn change(world: &mut World<'_>, kind: u8, which: usize) -> Option<Place> {
    let soon = world.now() + ms(25);
    let at = Place::Replica(ReplicaId(which as u32 % 8));
    let endpoint = Place::Endpoint(EndpointId(which as u32 % 4));
    let here = |place: &Place| world.is_here(*place);
    let leaves =
        [at, endpoint].into_iter().zip([3..=4, 5..=6]).find(|(place, kinds)| kinds.contains(&kind) && here(place));
    match kind {
        0 => _ = world.add_replica(PoolId(which as u32 % 2), soon),
        1 => _ = world.add_replica(PoolId(which as u32 % 2), world.now()),
        2 => _ = world.add_endpoint(super::endpoint("late", 15, 0.0), soon),
        3 => world.drain(at),
        4 => world.kill(at),
        5 => world.drain(endpoint),
        _ => world.kill(endpoint),
    }
    leaves.map(|(place, _)| place)
}

fn place_of(record: &AttemptRecord) -> Place {
    record.replica.map_or(record.backend, Place::Replica)
}

fn asked() -> impl Strategy<Value = Vec<Request>> {
    proptest::collection::vec((0..40u64, 1..700u32, 1..60u32), 1..60).prop_map(|asked| {
        let mut at = SimTime::ZERO;
        let request = |(i, (gap, prompt, output)): (usize, (u64, u32, u32))| {
            at += ms(gap / 3);
            Request { class: u16::MAX, ..request(i as u64, at, prompt, output) }
        };
        asked.into_iter().enumerate().map(request).collect()
    })
}

proptest! {
    #[test]
    fn ticks_of_a_clock_from_outside_give_what_the_driver_gives(
        rules in rules(), deaths in any::<bool>(), errors in 0.0..0.9f64, requests in asked(),
    ) {
        let spec = drawn_world(&rules, deaths, errors, EngineMode::default());
        let (driven, of_driver) = run(&spec, requests.clone());
        let (stepped, _, of_steps) = step(&spec, requests, &[]);
        prop_assert_eq!(format!("{:?}", driven.attempts), format!("{:?}", stepped.attempts));
        prop_assert_eq!(format!("{:?}", driven.requests), format!("{:?}", stepped.requests));
        let rows = driven.series.len();
        prop_assert_eq!(format!("{:?}", driven.series), format!("{:?}", &stepped.series[..rows]));
        prop_assert_eq!((of_driver.retries, of_driver.ended), (of_steps.retries, of_steps.ended));
    }

    #[test]
    fn places_come_and_go_and_every_request_ends_once(
        rules in rules(), deaths in any::<bool>(), errors in 0.0..0.9f64, requests in asked(),
        mut changes in proptest::collection::vec(((0..600u64).prop_map(ms), 0..7u8, 0..8usize), 1..12),
    ) {
        changes.sort_unstable();
        let spec = drawn_world(&rules, deaths, errors, EngineMode::default());
        let (kept, drained, _) = step(&spec, requests.clone(), &changes);
        let slow = EngineMode { strides: false, reference_pool: true };
        let (again, _, _) = step(&drawn_world(&rules, deaths, errors, slow), requests.clone(), &changes);
        prop_assert_eq!(format!("{:?}", kept.attempts), format!("{:?}", again.attempts));
        prop_assert_eq!(format!("{:?}", kept.requests), format!("{:?}", again.requests));
        let mut ended: Vec<u64> = kept.requests.iter().map(|r| r.index).collect();
        ended.sort_unstable();
        prop_assert_eq!(ended, (0..requests.len() as u64).collect::<Vec<_>>());
        for (at, place) in drained {
            let after = kept.attempts.iter().find(|a| place_of(a) == place && a.sent > at);
            prop_assert!(after.is_none(), "{place:?} takes nothing after {at:?}: {after:?}");
        }
        let mut left = kept.left.clone();
        left.sort_unstable();
        left.dedup();
        prop_assert_eq!(left.len(), kept.left.len(), "who has left leaves once: {:?}", kept.left);
        for r in &kept.requests {
            let mine = kept.attempts.iter().filter(|a| a.request == r.index);
            prop_assert_eq!(mine.clone().count() as u32, r.attempts);
            prop_assert_eq!(mine.map(|a| a.cost).sum::<Usd>(), r.cost);
        }
    }
}

/// Two replicas of a pool that takes two requests at a time each.
fn fleet_of_two() -> WorldSpec {
    world(vec![pool("own", 2, 2, EngineMode::default())], vec![], Resilience::none())
}

#[test]
fn a_replica_that_is_added_serves_and_one_that_is_drained_ends_what_it_has_and_leaves() {
    let spec = fleet_of_two();
    let mut world = World::new(&spec);
    let mut kept = Kept::default();
    let (first, second) = (Place::Replica(ReplicaId(0)), Place::Replica(ReplicaId(1)));
    let third = world.add_replica(PoolId(0), ms(1_000));
    for i in 0..400 {
        let at = ms(i * 10);
        world.advance(at).unwrap();
        if at == ms(2_000) {
            world.drain(first);
            assert!(world.under_way(first) > 0 && world.is_here(first), "it ends what it has");
        }
        world.arrive(request(i, at, 50, 40));
        kept.take(&mut world);
    }
    while world.in_flight() > 0 {
        let next = world.next_event();
        world.advance(next).unwrap();
        kept.take(&mut world);
    }
    assert!(kept.requests.iter().all(|r| r.outcome == Outcome::Completed) && kept.requests.len() == 400);
    let sent = |place: Place| kept.attempts.iter().filter(move |a| place_of(a) == place).map(|a| a.sent);
    assert_eq!(third, ReplicaId(2));
    assert!(sent(third.into()).min() >= Some(ms(1_000)) && sent(third.into()).count() > 100);
    assert!(sent(first).max() < Some(ms(2_000)) && sent(second).max() > Some(ms(3_900)));
    assert_eq!((kept.left.as_slice(), world.is_here(first), world.load_of(ReplicaId(0))), (&[first][..], false, None));
    assert_eq!(world.load_of(third).map(|load| load.kv_used_blocks), Some(0));
    assert_eq!(world.add_replica(PoolId(0), world.now()), ReplicaId(3), "ids are given once");
}

#[test]
fn what_a_killed_replica_had_fails_at_once_and_who_waited_for_one_is_turned_away() {
    let mut spec = fleet_of_two();
    spec.pools[0].replicas = 1;
    let mut world = World::new(&spec);
    let mut kept = Kept::default();
    world.advance(ms(5)).unwrap();
    world.arrive(request(0, ms(5), 50, 400));
    world.advance(ms(50)).unwrap();
    world.kill(Place::Replica(ReplicaId(0)));
    kept.take(&mut world);
    assert_eq!(outcomes(&kept), [("failed", "replica_lost")]);
    assert_eq!((kept.requests[0].ended, kept.left.len()), (ms(50), 1));
    // One is on its way: who arrives waits for it, until that one is killed as well.
    let next = world.add_replica(PoolId(0), ms(500));
    world.arrive(request(1, ms(50), 50, 4));
    assert_eq!(world.in_flight(), 1);
    world.kill(next.into());
    world.arrive(request(2, ms(50), 50, 4));
    kept.take(&mut world);
    assert_eq!(outcomes(&kept)[1..], [("rejected", "constraint"); 2]);
    let last = world.add_replica(PoolId(0), ms(500));
    world.arrive(request(3, ms(50), 50, 4));
    world.advance(ms(600)).unwrap();
    kept.take(&mut world);
    assert_eq!((kept.requests[3].outcome, kept.attempts[1].replica), (Outcome::Completed, Some(last)));
    assert_eq!(kept.attempts[1].sent, ms(500));
}

#[test]
fn an_endpoint_that_comes_later_shares_the_account_that_it_names() {
    let mut first = endpoint("first", 10, 0.0);
    first.limits = Limits { requests_per_minute: Some(2), ..Limits::default() };
    let spec = world(vec![], vec![first.clone()], Resilience::none());
    let mut world = World::new(&spec);
    let mut kept = Kept::default();
    world.advance(ms(1)).unwrap();
    world.arrive(request(0, ms(1), 10, 1));
    let second = world.add_endpoint(EndpointSpec { name: "second".into(), ..first }, ms(1));
    world.drain(PLACES[2]);
    for i in 1..4 {
        world.arrive(request(i, ms(1), 10, 1));
    }
    world.advance(ms(100)).unwrap();
    kept.take(&mut world);
    let ends: Vec<_> = kept.attempts.iter().map(|a| (a.backend, a.outcome)).collect();
    let refused = (second.into(), Outcome::Failed);
    let answered = [(PLACES[2], Outcome::Completed), (second.into(), Outcome::Completed)];
    assert_eq!(ends, [refused, refused, answered[0], answered[1]]);
    assert_eq!((kept.left.as_slice(), world.is_here(PLACES[2])), (&[PLACES[2]][..], false));
}
