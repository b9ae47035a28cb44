//! Baseload: simulate hybrid LLM serving (own GPUs, commercial APIs, the gateway between) and compare routing policies.
pub mod api;
#[cfg(feature = "frames")]
pub mod frames;
pub mod catalog;
pub mod gateway;
pub mod latency;
pub mod memory;
pub mod random;
pub mod types;
