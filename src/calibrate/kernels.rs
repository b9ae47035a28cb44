//! Kernel tables (files of `frames`) as tables of `latency`, and as numbers of the catalogue's form.
//!
//! Of each part the rows of the newest engine version that has the number format are taken; rows of one shape (several
//! kernels, several runs) become their median. Must keep true: what is left out is said; files of another GPU are
//! refused.
//!
//! Two numbers of kernels alone are not those of an engine, and are treated as in the catalogue (whose A100 and L40S
//! rows were made this way): products in BF16 reach 0.86 of the compute share that short runs at full clock show, as on
//! H100 (0.72 in engine runs, 0.84 in kernels); and the fixed part of an all-reduce is borrowed, because in an engine
//! ranks wait for each other (10.4 us on H100, 5 us in kernels).
use super::kernel_fit::{PartError, fit_from_kernels};
use crate::frames::{KernelPart, KernelTime, KernelTimes};
use baseload_core::catalog::{Catalog, Gpu, StepTimeFile, StepTimeRow};
use baseload_core::latency::{AllReduceRow, AttentionRow, Curves, ExpertRow, KernelTables, ProductRow};
use baseload_core::memory::{KvDtype, WeightsDtype};
use baseload_core::numeric::quantile;
use baseload_core::types::{TraceFault, wrong};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What engine runs make of the compute share of kernels in BF16: 0.720 / 0.84 on H100.
const SUSTAINED: f64 = 0.86;
/// A kernel that starts sooner was not measured from memory: small ones stay in a GPU's cache from run to run.
const LEAST_LAUNCH_US: f64 = 0.5;
/// Products beside those of the weights' format.
const BF16_PRODUCTS: &str = "products in bf16";
/// Bytes of an element of an all-reduce: BF16 or FP16.
const ELEMENT_BYTES: f64 = 2.0;
/// How tokens are spread over experts in the rows that are taken: what trained routers do (aiconfigurator's name).
const ROUTING: &str = "power_law_1.01";

/// Tables of one GPU, weights and cache format.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChosenKernels {
    /// The tables.
    pub tables: Arc<KernelTables>,
    /// What was taken, in order.
    pub taken: Vec<Taken>,
}

/// Rows of one part that were taken, and the file that they are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The part of a step that the file is of, in words.
    pub what: &'static str,
    /// Index of the file.
    pub file: usize,
    /// Rows taken of the file, before shapes become medians.
    pub rows: usize,
}

/// A row of the catalogue's form from kernel tables.
#[derive(Debug, Clone)]
pub struct KernelProfile {
    /// The row.
    pub row: StepTimeRow,
    /// Errors on held-out shapes, part by part.
    pub errors: Vec<PartError>,
    /// What people should know.
    pub notes: Vec<String>,
}

impl KernelProfile {
    /// The file: the row, under its errors as comments.
    ///
    /// # Errors
    /// TOML's.
    pub fn text(&self) -> Result<String, TraceFault> {
        let mut out =
            "# Numbers of the analytic step time, fitted by `baseload calibrate --kind kernels`.\n".to_owned();
        for e in &self.errors {
            out.push_str(&format!(
                "# {}: {} rows fitted; {} held out by shape: median {:.1} %, p90 {:.1} %, bias {:+.1} %\n",
                e.part,
                e.fitted,
                e.held_out,
                e.median * 100.0,
                e.p90 * 100.0,
                e.bias * 100.0
            ));
        }
        let file = StepTimeFile { step_time: vec![self.row.clone()] };
        Ok(out + &toml::to_string(&file).map_err(|e| wrong!("the row cannot be written as TOML ({e})"))?)
    }
}

/// Names of a number format in the files: of products, of experts.
fn names(weights: WeightsDtype) -> (&'static [&'static str], &'static [&'static str]) {
    const BF16: &[&str] = &["bfloat16", "float16", "bf16", "half"];
    match weights {
        WeightsDtype::Bf16 => (BF16, BF16),
        WeightsDtype::Fp8 => (&["fp8"], &["fp8"]),
        WeightsDtype::Fp8Block => (&["fp8_block"], &["fp8_block"]),
        WeightsDtype::Mxfp4 => (BF16, &["w4a16_mxfp4"]),
        WeightsDtype::Int4 => (&["int4_wo"], &["int4_wo"]),
    }
}

fn is_bf16(name: &str) -> bool {
    names(WeightsDtype::Bf16).0.contains(&name)
}

/// The numbers of a version, for comparing.
fn version(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

struct Choice<'a> {
    times: &'a KernelTimes,
    chosen: ChosenKernels,
}

impl<'a> Choice<'a> {
    /// The rows of the newest version that has any that `fits`.
    fn newest(
        &mut self,
        part: KernelPart,
        what: &'static str,
        fits: impl Fn(&KernelTime) -> bool,
    ) -> Vec<&'a KernelTime> {
        let rows: Vec<&KernelTime> = self.times.of(part).filter(|r| fits(r)).collect();
        let version_of = |r: &KernelTime| version(&self.times.files[r.file].version);
        let Some(newest) = rows.iter().map(|r| version_of(r)).max() else { return Vec::new() };
        let kept: Vec<&KernelTime> = rows.into_iter().filter(|r| version_of(r) == newest).collect();
        for r in &kept {
            match self.chosen.taken.iter_mut().find(|t| t.file == r.file && t.what == what) {
                Some(taken) => taken.rows += 1,
                None => self.chosen.taken.push(Taken { what, file: r.file, rows: 1 }),
            }
        }
        kept
    }

    fn products(&mut self, what: &'static str, formats: &[&str]) -> Result<Vec<ProductRow>, TraceFault> {
        let times = self.times;
        let rows = self.newest(KernelPart::Products, what, |r| formats.contains(&times.text(r, "gemm_dtype")));
        medians(times, &rows, ["m", "n", "k"], |[m, n, k], seconds| ProductRow { m, n, k, seconds })
    }

    fn attention(&mut self, part: KernelPart, kv: &[&str]) -> Result<Vec<AttentionRow>, TraceFault> {
        let (times, decode) = (self.times, part == KernelPart::Decode);
        let rows = self.newest(part, part.name(), |r| {
            let whole = decode || times.size(r, "step") == 0;
            let formats = is_bf16(times.text(r, "attn_dtype")) && kv.contains(&times.text(r, "kv_cache_dtype"));
            formats && whole && times.size(r, "window_size") == 0
        });
        // A decode row's context is `step`; its `isl` is the one token that it computes.
        let tokens = if decode { "step" } else { "isl" };
        let columns = ["batch_size", tokens, "num_heads", "num_key_value_heads", "head_dim"];
        medians(times, &rows, columns, |[batch, tokens, heads, kv_heads, head_dim], seconds| AttentionRow {
            batch,
            tokens,
            heads,
            kv_heads,
            head_dim,
            seconds,
        })
    }

    fn experts(&mut self, formats: &[&str]) -> Result<Vec<ExpertRow>, TraceFault> {
        let times = self.times;
        let rows = self.newest(KernelPart::Experts, "experts", |r| {
            let routing = times.text(r, "distribution") == ROUTING;
            formats.contains(&times.text(r, "moe_dtype")) && routing && times.size(r, "moe_ep_size") == 1
        });
        let columns = ["num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size"];
        medians(times, &rows, columns, |[tokens, hidden, inner, top_k, experts, tensor_parallel], seconds| ExpertRow {
            tokens,
            hidden,
            inner,
            top_k,
            experts,
            tensor_parallel,
            seconds,
        })
    }

    /// All-reduces inside graphs by the engine's own kernel, else NCCL's. `message_size` counts elements: in NCCL's files
    /// so many of 8 bits take half as long as of 16.
    fn all_reduce(&mut self) -> Result<Vec<AllReduceRow>, TraceFault> {
        let times = self.times;
        for (backend, what) in [("vllm_graph", "all-reduces (vLLM's, in graphs)"), ("nccl", "all-reduces (NCCL's)")] {
            let rows = self.newest(KernelPart::AllReduce, what, |r| {
                let of = times.text(r, "op_name") == "all_reduce" && times.text(r, "backend") == backend;
                of && is_bf16(times.text(r, "dtype"))
            });
            if !rows.is_empty() {
                return medians(times, &rows, ["num_gpus", "message_size"], |[gpus, elements], seconds| AllReduceRow {
                    gpus,
                    bytes: f64::from(elements) * ELEMENT_BYTES,
                    seconds,
                });
            }
        }
        Ok(Vec::new())
    }
}

/// Rows of one shape as their median, in the order of shapes.
fn medians<const N: usize, T>(
    times: &KernelTimes,
    rows: &[&KernelTime],
    columns: [&str; N],
    make: impl Fn([u32; N], f64) -> T,
) -> Result<Vec<T>, TraceFault> {
    let mut shapes: BTreeMap<[u32; N], Vec<f64>> = BTreeMap::new();
    for r in rows {
        let mut shape = [0; N];
        for (size, column) in shape.iter_mut().zip(columns) {
            *size = u32::try_from(times.size(r, column)).ok().filter(|s| *s > 0).ok_or_else(|| {
                let file = times.files[r.file].path.display().to_string();
                let what = format!("row {}: {column} is {}", r.row, times.size(r, column));
                TraceFault::of(file, what).hint("it must be from 1")
            })?;
        }
        shapes.entry(shape).or_default().push(r.ms * 1e-3);
    }
    let median = |v: &Vec<f64>| quantile(v, 0.5).unwrap_or(f64::NAN);
    Ok(shapes.iter().map(|(shape, seconds)| make(*shape, median(seconds))).collect())
}

/// The tables of `gpu` for weights of `weights` and a KV cache of `kv`. Parts that the files lack stay empty.
///
/// # Errors
/// Files of another GPU; files that have neither products nor experts of the format; a size of 0.
pub fn choose_kernels(
    catalog: &Catalog,
    times: &KernelTimes,
    gpu: &Gpu,
    weights: WeightsDtype,
    kv: KvDtype,
) -> Result<ChosenKernels, TraceFault> {
    // A GPU of a user's own is of the family of the one that it is like.
    let family = |g: &Gpu| g.like.as_ref().unwrap_or(&g.id).split('-').next().unwrap_or_default().to_owned();
    for file in &times.files {
        if let Some(of) = catalog.gpu_in(&file.device).filter(|of| family(of) != family(gpu)) {
            let what = format!("it was measured on {} ({}), and this is {}", file.device, of.id, gpu.id);
            return Err(TraceFault::of(file.path.display(), what).hint("give tables of that"));
        }
    }
    let mut choice = Choice { times, chosen: ChosenKernels::default() };
    let (products, experts) = names(weights);
    let mut tables = KernelTables { products: choice.products("products", products)?, ..KernelTables::default() };
    if weights != WeightsDtype::Bf16 && products != names(WeightsDtype::Bf16).0 {
        tables.bf16_products = choice.products(BF16_PRODUCTS, names(WeightsDtype::Bf16).0)?;
    }
    tables.experts = choice.experts(experts)?;
    if tables.products.is_empty() && tables.experts.is_empty() {
        let mut have: Vec<&str> = times
            .rows
            .iter()
            .flat_map(|r| [times.text(r, "gemm_dtype"), times.text(r, "moe_dtype")])
            .filter(|f| !f.is_empty())
            .collect();
        have.sort_unstable();
        have.dedup();
        let have = if have.is_empty() { "neither at all".to_owned() } else { have.join(", ") };
        let called: BTreeSet<&str> = products.iter().chain(experts).copied().collect();
        let called = called.into_iter().collect::<Vec<_>>().join(", ");
        let of = weights.name();
        let fault = wrong!("the kernel tables have no products or experts in {of} (they would be called {called})");
        return Err(fault.hint(format!("they have {have}")));
    }
    let kv: &[&str] = if kv == KvDtype::Fp8 { &["fp8"] } else { names(WeightsDtype::Bf16).0 };
    tables.prefill = choice.attention(KernelPart::Prefill, kv)?;
    tables.decode = choice.attention(KernelPart::Decode, kv)?;
    tables.all_reduce = choice.all_reduce()?;
    choice.chosen.tables = Arc::new(tables);
    Ok(choice.chosen)
}

/// Fits a row of the catalogue's form: its numbers, provenance and errors. `name` and `date` go into the row.
///
/// # Errors
/// What [`choose_kernels`] and [`fit_from_kernels`] refuse.
pub fn kernel_profile(
    catalog: &Catalog,
    times: &KernelTimes,
    gpu: &Gpu,
    weights: WeightsDtype,
    name: &str,
    date: &str,
) -> Result<KernelProfile, TraceFault> {
    let mut chosen = choose_kernels(catalog, times, gpu, weights, KvDtype::Bf16)?;
    if weights != WeightsDtype::Bf16 {
        // Attention and all-reduces are BF16's, and a row of another format says only what differs.
        let KernelTables { mut products, experts, .. } = KernelTables::clone(&chosen.tables);
        chosen.taken.retain(|t| t.what == "products" || t.what == "experts");
        if weights == WeightsDtype::Mxfp4 {
            products.clear();
            chosen.taken.retain(|t| t.what == "experts");
        }
        chosen.tables = Arc::new(KernelTables { products, experts, ..KernelTables::default() });
    }
    let mut fit = fit_from_kernels(gpu, weights, &chosen.tables)?;
    let mut notes = Vec::new();
    for t in &chosen.taken {
        let file = &times.files[t.file];
        notes.push(format!("{}: version {}, {} rows of {}", t.what, file.version, t.rows, file_name(&file.path)));
    }
    let latent = times.files.iter().filter(|f| f.part == KernelPart::Latent).count();
    if latent > 0 {
        notes.push(format!("files of latent attention (MLA) are not read: {latent}"));
    }
    let row = &mut fit.row;
    as_in_engines(row, weights, &mut notes);
    row.numbers_mut().into_iter().flatten().for_each(|v| *v = significant(*v));
    let files = chosen.taken.iter().map(|t| &times.files[t.file]);
    let mut versions: Vec<String> =
        chosen.taken.iter().map(|t| format!("{} {}", t.what, times.files[t.file].version)).collect();
    versions.dedup();
    row.fitted = format!("kernels: {}", versions.join(", "));
    let first = fit.errors.first();
    row.error = first.map_or(f64::NAN, |e| (e.median * 1e4).round() / 1e4);
    row.error_of = first.map_or(String::new(), |e| format!("{} held out, by shape", e.part));
    row.data_sha256 = files.clone().map(|f| f.sha256.chars().take(16).collect()).collect();
    row.date = date.to_owned();
    let mut devices: Vec<&str> = files.map(|f| f.device.as_str()).collect();
    devices.dedup();
    row.source = format!("{name}: kernel tables of {}", devices.join(", "));
    Curves::under(catalog, gpu, weights, std::slice::from_ref(row)).map_err(|e| {
        let hint = format!("are their times in ms, and of {} (bandwidth and peaks by its data sheet)?", gpu.id);
        wrong!("the tables say that {e}").hint(hint)
    })?;
    Ok(KernelProfile { row: fit.row, errors: fit.errors, notes })
}

/// Puts what an engine makes of kernels in place of what they are alone, and says so.
fn as_in_engines(row: &mut StepTimeRow, weights: WeightsDtype, notes: &mut Vec<String>) {
    if let (WeightsDtype::Bf16, Some(share)) = (weights, &mut row.linear_compute_share) {
        notes.push(format!(
            "linear_compute_share is {share:.3} in kernels, and {SUSTAINED} of that in the file: what engine runs make of \
             kernels on H100, which run short and at full clock"
        ));
        *share *= SUSTAINED;
    }
    if let Some(us) = row.all_reduce_latency_us.take() {
        notes.push(format!(
            "all_reduce_latency_us is {us:.1} in kernels, and left out: in an engine ranks wait for each other"
        ));
    }
    for (name, us) in [
        ("linear_launch_us", &mut row.linear_launch_us),
        ("expert_launch_us", &mut row.expert_launch_us),
        ("attention_launch_us", &mut row.attention_launch_us),
    ] {
        if let Some(nil) = us.take_if(|us| *us < LEAST_LAUNCH_US) {
            notes.push(format!(
                "{name} is {nil:.4} in kernels, and left out: no kernel starts so soon; small ones stayed in the GPU's \
                 cache from one run to the next"
            ));
        }
    }
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

/// Four significant digits.
fn significant(v: f64) -> f64 {
    if v == 0.0 || !v.is_finite() {
        return v;
    }
    let scale = libm::pow(10.0, 3.0 - libm::floor(libm::log10(v.abs())));
    (v * scale).round() / scale
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
