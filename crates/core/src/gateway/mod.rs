//! The gateway's mind: constraints, what it observes, and the policies that decide.
//!
//! May import `types`, `catalog`, `random`. Knows no engine, no event loop; never sees an output length.
//! Must keep true: a policy decides only among candidates that the constraints left; equal inputs, equal decision.
//! Read first: `view.rs`, then `pipeline.rs` and `policy.rs`.
mod answers;
mod assemble;
mod condition;
mod constraint;
mod expr;
mod history;
#[cfg(test)]
mod hybrid_tests;
mod index;
mod need;
mod observe;
mod parts;
mod pick;
mod pipeline;
mod policy;
mod presets;
#[cfg(test)]
mod property_tests;
mod resilience;
mod ring;
mod routing;
mod score;
#[cfg(test)]
mod testing;
mod view;

pub use crate::types::BackendFacts;
pub use answers::{Answers, Drift, Outcomes, Pair};
pub use assemble::{Assembled, PolicyScope};
pub use condition::{Bucket, Condition, Daily, Overflow, Saturation};
pub use constraint::{allowed, allowed_but_for_length};
pub use expr::{ENDPOINT as ENDPOINT_FIELDS, PLAIN as REQUEST_FIELDS, POOL as POOL_FIELDS};
pub use index::{BlockRule, Blocks, PrefixRule, Tree};
pub use need::{Need, Predictor, Sample};
pub use observe::{ASSUMED_PREFILL_TOKENS_PER_S, PrefillRate, RollingTtft, ScrapedLoad};
pub use parts::{
    BaseloadSection, BudgetSection, DailySection, FullSection, ImbalanceSection, KvCostSection, MinCostSection,
    NeedSection, OracleSection, Parts, PickerSection, PredictorSection, PrefixSection, RuleSection, SaturationSection,
    ScrapeSection, TiesSection,
};
pub use pick::{Picker, Ties};
pub use pipeline::{Destination, Pipeline, Rule, Scoring};
pub use policy::Policy;
pub use presets::{
    BaseloadSplitSection, BudgetPacedSection, CacheAwareSection, DynamoKvSection, Empty, Given, Keeps,
    LitellmShuffleSection, OracleQualitySection, OverflowSection, Preset, Presets, RouteLlmThresholdSection, Section,
    Table, TimeOfDaySection,
};
pub use resilience::{
    Admission, Backoff, Breaker, Budget, BudgetLevel, Cascade, Causes, Cooldown, Detector, Fallbacks, Health,
    HealthEvent, Hedge, Hop, Impatience, Jitter, LearnedTtft, Queue, Resilience, Retry, RetryAfter, Verdict, Waiting,
};
pub use routing::{MakePolicy, Routing};
pub use score::{KvCost, SCORERS, Scorer};
pub use view::{Decide, Decision, Draws, EndpointView, Feedback, GatewayView, Needs, Signals};
