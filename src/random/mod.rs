//! Named random streams and the distributions drawn from them.
//!
//! May import `types`. Knows no generator but Xoshiro256++ and no maths but `libm`, so that draws repeat everywhere.
//! Must keep true: a draw depends on its key alone; adding a draw in one place moves nothing elsewhere.
//! Read first: `stream.rs`.
mod dist;
mod stream;

pub use dist::{exponential, gamma, log_normal, normal, pareto, uniform01, weibull, zipf};
pub use stream::{Generator, stream};
