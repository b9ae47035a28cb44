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
mod service;

pub use endpoint::{Endpoint, EndpointSpec, Metered};
pub use incidents::{Drawn, Fate, Incident, Outages, Sequence, WARM_UP, Weather};
pub use latency::{Call, DrawKey, Latency, Least, LogNormal, Pace, ProfileLaw, Streams};
pub use limits::{
    Acceleration, Counting, Day, Limiter, Limits, OutputCounting, Reserved, Rules, Squeeze, TokenBucket, Used,
    Utilization,
};
pub use price::{CacheWrite, LongContext, Price, Priced, Usage};
pub use prompt_cache::{BREAKPOINTS, CacheKind, CacheRule, CacheUse, LOOK_BACK, PromptCache};
pub use service::{Reasoning, Service, ServiceStreams, Turnaround};
