//! The engines of this program: an engine is a file or a folder here, and a line of this list.
use super::registry::Engines;
use super::{static_batch, vllm};

impl Engines {
    /// The engines of this program.
    pub fn embedded() -> Engines {
        Engines(vec![vllm::ROW, static_batch::ROW])
    }
}
