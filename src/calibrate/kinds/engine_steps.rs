//! `engine-steps`: a recorded run of an engine, step by step (JSON lines; form: docs/validation.md).
//!
//! Source: recordings of vLLM 0.32.0 made for this project (data/calibration/vllm032_cpu, read 2026-11-24).
//! Protocol: the recorded batches are priced as they are; then the whole run is simulated from its arrivals. The
//! machine's speed differs from run to run, so a prediction carries one factor a run: the median of measured over
//! predicted step durations.
use super::super::lines;
use super::super::replica::MeasuredReplica;
use super::super::score::Group;
use super::super::trial::{Lags, Loop, Sent, Trial, play};
use baseload_core::catalog::{Catalog, MeasuredEngine, StepCoefficients};
use baseload_core::fleet::{ReplicaType, StepTimeSource};
use baseload_core::latency::{Features, Fitted};
use baseload_core::numeric::quantile;
use baseload_core::types::{Content, ContentId, Fault, Run, SimTime, TraceFault, wrong};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::Arc;

/// One recorded run.
#[derive(Debug, Clone)]
pub struct EngineRun {
    /// Name of the run.
    pub name: String,
    /// Version of the engine.
    pub version: String,
    /// Shape of the model, as a name.
    pub model: String,
    /// Type of weights.
    pub dtype: String,
    /// Settings.
    pub engine: MeasuredEngine,
    /// The run, to be simulated.
    pub trial: Trial,
    /// Arrival to first token, arrival to finish, seconds, by request.
    pub measured: Vec<(f64, f64)>,
    /// Steps: what each did, and how long it took, seconds.
    pub steps: Vec<(Features, f64)>,
    /// Median pause between steps that follow each other, seconds.
    pub pause_s: f64,
    /// Hash of the whole file.
    pub hash: String,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    Run(RunLine),
    Request(RequestLine),
    Step(StepLine),
}

#[derive(Deserialize)]
struct RunLine {
    name: String,
    #[serde(default)]
    vllm: String,
    scheduling: String,
    model: Shape,
    engine: EngineLine,
}

/// Shape of a recorded model; recordings of fleets use Hugging Face's names.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Shape {
    #[serde(alias = "hidden_size")]
    hidden: u32,
    #[serde(alias = "num_hidden_layers")]
    layers: u32,
    #[serde(alias = "num_attention_heads")]
    heads: u32,
    #[serde(alias = "num_key_value_heads")]
    kv_heads: u32,
    #[serde(alias = "intermediate_size")]
    ffn: u32,
    /// Type of weights.
    pub dtype: String,
}

impl Shape {
    /// The name that profiles know the model by.
    pub fn name(&self) -> String {
        format!("h{}-l{}-a{}-kv{}-f{}", self.hidden, self.layers, self.heads, self.kv_heads, self.ffn)
    }
}

/// Settings of a recorded engine.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct EngineLine {
    max_model_len: u32,
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
    enable_prefix_caching: bool,
    num_gpu_blocks: u32,
    block_size: u32,
}

impl EngineLine {
    /// The line as a measurement's settings; `scheduling` is `sync` or something else.
    pub fn measured(&self, version: &str, scheduling: &str) -> MeasuredEngine {
        MeasuredEngine {
            name: "vllm".into(),
            version: version.to_owned(),
            num_gpu_blocks: Some(self.num_gpu_blocks),
            max_model_len: Some(self.max_model_len),
            ..MeasuredEngine::default()
        }
        .with("async_scheduling", Some(scheduling != "sync"))
        .with("block_size", Some(self.block_size))
        .with("max_num_seqs", Some(self.max_num_seqs))
        .with("max_num_batched_tokens", Some(self.max_num_batched_tokens))
        .with("enable_prefix_caching", Some(self.enable_prefix_caching))
    }
}

#[derive(Deserialize)]
struct RequestLine {
    id: String,
    arrival_s: f64,
    prompt_len: u32,
    output_len: u32,
    first_token_s: f64,
    finish_s: f64,
    #[serde(default)]
    blocks: Vec<u64>,
}

#[derive(Deserialize)]
struct StepLine {
    start_s: f64,
    end_s: f64,
    batch: Vec<(String, u32, u32)>,
}

/// Pauses longer than this lie between steps that do not follow each other, seconds.
const LONGEST_PAUSE_S: f64 = 1e-3;

/// Reads one run.
///
/// # Errors
/// With file and line: a missing key, a duration below zero, a step of an unknown request.
pub fn read(text: impl BufRead, name: &str) -> Result<EngineRun, TraceFault> {
    let (mut head, mut requests, mut steps) = (None, Vec::new(), Vec::new());
    let mut prompts: BTreeMap<String, u32> = BTreeMap::new();
    let (mut last_end, mut pauses) = (f64::NEG_INFINITY, Vec::new());
    let form = "a line of kind engine-steps is a run, a request or a step";
    let hash = lines::read(text, name, form, |line: Line| {
        match line {
            Line::Run(run) => head = Some(run),
            Line::Request(r) => {
                let of_request = |fault: TraceFault| fault.of_part(format!("request {}", r.id));
                rising([r.arrival_s, r.first_token_s, r.finish_s]).map_err(of_request)?;
                not_empty(r.prompt_len, r.output_len).map_err(of_request)?;
                prompts.insert(r.id.clone(), r.prompt_len);
                requests.push(r);
            }
            Line::Step(s) => {
                let duration = s.end_s - s.start_s;
                if !(duration > 0.0 && s.start_s.is_finite()) {
                    let fault = wrong!("a step from {} to {} s", s.start_s, s.end_s);
                    return Err(fault.hint("its duration must be above 0"));
                }
                let pause = s.start_s - last_end;
                if (0.0..LONGEST_PAUSE_S).contains(&pause) {
                    pauses.push(pause);
                }
                last_end = s.end_s;
                steps.push((features(&s.batch, &prompts)?, duration));
            }
        }
        Ok(())
    })?;
    let Some(head) = head else {
        return Err(TraceFault::of(name, "no line of kind `run`").hint("a recording starts with one"));
    };
    if requests.is_empty() || steps.is_empty() {
        let none = if requests.is_empty() { "request" } else { "step" };
        return Err(TraceFault::of(name, format!("no line of kind `{none}`")).hint("a recording has at least one"));
    }
    Ok(run_of(&head, requests, steps, quantile(&pauses, 0.5).unwrap_or(0.0), hash))
}

/// Refuses a request whose arrival, first token and finish do not follow each other.
pub(super) fn rising([arrival, first, finish]: [f64; 3]) -> Result<(), TraceFault> {
    if arrival >= 0.0 && first >= arrival && finish >= first {
        return Ok(());
    }
    let fault = wrong!("arrival_s {arrival}, first_token_s {first}, finish_s {finish}");
    Err(fault.hint("they must rise from 0"))
}

/// Refuses a request without a prompt or an answer.
pub(super) fn not_empty(prompt: u32, output: u32) -> Result<(), TraceFault> {
    if prompt > 0 && output > 0 {
        return Ok(());
    }
    Err(wrong!("prompt_len is {prompt} and output_len {output}").hint("each must be at least 1"))
}

/// What a recorded batch of (request, tokens already computed, tokens in this step) did.
///
/// # Errors
/// An empty batch, or a request that `prompts` does not know.
pub(super) fn features(batch: &[(String, u32, u32)], prompts: &BTreeMap<String, u32>) -> Result<Features, TraceFault> {
    let mut f = Features::default();
    for (id, computed, tokens) in batch {
        let unknown = || wrong!("a step of request {id}, which no line before it describes");
        let prompt = *prompts.get(id).ok_or_else(unknown)?;
        if *tokens == 1 && computed + 1 >= prompt {
            f.decode(*computed);
        } else {
            f.prefill(*computed, *tokens);
        }
    }
    if batch.is_empty() { Err(wrong!("a step with an empty batch").hint("leave its line out")) } else { Ok(f) }
}

fn run_of(
    head: &RunLine,
    mut requests: Vec<RequestLine>,
    steps: Vec<(Features, f64)>,
    pause_s: f64,
    hash: String,
) -> EngineRun {
    requests.sort_by(|a, b| a.arrival_s.total_cmp(&b.arrival_s));
    let (m, e) = (&head.model, &head.engine);
    let content = |i: usize, r: &RequestLine| {
        let mut runs: Vec<Run> =
            r.blocks.iter().map(|&id| Run { id: ContentId::Named(id), start: 0, len: e.block_size }).collect();
        let named = runs.len() as u32 * e.block_size;
        if named > r.prompt_len {
            return None;
        }
        if named < r.prompt_len {
            runs.push(Run { id: ContentId::Private(i as u64), start: 0, len: r.prompt_len - named });
        }
        Some(Content::from(runs))
    };
    let sent = |(i, r): (usize, &RequestLine)| Sent {
        at: SimTime::from_secs_f64(r.arrival_s),
        prompt: r.prompt_len,
        output: r.output_len,
        content: content(i, r),
    };
    let engine = e.measured(&head.vllm, &head.scheduling);
    EngineRun {
        name: head.name.clone(),
        version: head.vllm.clone(),
        model: m.name(),
        dtype: m.dtype.clone(),
        trial: Trial {
            requests: requests.iter().enumerate().map(sent).collect(),
            sending: Loop::Open,
            lags: Lags::default(),
        },
        engine,
        measured: requests.iter().map(|r| (r.first_token_s - r.arrival_s, r.finish_s - r.arrival_s)).collect(),
        steps,
        pause_s,
        hash,
    }
}

/// The speed factor of recorded steps: the median of measured over predicted durations.
pub fn speed(steps: &[(Features, f64)], step: &StepCoefficients) -> f64 {
    let fitted = Fitted::new(step, 1.0);
    let ratios: Vec<f64> = steps.iter().map(|(f, s)| s / fitted.price(f).as_secs_f64()).collect();
    quantile(&ratios, 0.5).unwrap_or(1.0)
}

/// The replica of a recording: its model is no row of the catalogue, and its steps are predicted by `step`.
pub(super) fn recorded(
    catalog: &Catalog,
    model: &str,
    engine: &MeasuredEngine,
    step: &StepCoefficients,
    speed: f64,
) -> Result<Arc<ReplicaType>, Fault> {
    let replica = MeasuredReplica::of(model, "the machine of the recording", engine.clone());
    replica.resolve(catalog, StepTimeSource::Coefficients(*step, speed))
}

/// Scores a profile's step times on a run; the speed factor comes with the group.
///
/// # Errors
/// The simulation's.
pub fn score(catalog: &Catalog, run: &EngineRun, step: &StepCoefficients) -> Result<(Group, f64), TraceFault> {
    let speed = speed(&run.steps, step);
    let fitted = Fitted::new(step, speed);
    let mut group = Group { name: run.name.clone(), n: run.measured.len() as u64, ..Group::default() };
    for (features, measured) in &run.steps {
        group.add("step_s", fitted.price(features).as_secs_f64(), *measured);
    }
    let replica = recorded(catalog, &run.model, &run.engine, step, speed);
    let played = replica.map_err(TraceFault::from).and_then(|r| play(&run.trial, &r));
    let played = played.map_err(|fault| fault.in_file(&run.name))?;
    let ttft: Vec<f64> = played.timings.iter().map(|t| t.ttft_s()).collect();
    let e2e: Vec<f64> = played.timings.iter().map(|t| t.e2e_s()).collect();
    let (first, done): (Vec<f64>, Vec<f64>) = run.measured.iter().copied().unzip();
    group.add_quantiles(&[("ttft_p50_s", 0.5)], &ttft, &first);
    group.add_quantiles(&[("e2e_p50_s", 0.5)], &e2e, &done);
    for (p, m) in e2e.iter().zip(&done) {
        group.add("e2e_s", *p, *m);
    }
    group.add("steps", played.steps as f64, run.steps.len() as f64);
    Ok((group, speed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = r#"{"kind":"run","name":"tiny","vllm":"0.32.0","scheduling":"sync","model":{"hidden":512,"layers":8,"heads":8,"kv_heads":4,"ffn":1408,"dtype":"float32"},"engine":{"max_model_len":8192,"max_num_seqs":128,"max_num_batched_tokens":2048,"enable_prefix_caching":true,"num_gpu_blocks":64,"block_size":32}}
{"kind":"request","id":"a","arrival_s":1.0,"added_s":1.0,"prompt_len":40,"output_len":3,"first_token_s":1.05,"finish_s":1.07,"cached":0,"blocks":[7]}
{"kind":"step","start_s":1.0,"end_s":1.05,"batch":[["a",0,40]],"preempted":[]}
{"kind":"step","start_s":1.05,"end_s":1.06,"batch":[["a",40,1]],"preempted":[]}
{"kind":"step","start_s":1.06,"end_s":1.07,"batch":[["a",41,1]],"preempted":[]}
"#;

    #[test]
    fn a_run_is_read_and_predicted() {
        let run = read(RUN.as_bytes(), "tiny").unwrap();
        assert_eq!(run.steps[0].0, Features { chunks: 1, tokens: 40, pairs: 1_066, ..Features::default() });
        assert_eq!(run.steps[2].0, Features { rows: 1, context: 41, ..Features::default() });
        assert_eq!((run.model.as_str(), run.engine.num_gpu_blocks), ("h512-l8-a8-kv4-f1408", Some(64)));
        // Twice too fast throughout: the factor mends it, and everything fits.
        let half = StepCoefficients { step_s: 0.005, prefill_token_s: 0.000_5, ..StepCoefficients::default() };
        let (group, speed) = score(Catalog::embedded(), &run, &half).unwrap();
        assert!((speed - 2.0).abs() < 1e-9);
        assert!(group.pairs.iter().all(|p| (p.predicted / p.measured - 1.0).abs() < 1e-6), "{group:?}");
        assert_eq!(group.pairs.iter().filter(|p| p.metric == "steps").count(), 1);
    }

    #[test]
    fn faults_name_line_and_key() {
        let e = read(RUN.replace("\"prompt_len\":40,", "").as_bytes(), "f").unwrap_err().to_string();
        assert!(e.starts_with("f:2: missing field `prompt_len`"), "{e}");
        let e = read(RUN.replace("\"end_s\":1.06", "\"end_s\":1.04").as_bytes(), "f").unwrap_err().to_string();
        assert!(e.starts_with("f:4: a step from 1.05 to 1.04 s; its duration"), "{e}");
        let e = read(RUN.replace("\"finish_s\":1.07", "\"finish_s\":1.01").as_bytes(), "f").unwrap_err().to_string();
        assert!(e.starts_with("f:2: request a: arrival_s 1, first_token_s 1.05"), "{e}");
        let e = read(RUN.replace("[[\"a\",41,1]]", "[[\"b\",41,1]]").as_bytes(), "f").unwrap_err().to_string();
        assert!(e.starts_with("f:5: a step of request b"), "{e}");
        let e = read(RUN.replace("\"start_s\":1.06", "\"start_s\":NaN").as_bytes(), "f").unwrap_err().to_string();
        assert!(e.starts_with("f:5: "), "{e}");
        assert!(read("".as_bytes(), "f").unwrap_err().to_string().contains("no line of kind `run`"));
    }
}
