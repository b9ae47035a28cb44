//! What a memory plan depends on besides the model and the GPU, and what vLLM takes for a step's limits on a GPU.
//!
//! Imports `catalog`. Must keep true: defaults are vLLM's (spec 1.9 and 1.11).
use crate::catalog::Gpu;

/// The limits of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepLimits {
    /// Tokens in a step (B).
    pub max_num_batched_tokens: u32,
    /// Sequences in a step (S).
    pub max_num_seqs: u32,
}

impl StepLimits {
    /// vLLM's limits of an API server on this GPU, where the user gave what is `Some` (spec 1.11; vLLM 0.32.0,
    /// engine/arg_utils.py `get_batch_defaults`, read 2026-11-24). The table goes by memory, so MI300X (192 GB) is of
    /// the first row. A default is cut to what makes sense beside the other limit; what the user gave never is.
    pub fn for_gpu(gpu: &Gpu, max_model_len: u32, tokens: Option<u32>, seqs: Option<u32>) -> StepLimits {
        let slow = ["a100", "gb10"].iter().any(|family| gpu.id.split('-').next() == Some(family));
        let (default_tokens, default_seqs) = match gpu.memory_total_gib {
            m if m >= 160.0 => (16_384, 1_024),
            m if m >= 70.0 && !slow => (8_192, 1_024),
            _ => (2_048, 256),
        };
        let wide = seqs.unwrap_or(default_seqs);
        let tokens = tokens.unwrap_or(default_tokens.min(wide.saturating_mul(max_model_len)));
        StepLimits { max_num_batched_tokens: tokens, max_num_seqs: seqs.unwrap_or(default_seqs.min(tokens)) }
    }
}

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
        let limits = StepLimits::for_gpu(gpu, u32::MAX, None, None);
        PlanOptions {
            tensor_parallel: 1,
            utilization: 0.92,
            block_size: 16,
            max_num_batched_tokens: limits.max_num_batched_tokens,
            max_num_seqs: limits.max_num_seqs,
            max_model_len: None,
            weight_bytes_per_param: 2.0,
            kv_dtype_bytes: 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn limits(gpu: &str, len: u32, tokens: Option<u32>, seqs: Option<u32>) -> (u32, u32) {
        let l = StepLimits::for_gpu(Catalog::embedded().gpu(gpu).unwrap(), len, tokens, seqs);
        (l.max_num_batched_tokens, l.max_num_seqs)
    }

    #[test]
    fn every_gpu_has_the_row_of_spec_1_11() {
        let row = |gpu: &str| match gpu {
            "b200-sxm" | "gb200-nvl72" | "b300-sxm" | "gb300-nvl72" | "mi300x" | "mi325x" | "mi355x" => (16_384, 1_024),
            "h100-sxm" | "h100-pcie" | "h200-sxm" | "rtx-pro-6000" => (8_192, 1_024),
            "a100-40-sxm" | "a100-80-sxm" | "a100-80-pcie" | "l4" | "l40s" | "a10g" | "rtx-4090" => (2_048, 256),
            _ => panic!("{gpu} is new in the catalogue: say here which row of spec 1.11 it has"),
        };
        for gpu in &Catalog::embedded().gpus {
            assert_eq!(limits(&gpu.id, 131_072, None, None), row(&gpu.id), "hardware-defaults: {}", gpu.id);
        }
        let h200 = Catalog::embedded().gpu("h200-sxm").unwrap();
        let gb10 = Gpu { id: "gb10".into(), ..h200.clone() };
        assert_eq!(StepLimits::for_gpu(&gb10, 131_072, None, None).max_num_batched_tokens, 2_048);
    }

    #[test]
    fn defaults_are_cut_and_what_is_given_is_not() {
        assert_eq!(limits("h100-sxm", 4, None, None), (4_096, 1_024), "B = min(B, S * max_model_len)");
        assert_eq!(limits("h100-sxm", 100, None, Some(10)), (1_000, 10), "with the S that is given");
        assert_eq!(limits("h100-sxm", 131_072, Some(512), None), (512, 512), "S = min(S, B)");
        assert_eq!(limits("h100-sxm", 2, Some(9_000), Some(10)), (9_000, 10));
        assert_eq!(limits("h100-sxm", 131_072, Some(8), Some(10)), (8, 10));
    }
}
