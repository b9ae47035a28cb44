//! The event loop and the world that joins source, gateway, replicas and endpoints.
//!
//! May import `types`, `random`, `engine`, `api`, `gateway`, `fleet`. Knows no file, thread, frame or wall clock.
//! Must keep true: one total order of events (`agenda.rs`); every request ends in exactly one outcome.
//! Read first: `world.rs`.
mod agenda;
mod around;
mod attempts;
mod dispatch;
mod gate;
mod outcome;
mod series;
mod spec;
mod world;

pub use spec::{PoolSpec, SimError, SimStats, WorldSpec};
pub use world::simulate;

#[cfg(test)]
#[path = "around_tests.rs"]
mod tests;
