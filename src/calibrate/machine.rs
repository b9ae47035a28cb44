//! Which model and GPU a measurement is of: names of data sets to rows of the catalogue.
use baseload_core::catalog::{Catalog, Gpu, Model};
use baseload_core::latency::WeightDtype;

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

/// How weights of a named type are stored; `None` for a type that is not known. Names do not tell scales a channel from
/// scales a block: FP8 is taken for the former.
pub fn weights_dtype(name: &str) -> Option<WeightDtype> {
    Some(match name.to_lowercase().as_str() {
        "" | "bf16" | "bfloat16" | "fp16" | "float16" | "half" => WeightDtype::Bf16,
        "fp8" => WeightDtype::Fp8,
        "fp4" | "mxfp4" | "nvfp4" => WeightDtype::Mxfp4,
        "int4" => WeightDtype::Int4,
        _ => return None,
    })
}

/// How a checkpoint's weights are stored, where its name says more than the type: Qwen's FP8 checkpoints have scales for
/// blocks of 128 x 128 (`weight_block_size` in their config.json), Meta's for channels.
pub fn checkpoint_dtype(model: &str, name: &str) -> Option<WeightDtype> {
    let products = weights_dtype(name)?;
    let blocks = products == WeightDtype::Fp8 && model.starts_with("Qwen/") && model.ends_with("-FP8");
    Some(if blocks { WeightDtype::Fp8Block } else { products })
}

/// Seconds that reading a token's active weights once takes at peak bandwidth: what the trivial baseline scales by.
pub fn weights_s(model: &Model, gpu: &Gpu, tensor_parallel: u32, weights: WeightDtype) -> f64 {
    model.params_active as f64 * weights.stored_as().bytes_per_param()
        / f64::from(tensor_parallel)
        / (gpu.mem_bw_gbps * 1e9)
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
        let fp8 = |model: &str| checkpoint_dtype(model, "fp8");
        assert_eq!(fp8("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"), Some(WeightDtype::Fp8Block));
        assert_eq!(fp8("meta-llama/Llama-3.1-405B-Instruct-FP8"), Some(WeightDtype::Fp8));
        assert_eq!(checkpoint_dtype("Qwen/Qwen3-32B", ""), Some(WeightDtype::Bf16));
        assert_eq!((weights_dtype("bfloat16"), weights_dtype("x")), (Some(WeightDtype::Bf16), None));
    }
}
