//! Baseload: simulate hybrid LLM serving (own GPUs, commercial APIs, the gateway between) and compare routing policies.
//!
//! The way of one request: a source ([`trace`]) yields it, the gateway ([`gateway`]) decides, a backend ([`engine`] on
//! own GPUs or an [`api`] endpoint) serves it, effects become records, records a summary ([`experiment`]), the summary
//! a report ([`report`]). [`sim`] is the event loop that joins them. ARCHITECTURE.md has the map.
pub use baseload_core::{
    api, catalog, economics, engine, fleet, gateway, kv, latency, memory, numeric, random, sim, types,
};
pub use baseload_trace as trace;

#[cfg(feature = "frames")]
pub mod frames;

pub mod calibrate;

pub mod experiment;

pub mod report;

#[cfg(feature = "frames")]
pub mod cli;
