//! Langfuse observations (langfuse-docs, blob-storage export `observations_v2`, and the API's answers): JSON lines, CSV or
//! lists, a row an observation. Written to the documentation, not tried on an export.
//!
//! Only GENERATION rows are calls; agents and spans carry sums of theirs. Where input, output and cached tokens add up to the
//! total, the input excludes the cached ones. Latencies are seconds. Names are snake_case in exports and camelCase in the API.
use super::calls::{Calls, Log, Of, log, since};
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, Measured, Status, TraceFault};

/// Row of Langfuse's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "langfuse",
    looks_like: "id, trace_id, type, start_time, usage_details",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, tenants: true, cached: true, ttft: true, cost: true, ..Carries::ARRIVALS },
    recognises: |head| {
        let snake = ["id", "trace_id", "type", "start_time"];
        head.has_rows(&snake) || head.has_columns(&snake) || head.has_rows(&["id", "traceId", "type", "startTime"])
    },
    open: |trace| log(trace, Langfuse::default()),
    example: r#"{"id":"g1","trace_id":"t1","type":"GENERATION","start_time":"2026-11-20 10:00:01.000000","end_time":"2026-11-20 10:00:03.000000","provided_model_name":"m-x","usage_details":{"input":300,"output":40,"total":340}}"#,
    headed: true,
    ..Format::PLAIN
};

const READ: [&str; 6] = [
    "input_cached_tokens",
    "cache_read_input_tokens",
    "input_cache_read",
    "cached_tokens",
    "prompt_cached_tokens",
    "input_cached",
];
const WRITTEN: [&str; 4] =
    ["cache_creation_input_tokens", "input_cache_creation", "input_cache_write", "cache_write_input_tokens"];

/// Fields of the export; those of the API are the same in camelCase.
const FIELDS: [&str; 44] = [
    "id",
    "trace_id",
    "project_id",
    "environment",
    "type",
    "parent_observation_id",
    "start_time",
    "end_time",
    "name",
    "level",
    "status_message",
    "version",
    "provided_model_name",
    "internal_model_id",
    "model",
    "model_id",
    "model_parameters",
    "usage",
    "usage_details",
    "cost_details",
    "completion_start_time",
    "total_cost",
    "calculated_total_cost",
    "calculated_input_cost",
    "calculated_output_cost",
    "input_price",
    "output_price",
    "total_price",
    "latency",
    "time_to_first_token",
    "user_id",
    "session_id",
    "trace_name",
    "metadata",
    "input",
    "output",
    "prompt_id",
    "prompt_name",
    "prompt_version",
    "created_at",
    "updated_at",
    "tags",
    "release",
    "bookmarked",
];

/// A camelCase name in snake_case.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Reads one observation a row.
#[derive(Default)]
struct Langfuse {
    /// Requests whose input excluded the cached tokens, by their total.
    excluded: u64,
}

/// A field's name as this row spells it.
fn spelt(row: &Record, snake: &'static str, camel: &'static str) -> &'static str {
    row.first(&[snake, camel]).map_or(snake, |name| if name == snake { snake } else { camel })
}

impl Log for Langfuse {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        let id = row.text("id").ok_or("id is empty; an observation must have one")?;
        if calls.again(&id, "id") {
            return Ok(());
        }
        let kind = row.text("type").unwrap_or_default();
        if !kind.eq_ignore_ascii_case("GENERATION") {
            calls.leave_out(&format!("not a generation: {kind}"));
            return Ok(());
        }
        let failed = row.is("level", "ERROR");
        let usage = ["usage_details", "usageDetails", "usage"].into_iter().find_map(|name| row.object(name));
        let usage = usage.unwrap_or_default();
        let of = |names: &[&'static str]| usage.first(names).map_or(Ok(None), |name| usage.tokens(name));
        let input = of(&["input", "prompt_tokens", "input_tokens", "promptTokens"])?;
        let output = of(&["output", "completion_tokens", "output_tokens", "completionTokens"])?.unwrap_or(0);
        let (read, written, total) = (of(&READ)?, of(&WRITTEN)?, of(&["total", "total_tokens", "totalTokens"])?);
        if !calls.has_tokens(input.map(|n| n.saturating_add(read.unwrap_or(0))), failed) {
            return Ok(());
        }
        let input = input.unwrap_or(0);
        let apart = u64::from(read.unwrap_or(0)) + u64::from(written.unwrap_or(0));
        let whole = u64::from(input) + u64::from(output) + apart;
        let mut entry = Entry::blank();
        entry.at_ns = calls.needed_instant(row, spelt(row, "start_time", "startTime"))?;
        entry.prompt_tokens = match total {
            // About: some totals leave out what was written.
            Some(total) if apart > 0 && u64::from(total).abs_diff(whole) * 100 <= whole => {
                self.excluded += 1;
                u32::try_from(u64::from(input) + apart).map_err(|_| "its prompt is over 2^32 tokens")?
            }
            _ => calls.whole_prompt(input, read, written)?,
        };
        entry.output_tokens = output;
        let since = |at: Option<i64>| at.and_then(|at| since(entry.at_ns, at));
        let first = calls.instant(row, spelt(row, "completion_start_time", "completionStartTime"))?;
        let end = calls.instant(row, spelt(row, "end_time", "endTime"))?;
        let ttft = match since(first) {
            Some(ns) => Some(ns),
            None => row.span(spelt(row, "time_to_first_token", "timeToFirstToken"), 9)?,
        };
        let e2e_ns = match since(end) {
            Some(ns) => Some(ns),
            None => row.span("latency", 9)?,
        };
        let status = if failed { Status::Failed } else { Status::Completed };
        entry.measured = Measured { ttft_ns: ttft, e2e_ns, cached_tokens: read, status, images: 0 };
        let of = Of {
            tenant: row.text(spelt(row, "user_id", "userId")),
            session: row.text(spelt(row, "session_id", "sessionId")),
            model: ["provided_model_name", "providedModelName", "model"].into_iter().find_map(|name| row.text(name)),
            cost_usd: row
                .first(&["total_cost", "totalCost", "calculatedTotalCost"])
                .map_or(Ok(None), |n| row.number(n))?,
        };
        calls.push(entry, &of)
    }

    fn knows(&self, field: &str) -> bool {
        FIELDS.contains(&field) || FIELDS.contains(&snake_case(field).as_str())
    }

    fn skipped(&self) -> &'static [&'static str] {
        &["input", "output"]
    }

    fn notes(&self) -> Vec<String> {
        let excluded = (self.excluded > 0).then(|| {
            format!("{} requests have an input that excludes cached tokens, as their totals say: added", self.excluded)
        });
        excluded.into_iter().collect()
    }
}
