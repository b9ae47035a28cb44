//! GPU memory arithmetic: what weights, activations and graphs leave for KV blocks, how many fit, and what would fit.
//!
//! Imports `catalog` and `types`. Must keep true: the parts of a plan add up to the GPU's memory; the formula is that
//! of vLLM (spec 1.9, 1.10) with the profile run replaced by a stated estimate; bytes are integers, and what people
//! read is GiB, made in one place.
//! Read first: `plan.rs`; `weights.rs`, `profile.rs` and `layout.rs` are its parts, `fit.rs` looks for what fits.
mod dtype;
mod fit;
mod graphs;
mod layout;
mod matrices;
mod options;
mod plan;
mod profile;
mod weights;

pub use dtype::{KvDtype, WeightsDtype};
pub use fit::{Offer, advice, cheapest, without_rent};
pub use graphs::GraphSizes;
pub use layout::kv_bytes_per_token;
pub use matrices::{Matrix, Role, matrices};
pub use options::{BLOCK_SIZE, PlanOptions, StepLimits, UTILIZATION, UTILIZATION_UP_TO_2025};
pub use plan::{DoesNotFit, MemoryError, MemoryPlan, account, assumptions, blocks_in, gib, plan};
