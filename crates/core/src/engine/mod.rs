//! Engines: scheduler state machines and the replica that owns their clock.
//!
//! Imports `catalog`, `memory` and `kv`. Must keep true: a scheduler knows no time but the stamps it is handed; the token
//! budget and the sequence limit are never exceeded; a step that preempts admits nobody; every job ends once.
//! Read first: `scheduler.rs`, then `vllm/schedule.rs`, then `replica.rs`; `registry.rs` has the list of engines.
mod batch;
pub mod conformance;
mod embedded;
mod flight;
mod registry;
mod replica;
mod scheduler;
mod static_batch;
mod stride;
mod vllm;

pub use batch::{Batch, Finished, Gap, Row, StepResult};
pub use registry::{
    DefaultsOf, Demand, EngineChoice, EngineLimits, EngineRow, EngineSection, Engines, KvCapacity, Machine,
    ResolvedEngine,
};
pub use replica::{EngineMode, Replica, ReplicaCounts};
pub use scheduler::{Scheduler, Stride};
pub use static_batch::{StaticConfig, StaticScheduler};
pub use vllm::{QueuePolicy, VllmConfig, VllmScheduler};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testkit;
