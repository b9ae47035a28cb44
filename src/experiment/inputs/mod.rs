//! What an experiment reads beside its own file: traces, tables, prices; found, opened and hashed.
//!
//! Read first: `source.rs`.
mod hash;
mod own_prices;
pub mod published;
mod servegen;
mod source;

pub use hash::{hash, hex};
pub use own_prices::read_prices;
pub use servegen::open_servegen;
pub use source::{TraceOrigin, open_text, open_trace, open_trace_with, play_of, transformed};
