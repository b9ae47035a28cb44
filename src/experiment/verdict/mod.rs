//! What came out: the summary, the verdict in a sentence, the gate.
//!
//! Read first: `summary.rs`.
pub mod gate;
pub mod rank;
pub mod summary;

#[cfg(test)]
mod sample;
