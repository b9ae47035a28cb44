//! The oldest policies, made of parts, by hand.
use super::*;
use crate::gateway::testing::{to_endpoint, to_replica};
use crate::gateway::{Overflow, Picker, PrefixRule, Signals};
use crate::types::{
    ClassSpec, Content, ContentId, EndpointId, IdMap, Load, NO_SESSION, PlaceId, PoolId, RequestView, Run,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Every fleet is a new scrape.
static SCRAPES: AtomicU64 = AtomicU64::new(1);

/// (outstanding, waiting, predicted TTFT in seconds) by replica.
#[derive(Default)]
struct Fleet {
    own: Vec<ReplicaId>,
    outstanding: IdMap<ReplicaId, u32>,
    waiting: IdMap<ReplicaId, u32>,
    ttft_s: IdMap<ReplicaId, u64>,
    sampled_at: SimTime,
}
impl Signals for Fleet {
    fn outstanding(&self) -> &IdMap<ReplicaId, u32> {
        &self.outstanding
    }
    fn load(&self, replica: ReplicaId) -> Load {
        Load { waiting: self.waiting[replica], ..Load::default() }
    }
    fn predicted_ttft(&self, replica: ReplicaId) -> SimTime {
        SimTime::from_secs(self.ttft_s[replica])
    }
    fn sampled_at(&self) -> SimTime {
        self.sampled_at
    }
    fn unanswered_tokens(&self, _: ReplicaId) -> u64 {
        0
    }
    fn pool_of(&self, _: ReplicaId) -> PoolId {
        PoolId(0)
    }
}
fn fleet(replicas: &[(u32, u32, u64)]) -> Fleet {
    Fleet {
        own: (0..replicas.len()).map(ReplicaId::nth).collect(),
        outstanding: replicas.iter().map(|r| r.0).collect(),
        waiting: replicas.iter().map(|r| r.1).collect(),
        ttft_s: replicas.iter().map(|r| r.2).collect(),
        sampled_at: SimTime(SCRAPES.fetch_add(1, Ordering::Relaxed)),
    }
}
fn endpoint(endpoint: u32, ttft_s: u64, cost: i128) -> EndpointView {
    EndpointView {
        endpoint: EndpointId(endpoint),
        ttft_p90: SimTime::from_secs(ttft_s),
        expected_cost_pico: cost,
        requests_per_minute: None,
        input_tokens_per_minute: None,
    }
}
fn ask(p: &mut Policy, own: &Fleet, bought: &[EndpointView], own_later: bool, content: &Content) -> Decision {
    let class = ClassSpec::default();
    let request = RequestView {
        index: 0,
        arrival: SimTime::ZERO,
        tenant: 0,
        session: NO_SESSION,
        class: &class,
        prompt_tokens: content.tokens() as u32,
        max_output_tokens: 5,
        priority: 0,
        content,
    };
    let now = SimTime::ZERO;
    let view = GatewayView { now, request, try_number: 0, own: &own.own, own_later, bought, signals: own };
    p.decide(&view, &mut Draws::new(0, 0, 0, 0))
}
fn round_robin() -> Pipeline {
    Pipeline { scoring: Scoring { scorers: vec![], picker: Picker::RoundRobin }, ..Pipeline::default() }
}
fn rule(when: Vec<Condition>, to: Destination) -> Rule {
    Rule { when, to, scoring: None, within_limits: false }
}
fn decide(p: &mut Policy, own: &Fleet, bought: &[EndpointView], own_later: bool) -> Decision {
    ask(p, own, bought, own_later, &Content::private(0, 10))
}

#[test]
fn round_robin_takes_turns_and_least_outstanding_ties_low() {
    let own = fleet(&[(3, 0, 0), (1, 0, 0), (1, 0, 0)]);
    let mut rr = Policy::new(round_robin());
    let picks: Vec<_> = (0..4).map(|_| decide(&mut rr, &own, &[], false)).collect();
    assert_eq!(picks, [0, 1, 2, 0].map(to_replica));
    assert_eq!(decide(&mut Policy::new(Pipeline::best(Scorer::Outstanding)), &own, &[], false), to_replica(1));
}

#[test]
fn without_own_replicas_the_cheapest_endpoint_serves_or_nobody_does() {
    let mut p = Policy::new(Pipeline::best(Scorer::Outstanding));
    let none = fleet(&[]);
    assert_eq!(decide(&mut p, &none, &[endpoint(0, 1, 9), endpoint(1, 9, 2)], true), to_endpoint(1));
    assert_eq!(decide(&mut p, &none, &[], true), Decision::Wait);
    assert_eq!(decide(&mut p, &none, &[], false), Decision::Reject);
}

#[test]
fn overflow_begins_at_the_threshold_and_ends_below_the_hysteresis() {
    let full = Condition::Overflow(Overflow {
        waiting_per_replica_milli: Some(8_000),
        kv_use_ppm: Some(950_000),
        predicted_ttft: None,
        hysteresis_milli: 250,
    });
    let rules = vec![rule(vec![full], Destination::Endpoint(EndpointId(1)))];
    let mut p = Policy::new(Pipeline { rules, ..Pipeline::best(Scorer::Outstanding) });
    let bought = [endpoint(0, 1, 1), endpoint(1, 1, 5)];
    let mut at = |waiting| decide(&mut p, &fleet(&[(0, waiting, 0)]), &bought, false);
    assert_eq!(at(7), to_replica(0));
    assert_eq!(at(8), to_endpoint(1));
    assert_eq!(at(6), to_endpoint(1), "6 is not below 8 x 0.75");
    assert_eq!(at(5), to_replica(0));
    assert_eq!(decide(&mut p, &fleet(&[(0, 9, 0)]), &[], false), to_replica(0), "nowhere to buy");
}

#[test]
fn cost_aware_prefers_sunk_rent_then_cheap_then_fast() {
    let ttft = SimTime::from_secs(2);
    let rules = vec![
        rule(vec![Condition::PredictedWithin(ttft)], Destination::Own),
        rule(vec![], Destination::Cheapest(ttft)),
        rule(vec![Condition::EndpointFaster], Destination::Fastest),
    ];
    let mut p = Policy::new(Pipeline { rules, ..Pipeline::best(Scorer::PredictedTtft) });
    let bought = [endpoint(0, 1, 9), endpoint(1, 2, 3), endpoint(2, 5, 1)];
    let own = |ttft_s| fleet(&[(0, 0, ttft_s)]);
    assert_eq!(decide(&mut p, &own(2), &bought, false), to_replica(0));
    assert_eq!(decide(&mut p, &own(3), &bought, false), to_endpoint(1));
    assert_eq!(decide(&mut p, &own(3), &bought[2..], false), to_replica(0));
    assert_eq!(decide(&mut p, &own(7), &bought[2..], false), to_endpoint(2));
}

#[test]
fn prefix_affinity_follows_the_prefix_while_the_fleet_is_in_balance() {
    let by_prefix = Scoring { scorers: vec![(Scorer::Prefix, 1.0)], picker: Picker::Max };
    let rules = vec![
        rule(vec![Condition::Imbalance { abs: 64, rel_milli: 1_500 }], Destination::Own),
        Rule { scoring: Some(by_prefix), ..rule(vec![Condition::PrefixHit { min_ppm: 300_000 }], Destination::Own) },
    ];
    let parts = Pipeline { rules, prefixes: PrefixRule::Tree, ..Pipeline::best(Scorer::Outstanding) };
    let mut p = Policy::new(parts);
    let prompt = |tail: u64, len| {
        let run = |id, len| Run { id: ContentId::Named(id), start: 0, len };
        Content::from([run(1, 300), run(tail, len)])
    };
    let mut go = |loads: &[u32], content: &Content| {
        let own: Vec<_> = loads.iter().map(|&l| (l, 0, 0)).collect();
        ask(&mut p, &fleet(&own), &[], false, content)
    };
    assert_eq!(go(&[3, 1, 2], &prompt(2, 300)), to_replica(1), "nothing is known: least outstanding");
    assert_eq!(go(&[0, 50, 2], &prompt(3, 300)), to_replica(1), "half of it was sent there");
    assert_eq!(go(&[0, 50, 2], &prompt(4, 700)), to_replica(0), "exactly 0.3 is not a hit");
    assert_eq!(go(&[70, 2, 2], &prompt(4, 700)), to_replica(1), "68 > 64 and 70 > 3: out of balance");
    assert_eq!(go(&[66, 2, 66], &prompt(2, 300)), to_replica(1), "64 is not over 64: by its prefix");
    assert_eq!(go(&[200, 140, 140], &prompt(2, 300)), to_replica(1), "60 is not over 64");
}
