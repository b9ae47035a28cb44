//! The gaps between arrivals: their laws, and the streams that they are drawn from.
use crate::{Process, SourceOptions};
use baseload_core::random::{Even, StreamFamily, StreamKey, Xoshiro256PlusPlus, dist};

/// What draws for one process: its streams, by the number of the draw; `client` tells processes of one concern apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draws {
    family: StreamFamily,
    other: StreamFamily,
    client: u32,
}

impl Draws {
    /// The stream of gap `index`.
    pub fn gap(&self, index: u64) -> Xoshiro256PlusPlus {
        self.family.at(index, self.client)
    }
    /// Gaps' ranks that cover their law evenly, `n` in a row.
    pub fn even(&self, n: u64) -> Even {
        Even::new(self.family.of(u64::from(self.client)), n)
    }
    /// The stream of whatever else is drawn (a state's length, a window's place).
    pub fn other(&self, index: u64) -> Xoshiro256PlusPlus {
        self.other.at(index, self.client)
    }
}

/// A law of gaps with mean 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Gap {
    Constant,
    Exponential,
    Gamma { shape: f64 },
    Weibull { shape: f64, scale: f64 },
}

impl Gap {
    pub fn of(process: Process) -> Gap {
        match process {
            Process::Constant => Gap::Constant,
            Process::Poisson => Gap::Exponential,
            Process::Gamma { cv } => Gap::Gamma { shape: 1.0 / (cv * cv) },
            Process::Weibull { cv } => Gap::weibull(dist::weibull_shape(cv)),
        }
    }
    /// Weibull of this shape, scaled to mean 1.
    pub fn weibull(shape: f64) -> Gap {
        Gap::Weibull { shape, scale: 1.0 / libm::tgamma(1.0 + 1.0 / shape) }
    }
    pub fn draw(self, rng: &mut impl rand::Rng) -> f64 {
        match self {
            Gap::Constant => 1.0,
            Gap::Exponential => dist::exponential(rng, 1.0),
            Gap::Gamma { shape } => dist::gamma(rng, shape, 1.0 / shape),
            Gap::Weibull { shape, scale } => dist::weibull(rng, shape, scale),
        }
    }
}

/// Draws for a process of client `client`.
pub(super) fn draws_of(options: &SourceOptions, stream: &'static str, client: u32) -> Draws {
    let key = |name| StreamKey { seed: options.seed, replicate: options.replicate, name }.family();
    Draws { family: key(stream), other: key("generate.arrival-frame"), client }
}
