//! Cloudflare AI Gateway's logs as its API answers them: pages that wrap lists of calls, newest first. Written to the
//! documentation, not tried on an answer. Logpush events name no tokens and are not read.
//!
//! `cached` is the gateway's own answer; `step` above 0 says that a fallback answered.
use super::calls::{Calls, Log, Of, log};
use super::paths::no_generation;
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, Measured, Status, TraceFault};

/// Row of Cloudflare's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "cloudflare-ai-gateway",
    looks_like: "JSON with created_at, tokens_in, tokens_out",
    tried: Tried::Nothing,
    carries: Carries { cost: true, ..Carries::ARRIVALS },
    recognises: |head| head.has_rows(&["created_at", "tokens_in", "tokens_out"]),
    open: |trace| log(trace, Cloudflare::default()),
    example: r#"{"result":[{"id":"c1","created_at":"2026-11-20T10:00:10Z","model":"m-y","success":true,"cached":false,"step":0,"duration":2500,"tokens_in":210,"tokens_out":90}]}"#,
    ..Format::PLAIN
};

const FIELDS: [&str; 26] = [
    "id",
    "created_at",
    "provider",
    "model",
    "model_type",
    "path",
    "request_type",
    "request_content_type",
    "request_head",
    "request_size",
    "response_content_type",
    "response_head",
    "response_size",
    "status_code",
    "success",
    "cached",
    "step",
    "duration",
    "tokens_in",
    "tokens_out",
    "cost",
    "custom_cost",
    "metadata",
    "request_head_complete",
    "response_head_complete",
    "event_id",
];

/// Reads one call a row.
#[derive(Default)]
struct Cloudflare {
    rows: u64,
    fallbacks: u64,
    missing: u64,
}

impl Log for Cloudflare {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        self.rows += 1;
        if row.text("id").is_some_and(|id| calls.again(&id, "id")) {
            return Ok(());
        }
        let path = row.text("path").unwrap_or_default();
        if let Some(path) = no_generation(&path) {
            calls.leave_out(&format!("not a generation: {path}"));
            return Ok(());
        }
        if row.is("cached", "true") {
            calls.leave_out("answered by gateway cache");
            return Ok(());
        }
        let failed = row.is("success", "false") || row.number("status_code")?.is_some_and(|code| code >= 400.0);
        let prompt = row.tokens("tokens_in")?;
        if !calls.has_tokens(prompt, failed) {
            return Ok(());
        }
        let mut entry = Entry { at_ns: calls.needed_instant(row, "created_at")?, ..Entry::blank() };
        (entry.prompt_tokens, entry.output_tokens) = (prompt.unwrap_or(0), row.tokens("tokens_out")?.unwrap_or(0));
        entry.measured = Measured {
            e2e_ns: row.span("duration", 6)?,
            status: if failed { Status::Failed } else { Status::Completed },
            ..Measured::default()
        };
        self.fallbacks += u64::from(row.number("step")?.is_some_and(|step| step > 0.0));
        let of = Of { model: row.text("model"), cost_usd: row.number("cost")?, ..Of::default() };
        calls.push(entry, &of)
    }

    fn knows(&self, field: &str) -> bool {
        FIELDS.contains(&field)
    }

    fn skipped(&self) -> &'static [&'static str] {
        &["request_head", "response_head"]
    }

    fn end(&mut self, beside: &[(String, String)], _: &mut Calls) -> Result<(), TraceFault> {
        let info = beside.iter().rev().find(|b| b.0 == "result_info");
        let info = info.and_then(|b| Record::json(&b.1, &[]).ok()).unwrap_or_default();
        let total = info.number("total_count").ok().flatten().unwrap_or(0.0);
        self.missing = (total as u64).saturating_sub(self.rows);
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(self.fallbacks, "requests ran on a fallback step");
        say(self.missing, "calls of the log are on other pages and not in this file");
        notes
    }
}
