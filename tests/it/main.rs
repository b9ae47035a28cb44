//! The one integration test binary, in reading order.
mod calibrate;
mod cli;
mod conformance;
mod determinism;
mod examples;
mod failures;
mod instructions;
mod interrupt;
mod manifest;
mod perf;
#[cfg(feature = "frames")]
mod policies;
mod program;
#[cfg(feature = "frames")]
mod support;
#[cfg(feature = "frames")]
mod swarm;
mod tidy;
#[cfg(feature = "frames")]
mod traces;
