//! `inferencex`: TTFT and TPOT of a closed loop, a row a point.
//!
//! Source: InferenceX by way of aiconfigurator's silicon_sample.csv (data/calibration, read 2026-11-24).
//! Protocol: `concurrency` requests always in flight, 10 x concurrency prompts after 2 x concurrency warm-ups, prompt
//! and output lengths uniform in [0.8 L, L], EOS ignored, nothing shared, `max_num_seqs` = concurrency, 8,192 batched
//! tokens, memory utilisation 0.9. Scheduling is the default of the row's `backend_version`; a row that does not say it
//! is taken for today's vLLM. What lies before the engine is the catalogue's `[[frontend]]` of this kind.
//! Whether the figures are means or medians, and whether the measured prompts start into an idle engine, is not stated.
//! Measured TTFTs grow almost in proportion to concurrency (Qwen3-32B, 1024/128, 2 GPUs: 154 ms at 8 users, 692 at
//! 128): so do means over prompts that all start at once, while medians, and means behind warm-ups that run on, grow
//! by half as much or less. So the warm-ups end before the prompts start, and means are compared.
use super::super::fit::lags;
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
use baseload_core::numeric::mean;
use baseload_core::random::{self, dist};
use baseload_core::types::{SimTime, TraceFault};
use std::io::BufRead;
use std::sync::Arc;

/// One measured point.
#[derive(Debug, Clone)]
pub struct Point {
    model: String,
    system: String,
    backend: String,
    version: String,
    precision: String,
    tensor_parallel: u32,
    concurrency: u32,
    isl: u32,
    osl: u32,
    /// Measured TTFT.
    pub ttft_s: f64,
    tpot_s: f64,
    /// Hash of the row.
    pub hash: String,
}

impl Point {
    /// The GPU, as the data name it.
    pub fn gpu(&self) -> &str {
        &self.system
    }
    /// Model, GPUs and lengths.
    pub fn group(&self) -> String {
        format!("{} tp{} {}/{}", self.model, self.tensor_parallel, self.isl, self.osl)
    }
}

/// Reads the points; those that do not say their concurrency or parallelism are left out.
///
/// # Errors
/// With file, line and column.
pub fn read(text: impl BufRead, name: &str) -> Result<Vec<Point>, TraceFault> {
    let needed = [
        "concurrency",
        "backend",
        "model_path",
        "system",
        "isl",
        "osl",
        "tp_size",
        "silicon_ttft_ms",
        "silicon_tpot_ms",
    ];
    let table = Table::read(text, name, &needed)?;
    let mut points = Vec::new();
    for row in table.rows() {
        let (ttft, tpot) = (row.maybe("silicon_ttft_ms")?, row.maybe("silicon_tpot_ms")?);
        let (Some(ttft), Some(tpot)) = (ttft, tpot) else { continue };
        if row.text("concurrency").is_empty() || row.text("tp_size").is_empty() {
            continue;
        }
        points.push(Point {
            model: row.text("model_path").into(),
            system: row.text("system").into(),
            backend: row.text("backend").into(),
            version: row.text("backend_version").into(),
            precision: row.text("precision").into(),
            tensor_parallel: row.count("tp_size")?,
            concurrency: row.count("concurrency")?,
            isl: row.count("isl")?,
            osl: row.count("osl")?,
            ttft_s: ttft / 1e3,
            tpot_s: tpot / 1e3,
            hash: hash::of(&row.whole()),
        });
    }
    if points.is_empty() {
        return Err(TraceFault::of(name, "no row has concurrency, tp_size, TTFT and TPOT").hint("at least one must"));
    }
    Ok(points)
}

/// Rows whose TTFT is more than so many times their family's least are KV-saturated.
const SATURATED: f64 = 10.0;
const ANOTHER_ENGINE: &str = "another engine";

fn trial(p: &Point, lags: Lags) -> Trial {
    let users = p.concurrency;
    let draw = |what: &str, i: u64, most: u32| {
        let mut stream = random::stream(1, 0, what, i, 0);
        let low = 0.8 * f64::from(most);
        ((low + dist::uniform01(&mut stream) * (f64::from(most) - low)).round() as u32).max(1)
    };
    let sent = |i: u64| Sent {
        at: SimTime::ZERO,
        prompt: draw("inferencex-prompt", i, p.isl),
        output: draw("inferencex-output", i, p.osl),
        content: None,
    };
    Trial { requests: (0..10 * u64::from(users)).map(sent).collect(), sending: Loop::Closed(users), lags }
}

fn engine(p: &Point) -> MeasuredEngine {
    let engine = MeasuredEngine { version: p.version.clone(), ..MeasuredEngine::default() };
    engine
        .with("max_num_seqs", Some(p.concurrency))
        .with("max_num_batched_tokens", Some(8_192))
        .with("enable_prefix_caching", Some(false))
}

/// Means that are predicted of a point.
#[derive(Debug, Clone)]
pub struct Predicted {
    /// TTFT, frontend included.
    pub ttft_s: f64,
    /// TPOT.
    pub tpot_s: f64,
    /// Tokens of a prompt.
    pub prompt: f64,
    /// Seconds of reading the weights.
    weights_s: f64,
    /// What served it.
    replica: Arc<ReplicaType>,
}

/// Simulates a point behind a frontend.
///
/// # Errors
/// A model, GPU or precision that is not known; the simulation's.
pub fn predict(catalog: &Catalog, p: &Point, lags: Lags, source: &StepTimeSource) -> Result<Predicted, TraceFault> {
    let model = catalog.model(&p.model)?;
    let gpu = machine::gpu(catalog, &p.system)?;
    let weights = machine::checkpoint_dtype(catalog, &p.model, &p.precision)
        .ok_or_else(|| machine::unknown_format("precision", &p.precision))?;
    let replica = MeasuredReplica {
        tensor_parallel: p.tensor_parallel,
        weights: Some(weights),
        utilization: UTILIZATION_UP_TO_2025,
        ..MeasuredReplica::of(&model.id, &gpu.id, engine(p))
    };
    let replica = replica.resolve(catalog, source.clone())?;
    let trial = trial(p, lags);
    let played = play(&trial, &replica)?;
    let kept = || played.timings.iter().zip(&trial.requests);
    let ttft: Vec<f64> = kept().map(|(t, _)| t.ttft_s()).collect();
    let tpot: Vec<f64> =
        kept().filter(|(_, r)| r.output > 1).map(|(t, r)| (t.e2e_s() - t.ttft_s()) / f64::from(r.output - 1)).collect();
    let prompts: Vec<f64> = trial.requests.iter().map(|r| r.prompt.into()).collect();
    let mean = |values: &[f64]| mean(values).unwrap_or(f64::NAN);
    let weights_s = machine::weights_s(model, gpu, p.tensor_parallel, weights);
    Ok(Predicted { ttft_s: mean(&ttft), tpot_s: mean(&tpot), prompt: mean(&prompts), weights_s, replica })
}

/// Why a point is not judged, if so.
pub fn apart(p: &Point, all: &[Point]) -> Option<&'static str> {
    let family = |p: &Point| (p.model.clone(), p.backend.clone(), p.precision.clone(), p.tensor_parallel, p.isl, p.osl);
    let least = all.iter().filter(|q| family(q) == family(p)).map(|q| q.ttft_s).fold(f64::INFINITY, f64::min);
    match p.backend.as_str() {
        "vllm" if p.ttft_s > SATURATED * least => Some("KV-saturated"),
        "vllm" => None,
        _ => Some(ANOTHER_ENGINE),
    }
}

/// Scores the points.
pub fn score(catalog: &Catalog, points: &[Point], source: &StepTimeSource) -> Scores {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    let mut left_out = super::LeftOut::default();
    let frontend = catalog.frontend("inferencex");
    let lags = frontend.map_or_else(Lags::default, |row| lags(&row.frontend()));
    for p in points {
        let apart = apart(p, points);
        if apart == Some(ANOTHER_ENGINE) {
            continue;
        }
        match predict(catalog, p, lags, source) {
            Err(why) => left_out.add(&why),
            Ok(predicted) => {
                super::warn(&mut notes, &predicted.replica);
                rows.push(Scored {
                    group: p.group(),
                    at: [p.concurrency.into(), p.isl.into(), p.osl.into()],
                    weights_s: predicted.weights_s,
                    values: vec![("ttft_s", predicted.ttft_s, p.ttft_s), ("tpot_s", predicted.tpot_s, p.tpot_s)],
                    apart,
                });
            }
        }
    }
    let others = points.iter().filter(|p| p.backend != "vllm").count();
    if others > 0 {
        notes.push(format!("{others} rows of other engines than vLLM are not predicted"));
    }
    notes.extend(frontend.map(super::frontend_note));
    notes.splice(0..0, left_out.notes());
    scores("inferencex", &rows, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "concurrency,backend,model_path,system,precision,isl,osl,tp_size,silicon_ttft_ms,silicon_tpot_ms\n\
        2,vllm,Qwen/Qwen3-32B,h100_sxm,,64,16,2.0,100,20\n4,vllm,Qwen/Qwen3-32B,h100_sxm,,64,16,2.0,2000,25\n\
        4,sglang,Qwen/Qwen3-32B,h100_sxm,,64,16,2.0,100,25\n4,vllm,no/such,h100_sxm,,64,16,2.0,100,25\n,vllm,a,b,,1,1,,1,1\n";

    #[test]
    fn saturated_rows_stand_apart_and_unknown_models_are_named() {
        let points = read(ROWS.as_bytes(), "i").unwrap();
        assert_eq!(points.len(), 4);
        let s = score(Catalog::embedded(), &points, &StepTimeSource::Analytic);
        assert_eq!((s.groups[0].n, s.apart[0].1), (1, "KV-saturated"));
        assert!(s.groups[0].pairs.iter().all(|p| p.predicted > 0.0), "{s:?}");
        assert!(s.notes.iter().any(|n| n.contains("unknown model `no/such`")), "{:?}", s.notes);
        assert!(s.notes.iter().any(|n| n.starts_with("1 rows of other engines")), "{:?}", s.notes);
        let e = read(ROWS.replace(",100,20", ",-1,20").as_bytes(), "i").unwrap_err().to_string();
        assert!(e.starts_with("i:2: silicon_ttft_ms is `-1`"), "{e}");
    }

    #[test]
    fn lengths_are_drawn_between_four_fifths_and_all() {
        let points = read(ROWS.as_bytes(), "i").unwrap();
        let t = trial(&points[0], Lags::default());
        assert_eq!((t.requests.len(), t.sending), (20, Loop::Closed(2)));
        assert_eq!(engine(&points[0]).settings["max_num_seqs"].as_integer(), Some(2));
        assert!(t.requests.iter().all(|r| (51..=64).contains(&r.prompt) && (13..=16).contains(&r.output)));
    }
}
