//! Arithmetic that several rooms need and that has one right answer: quantiles of numbers, linear least squares.
//!
//! Imports nothing. Must keep true: only `+ - * /` and `sqrt`, in a fixed order, so that results repeat on every platform.
//! Latencies of requests are summarised by HDR histograms, which no list of numbers replaces.
mod cholesky;
mod quantile;

pub use cholesky::{Dependent, solve};
pub use quantile::{mean, quantile, sorted_quantile};
