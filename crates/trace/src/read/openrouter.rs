//! OpenRouter's generation export: a CSV of 24 columns, newest first. Written to headers in public repositories, not tried on
//! an export. Whether its tokens are the model's own or normalised is not known.
//!
//! `created_at` is UTC; reasoning tokens are within the completion, cached ones within the prompt. The time to the first token
//! counts only where the answer was streamed. What was cancelled is a failed request. Tenant = api_key_name, else app_name,
//! else user. The activity and spend exports are sums, no calls.
use super::calls::{Calls, Log, Of, log};
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, Measured, Status, TraceFault};

/// Row of OpenRouter's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "openrouter",
    looks_like: "header generation_id, tokens_prompt",
    tried: Tried::Nothing,
    carries: Carries { tenants: true, cached: true, ttft: true, cost: true, ..Carries::ARRIVALS },
    recognises: |head| head.has_columns(&NEEDED) || head.has_rows(&NEEDED),
    open: |trace| log(trace, OpenRouter),
    example: "generation_id,created_at,tokens_prompt,tokens_completion,cancelled,streamed,api_key_name\n\
              gen-1,2026-11-20 10:02:00.100,300,20,false,true,key-b\n",
    headed: true,
    ..Format::PLAIN
};

const NEEDED: [&str; 3] = ["generation_id", "created_at", "tokens_prompt"];

const COLUMNS: [&str; 24] = [
    "generation_id",
    "created_at",
    "cost_total",
    "cost_web_search",
    "cost_cache",
    "cost_file_processing",
    "byok_usage_inference",
    "tokens_prompt",
    "tokens_completion",
    "tokens_reasoning",
    "tokens_cached",
    "model_permaslug",
    "provider_name",
    "variant",
    "cancelled",
    "streamed",
    "user",
    "finish_reason_raw",
    "finish_reason_normalized",
    "generation_time_ms",
    "time_to_first_token_ms",
    "api_key_disabled",
    "api_key_name",
    "app_name",
];

/// Reads one generation a row.
struct OpenRouter;

impl Log for OpenRouter {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        let id = row.text("generation_id").ok_or("generation_id is empty; a generation must have one")?;
        if calls.again(&id, "generation_id") {
            return Ok(());
        }
        let (prompt, output) = (row.tokens("tokens_prompt")?, row.tokens("tokens_completion")?.unwrap_or(0));
        let cancelled = row.is("cancelled", "true");
        let ended = row.first(&["finish_reason_raw", "finish_reason_normalized"]).is_some();
        if output == 0 && !cancelled && !ended {
            calls.leave_out("no completion, not cancelled, no finish reason (an embedding?)");
            return Ok(());
        }
        if !calls.has_tokens(prompt, cancelled) {
            return Ok(());
        }
        let cached = row.tokens("tokens_cached")?;
        let mut entry = Entry { at_ns: calls.needed_instant(row, "created_at")?, ..Entry::blank() };
        entry.prompt_tokens = calls.whole_prompt(prompt.unwrap_or(0), cached, None)?;
        entry.output_tokens = output;
        let first = row.span("time_to_first_token_ms", 6)?.filter(|_| row.is("streamed", "true"));
        entry.measured = Measured {
            ttft_ns: first,
            e2e_ns: row.span("generation_time_ms", 6)?,
            cached_tokens: cached,
            status: if cancelled { Status::Failed } else { Status::Completed },
            images: 0,
        };
        let of = Of {
            tenant: ["api_key_name", "app_name", "user"].into_iter().find_map(|name| row.text(name)),
            model: row.text("model_permaslug"),
            cost_usd: row.number("cost_total")?,
            session: None,
        };
        calls.push(entry, &of)
    }

    fn knows(&self, field: &str) -> bool {
        COLUMNS.contains(&field)
    }

    fn notes(&self) -> Vec<String> {
        vec!["TTFT is kept only of streamed answers; a cancelled generation is a failed request".into()]
    }
}
