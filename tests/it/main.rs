//! The one integration test binary, in reading order.
#[cfg(feature = "frames")]
mod api_latency;
mod bounds;
mod breakeven;
mod calibrate;
#[cfg(feature = "frames")]
mod catalogue;
mod cli;
mod conformance;
mod determinism;
mod examples;
mod failures;
#[cfg(feature = "fetch")]
mod fetch;
mod folders;
mod hostile;
mod instructions;
mod interrupt;
#[cfg(feature = "frames")]
mod kernels;
mod lookalike;
mod manifest;
#[cfg(feature = "frames")]
mod outages;
mod perf;
#[cfg(feature = "frames")]
mod places;
#[cfg(feature = "frames")]
mod policies;
#[cfg(feature = "frames")]
mod prefixes;
mod prices;
mod program;
mod quality;
#[cfg(feature = "frames")]
mod readers;
mod replicas;
mod stepping;
#[cfg(feature = "frames")]
mod summaries;
#[cfg(feature = "frames")]
mod support;
#[cfg(feature = "frames")]
mod swarm;
mod tidy;
mod touches;
#[cfg(feature = "frames")]
mod trace_files;
#[cfg(feature = "frames")]
mod traces;
mod windows;
