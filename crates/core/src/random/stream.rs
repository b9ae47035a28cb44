//! One generator per concern and request, keyed so that a draw added in one place moves nothing else.
//!
//! The hash is stated and must never change: `h = FNV-1a-64(name)`, then for each of seed, replicate, index, attempt
//! in that order `h = mix(h ^ field)`, where `mix` adds 0x9e3779b97f4a7c15 and applies the SplitMix64 finaliser.
//! `h` seeds Xoshiro256++ through its own `seed_from_u64` (four further SplitMix64 outputs).
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};

/// What all streams of one concern in one run share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// Seed of the experiment.
    pub seed: u64,
    /// Replicate, from 0.
    pub replicate: u32,
    /// Name of the concern, such as `trace.length`.
    pub name: &'static str,
}

impl StreamKey {
    /// The stream of request `index` and try `attempt` under this key.
    pub fn at(self, index: u64, attempt: u32) -> Xoshiro256PlusPlus {
        self.family().at(index, attempt)
    }

    /// The key with what all its streams share hashed once.
    pub fn family(self) -> StreamFamily {
        let h = mix(fnv1a(self.name.as_bytes()) ^ self.seed);
        StreamFamily(mix(h ^ u64::from(self.replicate)))
    }
}

/// A `StreamKey`, hashed as far as it goes, for those who draw a stream a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamFamily(u64);

impl StreamFamily {
    /// The streams of part `part` of the concern.
    pub fn of(self, part: u64) -> StreamFamily {
        StreamFamily(mix(mix(self.0) ^ part))
    }

    /// The stream of request `index` and try `attempt`.
    pub fn at(self, index: u64, attempt: u32) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(mix(mix(self.0 ^ index) ^ u64::from(attempt)))
    }
}

/// The stream for (experiment seed, replicate, name of the concern, request's index in the trace, attempt).
pub fn stream(seed: u64, replicate: u32, name: &str, index: u64, attempt: u32) -> Xoshiro256PlusPlus {
    let mut h = fnv1a(name.as_bytes());
    for field in [seed, u64::from(replicate), index, u64::from(attempt)] {
        h = mix(h ^ field);
    }
    Xoshiro256PlusPlus::seed_from_u64(h)
}

/// FNV-1a, 64 bits.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// One SplitMix64 output for state `x`.
pub fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn every_field_of_the_key_matters_and_the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        let first = |s, r, n: &str, i, a| stream(s, r, n, i, a).next_u64();
        let base = first(1, 2, "x", 3, 4);
        let key = StreamKey { seed: 1, replicate: 2, name: "x" };
        assert_eq!((base, base), (key.at(3, 4).next_u64(), key.family().at(3, 4).next_u64()));
        let others = [first(2, 2, "x", 3, 4), first(1, 3, "x", 3, 4), first(1, 2, "y", 3, 4)];
        assert!(!others.contains(&base) && base != first(1, 2, "x", 4, 4) && base != first(1, 2, "x", 3, 5));
        assert_ne!(first(1, 2, "x", 3, 4), first(2, 1, "x", 3, 4));
    }
}
