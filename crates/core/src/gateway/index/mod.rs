//! Approximate prefix indexes, built from routing decisions alone: they know what was sent where, not what engines evict.
mod blocks;
mod tree;

pub use blocks::{BlockRule, Blocks};
pub use tree::Tree;

/// How prefixes that were sent are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixRule {
    /// Who was sent a prefix last owns it (SGLang).
    Tree,
    /// Blocks of a prompt, by replica (llm-d, production-stack, Dynamo without events).
    Blocks(BlockRule),
}
