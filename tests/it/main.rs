//! The one integration test binary, in reading order.
mod conformance;
mod determinism;
mod failures;
#[cfg(feature = "frames")]
mod support;
#[cfg(feature = "frames")]
mod swarm;
mod tidy;
