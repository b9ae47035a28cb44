//! Which engine and which number formats a measurement is of. Names of models and GPUs are matched by the catalogue.
use baseload_core::catalog::{Catalog, Gpu, Model};
use baseload_core::engine::VllmConfig;
use baseload_core::latency::WeightDtype;
use baseload_core::memory::{self, PlanOptions, WeightsDtype};

/// The GPU that data speak of.
///
/// # Errors
/// None of the catalogue, with the nearest.
pub fn gpu<'a>(catalog: &'a Catalog, said: &str) -> Result<&'a Gpu, String> {
    catalog.gpu_in(said).map_or_else(|| catalog.gpu(said).map_err(|e| e.to_string()), Ok)
}

/// How weights of a named type are stored, for their size and for their products; `None` for a type that is not known.
/// Names do not tell scales a channel from scales a block: FP8 is taken for the former.
pub fn weights_dtype(name: &str) -> Option<(WeightsDtype, WeightDtype)> {
    Some(match name.to_lowercase().as_str() {
        "" | "bf16" | "bfloat16" | "fp16" | "float16" | "half" => BF16,
        "fp8" => (WeightsDtype::Fp8, WeightDtype::Fp8),
        "fp4" | "mxfp4" | "nvfp4" => (WeightsDtype::Int4, WeightDtype::Mxfp4),
        "int4" => (WeightsDtype::Int4, WeightDtype::Int4),
        _ => return None,
    })
}

/// How a checkpoint's weights are stored: of what type by the data, and with scales for blocks where the model's name tells
/// that (Qwen's FP8 checkpoints).
pub fn checkpoint_dtype(catalog: &Catalog, model: &str, name: &str) -> Option<(WeightsDtype, WeightDtype)> {
    let (size, products) = weights_dtype(name)?;
    let told = catalog.model_named(model).ok().and_then(|m| m.weights);
    let blocks = products == WeightDtype::Fp8 && told == Some(WeightDtype::Fp8Block.name());
    Some((size, if blocks { WeightDtype::Fp8Block } else { products }))
}

/// Whether vLLM of this version schedules a step while one runs unless told otherwise: `async_scheduling` in its
/// `config/scheduler.py` is `False` up to 0.13.0 and decided at start, in favour, from 0.14.0 on (read 2026-11-24). A
/// version that is not said is taken for today's.
pub fn asynchronous(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|n| n.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= (0, 14),
        _ => true,
    }
}

/// Weights of 16 bits.
pub const BF16: (WeightsDtype, WeightDtype) = (WeightsDtype::Bf16, WeightDtype::Bf16);

/// Seconds that reading a token's active weights once takes at peak bandwidth: what the trivial baseline scales by.
pub fn weights_s(model: &Model, gpu: &Gpu, tensor_parallel: u32, weights: (WeightsDtype, WeightDtype)) -> f64 {
    model.params_active as f64 * weights.0.bytes_per_param() / f64::from(tensor_parallel) / (gpu.mem_bw_gbps * 1e9)
}

/// What the analytic step time is told of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct StepOptions {
    /// How weights are stored.
    pub weights: (WeightsDtype, WeightDtype),
    /// Whether routed experts are spread whole over the GPUs.
    pub expert_parallel: bool,
    /// Whether the engine schedules a step while one runs.
    pub async_scheduling: bool,
    /// Sequences in a step.
    pub max_num_seqs: u32,
    /// Tokens in a step.
    pub max_num_batched_tokens: u32,
    /// Whether it captures CUDA graphs.
    pub graphs: bool,
}

/// The engine of a model on a GPU with vLLM's defaults and the KV blocks that the memory plan says.
///
/// # Errors
/// A model that does not fit.
pub fn engine_for(
    catalog: &Catalog,
    model: &Model,
    gpu: &Gpu,
    tensor_parallel: u32,
    weights: (WeightsDtype, WeightDtype),
    utilization: f64,
) -> Result<VllmConfig, String> {
    let options = |longest: u32| PlanOptions {
        tensor_parallel,
        weights_dtype: weights.0,
        utilization,
        max_model_len: Some(model.max_context.min(longest)),
        ..PlanOptions::default()
    };
    // Who measured a model on a GPU that hardly holds it shortened the longest sequence until it started.
    let fits = |longest: u32| memory::plan(catalog, model, gpu, &options(longest));
    let plan = fits(32_768).or_else(|e| fits(8_192).or_else(|_| fits(2_048)).map_err(|_| e.to_string()))?;
    let limits = options(32_768).limits(model, gpu);
    Ok(VllmConfig {
        block_size: PlanOptions::default().block_size,
        num_blocks: u32::try_from(plan.num_blocks).unwrap_or(u32::MAX),
        max_num_seqs: limits.max_num_seqs,
        max_num_batched_tokens: limits.max_num_batched_tokens,
        max_model_len: model.max_context.min(u32::try_from(plan.kv_tokens).unwrap_or(u32::MAX)),
        ..VllmConfig::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_versions_are_understood() {
        let c = Catalog::embedded();
        let fp8 = |model: &str| checkpoint_dtype(c, model, "fp8").map(|d| d.1);
        assert_eq!(fp8("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"), Some(WeightDtype::Fp8Block));
        assert_eq!(fp8("meta-llama/Llama-3.1-405B-Instruct-FP8"), Some(WeightDtype::Fp8));
        assert_eq!(checkpoint_dtype(c, "Qwen/Qwen3-32B", ""), Some(BF16));
        for (version, yes) in
            [("0.11.2", false), ("v0.13.0", false), ("0.14.0", true), ("1.0", true), ("", true), ("0.12.0rc1", false)]
        {
            assert_eq!(asynchronous(version), yes, "{version}");
        }
        assert_eq!((weights_dtype("bfloat16"), weights_dtype("x")), (Some(BF16), None));
    }
}
