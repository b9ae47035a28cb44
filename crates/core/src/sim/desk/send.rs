//! Sending a request: it arrives, gets in, is routed, and an attempt goes out.
use super::decide::Routed;
use super::directory::Standing;
use super::slots::{InFlight, Sent, Slots, TryKind};
use super::{Action, Desk, Sight};
use crate::gateway::{Feedback, allowed, allowed_but_for_length};
use crate::random;
use crate::sim::agenda::Timer;
use crate::types::{OutcomeCause, Place, PoolId, Request, SimTime};

impl Desk<'_> {
    /// Takes a request that arrives. Whether the queue is to be looked at.
    pub fn arrive(&mut self, request: Request, now: SimTime, sight: Sight<'_>) -> bool {
        let class = self.class_of(&request);
        let arrival = request.arrival;
        let slot = self.slots.insert(InFlight::new(request, class));
        self.begin(slot, class, arrival);
        self.dispatch(slot, now, sight)
    }

    fn class_of(&self, request: &Request) -> u16 {
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

    /// The next of the requests that wait for a replica, of which one is ready now.
    pub fn unpark(&mut self, left: &mut usize) -> Option<u32> {
        *left = left.checked_sub(1)?;
        self.parked.pop_front()
    }
    /// Requests that wait for a replica.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Lets a request in, if admission does, and sends it where the policy says. Whether the queue is to be looked at.
    pub fn dispatch(&mut self, slot: u32, now: SimTime, sight: Sight<'_>) -> bool {
        if let Some(rule) = self.spec.resilience.admission
            && !self.slots.get(slot).route.admitted
        {
            return match self.admit(slot, &rule, now, sight) {
                Some(look) => look,
                None => {
                    self.send(slot, now, sight);
                    false
                }
            };
        }
        self.send(slot, now, sight);
        false
    }

    /// Decides where a request goes, and sends it there. `false` if it stays in the gateway's queue.
    pub(super) fn send(&mut self, slot: u32, now: SimTime, sight: Sight<'_>) -> bool {
        let mut routed = self.route(slot, None, now, sight);
        while routed == Routed::Nowhere && self.next_hop(slot, false) {
            routed = self.route(slot, None, now, sight);
        }
        if routed == Routed::Full && self.spec.resilience.admission.is_some_and(|a| a.queue.is_some()) {
            return self.enqueue(slot, now);
        }
        self.leave_queue(slot);
        let flight = self.slots.get(slot);
        flight.parked = false;
        match routed {
            Routed::To(to) => self.transmit(slot, to, false, now),
            Routed::Defer(until) => {
                assert!(until > now, "clock-forward: a request was deferred to {until:?} at {now:?}");
                let generation = self.slots.bump(slot);
                self.timer(until, Timer::Retry(slot, generation));
            }
            Routed::Wait => {
                self.slots.bump(slot);
                self.slots.get(slot).parked = true;
                self.parked.push_back(slot);
            }
            Routed::Reject => {
                let cause = self.why_rejected(slot);
                self.refuse(slot, cause, now);
            }
            Routed::Nowhere | Routed::Blocked => self.refuse(slot, OutcomeCause::NoBackend, now),
            Routed::Full => self.refuse(slot, OutcomeCause::Shed, now),
        }
        true
    }

    /// Why a policy rejects: because of its length, if that alone keeps the request from every place.
    fn why_rejected(&mut self, slot: u32) -> OutcomeCause {
        let flight = self.slots.get(slot);
        let request = flight.request.view(&self.spec.classes[flight.class as usize].0);
        let pools = self.spec.pools.iter().enumerate();
        let pools = pools.filter(|(i, _)| self.places.has_replicas(PoolId(*i as u32))).map(|(_, p)| &p.replica.facts);
        let endpoints = self.places.endpoints.values().filter(|e| e.standing != Standing::Leaving).map(|e| &e.facts);
        let (mut fits, mut would_fit) = (false, false);
        for facts in pools.chain(endpoints) {
            fits |= allowed(&request, facts);
            would_fit |= allowed_but_for_length(&request, facts);
        }
        if would_fit && !fits { OutcomeCause::TooLong } else { OutcomeCause::Constraint }
    }

    /// Sends an attempt; as a second copy, if it is a hedge.
    pub(super) fn transmit(&mut self, slot: u32, to: Place, hedge: bool, now: SimTime) {
        let generation = self.slots.bump(slot);
        let attempt = Slots::attempt_id(slot, generation);
        let flight = self.slots.get(slot);
        let (prompt_tokens, try_number) = (flight.request.prompt_tokens, flight.tries);
        if hedge {
            self.counts.hedges += 1;
        } else {
            match std::mem::replace(&mut flight.route.next_try, TryKind::Retry) {
                TryKind::First => {}
                TryKind::Retry => self.counts.retries += 1,
                TryKind::Fallback => self.counts.fallbacks += 1,
                TryKind::Escalation => self.counts.escalations += 1,
            }
        }
        flight.tries += 1;
        if self.needs.feedback {
            let view = self.endpoint_views.iter().find(|v| to == Place::Endpoint(v.endpoint));
            let expected_cost_pico = view.map_or(0, |v| v.expected_cost_pico);
            self.policy.learn(&Feedback::Sent { attempt, at: now, to, prompt_tokens, expected_cost_pico });
        }
        let prompt = u64::from(prompt_tokens);
        let mut sent = Sent { attempt, at: now, to, backlog_tokens: prompt, first_token: None, try_number };
        if let Place::Replica(r) = to {
            self.places.outstanding[r] += 1;
            let known = &mut self.places.replicas[r];
            known.unanswered += prompt;
            sent.backlog_tokens = known.unanswered;
        }
        let kind = self.places.kind_of(to);
        *self.places.busy.of(kind) += 1;
        flight.last_backend = Some(kind);
        if hedge {
            flight.hedge = Some(sent);
        } else {
            flight.current = Some(sent);
        }
        self.set_timers(slot, generation, to, hedge, now);
        self.actions.push(Action::Submit { slot, attempt, to });
    }

    /// The timers of an attempt. A batch answers within a day by its nature: none is set for it.
    fn set_timers(&mut self, slot: u32, generation: u32, to: Place, hedge: bool, now: SimTime) {
        if self.is_deferred(to) {
            return;
        }
        let r = &self.spec.resilience;
        if let Some(t) = r.try_timeout {
            self.timer(now + t, Timer::TryTimeout(slot, generation));
        }
        if let Some(t) = r.first_token_timeout {
            self.timer(now + t, Timer::FirstTokenTimeout(slot, generation));
        }
        if let Some(late) = r.hedge.as_ref().filter(|_| !hedge).and_then(|rule| self.learned.late(rule)) {
            self.timer(now + late, Timer::Hedge(slot, generation));
        }
    }

    /// Whether a place answers after hours.
    pub(super) fn is_deferred(&self, place: Place) -> bool {
        matches!(place, Place::Endpoint(e) if self.places.endpoints[e].facts.deferred)
    }

    /// Whether a backend other than that of the last attempt is ready for a request.
    pub(super) fn another_is_ready(&mut self, slot: u32, now: SimTime) -> bool {
        let flight = self.slots.get(slot);
        let (class, last) = (&self.spec.classes[flight.class as usize].0, flight.last_backend);
        let asked = std::mem::replace(&mut flight.request, Request::placeholder());
        let view = asked.view(class);
        let ready = self.places.ready_for(&view, &self.spec.pools);
        let health = &self.health;
        let own = self.places.list(ready).replicas.iter().filter(|r| !health.blocked((**r).into(), now)).count();
        let mut endpoints = self.places.endpoints.iter();
        let other = endpoints.any(|(id, known)| {
            let there = known.standing == Standing::Ready && last != Some(id.into());
            there && crate::gateway::allowed(&view, &known.facts) && !health.blocked(id.into(), now)
        });
        // The replica that failed is not known any more; it is one of the own ones.
        let spare = usize::from(matches!(last, Some(Place::Pool(_))));
        self.slots.get(slot).request = asked;
        other || own > spare
    }
}
