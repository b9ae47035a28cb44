//! What the catalogue knows of a replica.
use crate::catalog::{Gpu, Model};
use crate::memory::WeightsDtype;

/// A model and a GPU of the catalogue, and how the weights are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub model: &'a Model,
    pub gpu: &'a Gpu,
    pub weights: WeightsDtype,
}
