//! What an experiment reads beside its own file: traces, tables, prices; found, opened and hashed.
//!
//! Read first: `source.rs`.
mod catalog_files;
mod hash;
mod on_disk;
pub mod published;
mod source;
mod text;

pub use catalog_files::{OwnFacts, read_catalog};
pub use hash::{KernelInput, hash, hex};
pub use on_disk::open_servegen;
pub use source::{TraceOrigin, find, open_trace, open_trace_with, transformed};
pub use text::open_text;
