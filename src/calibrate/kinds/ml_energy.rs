//! `ml-energy`: median inter-token latency at an average batch size, a row a point.
//!
//! Source: ml-energy/leaderboard, vLLM 0.11 (data/calibration/ml_energy_llm.csv, read 2026-11-24). The rows do not say
//! prompt lengths, 128 tokens are assumed, nor how answers vary about the row's average: as in the Azure conversation
//! trace of 2023 (standard deviation over mean 0.77) is assumed, by a gamma distribution.
//! Protocol: a closed loop of the row's average batch size, synchronous (0.11's default). The average is within 1 % of
//! the cap in most rows, so what was measured is the steady state: gaps of the first fifth of all tokens, when all
//! answers are young, and of the last, when the loop drains, do not count.
use super::super::hash;
use super::super::machine;
use super::super::replica::MeasuredReplica;
use super::super::score::Scores;
use super::super::table::Table;
use super::super::trial::{Lags, Loop, Sent, Trial, play};
use super::rows::{Scored, scores};
use baseload_core::catalog::{Catalog, MeasuredEngine};
use baseload_core::fleet::{ReplicaType, StepTimeSource};
use baseload_core::memory::UTILIZATION_UP_TO_2025;
use baseload_core::numeric::counted_quantile;
use baseload_core::random::{self, dist};
use baseload_core::types::{GapRun, SimTime, TraceFault};
use std::io::BufRead;
use std::sync::Arc;

/// One measured point.
#[derive(Debug, Clone)]
pub struct Point {
    model: String,
    gpu: String,
    precision: String,
    gpus: u32,
    expert_parallel: bool,
    batch: u32,
    output: u32,
    max_num_seqs: u32,
    itl_p50_s: f64,
    /// Hash of the row.
    pub hash: String,
}

/// Prompt tokens, assumed.
const PROMPT: u32 = 128;
/// Shape of the distribution of answers: 1 / 0.77^2.
const ANSWER_SHAPE: f64 = 1.7;
/// Requests for each place of the batch: enough that the steady state is most of it.
const ROUNDS: u64 = 8;

impl Point {
    /// The GPU, as the data name it.
    pub fn gpu(&self) -> &str {
        &self.gpu
    }
}

/// Reads the points.
///
/// # Errors
/// With file, line and column.
pub fn read(text: impl BufRead, name: &str) -> Result<Vec<Point>, TraceFault> {
    let needed =
        ["model", "precision", "gpu", "num_gpus", "max_num_seqs", "avg_batch_size", "avg_output_len", "itl_p50_ms"];
    let table = Table::read(text, name, &needed)?;
    let point = |row: super::super::table::Row<'_>| {
        Ok(Point {
            model: row.text("model").into(),
            gpu: row.text("gpu").into(),
            precision: row.text("precision").into(),
            gpus: row.count("num_gpus")?,
            expert_parallel: row.maybe("ep")?.is_some_and(|n| n > 1.0),
            batch: (row.positive("avg_batch_size")?.round() as u32).max(1),
            output: (row.positive("avg_output_len")?.round() as u32).max(2),
            max_num_seqs: row.count("max_num_seqs")?,
            itl_p50_s: row.positive("itl_p50_ms")? / 1e3,
            hash: hash::of(&row.whole()),
        })
    };
    table.rows().map(point).collect()
}

/// The runs of gaps that the middle three fifths of all tokens came in; they are in the order of time.
fn steady(gaps: &[GapRun]) -> &[GapRun] {
    let tokens = |g: &GapRun| u64::from(g.steps) * u64::from(g.tokens);
    let all: u64 = gaps.iter().map(tokens).sum();
    let (mut seen, mut from, mut to) = (0, 0, 0);
    for (i, g) in gaps.iter().enumerate() {
        seen += tokens(g);
        from = if seen * 5 <= all { i + 1 } else { from };
        to = if seen * 5 <= all * 4 { i + 1 } else { to };
    }
    &gaps[from..to.max(from)]
}

/// Median over gaps, each run of gaps taken at its middle.
fn median_gap(gaps: &[GapRun]) -> f64 {
    let middle = |g: &GapRun| g.first_fs + u128::from(g.more_fs) * u128::from(g.steps / 2);
    let by_tokens = gaps.iter().map(|g| (middle(g), u64::from(g.steps) * u64::from(g.tokens)));
    counted_quantile(by_tokens, 500_000).map_or(f64::NAN, |fs| fs as f64 / 1e15)
}

fn predict(catalog: &Catalog, p: &Point, source: &StepTimeSource) -> Result<(f64, f64, Arc<ReplicaType>), TraceFault> {
    let model = catalog.model(&p.model)?;
    let gpu = machine::gpu(catalog, &p.gpu)?;
    let weights = machine::checkpoint_dtype(catalog, &p.model, &p.precision)
        .ok_or_else(|| machine::unknown_format("precision", &p.precision))?;
    let engine = MeasuredEngine::default();
    let replica = MeasuredReplica {
        tensor_parallel: p.gpus,
        expert_parallel: p.expert_parallel,
        weights: Some(weights),
        utilization: UTILIZATION_UP_TO_2025,
        ..MeasuredReplica::of(
            &model.id,
            &gpu.id,
            engine.with("max_num_seqs", Some(p.max_num_seqs)).with("async_scheduling", Some(false)),
        )
    };
    let replica = replica.resolve(catalog, source.clone())?;
    // No answer is longer than the engine takes.
    let most = replica.kv.max_model_len.saturating_sub(PROMPT).max(2);
    let sent = |i: u64| {
        let mut stream = random::stream(1, 0, "ml-energy-output", i, 0);
        let output = dist::gamma(&mut stream, ANSWER_SHAPE, f64::from(p.output) / ANSWER_SHAPE).round() as u32;
        Sent { at: SimTime::ZERO, prompt: PROMPT, output: output.clamp(2, most), content: None }
    };
    let requests = (0..ROUNDS * u64::from(p.batch).max(2)).map(sent).collect();
    let trial = Trial { requests, sending: Loop::Closed(p.batch), lags: Lags::default() };
    let played = play(&trial, &replica)?;
    Ok((median_gap(steady(&played.gaps)), machine::weights_s(model, gpu, p.gpus, weights), replica))
}

/// Scores the points.
pub fn score(catalog: &Catalog, points: &[Point], source: &StepTimeSource) -> Scores {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    let mut left_out = super::LeftOut::default();
    for p in points {
        match predict(catalog, p, source) {
            Err(why) => left_out.add(&why),
            Ok((itl, weights_s, replica)) => {
                super::warn(&mut notes, &replica);
                rows.push(Scored {
                    group: format!("{} x{} {}", p.model, p.gpus, p.precision),
                    at: [p.batch.into(), 1.0, p.output.into()],
                    weights_s,
                    values: vec![("itl_p50_s", itl, p.itl_p50_s)],
                    apart: None,
                });
            }
        }
    }
    notes.splice(0..0, left_out.notes());
    scores("ml-energy", &rows, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_and_predicted() {
        let rows = "model,task,precision,gpu,num_gpus,tp,ep,dp,max_num_seqs,avg_batch_size,avg_output_len,itl_p50_ms\n\
            Qwen/Qwen3-8B,lm-arena-chat,bfloat16,H100,1,1,1,1,8,7.9,40.2,8.5\n";
        let points = read(rows.as_bytes(), "m").unwrap();
        assert_eq!((points[0].batch, points[0].output), (8, 40));
        let s = score(Catalog::embedded(), &points, &StepTimeSource::Analytic);
        assert!(s.groups[0].pairs[0].predicted > 0.004 && s.groups[0].pairs[0].predicted < 0.02, "{s:?}");
        let e = read(rows.replace("8.5\n", "x\n").as_bytes(), "m").unwrap_err().to_string();
        assert_eq!(e, "m:2: itl_p50_ms is `x`; it must be a number above 0");
    }

    #[test]
    fn young_answers_and_the_drain_do_not_count() {
        let gap = |ms: u128, steps| GapRun { first_fs: ms * 1_000_000_000_000, more_fs: 0, steps, tokens: 2 };
        let gaps = [gap(1, 5), gap(2, 5), gap(3, 20), gap(4, 10), gap(5, 10)];
        let kept: Vec<u128> = steady(&gaps).iter().map(|g| g.first_fs / 1_000_000_000_000).collect();
        assert_eq!(kept, [3, 4]);
    }

    #[test]
    fn the_median_gap_is_weighted_by_tokens() {
        let gap = |ms: u128, steps, tokens| GapRun { first_fs: ms * 1_000_000_000_000, more_fs: 0, steps, tokens };
        assert_eq!(median_gap(&[gap(30, 1, 4), gap(10, 3, 2), gap(20, 5, 1)]), 0.02);
    }
}
