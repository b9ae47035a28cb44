//! Routing policies: which backend gets the request.
//!
//! Own replicas first by a balancing rule, endpoints for what own replicas may not serve, and the two hybrids:
//! overflow (buy when the own queue is long) and cost-aware (cheapest that is predicted to meet the SLO).
use super::prefix::PrefixIndex;
use super::{EndpointView, Signals};
use crate::types::{RequestView, SimTime};

/// How a policy picks.
#[derive(Debug, Clone, PartialEq)]
pub enum Routing {
    /// Own replicas in turn.
    RoundRobin,
    /// The own replica with the fewest requests sent and not ended; ties to the lowest index.
    LeastOutstanding,
    /// The own replica that was sent the longest prefix of the prompt last, unless the match is short or the fleet out of
    /// balance; then the least outstanding (the rule of SGLang's `cache_aware`, spec/routers.md 3.1).
    PrefixAffinity {
        /// Share of the prompt that must match, millionths; exactly that share is no match.
        min_match_ppm: u64,
        /// Out of balance: the most outstanding is over the least by more than this,
        balance_abs: u32,
        /// and by more than this factor, thousandths.
        balance_rel_milli: u64,
    },
    /// Least outstanding, until the own pools are full; then to one endpoint.
    Overflow {
        /// Index of the endpoint that takes the overflow.
        to: u32,
        /// Mean scraped waiting requests a replica at which overflow begins, thousandths.
        waiting_per_replica_milli: u64,
        /// Mean scraped KV use at which overflow begins, millionths.
        kv_use_ppm: u64,
        /// Overflow ends below both thresholds times `1 - hysteresis`, thousandths.
        hysteresis_milli: u64,
    },
    /// The cheapest marginal cost among those predicted to meet the TTFT objective, else the fastest.
    CostAware {
        /// The objective; `SimTime::NEVER` when the experiment has none.
        ttft: SimTime,
    },
}

/// What a policy reads beside who is there; the gateway keeps nothing that its policy does not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Scraped loads.
    pub loads: bool,
    /// Predicted TTFTs of own replicas.
    pub predictions: bool,
    /// Endpoints even where an own replica is ready.
    pub endpoints: bool,
}

impl Routing {
    /// What it reads.
    pub fn needs(&self) -> Needs {
        let overflow = matches!(self, Routing::Overflow { .. });
        let cost_aware = matches!(self, Routing::CostAware { .. });
        Needs { loads: overflow, predictions: cost_aware, endpoints: overflow || cost_aware }
    }
}

/// Whom a request may go to: what the constraints left.
pub struct Candidates<'a> {
    /// The request.
    pub request: RequestView<'a>,
    /// Own replicas that are ready, in index order.
    pub own: &'a [u32],
    /// Whether an own replica that may serve it exists but is not ready.
    pub own_later: bool,
    /// Endpoints in file order; left out where an own replica is ready and the policy does not need them.
    pub bought: &'a [EndpointView],
    /// What is known of own replicas.
    pub signals: &'a dyn Signals,
}

/// Where the request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// To this replica.
    Replica(u32),
    /// To this endpoint.
    Endpoint(u32),
    /// Nobody is ready now, but a replica that may serve it will be.
    Wait,
    /// No backend of this policy may ever serve it.
    Reject,
}

/// A policy's state: the rotation, the overflow's hysteresis, the prefixes sent.
#[derive(Debug, Clone)]
pub struct Policy {
    routing: Routing,
    turn: u64,
    overflowing: bool,
    prefixes: PrefixIndex,
}

impl Policy {
    /// A fresh policy.
    pub fn new(routing: Routing) -> Policy {
        Policy { routing, turn: 0, overflowing: false, prefixes: PrefixIndex::default() }
    }

    /// Decides.
    pub fn decide(&mut self, c: &Candidates<'_>) -> Decision {
        if c.own.is_empty() {
            let cheapest = c.bought.iter().min_by_key(|e| (e.expected_cost_pico, e.endpoint));
            return match cheapest {
                Some(e) => Decision::Endpoint(e.endpoint),
                None if c.own_later => Decision::Wait,
                None => Decision::Reject,
            };
        }
        match self.routing {
            Routing::RoundRobin => {
                let pick = c.own[(self.turn % c.own.len() as u64) as usize];
                self.turn += 1;
                Decision::Replica(pick)
            }
            Routing::LeastOutstanding => Decision::Replica(least_outstanding(c)),
            Routing::PrefixAffinity { min_match_ppm, balance_abs, balance_rel_milli } => {
                self.prefix_affinity(c, min_match_ppm, balance_abs, balance_rel_milli)
            }
            Routing::Overflow { to, waiting_per_replica_milli, kv_use_ppm, hysteresis_milli } => {
                let n = c.own.len() as u64;
                let (mut waiting, mut kv_ppm) = (0, 0);
                for &replica in c.own {
                    let load = c.signals.load(replica);
                    waiting += u64::from(load.waiting);
                    kv_ppm += u64::from(load.kv_use_ppm());
                }
                let (waiting_milli, kv_ppm) = (waiting * 1000 / n, kv_ppm / n);
                let keep = if self.overflowing { 1000 - hysteresis_milli.min(1000) } else { 1000 };
                self.overflowing =
                    waiting_milli * 1000 >= waiting_per_replica_milli * keep || kv_ppm * 1000 >= kv_use_ppm * keep;
                match c.bought.iter().find(|e| e.endpoint == to) {
                    Some(e) if self.overflowing => Decision::Endpoint(e.endpoint),
                    _ => Decision::Replica(least_outstanding(c)),
                }
            }
            Routing::CostAware { ttft } => cost_aware(c, ttft),
        }
    }

    fn prefix_affinity(&mut self, c: &Candidates<'_>, min_match_ppm: u64, abs: u32, rel_milli: u64) -> Decision {
        let outstanding = c.signals.outstanding();
        let loads = c.own.iter().map(|&r| outstanding[r as usize]);
        let (most, least) = (loads.clone().max().unwrap_or(0), loads.min().unwrap_or(0));
        let balanced = most - least <= abs || u64::from(most) * 1000 <= u64::from(least) * rel_milli;
        let known = self.prefixes.longest(c.request.content);
        let prompt = u64::from(c.request.prompt_tokens);
        let hit = known.filter(|&(replica, tokens)| {
            balanced && u64::from(tokens) * 1_000_000 > min_match_ppm * prompt && c.own.binary_search(&replica).is_ok()
        });
        let pick = hit.map_or_else(|| least_outstanding(c), |(replica, _)| replica);
        self.prefixes.sent(pick);
        Decision::Replica(pick)
    }
}

/// The own replica with the fewest requests sent and not ended, the lowest index among equals.
fn least_outstanding(c: &Candidates<'_>) -> u32 {
    let outstanding = c.signals.outstanding();
    let mut best = (u32::MAX, u32::MAX);
    for &replica in c.own {
        best = best.min((outstanding[replica as usize], replica));
    }
    best.1
}

fn cost_aware(c: &Candidates<'_>, ttft: SimTime) -> Decision {
    let own = c.own.iter().map(|&r| (c.signals.predicted_ttft(r), r)).min();
    let (own_ttft, replica) = own.expect("candidates-not-empty: own replicas were asked for");
    // Rent is paid whether used or not: an own replica's marginal cost is zero.
    if own_ttft <= ttft {
        return Decision::Replica(replica);
    }
    let in_time = c.bought.iter().filter(|e| e.ttft_p90 <= ttft);
    if let Some(e) = in_time.min_by_key(|e| (e.expected_cost_pico, e.endpoint)) {
        return Decision::Endpoint(e.endpoint);
    }
    match c.bought.iter().min_by_key(|e| (e.ttft_p90, e.endpoint)) {
        Some(e) if e.ttft_p90 < own_ttft => Decision::Endpoint(e.endpoint),
        _ => Decision::Replica(replica),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ClassSpec, Content, ContentId, Load, NO_SESSION, Run};

    /// (outstanding, waiting, predicted TTFT in seconds) by replica.
    #[derive(Default)]
    struct Fleet {
        own: Vec<u32>,
        outstanding: Vec<u32>,
        waiting: Vec<u32>,
        ttft_s: Vec<u64>,
    }
    impl Signals for Fleet {
        fn outstanding(&self) -> &[u32] {
            &self.outstanding
        }
        fn load(&self, replica: u32) -> Load {
            Load { waiting: self.waiting[replica as usize], ..Load::default() }
        }
        fn predicted_ttft(&self, replica: u32) -> SimTime {
            SimTime::from_secs(self.ttft_s[replica as usize])
        }
    }
    fn fleet(replicas: &[(u32, u32, u64)]) -> Fleet {
        Fleet {
            own: (0..replicas.len() as u32).collect(),
            outstanding: replicas.iter().map(|r| r.0).collect(),
            waiting: replicas.iter().map(|r| r.1).collect(),
            ttft_s: replicas.iter().map(|r| r.2).collect(),
        }
    }
    fn endpoint(endpoint: u32, ttft_s: u64, cost: i128) -> EndpointView {
        EndpointView { endpoint, ttft_p90: SimTime::from_secs(ttft_s), expected_cost_pico: cost }
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
            content,
        };
        p.decide(&Candidates { request, own: &own.own, own_later, bought, signals: own })
    }
    fn decide(p: &mut Policy, own: &Fleet, bought: &[EndpointView], own_later: bool) -> Decision {
        ask(p, own, bought, own_later, &Content::private(0, 10))
    }

    #[test]
    fn round_robin_takes_turns_and_least_outstanding_ties_low() {
        let own = fleet(&[(3, 0, 0), (1, 0, 0), (1, 0, 0)]);
        let mut rr = Policy::new(Routing::RoundRobin);
        let picks: Vec<_> = (0..4).map(|_| decide(&mut rr, &own, &[], false)).collect();
        assert_eq!(picks, [0, 1, 2, 0].map(Decision::Replica));
        assert_eq!(decide(&mut Policy::new(Routing::LeastOutstanding), &own, &[], false), Decision::Replica(1));
    }

    #[test]
    fn without_own_replicas_the_cheapest_endpoint_serves_or_nobody_does() {
        let mut p = Policy::new(Routing::LeastOutstanding);
        let none = fleet(&[]);
        assert_eq!(decide(&mut p, &none, &[endpoint(0, 1, 9), endpoint(1, 9, 2)], true), Decision::Endpoint(1));
        assert_eq!(decide(&mut p, &none, &[], true), Decision::Wait);
        assert_eq!(decide(&mut p, &none, &[], false), Decision::Reject);
    }

    #[test]
    fn overflow_begins_at_the_threshold_and_ends_below_the_hysteresis() {
        let routing =
            Routing::Overflow { to: 1, waiting_per_replica_milli: 8_000, kv_use_ppm: 950_000, hysteresis_milli: 250 };
        let mut p = Policy::new(routing);
        let bought = [endpoint(0, 1, 1), endpoint(1, 1, 5)];
        let mut at = |waiting| decide(&mut p, &fleet(&[(0, waiting, 0)]), &bought, false);
        assert_eq!(at(7), Decision::Replica(0));
        assert_eq!(at(8), Decision::Endpoint(1));
        assert_eq!(at(6), Decision::Endpoint(1), "6 is not below 8 x 0.75");
        assert_eq!(at(5), Decision::Replica(0));
        assert_eq!(decide(&mut p, &fleet(&[(0, 9, 0)]), &[], false), Decision::Replica(0), "nowhere to buy");
    }

    #[test]
    fn cost_aware_prefers_sunk_rent_then_cheap_then_fast() {
        let mut p = Policy::new(Routing::CostAware { ttft: SimTime::from_secs(2) });
        let bought = [endpoint(0, 1, 9), endpoint(1, 2, 3), endpoint(2, 5, 1)];
        let own = |ttft_s| fleet(&[(0, 0, ttft_s)]);
        assert_eq!(decide(&mut p, &own(2), &bought, false), Decision::Replica(0));
        assert_eq!(decide(&mut p, &own(3), &bought, false), Decision::Endpoint(1));
        assert_eq!(decide(&mut p, &own(3), &bought[2..], false), Decision::Replica(0));
        assert_eq!(decide(&mut p, &own(7), &bought[2..], false), Decision::Endpoint(2));
    }

    #[test]
    fn prefix_affinity_follows_the_prefix_while_the_fleet_is_in_balance() {
        let routing = Routing::PrefixAffinity { min_match_ppm: 300_000, balance_abs: 64, balance_rel_milli: 1_500 };
        let mut p = Policy::new(routing);
        let prompt = |tail: u64, len| {
            let run = |id, len| Run { id: ContentId::Named(id), start: 0, len };
            Content::from([run(1, 300), run(tail, len)])
        };
        let mut go = |loads: &[u32], content: &Content| {
            let own: Vec<_> = loads.iter().map(|&l| (l, 0, 0)).collect();
            ask(&mut p, &fleet(&own), &[], false, content)
        };
        assert_eq!(go(&[3, 1, 2], &prompt(2, 300)), Decision::Replica(1), "nothing is known: least outstanding");
        assert_eq!(go(&[0, 50, 2], &prompt(3, 300)), Decision::Replica(1), "half of it was sent there");
        assert_eq!(go(&[0, 50, 2], &prompt(4, 700)), Decision::Replica(0), "exactly 0.3 is not a hit");
        assert_eq!(go(&[70, 2, 2], &prompt(4, 700)), Decision::Replica(1), "68 > 64 and 70 > 3: out of balance");
        assert_eq!(go(&[66, 2, 66], &prompt(2, 300)), Decision::Replica(1), "64 is not over 64: by its prefix");
        assert_eq!(go(&[200, 140, 140], &prompt(2, 300)), Decision::Replica(1), "60 is not over 64");
    }
}
