//! Draws lengths: one after the other, evenly where asked for, prompt and output together where they hang together.
use super::super::spec::{Fault, Joint, Length, LengthSpec};
use crate::SourceOptions;
use baseload_core::random::{Even, StreamFamily, StreamKey, dist};
use baseload_core::types::TraceFault;

/// Draws one kind of number.
pub(super) struct Drawer {
    pub length: Length,
    family: StreamFamily,
    client: u32,
    even: Option<Even>,
}

/// The streams of a concern.
pub(super) fn family(options: &SourceOptions, name: &'static str) -> StreamFamily {
    StreamKey { seed: options.seed, replicate: options.replicate, name }.family()
}

impl Drawer {
    /// Draws `spec` for `client` from the streams of `name`; `key` is the spec's key in messages.
    pub fn new(
        spec: &LengthSpec,
        key: &'static str,
        options: &SourceOptions,
        name: &'static str,
        client: u32,
    ) -> Result<Drawer, TraceFault> {
        let length = spec.length(key).map_err(|(_, what): Fault| what)?;
        Ok(Drawer::of(length, spec.even, options, name, client))
    }

    /// Draws from a checked law.
    pub fn of(length: Length, even: Option<u64>, options: &SourceOptions, name: &'static str, client: u32) -> Drawer {
        let family = family(options, name);
        Drawer { length, family, client, even: even.map(|n| Even::new(family, n)) }
    }

    /// Number `index`.
    pub fn draw(&mut self, index: u64) -> u32 {
        match &mut self.even {
            None => self.length.draw(|| self.family.at(index, self.client)),
            Some(even) => self.length.at(even.at(index)),
        }
    }

    /// The rank of number `index`, from 0 to 1.
    pub fn rank(&mut self, index: u64) -> f64 {
        match &mut self.even {
            None => dist::uniform01(&mut self.family.at(index, self.client)),
            Some(even) => even.at(index),
        }
    }
}

/// A Gaussian copula.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copula {
    correlation: f64,
    rest: f64,
}

impl Copula {
    /// A copula with this rank correlation r: the Gaussian's is 2 sin(pi r / 6) (Pearson 1907).
    pub fn new(joint: Joint) -> Copula {
        let correlation = 2.0 * libm::sin(std::f64::consts::PI * joint.rank_correlation / 6.0);
        let correlation = correlation.clamp(-1.0, 1.0);
        Copula { correlation, rest: libm::sqrt(1.0 - correlation * correlation) }
    }

    /// The rank of what hangs together with `rank`; `own` is an independent rank.
    pub fn rank(self, rank: f64, own: f64) -> f64 {
        let z = self.correlation * dist::normal_quantile(rank) + self.rest * dist::normal_quantile(own);
        dist::normal_share(z).min(1.0 - f64::EPSILON / 2.0)
    }
}

/// Prompt and output of a request.
pub(super) struct Pair {
    pub prompt: Drawer,
    pub output: Drawer,
    copula: Option<Copula>,
}

impl Pair {
    /// Draws both.
    pub fn new(prompt: Drawer, output: Drawer, joint: Option<Joint>) -> Pair {
        Pair { prompt, output, copula: joint.map(Copula::new) }
    }

    /// Prompt and output tokens number `index`.
    pub fn draw(&mut self, index: u64) -> (u32, u32) {
        let Some(copula) = self.copula else { return (self.prompt.draw(index), self.output.draw(index)) };
        let (rank, own) = (self.prompt.rank(index), self.output.rank(index));
        (self.prompt.length.at(rank), self.output.length.at(copula.rank(rank, own)))
    }
}
