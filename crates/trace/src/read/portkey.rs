//! Portkey's log export: JSON lines, a row a try of a call. Written to the documentation, not tried on an export.
//!
//! Costs are US cents. There are neither cached tokens nor times to the first token; `trace_id` links the tries of one call,
//! which are no conversation. Tenant = metadata._user.
use super::calls::{Calls, Log, Of, log};
use super::paths::no_generation;
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, Measured, Status, TraceFault};

/// Row of Portkey's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "portkey",
    looks_like: "created_at, ai_model, req_units, res_units",
    tried: Tried::Nothing,
    carries: Carries { tenants: true, cost: true, ..Carries::ARRIVALS },
    recognises: |head| head.has_rows(&NEEDED) || head.has_columns(&NEEDED),
    open: |trace| log(trace, Portkey),
    example: r#"{"id":"p1","created_at":"2026-11-20T10:00:00.000Z","is_success":true,"ai_model":"m-x","req_units":500,"res_units":70,"response_time":1800}"#,
    headed: true,
    ..Format::PLAIN
};

const NEEDED: [&str; 3] = ["created_at", "req_units", "res_units"];

const FIELDS: [&str; 26] = [
    "id",
    "trace_id",
    "created_at",
    "is_success",
    "ai_org",
    "ai_model",
    "req_units",
    "res_units",
    "total_units",
    "request_url",
    "cost",
    "cost_currency",
    "response_time",
    "response_status_code",
    "mode",
    "metadata",
    "request",
    "response",
    "config",
    "prompt_slug",
    "cache_status",
    "request_method",
    "retry_success_count",
    "span_id",
    "workspace_slug",
    "api_key_slug",
];

/// Reads one try a row.
struct Portkey;

impl Log for Portkey {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        if row.text("id").is_some_and(|id| calls.again(&id, "id")) {
            return Ok(());
        }
        let address = row.text("request_url").unwrap_or_default();
        if let Some(path) = no_generation(&address) {
            calls.leave_out(&format!("not a generation: {path}"));
            return Ok(());
        }
        if row.text("cache_status").is_some_and(|status| status.to_ascii_uppercase().ends_with("HIT")) {
            calls.leave_out("answered by gateway cache");
            return Ok(());
        }
        let code = row.number("response_status_code")?;
        let failed = row.is("is_success", "false") || code.is_some_and(|code| code >= 400.0);
        let prompt = row.tokens("req_units")?;
        if !calls.has_tokens(prompt, failed) {
            return Ok(());
        }
        let mut entry = Entry { at_ns: calls.needed_instant(row, "created_at")?, ..Entry::blank() };
        (entry.prompt_tokens, entry.output_tokens) = (prompt.unwrap_or(0), row.tokens("res_units")?.unwrap_or(0));
        entry.measured = Measured {
            e2e_ns: row.span("response_time", 6)?,
            status: if failed { Status::Failed } else { Status::Completed },
            ..Measured::default()
        };
        let of = Of {
            tenant: row.object("metadata").and_then(|metadata| metadata.text("_user")),
            model: row.text("ai_model"),
            cost_usd: row.number("cost")?.map(|cents| cents / 100.0),
            session: None,
        };
        calls.push(entry, &of)
    }

    fn knows(&self, field: &str) -> bool {
        FIELDS.contains(&field)
    }

    fn skipped(&self) -> &'static [&'static str] {
        &["request", "response"]
    }

    fn notes(&self) -> Vec<String> {
        vec!["costs are taken as US cents; cached tokens and TTFT are not in this export".into()]
    }
}
