//! Baseload: simulate hybrid LLM serving (own GPUs, commercial APIs, the gateway between) and compare routing policies.
pub mod api;
pub mod gateway;
pub mod random;
pub mod types;
