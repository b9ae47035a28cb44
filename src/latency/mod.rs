//! How long engine steps take: models behind `types::StepTime`.
//!
//! Imports `catalog`, `memory` and `types`. Must keep true: `batch` equals the decode law to the femtosecond on pure
//! decode; floats are rounded to femtoseconds once for each part of a step, never added up.
//! Read first: `roofline.rs`; `work.rs` counts what it prices, `memory/graphs.rs` what it is padded to.
mod constant;
mod fitted;
mod roofline;
mod work;

pub use crate::memory::GraphSizes;
pub use constant::Constant;
pub use fitted::{FIRST_ROWS, Features, Fitted};
pub use roofline::{LatencyError, Roofline, RooflineOptions};
