//! Streams keyed by (experiment seed, replicate, name, index, attempt) through a stated hash.
//!
//! The name is hashed with FNV-1a (64 bits); each field is then folded in with `h = mix(h ^ mix(field))`, where `mix`
//! is SplitMix64's finaliser (Steele, Lea, Flood 2014). The result seeds Xoshiro256++ through `seed_from_u64`.
use rand::SeedableRng;

/// The one generator.
pub type Generator = rand::rngs::Xoshiro256PlusPlus;

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The generator of one stream. `index` is the request's position in the trace (or a replica's), `attempt` the try.
pub fn stream(seed: u64, replicate: u32, name: &str, index: u64, attempt: u32) -> Generator {
    let fields = [u64::from(replicate), fnv1a(name), index, u64::from(attempt)];
    Generator::seed_from_u64(fields.into_iter().fold(mix(seed), |h, field| mix(h ^ mix(field))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn every_field_of_the_key_makes_another_stream() {
        let first = |seed, replicate, name, index, attempt| stream(seed, replicate, name, index, attempt).next_u64();
        let base = first(1, 0, "a", 0, 0);
        assert_eq!(base, first(1, 0, "a", 0, 0));
        let others = [
            first(2, 0, "a", 0, 0),
            first(1, 1, "a", 0, 0),
            first(1, 0, "b", 0, 0),
            first(1, 0, "a", 1, 0),
            first(1, 0, "a", 0, 1),
        ];
        assert!(others.iter().all(|o| *o != base));
    }
}
