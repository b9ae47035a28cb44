//! GPU memory arithmetic: what weights, activations and graphs leave for KV blocks, and how many fit.
//!
//! Imports `catalog` and `types`. Must keep true: the parts of a plan add up to its budget; the formula is that of
//! vLLM (spec 1.9) with the profile run replaced by a stated estimate.
//! Read first: `plan.rs`.
mod options;
mod plan;

pub use options::{PlanOptions, StepLimits};
pub use plan::{MemoryError, MemoryPlan, blocks_in, kv_bytes_per_token, plan};
