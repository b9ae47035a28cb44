//! Arrival times of a generator, one process a kind.
//!
//! Must hold: times never go back; time i depends on the seed, the replicate and the draws up to i alone; the same kind with
//! the same numbers gives the same times whatever else a file says.
use super::bench::BenchTimes;
use super::gaps::{Draws, Gap, draws_of};
use super::profile::Profile;
use super::windows::WindowTimes;
use crate::{Arrivals, Process, SourceOptions, State};
use baseload_core::random::dist;
use baseload_core::types::SimTime;

/// Draws one arrival after the other.
pub struct ArrivalTimes {
    kind: Kind,
    resolution_ns: i64,
    last_ns: i64,
}

/// How the next time is found.
enum Kind {
    Renewal(Box<Renewal>),
    States(States),
    Windows(Box<WindowTimes>),
    Bench(BenchTimes),
}

/// A renewal process of unit rate, through the inverse of the cumulative rate.
struct Renewal {
    process: Process,
    gap: Gap,
    profile: Profile,
    draws: Draws,
    made: u64,
    mass: f64,
}

impl Renewal {
    fn next_s(&mut self) -> Option<f64> {
        let mut rng = self.draws.gap(self.made);
        self.made += 1;
        self.mass += match self.process {
            // Written out: its bits are pinned by results that exist.
            Process::Gamma { cv } => dist::gamma(&mut rng, 1.0 / (cv * cv), cv * cv),
            _ => self.gap.draw(&mut rng),
        };
        self.profile.inverse(self.mass)
    }
}

/// A Poisson process whose rate is that of the state it is in.
struct States {
    states: Vec<State>,
    draws: Draws,
    made: u64,
    switches: u64,
    now_s: f64,
    state: usize,
    until_s: f64,
}

impl States {
    fn new(states: &[State], draws: Draws) -> States {
        let mut this =
            States { states: states.to_vec(), draws, made: 0, switches: 0, now_s: 0.0, state: 0, until_s: 0.0 };
        this.until_s = this.stay(0);
        this
    }

    /// How long the state entered at switch `n` lasts, s.
    fn stay(&self, n: u64) -> f64 {
        dist::exponential(&mut self.draws.other(n), self.states[self.state].stay.0 as f64 / 1e9)
    }

    fn next_s(&mut self) -> Option<f64> {
        let mut left = dist::exponential(&mut self.draws.gap(self.made), 1.0);
        self.made += 1;
        loop {
            let rate = self.states[self.state].per_s;
            let fits = rate * (self.until_s - self.now_s);
            if left <= fits && rate > 0.0 {
                self.now_s += left / rate;
                return Some(self.now_s);
            }
            if self.states.len() == 1 {
                // One state only: it goes on for ever.
                self.until_s = f64::INFINITY;
                continue;
            }
            left -= fits;
            self.now_s = self.until_s;
            self.switches += 1;
            let mut rng = self.draws.other(self.switches);
            let others = self.states.len() - 1;
            let stay = dist::exponential(&mut rng, 1.0);
            let step = 1 + ((dist::uniform01(&mut rng) * others as f64) as usize).min(others - 1);
            self.state = (self.state + step) % self.states.len();
            self.until_s = self.now_s + stay * (self.states[self.state].stay.0 as f64 / 1e9);
        }
    }
}

impl ArrivalTimes {
    /// Follows checked `arrivals`; `stream` names the concern that draws.
    pub fn new(arrivals: &Arrivals, options: &SourceOptions, stream: &'static str) -> ArrivalTimes {
        ArrivalTimes::of_client(arrivals, options, stream, 0)
    }

    /// Arrival times of one of several clients that draw from one concern.
    pub(super) fn of_client(
        arrivals: &Arrivals,
        options: &SourceOptions,
        stream: &'static str,
        client: u32,
    ) -> ArrivalTimes {
        let draws = draws_of(options, stream, client);
        let kind = if let Some(windows) = &arrivals.windows {
            Kind::Windows(Box::new(WindowTimes::new(windows, draws)))
        } else if let Some(bench) = &arrivals.bench {
            Kind::Bench(BenchTimes::new(**bench, draws))
        } else if !arrivals.states.is_empty() {
            Kind::States(States::new(&arrivals.states, draws))
        } else {
            Kind::Renewal(Box::new(Renewal {
                process: arrivals.process,
                gap: Gap::of(arrivals.process),
                profile: Profile::new(arrivals),
                draws,
                made: 0,
                mass: 0.0,
            }))
        };
        ArrivalTimes::from_kind(kind, arrivals.resolution.map_or(0, |r| r.0 as i64))
    }

    fn from_kind(kind: Kind, resolution_ns: i64) -> ArrivalTimes {
        ArrivalTimes { kind, resolution_ns, last_ns: 0 }
    }

    /// Windows that a client's profile measured.
    pub(super) fn windows(windows: WindowTimes) -> ArrivalTimes {
        ArrivalTimes::from_kind(Kind::Windows(Box::new(windows)), 0)
    }

    /// The next arrival, ns from the start; `None` when none comes any more.
    pub fn next_ns(&mut self) -> Option<i64> {
        let s = match &mut self.kind {
            Kind::Renewal(renewal) => renewal.next_s(),
            Kind::States(states) => states.next_s(),
            Kind::Windows(windows) => windows.next_s(),
            Kind::Bench(bench) => bench.next_s(),
        }?;
        let mut at_ns = i64::try_from(SimTime::from_secs_f64(s).0).ok()?;
        if self.resolution_ns > 1 {
            at_ns -= at_ns % self.resolution_ns;
        }
        self.last_ns = self.last_ns.max(at_ns);
        Some(self.last_ns)
    }
}
