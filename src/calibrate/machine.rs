//! Which GPU and which number formats a measurement is of. Names of models and GPUs are matched by the catalogue.
use baseload_core::catalog::{Catalog, CatalogError, Gpu, Model};
use baseload_core::memory::WeightsDtype;
use baseload_core::types::Fault;

/// The GPU that data speak of.
///
/// # Errors
/// None of the catalogue, with the nearest.
pub fn gpu<'a>(catalog: &'a Catalog, said: &str) -> Result<&'a Gpu, CatalogError> {
    catalog.gpu_in(said).map_or_else(|| catalog.gpu(said), Ok)
}

/// How weights of a named type are stored; `None` for a type that is not known. Names do not tell scales a channel from
/// scales a block: FP8 is taken for the former.
pub fn weights_dtype(name: &str) -> Option<WeightsDtype> {
    Some(match name.to_lowercase().as_str() {
        "" | "bf16" | "bfloat16" | "fp16" | "float16" | "half" => WeightsDtype::Bf16,
        "fp8" => WeightsDtype::Fp8,
        "fp4" | "mxfp4" | "nvfp4" => WeightsDtype::Mxfp4,
        "int4" => WeightsDtype::Int4,
        _ => return None,
    })
}

/// A format that [`weights_dtype`] does not know, at `key`.
pub fn unknown_format(key: &str, name: &str) -> Fault {
    Fault::new(format!("{key} `{name}` is not known")).hint("it may be bf16, fp8, fp4 or int4")
}

/// How a checkpoint's weights are stored: of what type by the data, and with scales for blocks where the model's name tells
/// that (Qwen's FP8 checkpoints).
pub fn checkpoint_dtype(catalog: &Catalog, model: &str, name: &str) -> Option<WeightsDtype> {
    let products = weights_dtype(name)?;
    let told = catalog.model_named(model).ok().and_then(|m| m.weights);
    let blocks = products == WeightsDtype::Fp8 && told == Some(WeightsDtype::Fp8Block.name());
    Some(if blocks { WeightsDtype::Fp8Block } else { products })
}

/// Seconds that reading a token's active weights once takes at peak bandwidth: what the trivial baseline scales by.
pub fn weights_s(model: &Model, gpu: &Gpu, tensor_parallel: u32, weights: WeightsDtype) -> f64 {
    model.params_active as f64 * weights.bytes_per_param() / f64::from(tensor_parallel) / (gpu.mem_bw_gbps * 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_understood() {
        let c = Catalog::embedded();
        let fp8 = |model: &str| checkpoint_dtype(c, model, "fp8");
        assert_eq!(fp8("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"), Some(WeightsDtype::Fp8Block));
        assert_eq!(fp8("meta-llama/Llama-3.1-405B-Instruct-FP8"), Some(WeightsDtype::Fp8));
        assert_eq!(checkpoint_dtype(c, "Qwen/Qwen3-32B", ""), Some(WeightsDtype::Bf16));
        assert_eq!((weights_dtype("bfloat16"), weights_dtype("x")), (Some(WeightsDtype::Bf16), None));
    }
}
