//! Replicas: from the words of one to a type that starts them, and when they fail.
//!
//! May import `types`, `catalog`, `memory`, `latency`, `engine`, `random`. Knows no gateway, no policy and no file. Must keep
//! true: whoever needs an engine's memory, limits or step time from words takes [`ReplicaSpec::resolve`], so that equal
//! words are equal replicas everywhere.
//! Read first: `spec.rs`, then `resolve.rs`; `replica_type.rs` is what comes of it.
mod catalogued;
mod failure;
mod replica_type;
mod resolve;
mod source;
mod spec;
mod step_time;

pub use failure::FailureModel;
pub use replica_type::{HourlyRent, ReplicaType};
pub use source::{KernelSource, StepTimeSource};
pub use spec::{Formats, LongestSequence, MemoryOptions, RentSpec, ReplicaSpec};
pub use step_time::curves_of;

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
