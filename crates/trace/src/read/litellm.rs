//! LiteLLM spend logs (BerriAI/litellm 1.110.2, schema.prisma, model LiteLLM_SpendLogs; spend_tracking_utils.py): a row a call,
//! as JSON lines, CSV, the list of `/spend/logs` or the pages of `/spend/logs/v2`. Written to the schema, not tried on an
//! export.
//!
//! Rows of other calls than generations are left out by their `call_type` (`litellm_call_types.txt`). Tenant = team_id, else
//! end_user, else user. Every call has a session id unless the client sent one, so that a session is one with two calls.
//! `completionStartTime` is the first token only where it is before the end: answers that are not streamed have both alike.
//! `messages`, `response` and `proxy_server_request` are never looked at.
use super::calls::{Calls, Log, Of, log, since};
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use crate::shown::shown;
use baseload_core::types::{Entry, Measured, Status, TraceFault};

/// Row of LiteLLM's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "litellm",
    looks_like: "request_id, startTime, prompt_tokens",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, tenants: true, cached: true, ttft: true, cost: true, ..Carries::ARRIVALS },
    recognises: |head| head.has_rows(&NEEDED) || head.has_columns(&NEEDED),
    open: |trace| log(trace, LiteLlm::default()),
    example: "request_id,startTime,prompt_tokens,completion_tokens,team_id\na,2026-06-01 08:00:00.5,10,3,red\n",
    headed: true,
    ..Format::PLAIN
};

/// What tells it from other logs.
const NEEDED: [&str; 3] = ["request_id", "startTime", "prompt_tokens"];

/// Columns of 1.110.2.
const COLUMNS: [&str; 36] = [
    "request_id",
    "call_type",
    "api_key",
    "spend",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "startTime",
    "endTime",
    "request_duration_ms",
    "completionStartTime",
    "model",
    "model_id",
    "model_group",
    "custom_llm_provider",
    "api_base",
    "user",
    "metadata",
    "cache_hit",
    "cache_key",
    "request_tags",
    "team_id",
    "organization_id",
    "end_user",
    "requester_ip_address",
    "messages",
    "response",
    "session_id",
    "status",
    "mcp_namespaced_tool_name",
    "billing_agent_id",
    "agent_id",
    "proxy_server_request",
    "litellm_call_id",
    "created_at",
    "updated_at",
];

/// How rows of each call type are read.
const CALL_TYPES: &str = include_str!("litellm_call_types.txt");

/// How rows of a call type are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Generation,
    ByTokens,
    None,
    Unknown,
}

fn reading(call_type: &str) -> Reading {
    let types = CALL_TYPES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    match types.into_iter().find(|(name, _)| *name == call_type).map(|t| t.1) {
        Some("generation") => Reading::Generation,
        Some("by tokens") => Reading::ByTokens,
        Some(_) => Reading::None,
        None => Reading::Unknown,
    }
}

/// Reads one call a row.
#[derive(Default)]
struct LiteLlm {
    /// Calls of types that nobody knows, taken by their tokens.
    strange: Vec<(String, u64)>,
    retried: u64,
    fallen_back: u64,
    /// Rows whose total is not the sum of prompt and completion.
    unequal: u64,
    kept: u64,
    first_tokens: u64,
    pages: Option<String>,
}

/// Cached and written tokens, wherever this version put them.
fn cached(meta: &Record) -> Result<(Option<u32>, Option<u32>), TraceFault> {
    const READ: [&str; 7] = [
        "additional_usage_values.cache_read_input_tokens",
        "additional_usage_values.prompt_tokens_details.cached_tokens",
        "additional_usage_values.prompt_cache_hit_tokens",
        "usage_object.cache_read_input_tokens",
        "usage_object.prompt_tokens_details.cached_tokens",
        "usage_object.prompt_cache_hit_tokens",
        "prompt_cache_hit_tokens",
    ];
    const WRITTEN: [&str; 6] = [
        "additional_usage_values.cache_creation_input_tokens",
        "additional_usage_values.prompt_tokens_details.cache_write_tokens",
        "additional_usage_values.prompt_tokens_details.cache_creation_tokens",
        "usage_object.cache_creation_input_tokens",
        "usage_object.prompt_tokens_details.cache_write_tokens",
        "usage_object.prompt_tokens_details.cache_creation_tokens",
    ];
    let of = |names: &[&'static str]| meta.first(names).map_or(Ok(None), |name| meta.tokens(name));
    Ok((of(&READ)?, of(&WRITTEN)?))
}

impl LiteLlm {
    /// Why a row is no call that reached a model, where it is none.
    fn no_call(&mut self, row: &Record, meta: &Record, has_output: bool) -> Result<Option<String>, TraceFault> {
        if meta.is("billed_retry_attempt", "true") {
            return Ok(Some("billed retry attempt".into()));
        }
        let id = row.text("request_id").unwrap_or_default();
        if row.is("cache_hit", "true") || id.contains("_cache_hit") {
            return Ok(Some("answered by gateway cache".into()));
        }
        // Old exports have no such column: their rows are taken by their tokens.
        let call_type = row.text("call_type").unwrap_or_default();
        let any = has_output || row.tokens("prompt_tokens")?.is_some_and(|n| n > 0);
        let reading = if call_type.is_empty() { Reading::ByTokens } else { reading(&call_type) };
        match reading {
            Reading::Generation => Ok(None),
            Reading::ByTokens if any || call_type.is_empty() => Ok(None),
            Reading::ByTokens => Ok(Some(format!("no tokens: {call_type}"))),
            Reading::Unknown if has_output => {
                match self.strange.iter_mut().find(|s| s.0 == call_type) {
                    Some(known) => known.1 += 1,
                    None => self.strange.push((call_type, 1)),
                }
                Ok(None)
            }
            Reading::None | Reading::Unknown => Ok(Some(format!("not a generation: {call_type}"))),
        }
    }
}

impl Log for LiteLlm {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        let id = row.text("request_id").ok_or("request_id is empty; a call must have one")?;
        if calls.again(&id, "request_id") {
            return Ok(());
        }
        let meta = row.object("metadata").unwrap_or_default();
        let output = row.tokens("completion_tokens")?.unwrap_or(0);
        if let Some(reason) = self.no_call(row, &meta, output > 0)? {
            calls.leave_out(&reason);
            return Ok(());
        }
        let status = row.text("status").or_else(|| meta.text("status")).unwrap_or_default();
        let failed = match status.as_str() {
            "" | "success" => false,
            "failure" => true,
            other => return Err(format!("status is `{other}`; only success and failure are known").into()),
        };
        let prompt = row.tokens("prompt_tokens")?;
        if !calls.has_tokens(prompt, failed) {
            return Ok(());
        }
        let prompt = prompt.unwrap_or(0);
        let total = row.tokens("total_tokens")?;
        self.unequal += u64::from(total.is_some_and(|t| u64::from(t) != u64::from(prompt) + u64::from(output)));
        let (read, written) = cached(&meta)?;
        let mut entry = Entry { at_ns: calls.needed_instant(row, "startTime")?, ..Entry::blank() };
        entry.prompt_tokens = calls.whole_prompt(prompt, read, written)?;
        entry.output_tokens = output;
        let (first, end) = (calls.instant(row, "completionStartTime")?, calls.instant(row, "endTime")?);
        let since = |at: i64| since(entry.at_ns, at);
        let ttft = first.filter(|first| end.is_none_or(|end| *first < end)).and_then(since);
        let e2e_ns = match row.span("request_duration_ms", 6)? {
            Some(took) => Some(took),
            None => end.and_then(since),
        };
        let status = if failed { Status::Failed } else { Status::Completed };
        entry.measured = Measured { ttft_ns: ttft, e2e_ns, cached_tokens: read, status, images: 0 };
        self.kept += 1;
        self.first_tokens += u64::from(ttft.is_some());
        self.retried += u64::from(meta.tokens("attempted_retries").ok().flatten().is_some_and(|n| n > 0));
        self.fallen_back += u64::from(meta.tokens("attempted_fallbacks").ok().flatten().is_some_and(|n| n > 0));
        let of = Of {
            tenant: ["team_id", "end_user", "user"].into_iter().find_map(|name| row.text(name)),
            session: row.text("session_id"),
            model: row.text("model"),
            cost_usd: row.number("spend")?,
        };
        calls.push(entry, &of)
    }

    fn knows(&self, field: &str) -> bool {
        COLUMNS.contains(&field)
    }

    fn skipped(&self) -> &'static [&'static str] {
        &["messages", "response", "proxy_server_request"]
    }

    fn lone_sessions(&self) -> bool {
        false
    }

    fn end(&mut self, beside: &[(String, String)], _: &mut Calls) -> Result<(), TraceFault> {
        let number = |name: &str| beside.iter().rev().find(|b| b.0 == name).and_then(|b| b.1.parse::<u64>().ok());
        let pages = beside.iter().filter(|b| b.0 == "page").count() as u64;
        if let (Some(page), Some(total)) = (number("page"), number("total_pages")) {
            self.pages = Some(if pages >= total {
                format!("{pages} of {total} pages")
            } else {
                format!(
                    "page {page} of {total} alone: {} pages are missing, and with them their requests",
                    total - pages
                )
            });
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.pages.iter().cloned().collect();
        for (name, n) in self.strange.iter().take(8) {
            notes.push(format!("call_type {} is unknown: taken by its tokens ({n} rows)", shown(name)));
        }
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(self.retried, "requests had retries: their durations and TTFTs include them");
        say(self.fallen_back, "requests fell back to another model: their durations and TTFTs include the first one's");
        say(self.unequal, "requests have a total_tokens that is not prompt + completion; it is not used");
        if self.first_tokens < self.kept && self.first_tokens > 0 {
            notes
                .push(format!("TTFT is known of {} of {}: the others were not streamed", self.first_tokens, self.kept));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_types_are_read_as_the_table_says() {
        let rows = CALL_TYPES.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let of = |kind: &str| rows.clone().filter(|line| line.ends_with(&format!(" = {kind}"))).count();
        assert_eq!((of("generation"), of("by tokens"), of("no generation")), (15, 9, 144));
        assert_eq!((reading("acompletion"), reading("run_thread")), (Reading::Generation, Reading::ByTokens));
        assert_eq!((reading("aembedding"), reading("holo_chat")), (Reading::None, Reading::Unknown));
    }
}
