//! The analytic step time: each part of a step takes the longer of its compute and its memory traffic.
//!
//! Imports `catalog`, `memory`, `types`. Must keep true: pure decode is piecewise affine in the sum of contexts, and
//! a window ends a piece; each part is rounded to femtoseconds once.
use super::work;
use crate::catalog::{Gpu, Model};
use crate::memory::kv_bytes_per_token;
use crate::types::{BatchShape, DecodeLaw, Femtos, PrefillChunk, StepTime};

/// Share of peak compute that large matrix products reach. Assumption: 0.6 gives the 25-35 thousand prefill tokens a
/// second that are commonly reported for 8B models on H100; not measured by us.
const LINEAR_MFU: f64 = 0.60;
/// Share of peak compute that prefill attention reaches. Assumption, below FlashAttention-3's published peak of
/// about 0.75 on H100 because serving batches are ragged.
const ATTENTION_MFU: f64 = 0.45;
/// Share of peak memory bandwidth that weight and KV reads reach. Assumption: 0.8, the usual range is 0.75-0.9.
const MEMORY_EFFICIENCY: f64 = 0.80;
/// Share of peak link bandwidth that all-reduce reaches. Assumption.
const LINK_EFFICIENCY: f64 = 0.70;
/// Fixed part of a step, seconds: launch, sampling and scheduling that asynchronous engines do not hide. Assumption,
/// chosen so that Llama-3.1-8B decodes alone on H100 in 6-7 ms.
const STEP_OVERHEAD_S: f64 = 0.0008;
/// Latency of one all-reduce over NVLink or alike, seconds. Assumption (one-shot kernels: 5-10 us).
const ALL_REDUCE_LATENCY_S: f64 = 8e-6;
/// The same over PCIe, seconds. Assumption.
const ALL_REDUCE_PCIE_LATENCY_S: f64 = 30e-6;
/// All-reduces a layer: after attention and after the FFN.
const ALL_REDUCES_PER_LAYER: f64 = 2.0;
/// Bytes of an activation: BF16.
const ACTIVATION_BYTES: f64 = 2.0;
/// Batch sizes whose fixed part is computed once at construction.
const CACHED_ROWS: u32 = 1_024;

/// What the roofline may be told. `Default` holds this file's constants and BF16.
#[derive(Debug, Clone, PartialEq)]
pub struct RooflineOptions {
    /// Bytes a parameter; above 0.75 and up to 1 uses the GPU's FP8 peak where it has one, else BF16's.
    pub weight_bytes_per_param: f64,
    /// Bytes a cached element.
    pub kv_dtype_bytes: u32,
    /// Share of peak compute of matrix products, above 0 and up to 1.
    pub linear_mfu: f64,
    /// Share of peak compute of prefill attention, above 0 and up to 1.
    pub attention_mfu: f64,
    /// Share of peak memory bandwidth, above 0 and up to 1.
    pub memory_efficiency: f64,
    /// Share of peak link bandwidth, above 0 and up to 1.
    pub link_efficiency: f64,
    /// Fixed part of a step, seconds.
    pub step_overhead_s: f64,
}

impl Default for RooflineOptions {
    fn default() -> Self {
        RooflineOptions {
            weight_bytes_per_param: 2.0,
            kv_dtype_bytes: 2,
            linear_mfu: LINEAR_MFU,
            attention_mfu: ATTENTION_MFU,
            memory_efficiency: MEMORY_EFFICIENCY,
            link_efficiency: LINK_EFFICIENCY,
            step_overhead_s: STEP_OVERHEAD_S,
        }
    }
}

/// Why there is no step time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    /// The options make no sense for this model or GPU.
    #[error("{0}")]
    Options(String),
}

/// Step times of one replica from the dimensions of its model and the peaks of its GPUs.
#[derive(Debug, Clone)]
pub struct Roofline {
    model: Model,
    weights: work::Weights,
    tensor_parallel: u32,
    /// Seconds an operation: matrix products, prefill attention.
    s_per_flop: f64,
    s_per_attention_flop: f64,
    /// Seconds a byte: memory, link.
    s_per_byte: f64,
    s_per_link_byte: f64,
    all_reduce_latency_s: f64,
    weight_bytes: f64,
    overhead_s: f64,
    /// KV bytes a token on one GPU, one layer.
    kv_layer_bytes: f64,
    /// Femtoseconds a token of decode context: layers that see all of it, and layers with a window.
    full_ctx_fs: u64,
    window_ctx_fs: u64,
    /// Fixed part of a decode step by rows.
    base_fs: Vec<u64>,
}

impl Roofline {
    /// Step times of `model` on `tensor_parallel` of `gpu`.
    ///
    /// # Errors
    /// `tensor_parallel` that does not divide the heads or is more than the link joins; a share out of range.
    pub fn new(
        model: &Model,
        gpu: &Gpu,
        tensor_parallel: u32,
        options: &RooflineOptions,
    ) -> Result<Roofline, LatencyError> {
        check(model, gpu, tensor_parallel, options)?;
        let fp8 = options.weight_bytes_per_param <= 1.0 && options.weight_bytes_per_param > 0.75;
        let tflops = gpu.fp8_tflops_dense.filter(|_| fp8).unwrap_or(gpu.bf16_tflops_dense);
        let kv = kv_bytes_per_token(model, tensor_parallel, options.kv_dtype_bytes);
        let mut this = Roofline {
            weights: work::weights(model, tensor_parallel),
            tensor_parallel,
            s_per_flop: 1.0 / (tflops * 1e12 * options.linear_mfu),
            s_per_attention_flop: 1.0 / (gpu.bf16_tflops_dense * 1e12 * options.attention_mfu),
            s_per_byte: 1.0 / (gpu.mem_bw_gbps * 1e9 * options.memory_efficiency),
            s_per_link_byte: 1.0 / (gpu.scale_up_gbps_unidirectional * 1e9 * options.link_efficiency),
            all_reduce_latency_s: match gpu.scale_up_tech.as_str() {
                "PCIe" => ALL_REDUCE_PCIE_LATENCY_S,
                _ => ALL_REDUCE_LATENCY_S,
            },
            weight_bytes: options.weight_bytes_per_param,
            overhead_s: options.step_overhead_s,
            kv_layer_bytes: kv as f64 / f64::from(model.kv_layers().max(1)),
            full_ctx_fs: 0,
            window_ctx_fs: 0,
            base_fs: Vec::new(),
            model: model.clone(),
        };
        let flops = work::attention_flops(model, tensor_parallel, true);
        let layer_s = (this.kv_layer_bytes * this.s_per_byte).max(flops * this.s_per_attention_flop);
        let window_layers = if model.window > 0 { model.window_layers } else { 0 };
        this.full_ctx_fs = to_fs(layer_s * f64::from(model.full_attention_layers));
        this.window_ctx_fs = to_fs(layer_s * f64::from(window_layers));
        this.base_fs = (0..=CACHED_ROWS).map(|n| this.linear_fs(u64::from(n), u64::from(n))).collect();
        Ok(this)
    }

    /// Everything of a step but attention over the context: `tokens` through the layers, `sampled` through the head.
    fn linear_fs(&self, tokens: u64, sampled: u64) -> u64 {
        let n = tokens as f64;
        let part = |params: f64, read: f64, tokens: f64| {
            (2.0 * params * tokens * self.s_per_flop).max(read * self.weight_bytes * self.s_per_byte)
        };
        let mut s = self.overhead_s;
        if tokens > 0 {
            let w = &self.weights;
            s += part(w.attention, w.attention, n) + part(w.dense, w.dense, n);
            if self.model.experts > 0 {
                let active = w.experts * f64::from(self.model.experts_per_token) / f64::from(self.model.experts);
                s += part(active, w.experts * work::touched_share(&self.model, n), n);
            }
            s += self.all_reduce_s(n);
        }
        if sampled > 0 {
            s += part(self.weights.head, self.weights.head, sampled as f64);
        }
        to_fs(s)
    }

    /// All-reduces of a step: a ring moves 2 (tp - 1) / tp of each GPU's data.
    fn all_reduce_s(&self, tokens: f64) -> f64 {
        if self.tensor_parallel < 2 {
            return 0.0;
        }
        let tp = f64::from(self.tensor_parallel);
        let bytes = tokens * f64::from(self.model.hidden) * ACTIVATION_BYTES * 2.0 * (tp - 1.0) / tp;
        let one = bytes * self.s_per_link_byte + self.all_reduce_latency_s;
        one * ALL_REDUCES_PER_LAYER * f64::from(self.model.layers)
    }

    /// Attention of a prefill chunk: the longer of its operations and one read of its keys and values.
    fn prefill_attention_fs(&self, chunk: &PrefillChunk) -> u64 {
        let flops = work::attention_flops(&self.model, self.tensor_parallel, false);
        let layer_s = |window: u32| {
            let seen = chunk.context.saturating_add(chunk.tokens);
            let reach = window.saturating_add(chunk.tokens);
            let read = if window == 0 { seen } else { seen.min(reach) };
            let compute = work::pairs(chunk.context, chunk.tokens, window) * flops * self.s_per_attention_flop;
            compute.max(f64::from(read) * self.kv_layer_bytes * self.s_per_byte)
        };
        let mut s = layer_s(0) * f64::from(self.model.full_attention_layers);
        if self.model.window > 0 {
            s += layer_s(self.model.window) * f64::from(self.model.window_layers);
        }
        to_fs(s)
    }

    /// Attention of decode rows: fixed part, part a token of context, end of the piece. Rows are taken to have equal
    /// contexts when asking whether they have filled their window.
    fn decode_attention(&self, rows: u32, ctx_sum: u64) -> DecodeLaw {
        let full = self.full_ctx_fs;
        let edge = u64::from(rows) * u64::from(self.model.window);
        if self.window_ctx_fs == 0 {
            DecodeLaw { base_fs: 0, per_ctx_fs: full, until_ctx_sum: u64::MAX }
        } else if ctx_sum < edge {
            DecodeLaw { base_fs: 0, per_ctx_fs: full + self.window_ctx_fs, until_ctx_sum: edge }
        } else {
            DecodeLaw { base_fs: edge * self.window_ctx_fs, per_ctx_fs: full, until_ctx_sum: u64::MAX }
        }
    }
}

impl StepTime for Roofline {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let rows = shape.decode_rows;
        let context =
            |law: DecodeLaw| u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(shape.decode_ctx_sum);
        if shape.prefill.is_empty() {
            return Femtos(context(self.decode(rows, shape.decode_ctx_sum)));
        }
        let chunk_tokens: u64 = shape.prefill.iter().map(|c| u64::from(c.tokens)).sum();
        // vLLM computes one row of logits for every scheduled request, finished with its prompt or not.
        let sampled = u64::from(rows) + shape.prefill.len() as u64;
        let linear = self.linear_fs(u64::from(rows) + chunk_tokens, sampled);
        let attention: u128 = shape.prefill.iter().map(|c| u128::from(self.prefill_attention_fs(c))).sum();
        Femtos(u128::from(linear) + attention + context(self.decode_attention(rows, shape.decode_ctx_sum)))
    }

    fn decode(&self, rows: u32, ctx_sum: u64) -> DecodeLaw {
        let linear = match self.base_fs.get(rows as usize) {
            Some(&cached) => cached,
            None => self.linear_fs(u64::from(rows), u64::from(rows)),
        };
        let law = self.decode_attention(rows, ctx_sum);
        DecodeLaw { base_fs: law.base_fs + linear, ..law }
    }
}

fn to_fs(seconds: f64) -> u64 {
    (seconds * 1e15).round() as u64
}

fn check(model: &Model, gpu: &Gpu, tp: u32, o: &RooflineOptions) -> Result<(), LatencyError> {
    let refuse = |text: String| Err(LatencyError::Options(text));
    if tp == 0 || !model.heads.is_multiple_of(tp) {
        return refuse(format!("tensor_parallel = {tp} does not divide the {} heads of {}", model.heads, model.id));
    }
    if gpu.scale_up_domain_gpus > 1 && tp > gpu.scale_up_domain_gpus {
        return refuse(format!(
            "tensor_parallel = {tp} is more than the {} GPUs {} links",
            gpu.scale_up_domain_gpus, gpu.id
        ));
    }
    let shares = [o.linear_mfu, o.attention_mfu, o.memory_efficiency, o.link_efficiency];
    if shares.iter().any(|s| !(*s > 0.0 && *s <= 1.0)) {
        return refuse("shares of peak must be above 0 and up to 1".to_owned());
    }
    if !(o.weight_bytes_per_param > 0.0 && o.weight_bytes_per_param <= 8.0) || o.kv_dtype_bytes == 0 {
        return refuse("weight_bytes_per_param and kv_dtype_bytes must be above 0".to_owned());
    }
    if !(o.step_overhead_s >= 0.0 && o.step_overhead_s < 1.0) {
        return refuse(format!("step_overhead_s = {} is not between 0 and 1", o.step_overhead_s));
    }
    Ok(())
}

#[cfg(test)]
#[path = "roofline_tests.rs"]
mod tests;
