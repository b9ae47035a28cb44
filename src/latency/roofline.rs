//! A roofline over the data sheet: the slower of compute and memory traffic, plus all-reduce and a fixed overhead.
//!
//! Linear layers read each weight that the batch touches once a step and cost 2 operations a parameter and token.
//! Decode attention reads the KV cache; prefill attention costs 4 x heads x head size operations a token pair and layer.
use crate::catalog::{Gpu, Model};
use crate::memory;
use crate::types::{BatchShape, DecodeLaw, Femtos, StepTime};

/// Share of the data sheet's dense BF16 peak that large GEMMs reach. Assumption: 0.6, of the size that kernel tables
/// and MFU reports of H100-class cards show; `calibrate` will replace it by measurements.
const ACHIEVED_COMPUTE: f64 = 0.60;
/// Share of the data sheet's memory bandwidth that weight and KV reads reach. Assumption: 0.8, likewise.
const ACHIEVED_BANDWIDTH: f64 = 0.80;
/// Share of the link's bandwidth that an all-reduce reaches. Assumption: 0.7.
const ACHIEVED_LINK: f64 = 0.70;
/// Fixed time of one all-reduce, s. Assumption: 10 microseconds.
const ALL_REDUCE_LATENCY_S: f64 = 10e-6;
/// Scheduling, launch and sampling of one step, s. Assumption: 1 ms (synchronous mode, CUDA graphs).
const STEP_OVERHEAD_S: f64 = 1e-3;
/// Bytes of a weight and of an activation (BF16).
const BF16: f64 = 2.0;

/// Step time of one model on one GPU group.
#[derive(Debug, Clone)]
pub struct Roofline {
    overhead_fs: u64,
    /// Compute of the linear layers, fs a token.
    linear_fs_per_token: f64,
    /// Reading the weights that every batch touches, fs.
    dense_weights_fs: f64,
    /// Reading all experts, fs.
    experts_fs: f64,
    /// Chance that a token does not visit a given expert.
    expert_missed: f64,
    /// One token pair of prefill attention, fs.
    pair_fs: f64,
    /// One token of context, fs.
    per_ctx_fs: u64,
    /// All-reduce, fs a token.
    reduce_fs_per_token: f64,
}

impl Roofline {
    /// Compiles model, GPU and tensor parallelism into constants.
    pub fn new(model: &Model, gpu: &Gpu, tensor_parallel: u32, kv_bytes: u32) -> Roofline {
        let tp = f64::from(tensor_parallel);
        let flops = gpu.bf16_tflops_dense * 1e12 * ACHIEVED_COMPUTE;
        let bandwidth = gpu.mem_bw_gbps * 1e9 * ACHIEVED_BANDWIDTH;
        let link = gpu.scale_up_gbps_unidirectional * 1e9 * ACHIEVED_LINK;
        let layers = f64::from(model.layers);
        let hidden = f64::from(model.hidden);
        let expert_params = if model.experts > 0 {
            3.0 * hidden * f64::from(model.moe_ffn) * f64::from(model.experts) * f64::from(model.moe_layers)
        } else {
            0.0
        };
        let dense_params = (model.params_total as f64 - expert_params).max(0.0);
        let head_dim = if model.kv_lora_rank > 0 {
            f64::from(model.kv_lora_rank + model.qk_rope_head_dim)
        } else {
            f64::from(model.head_dim)
        };
        let (reduce_bytes, reduce_latency_s) = if tensor_parallel > 1 {
            let ring = 2.0 * (tp - 1.0) / tp;
            (2.0 * layers * ring * hidden * BF16, 2.0 * layers * ALL_REDUCE_LATENCY_S)
        } else {
            (0.0, 0.0)
        };
        let kv = memory::kv_bytes_per_token(model, tensor_parallel, kv_bytes) as f64;
        Roofline {
            overhead_fs: Femtos::from_secs_f64(STEP_OVERHEAD_S + reduce_latency_s).0 as u64,
            linear_fs_per_token: 2.0 * model.params_active as f64 / tp / flops * 1e15,
            dense_weights_fs: dense_params * BF16 / tp / bandwidth * 1e15,
            experts_fs: expert_params * BF16 / tp / bandwidth * 1e15,
            expert_missed: 1.0 - f64::from(model.experts_per_token) / f64::from(model.experts.max(1)),
            pair_fs: 4.0 * f64::from(model.heads) * head_dim * layers / tp / flops * 1e15,
            per_ctx_fs: (kv / bandwidth * 1e15).round() as u64,
            reduce_fs_per_token: reduce_bytes / link * 1e15,
        }
    }

    /// Everything of a step of `tokens` computed tokens but attention, fs.
    fn linear_fs(&self, tokens: u64) -> u64 {
        let n = tokens as f64;
        // Expected share of experts that n tokens touch: 1 - (1 - k/E)^n.
        let touched = if self.experts_fs > 0.0 { 1.0 - libm::pow(self.expert_missed, n) } else { 0.0 };
        let memory = self.dense_weights_fs + self.experts_fs * touched;
        let compute = self.linear_fs_per_token * n;
        self.overhead_fs + (memory.max(compute) + self.reduce_fs_per_token * n).round() as u64
    }
}

impl StepTime for Roofline {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let prefill_tokens: u64 = shape.prefill.iter().map(|c| u64::from(c.tokens)).sum();
        let mut fs = u128::from(self.linear_fs(prefill_tokens + u64::from(shape.decode_rows)));
        fs += u128::from(self.per_ctx_fs) * u128::from(shape.decode_ctx_sum);
        for chunk in shape.prefill {
            let (context, tokens) = (u64::from(chunk.context), u64::from(chunk.tokens));
            let pairs = tokens * context + tokens * (tokens + 1) / 2;
            fs += (self.pair_fs * pairs as f64).round() as u128 + u128::from(self.per_ctx_fs) * u128::from(context);
        }
        Femtos(fs)
    }
    fn decode(&self, rows: u32, _ctx_sum: u64) -> DecodeLaw {
        let base_fs = self.linear_fs(u64::from(rows));
        DecodeLaw { base_fs, per_ctx_fs: self.per_ctx_fs, until_ctx_sum: u64::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::types::PrefillChunk;

    fn on_h100(model: &str, tp: u32) -> Roofline {
        let c = Catalog::embedded();
        Roofline::new(c.model(model).unwrap(), c.gpu("h100-sxm").unwrap(), tp, 2)
    }
    fn decode(r: &Roofline, rows: u32, ctx: u64) -> f64 {
        r.batch(&BatchShape { prefill: &[], decode_rows: rows, decode_ctx_sum: ctx }).as_secs_f64()
    }

    #[test]
    fn a_pure_decode_batch_lasts_what_its_law_says() {
        let r = on_h100("qwen3-30b-a3b", 2);
        for (rows, ctx) in [(1, 0), (7, 1_234), (256, 900_000)] {
            let law = r.decode(rows, ctx);
            let batch = r.batch(&BatchShape { prefill: &[], decode_rows: rows, decode_ctx_sum: ctx });
            assert_eq!(batch.0, u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(ctx));
        }
    }

    #[test]
    fn magnitudes_are_those_of_an_h100() {
        let r = on_h100("llama-3.1-8b", 1);
        let one = decode(&r, 1, 1_000);
        assert!((0.005..0.009).contains(&one), "batch 1: {one} s");
        let chunk = [PrefillChunk { context: 0, tokens: 8192 }];
        let prefill = r.batch(&BatchShape { prefill: &chunk, decode_rows: 0, decode_ctx_sum: 0 }).as_secs_f64();
        assert!((0.15..0.40).contains(&prefill), "8192 tokens of prefill: {prefill} s");
        assert!(decode(&r, 256, 256_000) > decode(&r, 256, 1_000) && decode(&r, 2, 10) >= decode(&r, 1, 10));
    }

    #[test]
    fn few_tokens_read_few_experts() {
        let r = on_h100("qwen3-30b-a3b", 1);
        assert!(decode(&r, 1, 0) < 0.35 * decode(&r, 128, 0), "8 of 128 experts");
    }
}
