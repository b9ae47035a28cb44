//! What a memory plan depends on besides the model and the GPU, and what vLLM takes for a step's limits on a GPU.
//!
//! Imports `catalog`. Must keep true: defaults are vLLM's (spec 1.9 and 1.11).
use super::{KvDtype, WeightsDtype};
use crate::catalog::{Gpu, Model};
use crate::types::Fault;

/// Tokens of a KV block where nobody says: vLLM's `block_size` on NVIDIA and AMD GPUs (0.32.0, `config/cache.py`, read
/// 2026-11-24).
pub const BLOCK_SIZE: u32 = 16;
/// Share of a GPU's memory that an engine may use where nobody says: vLLM's `gpu_memory_utilization` (0.32.0,
/// `config/cache.py`, read 2026-11-24).
pub const UTILIZATION: f64 = 0.92;
/// Share of a GPU's memory that vLLM up to 2025 uses where nobody says, with which most measurements were taken.
pub const UTILIZATION_UP_TO_2025: f64 = 0.9;

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
        let (default_tokens, default_seqs) = match gpu.memory_total_gib {
            m if m >= 160.0 => (16_384, 1_024),
            m if m >= 70.0 && !gpu.small_step_limits => (8_192, 1_024),
            _ => (2_048, 256),
        };
        let defaults = StepLimits { max_num_batched_tokens: default_tokens, max_num_seqs: default_seqs };
        defaults.cut(max_model_len, tokens, seqs)
    }

    /// The user's `tokens` and `seqs`; where nothing is given these defaults, each cut to what makes sense beside the other
    /// and the longest sequence.
    #[must_use]
    pub fn cut(self, max_model_len: u32, tokens: Option<u32>, seqs: Option<u32>) -> StepLimits {
        let wide = seqs.unwrap_or(self.max_num_seqs);
        let tokens = tokens.unwrap_or(self.max_num_batched_tokens.min(wide.saturating_mul(max_model_len)));
        StepLimits { max_num_batched_tokens: tokens, max_num_seqs: seqs.unwrap_or(self.max_num_seqs.min(tokens)) }
    }
}

/// Options of a plan. `Default` is vLLM's for an API server: BF16, one GPU.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanOptions {
    /// GPUs that share each layer.
    pub tensor_parallel: u32,
    /// Share of a GPU's memory that the engine may use, above 0 and up to 1.
    pub utilization: f64,
    /// Tokens in a block.
    pub block_size: u32,
    /// Tokens in a step (B); `None` is vLLM's default for the GPU.
    pub max_num_batched_tokens: Option<u32>,
    /// Sequences in a step (S); `None` is vLLM's default for the GPU.
    pub max_num_seqs: Option<u32>,
    /// Longest sequence, tokens; `None` is the model's longest context.
    pub max_model_len: Option<u32>,
    /// Batches under way at once: 2 where the engine schedules asynchronously, as vLLM does by default, else 1.
    pub concurrent_batches: u32,
    /// Whether the engine captures CUDA graphs, which take memory.
    pub graphs: bool,
    /// How the layers' matrices are stored.
    pub weights_dtype: WeightsDtype,
    /// How keys and values are cached.
    pub kv_dtype: KvDtype,
}

impl Default for PlanOptions {
    fn default() -> PlanOptions {
        PlanOptions {
            tensor_parallel: 1,
            utilization: UTILIZATION,
            block_size: BLOCK_SIZE,
            max_num_batched_tokens: None,
            max_num_seqs: None,
            max_model_len: None,
            concurrent_batches: 2,
            graphs: true,
            weights_dtype: WeightsDtype::Bf16,
            kv_dtype: KvDtype::Bf16,
        }
    }
}

impl PlanOptions {
    /// The longest sequence.
    pub fn longest(&self, model: &Model) -> u32 {
        self.max_model_len.unwrap_or(model.max_context)
    }
    /// The limits of a step on this GPU.
    pub fn limits(&self, model: &Model, gpu: &Gpu) -> StepLimits {
        StepLimits::for_gpu(gpu, self.longest(model), self.max_num_batched_tokens, self.max_num_seqs)
    }

    /// Whether the options make sense for this model and GPU, whatever the memory.
    ///
    /// # Errors
    /// At the option: its value, and what would be right.
    pub fn check(&self, model: &Model, gpu: &Gpu) -> Result<(), Fault> {
        self.check_tensor_parallel(model, gpu)?;
        if !(self.utilization > 0.0 && self.utilization <= 1.0) {
            let is = format!("it is {}", self.utilization);
            return Err(Fault::at("utilization", is).hint("it must be a share above 0 and up to 1"));
        }
        let given = [
            ("block_size", Some(self.block_size)),
            ("max_num_batched_tokens", self.max_num_batched_tokens),
            ("max_num_seqs", self.max_num_seqs),
            ("max_model_len", self.max_model_len),
        ];
        if let Some((name, _)) = given.iter().find(|(_, value)| *value == Some(0)) {
            return Err(Fault::at(*name, "it is 0").hint("it must be at least 1"));
        }
        match self.max_model_len {
            Some(len) if len > model.max_context => Err(Fault::at("max_model_len", format!("it is {len}"))
                .hint(format!("it must be at most {}, the context of {}", model.max_context, model.id))),
            _ => Ok(()),
        }
    }

    fn check_tensor_parallel(&self, model: &Model, gpu: &Gpu) -> Result<(), Fault> {
        let tp = self.tensor_parallel;
        let most = gpu.most_tensor_parallel();
        let fault = |what: String| Fault::at("tensor_parallel", what);
        if tp > most && gpu.scale_up_domain_gpus > 1 {
            return Err(
                fault(format!("it is {tp}")).hint(format!("it must be at most {most}, the GPUs that {} links", gpu.id))
            );
        }
        if model.divides_into(tp) {
            return Ok(());
        }
        let right: Vec<String> = (1..=most).filter(|n| model.divides_into(*n)).map(|n| n.to_string()).collect();
        let kv = if model.is_mla() { String::new() } else { format!(" and {} KV heads", model.kv_heads) };
        let what = format!("{tp} does not divide the {} heads{kv} of {}", model.heads, model.id);
        Err(fault(what).hint(format!("{} would", right.join(", "))))
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
        let gb10 = Gpu { small_step_limits: true, ..h200.clone() };
        assert_eq!(StepLimits::for_gpu(&gb10, 131_072, None, None).max_num_batched_tokens, 2_048);
    }

    #[test]
    fn heads_must_divide() {
        let c = Catalog::embedded();
        let says = |model: &str, tensor_parallel| {
            let options = PlanOptions { tensor_parallel, ..PlanOptions::default() };
            let checked = options.check(c.model(model).unwrap(), c.gpu("h100-sxm").unwrap());
            checked.map_or_else(|fault| fault.to_string(), |()| String::new())
        };
        assert_eq!(says("llama-3.1-8b", 8), "");
        assert!(says("llama-3.1-8b", 0).ends_with("8 KV heads of llama-3.1-8b; 1, 2, 4, 8 would"));
        assert!(says("llama-3.1-8b", 3).starts_with("tensor_parallel: 3 does not divide the 32 heads"));
        // 40 heads divide by 4, but 10 KV heads neither divide by 4 nor are repeated evenly over it.
        assert!(says("phi-4", 4).ends_with("10 KV heads of phi-4; 1, 2, 5 would"), "{}", says("phi-4", 4));
        assert_eq!(
            says("llama-3.1-405b", 16),
            "tensor_parallel: it is 16; it must be at most 8, the GPUs that h100-sxm links"
        );
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
