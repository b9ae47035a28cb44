//! The gateway's mind: constraints, what it observes, and the policies that decide.
//!
//! May import `types`, `catalog`, `random`. Knows no engine, no event loop; never sees an output length.
//! Must keep true: a policy decides only among candidates that the constraints left; equal inputs, equal decision.
//! Read first: `policy.rs`.
mod constraint;
mod observe;
mod policy;
mod prefix;
mod resilience;

pub use constraint::{BackendFacts, allowed};
pub use observe::{EndpointView, PrefillRate, RollingTtft, ScrapedLoad, Signals};
pub use policy::{Candidates, Decision, Needs, Policy, Routing};
pub use resilience::Resilience;
