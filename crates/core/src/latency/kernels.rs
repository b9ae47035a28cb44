//! Curves from kernel tables: measured times of single kernels in, shares of peak and fixed parts out.
//!
//! Imports `catalog`. Must keep true: pure and deterministic (no random split, `libm` only); a fifth of the shapes is
//! never fitted and gives the error; data that cannot identify a number is refused by the number's name.
//!
//! Method: least squares of the logarithm of predicted over measured, outliers weighted down (soft L1 from 10 % on),
//! by Levenberg-Marquardt on the logarithms of the numbers. The formulas are those of `analytic.rs`.
use super::{LatencyError, work};
use crate::catalog::{Gpu, StepTimeRow};
use crate::memory::WeightsDtype;
use crate::numeric;

/// From this residual on a row counts less.
const SOFT: f64 = 0.1;
/// Steps of the solver at most; five or six are usual.
const MOST_STEPS: usize = 60;
/// Share of a number's effect that the other numbers must leave unexplained.
const LEAST_PIVOT: f64 = 1e-6;
/// Products smaller than this are not of layers of language models: inputs and outputs, and both together.
const LEAST_SIDE: u32 = 512;
const LEAST_WEIGHTS: u64 = 1_000_000;
/// A step has no more tokens than this.
const MOST_TOKENS: u32 = 16_384;
/// Attention of fewer tokens is all launch: decode context, and tokens of a prompt.
const LEAST_CONTEXT: u32 = 127;
const LEAST_PROMPT: u32 = 64;
/// More prompt tokens than this are not computed at once.
const MOST_PROMPT_TOKENS: u64 = 65_536;
/// The width of a head that nearly all models have: formulas are fitted on it where it was measured.
const USUAL_HEAD: u32 = 128;
/// More key/value heads than this on one GPU are of no model with grouped queries.
const MOST_KV_HEADS: u32 = 16;
/// Experts are not cut narrower than this.
const LEAST_EXPERT: u32 = 128;
/// Messages that tell a link's bandwidth and latency, bytes.
const MESSAGES: std::ops::RangeInclusive<f64> = 4_096.0..=2.7e8;

/// A matrix product, `m` tokens of `k` inputs to `n` outputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProductRow {
    /// Tokens of the product.
    pub m: u32,
    /// Outputs.
    pub n: u32,
    /// Inputs.
    pub k: u32,
    /// Measured time.
    pub seconds: f64,
}

/// Attention, BF16: of whole prompts of `tokens` (prefill), or of one token on top of `tokens` of context (decode).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionRow {
    /// Sequences.
    pub batch: u32,
    /// Tokens of each prompt, or context of each row.
    pub tokens: u32,
    /// Query heads.
    pub heads: u32,
    /// Key/value heads.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Measured time.
    pub seconds: f64,
}

/// One layer of routed experts, cut in `tensor_parallel` parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpertRow {
    /// Tokens of the step.
    pub tokens: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Inner width of an expert, before it is cut.
    pub inner: u32,
    /// Experts a token visits.
    pub top_k: u32,
    /// Experts.
    pub experts: u32,
    /// Parts.
    pub tensor_parallel: u32,
    /// Measured time.
    pub seconds: f64,
}

/// An all-reduce.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AllReduceRow {
    /// GPUs.
    pub gpus: u32,
    /// Bytes on each.
    pub bytes: f64,
    /// Measured time.
    pub seconds: f64,
}

/// Kernel times of one GPU; products and experts of one number format. Empty parts are not fitted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KernelTables {
    /// Matrix products.
    pub products: Vec<ProductRow>,
    /// Matrix products in BF16, where `products` are in another format: output head and router are BF16 all the same.
    pub bf16_products: Vec<ProductRow>,
    /// Attention of prompts.
    pub prefill: Vec<AttentionRow>,
    /// Attention of decode rows.
    pub decode: Vec<AttentionRow>,
    /// Routed experts.
    pub experts: Vec<ExpertRow>,
    /// All-reduces.
    pub all_reduce: Vec<AllReduceRow>,
}

/// How well a part of the tables is predicted by what was fitted on other shapes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct PartError {
    /// `products`, `prefill`, `decode`, `experts` or `all_reduce`.
    pub part: &'static str,
    /// Rows fitted.
    pub fitted: usize,
    /// Rows held out.
    pub held_out: usize,
    /// Median absolute error of the held-out rows, a share.
    pub median: f64,
    /// 90th percentile of the absolute error of the held-out rows, a share.
    pub p90: f64,
    /// Median signed error.
    pub bias: f64,
}

/// What kernel tables say. Host and layer overheads are not in them.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelFit {
    /// The numbers fitted; the rest is `None`, provenance is the caller's to fill in.
    pub row: StepTimeRow,
    /// Errors, part by part.
    pub errors: Vec<PartError>,
}

/// Fits what the tables can say about `gpu` with weights of `weights`.
///
/// # Errors
/// A time that is not above 0, fewer rows than numbers, or rows that cannot tell two numbers apart.
pub fn fit_from_kernels(gpu: &Gpu, weights: WeightsDtype, tables: &KernelTables) -> Result<KernelFit, LatencyError> {
    check(tables)?;
    let peaks = Peaks::new(gpu, weights);
    let mut fit = KernelFit { row: StepTimeRow::default(), errors: Vec::new() };
    fit.row.gpu.clone_from(&gpu.id);
    fit.row.dtype = weights.name().to_owned();
    let mut memory = None;
    if !tables.products.is_empty() {
        let rows: Vec<ProductRow> = tables.products.iter().copied().filter(is_of_a_layer).collect();
        let keep = |r: &ProductRow| (u64::from(r.n) * 7_919 + u64::from(r.k) * 104_729) % 5 != 0;
        let names = ["linear_compute_share", "memory_share", "linear_launch_us"];
        let model = |x: &[f64], r: &ProductRow| (peaks.product(r, x[0], x[1], x[2]), r.seconds);
        let x = solve("products", &names, &[0.7, 0.8, 5e-6], &rows, keep, model, &mut fit.errors)?;
        fit.row.linear_compute_share = Some(x[0]);
        fit.row.memory_share = Some(x[1]);
        fit.row.linear_launch_us = Some(x[2] * 1e6);
        memory = Some(x[1]);
    }
    let heads = |r: &AttentionRow| (u64::from(r.heads) * 31 + u64::from(r.kv_heads) * 17) % 5 != 0;
    let mut launch = None;
    if !tables.decode.is_empty() {
        let names = ["memory_share", "attention_launch_us"];
        let bytes = |r: &AttentionRow| {
            f64::from(r.batch) * f64::from(r.tokens) * f64::from(r.kv_heads) * f64::from(r.head_dim) * 4.0
        };
        let model = |x: &[f64], r: &AttentionRow| (x[1] + bytes(r) * peaks.byte_s / x[0], r.seconds);
        let rows = usual(&tables.decode, |r| r.tokens >= LEAST_CONTEXT);
        let x = solve("decode", &names, &[0.8, 1e-5], &rows, heads, model, &mut fit.errors)?;
        // One memory share for both: products and attention read equally well up to a few per cent.
        fit.row.memory_share = Some(memory.map_or(x[0], |m| libm::sqrt(m * x[0])));
        fit.row.attention_launch_us = Some(x[1] * 1e6);
        launch = Some(x[1]);
    }
    if !tables.prefill.is_empty() {
        let names = ["attention_compute_share", "attention_row_tokens", "attention_launch_us"];
        let flops = |r: &AttentionRow, more: f64| {
            let l = f64::from(r.tokens);
            let pairs = f64::from(r.batch) * (l * (l + 1.0) / 2.0 + l * more);
            4.0 * f64::from(r.head_dim) * f64::from(r.heads) * pairs
        };
        let model = |x: &[f64], r: &AttentionRow| (x[2] + flops(r, x[1]) * peaks.flop16_s / x[0], r.seconds);
        let at_once = |r: &AttentionRow| u64::from(r.batch) * u64::from(r.tokens) <= MOST_PROMPT_TOKENS;
        let rows = usual(&tables.prefill, |r| r.tokens >= LEAST_PROMPT && at_once(r));
        let x = solve("prefill", &names, &[0.6, 300.0, 1e-5], &rows, heads, model, &mut fit.errors)?;
        fit.row.attention_compute_share = Some(x[0]);
        fit.row.attention_row_tokens = Some(x[1]);
        fit.row.attention_launch_us = Some(launch.unwrap_or(x[2]) * 1e6);
    }
    if !tables.experts.is_empty() {
        let keep = |r: &ExpertRow| {
            (u64::from(r.hidden / 64) * 7
                + u64::from(r.inner / 32) * 3
                + u64::from(r.experts / 8)
                + u64::from(r.tensor_parallel) * 11)
                % 5
                != 0
        };
        let usual = |r: &ExpertRow| r.tokens <= MOST_TOKENS && r.inner / r.tensor_parallel.max(1) >= LEAST_EXPERT;
        let rows: Vec<ExpertRow> = tables.experts.iter().copied().filter(usual).collect();
        let names = ["expert_compute_share", "expert_memory_share", "expert_launch_us"];
        let model = |x: &[f64], r: &ExpertRow| (peaks.experts(r, x[0], x[1], x[2]), r.seconds);
        let x = solve("experts", &names, &[0.4, 0.7, 3e-5], &rows, keep, model, &mut fit.errors)?;
        fit.row.expert_compute_share = Some(x[0]);
        fit.row.expert_memory_share = Some(x[1]);
        fit.row.expert_launch_us = Some(x[2] * 1e6);
    }
    if !tables.all_reduce.is_empty() {
        let keep = |r: &AllReduceRow| !(libm::log2(r.bytes) as u64).is_multiple_of(5);
        let names = ["link_share", "all_reduce_latency_us"];
        let model = |x: &[f64], r: &AllReduceRow| {
            let n = f64::from(r.gpus);
            (x[1] + r.bytes * 2.0 * (n - 1.0) / n * peaks.link_byte_s / x[0], r.seconds)
        };
        let rows: Vec<AllReduceRow> =
            tables.all_reduce.iter().copied().filter(|r| MESSAGES.contains(&r.bytes)).collect();
        let x = solve("all_reduce", &names, &[0.4, 1e-5], &rows, keep, model, &mut fit.errors)?;
        fit.row.link_share = Some(x[0]);
        fit.row.all_reduce_latency_us = Some(x[1] * 1e6);
    }
    Ok(fit)
}

fn is_of_a_layer(r: &ProductRow) -> bool {
    let weights = u64::from(r.n) * u64::from(r.k);
    r.n >= LEAST_SIDE && r.k >= LEAST_SIDE && weights >= LEAST_WEIGHTS && r.m <= MOST_TOKENS
}

/// The rows of `keep` that are of usual heads.
fn usual(rows: &[AttentionRow], keep: impl Fn(&AttentionRow) -> bool) -> Vec<AttentionRow> {
    let width = rows.iter().any(|r| r.head_dim == USUAL_HEAD).then_some(USUAL_HEAD);
    let fits = |r: &&AttentionRow| r.kv_heads <= MOST_KV_HEADS && width.is_none_or(|w| r.head_dim == w) && keep(r);
    rows.iter().filter(fits).copied().collect()
}

/// Seconds an operation or byte at the data sheet's peaks.
struct Peaks {
    flop_s: f64,
    flop16_s: f64,
    byte_s: f64,
    link_byte_s: f64,
    weights: WeightsDtype,
    quantised: bool,
}

impl Peaks {
    fn new(gpu: &Gpu, weights: WeightsDtype) -> Peaks {
        let quantised = weights.eight_bit() && gpu.fp8_tflops_dense.is_some();
        let tflops = gpu.fp8_tflops_dense.filter(|_| quantised).unwrap_or(gpu.bf16_tflops_dense);
        Peaks {
            flop_s: 1e-12 / tflops,
            flop16_s: 1e-12 / gpu.bf16_tflops_dense,
            byte_s: 1e-9 / gpu.mem_bw_gbps,
            link_byte_s: 1e-9 / gpu.scale_up_gbps_unidirectional,
            weights,
            quantised,
        }
    }

    fn product(&self, r: &ProductRow, compute: f64, memory: f64, launch: f64) -> f64 {
        let [m, n, k] = [r.m, r.n, r.k].map(f64::from);
        let input = if self.quantised { 4.0 } else { 2.0 };
        let bytes = n * k * self.weights.linear_bytes() + m * (2.0 * n + input * k);
        launch + libm::hypot(2.0 * m * n * k * self.flop_s / compute, bytes * self.byte_s / memory)
    }

    fn experts(&self, r: &ExpertRow, compute: f64, memory: f64, launch: f64) -> f64 {
        let [tokens, hidden, inner, k] = [r.tokens, r.hidden, r.inner, r.top_k].map(f64::from);
        let inner = inner / f64::from(r.tensor_parallel);
        let touched = work::touched_of(f64::from(r.experts), k, tokens);
        let rows = tokens * k;
        let bytes =
            touched * 3.0 * hidden * inner * self.weights.expert_bytes() + rows * (hidden * 2.0 + inner * 4.0) * 2.0;
        launch + libm::hypot(6.0 * hidden * inner * rows * self.flop_s / compute, bytes * self.byte_s / memory)
    }
}

fn check(tables: &KernelTables) -> Result<(), LatencyError> {
    let times: [(&str, Vec<f64>); 6] = [
        ("products", tables.products.iter().map(|r| r.seconds).collect()),
        ("bf16_products", tables.bf16_products.iter().map(|r| r.seconds).collect()),
        ("prefill", tables.prefill.iter().map(|r| r.seconds).collect()),
        ("decode", tables.decode.iter().map(|r| r.seconds).collect()),
        ("experts", tables.experts.iter().map(|r| r.seconds).collect()),
        ("all_reduce", tables.all_reduce.iter().map(|r| r.seconds).collect()),
    ];
    for (part, seconds) in times {
        if let Some((i, s)) = seconds.iter().enumerate().find(|(_, s)| !(s.is_finite() && **s > 0.0)) {
            return Err(LatencyError::Options(format!("{part}: row {} lasts {s} s; it must be above 0", i + 1)));
        }
    }
    Ok(())
}

/// Fits the numbers `names` from `start`, and adds the error on the rows that `keep` leaves out.
fn solve<R>(
    part: &'static str,
    names: &[&str],
    start: &[f64],
    rows: &[R],
    keep: impl Fn(&R) -> bool,
    model: impl Fn(&[f64], &R) -> (f64, f64),
    errors: &mut Vec<PartError>,
) -> Result<Vec<f64>, LatencyError> {
    let (train, held): (Vec<&R>, Vec<&R>) = rows.iter().partition(|r| keep(r));
    if train.len() <= names.len() {
        let (have, need) = (train.len(), names.len());
        return Err(LatencyError::Options(format!(
            "{part}: {have} usable rows cannot tell {need} numbers ({}); give more shapes",
            names.join(", ")
        )));
    }
    let residual = |x: &[f64], r: &R| {
        let (ours, measured) = model(x, r);
        libm::log(ours / measured)
    };
    let x = levenberg(part, names, start, &train, residual)?;
    let off: Vec<f64> = held
        .iter()
        .map(|r| {
            let (ours, measured) = model(&x, r);
            ours / measured - 1.0
        })
        .collect();
    let at = |values: &[f64], q: f64| numeric::quantile(values, q).unwrap_or(f64::NAN);
    let bias = at(&off, 0.5);
    let size: Vec<f64> = off.iter().map(|e| e.abs()).collect();
    let (median, p90) = (at(&size, 0.5), at(&size, 0.9));
    errors.push(PartError { part, fitted: train.len(), held_out: held.len(), median, p90, bias });
    Ok(x)
}

fn levenberg<R>(
    part: &str,
    names: &[&str],
    start: &[f64],
    rows: &[&R],
    residual: impl Fn(&[f64], &R) -> f64,
) -> Result<Vec<f64>, LatencyError> {
    let n = start.len();
    let exp = |z: &[f64]| -> Vec<f64> { z.iter().map(|v| libm::exp(*v)).collect() };
    let cost = |z: &[f64]| -> f64 {
        let x = exp(z);
        rows.iter().map(|r| libm::sqrt(1.0 + libm::pow(residual(&x, r) / SOFT, 2.0)) - 1.0).sum()
    };
    let mut z: Vec<f64> = start.iter().map(|v| libm::log(*v)).collect();
    let mut now = cost(&z);
    let mut damping = 1e-2;
    // A fixed part may well be nil: its logarithm then runs away, and stays where it has no effect any more.
    let mut nil = vec![false; n];
    for round in 0..MOST_STEPS {
        let (mut normal, mut gradient) = normal_equations(&exp(&z), rows, &residual);
        for i in 0..n {
            nil[i] |= normal[i][i] <= 1e-9 * rows.len() as f64;
            if nil[i] && round == 0 {
                let name = names[i];
                let text = format!("{part}: {name} plays no part in the rows; give other shapes");
                return Err(LatencyError::Options(text));
            }
            if nil[i] {
                freeze(&mut normal, i);
                gradient[i] = 0.0;
            }
        }
        let mut damped = normal.clone();
        for (i, row) in damped.iter_mut().enumerate() {
            row[i] *= 1.0 + damping;
        }
        let Ok(step) = numeric::solve(&damped, &gradient, f64::MIN_POSITIVE) else { break };
        let next: Vec<f64> = z.iter().zip(&step).map(|(v, s)| v - s.clamp(-1.0, 1.0)).collect();
        let then = cost(&next);
        if then < now {
            let done = (now - then) < 1e-10 * now || step.iter().all(|s| s.abs() < 1e-7);
            (z, now) = (next, then);
            damping = (damping / 5.0).max(1e-9);
            if done {
                break;
            }
        } else {
            damping *= 6.0;
            if damping > 1e9 {
                break;
            }
        }
    }
    let x = exp(&z);
    let (mut normal, _) = normal_equations(&x, rows, &residual);
    (0..n).filter(|&i| nil[i]).for_each(|i| freeze(&mut normal, i));
    match undecided(&normal) {
        Some(i) => Err(LatencyError::Options(format!(
            "{part}: the rows cannot tell {} from the other numbers; give other shapes",
            names[i]
        ))),
        None => Ok(x),
    }
}

/// Takes the number `i` out of the equations.
fn freeze(normal: &mut [Vec<f64>], i: usize) {
    normal.iter_mut().for_each(|row| row[i] = 0.0);
    normal[i].fill(0.0);
    normal[i][i] = 1.0;
}

/// The first number that the ones before it can stand in for: its pivot in the matrix of correlations is nil.
fn undecided(normal: &[Vec<f64>]) -> Option<usize> {
    let n = normal.len();
    let scale: Vec<f64> = (0..n).map(|i| 1.0 / libm::sqrt(normal[i][i].max(1e-300))).collect();
    let a: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| normal[i][j] * scale[i] * scale[j]).collect()).collect();
    numeric::solve(&a, &vec![0.0; n], LEAST_PIVOT).err().map(|numeric::Dependent(i)| i)
}

/// J'WJ and J'Wr at `x`, derivatives by the logarithms of the numbers.
fn normal_equations<R>(x: &[f64], rows: &[&R], residual: &impl Fn(&[f64], &R) -> f64) -> (Vec<Vec<f64>>, Vec<f64>) {
    const H: f64 = 1e-5;
    let n = x.len();
    let mut normal = vec![vec![0.0; n]; n];
    let mut gradient = vec![0.0; n];
    let bumped: Vec<Vec<f64>> =
        (0..n).map(|i| x.iter().enumerate().map(|(j, v)| if i == j { v * (1.0 + H) } else { *v }).collect()).collect();
    let mut slope = vec![0.0; n];
    for row in rows {
        let r = residual(x, row);
        let weight = 1.0 / libm::sqrt(1.0 + (r / SOFT) * (r / SOFT));
        for (s, b) in slope.iter_mut().zip(&bumped) {
            *s = (residual(b, row) - r) / H;
        }
        for i in 0..n {
            gradient[i] += weight * slope[i] * r;
            for j in 0..n {
                normal[i][j] += weight * slope[i] * slope[j];
            }
        }
    }
    (normal, gradient)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn h100() -> &'static Gpu {
        Catalog::embedded().gpu("h100-sxm").unwrap()
    }

    /// Tables that the formulas made with known numbers, and every seventh row 5 % off, both ways.
    pub(in crate::latency) fn made(weights: WeightsDtype) -> KernelTables {
        let p = Peaks::new(h100(), weights);
        let off = |i: usize| [1.05, 1.0, 1.0, 0.95, 1.0, 1.0, 1.0][i % 7];
        let mut t = KernelTables::default();
        let sides = [128u32, 512, 1_024, 2_048, 4_096, 5_120, 8_192, 14_336, 28_672, 65_536];
        for m in [1u32, 4, 16, 64, 256, 1_024, 4_096, 16_384] {
            for n in sides {
                for k in sides {
                    let r = ProductRow { m, n, k, seconds: 0.0 };
                    let seconds = p.product(&r, 0.75, 0.85, 4e-6) * off(t.products.len());
                    t.products.push(ProductRow { seconds, ..r });
                }
            }
        }
        for (heads, kv_heads) in [(32u32, 8u32), (16, 4), (8, 2), (64, 8), (16, 2), (8, 1), (4, 1)] {
            for batch in [1u32, 2, 8, 32, 128, 512, 1_024, 2_048] {
                for tokens in [1u32, 127, 1_023, 8_191, 32_767] {
                    let bytes = f64::from(batch) * f64::from(tokens) * f64::from(kv_heads) * 512.0;
                    let seconds = (12e-6 + bytes * p.byte_s / 0.85) * off(t.decode.len());
                    t.decode.push(AttentionRow { batch, tokens, heads, kv_heads, head_dim: 128, seconds });
                }
            }
            for tokens in [16u32, 128, 512, 1_024, 2_048, 4_096, 8_192, 16_384] {
                let l = f64::from(tokens);
                let flops = 512.0 * f64::from(heads) * (l * (l + 1.0) / 2.0 + l * 400.0);
                let seconds = (12e-6 + flops * p.flop16_s / 0.65) * off(t.prefill.len());
                t.prefill.push(AttentionRow { batch: 1, tokens, heads, kv_heads, head_dim: 128, seconds });
            }
        }
        for (hidden, inner, top_k, experts) in
            [(2_048u32, 768u32, 8u32, 128u32), (4_096, 14_336, 2, 8), (2_880, 2_880, 4, 128)]
        {
            for tensor_parallel in [1u32, 2, 4] {
                for tokens in [1u32, 8, 64, 512, 4_096, 16_384] {
                    let r = ExpertRow { tokens, hidden, inner, top_k, experts, tensor_parallel, seconds: 0.0 };
                    let seconds = p.experts(&r, 0.45, 0.8, 3e-5) * off(t.experts.len());
                    t.experts.push(ExpertRow { seconds, ..r });
                }
            }
        }
        for gpus in [2u32, 4, 8] {
            for shift in 10..28 {
                let (n, bytes) = (f64::from(gpus), f64::from(1u32 << shift));
                let seconds = 6e-6 + bytes * 2.0 * (n - 1.0) / n * p.link_byte_s / 0.3;
                t.all_reduce.push(AllReduceRow { gpus, bytes, seconds });
            }
        }
        t
    }

    #[test]
    fn known_numbers_are_found_again() {
        for weights in [WeightsDtype::Bf16, WeightsDtype::Fp8] {
            let fit = fit_from_kernels(h100(), weights, &made(weights)).unwrap();
            let near = |name: &str, value: Option<f64>, expected: f64| {
                let v = value.unwrap();
                // Few rows say how many keys more a query costs.
                let most = if name == "attention_row_tokens" { 0.2 } else { 0.05 };
                assert!((v / expected - 1.0).abs() < most, "{name}: {v}, made with {expected}");
            };
            let r = &fit.row;
            near("linear_compute_share", r.linear_compute_share, 0.75);
            near("memory_share", r.memory_share, 0.85);
            near("linear_launch_us", r.linear_launch_us, 4.0);
            near("attention_compute_share", r.attention_compute_share, 0.65);
            near("attention_row_tokens", r.attention_row_tokens, 400.0);
            near("attention_launch_us", r.attention_launch_us, 12.0);
            near("expert_compute_share", r.expert_compute_share, 0.45);
            near("expert_memory_share", r.expert_memory_share, 0.8);
            near("expert_launch_us", r.expert_launch_us, 30.0);
            near("link_share", r.link_share, 0.3);
            near("all_reduce_latency_us", r.all_reduce_latency_us, 6.0);
            assert_eq!(fit.errors.len(), 5);
            for e in &fit.errors {
                assert!(e.median < 0.02 && e.p90 < 0.08 && e.held_out > 5, "{e:?}");
            }
        }
    }

    #[test]
    fn the_fit_does_not_depend_on_the_order_of_rows_much_and_repeats_exactly() {
        let tables = made(WeightsDtype::Bf16);
        let once = fit_from_kernels(h100(), WeightsDtype::Bf16, &tables).unwrap();
        assert_eq!(once, fit_from_kernels(h100(), WeightsDtype::Bf16, &tables).unwrap());
        let mut turned = tables;
        turned.products.reverse();
        let turned = fit_from_kernels(h100(), WeightsDtype::Bf16, &turned).unwrap();
        let [a, b] = [&once, &turned].map(|f| f.row.linear_compute_share.unwrap());
        assert!((a / b - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_fixed_part_may_be_nil() {
        let mut t = made(WeightsDtype::Bf16);
        let p = Peaks::new(h100(), WeightsDtype::Bf16);
        t.products.iter_mut().for_each(|r| r.seconds = p.product(r, 0.75, 0.85, 0.0));
        let fit = fit_from_kernels(h100(), WeightsDtype::Bf16, &t).unwrap();
        assert!(fit.row.linear_launch_us.unwrap() < 0.01, "{:?}", fit.row);
        assert!((fit.row.linear_compute_share.unwrap() - 0.75).abs() < 0.01);
    }

    #[test]
    fn data_that_cannot_say_is_refused() {
        let refused = |t: KernelTables| fit_from_kernels(h100(), WeightsDtype::Bf16, &t).unwrap_err().to_string();
        let mut t = made(WeightsDtype::Bf16);
        t.decode[2].seconds = f64::NAN;
        assert_eq!(refused(t), "decode: row 3 lasts NaN s; it must be above 0");
        let row = ProductRow { m: 8, n: 4_096, k: 4_096, seconds: 2e-5 };
        let few = KernelTables { products: vec![row; 2], ..KernelTables::default() };
        assert!(refused(few).starts_with("products: 2 usable rows cannot tell 3 numbers (linear_compute_share"));
        let same = KernelTables { products: vec![row; 50], ..KernelTables::default() };
        let e = refused(same);
        assert_eq!(e, "products: the rows cannot tell memory_share from the other numbers; give other shapes");
    }
}
