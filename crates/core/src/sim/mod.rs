//! A world that joins source, gateway, replicas and endpoints, and the driver that replays a trace through it.
//!
//! May import `types`, `random`, `engine`, `api`, `gateway`, `fleet`. Knows no file, thread, frame or wall clock.
//! Must keep true: one total order of events (`agenda.rs`); every request ends in exactly one outcome; whoever has a part of
//! the state (`fleet.rs`, `market.rs`, `desk/`, `agenda.rs`) touches no other's, and only the world calls them.
//! Read first: `world.rs`, then `desk/mod.rs`.
mod agenda;
mod desk;
mod drive;
mod fleet;
mod market;
mod places;
mod series;
mod spec;
mod world;

pub use drive::simulate;
pub use fleet::Rental;
pub use spec::{Effects, PoolSpec, SimError, SimStats, WorldEffect, WorldSpec};
pub use world::World;

#[cfg(test)]
mod tests;
