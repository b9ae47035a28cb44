//! The places that the gateway knows: which are ready, what it counts of what it sent there, what it measured.
use crate::gateway::{BackendFacts, PrefillRate, RollingTtft, allowed};
use crate::sim::PoolSpec;
use crate::types::{EndpointId, IdMap, Place, PlaceMap, PoolId, ReplicaId, RequestView, SimTime};

/// Whether a place is a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The place is a candidate now.
    Ready,
    /// The place will be a candidate: it is being started, or known to have failed.
    Later,
    /// Never again: it is drained, or has left.
    Leaving,
}

/// A replica, as the gateway knows it.
#[derive(Debug)]
pub struct KnownReplica {
    pub pool: PoolId,
    pub standing: Standing,
    /// Prompt tokens sent there and not answered.
    pub unanswered: u64,
}

/// An endpoint, as the gateway knows it.
#[derive(Debug)]
pub struct KnownEndpoint {
    pub facts: BackendFacts,
    pub standing: Standing,
    /// Times to the first token.
    pub ttft: RollingTtft,
}

/// Own replicas that are ready, of the pools in a set.
#[derive(Debug)]
pub struct ReadyList {
    pools: u64,
    pub replicas: Vec<ReplicaId>,
    /// Whether the pools have a replica that will be ready.
    pub later: bool,
}

/// See the module head. Ids are those of the fleet and the market, which give them.
#[derive(Debug, Default)]
pub struct Directory {
    pub replicas: IdMap<ReplicaId, KnownReplica>,
    pub endpoints: IdMap<EndpointId, KnownEndpoint>,
    /// Requests sent to a replica that have not ended.
    pub outstanding: IdMap<ReplicaId, u32>,
    /// Attempts under way, by pool and by endpoint.
    pub busy: PlaceMap<u32>,
    /// How fast pools were seen to prefill.
    pub rates: IdMap<PoolId, PrefillRate>,
    /// Replicas that have not left for good, in the order of their ids.
    present: Vec<ReplicaId>,
    /// Made when first asked for, and void when a replica's standing changes.
    lists: Vec<ReadyList>,
}

impl Directory {
    /// A directory of no place yet; pools are assumed to prefill at these rates.
    pub fn new(rates: IdMap<PoolId, PrefillRate>) -> Directory {
        Directory { rates, ..Directory::default() }
    }

    /// A replica has come.
    pub fn add_replica(&mut self, id: ReplicaId, pool: PoolId, standing: Standing) {
        let known = self.replicas.push(KnownReplica { pool, standing, unanswered: 0 });
        assert_eq!(known, id, "place-known: the fleet and the desk count alike");
        self.outstanding.push(0);
        self.present.push(id);
        self.lists.clear();
    }

    /// An endpoint has come.
    pub fn add_endpoint(&mut self, id: EndpointId, facts: BackendFacts, assumed: SimTime, standing: Standing) {
        let known = self.endpoints.push(KnownEndpoint { facts, standing, ttft: RollingTtft::new(assumed) });
        assert_eq!(known, id, "place-known: the market and the desk count alike");
    }

    /// Sets whether a replica or an endpoint is a candidate. Who is leaving never is again.
    pub fn set(&mut self, place: Place, standing: Standing) {
        let known = match place {
            Place::Replica(r) => &mut self.replicas[r].standing,
            Place::Endpoint(e) => &mut self.endpoints[e].standing,
            Place::Pool(_) => unreachable!("standing: a pool is as ready as its replicas"),
        };
        if *known != Standing::Leaving {
            *known = standing;
        }
        self.lists.clear();
    }

    /// A replica is listed no more.
    pub fn remove_replica(&mut self, id: ReplicaId) {
        self.present.retain(|r| *r != id);
        self.lists.clear();
    }

    /// The pool or endpoint that a replica or endpoint counts for.
    pub fn kind_of(&self, place: Place) -> Place {
        match place {
            Place::Replica(r) => self.replicas[r].pool.into(),
            place => place,
        }
    }

    /// Attempts under way at a pool or an endpoint.
    pub fn busy_at(&self, place: Place) -> u32 {
        self.busy.get(place).copied().unwrap_or(0)
    }

    /// Attempts under way at a replica or an endpoint.
    pub fn under_way(&self, place: Place) -> u32 {
        match place {
            Place::Replica(r) => self.outstanding[r],
            place => self.busy_at(place),
        }
    }

    /// The position of the list of ready replicas of the pools that may serve the request.
    pub fn ready_for(&mut self, request: &RequestView<'_>, pools: &[PoolSpec]) -> usize {
        let may = |(i, p): (usize, &PoolSpec)| u64::from(allowed(request, &p.replica.facts)) << i;
        let set = pools.iter().enumerate().map(may).fold(0, |set, pool| set | pool);
        if let Some(at) = self.lists.iter().position(|r| r.pools == set) {
            return at;
        }
        let replicas = &self.replicas;
        let of = |standing: Standing| {
            let is = move |r: &&ReplicaId| set >> replicas[**r].pool.0 & 1 == 1 && replicas[**r].standing == standing;
            self.present.iter().filter(is)
        };
        let list = ReadyList {
            pools: set,
            replicas: of(Standing::Ready).copied().collect(),
            later: of(Standing::Later).next().is_some(),
        };
        self.lists.push(list);
        self.lists.len() - 1
    }

    /// A list that `ready_for` has named.
    pub fn list(&mut self, at: usize) -> &mut ReadyList {
        &mut self.lists[at]
    }

    /// Whether a pool has a replica that is ready or will be.
    pub fn has_replicas(&self, pool: PoolId) -> bool {
        let mut all = self.present.iter().map(|r| &self.replicas[*r]);
        all.any(|r| r.pool == pool && r.standing != Standing::Leaving)
    }

    /// Whether a pool has a replica that will be ready.
    pub fn later_in(&self, pool: PoolId) -> bool {
        let mut all = self.present.iter().map(|r| &self.replicas[*r]);
        all.any(|r| r.pool == pool && r.standing == Standing::Later)
    }
}
