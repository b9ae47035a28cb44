//! AIPerf's profile_export.jsonl (0.13, common/models): a JSON line a request, whose metrics each carry their unit. Written
//! to the source, not tried on an export.
//!
//! Requests of the warm-up are left out. Prompt tokens are the server's count where it gives one, else AIPerf's own; of a
//! failed request its `error_isl`. A session is a conversation. The summary, profile_export_aiperf.json, is an aggregate.
use super::calls::{Calls, Log, Of, log};
use super::record::{Record, nanos, tokens};
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, Measured, Status, TraceFault, wrong};

/// Row of AIPerf's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "aiperf",
    looks_like: "JSON with metadata.request_start_ns, metrics",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, cached: true, ttft: true, ..Carries::ARRIVALS },
    recognises: |head| head.has_keys(&["metadata", "metrics"]) && head.names("request_start_ns"),
    open: |trace| log(trace, AiPerf::default()),
    example: r#"{"metadata":{"x_request_id":"x1","conversation_id":"cv1","request_start_ns":1795168802000000000,"benchmark_phase":"profiling"},"metrics":{"input_sequence_length":{"value":500,"unit":"tokens"},"output_sequence_length":{"value":40,"unit":"tokens"},"time_to_first_token":{"value":150.0,"unit":"ms"}},"error":null}"#,
    ..Format::PLAIN
};

/// Reads one request a line.
#[derive(Default)]
struct AiPerf {
    /// Requests whose prompt the server counted.
    by_server: u64,
    kept: u64,
}

/// A metric that counts tokens.
fn counted(row: &Record, names: &[&str]) -> Result<Option<u32>, TraceFault> {
    let paths = names.iter().map(|name| format!("metrics.{name}.value"));
    paths.filter_map(|path| row.get(&path).map(|value| tokens(value, &path))).next().transpose()
}

/// A metric that is a time, by its unit.
fn timed(row: &Record, name: &str) -> Result<Option<u64>, TraceFault> {
    let path = format!("metrics.{name}.value");
    let Some(value) = row.get(&path) else { return Ok(None) };
    let unit = row.text(&format!("metrics.{name}.unit")).unwrap_or_else(|| "ms".into());
    let digits = match unit.as_str() {
        "ns" => 0,
        "us" => 3,
        "ms" => 6,
        "s" | "sec" | "seconds" => 9,
        other => return Err(wrong!("the unit of {name} is `{other}`; only ns, us, ms and s are known")),
    };
    nanos(value, name, digits).map(Some)
}

impl Log for AiPerf {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        if row.is("metadata.benchmark_phase", "warmup") {
            calls.leave_out("warm-up");
            return Ok(());
        }
        if row.text("metadata.x_request_id").is_some_and(|id| calls.again(&id, "x_request_id")) {
            return Ok(());
        }
        let failed = row.get("error").is_some();
        let by_server = counted(row, &["usage_prompt_tokens"])?;
        let prompt = match by_server {
            Some(tokens) => Some(tokens),
            None => counted(row, &["input_sequence_length", "error_isl"])?,
        };
        if !calls.has_tokens(prompt, failed) {
            return Ok(());
        }
        let start = row.get("metadata.request_start_ns").and_then(|at| at.as_i64());
        let mut entry = Entry::blank();
        entry.at_ns = start.ok_or("metadata.request_start_ns is no whole number; a request must have one")?;
        let cached = counted(row, &["usage_prompt_cache_read_tokens"])?;
        entry.prompt_tokens = calls.whole_prompt(prompt.unwrap_or(0), cached, None)?;
        entry.output_tokens = counted(row, &["output_sequence_length", "usage_completion_tokens"])?.unwrap_or(0);
        entry.measured = Measured {
            ttft_ns: timed(row, "time_to_first_token")?,
            e2e_ns: timed(row, "request_latency")?,
            cached_tokens: cached,
            status: match (failed, row.is("metadata.was_cancelled", "true")) {
                (_, true) => Status::Cancelled,
                (true, false) => Status::Failed,
                (false, false) => Status::Completed,
            },
            images: 0,
        };
        self.kept += 1;
        self.by_server += u64::from(by_server.is_some());
        calls.push(entry, &Of { session: row.text("metadata.conversation_id"), ..Of::default() })
    }

    fn knows(&self, field: &str) -> bool {
        ["metadata", "metrics", "error", "trace_data", "raw"].contains(&field)
    }

    fn notes(&self) -> Vec<String> {
        let server = (self.by_server > 0)
            .then(|| format!("prompt tokens are the server's own count in {} of {}", self.by_server, self.kept));
        server.into_iter().collect()
    }
}
