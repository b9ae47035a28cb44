//! SGLang's `bench_serving` (sglang/benchmark/serving.py 0.5.23): a JSON line a run, appended. Written to the source, not tried
//! on a result.
//!
//! The requests are there with `--output-details` alone, and when they started is never said: the experiment says how they
//! arrive. Cached tokens are there with `--cache-report`. `request_rate` may be the bare word Infinity.
use super::calls::{Calls, Log, log};
use super::parse::Others;
use super::record::Record;
use super::runs::{Run, Runs};
use super::vllm_bench::is_statistic;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Clock, TraceFault};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Row of SGLang's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "sglang-bench-serving",
    looks_like: "JSON with backend, dataset_name, max_concurrency",
    tried: Tried::Nothing,
    carries: Carries { cached: true, ttft: true, ..Carries::NONE },
    recognises: |head| head.has_keys(&["dataset_name", "backend", "max_concurrency"]),
    open: |trace| log(trace, SglangBench::default()),
    example: r#"{"backend":"sglang","dataset_name":"random","request_rate":Infinity,"max_concurrency":null,"completed":1,"input_lens":[512],"output_lens":[4],"ttfts":[0.21],"itls":[[0.02,0.02,0.03]],"errors":[""]}"#,
    ..Format::PLAIN
};

#[derive(Deserialize)]
struct Saved {
    max_concurrency: Option<u64>,
    input_lens: Option<Vec<i64>>,
    output_lens: Option<Vec<i64>>,
    ttfts: Option<Vec<f64>>,
    itls: Option<Vec<Vec<f64>>>,
    errors: Option<Vec<Option<String>>>,
    cached_tokens: Option<Vec<i64>>,
    #[serde(rename = "generated_texts")]
    _generated_texts: Option<IgnoredAny>,
    #[serde(rename = "server_info")]
    _server_info: Option<IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

/// Keys beside the arrays.
const KEYS: [&str; 24] = [
    "tag",
    "backend",
    "dataset_name",
    "request_rate",
    "sharegpt_output_len",
    "random_input_len",
    "random_output_len",
    "random_range_ratio",
    "duration",
    "completed",
    "total_input_tokens",
    "total_input_text_tokens",
    "total_input_vision_tokens",
    "total_output_tokens",
    "total_output_tokens_retokenized",
    "request_throughput",
    "input_throughput",
    "output_throughput",
    "total_throughput",
    "concurrency",
    "accept_length",
    "cache_report",
    "max_output_tokens_per_s",
    "max_concurrent_requests",
];

/// Reads runs.
#[derive(Default)]
struct SglangBench {
    runs: Runs,
    users: Option<u64>,
}

impl Log for SglangBench {
    fn text(&mut self, text: &str, calls: &mut Calls) -> Result<(), TraceFault> {
        let saved: Saved = super::parse::json(text, "the object that SGLang's bench_serving saves")?;
        let strange = saved.others.keys().filter(|key| !KEYS.contains(&key.as_str()) && !is_statistic(key));
        strange.for_each(|key| calls.tally.unknown(key));
        let (Some(inputs), Some(outputs), Some(ttfts)) = (saved.input_lens, saved.output_lens, saved.ttfts) else {
            calls.leave_out("totals of a run without its requests");
            return Ok(());
        };
        let (itls, errors, cached) = (saved.itls, saved.errors, saved.cached_tokens);
        self.runs.add(&Run { inputs, outputs, ttfts, itls, errors, cached, ..Run::default() }, calls)?;
        self.users = saved.max_concurrency;
        Ok(())
    }

    fn row(&mut self, _: &Record, _: &mut Calls) -> Result<(), TraceFault> {
        Err("it is CSV; bench_serving saves JSON".into())
    }

    fn clock(&self) -> Clock {
        Clock::None
    }

    fn end(&mut self, _: &[(String, String)], calls: &mut Calls) -> Result<(), TraceFault> {
        if self.runs.read > 0 || calls.tally.any_faulty() {
            return Ok(());
        }
        let fault = TraceFault::new("it has the totals of runs and not their requests, an aggregate and no trace");
        Err(fault.hint("save it with --output-details"))
    }

    fn notes(&self) -> Vec<String> {
        let users = self.users.map(|n| format!("it was measured with at most {n} requests under way"));
        self.runs.notes().into_iter().chain(users).collect()
    }
}
