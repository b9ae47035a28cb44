//! Sending a request: its class, who may serve it, the policy's decision, the attempt.
use super::attempts::{Sent, Slots, Target};
use super::outcome::Ending;
use super::world::{OwnReplica, Ready, World, sample};
use crate::gateway::{Decision, Draws, EndpointView, Feedback, GatewayView, PrefillRate, Signals, allowed};
use crate::random;
use crate::types::{
    BackendKind, Content, Job, Load, Outcome, OutcomeCause, RecordSink, Request, RequestView, SimTime, Source,
};

/// What the policy may ask of replicas while it decides on one request.
struct Asked<'a> {
    outstanding: &'a [u32],
    replicas: &'a [OwnReplica],
    rates: &'a [PrefillRate],
    prompt: u64,
    content: &'a Content,
    now: SimTime,
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
        self.replicas[replica as usize].engine.cached_tokens(self.content.runs())
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
    fn ready_for(&mut self, request: &RequestView<'_>) -> usize {
        let may = |(i, p): (usize, &super::PoolSpec)| u64::from(allowed(request, &p.facts)) << i;
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
    fn list_endpoints(&mut self, request: &RequestView<'_>) {
        let mean_output = self.outputs_seen.1.checked_div(self.outputs_seen.0).unwrap_or(256);
        for (i, b) in self.bought.iter_mut().enumerate() {
            if allowed(request, &b.facts) {
                let output = mean_output.min(request.max_output_tokens.into());
                let spec = b.endpoint.spec();
                self.api_views.push(EndpointView {
                    endpoint: i as u32,
                    ttft_p90: b.ttft.p90(),
                    expected_cost_pico: spec.price.bill(request.prompt_tokens.into(), 0, output).0,
                    requests_per_minute: spec.limits.requests_per_minute,
                    input_tokens_per_minute: spec.limits.input_tokens_per_minute,
                });
            }
        }
    }

    fn decide(&mut self, slot: u32, now: SimTime) -> Decision {
        let flight = self.slots.get(slot);
        let (class, tries) = (&self.spec.classes[flight.class as usize].0, flight.tries);
        // Out of its slot for the decision: the view borrows it while lists of candidates are made.
        let asked = std::mem::replace(&mut self.slots.get(slot).request, Request::placeholder());
        let decision = self.decide_on(&asked.view(class), tries, now);
        self.slots.get(slot).request = asked;
        decision
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

    fn decide_on(&mut self, request: &RequestView<'_>, try_number: u32, now: SimTime) -> Decision {
        let ready = self.ready_for(request);
        self.api_views.clear();
        if self.needs.endpoints || self.ready[ready].replicas.is_empty() {
            self.list_endpoints(request);
        }
        if self.needs.caches {
            self.settle(now);
        }
        let signals = Asked {
            outstanding: &self.outstanding,
            replicas: &self.replicas,
            rates: &self.rates,
            prompt: request.prompt_tokens.into(),
            content: request.content,
            sampled_at: self.replicas.first().map_or(SimTime::ZERO, |r| r.scraped.visible(now)),
            now,
        };
        let view = GatewayView {
            now,
            request: *request,
            try_number,
            own: &self.ready[ready].replicas,
            own_later: self.ready[ready].later,
            bought: &self.api_views,
            signals: &signals,
        };
        let mut draws = Draws::new(self.spec.seed, self.spec.replicate, request.index, try_number);
        let decision = self.policy.decide(&view, &mut draws);
        self.assert_allowed(decision, request);
        decision
    }

    /// Constraints hold whatever a policy says: it is asked about allowed backends only, and may name no other.
    fn assert_allowed(&self, decision: Decision, request: &RequestView<'_>) {
        let facts = match decision {
            Decision::Replica(r) => &self.spec.pools[self.replicas[r as usize].pool as usize].facts,
            Decision::Endpoint(e) => &self.bought[e as usize].facts,
            Decision::Wait | Decision::Defer(_) | Decision::Reject => return,
        };
        assert!(allowed(request, facts), "constraints: {decision:?} may not serve request {}", request.index);
    }

    /// Decides where a request goes, and sends it there.
    pub(super) fn dispatch(&mut self, slot: u32, now: SimTime, source: &mut dyn Source) {
        let to = match self.decide(slot, now) {
            Decision::Replica(r) => Target::Replica(r),
            Decision::Endpoint(e) => Target::Endpoint(e),
            Decision::Reject => {
                let (outcome, cause) = (Outcome::Rejected, OutcomeCause::Constraint);
                let ending = Ending { at: now, outcome, cause, output_tokens: 0, cached_tokens: 0 };
                self.finish(slot, ending, source);
                return;
            }
            Decision::Defer(until) => {
                assert!(until > now, "clock-forward: a request was deferred to {until:?} at {now:?}");
                let generation = self.slots.bump(slot);
                self.agenda.retry(until, slot, generation);
                return;
            }
            Decision::Wait => {
                self.slots.bump(slot);
                self.slots.get(slot).parked = true;
                self.parked.push_back(slot);
                return;
            }
        };
        let generation = self.slots.bump(slot);
        let attempt = Slots::attempt_id(slot, generation);
        let flight = self.slots.get(slot);
        let class = &self.spec.classes[flight.class as usize].0;
        flight.parked = false;
        let job = Job {
            attempt,
            request: flight.request.index,
            try_number: flight.tries,
            prompt_tokens: flight.request.prompt_tokens,
            output_tokens: flight.request.output_tokens.min(flight.request.max_output_tokens).max(1),
            max_output_tokens: flight.request.max_output_tokens,
            priority: flight.request.priority.saturating_add(class.priority),
            content: flight.request.content.clone(),
            external_kv: None,
            hold_kv_until: None,
        };
        self.stats.retries += u64::from(flight.tries > 0);
        flight.tries += 1;
        let prompt = u64::from(job.prompt_tokens);
        if self.needs.feedback {
            let views = self.api_views.iter();
            let view = views.clone().find(|v| to == Target::Endpoint(v.endpoint));
            let expected_cost_pico = view.map_or(0, |v| v.expected_cost_pico);
            let prompt_tokens = job.prompt_tokens;
            self.policy.learn(&Feedback::Sent { attempt, at: now, to, prompt_tokens, expected_cost_pico });
        }
        match to {
            Target::Replica(r) => {
                let replica = &mut self.replicas[r as usize];
                self.outstanding[r as usize] += 1;
                replica.unanswered += prompt;
                flight.last_backend = Some(BackendKind::Pool(replica.pool));
                flight.current = Some(Sent { attempt, at: now, to, backlog_tokens: replica.unanswered });
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
                flight.last_backend = Some(BackendKind::Endpoint(e));
                flight.current = Some(Sent { attempt, at: now, to, backlog_tokens: prompt });
                self.bought[e as usize].endpoint.submit(&job, now, &mut self.out.effects);
                self.arm_endpoint(e);
            }
        }
        self.deliver(source);
    }
}
