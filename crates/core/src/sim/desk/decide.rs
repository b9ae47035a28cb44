//! Where a request goes: who may serve it, who of them may be asked now, the policy's decision.
use super::directory::{Directory, Standing};
use super::slots::PinnedBy;
use super::{Desk, Fleet, Sight};
use crate::api::Usage;
use crate::gateway::{Decision, Draws, EndpointView, GatewayView, Signals, allowed};
use crate::types::{Content, IdMap, Load, Place, PlaceId, PoolId, ReplicaId, Request, RequestView, SimTime};

/// Where a request goes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Routed {
    /// To this replica or endpoint.
    To(Place),
    /// To be asked again then.
    Defer(SimTime),
    /// A replica that may serve it will be ready.
    Wait,
    /// The policy has no backend for it, or sheds it.
    Reject,
    /// The only place that it may go to has nobody for it now.
    Nowhere,
    /// Breakers or cooldowns keep all candidates out.
    Blocked,
    /// All candidates have as many requests as they may.
    Full,
}

/// Narrower than the constraints: one place only, not that backend.
#[derive(Debug, Clone, Copy, Default)]
struct Narrow {
    pinned: Option<(Place, PinnedBy)>,
    not: Option<Place>,
}

/// What the policy may ask of replicas while it decides on one request.
struct Asked<'a> {
    places: &'a Directory,
    fleet: &'a Fleet,
    prompt: u64,
    content: &'a Content,
    now: SimTime,
    kv_event_delay: SimTime,
    sampled_at: SimTime,
}

impl Signals for Asked<'_> {
    fn outstanding(&self) -> &IdMap<ReplicaId, u32> {
        &self.places.outstanding
    }
    fn load(&self, replica: ReplicaId) -> Load {
        self.fleet.scraped(replica, self.now)
    }
    fn predicted_ttft(&self, replica: ReplicaId) -> SimTime {
        let r = &self.places.replicas[replica];
        self.places.rates[r.pool].predict(r.unanswered + self.prompt)
    }
    fn sampled_at(&self) -> SimTime {
        self.sampled_at
    }
    fn unanswered_tokens(&self, replica: ReplicaId) -> u64 {
        self.places.replicas[replica].unanswered
    }
    fn cached_tokens(&self, replica: ReplicaId) -> u64 {
        self.fleet.cached_tokens(replica, self.content.runs(), self.now, self.kv_event_delay)
    }
    fn pool_of(&self, replica: ReplicaId) -> PoolId {
        self.places.replicas[replica].pool
    }
}

impl Desk<'_> {
    /// Whether the policy looks into caches as they are now, so that replicas must be brought to now before it is asked.
    pub fn looks_into_caches(&self) -> bool {
        self.needs.caches && self.spec.kv_event_delay == SimTime::ZERO
    }

    /// Where a request goes, other than to `not`.
    pub(super) fn route(&mut self, slot: u32, not: Option<Place>, now: SimTime, sight: Sight<'_>) -> Routed {
        let flight = self.slots.get(slot);
        let (class, tries) = (&self.spec.classes[flight.class as usize].0, flight.tries);
        let narrow = Narrow { pinned: flight.route.pinned, not };
        // Out of its slot for the decision: the view borrows it while lists of candidates are made.
        let asked = std::mem::replace(&mut flight.request, Request::placeholder());
        let routed = self.decide_on(&asked.view(class), narrow, tries, now, sight);
        self.slots.get(slot).request = asked;
        routed
    }

    /// Lists the endpoints that may serve the request.
    fn list_endpoints(&mut self, request: &RequestView<'_>, sight: Sight<'_>) {
        let mean_output = self.outputs_seen.1.checked_div(self.outputs_seen.0).unwrap_or(256);
        for (id, known) in self.places.endpoints.iter_mut() {
            if known.standing == Standing::Ready && allowed(request, &known.facts) {
                let most = request.max_output_tokens.into();
                let spec = sight.market.spec(id);
                let output = spec.expected_output(mean_output.min(most), most);
                self.endpoint_views.push(EndpointView {
                    endpoint: id,
                    ttft_p90: known.ttft.p90(),
                    expected_cost_pico: spec
                        .price
                        .bill(&Usage { prompt: request.prompt_tokens.into(), output, ..Usage::default() })
                        .0,
                    requests_per_minute: spec.limits.requests_per_minute,
                    input_tokens_per_minute: spec.limits.input_tokens_per_minute.or(spec.limits.tokens_per_minute),
                });
            }
        }
    }

    fn decide_on(
        &mut self,
        request: &RequestView<'_>,
        narrow: Narrow,
        try_number: u32,
        now: SimTime,
        sight: Sight<'_>,
    ) -> Routed {
        let ready = self.places.ready_for(request, &self.spec.pools);
        self.endpoint_views.clear();
        let list = self.places.list(ready);
        let (mut own, later) = (std::mem::take(&mut list.replicas), list.later);
        let routed = if self.narrows {
            let mut narrowed = std::mem::take(&mut self.narrowed);
            narrowed.clear();
            narrowed.extend_from_slice(&own);
            self.list_endpoints(request, sight);
            let routed = match self.narrow_down(request, narrow, &mut narrowed, later, now) {
                Ok(later) => {
                    if !self.needs.endpoints && !narrowed.is_empty() {
                        self.endpoint_views.clear();
                    }
                    self.ask(request, &narrowed, later, try_number, now, sight)
                }
                Err(routed) => routed,
            };
            self.narrowed = narrowed;
            let of_chain = matches!(narrow.pinned, Some((_, PinnedBy::FallbackChain)));
            match routed {
                Routed::Wait | Routed::Reject | Routed::Defer(_) if of_chain => Routed::Nowhere,
                routed => routed,
            }
        } else {
            if self.needs.endpoints || own.is_empty() {
                self.list_endpoints(request, sight);
            }
            self.ask(request, &own, later, try_number, now, sight)
        };
        std::mem::swap(&mut self.places.list(ready).replicas, &mut own);
        routed
    }

    /// Takes out of the candidates who may not be asked now. Whether one of those that are left may be ready later, or
    /// what becomes of a request that nobody is left for.
    fn narrow_down(
        &mut self,
        request: &RequestView<'_>,
        narrow: Narrow,
        own: &mut Vec<ReplicaId>,
        mut later: bool,
        now: SimTime,
    ) -> Result<bool, Routed> {
        let (places, views) = (&self.places, &mut self.endpoint_views);
        if let Some((place, _)) = narrow.pinned {
            own.retain(|r| places.kind_of((*r).into()) == place);
            views.retain(|v| Place::Endpoint(v.endpoint) == place);
            later = match place {
                Place::Pool(pool) => {
                    allowed(request, &self.spec.pools[pool.index()].replica.facts) && places.later_in(pool)
                }
                _ => false,
            };
        }
        if let Some(not) = narrow.not {
            own.retain(|r| Place::Replica(*r) != not);
            views.retain(|v| Place::Endpoint(v.endpoint) != not);
        }
        if own.is_empty() && views.is_empty() {
            return match narrow.pinned {
                _ if narrow.not.is_some() => Err(Routed::Nowhere),
                Some((_, PinnedBy::FallbackChain)) => Err(Routed::Nowhere),
                _ => Ok(later),
            };
        }
        if self.health.any_blocked(now) {
            let health = &self.health;
            let in_use = |r: &ReplicaId| !health.blocked((*r).into(), now);
            let endpoint_in_use = |v: &EndpointView| !health.blocked(v.endpoint.into(), now);
            if own.iter().any(in_use) || views.iter().any(endpoint_in_use) {
                own.retain(in_use);
                views.retain(endpoint_in_use);
            } else if health.refuses() {
                return Err(Routed::Blocked);
            }
        }
        if !self.spec.resilience.concurrency.is_empty() {
            let has_room = |place: Place| {
                let mut limits = self.spec.resilience.concurrency.iter();
                limits.all(|(limited, most)| *limited != place || places.busy_at(place) < *most)
            };
            own.retain(|r| has_room(places.kind_of((*r).into())));
            views.retain(|v| has_room(v.endpoint.into()));
            if own.is_empty() && views.is_empty() {
                return Err(Routed::Full);
            }
        }
        Ok(later)
    }

    /// Asks the policy about these candidates, and the endpoints that are listed.
    fn ask(
        &mut self,
        request: &RequestView<'_>,
        own: &[ReplicaId],
        later: bool,
        try_number: u32,
        now: SimTime,
        sight: Sight<'_>,
    ) -> Routed {
        let signals = Asked {
            places: &self.places,
            fleet: sight.fleet,
            prompt: request.prompt_tokens.into(),
            content: request.content,
            kv_event_delay: self.spec.kv_event_delay,
            sampled_at: sight.fleet.sampled_at(now),
            now,
        };
        let view = GatewayView {
            now,
            request: *request,
            try_number,
            own,
            own_later: later,
            bought: &self.endpoint_views,
            signals: &signals,
        };
        let mut draws = Draws::new(self.spec.seed, self.spec.replicate, request.index, try_number);
        let decision = self.policy.decide(&view, &mut draws);
        self.assert_allowed(decision, request);
        match decision {
            Decision::Send(place) => Routed::To(place),
            Decision::Defer(until) => Routed::Defer(until),
            Decision::Wait => Routed::Wait,
            Decision::Reject => Routed::Reject,
        }
    }

    /// Constraints hold whatever a policy says: it is asked about allowed backends that are ready, and may name no other.
    fn assert_allowed(&self, decision: Decision, request: &RequestView<'_>) {
        let Decision::Send(place) = decision else { return };
        let (facts, standing) = match place {
            Place::Replica(r) => {
                let known = &self.places.replicas[r];
                (&self.spec.pools[known.pool.index()].replica.facts, known.standing)
            }
            Place::Endpoint(e) => (&self.places.endpoints[e].facts, self.places.endpoints[e].standing),
            Place::Pool(_) => panic!("constraints: {decision:?} is no replica and no endpoint"),
        };
        assert!(allowed(request, facts), "constraints: {decision:?} may not serve request {}", request.index);
        assert!(standing == Standing::Ready, "constraints: {decision:?} is not ready for request {}", request.index);
    }
}
