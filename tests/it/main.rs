//! The one integration test binary, in reading order.
mod conformance;
mod determinism;
mod failures;
mod instructions;
mod perf;
mod tidy;
