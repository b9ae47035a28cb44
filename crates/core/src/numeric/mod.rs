//! Arithmetic that several rooms need and that has one right answer: quantiles of numbers, linear least squares.
//!
//! Imports nothing. Must keep true: only `+ - * /` and `sqrt`, in a fixed order, so that results repeat on every platform.
//! Latencies of requests are summarised by HDR histograms, which no list of numbers replaces; `quantile.rs` says what a
//! quantile is here and there.
mod cholesky;
mod quantile;

pub use cholesky::{Dependent, solve};
pub use quantile::{counted_quantile, mean, quantile, rank, sorted_quantile};
