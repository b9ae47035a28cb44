//! Helicone's request export (Helicone/helicone: HeliconeRequest, usage processors): JSON lines or CSV, a row a request.
//! Written to the source, not tried on an export.
//!
//! `prompt_tokens` has no cached tokens, `completion_tokens` no reasoning tokens, whatever the provider: both are added, and
//! for Anthropic the tokens written to its cache too. Rows from before that usage code may have them already, which no row
//! says. The CSV has fewer columns, and no cached tokens.
use super::calls::{Calls, Log, Of, log};
use super::paths::no_generation;
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, Measured, Status, TraceFault};

/// Row of Helicone's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "helicone",
    looks_like: "request_id, request_created_at, delay_ms",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, tenants: true, cached: true, ttft: true, cost: true, ..Carries::ARRIVALS },
    recognises: |head| head.has_rows(&NEEDED) || head.has_columns(&NEEDED),
    open: |trace| log(trace, Helicone::default()),
    example: r#"{"request_id":"q1","request_created_at":"2026-11-20T10:00:25Z","response_status":200,"provider":"OPENAI","delay_ms":2500,"prompt_tokens":300,"prompt_cache_read_tokens":512,"completion_tokens":40}"#,
    headed: true,
    ..Format::PLAIN
};

const NEEDED: [&str; 2] = ["request_id", "request_created_at"];

const FIELDS: [&str; 44] = [
    "response_id",
    "response_created_at",
    "response_status",
    "response_model",
    "response_body",
    "request_id",
    "request_created_at",
    "request_body",
    "request_path",
    "request_user_id",
    "request_properties",
    "request_model",
    "model_override",
    "provider",
    "delay_ms",
    "time_to_first_token",
    "total_tokens",
    "prompt_tokens",
    "prompt_cache_write_tokens",
    "prompt_cache_read_tokens",
    "prompt_audio_tokens",
    "completion_tokens",
    "completion_audio_tokens",
    "reasoning_tokens",
    "cost",
    "costUSD",
    "cache_reference_id",
    "cache_enabled",
    "cache_count",
    "model",
    "helicone_user",
    "country_code",
    "scores",
    "properties",
    "prompt_id",
    "prompt_version",
    "feedback_created_at",
    "feedback_id",
    "feedback_rating",
    "signed_body_url",
    "asset_ids",
    "asset_urls",
    "target_url",
    "updated_at",
];

/// The reference of a request that no cache answered.
const NO_REFERENCE: &str = "00000000-0000-0000-0000-000000000000";

/// Reads one request a row.
#[derive(Default)]
struct Helicone {
    /// Requests whose cached or reasoning tokens were added.
    added: u64,
    /// Requests whose written tokens were added.
    written: u64,
}

impl Log for Helicone {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        let id = row.text("request_id").ok_or("request_id is empty; a request must have one")?;
        if calls.again(&id, "request_id") {
            return Ok(());
        }
        if row.text("cache_reference_id").is_some_and(|reference| reference != NO_REFERENCE) {
            calls.leave_out("answered by gateway cache");
            return Ok(());
        }
        let path = row.text("request_path").unwrap_or_default();
        if let Some(path) = no_generation(&path) {
            calls.leave_out(&format!("not a generation: {path}"));
            return Ok(());
        }
        let failed = row.number("response_status")?.is_some_and(|code| !(0.0..400.0).contains(&code));
        let of = |name: &str| row.tokens(name).map(|n| n.unwrap_or(0));
        let (read, reasoning) = (row.tokens("prompt_cache_read_tokens")?, of("reasoning_tokens")?);
        let anthropic = row.text("provider").is_some_and(|p| p.to_ascii_uppercase().contains("ANTHROPIC"));
        let written = if anthropic { of("prompt_cache_write_tokens")? } else { 0 };
        let too_long = "it is over 2^32 tokens; no request can be";
        let sum = |all: &[u32]| all.iter().try_fold(0u32, |sum, n| sum.checked_add(*n)).ok_or(too_long);
        let prompt = sum(&[of("prompt_tokens")?, read.unwrap_or(0), written])?;
        if !calls.has_tokens(Some(prompt), failed) {
            return Ok(());
        }
        let mut entry = Entry { at_ns: calls.needed_instant(row, "request_created_at")?, ..Entry::blank() };
        (entry.prompt_tokens, entry.output_tokens) = (prompt, sum(&[of("completion_tokens")?, reasoning])?);
        self.added += u64::from(read.unwrap_or(0) > 0 || reasoning > 0);
        self.written += u64::from(written > 0);
        entry.measured = Measured {
            // 0 where the answer was not streamed.
            ttft_ns: row.span("time_to_first_token", 6)?.filter(|ns| *ns > 0),
            e2e_ns: row.span("delay_ms", 6)?,
            cached_tokens: read,
            status: if failed { Status::Failed } else { Status::Completed },
            images: 0,
        };
        let properties = row.object("request_properties").or_else(|| row.object("properties")).unwrap_or_default();
        let of = Of {
            tenant: row.text("request_user_id"),
            session: properties.text("Helicone-Session-Id"),
            model: ["request_model", "model", "response_model"].into_iter().find_map(|name| row.text(name)),
            cost_usd: row.first(&["costUSD", "cost"]).map_or(Ok(None), |name| row.number(name))?,
        };
        calls.push(entry, &of)
    }

    fn knows(&self, field: &str) -> bool {
        FIELDS.contains(&field)
    }

    fn skipped(&self) -> &'static [&'static str] {
        &["request_body", "response_body"]
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(
            self.added,
            "requests have cached or reasoning tokens, which Helicone counts apart: added (rows of old versions may have them \
             in already)",
        );
        say(self.written, "requests of Anthropic also have written tokens added to their prompt");
        notes
    }
}
