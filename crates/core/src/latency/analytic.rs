//! The analytic step time: each kernel of a step by its operations and bytes, and a step what its engine's host makes
//! of the kernels.
//!
//! Imports `catalog`, `memory`, `types`. Must keep true: pure decode is piecewise affine in the sum of contexts, and
//! a window or the end of the host's reign ends a piece; each part is rounded to femtoseconds once, and parts are
//! added and compared as integers.
//!
//! **A kernel.** A matrix product of m tokens takes `launch + sqrt(compute^2 + memory^2)`: the operations at a share of
//! the peak, the weights, inputs and outputs at a share of the bandwidth, and a corner between the two that is as round
//! as the measured ones (an exponent of 2 on H100, A100 and L40S alike). Attention of decode rows reads its keys and
//! values; prefill attention computes its query-key pairs, each query with a few hundred more. Routed experts read what
//! the batch touches. Element-wise kernels go by bytes, all-reduces by bytes of a ring; a layer has a fixed rest.
//! `curves.rs` has the shares and fixed parts, fitted for each GPU and number format.
//!
//! **A step.** The GPU path is the layers, the head and attention. The host path schedules, prepares, samples and
//! updates. Synchronous engines add the two; asynchronous ones take the longer (spec/vllm.md 1.1). The host path of a
//! step is priced by its own batch, though in a real asynchronous engine it is the next one's; and a first step after
//! idleness, which has nothing to hide behind, is priced like all others.
//!
//! **Padding.** Up to the largest captured CUDA graph, the layers (matrix products and all-reduces) run for the padded
//! number of tokens; attention and the output head for the real ones: vLLM 0.32 computes logits outside the graph, on
//! the gathered last rows (`gpu_model_runner.py`: `hidden_states[logits_indices]`), one for each scheduled request.
//! Above it nothing is padded.
//!
//! **Launches.** A pure decode step is one full graph. In a mixed step the host launches the pieces between graphs,
//! and above the largest graph every kernel, layer by layer; the GPU runs behind, so a step takes no less than its
//! launches, and they lengthen the host path of an asynchronous engine. An engine that captured no graph at all is
//! taken for one that does not compile either, and launches more slowly.
//!
//! **Compiled.** Layers are a table: every number of tokens up to 1,024, then every 64th with straight lines between.
use super::work;
use super::{Curves, GraphSizes, LatencyError, ProductCurve};
use crate::catalog::{Catalog, Gpu, Model};
use crate::memory::{WeightsDtype, kv_bytes_per_token};
use crate::types::{BatchShape, DecodeLaw, Femtos, PrefillChunk, StepFloor, StepTime};

/// All-reduces a layer: after attention and after the FFN.
const ALL_REDUCES_PER_LAYER: f64 = 2.0;
/// Bytes of an activation: BF16.
const ACTIVATION_BYTES: f64 = 2.0;
/// Bytes a logit is written and read with until a token is drawn: FP32, softmax.
const LOGIT_TRAFFIC_BYTES: f64 = 12.0;
/// Bytes of an 8-bit product's input: BF16 in, 8 bits out, beside the product's own read.
const QUANTISE_BYTES: f64 = 3.0;
/// Rows and tokens whose parts are computed once at construction: the largest sequence limit and the largest captured
/// graph that vLLM has by default.
const CACHED: u32 = 1_024;
/// Tokens between two entries of the table above that, and its end; beyond it parts are computed.
const STRIDE: u64 = 64;
const TABLE_END: u64 = 65_536;

/// What the model may be told. `Default` is BF16 weights and KV, vLLM's mode and graphs on H100, and the catalogue's
/// curves of the GPU.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalyticOptions {
    /// Number format of the weights.
    pub weights: WeightsDtype,
    /// Bytes a cached element.
    pub kv_dtype_bytes: u32,
    /// Curves in place of the catalogue's.
    pub curves: Option<Curves>,
    /// Whether routed experts are spread whole over the GPUs instead of each cut into `tensor_parallel` parts.
    pub expert_parallel: bool,
    /// Whether the host path runs beside the GPU path instead of around it.
    pub async_scheduling: bool,
    /// The captured CUDA graphs.
    pub graph_sizes: GraphSizes,
}

impl Default for AnalyticOptions {
    fn default() -> Self {
        AnalyticOptions {
            weights: WeightsDtype::Bf16,
            kv_dtype_bytes: 2,
            curves: None,
            expert_parallel: false,
            async_scheduling: true,
            graph_sizes: GraphSizes::new(1_024, 8_192, false),
        }
    }
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

/// A product's curve with the peaks put in.
#[derive(Debug, Clone, Copy)]
struct Rates {
    s_per_flop: f64,
    s_per_byte: f64,
    launch_s: f64,
}

impl Rates {
    fn new(curve: ProductCurve, tflops: f64, bw_gbps: f64) -> Rates {
        Rates {
            s_per_flop: 1.0 / (tflops * 1e12 * curve.compute_share),
            s_per_byte: 1.0 / (bw_gbps * 1e9 * curve.memory_share),
            launch_s: curve.launch_s,
        }
    }

    /// Seconds of a kernel with so many operations and bytes.
    fn kernel_s(&self, flops: f64, bytes: f64) -> f64 {
        let (compute, memory) = (flops * self.s_per_flop, bytes * self.s_per_byte);
        self.launch_s + libm::sqrt(compute * compute + memory * memory)
    }

    /// Seconds of a product of `m` rows, `n` outputs, `k` inputs.
    fn product_s(&self, m: f64, n: f64, k: f64, weight_bytes: f64, quantised: bool) -> f64 {
        let input = if quantised { 1.0 + QUANTISE_BYTES } else { ACTIVATION_BYTES };
        let bytes = n * k * weight_bytes + m * (n * ACTIVATION_BYTES + k * input);
        self.kernel_s(2.0 * m * n * k, bytes)
    }
}

/// Step times of one replica from the dimensions of its model, the peaks of its GPUs and the mode of its engine.
#[derive(Debug, Clone)]
pub struct Analytic {
    model: Model,
    products: Vec<work::Product>,
    tensor_parallel: f64,
    weights: WeightsDtype,
    expert_parallel: bool,
    quantised: bool,
    bf16: Rates,
    linear: Rates,
    expert: Rates,
    /// Seconds an operation of prefill attention, a byte over the link.
    s_per_attention_flop: f64,
    s_per_link_byte: f64,
    all_reduce_latency_s: f64,
    /// Fixed parts of all layers: attention's launches, and what is beside all kernels.
    attention_launches_s: f64,
    layer_overheads_s: f64,
    row_tokens: f64,
    /// Host path: a step, a sequence; launches of a mixed step and of one without a graph.
    host_step_fs: u64,
    host_sequence_fs: u64,
    piecewise_fs: u64,
    launched_fs: u64,
    async_scheduling: bool,
    graphs: GraphSizes,
    /// KV bytes a token on one GPU, one layer.
    kv_layer_bytes: f64,
    /// Operations of prefill attention for a query-key pair, one layer.
    pair_flops: f64,
    /// Femtoseconds a token of decode context: layers that see all of it, and layers with a window.
    full_ctx_fs: u64,
    window_ctx_fs: u64,
    /// Layers by tokens before padding, then by every `STRIDE`th; head by rows; pure decode by rows.
    layers: Vec<u64>,
    wide: Vec<u64>,
    head: Vec<u64>,
    decode: Vec<Pieces>,
}

impl Analytic {
    /// Step times of `model` on `tensor_parallel` of `gpu`; curves are the catalogue's unless the options have some.
    ///
    /// # Errors
    /// `tensor_parallel` that does not divide the heads or is more than the link joins; curves out of range.
    pub fn new(
        catalog: &Catalog,
        model: &Model,
        gpu: &Gpu,
        tensor_parallel: u32,
        options: &AnalyticOptions,
    ) -> Result<Analytic, LatencyError> {
        check(model, gpu, tensor_parallel, options)?;
        let curves = options.curves.map_or_else(|| Curves::of(catalog, gpu, options.weights), Ok)?;
        curves.check()?;
        let quantised = options.weights.eight_bit() && gpu.fp8_tflops_dense.is_some();
        let tflops = gpu.fp8_tflops_dense.filter(|_| quantised).unwrap_or(gpu.bf16_tflops_dense);
        let kv = kv_bytes_per_token(model, tensor_parallel, options.kv_dtype_bytes);
        let layers = f64::from(model.layers);
        let eager = options.graph_sizes == GraphSizes::default();
        let launched = if eager { curves.eager_layer_s } else { curves.compiled_layer_s };
        let mut this = Analytic {
            products: work::products(model, tensor_parallel),
            tensor_parallel: f64::from(tensor_parallel),
            weights: options.weights,
            expert_parallel: options.expert_parallel,
            quantised,
            bf16: Rates::new(curves.bf16, gpu.bf16_tflops_dense, gpu.mem_bw_gbps),
            linear: Rates::new(curves.linear, tflops, gpu.mem_bw_gbps),
            expert: Rates::new(curves.expert, tflops, gpu.mem_bw_gbps),
            s_per_attention_flop: 1.0 / (gpu.bf16_tflops_dense * 1e12 * curves.attention_compute_share),
            s_per_link_byte: 1.0 / (gpu.scale_up_gbps_unidirectional * 1e9 * curves.link_share),
            all_reduce_latency_s: curves.all_reduce_latency_s,
            attention_launches_s: layers * curves.attention_launch_s,
            layer_overheads_s: layers * curves.layer_overhead_s,
            row_tokens: curves.attention_row_tokens,
            host_step_fs: to_fs(curves.host_step_s),
            host_sequence_fs: to_fs(curves.host_sequence_s),
            piecewise_fs: to_fs(curves.piecewise_layer_s * layers),
            launched_fs: to_fs(launched * layers),
            async_scheduling: options.async_scheduling,
            graphs: options.graph_sizes.clone(),
            kv_layer_bytes: kv as f64 / f64::from(model.kv_layers().max(1)),
            pair_flops: work::attention_flops(model, tensor_parallel, false),
            full_ctx_fs: 0,
            window_ctx_fs: 0,
            layers: Vec::new(),
            wide: Vec::new(),
            head: Vec::new(),
            decode: Vec::new(),
            model: model.clone(),
        };
        let flops = work::attention_flops(model, tensor_parallel, true);
        let layer_s = (this.kv_layer_bytes * this.bf16.s_per_byte).max(flops * this.s_per_attention_flop);
        let window_layers = if model.window > 0 { model.window_layers } else { 0 };
        this.full_ctx_fs = to_fs(layer_s * f64::from(model.full_attention_layers));
        this.window_ctx_fs = to_fs(layer_s * f64::from(window_layers));
        this.layers = (0..=CACHED).map(|n| this.layers_fs(n.into())).collect();
        this.wide = (0..=TABLE_END / STRIDE).map(|i| to_fs(this.layers_s((i * STRIDE) as f64))).collect();
        this.head = (0..=CACHED).map(|n| this.head_fs(n.into())).collect();
        this.decode = (0..=CACHED).map(|n| this.pieces(n)).collect();
        Ok(this)
    }

    /// The layers of a step but attention over the context, all-reduces included; `tokens` before padding.
    fn layers_fs(&self, tokens: u64) -> u64 {
        if let Some(&known) = self.layers.get(tokens as usize) {
            return known;
        }
        if let Some(size) = self.graphs.padded(tokens) {
            return if tokens == 0 { 0 } else { to_fs(self.layers_s(size.into())) };
        }
        let below = (tokens / STRIDE) as usize;
        match (self.wide.get(below), self.wide.get(below + 1)) {
            (Some(&low), Some(&high)) => low + high.saturating_sub(low) * (tokens % STRIDE) / STRIDE,
            _ => to_fs(self.layers_s(tokens as f64)),
        }
    }

    /// Seconds of the layers for `n` tokens, padded or not.
    fn layers_s(&self, n: f64) -> f64 {
        if n < 1.0 {
            return 0.0;
        }
        let bytes = self.weights.linear_bytes();
        let mut s = self.attention_launches_s + self.all_reduces_s(n) + self.beside_products_s(n);
        for p in &self.products {
            s += p.layers * self.linear.product_s(n, p.n, p.k, bytes, self.quantised);
        }
        s + f64::from(self.model.moe_layers) * self.experts_s(n)
    }

    /// Seconds of the router and the routed experts of one layer.
    fn experts_s(&self, n: f64) -> f64 {
        if self.model.experts == 0 {
            return 0.0;
        }
        let [hidden, inner, experts] = [self.model.hidden, self.model.moe_ffn, self.model.experts].map(f64::from);
        let router = self.bf16.product_s(n, experts, hidden, ACTIVATION_BYTES, false);
        let visited = f64::from(self.model.experts_per_token);
        let touched = work::touched_experts(experts, visited, n);
        let visits = n * visited;
        // Cut in parts, every GPU has a part of all; whole, the busiest has its share and more.
        let (held, visits, inner) = if self.expert_parallel {
            let share = work::busiest(experts, touched, self.tensor_parallel) / self.tensor_parallel;
            (touched * share, visits * share, inner)
        } else {
            (touched, visits, inner / self.tensor_parallel)
        };
        let weights = held * 3.0 * hidden * inner * self.weights.expert_bytes();
        let rows = visits * (hidden * 2.0 + inner * 4.0) * ACTIVATION_BYTES;
        router + self.expert.kernel_s(6.0 * hidden * inner * visits, weights + rows)
    }

    /// The output head and the draw of a token for `rows`, never padded.
    fn head_fs(&self, rows: u64) -> u64 {
        if let Some(&known) = self.head.get(rows as usize) {
            return known;
        }
        if rows == 0 {
            return 0;
        }
        let (r, vocab) = (rows as f64, f64::from(self.model.vocab));
        let n = libm::ceil(vocab / self.tensor_parallel);
        let product = self.bf16.product_s(r, n, f64::from(self.model.hidden), ACTIVATION_BYTES, false);
        to_fs(product + self.draw_s(r))
    }

    /// All-reduces of a step: a ring moves 2 (tp - 1) / tp of each GPU's data.
    fn all_reduces_s(&self, tokens: f64) -> f64 {
        let tp = self.tensor_parallel;
        if tp < 2.0 {
            return 0.0;
        }
        let bytes = tokens * self.token_bytes() * 2.0 * (tp - 1.0) / tp;
        self.all_reduces() * (bytes * self.s_per_link_byte + self.all_reduce_latency_s)
    }

    /// The products of the layers.
    pub(super) fn products(&self) -> &[work::Product] {
        &self.products
    }
    /// The captured graphs.
    pub(super) fn graphs(&self) -> &GraphSizes {
        &self.graphs
    }
    /// All-reduces of a step.
    pub(super) fn all_reduces(&self) -> f64 {
        ALL_REDUCES_PER_LAYER * f64::from(self.model.layers)
    }
    /// Bytes of a token's activation between layers.
    pub(super) fn token_bytes(&self) -> f64 {
        f64::from(self.model.hidden) * ACTIVATION_BYTES
    }
    /// Seconds of the layers for `n` tokens beside products, experts, attention and all-reduces.
    pub(super) fn beside_products_s(&self, n: f64) -> f64 {
        let elementwise: f64 = self.products.iter().map(|p| p.layers * p.elementwise).sum();
        self.layer_overheads_s + n * elementwise * ACTIVATION_BYTES * self.linear.s_per_byte
    }
    /// Seconds of drawing tokens for `rows`, after the output head.
    pub(super) fn draw_s(&self, rows: f64) -> f64 {
        let vocab = f64::from(self.model.vocab);
        let logits = rows * vocab * LOGIT_TRAFFIC_BYTES * self.bf16.s_per_byte;
        if self.tensor_parallel < 2.0 {
            return logits;
        }
        logits + self.all_reduce_latency_s + rows * vocab * ACTIVATION_BYTES * self.s_per_link_byte
    }
    /// What the host adds around a step, and the least it lets a step take, femtoseconds.
    pub(super) fn host_fs(&self, sequences: u64, tokens: u64, mixed: bool) -> (u64, u64) {
        let host = self.host(sequences, tokens, mixed);
        (host.around_fs, host.least_fs)
    }

    /// What the host makes of a step of `sequences` and `tokens`; `mixed` = not all of them decode.
    fn host(&self, sequences: u64, tokens: u64, mixed: bool) -> Host {
        let path = self.host_step_fs + self.host_sequence_fs * sequences;
        let launches = match self.graphs.padded(tokens) {
            Some(_) if mixed => self.piecewise_fs,
            Some(_) => 0,
            None => self.launched_fs,
        };
        if self.async_scheduling {
            Host { around_fs: 0, least_fs: path + launches }
        } else {
            Host { around_fs: path, least_fs: launches }
        }
    }

    /// Attention of a prefill chunk: the longer of its operations and one read of its keys and values.
    fn prefill_attention_fs(&self, chunk: &PrefillChunk) -> u64 {
        let extra = f64::from(chunk.tokens) * self.row_tokens;
        let layer_s = |window: u32| {
            let seen = chunk.context.saturating_add(chunk.tokens);
            let reach = window.saturating_add(chunk.tokens);
            let read = if window == 0 { seen } else { seen.min(reach) };
            let pairs = work::pairs(chunk.context, chunk.tokens, window) + extra;
            (pairs * self.pair_flops * self.s_per_attention_flop)
                .max(f64::from(read) * self.kv_layer_bytes * self.bf16.s_per_byte)
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
        let gpu_fs = self.layers_fs(n) + self.head_fs(n);
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

impl StepTime for Analytic {
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
        let gpu = u128::from(self.layers_fs(tokens) + self.head_fs(sequences)) + attention;
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

    /// The GPU path: a row's share of the head in the batch that shares it best, contexts of the layers without a
    /// window, the operations of prefill attention; and what a synchronous host adds.
    fn floor(&self, most_rows: u32) -> StepFloor {
        let head = (1..=u64::from(most_rows.max(1))).map(|rows| self.head_fs(rows) / rows).min().unwrap_or(0);
        let pair_s = self.pair_flops * self.s_per_attention_flop * f64::from(self.model.full_attention_layers);
        StepFloor {
            per_row_fs: head + if self.async_scheduling { 0 } else { self.host_sequence_fs },
            per_prefill_token_fs: 0,
            per_ctx_fs: self.full_ctx_fs,
            per_pair_fs: (pair_s * 1e15 * (1.0 - 1e-9)) as u64,
        }
    }

    fn floor_of_tokens(&self, tokens: u64) -> u64 {
        self.layers_fs(tokens) + if self.async_scheduling { 0 } else { self.host_step_fs }
    }
}

fn to_fs(seconds: f64) -> u64 {
    (seconds * 1e15).round() as u64
}

fn check(model: &Model, gpu: &Gpu, tp: u32, o: &AnalyticOptions) -> Result<(), LatencyError> {
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
    if o.kv_dtype_bytes == 0 {
        return refuse("kv_dtype_bytes must be above 0".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[path = "analytic_tests.rs"]
mod tests;
