//! GuideLLM's benchmarks.json (vllm-project/guidellm 0.7 to 0.8.1, schemas): one JSON object with a benchmark a strategy, each
//! with the requests that succeeded, that were cut at its end and that failed. Written to the source, not tried on a report.
//!
//! `request_latency` is in seconds, `time_to_first_token_ms` in ms. What was cut at the end is a failed request. The lists are a
//! sample where a sample size was set; then there are fewer of them than the totals say.
use super::calls::{Calls, Log, Of, log};
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, Measured, Status, TraceFault};
use serde_json::Value;

/// Row of GuideLLM's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "guidellm",
    looks_like: "JSON object with metadata, benchmarks",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, cached: true, ttft: true, ..Carries::ARRIVALS },
    recognises: |head| {
        head.has_keys(&["metadata", "benchmarks"]) || head.has_keys(&["metadata"]) && head.names("guidellm_version")
    },
    open: |trace| log(trace, GuideLlm::default()),
    example: r#"{"metadata":{"version":2},"config":{},"benchmarks":[{"requests":{"successful":[{"request_id":"g1","info":{"conversation_id":"c1"},"request_start_time":1795168801.0,"request_latency":1.5,"time_to_first_token_ms":200.0,"prompt_tokens":400,"output_tokens":30}]}}]}"#,
    ..Format::PLAIN
};

/// Reads one report.
#[derive(Default)]
struct GuideLlm {
    benchmarks: u64,
    /// Requests that the totals have and the lists have not.
    missing: u64,
    incomplete: u64,
}

impl GuideLlm {
    fn request(&mut self, request: &Record, failed: bool, calls: &mut Calls) -> Result<(), TraceFault> {
        calls.tally.row(true);
        if request.text("request_id").is_some_and(|id| calls.again(&id, "request_id")) {
            return Ok(());
        }
        let of = |names: &[&'static str]| request.first(names).map_or(Ok(None), |name| request.tokens(name));
        let prompt = of(&["prompt_tokens", "input_metrics.text_tokens"])?;
        if !calls.has_tokens(prompt, failed) {
            return Ok(());
        }
        let cached = of(&["cached_tokens", "input_metrics.cached_tokens"])?;
        let start = request.first(&["request_start_time", "info.timings.request_start", "start_time"]);
        let start = start.map_or(Ok(None), |name| request.span(name, 9))?;
        let mut entry = Entry::blank();
        entry.at_ns = start.ok_or("request_start_time is not there; a request must have one")? as i64;
        entry.prompt_tokens = calls.whole_prompt(prompt.unwrap_or(0), cached, None)?;
        entry.output_tokens = of(&["output_tokens", "output_metrics.text_tokens"])?.unwrap_or(0);
        let ttft_ns = request.span("time_to_first_token_ms", 6)?.filter(|_| entry.output_tokens > 0);
        entry.measured = Measured {
            ttft_ns,
            // What failed before its first token has no time of an answer.
            e2e_ns: request.span("request_latency", 9)?.filter(|_| !failed || ttft_ns.is_some()),
            cached_tokens: cached,
            status: if failed { Status::Failed } else { Status::Completed },
            images: 0,
        };
        let session = request.text("info.conversation_id");
        calls.push(entry, &Of { session, ..Of::default() })
    }
}

impl Log for GuideLlm {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        let Some(Value::Array(benchmarks)) = row.get("benchmarks") else {
            return Err("benchmarks is no list; a GuideLLM report has one a strategy".into());
        };
        calls.tally.uncount();
        for benchmark in benchmarks {
            self.benchmarks += 1;
            let mut listed = 0;
            for (list, failed) in [("successful", false), ("incomplete", true), ("errored", true)] {
                let Some(Value::Array(requests)) = benchmark.get("requests").and_then(|r| r.get(list)) else {
                    continue;
                };
                listed += requests.len() as u64;
                self.incomplete += if list == "incomplete" { requests.len() as u64 } else { 0 };
                for request in requests.iter().filter_map(Record::of) {
                    let line = calls.line();
                    self.request(&request, failed, calls).or_else(|fault| calls.tally.faulty(fault, line))?;
                }
            }
            let totals = benchmark.get("metrics").and_then(|m| m.get("request_totals"));
            let total = totals.and_then(|t| t.get("total")).and_then(Value::as_u64).unwrap_or(0);
            self.missing += total.saturating_sub(listed);
        }
        Ok(())
    }

    fn knows(&self, field: &str) -> bool {
        ["metadata", "config", "args", "benchmarks", "type_"].contains(&field)
    }

    fn end(&mut self, _: &[(String, String)], calls: &mut Calls) -> Result<(), TraceFault> {
        if calls.next_id() == 0 && !calls.tally.any_faulty() {
            let fault = TraceFault::new("a GuideLLM report without its requests, an aggregate and no trace");
            return Err(fault.hint("run it without a sample size of 0, so that the report lists them"));
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.benchmarks > 1 {
            notes.push(format!("{} benchmarks, each with its own strategy, at the times they had", self.benchmarks));
        }
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(self.incomplete, "requests were cut at the end of their benchmark: failed");
        say(
            self.missing,
            "requests are in the totals and not in the lists, which are a sample: the rate is too low by theirs",
        );
        notes
    }
}
