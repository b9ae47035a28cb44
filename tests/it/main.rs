//! The one integration test binary, in reading order.
mod conformance;
mod determinism;
mod failures;
mod perf;
mod tidy;
