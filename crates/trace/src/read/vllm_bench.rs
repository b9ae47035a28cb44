//! `vllm bench serve --save-result --save-detailed`: a JSON object a run, with arrays in the order of its requests;
//! `--append-result` puts several behind each other. Read from vllm032_cpu_serve (vLLM 0.32), 2026-11; older results to
//! benchmarks/serve.py.
//!
//! Arrivals are `start_times`, a monotonic clock in seconds, less the earliest. They came in January 2026 (vLLM PR 32667),
//! latencies later: before, a request took its TTFT and the sum of its gaps, and nobody says when it started. Without
//! `--save-detailed` the arrays are dropped, all but the latencies: no trace. `generated_texts` are passed over.
use super::calls::{Calls, Log, log};
use super::parse::Others;
use super::record::Record;
use super::runs::{Run, Runs};
use crate::registry::{Carries, Format, Tried};
use crate::shown::shown;
use baseload_core::types::{Clock, TraceFault, wrong};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Row of `vllm bench`'s format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "vllm-bench-serve",
    looks_like: "JSON object with ttfts, itls",
    tried: Tried::On("vLLM 0.32"),
    carries: Carries { ttft: true, ..Carries::ARRIVALS },
    recognises: |head| {
        let detailed =
            head.has_keys(&["ttfts", "itls"]) || head.has_keys(&["num_prompts", "request_rate", "burstiness"]);
        detailed && !head.has_keys(&["dataset_name", "backend", "max_concurrency"])
    },
    open: |trace| log(trace, VllmBench::default()),
    example: r#"{"num_prompts":2,"request_rate":"inf","burstiness":1.0,"max_concurrency":4,"completed":2,"failed":0,
"input_lens":[10,20],"output_lens":[5,7],"ttfts":[0.5,0.25],"itls":[[0.1],[]],"start_times":[100.5,100.0],"errors":["",""]}"#,
    ..Format::PLAIN
};

#[derive(Deserialize)]
struct Saved {
    model_id: Option<String>,
    max_concurrency: Option<u64>,
    request_rate: Option<serde_json::Value>,
    completed: Option<u64>,
    failed: Option<u64>,
    input_lens: Option<Vec<i64>>,
    output_lens: Option<Vec<i64>>,
    start_times: Option<Vec<f64>>,
    ttfts: Option<Vec<f64>>,
    itls: Option<Vec<Vec<f64>>>,
    latencies: Option<Vec<f64>>,
    errors: Option<Vec<Option<String>>>,
    #[serde(rename = "generated_texts")]
    _generated_texts: Option<IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

/// Keys beside the arrays.
const KEYS: [&str; 29] = [
    "date",
    "endpoint_type",
    "backend",
    "label",
    "tokenizer_id",
    "num_prompts",
    "burstiness",
    "duration",
    "total_input_tokens",
    "total_output_tokens",
    "total_input",
    "total_output",
    "request_throughput",
    "request_goodput",
    "request_goodput:",
    "output_throughput",
    "total_token_throughput",
    "queue_times",
    "max_output_tokens_per_s",
    "max_concurrent_requests",
    "rtfx",
    "ramp_up_strategy",
    "ramp_up_start_rps",
    "ramp_up_end_rps",
    "best_of",
    "use_beam_search",
    "spec_decode_acceptance_rate",
    "spec_decode_acceptance_length",
    "goodput",
];

/// Whether a key is a statistic of a time, such as `p99_ttft_ms`.
pub(super) fn is_statistic(key: &str) -> bool {
    let times = ["_ttft_ms", "_tpot_ms", "_itl_ms", "_e2el_ms", "_e2e_latency_ms"];
    let Some(statistic) = times.iter().find_map(|time| key.strip_suffix(time)) else {
        return key.starts_with("percentiles_") || key.starts_with("spec_decode_");
    };
    let quantile = statistic.strip_prefix('p').is_some_and(|p| p.parse::<f64>().is_ok());
    quantile || ["mean", "median", "std", "max", "min"].contains(&statistic)
}

/// Reads runs.
#[derive(Default)]
struct VllmBench {
    runs: Runs,
    /// The most requests that were under way at once, of the last run.
    users: Option<u64>,
    /// At what rate the last run sent.
    rate: Option<String>,
}

impl Log for VllmBench {
    fn text(&mut self, text: &str, calls: &mut Calls) -> Result<(), TraceFault> {
        let saved: Saved = super::parse::json(text, "the object that `vllm bench serve` saves")?;
        let strange = saved.others.keys().filter(|key| !KEYS.contains(&key.as_str()) && !is_statistic(key));
        strange.for_each(|key| calls.tally.unknown(key));
        let (Some(inputs), Some(outputs), Some(ttfts)) = (saved.input_lens, saved.output_lens, saved.ttfts) else {
            calls.leave_out("totals of a run without its requests");
            return Ok(());
        };
        let (starts, errors) = (saved.start_times, saved.errors);
        let failed = errors.as_ref().map(|e| e.iter().flatten().filter(|e| !e.is_empty()).count() as u64);
        if let (Some(completed), Some(said)) = (saved.completed, saved.failed)
            && (completed + said != ttfts.len() as u64 || failed.is_some_and(|failed| failed != said))
        {
            return Err(wrong!(
                "it says {completed} completed and {said} failed, but has {} requests and {} errors; they must agree",
                ttfts.len(),
                failed.unwrap_or_default()
            ));
        }
        let (itls, latencies, model) = (saved.itls, saved.latencies, saved.model_id);
        let run = Run { inputs, outputs, ttfts, itls, starts, latencies, errors, cached: None, model };
        self.runs.add(&run, calls)?;
        self.users = saved.max_concurrency;
        self.rate = saved.request_rate.as_ref().and_then(super::record::text);
        Ok(())
    }

    fn row(&mut self, _: &Record, _: &mut Calls) -> Result<(), TraceFault> {
        Err("it is CSV; `vllm bench serve` saves JSON".into())
    }

    fn clock(&self) -> Clock {
        if self.runs.untimed { Clock::None } else { Clock::Common }
    }

    fn end(&mut self, _: &[(String, String)], calls: &mut Calls) -> Result<(), TraceFault> {
        if self.runs.read > 0 || calls.tally.any_faulty() {
            return Ok(());
        }
        let fault = TraceFault::new("it has the totals of a run and not its requests, an aggregate and no trace");
        Err(fault.hint("save it with --save-detailed; a profile is fitted from such a result by `baseload calibrate`"))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.runs.notes();
        if let Some(n) = self.users {
            notes.push(format!(
                "it was measured with at most {n} requests under way: a closed loop of {n} users repeats it better"
            ));
        } else if let (true, Some(rate)) = (self.runs.untimed, &self.rate) {
            notes.push(format!("it was measured at a request rate of {}", shown(rate)));
        }
        notes
    }
}
