//! Rate limits of accounts, by each provider's rules: what is refused, when it may come again, what a call counts.
//!
//! May import: types. Must keep true: every bucket's invariants (`bucket.rs`); a refusal names the time after which the
//! same call would be let in if nobody else came, or none where no time helps.
//! Read first: `rules.rs`.
mod bucket;
mod limiter;
mod rules;

pub use bucket::{Acceleration, TokenBucket};
pub use limiter::{Limiter, Reserved, Used};
pub use rules::{Counting, Day, Limits, OutputCounting, Rules, Squeeze, Utilization};

#[cfg(test)]
mod tests;
