//! One bought endpoint: latency, rate limits, prompt cache, price, base error rate.
//!
//! May import `types`, `catalog`, `random`. Knows no gateway and no other backend: it answers through effects.
//! Must keep true: an attempt gets exactly one end; its life is drawn from (seed, stream, request, try) alone.
//! Read first: `endpoint.rs`.
mod endpoint;
mod latency;
mod limits;
mod price;
mod prompt_cache;

pub use endpoint::{Endpoint, EndpointSpec};
pub use latency::{Call, Latency, Least, LogNormal, Luck, Pace, ProfileLaw, Streams};
pub use limits::{Limiter, Limits, TokenBucket};
pub use price::{LongContext, Price, Usage};
pub use prompt_cache::{CacheRule, CacheUse, PromptCache};
