//! The analytic step time: each part of a step takes the longer of its compute and its memory traffic, and a step
//! what its engine's host makes of it.
//!
//! Imports `catalog`, `memory`, `types`. Must keep true: pure decode is piecewise affine in the sum of contexts, and
//! a window or the end of the host's reign ends a piece; each part is rounded to femtoseconds once, and parts are
//! added and compared as integers.
//!
//! **A step.** The GPU path is a fixed part, the layers, the head and attention. The host path schedules, prepares,
//! samples and updates. Synchronous engines add the two; asynchronous ones take the longer (spec/vllm.md 1.1). The
//! host path of a step is priced by its own batch, though in a real asynchronous engine it is the next one's; and a
//! first step after idleness, which has nothing to hide behind, is priced like all others.
//!
//! **Padding.** Up to the largest captured CUDA graph, the layers (matrix products and all-reduces) run for the padded
//! number of tokens; attention and the output head for the real ones: vLLM 0.32 computes logits outside the graph, on
//! the gathered last rows (`gpu_model_runner.py`: `hidden_states[logits_indices]`), one for each scheduled request.
//! Above it nothing is padded.
//!
//! **Launches.** A pure decode step is one full graph. In a mixed step the host launches the pieces between graphs,
//! and above the largest graph every kernel, layer by layer; the GPU runs behind, so a step takes no less than its
//! launches, and they lengthen the host path of an asynchronous engine.
use super::GraphSizes;
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
/// Fixed part of a step on the GPU, seconds: gaps between kernels, embedding, sampling. Assumption, chosen so that
/// Llama-3.1-8B decodes alone on H100 in 6.4 ms; with it Qwen3-14B alone takes 11.3 ms a token, where the fastest of
/// 1,212 requests measured on one H100 (vLLM 0.23, 2 requests a second) took 11.1.
const STEP_OVERHEAD_S: f64 = 0.0008;
/// Host path of a step, seconds: schedule, prepare, update. Assumption. Median inter-token latencies of
/// Llama-3.1-8B and Qwen3-8B on H100 with vLLM 0.11 (synchronous; ml-energy leaderboard, 8 to 128 rows) exceed this
/// roofline's weights and KV reads by 1.0-1.6 ms + 60-80 us a row. That holds `STEP_OVERHEAD_S`, the host, sampling
/// over the vocabulary and prefills in between; of the fixed part 0.5 ms is taken for the host.
const HOST_STEP_S: f64 = 0.0005;
/// Host path for each sequence of a step, seconds. Assumption: about half of the slope above.
const HOST_SEQUENCE_S: f64 = 30e-6;
/// Launching one layer of a mixed step between its graphs: attention and the graphs around it, seconds. Assumption
/// (three or four launches of about 10 us from Python).
const PIECEWISE_LAYER_S: f64 = 40e-6;
/// Launching one layer without a graph, seconds. Assumption (about ten launches of about 10 us).
const EAGER_LAYER_S: f64 = 100e-6;
/// Latency of one all-reduce over NVLink or alike, seconds. Assumption (one-shot kernels: 5-10 us).
const ALL_REDUCE_LATENCY_S: f64 = 8e-6;
/// The same over PCIe, seconds. Assumption.
const ALL_REDUCE_PCIE_LATENCY_S: f64 = 30e-6;
/// All-reduces a layer: after attention and after the FFN.
const ALL_REDUCES_PER_LAYER: f64 = 2.0;
/// Bytes of an activation: BF16.
const ACTIVATION_BYTES: f64 = 2.0;
/// Rows and tokens whose parts are computed once at construction: the largest sequence limit and the largest captured
/// graph that vLLM has by default.
const CACHED: u32 = 1_024;

/// What the roofline may be told. `Default` holds this file's constants, BF16, and vLLM's mode and graphs on H100.
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
    /// Fixed part of a step on the GPU, seconds.
    pub step_overhead_s: f64,
    /// Host path of a step, seconds.
    pub host_step_s: f64,
    /// Host path for each sequence of a step, seconds.
    pub host_sequence_s: f64,
    /// Launching one layer of a mixed step between its graphs, seconds.
    pub piecewise_layer_s: f64,
    /// Launching one layer without a graph, seconds.
    pub eager_layer_s: f64,
    /// Whether the host path runs beside the GPU path instead of around it.
    pub async_scheduling: bool,
    /// The captured CUDA graphs.
    pub graph_sizes: GraphSizes,
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
            host_step_s: HOST_STEP_S,
            host_sequence_s: HOST_SEQUENCE_S,
            piecewise_layer_s: PIECEWISE_LAYER_S,
            eager_layer_s: EAGER_LAYER_S,
            async_scheduling: true,
            graph_sizes: GraphSizes::new(1_024, 8_192, false),
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

/// The part of a step that the host decides: a step lasts `around + max(least, GPU path)`.
#[derive(Debug, Clone, Copy)]
struct Host {
    around_fs: u64,
    least_fs: u64,
}

/// Pure decode of one number of rows, in the order of context: bound by the host, window not filled, window filled.
/// A piece that does not exist ends at 0.
type Pieces = [DecodeLaw; 3];

/// Step times of one replica from the dimensions of its model, the peaks of its GPUs and the mode of its engine.
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
    /// Fixed part of the GPU path.
    overhead_fs: u64,
    /// Host path: a step, a sequence; launches of a mixed and of an eager step.
    host_step_fs: u64,
    host_sequence_fs: u64,
    piecewise_fs: u64,
    eager_fs: u64,
    async_scheduling: bool,
    graphs: GraphSizes,
    /// KV bytes a token on one GPU, one layer.
    kv_layer_bytes: f64,
    /// Operations of prefill attention for a query-key pair, one layer.
    pair_flops: f64,
    /// Femtoseconds a token of decode context: layers that see all of it, and layers with a window.
    full_ctx_fs: u64,
    window_ctx_fs: u64,
    /// Layers by tokens before padding; head by rows; pure decode by rows.
    layers: Vec<u64>,
    head: Vec<u64>,
    decode: Vec<Pieces>,
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
        let layers = f64::from(model.layers);
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
            overhead_fs: to_fs(options.step_overhead_s),
            host_step_fs: to_fs(options.host_step_s),
            host_sequence_fs: to_fs(options.host_sequence_s),
            piecewise_fs: to_fs(options.piecewise_layer_s * layers),
            eager_fs: to_fs(options.eager_layer_s * layers),
            async_scheduling: options.async_scheduling,
            graphs: options.graph_sizes.clone(),
            kv_layer_bytes: kv as f64 / f64::from(model.kv_layers().max(1)),
            pair_flops: work::attention_flops(model, tensor_parallel, false),
            full_ctx_fs: 0,
            window_ctx_fs: 0,
            layers: Vec::new(),
            head: Vec::new(),
            decode: Vec::new(),
            model: model.clone(),
        };
        let flops = work::attention_flops(model, tensor_parallel, true);
        let layer_s = (this.kv_layer_bytes * this.s_per_byte).max(flops * this.s_per_attention_flop);
        let window_layers = if model.window > 0 { model.window_layers } else { 0 };
        this.full_ctx_fs = to_fs(layer_s * f64::from(model.full_attention_layers));
        this.window_ctx_fs = to_fs(layer_s * f64::from(window_layers));
        this.layers = (0..=CACHED).map(|n| this.layers_fs(n.into())).collect();
        this.head = (0..=CACHED).map(|n| this.head_fs(n.into())).collect();
        this.decode = (0..=CACHED).map(|n| this.pieces(n)).collect();
        Ok(this)
    }

    /// Seconds of matrix products with `params` weights, of which `read` are read, for `tokens`.
    fn product_s(&self, params: f64, read: f64, tokens: f64) -> f64 {
        (2.0 * params * tokens * self.s_per_flop).max(read * self.weight_bytes * self.s_per_byte)
    }

    /// The layers of a step but attention over the context, all-reduces included; `tokens` before padding.
    fn layers_fs(&self, tokens: u64) -> u64 {
        if let Some(&known) = self.layers.get(tokens as usize) {
            return known;
        }
        if tokens == 0 {
            return 0;
        }
        let n = self.graphs.padded(tokens).map_or(tokens as f64, f64::from);
        let w = &self.weights;
        let mut s = self.product_s(w.attention, w.attention, n) + self.product_s(w.dense, w.dense, n);
        if self.model.experts > 0 {
            let active = w.experts * f64::from(self.model.experts_per_token) / f64::from(self.model.experts);
            s += self.product_s(active, w.experts * work::touched_share(&self.model, n), n);
        }
        to_fs(s + self.all_reduce_s(n))
    }

    /// The output head for `rows`, never padded.
    fn head_fs(&self, rows: u64) -> u64 {
        match self.head.get(rows as usize) {
            Some(&known) => known,
            None if rows == 0 => 0,
            None => to_fs(self.product_s(self.weights.head, self.weights.head, rows as f64)),
        }
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

    /// What the host makes of a step of `sequences` and `tokens`; `mixed` = not all of them decode.
    fn host(&self, sequences: u64, tokens: u64, mixed: bool) -> Host {
        let path = self.host_step_fs + self.host_sequence_fs * sequences;
        let launches = match self.graphs.padded(tokens) {
            Some(_) if mixed => self.piecewise_fs,
            Some(_) => 0,
            None => self.eager_fs,
        };
        if self.async_scheduling {
            Host { around_fs: 0, least_fs: path + launches }
        } else {
            Host { around_fs: path, least_fs: launches }
        }
    }

    /// Attention of a prefill chunk: the longer of its operations and one read of its keys and values.
    fn prefill_attention_fs(&self, chunk: &PrefillChunk) -> u64 {
        let layer_s = |window: u32| {
            let seen = chunk.context.saturating_add(chunk.tokens);
            let reach = window.saturating_add(chunk.tokens);
            let read = if window == 0 { seen } else { seen.min(reach) };
            let compute =
                work::pairs(chunk.context, chunk.tokens, window) * self.pair_flops * self.s_per_attention_flop;
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

    /// All there is to know of pure decode of `rows` rows. The GPU path only grows with context, so the host decides
    /// up to one place, which lies in the first piece of attention that reaches it.
    fn pieces(&self, rows: u32) -> Pieces {
        let n = u64::from(rows);
        let Host { around_fs, least_fs } = self.host(n, n, false);
        let gpu_fs = self.overhead_fs + self.layers_fs(n) + self.head_fs(n);
        let young = self.decode_attention(rows, 0);
        let old = self.decode_attention(rows, u64::MAX - 1);
        // Where `law` reaches what the host needs: the first context at which the GPU path is no shorter.
        let reaches = |law: DecodeLaw| match least_fs.saturating_sub(gpu_fs + law.base_fs) {
            0 => 0,
            _ if law.per_ctx_fs == 0 => u64::MAX,
            missing => missing.div_ceil(law.per_ctx_fs),
        };
        let first = reaches(young);
        let host_until = if first <= young.until_ctx_sum { first } else { reaches(old) };
        let on_gpu = |law: DecodeLaw| DecodeLaw { base_fs: around_fs + gpu_fs + law.base_fs, ..law };
        [
            DecodeLaw { base_fs: around_fs + least_fs, per_ctx_fs: 0, until_ctx_sum: host_until },
            on_gpu(young),
            on_gpu(old),
        ]
    }
}

impl StepTime for Roofline {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let (rows, ctx_sum) = (shape.decode_rows, shape.decode_ctx_sum);
        let context = |law: DecodeLaw| u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(ctx_sum);
        if shape.prefill.is_empty() {
            return Femtos(context(self.decode(rows, ctx_sum)));
        }
        // One row of logits for every scheduled request, finished with its prompt or not.
        let sequences = u64::from(rows) + shape.prefill.len() as u64;
        let mut tokens = u64::from(rows);
        let mut attention = context(self.decode_attention(rows, ctx_sum));
        for chunk in shape.prefill {
            tokens += u64::from(chunk.tokens);
            attention += u128::from(self.prefill_attention_fs(chunk));
        }
        let gpu = u128::from(self.overhead_fs + self.layers_fs(tokens) + self.head_fs(sequences)) + attention;
        let host = self.host(sequences, tokens, true);
        Femtos(u128::from(host.around_fs) + gpu.max(host.least_fs.into()))
    }

    fn decode(&self, rows: u32, ctx_sum: u64) -> DecodeLaw {
        let pick = |pieces: &Pieces| *pieces.iter().find(|p| ctx_sum < p.until_ctx_sum).unwrap_or(&pieces[2]);
        match self.decode.get(rows as usize) {
            Some(pieces) => pick(pieces),
            None => pick(&self.pieces(rows)),
        }
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
    for (name, seconds) in [
        ("step_overhead_s", o.step_overhead_s),
        ("host_step_s", o.host_step_s),
        ("host_sequence_s", o.host_sequence_s),
        ("piecewise_layer_s", o.piecewise_layer_s),
        ("eager_layer_s", o.eager_layer_s),
    ] {
        if !(0.0..1.0).contains(&seconds) {
            return refuse(format!("{name} = {seconds} is not between 0 and 1"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "roofline_tests.rs"]
mod tests;
