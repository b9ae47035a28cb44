//! `vllm-stages`: latencies of stages of constant rate, a row a stage.
//!
//! Source: inference-sim (BLIS), training stages on H100 (data/calibration/blis_training_stages.csv, read 2026-11-24).
//! Its TPOT and ITL columns are half the truth and are not used. The GPU is not said: H100 SXM.
//! Protocol: open loop, Poisson at the stage's rate for its duration; every prompt and answer has the stage's mean
//! length (distributions are not said); a system prompt is shared as the stage's `sp` says.
use super::super::hash;
use super::super::machine::{self, StepOptions};
use super::super::score::{Scores, mean, quantile};
use super::super::table::{Row, Table};
use super::super::trial::{Lags, Loop, Sent, Trial, play};
use super::rows::{Scored, scores};
use crate::engine::VllmConfig;
use crate::random::{self, dist};
use crate::types::{Content, ContentId, Run, SimTime};
use std::io::BufRead;

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
    shared: u32,
    prompts_shared: u32,
    measured_s: Vec<f64>,
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
    /// The GPU, as the data name it.
    pub fn gpu(&self) -> &str {
        "h100-sxm"
    }
}

/// Reads the stages.
///
/// # Errors
/// With file, line and column.
pub fn read(text: impl BufRead, name: &str) -> Result<Vec<Stage>, String> {
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
        let measured = METRICS.iter().map(|m| Ok(r.positive(m.1)? / 1e3)).collect::<Result<Vec<f64>, String>>()?;
        let prompt = (r.positive("in_mean")?.round() as u32).max(1);
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
            output: (r.positive("out_mean")?.round() as u32).max(1),
            shared: number_of(r.text("sp"), "system_prompt_len").min(prompt - 1),
            prompts_shared: number_of(r.text("sp"), "num_unique_system_prompts"),
            measured_s: measured,
            hash: hash::of(&r.whole()),
        })
    };
    table.rows().map(stage).collect()
}

fn trial(s: &Stage, engine: VllmConfig) -> Trial {
    let mut at_s = 0.0;
    let mut sent = |i: u64| {
        let mut draws = random::stream(1, 0, "stage", i, 0);
        at_s += dist::exponential(&mut draws, 1.0 / s.rate);
        let group = (dist::uniform01(&mut draws) * f64::from(s.prompts_shared)) as u64;
        let content = (s.prompts_shared > 0 && s.shared > 0).then(|| {
            let shared = Run { id: ContentId::Named(group), start: 0, len: s.shared };
            Content::from(vec![shared, Run { id: ContentId::Private(i), start: 0, len: s.prompt - s.shared }])
        });
        Sent { at: SimTime::from_secs_f64(at_s), prompt: s.prompt, output: s.output, content }
    };
    let requests = (0..u64::from(s.requests)).map(&mut sent).collect();
    Trial { requests, sending: Loop::Open, engine, lags: Lags::default() }
}

fn predict(s: &Stage) -> Result<(Vec<f64>, f64), String> {
    let model = machine::model(&s.model).ok_or_else(|| format!("{} is not in the catalogue", s.model))?;
    let gpu = machine::gpu("h100-sxm").ok_or("h100-sxm is not in the catalogue")?;
    let engine = VllmConfig {
        max_num_seqs: s.max_num_seqs,
        max_num_batched_tokens: s.max_num_batched_tokens,
        max_model_len: s.max_model_len,
        ..machine::engine_for(model, gpu, s.tensor_parallel, machine::BF16, 0.9)?
    };
    let options = StepOptions {
        weights: machine::BF16,
        expert_parallel: false,
        async_scheduling: engine.async_scheduling,
        max_num_seqs: s.max_num_seqs,
        max_num_batched_tokens: s.max_num_batched_tokens,
        graphs: true,
    };
    let played = play(&trial(s, engine), machine::step_time_for(model, gpu, s.tensor_parallel, &options)?)?;
    let ttft: Vec<f64> = played.timings.iter().map(|t| t.ttft_s()).collect();
    let e2e: Vec<f64> = played.timings.iter().map(|t| t.e2e_s()).collect();
    let value = |(name, _, q): &(&str, &str, Option<f64>)| {
        let values = if name.starts_with("ttft") { &ttft } else { &e2e };
        q.map_or_else(|| mean(values), |q| quantile(values, q)).unwrap_or(f64::NAN)
    };
    Ok((METRICS.iter().map(value).collect(), machine::weights_s(model, gpu, s.tensor_parallel, machine::BF16)))
}

/// Scores the stages.
pub fn score(stages: &[Stage]) -> Scores {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for s in stages {
        match predict(s) {
            Err(why) => super::note(&mut notes, &why),
            Ok((predicted, weights_s)) => rows.push(Scored {
                group: s.group.clone(),
                at: [s.rate, s.prompt.into(), s.output.into()],
                weights_s,
                values: METRICS.iter().zip(predicted).zip(&s.measured_s).map(|((m, p), r)| (m.0, p, *r)).collect(),
                apart: None,
            }),
        }
    }
    scores("vllm-stages", &rows, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_read_and_predicted() {
        let head = "exp,model,tensor_parallelism,max_num_batched_tokens,max_num_seqs,max_model_len,stage,rate,n,sp,in_mean,out_mean,ttft_mean_ms,ttft_median_ms,ttft_p90_ms,ttft_p99_ms,e2e_mean_ms,e2e_median_ms,e2e_p90_ms,e2e_p99_ms\n";
        let row = "x,meta-llama/Llama-2-7b-hf,1,2048,128,4096,0,5.0,40,\"{'num_unique_system_prompts': 11, 'system_prompt_len': 100}\",591.6,20.2,25,24,28,46,1810,1796,1940,2188\n";
        let stages = read(format!("{head}{row}").as_bytes(), "s").unwrap();
        let s = &stages[0];
        assert_eq!((s.prompt, s.output, s.shared, s.prompts_shared), (592, 20, 100, 11));
        assert_eq!(trial(s, VllmConfig::default()).requests[3].content.as_ref().unwrap().tokens(), 592);
        assert_eq!(score(&stages).groups[0].pairs.len(), METRICS.len());
        let e = read(format!("{}{row}", head.replace("ttft_p90_ms", "p90")).as_bytes(), "s").unwrap_err();
        assert!(e.contains("column `ttft_p90_ms` is missing"), "{e}");
    }
}
