//! The gateway's mind: constraints, what it observes, and the policies that decide.
//!
//! May import `types`, `catalog`, `random`. Knows no engine, no event loop; never sees an output length.
//! Must keep true: a policy decides only among candidates that the constraints left; equal inputs, equal decision.
//! Read first: `view.rs`, then `pipeline.rs` and `policy.rs`.
mod condition;
mod constraint;
mod index;
mod memory;
mod need;
mod observe;
mod pick;
mod pipeline;
mod policy;
mod resilience;
mod ring;
mod score;
mod view;

pub use condition::{Bucket, Condition, Daily, Overflow, Saturation};
pub use constraint::{BackendFacts, allowed};
pub use index::{BlockRule, PrefixRule};
pub use need::{Need, Sample};
pub use observe::{PrefillRate, RollingTtft, ScrapedLoad};
pub use pick::{Picker, Ties};
pub use pipeline::{MakePolicy, Pipeline, Place, Routing, Rule, Scoring};
pub use policy::Policy;
pub use resilience::{
    Admission, Backoff, Breaker, Budget, BudgetLevel, Cascade, Causes, Cooldown, Detector, Fallbacks, Health,
    HealthEvent, Hedge, Hop, Impatience, Jitter, LearnedTtft, Queue, Resilience, Retry, RetryAfter, Spot, Verdict,
    Waiting,
};
pub use score::{KvCost, SCORERS, Scorer};
pub use view::{Decide, Decision, Draws, EndpointView, Feedback, GatewayView, Needs, Signals, Target};
