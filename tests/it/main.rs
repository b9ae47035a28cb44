//! The one integration test binary, in reading order.
mod calibrate;
mod cli;
mod conformance;
mod determinism;
mod examples;
mod failures;
mod instructions;
mod interrupt;
mod lookalike;
mod manifest;
mod perf;
mod program;
#[cfg(feature = "frames")]
mod support;
#[cfg(feature = "frames")]
mod swarm;
mod tidy;
mod traces;
