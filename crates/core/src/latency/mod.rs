//! How long engine steps take: models behind `types::StepTime`.
//!
//! Imports `catalog`, `memory` and `types`. Must keep true: `batch` equals the decode law to the femtosecond on pure
//! decode; floats are rounded to femtoseconds once for each part of a step, never added up.
//! Read first: `analytic.rs`; `curves.rs` has what it is fitted by, `work.rs` what it prices, `memory/graphs.rs` what a step
//! is padded to, `table.rs` the model that interpolates measured kernels.
mod analytic;
mod between;
mod constant;
mod curves;
mod error;
mod fitted;
#[cfg(test)]
mod floor_tests;
#[cfg(test)]
mod made_tables;
mod rows;
mod table;
mod work;

pub use crate::memory::GraphSizes;
pub use analytic::{Analytic, AnalyticOptions};
pub use constant::Constant;
pub use curves::{Borrowed, Curves, ProductCurve};
pub use error::LatencyError;
pub use fitted::{FIRST_ROWS, Features, Fitted};
pub use rows::{AllReduceRow, AttentionRow, ExpertRow, KernelTables, ProductRow};
pub use table::Table;
pub use work::touched_experts;
