//! What a memory plan depends on besides the model and the GPU.
//!
//! Imports `catalog`. Must keep true: defaults are vLLM's (spec 1.9 and 1.11).
use crate::catalog::Gpu;

/// Options of a plan. Vary them from [`PlanOptions::for_gpu`].
#[derive(Debug, Clone, PartialEq)]
pub struct PlanOptions {
    /// GPUs that share each layer.
    pub tensor_parallel: u32,
    /// Share of a GPU's memory that the engine may use, 0 to 1. vLLM 0.92 (0.90 up to 2025).
    pub utilization: f64,
    /// Tokens in a block. vLLM 16.
    pub block_size: u32,
    /// Tokens in a step (B).
    pub max_num_batched_tokens: u32,
    /// Sequences in a step (S).
    pub max_num_seqs: u32,
    /// Longest sequence, tokens; `None` is the model's longest context.
    pub max_model_len: Option<u32>,
    /// Bytes a parameter: 2 for BF16, 1 for FP8, about 0.55 for 4 bits with scales.
    pub weight_bytes_per_param: f64,
    /// Bytes a cached element: 2 for BF16, 1 for FP8.
    pub kv_dtype_bytes: u32,
}

impl PlanOptions {
    /// vLLM's defaults for an API server on this GPU, BF16, one GPU (spec 1.11).
    pub fn for_gpu(gpu: &Gpu) -> PlanOptions {
        let (tokens, seqs) = match gpu.memory_total_gib {
            m if m >= 160.0 => (16_384, 1_024),
            m if m >= 70.0 && !gpu.id.starts_with("a100") => (8_192, 1_024),
            _ => (2_048, 256),
        };
        PlanOptions {
            tensor_parallel: 1,
            utilization: 0.92,
            block_size: 16,
            max_num_batched_tokens: tokens,
            max_num_seqs: seqs,
            max_model_len: None,
            weight_bytes_per_param: 2.0,
            kv_dtype_bytes: 2,
        }
    }
}
