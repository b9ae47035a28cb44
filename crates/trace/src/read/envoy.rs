//! Envoy AI Gateway's access log (envoyproxy/ai-gateway accesslogs.md): JSON lines whose keys the operator names; those of the
//! documented example, and the names of OpenTelemetry, are known. Written to the documentation, not tried on a log.
//!
//! `-` and null are absent. Rows of MCP are no calls. Tokens are there only where llmRequestCosts is set.
use super::calls::{Calls, Log, Of, log};
use super::paths::no_generation;
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, Measured, Status, TraceFault};

/// Row of Envoy AI Gateway's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "envoy-ai-gateway",
    looks_like: "JSON with start_time, duration, genai_tokens_input",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, cached: true, ..Carries::ARRIVALS },
    recognises: |head| {
        PROMPT.iter().any(|prompt| head.has_keys(&["start_time", "duration", prompt])) && !head.has_keys(&["span_id"])
    },
    open: |trace| log(trace, Envoy),
    example: r#"{"start_time":"2026-11-20T10:00:00.000Z","duration":2100,"response_code":200,"genai_model_name":"m-x","genai_tokens_input":900,"genai_tokens_output":80}"#,
    ..Format::PLAIN
};

const PROMPT: [&str; 2] = ["genai_tokens_input", "gen_ai.usage.input_tokens"];
const OUTPUT: [&str; 2] = ["genai_tokens_output", "gen_ai.usage.output_tokens"];
const CACHED: [&str; 3] =
    ["genai_tokens_cached_input", "genai_tokens_input_cached", "gen_ai.usage.cache_read.input_tokens"];
const MODEL: [&str; 4] =
    ["genai_model_name", "gen_ai.response.model", "gen_ai.request.model", "genai_model_name_override"];
const SESSION: [&str; 3] = ["session.id", "session_id", "gen_ai.conversation.id"];
const TENANT: [&str; 2] = ["user.id", "tenant"];
const PATH: [&str; 3] = ["x-envoy-origin-path", "path", "x_envoy_origin_path"];

/// Others of the documented example and of Envoy's own operators.
const OTHERS: [&str; 22] = [
    "start_time",
    "duration",
    "response_code",
    "response_flags",
    "response_code_details",
    "genai_backend_name",
    "genai_tokens_total",
    "gen_ai.usage.total_tokens",
    "gen_ai.provider.name",
    "x-request-id",
    "request_id",
    "method",
    "protocol",
    "bytes_received",
    "bytes_sent",
    "upstream_host",
    "upstream_cluster",
    "user-agent",
    "downstream_remote_address",
    "connection_termination_details",
    "upstream_transport_failure_reason",
    "route_name",
];

/// Reads one call a row.
struct Envoy;

/// The first of these fields that is there and not `-`.
fn text(row: &Record, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| row.text(name).filter(|text| text != "-"))
}

fn tokens(row: &Record, names: &[&str]) -> Result<Option<u32>, TraceFault> {
    let there = names.iter().find(|name| row.text(name).is_some_and(|text| text != "-"));
    there.map_or(Ok(None), |name| row.tokens(name))
}

impl Log for Envoy {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        let mcp = row.names().any(|name| name.starts_with("mcp_") && text(row, &[name]).is_some());
        if mcp {
            calls.leave_out("MCP row");
            return Ok(());
        }
        if text(row, &["x-request-id", "request_id"]).is_some_and(|id| calls.again(&id, "request id")) {
            return Ok(());
        }
        let path = text(row, &PATH).unwrap_or_default();
        if let Some(path) = no_generation(&path) {
            calls.leave_out(&format!("not a generation: {path}"));
            return Ok(());
        }
        // Code 0: the client went before there was one.
        let code = text(row, &["response_code"]).and_then(|code| code.parse::<u32>().ok());
        let failed = code.is_some_and(|code| code == 0 || code >= 400);
        let (prompt, cached) = (tokens(row, &PROMPT)?, tokens(row, &CACHED)?);
        if !calls.has_tokens(prompt, failed) {
            return Ok(());
        }
        let mut entry = Entry { at_ns: calls.needed_instant(row, "start_time")?, ..Entry::blank() };
        entry.prompt_tokens = calls.whole_prompt(prompt.unwrap_or(0), cached, None)?;
        entry.output_tokens = tokens(row, &OUTPUT)?.unwrap_or(0);
        entry.measured = Measured {
            e2e_ns: row.span("duration", 6)?,
            cached_tokens: cached,
            status: if failed { Status::Failed } else { Status::Completed },
            ..Measured::default()
        };
        let of =
            Of { tenant: text(row, &TENANT), session: text(row, &SESSION), model: text(row, &MODEL), cost_usd: None };
        calls.push(entry, &of)
    }

    fn knows(&self, field: &str) -> bool {
        let all = [&PROMPT[..], &OUTPUT, &CACHED, &MODEL, &SESSION, &TENANT, &PATH, &OTHERS];
        field.starts_with("mcp_") || all.iter().any(|names| names.contains(&field))
    }
}
