//! One bought endpoint: latency, rate limits, prompt cache, price, base error rate.
//!
//! May import `types`, `catalog`, `random`. Knows no gateway and no other backend: it answers through effects.
//! Must keep true: an attempt gets exactly one end; its life is drawn from (seed, stream, request, try) alone.
//! Read first: `endpoint.rs`.
mod endpoint;
mod limits;
mod price;
mod prompt_cache;

pub use endpoint::{Endpoint, EndpointSpec};
pub use limits::{Limits, TokenBucket};
pub use price::{LongContext, Price};
pub use prompt_cache::{CacheRule, PromptCache};
