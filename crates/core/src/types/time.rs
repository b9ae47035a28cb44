//! Simulated time: whole nanoseconds for the world, whole femtoseconds inside a replica's clock.
use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign, Sub};

/// Nanoseconds in a second.
pub const NS_PER_S: u64 = 1_000_000_000;

/// An instant or a span of simulated time in whole nanoseconds since the trace's first instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct SimTime(pub u64);

impl SimTime {
    /// The first instant.
    pub const ZERO: SimTime = SimTime(0);
    /// Later than anything that happens.
    pub const NEVER: SimTime = SimTime(u64::MAX);

    /// Rounds seconds to the nearest nanosecond; negative and NaN become zero.
    pub fn from_secs_f64(seconds: f64) -> SimTime {
        let ns = seconds * NS_PER_S as f64;
        if (0.0..4e15).contains(&ns) {
            // As `round` does, half away from zero, without a call.
            let below = ns as i64;
            return SimTime(below as u64 + u64::from(ns - below as f64 >= 0.5));
        }
        SimTime(ns.round() as u64)
    }
    /// Whole milliseconds.
    pub const fn from_millis(ms: u64) -> SimTime {
        SimTime(ms * 1_000_000)
    }
    /// Whole seconds.
    pub const fn from_secs(s: u64) -> SimTime {
        SimTime(s * NS_PER_S)
    }
    /// Seconds as a float, for reports only.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NS_PER_S as f64
    }
    /// The span since `earlier`, zero if it is later.
    pub fn since(self, earlier: SimTime) -> SimTime {
        SimTime(self.0.saturating_sub(earlier.0))
    }
}

impl Add for SimTime {
    type Output = SimTime;
    fn add(self, other: SimTime) -> SimTime {
        SimTime(self.0.saturating_add(other.0))
    }
}
impl AddAssign for SimTime {
    fn add_assign(&mut self, other: SimTime) {
        *self = *self + other;
    }
}
impl Sub for SimTime {
    type Output = SimTime;
    fn sub(self, other: SimTime) -> SimTime {
        assert!(self >= other, "clock-forward: {other:?} is later than {self:?}");
        SimTime(self.0 - other.0)
    }
}

/// A duration, or a replica's clock, in whole femtoseconds (10^-15 s).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Femtos(pub u128);

impl Femtos {
    /// Femtoseconds in a nanosecond.
    pub const PER_NS: u128 = 1_000_000;
    /// Rounds seconds to the nearest femtosecond; negative and NaN become zero.
    pub fn from_secs_f64(seconds: f64) -> Femtos {
        Femtos((seconds * 1e15).round() as u128)
    }
    /// An instant of the world's clock in femtoseconds.
    pub fn from_time(t: SimTime) -> Femtos {
        Femtos(u128::from(t.0) * Self::PER_NS)
    }
    /// Nanoseconds, rounded down, as a replica publishes them.
    pub fn to_time(self) -> SimTime {
        // A million is 64 times 15,625: half a month fits into the cheap division of 64 bits.
        SimTime(match u64::try_from(self.0 >> 6) {
            Ok(parts) => parts / 15_625,
            Err(_) => (self.0 / Self::PER_NS) as u64,
        })
    }
    /// Seconds as a float, for reports only.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e15
    }
}
impl Sub for Femtos {
    type Output = Femtos;
    fn sub(self, other: Femtos) -> Femtos {
        assert!(self >= other, "clock-forward: {other:?} is later than {self:?}");
        Femtos(self.0 - other.0)
    }
}
impl Add for Femtos {
    type Output = Femtos;
    fn add(self, other: Femtos) -> Femtos {
        Femtos(self.0 + other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn femtoseconds_are_published_rounded_down_at_any_size() {
        for fs in [
            0,
            999_999,
            1_000_000,
            1_999_999,
            (1 << 70) - 1,
            1 << 70,
            (1 << 70) + 999_999,
            u128::from(u64::MAX) * 1_000_000,
        ] {
            assert_eq!(Femtos(fs).to_time(), SimTime((fs / 1_000_000) as u64), "{fs}");
        }
    }
}
