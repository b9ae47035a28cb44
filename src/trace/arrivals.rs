//! Arrival times of a generator: a renewal process of unit rate, through the inverse of the cumulative rate.
//!
//! Must hold: times never go back; time i depends on the seed, the replicate and the gaps up to i alone.
use super::profile::Profile;
use super::{Arrivals, Process, SourceOptions};
use crate::random::{StreamFamily, StreamKey, dist};
use crate::types::SimTime;

/// Draws one arrival after the other.
pub struct ArrivalTimes {
    process: Process,
    profile: Profile,
    stream: StreamFamily,
    made: u64,
    mass: f64,
    last_ns: i64,
}

impl ArrivalTimes {
    /// Follows checked `arrivals`; `stream` names the concern that draws.
    pub fn new(arrivals: &Arrivals, options: &SourceOptions, stream: &'static str) -> ArrivalTimes {
        let key = StreamKey { seed: options.seed, replicate: options.replicate, name: stream };
        ArrivalTimes {
            process: arrivals.process,
            profile: Profile::new(arrivals),
            stream: key.family(),
            made: 0,
            mass: 0.0,
            last_ns: 0,
        }
    }

    /// The next arrival, ns from the start; `None` when none comes any more.
    pub fn next_ns(&mut self) -> Option<i64> {
        let mut rng = self.stream.at(self.made, 0);
        self.made += 1;
        self.mass += match self.process {
            Process::Poisson => dist::exponential(&mut rng, 1.0),
            Process::Gamma { cv } => dist::gamma(&mut rng, 1.0 / (cv * cv), cv * cv),
        };
        let at_ns = i64::try_from(SimTime::from_secs_f64(self.profile.inverse(self.mass)?).0).ok()?;
        self.last_ns = self.last_ns.max(at_ns);
        Some(self.last_ns)
    }
}
