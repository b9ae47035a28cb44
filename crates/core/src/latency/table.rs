//! Step times from measured kernels: for a GPU that a user has profiled, in the shapes of a model's own layers.
//!
//! Imports `catalog`, `types`. Must keep true: `batch` equals the law on pure decode; nothing shrinks with more tokens,
//! rows or context; a shape that the tables do not have is an error that names what they have.
//!
//! Products are interpolated in the logarithms of outputs and inputs and straight in tokens; wider outputs than the
//! table has are cut (an output head is two or three products). Decode attention is straight in rows and in context,
//! which makes a law of one piece for each two neighbouring contexts of the table. A prompt chunk of t tokens on top of c
//! costs what a prompt of c + t costs more than one of c. Beyond the last point the last slope goes on. What kernel
//! tables do not have is the analytic model's: element-wise kernels, the rest of a layer, drawing tokens, the host.
use super::analytic::Analytic;
use super::between::{Line, Products, missing};
use super::rows::{AttentionRow, KernelTables};
use super::{AnalyticOptions, LatencyError};
use crate::catalog::{Catalog, Gpu, Model};
use crate::types::{BatchShape, DecodeLaw, Femtos, PrefillChunk, StepFloor, StepTime};
use std::collections::BTreeMap;

/// Numbers of tokens and rows that are computed at construction.
const CACHED: u64 = 1_024;
/// Above that, every so many tokens.
const STRIDE: u64 = 64;
/// The end of that.
const TABLE_END: u64 = 65_536;

/// Decode attention of one layer by rows and mean context.
struct Attention(Vec<(f64, Line)>);

impl Attention {
    fn new(rows: &[AttentionRow]) -> Attention {
        let mut points: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
        for r in rows {
            points.entry(r.batch).or_default().push((r.tokens.into(), r.seconds));
        }
        let mut lines: Vec<(f64, Line)> = Vec::new();
        for (batch, points) in points {
            let line = Line::rising(points);
            let line = match lines.last() {
                Some((_, fewer)) => Line::rising(line.0.iter().map(|&(c, s)| (c, s.max(fewer.at(c))))),
                None => line,
            };
            lines.push((batch.into(), line));
        }
        Attention(lines)
    }

    /// Seconds by mean context for `rows` rows.
    fn line(&self, rows: f64) -> Line {
        let lines = &self.0;
        let above = lines.partition_point(|(b, _)| *b < rows);
        let (a, b) = match above {
            0 => (&lines[0], &lines[0]),
            i if i < lines.len() => (&lines[i - 1], &lines[i]),
            i if i >= 2 => (&lines[i - 2], &lines[i - 1]),
            _ => (&lines[0], &lines[0]),
        };
        let x = if a.0 == b.0 { 0.0 } else { (rows - a.0) / (b.0 - a.0) };
        let mut contexts: Vec<f64> = a.1.0.iter().chain(&b.1.0).map(|p| p.0).collect();
        contexts.sort_by(f64::total_cmp);
        contexts.dedup();
        Line::rising(contexts.into_iter().map(|c| (c, a.1.at(c) + (b.1.at(c) - a.1.at(c)).max(0.0) * x)))
    }
}

/// Step times of one replica, interpolated in measured kernels.
#[derive(Debug, Clone)]
pub struct Table {
    /// The host, the padding, and what the tables do not have.
    base: Analytic,
    layers: Vec<u64>,
    wide: Vec<u64>,
    head: Vec<u64>,
    /// Seconds a token of a whole prompt by its length: one layer.
    prompt: Line,
    attention_layers: f64,
    /// GPU path of decode attention, then the laws, by rows.
    attention: Vec<Vec<DecodeLaw>>,
    decode: Vec<Vec<DecodeLaw>>,
}

impl Table {
    /// Step times of `model` on `tensor_parallel` of `gpu` from tables of its kernels; attention's are of the cache's
    /// number format.
    ///
    /// # Errors
    /// What [`Analytic::new`] refuses, a model with windows, latents or linear attention, and shapes that the tables lack.
    pub fn new(
        catalog: &Catalog,
        model: &Model,
        gpu: &Gpu,
        tensor_parallel: u32,
        tables: &KernelTables,
        options: &AnalyticOptions,
    ) -> Result<Table, LatencyError> {
        let base = Analytic::new(catalog, model, gpu, tensor_parallel, options)?;
        if model.is_mla() || model.window > 0 || model.full_attention_layers != model.layers {
            return Err(missing(format!("{}: the table model knows full attention of key/value heads only", model.id)));
        }
        if options.expert_parallel && model.moe_layers > 0 {
            return Err(missing(format!("{}: the table model knows experts that are cut, not spread whole", model.id)));
        }
        let products = Products::new(&tables.products)?;
        let bf16 = match tables.bf16_products.as_slice() {
            [] => None,
            rows => Some(Products::new(rows)?),
        };
        let bf16 = bf16.as_ref().unwrap_or(&products);
        let mut parts: Vec<(f64, Line)> = Vec::new();
        for p in base.products() {
            parts.push((p.layers, products.line(p.n, p.k)?));
        }
        let moe = f64::from(model.moe_layers);
        if model.moe_layers > 0 {
            parts.push((moe, bf16.line(model.experts.into(), model.hidden.into())?));
            parts.push((moe, experts(tables, model, tensor_parallel)?));
        }
        let head = bf16.line(libm::ceil(f64::from(model.vocab) / f64::from(tensor_parallel)), model.hidden.into())?;
        let reduce = if tensor_parallel > 1 { Some(all_reduce(tables, tensor_parallel)?) } else { None };
        let layers_s = |n: f64| {
            let reduces = reduce.as_ref().map_or(0.0, |l| base.all_reduces() * l.at(n * base.token_bytes()));
            parts.iter().map(|(layers, line)| layers * line.at(n)).sum::<f64>() + reduces + base.beside_products_s(n)
        };
        let padded = |n: u64| base.graphs().padded(n).map_or(n as f64, f64::from);
        let mut this = Table {
            layers: (0..=CACHED).map(|n| if n == 0 { 0 } else { to_fs(layers_s(padded(n))) }).collect(),
            wide: (0..=TABLE_END / STRIDE + 1).map(|i| to_fs(layers_s((i * STRIDE) as f64))).collect(),
            head: (0..=CACHED)
                .map(|r| if r == 0 { 0 } else { to_fs(head.at(r as f64) + base.draw_s(r as f64)) })
                .collect(),
            prompt: prompt(&shaped(&tables.prefill, model, tensor_parallel, "prefill attention")?),
            attention_layers: f64::from(model.layers),
            attention: Vec::new(),
            decode: Vec::new(),
            base,
        };
        let attention = Attention::new(&shaped(&tables.decode, model, tensor_parallel, "decode attention")?);
        for rows in 0..=CACHED {
            let pieces = this.attention_laws(&attention, rows);
            this.decode.push(this.laws(rows, &pieces));
            this.attention.push(pieces);
        }
        Ok(this)
    }

    /// Decode attention of all layers as laws, one for each two neighbouring contexts, joined without a step.
    fn attention_laws(&self, attention: &Attention, rows: u64) -> Vec<DecodeLaw> {
        if rows == 0 {
            return vec![DecodeLaw { base_fs: 0, per_ctx_fs: 0, until_ctx_sum: u64::MAX }];
        }
        let line = attention.line(rows as f64);
        let seconds = |context: f64| self.attention_layers * line.at(context);
        let mut laws: Vec<DecodeLaw> = Vec::new();
        let (mut start, mut at_start) = (0u64, to_fs(seconds(0.0)));
        let contexts: Vec<u64> = line.0.iter().map(|p| p.0 as u64).filter(|c| *c > 0).collect();
        for (i, context) in contexts.iter().enumerate() {
            let end = context * rows;
            let rise = to_fs(seconds(*context as f64)).saturating_sub(at_start);
            // No steeper than from nothing at no context, so that the fixed part is not below 0.
            let per_ctx_fs = (rise / (end - start)).min(at_start.checked_div(start).unwrap_or(u64::MAX));
            let base_fs = at_start - per_ctx_fs * start;
            let last = i + 1 == contexts.len();
            laws.push(DecodeLaw { base_fs, per_ctx_fs, until_ctx_sum: if last { u64::MAX } else { end } });
            (start, at_start) = (end, base_fs + per_ctx_fs * end);
        }
        if laws.is_empty() {
            laws.push(DecodeLaw { base_fs: at_start, per_ctx_fs: 0, until_ctx_sum: u64::MAX });
        }
        laws
    }

    /// Pure decode: the GPU path's pieces under what the host needs at least.
    fn laws(&self, rows: u64, attention: &[DecodeLaw]) -> Vec<DecodeLaw> {
        let (around, least) = self.base.host_fs(rows, rows, false);
        let gpu = self.layers_fs(rows) + self.head_fs(rows);
        let mut laws = Vec::new();
        let mut reigns = true;
        for piece in attention {
            let at = |ctx: u64| gpu + piece.base_fs + piece.per_ctx_fs.saturating_mul(ctx);
            let from = match least.saturating_sub(gpu + piece.base_fs) {
                0 => 0,
                _ if piece.per_ctx_fs == 0 => u64::MAX,
                short => short.div_ceil(piece.per_ctx_fs),
            };
            if reigns && from > 0 {
                let until_ctx_sum = from.min(piece.until_ctx_sum);
                laws.push(DecodeLaw { base_fs: around + least, per_ctx_fs: 0, until_ctx_sum });
            }
            if from < piece.until_ctx_sum {
                reigns = false;
                debug_assert!(at(from) >= least);
                laws.push(DecodeLaw { base_fs: around + gpu + piece.base_fs, ..*piece });
            }
        }
        laws
    }

    fn layers_fs(&self, tokens: u64) -> u64 {
        if let Some(&known) = self.layers.get(tokens as usize) {
            return known;
        }
        let below = (tokens / STRIDE).min(TABLE_END / STRIDE);
        let (low, high) = (self.wide[below as usize], self.wide[below as usize + 1]);
        low + high.saturating_sub(low) * (tokens - below * STRIDE) / STRIDE
    }

    fn head_fs(&self, rows: u64) -> u64 {
        match self.head.get(rows as usize) {
            Some(&known) => known,
            None => {
                let last = CACHED as usize;
                self.head[last] + (self.head[last] - self.head[last - 1]) * (rows - CACHED)
            }
        }
    }

    fn prefill_fs(&self, chunk: &PrefillChunk) -> u64 {
        let whole = |tokens: f64| tokens * self.prompt.at(tokens);
        let (context, tokens) = (f64::from(chunk.context), f64::from(chunk.tokens));
        let seconds = if chunk.context == 0 { 0.0 } else { whole(context + tokens) - whole(context) };
        to_fs(self.attention_layers * seconds.max(whole(tokens)))
    }
}

/// The law of `laws` that holds at `ctx_sum`.
fn pick(laws: &[DecodeLaw], ctx_sum: u64) -> DecodeLaw {
    laws[laws.partition_point(|p| p.until_ctx_sum <= ctx_sum).min(laws.len() - 1)]
}

/// Whole prompts: seconds a token by length, from one sequence at a time; never less in all for a longer prompt.
fn prompt(rows: &[AttentionRow]) -> Line {
    let whole = Line::rising(rows.iter().filter(|r| r.batch == 1).map(|r| (r.tokens.into(), r.seconds)));
    Line(whole.0.into_iter().map(|(l, s)| (l, s / l)).collect())
}

/// The rows of this model's heads on one GPU.
fn shaped(rows: &[AttentionRow], m: &Model, tp: u32, what: &str) -> Result<Vec<AttentionRow>, LatencyError> {
    let (heads, kv_heads) = (m.heads / tp, (m.kv_heads / tp).max(1));
    let fits = |r: &&AttentionRow| r.heads == heads && r.kv_heads == kv_heads && r.head_dim == m.head_dim;
    let found: Vec<AttentionRow> = rows.iter().filter(fits).copied().collect();
    if found.iter().any(|r| r.batch == 1) {
        return Ok(found);
    }
    let range = |of: fn(&AttentionRow) -> u32| {
        let (least, most) = (rows.iter().map(of).min().unwrap_or(0), rows.iter().map(of).max().unwrap_or(0));
        format!("{least} to {most}")
    };
    let (h, kv, d) = (range(|r| r.heads), range(|r| r.kv_heads), range(|r| r.head_dim));
    let near = rows.iter().filter(|r| r.kv_heads == kv_heads && r.head_dim == m.head_dim && r.batch == 1);
    let mut near: Vec<u32> = near.map(|r| r.heads).collect();
    near.sort_unstable();
    near.dedup();
    let near: Vec<String> = near.iter().map(u32::to_string).collect();
    let near = if near.is_empty() { String::new() } else { format!("; with these KV heads {} heads", near.join(", ")) };
    Err(missing(format!(
        "{what}: no rows of one sequence with {heads} heads, {kv_heads} KV heads of width {}; the table has {h} heads, \
         {kv} KV heads, widths {d}{near}",
        m.head_dim
    )))
}

fn experts(tables: &KernelTables, m: &Model, tp: u32) -> Result<Line, LatencyError> {
    let fits = |r: &&super::ExpertRow| {
        r.hidden == m.hidden
            && r.inner == m.moe_ffn
            && r.top_k == m.experts_per_token
            && r.experts == m.experts
            && r.tensor_parallel == tp
    };
    let points: Vec<(f64, f64)> = tables.experts.iter().filter(fits).map(|r| (r.tokens.into(), r.seconds)).collect();
    if points.is_empty() {
        let (e, k, h, i) = (m.experts, m.experts_per_token, m.hidden, m.moe_ffn);
        return Err(missing(format!("experts: the table lacks {k} of {e} experts of {h} x {i} cut in {tp}")));
    }
    Ok(Line::rising(points))
}

fn all_reduce(tables: &KernelTables, tp: u32) -> Result<Line, LatencyError> {
    let points: Vec<(f64, f64)> =
        tables.all_reduce.iter().filter(|r| r.gpus == tp).map(|r| (r.bytes, r.seconds)).collect();
    if points.is_empty() {
        return Err(missing(format!("all_reduce: the table lacks {tp} GPUs")));
    }
    Ok(Line::rising(points))
}

impl StepTime for Table {
    fn batch(&self, shape: &BatchShape<'_>) -> Femtos {
        let (rows, ctx_sum) = (shape.decode_rows, shape.decode_ctx_sum);
        let context = |law: DecodeLaw| u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(ctx_sum);
        if shape.prefill.is_empty() {
            return Femtos(context(self.decode(rows, ctx_sum)));
        }
        let cached = rows.min(CACHED as u32);
        let mut attention = context(pick(&self.attention[cached as usize], ctx_sum));
        let sequences = u64::from(rows) + shape.prefill.len() as u64;
        let mut tokens = u64::from(rows);
        for chunk in shape.prefill {
            tokens += u64::from(chunk.tokens);
            attention += u128::from(self.prefill_fs(chunk));
        }
        let gpu = u128::from(self.layers_fs(tokens) + self.head_fs(sequences)) + attention;
        let (around, least) = self.base.host_fs(sequences, tokens, true);
        Femtos(u128::from(around) + gpu.max(least.into()))
    }

    fn decode(&self, rows: u32, ctx_sum: u64) -> DecodeLaw {
        match self.decode.get(rows as usize) {
            Some(laws) => pick(laws, ctx_sum),
            // More rows than any engine runs by default: the attention of the last, priced by its sum of contexts.
            None => pick(&self.laws(rows.into(), &self.attention[CACHED as usize]), ctx_sum),
        }
    }

    /// A row's share of the head and of decode attention without context, in the batch that shares them best; attention
    /// over contexts and prompts, which tables may have flat, counts nothing.
    fn floor(&self, most_rows: u32) -> StepFloor {
        let share = |rows: u64| (self.head_fs(rows) + self.attention[rows.min(CACHED) as usize][0].base_fs) / rows;
        let per_row_fs = (1..=u64::from(most_rows.max(1))).map(share).min().unwrap_or(0);
        StepFloor { per_row_fs, ..StepFloor::default() }
    }

    fn floor_of_tokens(&self, tokens: u64) -> u64 {
        self.layers_fs(tokens)
    }
}

fn to_fs(seconds: f64) -> u64 {
    (seconds * 1e15).round() as u64
}

#[cfg(test)]
mod tests {
    use super::super::Curves;
    use super::super::made_tables::made;
    use super::*;
    use crate::catalog::Catalog;
    use crate::memory::WeightsDtype;

    fn new(model: &str, tp: u32, tables: &KernelTables) -> Result<Table, LatencyError> {
        let c = Catalog::embedded();
        Table::new(c, c.model(model).unwrap(), c.gpu("h100-sxm").unwrap(), tp, tables, &AnalyticOptions::default())
    }

    fn decode_fs(t: &Table, rows: u32, ctx: u64) -> u128 {
        t.batch(&BatchShape { prefill: &[], decode_rows: rows, decode_ctx_sum: ctx }).0
    }

    #[test]
    fn laws_equal_batch_join_and_grow() {
        for (model, tp) in [("llama-3.1-8b", 1), ("qwen3-30b-a3b", 4), ("llama-3.1-70b", 8)] {
            let t = new(model, tp, &made(false)).unwrap();
            for rows in [0, 1, 2, 3, 7, 100, 500, 1_024, 1_500] {
                let mut places = vec![0, 1, 1_000, 123_456, 50_000_000];
                let mut at = 0;
                while at != u64::MAX {
                    let law = t.decode(rows, at);
                    assert!(law.until_ctx_sum > at, "{model} {rows} {at} {law:?}");
                    at = law.until_ctx_sum;
                    if at != u64::MAX {
                        assert_eq!(t.decode(rows, at - 1), law);
                        places.extend([at - 1, at, at + 1]);
                    }
                }
                places.sort_unstable();
                let mut last = 0;
                for ctx in places {
                    let law = t.decode(rows, ctx);
                    let by_law = u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(ctx);
                    assert_eq!(by_law, decode_fs(&t, rows, ctx), "law-equals-batch: {model} {rows} {ctx}");
                    assert!(by_law >= last, "{model} {rows} {ctx}: {by_law} after {last}");
                    last = by_law;
                }
                for mean in [0, 1, 100, 1_023, 5_000, 30_000] {
                    let [few, more] = [rows, rows + 1].map(|n| decode_fs(&t, n, mean * u64::from(n)) as f64);
                    assert!(more >= few * (1.0 - 1e-6), "{model}: {rows} rows and one more, {mean}: {few} {more}");
                }
            }
        }
    }

    /// Tables made by the formulas give the analytic model's steps again.
    #[test]
    fn tables_of_known_curves_give_the_analytic_steps() {
        let c = Catalog::embedded();
        let (m, g) = (c.model("llama-3.1-8b").unwrap(), c.gpu("h100-sxm").unwrap());
        let mut curves = Curves::of(c, g, WeightsDtype::Bf16).unwrap();
        for product in [&mut curves.bf16, &mut curves.linear] {
            (product.compute_share, product.memory_share, product.launch_s) = (0.75, 0.85, 4e-6);
        }
        (curves.attention_compute_share, curves.attention_row_tokens) = (0.65, 400.0);
        curves.attention_launch_s = 12e-6;
        let options = AnalyticOptions { curves: Some(curves), ..AnalyticOptions::default() };
        let known = Analytic::new(c, m, g, 1, &options).unwrap();
        let table = Table::new(c, m, g, 1, &made(false), &options).unwrap();
        for (chunk, rows, ctx) in [
            (None, 1, 1_000),
            (None, 64, 64_000),
            (None, 300, 300_000),
            (Some((0, 2_048)), 0, 0),
            (Some((2_048, 4_096)), 32, 32_000),
        ] {
            let prefill: Vec<_> = chunk.into_iter().map(|(context, tokens)| PrefillChunk { context, tokens }).collect();
            let shape = BatchShape { prefill: &prefill, decode_rows: rows, decode_ctx_sum: ctx };
            let (ours, theirs) = (table.batch(&shape).as_secs_f64(), known.batch(&shape).as_secs_f64());
            assert!((ours / theirs - 1.0).abs() < 0.08, "{chunk:?} {rows} {ctx}: {ours} s, analytic {theirs} s");
        }
    }

    #[test]
    fn what_the_tables_lack_is_named() {
        let full = made(false);
        let refused = |model: &str, tp: u32, t: &KernelTables| new(model, tp, t).unwrap_err().to_string();
        let text = refused("gpt-oss-120b", 2, &full);
        assert_eq!(text, "gpt-oss-120b: the table model knows full attention of key/value heads only");
        let text = refused("qwen2.5-7b", 1, &full);
        assert!(
            text.contains("no rows of one sequence with 28 heads, 4 KV heads of width 128; the table has 4 to 64"),
            "{text}"
        );
        assert!(text.ends_with("widths 128 to 128; with these KV heads 16 heads"), "{text}");
        let mut narrow = full.clone();
        narrow.products.retain(|r| r.k >= 4_096);
        let text = refused("llama-3.1-8b", 4, &narrow);
        assert_eq!(text, "products: a layer has 1024 inputs, and the table has 4096 to 65536");
        let mut none = full.clone();
        none.all_reduce.retain(|r| r.gpus == 8);
        assert_eq!(refused("llama-3.1-8b", 4, &none), "all_reduce: the table lacks 4 GPUs");
        none.experts.clear();
        let text = refused("qwen3-30b-a3b", 4, &none);
        assert_eq!(text, "experts: the table lacks 8 of 128 experts of 2048 x 768 cut in 4");
        assert_eq!(refused("llama-3.1-8b", 1, &KernelTables::default()), "products: the table is empty");
    }
}
