//! Curves from kernel tables: measured times of single kernels in, shares of peak and fixed parts out.
//!
//! Must keep true: pure and deterministic (no random split, `libm` only); a fifth of the shapes is never fitted and gives
//! the error; data that cannot identify a number are refused by the number's name.
//!
//! Method: damped least squares of the logarithm of predicted over measured, on the logarithms of the numbers, outliers
//! weighted down from 10 % on. The formulas are those of `latency::Analytic`.
use super::descent::{self, Problem, Rules};
use baseload_core::catalog::{Gpu, StepTimeRow};
use baseload_core::latency::{AllReduceRow, AttentionRow, ExpertRow, KernelTables, ProductRow, touched_experts};
use baseload_core::memory::WeightsDtype;
use baseload_core::numeric::quantile;
use baseload_core::types::{TraceFault, wrong};

/// Sixty steps at most; five or six are usual.
const RULES: Rules = Rules { soft: 0.1, most: 1.0, prior: 0.0, least_gain: 1e-10, rounds: 60 };
/// Share of a number that a derivative is taken over.
const DIFFERENCE: f64 = 1e-5;
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
pub fn fit_from_kernels(gpu: &Gpu, weights: WeightsDtype, tables: &KernelTables) -> Result<KernelFit, TraceFault> {
    check(tables)?;
    let row = StepTimeRow { gpu: gpu.id.clone(), dtype: weights.name().to_owned(), ..StepTimeRow::default() };
    let mut of = Fitting { peaks: Peaks::new(gpu, weights), fit: KernelFit { row, errors: Vec::new() } };
    if !tables.products.is_empty() {
        of.products(&tables.products)?;
    }
    if !tables.decode.is_empty() {
        of.decode(&tables.decode)?;
    }
    if !tables.prefill.is_empty() {
        of.prefill(&tables.prefill)?;
    }
    if !tables.experts.is_empty() {
        of.experts(&tables.experts)?;
    }
    if !tables.all_reduce.is_empty() {
        of.all_reduce(&tables.all_reduce)?;
    }
    Ok(of.fit)
}

/// The row and its errors, as far as parts have been fitted: each part has a method, in the order in which later parts
/// build on earlier ones.
struct Fitting {
    peaks: Peaks,
    fit: KernelFit,
}

impl Fitting {
    fn products(&mut self, rows: &[ProductRow]) -> Result<(), TraceFault> {
        let rows: Vec<ProductRow> = rows.iter().copied().filter(is_of_a_layer).collect();
        let keep = |r: &ProductRow| (u64::from(r.n) * 7_919 + u64::from(r.k) * 104_729) % 5 != 0;
        let model = |x: &[f64], r: &ProductRow| (self.peaks.product(r, x[0], x[1], x[2]), r.seconds);
        let numbers = [("linear_compute_share", 0.7), ("memory_share", 0.8), ("linear_launch_us", 5e-6)];
        let (x, error) = fit_part("products", numbers, &rows, keep, model)?;
        let row = &mut self.fit.row;
        row.linear_compute_share = Some(x[0]);
        row.memory_share = Some(x[1]);
        row.linear_launch_us = Some(x[2] * 1e6);
        self.fit.errors.push(error);
        Ok(())
    }

    fn decode(&mut self, rows: &[AttentionRow]) -> Result<(), TraceFault> {
        let bytes = |r: &AttentionRow| {
            f64::from(r.batch) * f64::from(r.tokens) * f64::from(r.kv_heads) * f64::from(r.head_dim) * 4.0
        };
        let model = |x: &[f64], r: &AttentionRow| (x[1] + bytes(r) * self.peaks.byte_s / x[0], r.seconds);
        let rows = usual(rows, |r| r.tokens >= LEAST_CONTEXT);
        let numbers = [("memory_share", 0.8), ("attention_launch_us", 1e-5)];
        let (x, error) = fit_part("decode", numbers, &rows, by_heads, model)?;
        // One memory share for both: products and attention read equally well up to a few per cent.
        let row = &mut self.fit.row;
        row.memory_share = Some(row.memory_share.map_or(x[0], |m| libm::sqrt(m * x[0])));
        row.attention_launch_us = Some(x[1] * 1e6);
        self.fit.errors.push(error);
        Ok(())
    }

    fn prefill(&mut self, rows: &[AttentionRow]) -> Result<(), TraceFault> {
        let flops = |r: &AttentionRow, more: f64| {
            let l = f64::from(r.tokens);
            let pairs = f64::from(r.batch) * (l * (l + 1.0) / 2.0 + l * more);
            4.0 * f64::from(r.head_dim) * f64::from(r.heads) * pairs
        };
        let model = |x: &[f64], r: &AttentionRow| (x[2] + flops(r, x[1]) * self.peaks.flop16_s / x[0], r.seconds);
        let at_once = |r: &AttentionRow| u64::from(r.batch) * u64::from(r.tokens) <= MOST_PROMPT_TOKENS;
        let rows = usual(rows, |r| r.tokens >= LEAST_PROMPT && at_once(r));
        let numbers =
            [("attention_compute_share", 0.6), ("attention_row_tokens", 300.0), ("attention_launch_us", 1e-5)];
        let (x, error) = fit_part("prefill", numbers, &rows, by_heads, model)?;
        let row = &mut self.fit.row;
        row.attention_compute_share = Some(x[0]);
        row.attention_row_tokens = Some(x[1]);
        // Where decode rows were measured they say what a launch costs.
        row.attention_launch_us.get_or_insert(x[2] * 1e6);
        self.fit.errors.push(error);
        Ok(())
    }

    fn experts(&mut self, rows: &[ExpertRow]) -> Result<(), TraceFault> {
        let keep = |r: &ExpertRow| {
            (u64::from(r.hidden / 64) * 7
                + u64::from(r.inner / 32) * 3
                + u64::from(r.experts / 8)
                + u64::from(r.tensor_parallel) * 11)
                % 5
                != 0
        };
        let usual = |r: &ExpertRow| r.tokens <= MOST_TOKENS && r.inner / r.tensor_parallel.max(1) >= LEAST_EXPERT;
        let rows: Vec<ExpertRow> = rows.iter().copied().filter(usual).collect();
        let model = |x: &[f64], r: &ExpertRow| (self.peaks.experts(r, x[0], x[1], x[2]), r.seconds);
        let numbers = [("expert_compute_share", 0.4), ("expert_memory_share", 0.7), ("expert_launch_us", 3e-5)];
        let (x, error) = fit_part("experts", numbers, &rows, keep, model)?;
        let row = &mut self.fit.row;
        row.expert_compute_share = Some(x[0]);
        row.expert_memory_share = Some(x[1]);
        row.expert_launch_us = Some(x[2] * 1e6);
        self.fit.errors.push(error);
        Ok(())
    }

    fn all_reduce(&mut self, rows: &[AllReduceRow]) -> Result<(), TraceFault> {
        let keep = |r: &AllReduceRow| !(libm::log2(r.bytes) as u64).is_multiple_of(5);
        let model = |x: &[f64], r: &AllReduceRow| {
            let n = f64::from(r.gpus);
            (x[1] + r.bytes * 2.0 * (n - 1.0) / n * self.peaks.link_byte_s / x[0], r.seconds)
        };
        let rows: Vec<AllReduceRow> = rows.iter().copied().filter(|r| MESSAGES.contains(&r.bytes)).collect();
        let numbers = [("link_share", 0.4), ("all_reduce_latency_us", 1e-5)];
        let (x, error) = fit_part("all_reduce", numbers, &rows, keep, model)?;
        self.fit.row.link_share = Some(x[0]);
        self.fit.row.all_reduce_latency_us = Some(x[1] * 1e6);
        self.fit.errors.push(error);
        Ok(())
    }
}

/// Whether attention of these heads is fitted, not held out.
fn by_heads(r: &AttentionRow) -> bool {
    (u64::from(r.heads) * 31 + u64::from(r.kv_heads) * 17) % 5 != 0
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
        let touched = touched_experts(f64::from(r.experts), k, tokens);
        let rows = tokens * k;
        let bytes =
            touched * 3.0 * hidden * inner * self.weights.expert_bytes() + rows * (hidden * 2.0 + inner * 4.0) * 2.0;
        launch + libm::hypot(6.0 * hidden * inner * rows * self.flop_s / compute, bytes * self.byte_s / memory)
    }
}

fn check(tables: &KernelTables) -> Result<(), TraceFault> {
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
            return Err(wrong!("{part}: row {} lasts {s} s", i + 1).hint("it must be above 0"));
        }
    }
    Ok(())
}

/// Logarithms of predicted over measured, by the logarithms of the numbers.
struct Part<'a, R, M> {
    rows: Vec<&'a R>,
    /// Seconds that numbers predict of a row, and those measured.
    model: M,
}

impl<R, M: Fn(&[f64], &R) -> (f64, f64)> Part<'_, R, M> {
    fn residual(&self, x: &[f64], row: &R) -> f64 {
        let (ours, measured) = (self.model)(x, row);
        libm::log(ours / measured)
    }
}

impl<R, M: Fn(&[f64], &R) -> (f64, f64)> Problem for Part<'_, R, M> {
    fn residuals(&self, z: &[f64]) -> Vec<f64> {
        let x = exp(z);
        self.rows.iter().map(|row| self.residual(&x, row)).collect()
    }
    fn slopes(&self, z: &[f64], now: &[f64]) -> Vec<Vec<f64>> {
        let slope = |i: usize| {
            let mut x = exp(z);
            x[i] *= 1.0 + DIFFERENCE;
            self.rows.iter().zip(now).map(|(row, r)| (self.residual(&x, row) - r) / DIFFERENCE).collect()
        };
        (0..z.len()).map(slope).collect()
    }
    fn moved(&self, z: &[f64], by: &[f64]) -> Vec<f64> {
        z.iter().zip(by).map(|(z, by)| z - by).collect()
    }
    fn away(&self, z: &[f64]) -> Vec<f64> {
        vec![0.0; z.len()]
    }
}

fn exp(z: &[f64]) -> Vec<f64> {
    z.iter().map(|v| libm::exp(*v)).collect()
}

/// Fits `numbers`, each from where it starts, on the rows of `keep`, and gives the error on the others.
fn fit_part<R, const N: usize>(
    part: &'static str,
    numbers: [(&str, f64); N],
    rows: &[R],
    keep: impl Fn(&R) -> bool,
    model: impl Fn(&[f64], &R) -> (f64, f64),
) -> Result<(Vec<f64>, PartError), TraceFault> {
    let (train, held): (Vec<&R>, Vec<&R>) = rows.iter().partition(|r| keep(r));
    if train.len() <= N {
        let names = numbers.map(|(name, _)| name).join(", ");
        let fault = wrong!("{part}: {} usable rows cannot tell {N} numbers ({names})", train.len());
        return Err(fault.hint("give more shapes"));
    }
    let fitted = train.len();
    let problem = Part { rows: train, model };
    let bottom = descent::descend(&problem, &numbers.map(|(_, start)| libm::log(start)), &RULES);
    if let Some(&i) = bottom.open.first() {
        return Err(wrong!("{part}: {} plays no part in the rows", numbers[i].0).hint("give other shapes"));
    }
    if let Some(i) = bottom.undecided(&problem, &RULES, LEAST_PIVOT) {
        let fault = wrong!("{part}: the rows cannot tell {} from the other numbers", numbers[i].0);
        return Err(fault.hint("give other shapes"));
    }
    let x = exp(&bottom.x);
    let off: Vec<f64> = held
        .iter()
        .map(|r| {
            let (ours, measured) = (problem.model)(&x, r);
            ours / measured - 1.0
        })
        .collect();
    let at = |values: &[f64], q: f64| quantile(values, q).unwrap_or(f64::NAN);
    let bias = at(&off, 0.5);
    let size: Vec<f64> = off.iter().map(|e| e.abs()).collect();
    let (median, p90) = (at(&size, 0.5), at(&size, 0.9));
    Ok((x, PartError { part, fitted, held_out: held.len(), median, p90, bias }))
}

#[cfg(test)]
#[path = "kernel_fit_tests.rs"]
mod tests;
