//! Routing policies: which backend gets the request.
//!
//! Own replicas first by a balancing rule, endpoints for what own replicas may not serve, and the two hybrids:
//! overflow (buy when the own queue is long) and cost-aware (cheapest that is predicted to meet the SLO).
use super::{EndpointView, GatewayView};
use crate::types::SimTime;

/// How a policy picks.
#[derive(Debug, Clone, PartialEq)]
pub enum Routing {
    /// Own replicas in turn.
    RoundRobin,
    /// The own replica with the fewest requests sent and not ended; ties to the lowest index.
    LeastOutstanding,
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

/// A policy's state: the rotation and the overflow's hysteresis.
#[derive(Debug, Clone)]
pub struct Policy {
    routing: Routing,
    turn: u64,
    overflowing: bool,
}

impl Policy {
    /// A fresh policy.
    pub fn new(routing: Routing) -> Policy {
        Policy { routing, turn: 0, overflowing: false }
    }

    /// Decides among allowed candidates (replicas in index order, endpoints in file order). `own_later` says that a
    /// replica which may serve the request exists but is not ready.
    pub fn decide(&mut self, own: &[GatewayView], bought: &[EndpointView], own_later: bool) -> Decision {
        let cheapest = bought.iter().min_by_key(|e| (e.expected_cost_pico, e.endpoint));
        if own.is_empty() {
            return match cheapest {
                Some(e) => Decision::Endpoint(e.endpoint),
                None if own_later => Decision::Wait,
                None => Decision::Reject,
            };
        }
        let least = own.iter().min_by_key(|r| (r.outstanding, r.replica)).map_or(0, |r| r.replica);
        match self.routing {
            Routing::RoundRobin => {
                let pick = own[(self.turn % own.len() as u64) as usize].replica;
                self.turn += 1;
                Decision::Replica(pick)
            }
            Routing::LeastOutstanding => Decision::Replica(least),
            Routing::Overflow { to, waiting_per_replica_milli, kv_use_ppm, hysteresis_milli } => {
                let n = own.len() as u64;
                let waiting_milli = own.iter().map(|r| u64::from(r.load.waiting)).sum::<u64>() * 1000 / n;
                let kv_ppm = own.iter().map(|r| u64::from(r.load.kv_use_ppm())).sum::<u64>() / n;
                let keep = if self.overflowing { 1000 - hysteresis_milli.min(1000) } else { 1000 };
                self.overflowing =
                    waiting_milli * 1000 >= waiting_per_replica_milli * keep || kv_ppm * 1000 >= kv_use_ppm * keep;
                match bought.iter().find(|e| e.endpoint == to) {
                    Some(e) if self.overflowing => Decision::Endpoint(e.endpoint),
                    _ => Decision::Replica(least),
                }
            }
            Routing::CostAware { ttft } => {
                let own_best = own.iter().min_by_key(|r| (r.predicted_ttft, r.replica));
                let own_best = own_best.map_or((SimTime::NEVER, least), |r| (r.predicted_ttft, r.replica));
                // Rent is paid whether used or not: an own replica's marginal cost is zero.
                if own_best.0 <= ttft {
                    return Decision::Replica(own_best.1);
                }
                let in_time = bought.iter().filter(|e| e.ttft_p90 <= ttft);
                if let Some(e) = in_time.min_by_key(|e| (e.expected_cost_pico, e.endpoint)) {
                    return Decision::Endpoint(e.endpoint);
                }
                match bought.iter().min_by_key(|e| (e.ttft_p90, e.endpoint)) {
                    Some(e) if e.ttft_p90 < own_best.0 => Decision::Endpoint(e.endpoint),
                    _ => Decision::Replica(own_best.1),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Load;

    fn replica(replica: u32, outstanding: u32, waiting: u32, ttft_s: u64) -> GatewayView {
        GatewayView {
            replica,
            pool: 0,
            outstanding,
            unanswered_prompt_tokens: 0,
            load: Load { waiting, ..Load::default() },
            predicted_ttft: SimTime::from_secs(ttft_s),
        }
    }
    fn endpoint(endpoint: u32, ttft_s: u64, cost: i128) -> EndpointView {
        EndpointView { endpoint, ttft_p90: SimTime::from_secs(ttft_s), expected_cost_pico: cost }
    }

    #[test]
    fn round_robin_takes_turns_and_least_outstanding_ties_low() {
        let own = [replica(0, 3, 0, 0), replica(1, 1, 0, 0), replica(2, 1, 0, 0)];
        let mut rr = Policy::new(Routing::RoundRobin);
        let picks: Vec<_> = (0..4).map(|_| rr.decide(&own, &[], false)).collect();
        assert_eq!(picks, [0, 1, 2, 0].map(Decision::Replica));
        assert_eq!(Policy::new(Routing::LeastOutstanding).decide(&own, &[], false), Decision::Replica(1));
    }

    #[test]
    fn without_own_replicas_the_cheapest_endpoint_serves_or_nobody_does() {
        let mut p = Policy::new(Routing::LeastOutstanding);
        assert_eq!(p.decide(&[], &[endpoint(0, 1, 9), endpoint(1, 9, 2)], true), Decision::Endpoint(1));
        assert_eq!(p.decide(&[], &[], true), Decision::Wait);
        assert_eq!(p.decide(&[], &[], false), Decision::Reject);
    }

    #[test]
    fn overflow_begins_at_the_threshold_and_ends_below_the_hysteresis() {
        let routing =
            Routing::Overflow { to: 1, waiting_per_replica_milli: 8_000, kv_use_ppm: 950_000, hysteresis_milli: 250 };
        let mut p = Policy::new(routing);
        let bought = [endpoint(0, 1, 1), endpoint(1, 1, 5)];
        let mut at = |waiting| p.decide(&[replica(0, 0, waiting, 0)], &bought, false);
        assert_eq!(at(7), Decision::Replica(0));
        assert_eq!(at(8), Decision::Endpoint(1));
        assert_eq!(at(6), Decision::Endpoint(1), "6 is not below 8 x 0.75");
        assert_eq!(at(5), Decision::Replica(0));
        assert_eq!(p.decide(&[replica(0, 0, 9, 0)], &[], false), Decision::Replica(0), "nowhere to buy");
    }

    #[test]
    fn cost_aware_prefers_sunk_rent_then_cheap_then_fast() {
        let mut p = Policy::new(Routing::CostAware { ttft: SimTime::from_secs(2) });
        let bought = [endpoint(0, 1, 9), endpoint(1, 2, 3), endpoint(2, 5, 1)];
        assert_eq!(p.decide(&[replica(0, 0, 0, 2)], &bought, false), Decision::Replica(0));
        assert_eq!(p.decide(&[replica(0, 0, 0, 3)], &bought, false), Decision::Endpoint(1));
        assert_eq!(p.decide(&[replica(0, 0, 0, 3)], &bought[2..], false), Decision::Replica(0));
        assert_eq!(p.decide(&[replica(0, 0, 0, 7)], &bought[2..], false), Decision::Endpoint(2));
    }
}
