//! OpenTelemetry GenAI spans (OTLP JSON): objects with `resourceSpans`, one a line or one a file.
//! Written to the semantic conventions' description, not tried on an export.
//!
//! Spans of `gen_ai.operation.name` chat, text_completion and generate_content are calls; input tokens include cached
//! ones. Spans come in order of their ends, so they are sorted in a window of 10 minutes.
use super::parse::{Names, count, json, seconds_ns};
use super::sessions::{Order, Sessions, session_elements};
use crate::registry::{Format, Tried};
use baseload_core::types::{Clock, Entry, Measured, Status};
use baseload_core::types::{TraceFault, wrong};
use serde::Deserialize;

/// Row of OpenTelemetry's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "otlp",
    looks_like: "JSON with resourceSpans",
    tried: Tried::Nothing,
    recognises: |head| head.has_keys(&["resourceSpans"]),
    open: |trace| session_elements(trace, Otlp::default()),
    example: r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"1000000000","endTimeUnixNano":"2000000000","attributes":[
{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":"50"}}]}]}]}]}"#,
    ..Format::PLAIN
};

/// A span may start so much before one that stands further up, ns.
const WINDOW_NS: i64 = 600_000_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Export {
    resource_spans: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    #[serde(default)]
    scope_spans: Vec<Scope>,
}

#[derive(Deserialize)]
struct Scope {
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    start_time_unix_nano: Whole,
    end_time_unix_nano: Whole,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    status: State,
}

#[derive(Deserialize, Default)]
struct State {
    code: Option<serde_json::Value>,
}

/// A whole number, which OTLP writes as a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Whole {
    Text(String),
    Number(i64),
}

impl Whole {
    fn value(&self, key: &str) -> Result<i64, TraceFault> {
        match self {
            Whole::Number(n) => Ok(*n),
            Whole::Text(t) => t.parse().map_err(|_| wrong!("{key} is `{t}`; it must be a whole number under 2^63")),
        }
    }
}

#[derive(Deserialize)]
struct Attribute {
    key: String,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Value {
    string_value: Option<String>,
    int_value: Option<Whole>,
    double_value: Option<f64>,
}

impl Span {
    /// The first of `keys` that the span has.
    fn attribute<'a>(&'a self, keys: &[&'static str]) -> Option<(&'static str, &'a Value)> {
        keys.iter().find_map(|k| self.attributes.iter().find(|a| a.key == *k).map(|a| (*k, &a.value)))
    }
    fn tokens(&self, keys: &[&'static str]) -> Result<Option<u32>, TraceFault> {
        let Some((key, value)) = self.attribute(keys) else { return Ok(None) };
        let whole = value.int_value.as_ref().ok_or_else(|| wrong!("{key} has no intValue; it must be a count"))?;
        count(whole.value(key)?, key).map(Some)
    }
}

/// Reads the spans of one object.
#[derive(Default)]
pub(super) struct Otlp {
    sessions: Names,
    /// Spans that are no calls of a model.
    other: u64,
    /// Calls without input tokens.
    uncounted: u64,
}

impl Sessions for Otlp {
    fn item(&mut self, text: &str, _first_id: u64, out: &mut Vec<Entry>) -> Result<(), TraceFault> {
        let export: Export = json(text, "resourceSpans, scopeSpans and spans")?;
        let spans = export.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        for span in spans {
            let operation = span.attribute(&["gen_ai.operation.name"]).and_then(|a| a.1.string_value.as_deref());
            if !matches!(operation, Some("chat" | "text_completion" | "generate_content")) {
                self.other += 1;
                continue;
            }
            let prompt = span.tokens(&["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"])?;
            let Some(prompt_tokens @ 1..) = prompt else {
                self.uncounted += 1;
                continue;
            };
            let start = span.start_time_unix_nano.value("startTimeUnixNano")?;
            let end = span.end_time_unix_nano.value("endTimeUnixNano")?;
            if start < 0 || end < start {
                return Err(wrong!("a span is from {start} to {end}; it must end after its start, counted from 1970"));
            }
            let cached = span.tokens(&["gen_ai.usage.cache_read.input_tokens"])?;
            if let Some(cached) = cached.filter(|&c| c > prompt_tokens) {
                return Err(wrong!(
                    "gen_ai.usage.cache_read.input_tokens is {cached} of {prompt_tokens} input tokens; it may not be more"
                ));
            }
            let first = span.attribute(&["gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token"]);
            let first = first.and_then(|(key, v)| Some((key, v.double_value?)));
            let session = span.attribute(&["gen_ai.conversation.id"]).and_then(|a| a.1.string_value.as_deref());
            let failed = span.attribute(&["error.type"]).is_some()
                || span.status.code.as_ref().is_some_and(|c| c == 2 || c == "STATUS_CODE_ERROR");
            let mut entry = Entry { at_ns: start, prompt_tokens, ..Entry::blank() };
            let output = span.tokens(&["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"])?;
            entry.output_tokens = output.unwrap_or(0);
            entry.max_output_tokens = span.tokens(&["gen_ai.request.max_tokens"])?.unwrap_or(0);
            if let Some(name) = session {
                entry.session = self.sessions.number(name);
            }
            entry.measured = Measured {
                ttft_ns: first.map(|(key, s)| seconds_ns(s, key)).transpose()?.map(|ns| ns as u64),
                e2e_ns: Some((end - start) as u64),
                cached_tokens: cached,
                status: if failed { Status::Failed } else { Status::Completed },
                images: 0,
            };
            out.push(entry);
        }
        out.sort_by_key(|e| e.at_ns);
        Ok(())
    }
    fn clock(&self) -> Clock {
        Clock::Common
    }
    fn order(&self) -> Order {
        Order::Window(WINDOW_NS)
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(self.other, "spans are no calls of a model and are left out");
        say(self.uncounted, "calls record no input tokens and are left out: rate and tokens are too low by theirs");
        notes
    }
}
