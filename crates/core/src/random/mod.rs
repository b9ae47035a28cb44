//! Keyed random streams and distributions whose bits are the same on every platform and feature set.
//!
//! May import: `types`, `rand` (generator only), `libm`. Never platform maths, `StdRng`, `SmallRng` or `rand_distr`.
//! Must hold: a stream depends on nothing but its key; every distribution is pinned by a golden hash of 100,000 draws.
pub mod dist;
mod even;
mod stream;

pub use even::Even;
pub use stream::{StreamFamily, StreamKey, fnv1a, mix, stream};

/// The generator every stream is made of.
pub use rand::rngs::Xoshiro256PlusPlus;
