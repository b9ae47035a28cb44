//! inference-perf's per_request_lifecycle_metrics.json (kubernetes-sigs/inference-perf v0.6.1): a JSON list of requests. Written
//! to the source, not tried on a report.
//!
//! Times are a monotonic clock in seconds. The first token comes at the first of `output_token_times`. Stage and session are
//! not exported. Its summary and stage reports are aggregates.
use super::calls::{Calls, Log, Of, log};
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, Measured, Status, TraceFault};

/// Row of inference-perf's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "inference-perf",
    looks_like: "JSON list with start_time, end_time, request, info",
    tried: Tried::Nothing,
    carries: Carries { cached: true, ttft: true, ..Carries::ARRIVALS },
    recognises: |head| {
        // A long request may cut off what follows it.
        head.has_keys(&["start_time", "end_time", "request"]) && !head.has_keys(&["span_id"])
    },
    open: |trace| log(trace, InferencePerf),
    example: r#"[{"start_time":9000.5,"end_time":9001.5,"request":"{}","info":{"request_metrics":{"text":{"input_tokens":600}},"response_metrics":{"output_tokens":20,"output_token_times":[9000.75,9001.5]}},"error":null}]"#,
    ..Format::PLAIN
};

/// Reads one request an element.
struct InferencePerf;

impl Log for InferencePerf {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        let failed = row.get("error").is_some();
        let of = |names: &[&'static str]| row.first(names).map_or(Ok(None), |name| row.tokens(name));
        let prompt = of(&[
            "info.response_metrics.server_usage.prompt_tokens",
            "info.request_metrics.text.input_tokens",
            "info.input_tokens",
        ])?;
        if !calls.has_tokens(prompt, failed) {
            return Ok(());
        }
        let cached = of(&["info.response_metrics.server_usage.prompt_tokens_details.cached_tokens"])?;
        let start = row.span("start_time", 9)?.ok_or("start_time is not there; a request must have one")?;
        let mut entry = Entry { at_ns: start as i64, ..Entry::blank() };
        entry.prompt_tokens = calls.whole_prompt(prompt.unwrap_or(0), cached, None)?;
        let output = of(&["info.response_metrics.output_tokens", "info.output_tokens"])?;
        entry.output_tokens = output.unwrap_or(0);
        let times = row.get("info.response_metrics.output_token_times").and_then(|t| t.as_array()?.first());
        let first = times.map(|at| super::record::nanos(at, "output_token_times", 9)).transpose()?;
        entry.measured = Measured {
            ttft_ns: first.and_then(|at| at.checked_sub(start)),
            e2e_ns: row.span("end_time", 9)?.and_then(|end| end.checked_sub(start)),
            cached_tokens: cached,
            status: if failed { Status::Failed } else { Status::Completed },
            images: 0,
        };
        if failed {
            (entry.measured.ttft_ns, entry.measured.e2e_ns) = (None, None);
        }
        let request = row.object("request").unwrap_or_default();
        entry.max_output_tokens = request.tokens("max_tokens").ok().flatten().unwrap_or(0);
        calls.push(entry, &Of { model: request.text("model"), ..Of::default() })
    }

    fn knows(&self, field: &str) -> bool {
        ["start_time", "end_time", "request", "response", "info", "error"].contains(&field)
    }

    fn skipped(&self) -> &'static [&'static str] {
        &["response"]
    }
}
