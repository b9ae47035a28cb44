//! What came out: the summary, the verdict in a sentence, the gate.
//!
//! Read first: `summary.rs`.
pub mod gate;
mod numbers;
pub mod rank;
pub mod summary;
