//! Baseload's core: what happens to a request between its arrival and its bill, simulated.
//!
//! Knows no files, threads, terminals, frames or host clock: who has a [`types::Source`] of requests and a
//! [`types::RecordSink`] for what becomes of them calls [`sim::simulate`]. ARCHITECTURE.md of the repository has the map.
pub mod types;

pub mod numeric;

pub mod random;

pub mod catalog;

pub mod memory;

pub mod latency;

pub mod kv;

pub mod engine;

pub mod api;

pub mod gateway;

pub mod fleet;

pub mod sim;

pub mod economics;
