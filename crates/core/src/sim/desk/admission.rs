//! Who gets in while the fleet is full, and the queue at the gateway.
use super::{Desk, Sight};
use crate::gateway::{Admission, Detector, Verdict};
use crate::sim::agenda::Timer;
use crate::types::{OutcomeCause, Request, SimTime};

/// llm-d's dispatcher sends one request a tick (spec/routers.md 3.3), because what it goes by does not tell at once.
const TICK: SimTime = SimTime::from_millis(1);

/// How a look at the queue went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// One was sent on, or stays: the next is looked at.
    Again,
    /// One was sent on, and the next one's turn comes with the next tick.
    NextTick,
    /// Nobody may go on now.
    Over,
}

impl Desk<'_> {
    /// Whether an arrival may go on to the policy: `None` if so. Else it waits or was refused, and the queue is to be looked at
    /// or not.
    pub(super) fn admit(&mut self, slot: u32, rule: &Admission, now: SimTime, sight: Sight<'_>) -> Option<bool> {
        let saturated = self.is_saturated(slot, rule, now, sight);
        let priority = self.priority_of(slot);
        match rule.verdict(saturated, priority, self.waiting.len > 0) {
            Verdict::Pass => {
                self.slots.get(slot).route.admitted = true;
                None
            }
            Verdict::Shed => {
                self.refuse(slot, OutcomeCause::Shed, now);
                Some(false)
            }
            Verdict::Wait => Some(!self.enqueue(slot, now)),
        }
    }

    fn priority_of(&mut self, slot: u32) -> i32 {
        let flight = self.slots.get(slot);
        flight.request.priority.saturating_add(self.spec.classes[flight.class as usize].0.priority)
    }

    fn is_saturated(&mut self, slot: u32, rule: &Admission, now: SimTime, sight: Sight<'_>) -> bool {
        let Some(detector) = rule.detector else { return false };
        let in_flight = self.places.busy.values().sum();
        if let Detector::InFlight(_) = detector {
            return detector.saturated([].into_iter(), now, in_flight, now);
        }
        let flight = self.slots.get(slot);
        let class = &self.spec.classes[flight.class as usize].0;
        let asked = std::mem::replace(&mut flight.request, Request::placeholder());
        let ready = self.places.ready_for(&asked.view(class), &self.spec.pools);
        self.slots.get(slot).request = asked;
        let loads = self.places.list(ready).replicas.iter().map(|r| sight.fleet.scraped(*r, now));
        detector.saturated(loads, sight.fleet.sampled_at(now), in_flight, now)
    }

    /// Puts a request into the gateway's queue, where there is room; `true` if it was refused.
    pub(super) fn enqueue(&mut self, slot: u32, now: SimTime) -> bool {
        if self.slots.get(slot).route.queued {
            return false;
        }
        let queue = self.spec.resilience.admission.and_then(|a| a.queue).expect("queue: somebody may wait");
        if self.waiting.len >= queue.capacity {
            self.refuse(slot, OutcomeCause::GatewayQueueFull, now);
            return true;
        }
        let priority = self.priority_of(slot);
        let generation = self.slots.bump(slot);
        let flight = self.slots.get(slot);
        (flight.route.queued, flight.parked) = (true, false);
        let lane = usize::from(flight.class);
        self.waiting.push(lane, priority, slot, generation);
        self.timer(now + queue.ttl, Timer::QueueTimeout(slot, generation));
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
    pub(super) fn look_soon(&mut self, at: SimTime) {
        if self.look_at == SimTime::NEVER || at < self.look_at {
            self.look_at = at;
            self.timer(at, Timer::Queue);
        }
    }

    /// A look at the queue begins.
    pub fn begin_look(&mut self, now: SimTime) {
        if self.look_at <= now {
            self.look_at = SimTime::NEVER;
        }
    }

    /// Sends the first of those who wait at the gateway on, if the fleet has room; `closed` has the lanes whose first must
    /// stay, and is empty when a look begins.
    pub fn look(&mut self, closed: &mut u64, now: SimTime, sight: Sight<'_>) -> Look {
        let Some(rule) = self.spec.resilience.admission else { return Look::Over };
        let by_load = matches!(rule.detector, Some(Detector::Utilization { .. }));
        let slots = &self.slots;
        let Some((lane, slot)) = self.waiting.first(*closed, |slot, life| slots.is_current(slot, life)) else {
            return Look::Over;
        };
        if self.is_saturated(slot, &rule, now, sight) {
            if by_load {
                let (interval, delay) = self.spec.scrape;
                let next_seen = sight.fleet.sampled_at(now) + interval + delay + SimTime(1);
                self.look_soon(next_seen.max(now + SimTime(1)));
            }
            return Look::Over;
        }
        if !self.send(slot, now, sight) {
            *closed |= 1 << lane.min(63);
            return Look::Again;
        }
        if by_load { Look::NextTick } else { Look::Again }
    }

    /// The next of those who wait has its turn with the next tick.
    pub fn look_next_tick(&mut self, now: SimTime) {
        if self.waiting.len > 0 {
            self.look_soon(now + TICK);
        }
    }
}
