//! Sending a request: its class, who may serve it, the policy's decision, the attempt.
use super::agenda::Event;
use super::attempts::{Sent, Slots, Stay, Step, Target};
use super::world::{Bought, OwnReplica, Ready, World, sample};
use crate::api::Usage;
use crate::gateway::{Decision, Draws, EndpointView, Feedback, GatewayView, PrefillRate, Signals, Spot, allowed};
use crate::random;
use crate::types::{BackendKind, Content, Job, Load, OutcomeCause, RecordSink, Request, RequestView, SimTime, Source};

/// Where a request goes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    To(Target),
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
    stays: Option<(Spot, Stay)>,
    not: Option<Target>,
}

/// What the policy may ask of replicas while it decides on one request.
struct Asked<'a> {
    outstanding: &'a [u32],
    replicas: &'a [OwnReplica],
    rates: &'a [PrefillRate],
    prompt: u64,
    content: &'a Content,
    now: SimTime,
    kv_event_delay: SimTime,
    sampled_at: SimTime,
}

impl Signals for Asked<'_> {
    fn outstanding(&self) -> &[u32] {
        self.outstanding
    }
    fn load(&self, replica: u32) -> Load {
        let r = &self.replicas[replica as usize];
        r.scraped.seen(self.now, |at| r.engine.observe(at + SimTime(1)))
    }
    fn predicted_ttft(&self, replica: u32) -> SimTime {
        let r = &self.replicas[replica as usize];
        self.rates[r.pool as usize].predict(r.unanswered + self.prompt)
    }
    fn sampled_at(&self) -> SimTime {
        self.sampled_at
    }
    fn unanswered_tokens(&self, replica: u32) -> u64 {
        self.replicas[replica as usize].unanswered
    }
    fn cached_tokens(&self, replica: u32) -> u64 {
        let engine = &self.replicas[replica as usize].engine;
        match self.kv_event_delay {
            SimTime::ZERO => engine.cached_tokens(self.content.runs()),
            // Before the first event can have come nothing is known.
            delay if delay > self.now => 0,
            delay => engine.cached_tokens_at(self.content.runs(), self.now - delay),
        }
    }
    fn pool_of(&self, replica: u32) -> u32 {
        self.replicas[replica as usize].pool
    }
}

impl<S: RecordSink> World<'_, S> {
    pub(super) fn class_of(&self, request: &Request) -> u16 {
        let classes = &self.spec.classes;
        if request.class != u16::MAX || classes.len() == 1 {
            return request.class.min(classes.len() as u16 - 1);
        }
        let mut draws = random::stream(self.spec.seed, self.spec.replicate, "class", request.index, 0);
        let mut left = (random::dist::uniform01(&mut draws) * 1e6) as u32;
        for (i, (_, share_ppm)) in classes.iter().enumerate() {
            if left < *share_ppm {
                return i as u16;
            }
            left -= share_ppm;
        }
        (classes.len() - 1) as u16
    }

    /// The list of ready replicas of the pools that may serve the request.
    pub(super) fn ready_for(&mut self, request: &RequestView<'_>) -> usize {
        let may = |(i, p): (usize, &super::PoolSpec)| u64::from(allowed(request, &p.replica.facts)) << i;
        let pools = self.spec.pools.iter().enumerate().map(may).fold(0, |set, pool| set | pool);
        if let Some(at) = self.ready.iter().position(|r| r.pools == pools) {
            return at;
        }
        let of = |r: &OwnReplica| pools >> r.pool & 1 == 1;
        let serving = self.replicas.iter().enumerate().filter(|(_, r)| of(r) && !r.known_down);
        self.ready.push(Ready {
            pools,
            replicas: serving.map(|(i, _)| i as u32).collect(),
            later: self.replicas.iter().any(|r| of(r) && r.known_down),
        });
        self.ready.len() - 1
    }

    /// Lists the endpoints that may serve the request.
    pub(super) fn list_endpoints(&mut self, request: &RequestView<'_>) {
        let mean_output = self.outputs_seen.1.checked_div(self.outputs_seen.0).unwrap_or(256);
        for (i, b) in self.bought.iter_mut().enumerate() {
            if allowed(request, &b.facts) {
                let most = request.max_output_tokens.into();
                let spec = b.endpoint.spec();
                let output = spec.expected_output(mean_output.min(most), most);
                self.api_views.push(EndpointView {
                    endpoint: i as u32,
                    ttft_p90: b.ttft.p90(),
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

    /// Where a request goes, other than to `not`.
    pub(super) fn way_of(&mut self, slot: u32, not: Option<Target>, now: SimTime) -> Way {
        let flight = self.slots.get(slot);
        let (class, tries) = (&self.spec.classes[flight.class as usize].0, flight.tries);
        let narrow = Narrow { stays: flight.route.stays, not };
        // Out of its slot for the decision: the view borrows it while lists of candidates are made.
        let asked = std::mem::replace(&mut self.slots.get(slot).request, Request::placeholder());
        let way = self.decide_on(&asked.view(class), narrow, tries, now);
        self.slots.get(slot).request = asked;
        way
    }

    /// Brings all replicas that are up to this instant, so that their caches can be looked at.
    fn settle(&mut self, now: SimTime) {
        for r in 0..self.replicas.len() as u32 {
            let replica = &mut self.replicas[r as usize];
            if replica.up {
                sample(&self.needs, replica, now);
                replica.engine.settle(now, &mut self.out);
                self.agenda.arm(r, replica.engine.next_event());
                self.mark_dirty(r);
            }
        }
    }

    fn decide_on(&mut self, request: &RequestView<'_>, narrow: Narrow, try_number: u32, now: SimTime) -> Way {
        let ready = self.ready_for(request);
        self.api_views.clear();
        let mut own = std::mem::take(&mut self.ready[ready].replicas);
        let way = if self.narrows {
            let mut narrowed = std::mem::take(&mut self.narrowed);
            narrowed.clear();
            narrowed.extend_from_slice(&own);
            self.list_endpoints(request);
            let later = self.ready[ready].later;
            let way = match self.narrow_down(request, narrow, &mut narrowed, later, now) {
                Ok(later) => {
                    if !self.needs.endpoints && !narrowed.is_empty() {
                        self.api_views.clear();
                    }
                    self.ask(request, &narrowed, later, try_number, now)
                }
                Err(way) => way,
            };
            self.narrowed = narrowed;
            match way {
                Way::Wait | Way::Reject | Way::Defer(_) if matches!(narrow.stays, Some((_, Stay::Chain))) => {
                    Way::Nowhere
                }
                way => way,
            }
        } else {
            if self.needs.endpoints || own.is_empty() {
                self.list_endpoints(request);
            }
            self.ask(request, &own, self.ready[ready].later, try_number, now)
        };
        std::mem::swap(&mut self.ready[ready].replicas, &mut own);
        way
    }

    /// Takes out of the candidates who may not be asked now. Whether one of those that are left may be ready later, or
    /// what becomes of a request that nobody is left for.
    fn narrow_down(
        &mut self,
        request: &RequestView<'_>,
        narrow: Narrow,
        own: &mut Vec<u32>,
        mut later: bool,
        now: SimTime,
    ) -> Result<bool, Way> {
        let (replicas, pools) = (&self.replicas, self.spec.pools.len());
        let views = &mut self.api_views;
        let spot_of = |r: u32| Spot(replicas[r as usize].pool as u16);
        let spot_of_endpoint = |e: u32| Spot((pools + e as usize) as u16);
        if let Some((spot, _)) = narrow.stays {
            own.retain(|r| spot_of(*r) == spot);
            views.retain(|v| spot_of_endpoint(v.endpoint) == spot);
            let there = |r: &OwnReplica| usize::from(spot.0) == r.pool as usize && r.known_down;
            let may = self.spec.pools.get(usize::from(spot.0)).is_some_and(|p| allowed(request, &p.replica.facts));
            later = may && replicas.iter().any(there);
        }
        match narrow.not {
            Some(Target::Replica(not)) => own.retain(|r| *r != not),
            Some(Target::Endpoint(not)) => views.retain(|v| v.endpoint != not),
            None => {}
        }
        if own.is_empty() && views.is_empty() {
            return match narrow.stays {
                _ if narrow.not.is_some() => Err(Way::Nowhere),
                Some((_, Stay::Chain)) => Err(Way::Nowhere),
                _ => Ok(later),
            };
        }
        if self.health.any_blocked(now) {
            let health = &self.health;
            let in_use = |r: &u32| !health.blocked(*r as usize, now);
            let endpoint_in_use = |v: &EndpointView| !health.blocked(replicas.len() + v.endpoint as usize, now);
            if own.iter().any(in_use) || views.iter().any(endpoint_in_use) {
                own.retain(in_use);
                views.retain(endpoint_in_use);
            } else if health.refuses() {
                return Err(Way::Blocked);
            }
        }
        if !self.spec.resilience.concurrency.is_empty() {
            let has_room = |spot: Spot| {
                let mut limits = self.spec.resilience.concurrency.iter();
                limits.all(|(place, most)| *place != spot || self.busy[usize::from(spot.0)] < *most)
            };
            own.retain(|r| has_room(spot_of(*r)));
            views.retain(|v| has_room(spot_of_endpoint(v.endpoint)));
            if own.is_empty() && views.is_empty() {
                return Err(Way::Full);
            }
        }
        Ok(later)
    }

    /// Asks the policy about these candidates, and the endpoints that are listed.
    fn ask(&mut self, request: &RequestView<'_>, own: &[u32], later: bool, try_number: u32, now: SimTime) -> Way {
        if self.needs.caches && self.spec.kv_event_delay == SimTime::ZERO {
            self.settle(now);
        }
        let signals = Asked {
            outstanding: &self.outstanding,
            replicas: &self.replicas,
            rates: &self.rates,
            prompt: request.prompt_tokens.into(),
            content: request.content,
            kv_event_delay: self.spec.kv_event_delay,
            sampled_at: self.replicas.first().map_or(SimTime::ZERO, |r| r.scraped.visible(now)),
            now,
        };
        let view = GatewayView {
            now,
            request: *request,
            try_number,
            own,
            own_later: later,
            bought: &self.api_views,
            signals: &signals,
        };
        let mut draws = Draws::new(self.spec.seed, self.spec.replicate, request.index, try_number);
        let decision = self.policy.decide(&view, &mut draws);
        self.assert_allowed(decision, request);
        match decision {
            Decision::Replica(r) => Way::To(Target::Replica(r)),
            Decision::Endpoint(e) => Way::To(Target::Endpoint(e)),
            Decision::Defer(until) => Way::Defer(until),
            Decision::Wait => Way::Wait,
            Decision::Reject => Way::Reject,
        }
    }

    /// Constraints hold whatever a policy says: it is asked about allowed backends only, and may name no other.
    fn assert_allowed(&self, decision: Decision, request: &RequestView<'_>) {
        let facts = match decision {
            Decision::Replica(r) => &self.spec.pools[self.replicas[r as usize].pool as usize].replica.facts,
            Decision::Endpoint(e) => &self.bought[e as usize].facts,
            Decision::Wait | Decision::Defer(_) | Decision::Reject => return,
        };
        assert!(allowed(request, facts), "constraints: {decision:?} may not serve request {}", request.index);
    }

    /// Lets a request in, if admission does, and sends it where the policy says.
    pub(super) fn dispatch(&mut self, slot: u32, now: SimTime, source: &mut dyn Source) {
        if let Some(rule) = self.spec.resilience.admission
            && !self.slots.get(slot).route.admitted
            && !self.admit(slot, &rule, now, source)
        {
            return;
        }
        self.send(slot, now, source);
    }

    /// Decides where a request goes, and sends it there. `false` if it stays in the gateway's queue.
    pub(super) fn send(&mut self, slot: u32, now: SimTime, source: &mut dyn Source) -> bool {
        let mut way = self.way_of(slot, None, now);
        while way == Way::Nowhere && self.next_hop(slot, false) {
            way = self.way_of(slot, None, now);
        }
        if way == Way::Full && self.may_wait(slot) {
            return self.enqueue(slot, now, source);
        }
        self.leave_queue(slot);
        let flight = self.slots.get(slot);
        flight.parked = false;
        match way {
            Way::To(to) => self.transmit(slot, to, false, now, source),
            Way::Defer(until) => {
                assert!(until > now, "clock-forward: a request was deferred to {until:?} at {now:?}");
                let generation = self.slots.bump(slot);
                self.agenda.retry(until, slot, generation);
            }
            Way::Wait => {
                self.slots.bump(slot);
                self.slots.get(slot).parked = true;
                self.parked.push_back(slot);
            }
            Way::Reject => self.refuse(slot, OutcomeCause::Constraint, now, source),
            Way::Nowhere | Way::Blocked => self.refuse(slot, OutcomeCause::NoBackend, now, source),
            Way::Full => self.refuse(slot, OutcomeCause::Shed, now, source),
        }
        true
    }

    /// Sends an attempt; as a second copy, if it is a hedge.
    pub(super) fn transmit(&mut self, slot: u32, to: Target, hedge: bool, now: SimTime, source: &mut dyn Source) {
        let generation = self.slots.bump(slot);
        let attempt = Slots::attempt_id(slot, generation);
        let flight = self.slots.get(slot);
        let class = &self.spec.classes[flight.class as usize].0;
        let try_number = flight.tries;
        let job = Job {
            attempt,
            request: flight.request.index,
            try_number,
            prompt_tokens: flight.request.prompt_tokens,
            output_tokens: flight.request.output_tokens.min(flight.request.max_output_tokens).max(1),
            max_output_tokens: flight.request.max_output_tokens,
            priority: flight.request.priority.saturating_add(class.priority),
            content: flight.request.content.clone(),
            external_kv: None,
            hold_kv_until: None,
        };
        if hedge {
            self.stats.hedges += 1;
        } else {
            match std::mem::replace(&mut flight.route.step, Step::Retry) {
                Step::First => {}
                Step::Retry => self.stats.retries += 1,
                Step::Fallback => self.stats.fallbacks += 1,
                Step::Escalation => self.stats.escalations += 1,
            }
        }
        flight.tries += 1;
        let prompt = u64::from(job.prompt_tokens);
        if self.needs.feedback {
            let views = self.api_views.iter();
            let view = views.clone().find(|v| to == Target::Endpoint(v.endpoint));
            let expected_cost_pico = view.map_or(0, |v| v.expected_cost_pico);
            let prompt_tokens = job.prompt_tokens;
            self.policy.learn(&Feedback::Sent { attempt, at: now, to, prompt_tokens, expected_cost_pico });
        }
        let mut sent = Sent { attempt, at: now, to, backlog_tokens: prompt, first_token: None, try_number };
        match to {
            Target::Replica(r) => {
                let replica = &mut self.replicas[r as usize];
                self.outstanding[r as usize] += 1;
                self.busy[replica.pool as usize] += 1;
                replica.unanswered += prompt;
                sent.backlog_tokens = replica.unanswered;
                flight.last_backend = Some(BackendKind::Pool(replica.pool));
            }
            Target::Endpoint(e) => {
                self.busy[self.spec.pools.len() + e as usize] += 1;
                flight.last_backend = Some(BackendKind::Endpoint(e));
            }
        }
        if hedge {
            flight.hedge = Some(sent);
        } else {
            flight.current = Some(sent);
        }
        self.set_timers(slot, generation, to, hedge, now);
        match to {
            Target::Replica(r) => {
                let replica = &mut self.replicas[r as usize];
                if replica.up {
                    sample(&self.needs, replica, now);
                    replica.engine.submit(job, now, &mut self.out);
                    self.agenda.arm(r, replica.engine.next_event());
                    self.mark_dirty(r);
                } else {
                    replica.lost.push((attempt, 0));
                }
            }
            Target::Endpoint(e) => {
                let Bought { endpoint, account, .. } = &mut self.bought[e as usize];
                endpoint.submit(&job, now, &mut self.accounts[*account], &mut self.out.effects);
                self.arm_endpoint(e);
            }
        }
        self.deliver(source);
    }

    /// The timers of an attempt. A batch answers within a day by its nature: none is set for it.
    fn set_timers(&mut self, slot: u32, generation: u32, to: Target, hedge: bool, now: SimTime) {
        if matches!(to, Target::Endpoint(e) if self.bought[e as usize].facts.deferred) {
            return;
        }
        let r = &self.spec.resilience;
        if let Some(t) = r.try_timeout {
            self.agenda.timer(now + t, Event::TryTimeout(slot, generation));
        }
        if let Some(t) = r.first_token_timeout {
            self.agenda.timer(now + t, Event::FirstTokenTimeout(slot, generation));
        }
        if let Some(late) = r.hedge.as_ref().filter(|_| !hedge).and_then(|rule| self.learned.late(rule)) {
            self.agenda.timer(now + late, Event::Hedge(slot, generation));
        }
    }
}
