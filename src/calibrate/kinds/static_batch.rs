//! `static-batch`: a batch of equal prompts at once, and how long it took. Two published forms, told by their header.
//!
//! Sources: argonne-lcf/LLM-Inference-Bench (`Latency`, seconds for a batch with equal input and output length) and
//! Mutinifni/splitwise-sim (`prompt_time`, `token_time`, `e2e_time`, ms); both in data/calibration, read 2026-11-24.
//! Rows that took less time than reading the weights for each token takes are printed apart: some of Argonne's did not
//! generate what they say.
//! Protocol: all requests of the batch at time 0, on an engine wide enough to take them at once (it did), synchronous,
//! BF16. Argonne's A100 is the 40 GB card of its Polaris nodes (assumption: the file does not say). Splitwise measured in
//! 2023, before vLLM captured CUDA graphs (0.2.7, January 2024).
use super::super::hash;
use super::super::machine;
use super::super::replica::MeasuredReplica;
use super::super::score::Scores;
use super::super::table::{Row, Table};
use super::super::trial::{Lags, Loop, Sent, Trial, play};
use super::rows::{Scored, scores};
use baseload_core::catalog::{Catalog, DataSetRow, MeasuredEngine};
use baseload_core::fleet::StepTimeSource;
use baseload_core::memory::{BLOCK_SIZE, WeightsDtype};
use baseload_core::numeric::mean;
use baseload_core::types::{SimTime, TraceFault};
use std::io::BufRead;

/// One measured batch.
#[derive(Debug, Clone)]
pub struct MeasuredBatch {
    group: String,
    model: String,
    hardware: String,
    tensor_parallel: u32,
    rows: u32,
    prompt: u32,
    output: u32,
    ttft_s: Option<f64>,
    tpot_s: Option<f64>,
    e2e_s: f64,
    /// Whether its engine captured CUDA graphs.
    graphs: bool,
    /// Hash of the row.
    pub hash: String,
}

impl MeasuredBatch {
    /// The GPU, as the data name it.
    pub fn gpu(&self) -> &str {
        &self.hardware
    }
}

/// Reads either form.
///
/// # Errors
/// With file, line and column.
pub fn read(catalog: &Catalog, mut text: impl BufRead, name: &str) -> Result<Vec<MeasuredBatch>, TraceFault> {
    let head = text.fill_buf().map_err(|e| TraceFault::unreadable(e).in_file(name))?;
    let first = String::from_utf8_lossy(head.split(|b| *b == b'\n').next().unwrap_or(&[])).into_owned();
    if first.contains("Hardware") {
        let needed =
            ["Hardware", "Num of Hardware", "Framework", "Model", "Input Output Length", "Batch Size", "Latency"];
        Table::read(text, name, &needed)?.rows().map(|r| argonne(&r, catalog.data_set("static-batch"))).collect()
    } else {
        let needed = [
            "model",
            "hardware",
            "tensor_parallel",
            "prompt_size",
            "batch_size",
            "token_size",
            "prompt_time",
            "token_time",
            "e2e_time",
        ];
        Table::read(text, name, &needed)?.rows().map(|r| splitwise(&r)).collect()
    }
}

fn argonne(r: &Row<'_>, set: Option<&DataSetRow>) -> Result<MeasuredBatch, TraceFault> {
    let (model, hardware, gpus) = (r.text("Model"), r.text("Hardware"), r.count("Num of Hardware")?);
    let length = r.count("Input Output Length")?;
    let card = set.map_or(hardware, |d| d.gpu_of(hardware));
    Ok(MeasuredBatch {
        group: format!("{hardware} x{gpus} {} {model}", r.text("Framework")),
        model: model.into(),
        hardware: card.into(),
        tensor_parallel: gpus,
        rows: r.count("Batch Size")?,
        prompt: length,
        output: length,
        ttft_s: None,
        tpot_s: None,
        e2e_s: r.positive("Latency")?,
        graphs: true,
        hash: hash::of(&r.whole()),
    })
}

fn splitwise(r: &Row<'_>) -> Result<MeasuredBatch, TraceFault> {
    let (model, hardware, gpus) = (r.text("model"), r.text("hardware"), r.count("tensor_parallel")?);
    Ok(MeasuredBatch {
        group: format!("{hardware} x{gpus} {model}"),
        model: model.into(),
        hardware: hardware.into(),
        tensor_parallel: gpus,
        rows: r.count("batch_size")?,
        prompt: r.count("prompt_size")?,
        output: r.count("token_size")?,
        ttft_s: Some(r.positive("prompt_time")? / 1e3),
        tpot_s: Some(r.positive("token_time")? / 1e3),
        e2e_s: r.positive("e2e_time")? / 1e3,
        graphs: false,
        hash: hash::of(&r.whole()),
    })
}

fn predict(catalog: &Catalog, b: &MeasuredBatch, source: &StepTimeSource) -> Result<(f64, f64, f64, f64), TraceFault> {
    let model = catalog.model(&b.model)?;
    let gpu = machine::gpu(catalog, &b.hardware)?;
    let longest = b.prompt + b.output;
    let engine = MeasuredEngine {
        num_gpu_blocks: Some(b.rows.saturating_mul(longest.div_ceil(BLOCK_SIZE) + 1) + 1),
        max_model_len: Some(longest),
        ..MeasuredEngine::default()
    };
    let engine = engine
        .with("max_num_seqs", Some(b.rows.max(256)))
        .with("max_num_batched_tokens", Some(b.rows.saturating_mul(b.prompt).max(2_048)))
        .with("enable_prefix_caching", Some(false))
        .with("async_scheduling", Some(false))
        .with("enforce_eager", Some(!b.graphs));
    let replica = MeasuredReplica {
        tensor_parallel: b.tensor_parallel,
        weights: Some(WeightsDtype::Bf16),
        ..MeasuredReplica::of(&model.id, &gpu.id, engine)
    };
    let sent = Sent { at: SimTime::ZERO, prompt: b.prompt, output: b.output, content: None };
    let trial = Trial { requests: vec![sent; b.rows as usize], sending: Loop::Open, lags: Lags::default() };
    let played = play(&trial, &replica.resolve(catalog, source.clone())?)?;
    let ttft: Vec<f64> = played.timings.iter().map(|t| t.ttft_s()).collect();
    let e2e = played.timings.iter().map(|t| t.e2e_s()).fold(0.0, f64::max);
    let ttft = mean(&ttft).unwrap_or(f64::NAN);
    let tpot = (e2e - ttft) / f64::from(b.output.max(2) - 1);
    Ok((ttft, tpot, e2e, machine::weights_s(model, gpu, b.tensor_parallel, WeightsDtype::Bf16)))
}

/// Scores the batches.
pub fn score(catalog: &Catalog, batches: &[MeasuredBatch], source: &StepTimeSource) -> Scores {
    let (mut rows, mut left_out) = (Vec::new(), super::LeftOut::default());
    for b in batches {
        match predict(catalog, b, source) {
            Err(why) => left_out.add(&why),
            Ok((ttft, tpot, e2e, weights_s)) => {
                let mut values = Vec::new();
                values.extend(b.ttft_s.map(|m| ("ttft_s", ttft, m)));
                values.extend(b.tpot_s.map(|m| ("tpot_s", tpot, m)));
                values.push(("e2e_s", e2e, b.e2e_s));
                let at = [b.rows.into(), b.prompt.into(), b.output.into()];
                // Each output token reads the active weights once, at no more than peak bandwidth.
                let impossible = b.e2e_s < f64::from(b.output) * weights_s;
                let apart = impossible.then_some("faster than the weights can be read");
                rows.push(Scored { group: b.group.clone(), at, weights_s, values, apart });
            }
        }
    }
    scores("static-batch", &rows, left_out.notes().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_predicted() {
        let argonne = "Hardware,Num of Hardware,Framework,Model,Input Output Length,Batch Size,Latency,Throughput\n\
            Nvidia A100 GPU,1,vLLM,meta-llama/Llama-2-7b-hf,128,16,1.5,1\n";
        let splitwise = "model,hardware,prompt_size,batch_size,token_size,peak_power,average_power,prompt_time,token_time,e2e_time,tensor_parallel\n\
            llama2-70b,a100-80gb,512,2,16,1,1,196.0,54.0,7168.0,4\n";
        let a = read(Catalog::embedded(), argonne.as_bytes(), "a").unwrap();
        let s = read(Catalog::embedded(), splitwise.as_bytes(), "s").unwrap();
        assert_eq!((a[0].e2e_s, s[0].e2e_s, s[0].ttft_s), (1.5, 7.168, Some(0.196)));
        let wrong = MeasuredBatch { e2e_s: 0.1, ..a[0].clone() };
        let scores = score(Catalog::embedded(), &[a, s, vec![wrong]].concat(), &StepTimeSource::Analytic);
        assert_eq!((scores.groups.len(), scores.apart.len()), (2, 1), "{:?}", scores.notes);
        assert!(scores.groups.iter().flat_map(|g| &g.pairs).all(|p| p.predicted > 0.0 && p.predicted < 20.0));
        let e = read(Catalog::embedded(), "model,hardware\nx,y\n".as_bytes(), "t.csv").unwrap_err().to_string();
        assert!(e.contains("column `tensor_parallel` is missing"), "{e}");
        let e = read(Catalog::embedded(), splitwise.replace("7168.0", "nan").as_bytes(), "s").unwrap_err().to_string();
        assert!(e.starts_with("s:2: e2e_time is `nan`"), "{e}");
    }
}
