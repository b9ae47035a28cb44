//! Tables that the formulas of kernels made with known numbers, for tests of what interpolates and of what fits tables
//! (`calibrate` has this file too): 0.75 of H100's peak in products, 0.85 of its bandwidth, and so on.
use super::{AllReduceRow, AttentionRow, ExpertRow, KernelTables, ProductRow};

/// Peaks of h100-sxm in the catalogue, in operations and bytes a second.
const BF16_FLOPS: f64 = 989e12;
const FP8_FLOPS: f64 = 1_979e12;
const BANDWIDTH: f64 = 3_350e9;
const LINK: f64 = 450e9;

fn product(r: &ProductRow, bytes: f64, flops: f64) -> f64 {
    let [m, n, k] = [r.m, r.n, r.k].map(f64::from);
    // Eight-bit products read their input in BF16, write and read it in eight bits.
    let input = if bytes == 1.0 { 4.0 } else { 2.0 };
    let traffic = n * k * bytes + m * (2.0 * n + input * k);
    libm::hypot(2.0 * m * n * k / (flops * 0.75), traffic / (BANDWIDTH * 0.85))
}

fn layer_of_experts(r: &ExpertRow, bytes: f64, flops: f64) -> f64 {
    let [tokens, hidden, inner, k, experts] = [r.tokens, r.hidden, r.inner, r.top_k, r.experts].map(f64::from);
    let (inner, rows) = (inner / f64::from(r.tensor_parallel), tokens * k);
    let touched = rows * experts / (experts + k * (tokens - 1.0));
    let traffic = touched * 3.0 * hidden * inner * bytes + rows * (hidden * 2.0 + inner * 4.0) * 2.0;
    libm::hypot(6.0 * hidden * inner * rows / (flops * 0.45), traffic / (BANDWIDTH * 0.8))
}

/// Tables of weights in BF16 or FP8, of which every seventh row is 5 % off, both ways.
pub fn made(fp8: bool) -> KernelTables {
    let (bytes, flops_s) = if fp8 { (1.0, FP8_FLOPS) } else { (2.0, BF16_FLOPS) };
    let off = |i: usize| [1.05, 1.0, 1.0, 0.95, 1.0, 1.0, 1.0][i % 7];
    let mut t = KernelTables::default();
    let sides = [128u32, 512, 1_024, 2_048, 4_096, 5_120, 8_192, 14_336, 28_672, 65_536];
    for m in [1u32, 4, 16, 64, 256, 1_024, 4_096, 16_384] {
        for n in sides {
            for k in sides {
                let r = ProductRow { m, n, k, seconds: 0.0 };
                let seconds = (4e-6 + product(&r, bytes, flops_s)) * off(t.products.len());
                t.products.push(ProductRow { seconds, ..r });
            }
        }
    }
    for (heads, kv_heads) in [(32u32, 8u32), (16, 4), (8, 2), (64, 8), (16, 2), (8, 1), (4, 1)] {
        for batch in [1u32, 2, 8, 32, 128, 512, 1_024, 2_048] {
            for tokens in [1u32, 127, 1_023, 8_191, 32_767] {
                let read = f64::from(batch) * f64::from(tokens) * f64::from(kv_heads) * 512.0;
                let seconds = (12e-6 + read / (BANDWIDTH * 0.85)) * off(t.decode.len());
                t.decode.push(AttentionRow { batch, tokens, heads, kv_heads, head_dim: 128, seconds });
            }
        }
        for tokens in [16u32, 128, 512, 1_024, 2_048, 4_096, 8_192, 16_384] {
            let l = f64::from(tokens);
            let flops = 512.0 * f64::from(heads) * (l * (l + 1.0) / 2.0 + l * 400.0);
            let seconds = (12e-6 + flops / (BF16_FLOPS * 0.65)) * off(t.prefill.len());
            t.prefill.push(AttentionRow { batch: 1, tokens, heads, kv_heads, head_dim: 128, seconds });
        }
    }
    for (hidden, inner, top_k, experts) in
        [(2_048u32, 768u32, 8u32, 128u32), (4_096, 14_336, 2, 8), (2_880, 2_880, 4, 128)]
    {
        for tensor_parallel in [1u32, 2, 4] {
            for tokens in [1u32, 8, 64, 512, 4_096, 16_384] {
                let r = ExpertRow { tokens, hidden, inner, top_k, experts, tensor_parallel, seconds: 0.0 };
                let seconds = (3e-5 + layer_of_experts(&r, bytes, flops_s)) * off(t.experts.len());
                t.experts.push(ExpertRow { seconds, ..r });
            }
        }
    }
    for gpus in [2u32, 4, 8] {
        for shift in 10..28 {
            let (n, bytes) = (f64::from(gpus), f64::from(1u32 << shift));
            let seconds = 6e-6 + bytes * 2.0 * (n - 1.0) / n / (LINK * 0.3);
            t.all_reduce.push(AllReduceRow { gpus, bytes, seconds });
        }
    }
    t
}
