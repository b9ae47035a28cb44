//! Which model, GPU and engine a measurement is of: names of data sets to rows of the catalogue, and the analytic step
//! time where no profile is for it.
use baseload_core::catalog::{Catalog, Gpu, Model};
use baseload_core::engine::VllmConfig;
use baseload_core::latency::WeightDtype;
use baseload_core::memory::{self, PlanOptions, WeightsDtype};

/// Ends of names at Hugging Face that do not change a model's shape.
const ENDS: [&str; 10] = ["-hf", "-instruct", "-it", "-fp8", "-2507", "-thinking", "-chat", "-v0.1", "-v0.3", "-base"];
/// Names of data sets for models of the catalogue; Qwen2-7B has the shape of Qwen2.5-7B,
/// Llama 1 of Llama 2, Llama 3 of 3.1.
const SAME: [(&str, &str); 4] = [
    ("llama2-70b", "llama-2-70b"),
    ("llama-7b", "llama-2-7b"),
    ("meta-llama-3-70b", "llama-3.1-70b"),
    ("qwen2-7b", "qwen2.5-7b"),
];

fn short(name: &str) -> String {
    let mut name = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    loop {
        match ENDS.iter().find_map(|end| name.strip_suffix(end)) {
            Some(rest) => name = rest.to_owned(),
            None => return name,
        }
    }
}

/// The catalogue's model of that name: its id, its name at Hugging Face, or that without what does not change its
/// shape (`-Instruct`, `-FP8`, ...).
pub fn model<'a>(catalog: &'a Catalog, name: &str) -> Option<&'a Model> {
    let all = &catalog.models;
    let wanted = short(name);
    let wanted = SAME.iter().find(|(n, _)| *n == wanted).map_or(wanted.as_str(), |(_, id)| id);
    all.iter()
        .find(|m| m.id == name || m.hf_id == name)
        .or_else(|| all.iter().find(|m| short(&m.hf_id) == wanted || m.id == wanted))
}

/// The catalogue's GPU of a name such as `H100`, `h100_sxm`, `Nvidia A100 GPU`, `a100-80gb`: the first word that a GPU's
/// id starts with; the first such row, SXM before PCIe, 80 GB before 40.
pub fn gpu<'a>(catalog: &'a Catalog, name: &str) -> Option<&'a Gpu> {
    let all = &catalog.gpus;
    let lower = name.to_lowercase().replace('_', "-");
    if let Some(exact) = all.iter().find(|g| g.id == lower) {
        return Some(exact);
    }
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| w.len() > 1).collect();
    let family = |g: &&Gpu| g.id.split('-').next().is_some_and(|f| words.contains(&f));
    let mut found: Vec<&Gpu> = all.iter().filter(family).collect();
    // Data sets write "A100" for the 80 GB card unless they say 40.
    found.sort_by_key(|g| (g.id.contains("-40-") != words.iter().any(|w| w.starts_with("40")), !g.id.contains("sxm")));
    found.first().copied()
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

/// How a checkpoint's weights are stored, where its name says more than the type: Qwen's FP8 checkpoints have scales for
/// blocks of 128 x 128 (`weight_block_size` in their config.json), Meta's for channels.
pub fn checkpoint_dtype(model: &str, name: &str) -> Option<(WeightsDtype, WeightDtype)> {
    let (size, products) = weights_dtype(name)?;
    let blocks = products == WeightDtype::Fp8 && model.starts_with("Qwen/") && model.ends_with("-FP8");
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
    fn names_of_the_data_sets_are_understood() {
        let c = Catalog::embedded();
        for (name, id) in [
            ("meta-llama/Llama-3.1-70B", "llama-3.1-70b"),
            ("Qwen/Qwen3-30B-A3B-Thinking-2507", "qwen3-30b-a3b"),
            ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "qwen3-235b-a22b"),
            ("mistralai/Mistral-7B-v0.1", "mistral-7b-v0.3"),
            ("meta-llama/Meta-Llama-3-8B", "llama-3-8b"),
            ("llama2-70b", "llama-2-70b"),
            ("Qwen/Qwen2-7B", "qwen2.5-7b"),
            ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ] {
            assert_eq!(model(c, name).map(|m| m.id.as_str()), Some(id), "{name}");
        }
        assert!(model(c, "codellama/CodeLlama-34b-Instruct-hf").is_none());
        for (name, id) in [
            ("h100_sxm", "h100-sxm"),
            ("H100", "h100-sxm"),
            ("Nvidia A100 GPU", "a100-80-sxm"),
            ("a100-80gb", "a100-80-sxm"),
            ("vllm023_qwen3-14b_h100_sweep_rate_agg_4rps.csv.gz", "h100-sxm"),
            ("L40S", "l40s"),
        ] {
            assert_eq!(gpu(c, name).map(|g| g.id.as_str()), Some(id), "{name}");
        }
        assert!(gpu(c, "TPU v5").is_none());
        let fp8 = |model: &str| checkpoint_dtype(model, "fp8").map(|d| d.1);
        assert_eq!(fp8("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"), Some(WeightDtype::Fp8Block));
        assert_eq!(fp8("meta-llama/Llama-3.1-405B-Instruct-FP8"), Some(WeightDtype::Fp8));
        assert_eq!(checkpoint_dtype("Qwen/Qwen3-32B", ""), Some(BF16));
        for (version, yes) in
            [("0.11.2", false), ("v0.13.0", false), ("0.14.0", true), ("1.0", true), ("", true), ("0.12.0rc1", false)]
        {
            assert_eq!(asynchronous(version), yes, "{version}");
        }
        assert_eq!((weights_dtype("bfloat16"), weights_dtype("x")), (Some(BF16), None));
    }
}
