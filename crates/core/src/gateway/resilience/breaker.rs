//! Circuit breakers and cooldowns: a backend that fails is no candidate for a time.
//!
//! The breaker is SGLang's (spec/routers.md 3.1, its defaults there): closed, open after failures in a row, half-open after a
//! time, closed again after successes, open again at the first failure. The cooldown is LiteLLM's (3.6). Circuits are
//! those of replicas and endpoints. A refusal for length says nothing of a backend's health.
use crate::types::{Place, PlaceMap, SimTime};

/// When a backend's circuit opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Time from the first of `failures` failures in a row within which the last must come to open the circuit.
    pub window: SimTime,
    /// Opens it as well: this share (millionths) of attempts failed within a window, of at least so many.
    pub rate: Option<(u32, u32)>,
    /// How long it stays open.
    pub open: SimTime,
    /// Successes in a row, while half-open, that close it.
    pub successes: u32,
    /// What happens where the breakers of all candidates are open: true refuses the request, false acts as if none were
    /// open.
    pub refuse_if_all_open: bool,
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker {
            failures: 10,
            window: SimTime::from_secs(120),
            rate: None,
            open: SimTime::from_secs(60),
            successes: 3,
            refuse_if_all_open: false,
        }
    }
}

/// LiteLLM's cooldown of a deployment. Where all candidates cool down the request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooldown {
    /// How long, where no Retry-After says.
    pub time: SimTime,
    /// A backend cools down when more than this share of a minute's attempts failed, millionths.
    pub failed_ppm: u32,
    /// Attempts that a minute must have for its share of failures to count.
    pub at_least: u32,
}

impl Default for Cooldown {
    fn default() -> Cooldown {
        Cooldown { time: SimTime::from_secs(5), failed_ppm: 500_000, at_least: 5 }
    }
}

/// How an attempt ended, for its backend's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Answered in full.
    Success,
    /// HTTP 429, with its Retry-After.
    RateLimited(SimTime),
    /// The attempt took too long (HTTP 408).
    Timeout,
    /// Any other failure.
    Failure,
}

const MINUTE: u64 = 60_000_000_000;
/// Attempts of a minute from which LiteLLM cools down a single deployment, too, if all failed.
const SINGLE_AT_LEAST: u32 = 1_000;

/// What is known of one replica or endpoint.
#[derive(Debug, Clone, Copy, Default)]
struct Circuit {
    blocked_until: SimTime,
    /// The circuit was open and has not been closed by successes.
    half_open: bool,
    in_row: u32,
    row_began: SimTime,
    successes: u32,
    /// Window of the breaker's rate: when it began, attempts, failures.
    window: (SimTime, u32, u32),
    /// Minute of the cooldown: which, attempts, failures.
    minute: (u64, u32, u32),
}

/// The health of all backends.
#[derive(Debug, Clone, Default)]
pub struct Health {
    breaker: Option<Breaker>,
    cooldown: Option<Cooldown>,
    circuits: PlaceMap<Circuit>,
    /// Replicas and endpoints that there are.
    backends: usize,
    /// No backend is blocked from here on.
    until: SimTime,
    /// Times that a backend was taken out.
    pub opened: u64,
}

impl Health {
    /// Health of backends none of which is known yet.
    pub fn new(breaker: Option<Breaker>, cooldown: Option<Cooldown>) -> Health {
        Health { breaker, cooldown, ..Health::default() }
    }
    /// A healthy backend has come.
    pub fn came(&mut self, backend: Place) {
        self.backends += 1;
        *self.circuits.of(backend) = Circuit::default();
    }
    /// A backend has left.
    pub fn left(&mut self) {
        self.backends -= 1;
    }
    /// Whether any backend is blocked.
    pub fn any_blocked(&self, now: SimTime) -> bool {
        now < self.until
    }
    /// Whether this backend is blocked.
    pub fn blocked(&self, backend: Place, now: SimTime) -> bool {
        now < self.until && self.circuits.get(backend).is_some_and(|c| now < c.blocked_until)
    }
    /// What happens to a request whose candidates are all blocked.
    pub fn refuses(&self) -> bool {
        self.cooldown.is_some() || self.breaker.is_some_and(|b| b.refuse_if_all_open)
    }

    fn block(&mut self, backend: Place, now: SimTime, time: SimTime) {
        let until = SimTime(now.0.saturating_add(time.0));
        let circuit = self.circuits.of(backend);
        self.opened += u64::from(circuit.blocked_until <= now);
        circuit.blocked_until = circuit.blocked_until.max(until);
        self.until = self.until.max(until);
    }

    /// An attempt at a backend ended.
    pub fn note(&mut self, backend: Place, event: Event, now: SimTime) {
        if let Some(rule) = self.breaker
            && opens(&rule, self.circuits.of(backend), event, now)
        {
            self.block(backend, now, rule.open);
        }
        if let Some(rule) = self.cooldown {
            let single = self.backends == 1;
            if let Some(time) = cools(&rule, self.circuits.of(backend), event, now, single) {
                self.block(backend, now, time);
            }
        }
    }
}

/// Whether the circuit opens at this.
fn opens(rule: &Breaker, circuit: &mut Circuit, event: Event, now: SimTime) -> bool {
    let failed = event != Event::Success;
    if now.since(circuit.window.0) >= rule.window {
        circuit.window = (now, 0, 0);
    }
    circuit.window.1 += 1;
    circuit.window.2 += u32::from(failed);
    if !failed {
        circuit.in_row = 0;
        if circuit.half_open && now >= circuit.blocked_until {
            circuit.successes += 1;
            circuit.half_open = circuit.successes < rule.successes;
        }
        return false;
    }
    if circuit.in_row == 0 || now.since(circuit.row_began) > rule.window {
        (circuit.in_row, circuit.row_began) = (0, now);
    }
    circuit.in_row += 1;
    if now < circuit.blocked_until {
        return false; // what was sent before it opened
    }
    let too_many = rule.rate.is_some_and(|(ppm, at_least)| {
        let (_, attempts, failures) = circuit.window;
        attempts >= at_least && u64::from(failures) * 1_000_000 >= u64::from(attempts) * u64::from(ppm)
    });
    let open = circuit.half_open || circuit.in_row >= rule.failures || too_many;
    if open {
        (circuit.half_open, circuit.in_row, circuit.successes, circuit.window) = (true, 0, 0, (now, 0, 0));
    }
    open
}

/// How long the backend cools down after this, if it does.
fn cools(rule: &Cooldown, circuit: &mut Circuit, event: Event, now: SimTime, single: bool) -> Option<SimTime> {
    let minute = now.0 / MINUTE;
    if circuit.minute.0 != minute {
        circuit.minute = (minute, 0, 0);
    }
    circuit.minute.1 += 1;
    circuit.minute.2 += u32::from(event != Event::Success);
    let (_, attempts, failures) = circuit.minute;
    let (all, failed) = (u64::from(attempts), u64::from(failures));
    match event {
        Event::Success => None,
        Event::RateLimited(retry_after) if !single => {
            Some(if retry_after > SimTime::ZERO { retry_after } else { rule.time })
        }
        Event::Timeout => Some(rule.time),
        _ if attempts >= SINGLE_AT_LEAST && failures == attempts => Some(rule.time),
        _ if single => None,
        _ => (attempts >= rule.at_least && failed * 1_000_000 > all * u64::from(rule.failed_ppm)).then_some(rule.time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::EndpointId;

    fn endpoint(number: u32) -> Place {
        EndpointId(number).into()
    }
    /// Health that knows so many endpoints.
    fn health(backends: u32, breaker: Option<Breaker>, cooldown: Option<Cooldown>) -> Health {
        let mut health = Health::new(breaker, cooldown);
        (0..backends).for_each(|e| health.came(endpoint(e)));
        health
    }
    fn s(seconds: u64) -> SimTime {
        SimTime::from_secs(seconds)
    }

    #[test]
    fn a_circuit_opens_half_opens_and_closes() {
        let rule = Breaker { failures: 3, ..Breaker::default() };
        let mut h = health(2, Some(rule), None);
        let fail = |h: &mut Health, at| h.note(endpoint(1), Event::Failure, s(at));
        fail(&mut h, 1);
        fail(&mut h, 2);
        h.note(endpoint(1), Event::Success, s(3));
        fail(&mut h, 4);
        fail(&mut h, 5);
        assert!(!h.any_blocked(s(5)), "a success between them: not in a row");
        fail(&mut h, 6);
        assert!(
            h.blocked(endpoint(1), s(6))
                && h.blocked(endpoint(1), s(65))
                && !h.blocked(endpoint(1), s(66))
                && !h.blocked(endpoint(0), s(6))
        );
        fail(&mut h, 7);
        assert!(!h.blocked(endpoint(1), s(66)), "what was sent before does not lengthen it");
        fail(&mut h, 70);
        assert!(h.blocked(endpoint(1), s(129)), "half-open: the first failure opens it again");
        (131..=133).for_each(|t| h.note(endpoint(1), Event::Success, s(t)));
        fail(&mut h, 134);
        assert!(!h.blocked(endpoint(1), s(134)), "closed after three successes");
        fail(&mut h, 300);
        fail(&mut h, 301);
        assert!(!h.blocked(endpoint(1), s(301)), "failures further apart than the window are not in a row");
        assert_eq!(h.opened, 2);
    }

    #[test]
    fn a_circuit_opens_at_a_rate_of_failures() {
        let rule = Breaker { rate: Some((500_000, 4)), ..Breaker::default() };
        let mut h = health(1, Some(rule), None);
        for (at, event) in [(1, Event::Success), (2, Event::Failure), (3, Event::Success)] {
            h.note(endpoint(0), event, s(at));
        }
        assert!(!h.any_blocked(s(3)));
        h.note(endpoint(0), Event::Failure, s(4));
        assert!(h.blocked(endpoint(0), s(4)), "half of four failed");
    }

    #[test]
    fn cooldowns_are_those_of_litellm() {
        let new = |backends| health(backends, None, Some(Cooldown::default()));
        let mut h = new(2);
        h.note(endpoint(0), Event::RateLimited(SimTime::ZERO), s(10));
        assert!(h.blocked(endpoint(0), s(14)) && !h.blocked(endpoint(0), s(15)), "5 s after a 429");
        h.note(endpoint(0), Event::RateLimited(s(30)), s(20));
        assert!(h.blocked(endpoint(0), s(49)) && !h.blocked(endpoint(0), s(50)), "Retry-After goes before the default");
        let mut single = new(1);
        single.note(endpoint(0), Event::RateLimited(s(30)), s(10));
        assert!(!single.any_blocked(s(10)), "not for the only deployment");
        single.note(endpoint(0), Event::Timeout, s(10));
        assert!(single.blocked(endpoint(0), s(10)), "a 408 cools down at once");
        let mut h = new(2);
        for (at, event) in [(1, Event::Success), (2, Event::Success), (3, Event::Failure), (4, Event::Failure)] {
            h.note(endpoint(1), event, s(at));
        }
        assert!(!h.any_blocked(s(4)), "four are too few");
        h.note(endpoint(1), Event::Failure, s(5));
        assert!(h.blocked(endpoint(1), s(9)) && !h.blocked(endpoint(1), s(10)), "3 of 5 failed");
        h.note(endpoint(1), Event::Failure, s(61));
        assert!(!h.any_blocked(s(61)), "another minute");
        assert!(h.refuses());
    }
}
