//! What is bought: endpoints, and the accounts that they draw on.
use crate::api::{Endpoint, EndpointSpec, Limiter, Metered};
use crate::types::{AttemptId, Backend, Cancelled, EndpointId, Job, Outbox, Roster, SimTime, Stop, Usd};

/// An endpoint that is on offer, and the position of its account.
#[derive(Debug)]
struct Listing {
    endpoint: Endpoint,
    account: usize,
}

/// See the module head.
#[derive(Debug)]
pub struct Market {
    listings: Roster<EndpointId, Listing>,
    /// What accounts at providers have left of their limits, by name.
    accounts: Vec<(String, Limiter)>,
    seed: u64,
    replicate: u32,
    /// Billed at endpoints that have left.
    spent_at_left: Usd,
}

impl Market {
    /// A market without endpoints; their luck is drawn from `seed` and `replicate`.
    pub fn new(seed: u64, replicate: u32) -> Market {
        Market { listings: Roster::default(), accounts: Vec::new(), seed, replicate, spent_at_left: Usd::ZERO }
    }

    /// A new endpoint. One that names an account which is there already shares it, limits and all.
    pub fn add(&mut self, spec: EndpointSpec) -> EndpointId {
        let account = self.accounts.iter().position(|(name, _)| *name == spec.account).unwrap_or_else(|| {
            self.accounts.push((spec.account.clone(), Limiter::new(&spec.limits, &spec.squeezes)));
            self.accounts.len() - 1
        });
        self.listings.add(Listing { endpoint: Endpoint::new(spec, self.seed, self.replicate), account })
    }

    /// Whether an endpoint has not left.
    pub fn has(&self, id: EndpointId) -> bool {
        self.listings.get(id).is_some()
    }
    /// What is known of an endpoint.
    pub fn spec(&self, id: EndpointId) -> &EndpointSpec {
        self.listings[id].endpoint.spec()
    }

    fn metered(&mut self, id: EndpointId) -> Metered<'_> {
        let Listing { endpoint, account } = &mut self.listings[id];
        Metered { endpoint, account: &mut self.accounts[*account].1 }
    }

    /// Hands a job to an endpoint. When that has something to do next.
    pub fn submit(&mut self, id: EndpointId, job: Job, now: SimTime, out: &mut Outbox) -> SimTime {
        let mut endpoint = self.metered(id);
        endpoint.submit(job, now, out);
        endpoint.next_event()
    }

    /// Hangs up on an attempt; what it leaves, and when its endpoint has something to do next.
    pub fn cancel(
        &mut self,
        id: EndpointId,
        attempt: AttemptId,
        now: SimTime,
        out: &mut Outbox,
    ) -> (Cancelled, SimTime) {
        let mut endpoint = self.metered(id);
        let left = endpoint.cancel(attempt, now, out).unwrap_or_default();
        (left, endpoint.next_event())
    }

    /// Does what is due at an endpoint. When it has something to do next.
    pub fn advance(&mut self, id: EndpointId, now: SimTime, out: &mut Outbox) -> SimTime {
        let mut endpoint = self.metered(id);
        endpoint.advance(now, out);
        endpoint.next_event()
    }

    /// Takes jobs at an endpoint from now on.
    pub fn start(&mut self, id: EndpointId, now: SimTime) {
        self.metered(id).start(now);
    }

    /// Stops an endpoint: drained, it answers what it has and takes nothing more; killed, what it has fails at once. When it
    /// has something to do next.
    pub fn stop(&mut self, id: EndpointId, now: SimTime, how: Stop, out: &mut Outbox) -> SimTime {
        let mut endpoint = self.metered(id);
        endpoint.stop(now, how, out);
        endpoint.next_event()
    }

    /// An endpoint leaves for good.
    pub fn remove(&mut self, id: EndpointId) {
        let Listing { endpoint, .. } = self.listings.remove(id).expect("place-known: who leaves is here");
        assert_eq!(endpoint.in_flight(), 0, "nothing-lost: {id:?} leaves with calls in flight");
        self.spent_at_left += endpoint.spend();
    }

    /// Calls in flight at all endpoints.
    pub fn in_flight(&self) -> u32 {
        self.listings.iter().map(|(_, l)| l.endpoint.in_flight()).sum()
    }
    /// Billed so far.
    pub fn spend(&self) -> Usd {
        self.listings.iter().map(|(_, l)| l.endpoint.spend()).fold(self.spent_at_left, |sum, usd| sum + usd)
    }
}
