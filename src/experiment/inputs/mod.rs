//! What an experiment reads beside its own file: traces, tables, prices; found, opened and hashed.
//!
//! Read first: `source.rs`.
mod catalog_files;
mod hash;
pub mod published;
mod servegen;
mod source;
mod text;

pub use catalog_files::{OwnFacts, read_catalog};
pub use hash::{KernelInput, hash, hex};
pub use servegen::open_servegen;
pub use source::{TraceOrigin, open_trace, open_trace_with, play_of, transformed};
pub use text::open_text;
