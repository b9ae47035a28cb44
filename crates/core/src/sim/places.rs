//! Places that come and go while a simulation runs: replicas of its pools, and endpoints.
//!
//! Ids are given once; those of places that have left stay valid names in records. A place that is drained takes no more
//! requests from that very instant on, and leaves when those that it has have ended.
use super::agenda::Event;
use super::desk::Standing;
use super::world::World;
use crate::api::EndpointSpec;
use crate::gateway::BackendFacts;
use crate::types::{EndpointId, Load, Place, PlaceId, PoolId, ReplicaId, SimTime, Stop};

impl World<'_> {
    /// Adds a replica to a pool; it serves from `ready_at` on, which is not in the past.
    pub fn add_replica(&mut self, pool: PoolId, ready_at: SimTime) -> ReplicaId {
        let id = self.fleet.add(pool, &self.spec.pools[pool.index()], self.now);
        self.desk.replica_came(id, pool, Standing::Later);
        self.opens_at(id.into(), ready_at);
        id
    }

    /// Adds an endpoint; it serves from `ready_at` on, which is not in the past. One that names an account which is there
    /// already draws on that one's limits.
    pub fn add_endpoint(&mut self, spec: EndpointSpec, ready_at: SimTime) -> EndpointId {
        let facts = BackendFacts {
            internal: false,
            capability: spec.capability,
            max_context_tokens: spec.max_input_tokens,
            deferred: spec.deferred(),
        };
        let assumed_ttft = spec.ttft_p90();
        let id = self.market.add(spec);
        self.desk.endpoint_came(id, facts, assumed_ttft, Standing::Later);
        self.opens_at(id.into(), ready_at);
        id
    }

    fn opens_at(&mut self, place: Place, ready_at: SimTime) {
        self.next = None;
        if ready_at > self.now {
            self.agenda.fail(ready_at, Event::Opens(place));
        } else {
            self.open(place);
        }
    }

    /// A replica or an endpoint serves from now on, for the first time or again, unless it is leaving.
    pub(super) fn open(&mut self, place: Place) {
        if self.leaving.contains(&place) || !self.is_here(place) {
            return;
        }
        match place {
            Place::Replica(id) => {
                let fails_at = self.fleet.start(id, self.now);
                self.agenda.fail(fails_at, Event::ReplicaFails(id));
            }
            Place::Endpoint(id) => self.market.start(id, self.now),
            Place::Pool(_) => unreachable!("standing: a pool is as ready as its replicas"),
        }
        self.desk.stands(place, Standing::Ready);
        self.unpark();
    }

    /// Whether a replica or an endpoint has come and has not left.
    pub fn is_here(&self, place: Place) -> bool {
        match place {
            Place::Replica(id) => self.fleet.has(id),
            Place::Endpoint(id) => self.market.has(id),
            Place::Pool(id) => id.index() < self.spec.pools.len(),
        }
    }

    /// What a replica is like now, just before engines choose their next steps; `None` once it has left.
    pub fn load_of(&self, id: ReplicaId) -> Option<Load> {
        self.fleet.observe(id, self.now)
    }

    /// Sends no more requests to a replica or an endpoint. It ends those that it has and then leaves. A place that is not
    /// here, or is leaving, is left as it is.
    pub fn drain(&mut self, place: Place) {
        self.stop(place, Stop::Drain);
    }

    /// Takes a replica or an endpoint away at once: what it has fails, as the gateway knows at once, and it leaves. A place
    /// that is not here is left as it is.
    pub fn kill(&mut self, place: Place) {
        self.stop(place, Stop::Kill);
    }

    fn stop(&mut self, place: Place, how: Stop) {
        if !self.is_here(place) {
            return;
        }
        self.next = None;
        self.desk.stands(place, Standing::Leaving);
        if !self.leaving.contains(&place) {
            self.leaving.push(place);
        }
        let next = match place {
            Place::Replica(id) => self.fleet.stop(id, self.now, how, &mut self.out),
            Place::Endpoint(id) => self.market.stop(id, self.now, how, &mut self.out),
            Place::Pool(_) => panic!("place-known: {place:?} is neither a replica nor an endpoint"),
        };
        self.agenda.arm(place, next);
        self.perform();
        // Requests that waited for this place alone must be decided anew.
        self.unpark();
    }

    /// Lets go of who is leaving and has nothing under way any more.
    pub(super) fn let_go(&mut self) {
        let mut i = 0;
        while i < self.leaving.len() {
            let place = self.leaving[i];
            let holds = matches!(place, Place::Replica(id) if !self.fleet.is_idle(id, self.now));
            if self.desk.under_way(place) > 0 || holds {
                i += 1;
                continue;
            }
            self.leaving.remove(i);
            match place {
                Place::Replica(id) => self.fleet.remove(id, self.now),
                Place::Endpoint(id) => self.market.remove(id),
                Place::Pool(_) => unreachable!("places: a pool does not leave"),
            }
            self.agenda.arm(place, SimTime::NEVER);
            self.desk.left(place);
        }
    }
}
