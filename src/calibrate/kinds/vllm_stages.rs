//! `vllm-stages`: latencies of stages of constant rate, a row a stage.
//!
//! Source: inference-sim (BLIS), training stages on H100 (data/calibration/blis_training_stages.csv, read 2026-11-24).
//! Its TPOT and ITL columns are half the truth and are not used. The GPU is not said: H100 SXM.
//! Protocol: open loop, Poisson at the stage's rate for its duration. `sp` says the texts: so many system prompts, each
//! with so many users, and every user has one question that is asked again and again in turn: `in_mean` is the same to
//! two decimals in every stage of an experiment, and 193 tokens more lengthen CodeLlama-34B's TTFT by 1 ms, where to
//! prefill them would take ten. So but for the first round a prompt is cached to its last block. Stages run one after
//! another on one server: a later stage finds the prompts cached.
//! An answer has `output_len` tokens. `out_mean`, counted anew from the text, is not what was generated: its quotient
//! with E2E - TTFT differs from model to model, while E2E - TTFT over the mean ITL, of which there are two a token, is
//! within one of `output_len` in every stage (Llama-2-7b: 248 of 247, `out_mean` 194). Without `sp`, `out_mean` is used
//! and nothing is shared.
use super::super::fit::lags;
use super::super::hash;
use super::super::machine;
use super::super::replica::MeasuredReplica;
use super::super::score::Scores;
use super::super::table::{Row, Table};
use super::super::trial::{Lags, Loop, Sent, Trial, play};
use super::rows::{Scored, scores};
use baseload_core::catalog::{Catalog, MeasuredEngine};
use baseload_core::fleet::{ReplicaType, StepTimeSource};
use baseload_core::memory::{UTILIZATION_UP_TO_2025, WeightsDtype};
use baseload_core::numeric::{mean, quantile};
use baseload_core::random::{self, dist};
use baseload_core::types::{Content, ContentId, Run, SimTime, TraceFault, wrong};
use std::io::BufRead;
use std::sync::Arc;

/// What is compared: our name, the column, and the quantile (none: the mean).
const METRICS: [(&str, &str, Option<f64>); 8] = [
    ("ttft_mean_s", "ttft_mean_ms", None),
    ("ttft_p50_s", "ttft_median_ms", Some(0.5)),
    ("ttft_p90_s", "ttft_p90_ms", Some(0.9)),
    ("ttft_p99_s", "ttft_p99_ms", Some(0.99)),
    ("e2e_mean_s", "e2e_mean_ms", None),
    ("e2e_p50_s", "e2e_median_ms", Some(0.5)),
    ("e2e_p90_s", "e2e_p90_ms", Some(0.9)),
    ("e2e_p99_s", "e2e_p99_ms", Some(0.99)),
];

/// One measured stage.
#[derive(Debug, Clone)]
pub struct Stage {
    group: String,
    model: String,
    tensor_parallel: u32,
    max_num_batched_tokens: u32,
    max_num_seqs: u32,
    max_model_len: u32,
    rate: f64,
    requests: u32,
    prompt: u32,
    output: u32,
    /// System prompts, their tokens, users of each; 0 where it is not said.
    systems: u32,
    shared: u32,
    users: u32,
    /// Whether stages ran before it.
    warm: bool,
    measured_s: Vec<f64>,
    gpu: String,
    /// Hash of the row.
    pub hash: String,
}

/// The number behind `'key': ` in Python's form of a dictionary; 0 where it is not there.
fn number_of(text: &str, key: &str) -> u32 {
    let at = text.find(&format!("'{key}':")).map(|i| i + key.len() + 3);
    let digits = at.map(|i| text[i..].trim_start().chars().take_while(char::is_ascii_digit).collect::<String>());
    digits.and_then(|d| d.parse().ok()).unwrap_or(0)
}

impl Stage {
    /// The GPU, by the catalogue's row of this data set.
    pub fn gpu(&self) -> &str {
        &self.gpu
    }
}

/// Reads the stages.
///
/// # Errors
/// With file, line and column.
pub fn read(catalog: &Catalog, text: impl BufRead, name: &str) -> Result<Vec<Stage>, TraceFault> {
    let known = catalog.data_set("vllm-stages").and_then(|d| d.gpu.as_deref());
    let gpu = known.ok_or_else(|| {
        wrong!("the catalogue does not say which GPU vllm-stages ran on").hint("give a [[data_set]] row of it")
    })?;
    let mut needed = vec![
        "exp",
        "model",
        "tensor_parallelism",
        "max_num_batched_tokens",
        "max_num_seqs",
        "max_model_len",
        "stage",
        "rate",
        "n",
        "in_mean",
        "out_mean",
    ];
    needed.extend(METRICS.iter().map(|m| m.1));
    let table = Table::read(text, name, &needed)?;
    let stage = |r: Row<'_>| {
        let measured = METRICS.iter().map(|m| Ok(r.positive(m.1)? / 1e3)).collect::<Result<Vec<f64>, TraceFault>>()?;
        let prompt = (r.positive("in_mean")?.round() as u32).max(1);
        let sp = r.text("sp");
        let output = match number_of(sp, "output_len") {
            0 => (r.positive("out_mean")?.round() as u32).max(1),
            said => said,
        };
        Ok(Stage {
            group: format!("{} stage {}", r.text("exp"), r.text("stage")),
            model: r.text("model").into(),
            tensor_parallel: r.count("tensor_parallelism")?,
            max_num_batched_tokens: r.count("max_num_batched_tokens")?,
            max_num_seqs: r.count("max_num_seqs")?,
            max_model_len: r.count("max_model_len")?,
            rate: r.positive("rate")?,
            requests: r.count("n")?,
            prompt,
            output,
            systems: number_of(sp, "num_unique_system_prompts"),
            shared: number_of(sp, "system_prompt_len").min(prompt - 1),
            users: number_of(sp, "num_users_per_system_prompt"),
            warm: r.text("stage").parse::<u32>().is_ok_and(|stage| stage > 0),
            measured_s: measured,
            gpu: gpu.into(),
            hash: hash::of(&r.whole()),
        })
    };
    table.rows().map(stage).collect()
}

/// Seconds that a warm-up has for each of its prompts, more than one takes.
const WARM_UP_S: f64 = 2.0;

/// The trial of a stage, and how many of its first requests only warm the cache.
fn trial(s: &Stage, lags: Lags) -> (Trial, usize) {
    let askers = s.systems * s.users;
    let sent = |i: u32, at_s: f64| {
        let content = (s.systems > 0).then(|| {
            let (system, own) = (i % s.systems, ContentId::Private(i.into()));
            let question = if askers > 0 { ContentId::Named(u64::from(s.systems + i % askers)) } else { own };
            Content::from(vec![
                Run { id: ContentId::Named(system.into()), start: 0, len: s.shared },
                Run { id: question, start: 0, len: s.prompt - s.shared },
            ])
        });
        Sent { at: SimTime::from_secs_f64(at_s), prompt: s.prompt, output: s.output, content }
    };
    let before = if s.warm { askers } else { 0 };
    let mut requests: Vec<Sent> = (0..before).map(|i| sent(i, WARM_UP_S * f64::from(i))).collect();
    let mut at_s = WARM_UP_S * f64::from(before + 8);
    requests.extend((0..s.requests).map(|i| {
        at_s += dist::exponential(&mut random::stream(1, 0, "stage", i.into(), 0), 1.0 / s.rate);
        sent(i, at_s)
    }));
    (Trial { requests, sending: Loop::Open, lags }, before as usize)
}

fn predict(
    catalog: &Catalog,
    s: &Stage,
    lags: Lags,
    source: &StepTimeSource,
) -> Result<(Vec<f64>, f64, Arc<ReplicaType>), TraceFault> {
    let model = catalog.model(&s.model)?;
    let gpu = catalog.gpu(&s.gpu)?;
    let engine = MeasuredEngine { max_model_len: Some(s.max_model_len), ..MeasuredEngine::default() };
    let replica = MeasuredReplica {
        tensor_parallel: s.tensor_parallel,
        weights: Some(WeightsDtype::Bf16),
        utilization: UTILIZATION_UP_TO_2025,
        ..MeasuredReplica::of(
            &model.id,
            &gpu.id,
            engine
                .with("max_num_seqs", Some(s.max_num_seqs))
                .with("max_num_batched_tokens", Some(s.max_num_batched_tokens)),
        )
    };
    let (trial, before) = trial(s, lags);
    let replica = replica.resolve(catalog, source.clone())?;
    let played = play(&trial, &replica)?;
    let ttft: Vec<f64> = played.timings[before..].iter().map(|t| t.ttft_s()).collect();
    let e2e: Vec<f64> = played.timings[before..].iter().map(|t| t.e2e_s()).collect();
    let value = |(name, _, q): &(&str, &str, Option<f64>)| {
        let values = if name.starts_with("ttft") { &ttft } else { &e2e };
        q.map_or_else(|| mean(values), |q| quantile(values, q)).unwrap_or(f64::NAN)
    };
    Ok((
        METRICS.iter().map(value).collect(),
        machine::weights_s(model, gpu, s.tensor_parallel, WeightsDtype::Bf16),
        replica,
    ))
}

/// Scores the stages.
pub fn score(catalog: &Catalog, stages: &[Stage], source: &StepTimeSource) -> Scores {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    let mut left_out = super::LeftOut::default();
    let frontend = catalog.frontend("vllm-stages");
    let lags = frontend.map_or_else(Lags::default, |row| lags(&row.frontend()));
    for s in stages {
        match predict(catalog, s, lags, source) {
            Err(why) => left_out.add(&why),
            Ok((predicted, weights_s, replica)) => {
                super::warn(&mut notes, &replica);
                rows.push(Scored {
                    group: s.group.clone(),
                    at: [s.rate, s.prompt.into(), s.output.into()],
                    weights_s,
                    values: METRICS.iter().zip(predicted).zip(&s.measured_s).map(|((m, p), r)| (m.0, p, *r)).collect(),
                    apart: None,
                });
            }
        }
    }
    notes.extend(frontend.map(super::frontend_note));
    notes.splice(0..0, left_out.notes());
    scores("vllm-stages", &rows, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_read_and_predicted() {
        let head = "exp,model,tensor_parallelism,max_num_batched_tokens,max_num_seqs,max_model_len,stage,rate,n,sp,in_mean,out_mean,ttft_mean_ms,ttft_median_ms,ttft_p90_ms,ttft_p99_ms,e2e_mean_ms,e2e_median_ms,e2e_p90_ms,e2e_p99_ms\n";
        let sp = "{'num_unique_system_prompts': 3, 'num_users_per_system_prompt': 2, 'output_len': 30, 'system_prompt_len': 100}";
        let row = |stage: u32, sp: &str| {
            format!(
                "x,meta-llama/Llama-2-7b-hf,1,2048,128,4096,{stage},5.0,40,\"{sp}\",591.6,20.2,25,24,28,46,1810,1796,1940,2188\n"
            )
        };
        let text = format!("{head}{}{}{}", row(0, sp), row(1, sp), row(0, "{}"));
        let stages = read(Catalog::embedded(), text.as_bytes(), "s").unwrap();
        let seen: Vec<_> = stages.iter().map(|s| (s.prompt, s.output, s.systems, s.users, s.warm)).collect();
        assert_eq!(seen, [(592, 30, 3, 2, false), (592, 30, 3, 2, true), (592, 20, 0, 0, false)]);
        let (cold, before) = trial(&stages[0], Lags::default());
        let content = |i: usize| cold.requests[i].content.clone().unwrap();
        assert_eq!((cold.requests.len(), before, content(3).tokens()), (40, 0, 592));
        assert_eq!((content(0).shared_prefix(&content(3)), content(0).shared_prefix(&content(6))), (100, 592));
        let (warm, before) = trial(&stages[1], Lags::default());
        assert_eq!((warm.requests.len(), before), (46, 6));
        assert!(trial(&stages[2], Lags::default()).0.requests[0].content.is_none());
        assert_eq!(score(Catalog::embedded(), &stages, &StepTimeSource::Analytic).groups[1].pairs.len(), METRICS.len());
        let e =
            read(Catalog::embedded(), format!("{}{}", head.replace("ttft_p90_ms", "p90"), row(0, sp)).as_bytes(), "s")
                .unwrap_err()
                .to_string();
        assert!(e.contains("column `ttft_p90_ms` is missing"), "{e}");
    }
}
