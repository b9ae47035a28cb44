//! Admission, and the queue at the gateway.
use super::agenda::Event;
use super::world::World;
use crate::gateway::{Admission, Detector, Verdict};
use crate::types::{OutcomeCause, RecordSink, Request, SimTime, Source};

/// llm-d's dispatcher sends one request a tick (spec/routers.md 3.3), because what it goes by does not tell at once.
const TICK: SimTime = SimTime::from_millis(1);

impl<S: RecordSink> World<'_, S> {
    /// Whether an arrival may go on to the policy; if not, it waits or was refused.
    pub(super) fn admit(&mut self, slot: u32, rule: &Admission, now: SimTime, source: &mut dyn Source) -> bool {
        let saturated = self.is_saturated(slot, rule, now);
        let priority = self.priority_of(slot);
        match rule.verdict(saturated, priority, self.waiting.len > 0) {
            Verdict::Pass => {
                self.slots.get(slot).route.admitted = true;
                true
            }
            Verdict::Shed => {
                self.refuse(slot, OutcomeCause::Shed, now, source);
                false
            }
            Verdict::Wait => {
                if !self.enqueue(slot, now, source) {
                    self.pump(now, source);
                }
                false
            }
        }
    }

    fn priority_of(&mut self, slot: u32) -> i32 {
        let flight = self.slots.get(slot);
        flight.request.priority.saturating_add(self.spec.classes[flight.class as usize].0.priority)
    }

    fn is_saturated(&mut self, slot: u32, rule: &Admission, now: SimTime) -> bool {
        let Some(detector) = rule.detector else { return false };
        let in_flight = self.busy.iter().sum();
        if let Detector::InFlight(_) = detector {
            return detector.saturated([].into_iter(), now, in_flight, now);
        }
        let flight = self.slots.get(slot);
        let class = &self.spec.classes[flight.class as usize].0;
        let asked = std::mem::replace(&mut self.slots.get(slot).request, Request::placeholder());
        let ready = self.ready_for(&asked.view(class));
        self.slots.get(slot).request = asked;
        let replicas = &self.replicas;
        let loads = self.ready[ready].replicas.iter().map(|r| {
            let replica = &replicas[*r as usize];
            replica.scraped.seen(now, |at| replica.engine.observe(at + SimTime(1)))
        });
        let sampled_at = replicas.first().map_or(SimTime::ZERO, |r| r.scraped.visible(now));
        detector.saturated(loads, sampled_at, in_flight, now)
    }

    /// Whether a request that nobody has room for may wait at the gateway.
    pub(super) fn may_wait(&self, _slot: u32) -> bool {
        self.spec.resilience.admission.is_some_and(|a| a.queue.is_some())
    }

    /// Puts a request into the gateway's queue, where there is room; `true` if it was refused.
    pub(super) fn enqueue(&mut self, slot: u32, now: SimTime, source: &mut dyn Source) -> bool {
        if self.slots.get(slot).route.queued {
            return false;
        }
        let queue = self.spec.resilience.admission.and_then(|a| a.queue).expect("queue: somebody may wait");
        if self.waiting.len >= queue.capacity {
            self.refuse(slot, OutcomeCause::GatewayQueueFull, now, source);
            return true;
        }
        let priority = self.priority_of(slot);
        let generation = self.slots.bump(slot);
        let flight = self.slots.get(slot);
        (flight.route.queued, flight.parked) = (true, false);
        let lane = usize::from(flight.class);
        self.waiting.push(lane, priority, slot, generation);
        self.agenda.timer(now + queue.ttl, Event::QueueTimeout(slot, generation));
        false
    }

    /// A request that waits at the gateway does so no more.
    pub(super) fn leave_queue(&mut self, slot: u32) {
        let route = &mut self.slots.get(slot).route;
        if route.queued {
            (route.queued, route.admitted) = (false, true);
            self.waiting.len -= 1;
        }
    }

    /// Has the queue looked at after what happens at this instant.
    pub(super) fn pump_soon(&mut self, at: SimTime) {
        if self.pump_at == SimTime::NEVER || at < self.pump_at {
            self.pump_at = at;
            self.agenda.timer(at, Event::Pump);
        }
    }

    /// Sends on who waits at the gateway, as far as the fleet has room.
    pub(super) fn pump(&mut self, now: SimTime, source: &mut dyn Source) {
        if self.pump_at <= now {
            self.pump_at = SimTime::NEVER;
        }
        let Some(rule) = self.spec.resilience.admission else { return };
        let by_load = matches!(rule.detector, Some(Detector::Utilization { .. }));
        let mut closed = 0;
        loop {
            let slots = &self.slots;
            let Some((lane, slot)) = self.waiting.first(closed, |slot, life| slots.is_current(slot, life)) else {
                return;
            };
            if self.is_saturated(slot, &rule, now) {
                if by_load {
                    self.pump_soon(self.next_sample_seen(now));
                }
                return;
            }
            if !self.send(slot, now, source) {
                closed |= 1 << lane.min(63);
            } else if by_load {
                if self.waiting.len > 0 {
                    self.pump_soon(now + TICK);
                }
                return;
            }
        }
    }

    /// When the next scraped sample is seen.
    fn next_sample_seen(&self, now: SimTime) -> SimTime {
        let (interval, delay) = self.spec.scrape;
        let seen = self.replicas.first().map_or(SimTime::ZERO, |r| r.scraped.visible(now));
        (seen + interval + delay + SimTime(1)).max(now + SimTime(1))
    }
}
