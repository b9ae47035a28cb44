//! The KV cache of one replica: who a block is (`chain.rs`) and where blocks are (`reference.rs`).
//!
//! Imports `types` only. Must keep true: every block is free or held; two blocks have one identity exactly if
//! their whole prefixes are equal token by token; eviction order is vLLM's, block for block.
//! Read first: `chain.rs`, then `reference.rs`.
mod chain;
mod reference;

pub use chain::{Chain, Identity, Interner};
pub use reference::BlockPool;
