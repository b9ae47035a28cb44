//! One bought endpoint: latency, rate limits, prompt cache, price, base error rates, its provider's incidents.
//!
//! May import `types`, `catalog`, `random`. Knows no gateway and no other backend: it answers through effects.
//! Must keep true: an attempt gets exactly one end; its life is drawn from (seed, stream, request, try) alone.
//! Read first: `endpoint.rs`.
mod endpoint;
mod incidents;
mod latency;
mod limits;
mod price;
mod prompt_cache;

pub use endpoint::{Endpoint, EndpointSpec};
pub use incidents::{Drawn, Fate, Incident, Outages, Sequence, WARM_UP, Weather};
pub use latency::{Call, Latency, LogNormal, Luck, Pace, Streams};
pub use limits::{
    Acceleration, Counting, Day, Limiter, Limits, OutputCounting, Reserved, Rules, Squeeze, TokenBucket, Used,
    Utilization,
};
pub use price::{LongContext, Price, Usage};
pub use prompt_cache::{CacheRule, CacheUse, PromptCache};
