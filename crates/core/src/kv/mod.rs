//! The KV cache of one replica: who a block is, where blocks are, which go first.
//!
//! Imports `types` only. Must keep true: every block is free or held; two blocks have one identity exactly if
//! their whole prefixes are equal token by token; eviction order is vLLM's, block for block.
//! Two pools behind one seam (`pool.rs`): the reference (`chain.rs`, `reference.rs`) keeps every block of vLLM's and is
//! the oracle; the fast one (`segments.rs`, `spans.rs`) keeps runs of blocks and is what simulations use.
//! Read first: `pool.rs`, then `reference.rs`.
mod chain;
mod log;
mod pool;
mod reference;
mod segments;
mod spans;

pub use chain::{Chain, Identity, Interner};
pub use pool::{Hits, KvPool, Tokens};
pub use reference::{BlockPool, BlockTable};
pub use spans::{SpanPool, SpanTable};
