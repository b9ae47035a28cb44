//! OpenTelemetry spans of model calls: OTLP/JSON (objects with `resourceSpans` or Tempo's `batches`) and the flat form of
//! inference-perf (`{"spans": [...]}`). Names by the GenAI conventions old and new, OpenInference, vLLM's and SGLang's engines.
//! Written to the conventions and the exporters' sources, not tried on an export.
//!
//! A call is a span whose operation generates text, an engine's span of a request, or one with usage and a model. Others are
//! left out by their operation or name. One call that several instrumentations saw is one request ([`super::seen_twice`]).
use super::calls::{Calls, Log, Of, log, since};
use super::record::Record;
use super::seen_twice::{Call, Spans};
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::timestamp::timestamp;
use baseload_core::types::{Entry, Measured, Status, TraceFault, wrong};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::Value;

/// Row of OpenTelemetry's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "otlp",
    looks_like: "JSON with resourceSpans, batches or spans",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, tenants: true, cached: true, ttft: true, cost: true, ..Carries::ARRIVALS },
    recognises: |head| {
        let exports = ["resourceSpans", "resource_spans", "batches", "scopeSpans"];
        exports.iter().any(|key| head.has_keys(&[key])) || head.has_rows(&["span_id", "attributes"])
    },
    open: |trace| log(trace, Otlp::default()),
    example: r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"1000000000","endTimeUnixNano":"2000000000","attributes":[
{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":"50"}}]}]}]}]}"#,
    ..Format::PLAIN
};

/// A file's object: an export, or a span of the flat form.
#[derive(Deserialize)]
struct Export {
    #[serde(default, alias = "resourceSpans", alias = "batches")]
    resource_spans: Vec<Resource>,
    #[serde(flatten)]
    span: Span,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(
        default,
        alias = "scopeSpans",
        alias = "scope_spans",
        alias = "instrumentationLibrarySpans",
        alias = "instrumentation_library_spans"
    )]
    scopes: Vec<Scope>,
}

#[derive(Deserialize)]
struct Scope {
    #[serde(default, alias = "instrumentationLibrary", alias = "instrumentation_library")]
    scope: Named,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize, Default)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize, Default)]
struct Span {
    #[serde(default, alias = "traceId", alias = "trace_id")]
    trace: Option<String>,
    #[serde(default, alias = "spanId", alias = "span_id")]
    id: Option<String>,
    #[serde(default, alias = "parentSpanId", alias = "parent_span_id", alias = "parent_id")]
    parent: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, alias = "startTimeUnixNano", alias = "start_time_unix_nano", alias = "start_time")]
    start: Value,
    #[serde(default, alias = "endTimeUnixNano", alias = "end_time_unix_nano", alias = "end_time")]
    end: Value,
    #[serde(default)]
    attributes: Value,
    #[serde(default)]
    status: Value,
}

/// A span's attributes by name, values as plain JSON.
#[derive(Default)]
struct Attributes(FxHashMap<String, Value>);

impl Attributes {
    /// Of OTLP's list of keys and typed values, or of an object.
    fn of(value: Value) -> Attributes {
        let mut all = FxHashMap::default();
        match value {
            Value::Array(list) => {
                for mut attribute in list {
                    let key = attribute.get("key").and_then(Value::as_str).map(str::to_owned);
                    let value = attribute.get_mut("value").map(Value::take);
                    if let (Some(key), Some(value)) = (key, value) {
                        all.entry(key).or_insert_with(|| plain(value));
                    }
                }
            }
            Value::Object(object) => all.extend(object),
            _ => {}
        }
        Attributes(all)
    }

    /// The first of these names that is there.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &Value)> {
        names.iter().find_map(|name| self.0.get(*name).filter(|v| !v.is_null()).map(|v| (*name, v)))
    }

    fn text(&self, names: &[&'static str]) -> Option<String> {
        names.iter().find_map(|name| self.0.get(*name).and_then(super::record::text))
    }

    fn tokens(&self, names: &[&'static str]) -> Result<Option<u32>, TraceFault> {
        self.first(names).map(|(name, value)| super::record::tokens(value, name)).transpose()
    }

    fn seconds(&self, names: &[&'static str]) -> Result<Option<u64>, TraceFault> {
        self.first(names).map(|(name, value)| super::record::nanos(value, name, 9)).transpose()
    }
}

/// The value within OTLP's typed one (`intValue`, `stringValue`, ...).
fn plain(value: Value) -> Value {
    match value {
        Value::Object(mut object) if object.len() == 1 => match object.values_mut().next() {
            Some(inner) => inner.take(),
            None => Value::Null,
        },
        other => other,
    }
}

/// Operations that generate text.
const GENERATES: [&str; 4] = ["chat", "text_completion", "generate_content", "completion"];
const PROMPT: [&str; 4] =
    ["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens"];
const OUTPUT: [&str; 4] = [
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
];
const READ: [&str; 7] = [
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cached_input_tokens",
    "gen_ai.usage.cached_tokens",
    "gen_ai.openai.usage.prompt_tokens_cached",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_input",
];
const WRITTEN: [&str; 5] = [
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "llm.token_count.prompt_details.cache_write",
];
const FIRST_TOKEN: [&str; 3] = [
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.response.time_to_first_token",
    "gen_ai.latency.time_to_first_token",
];
/// Strands writes it in ms, others in s.
const FIRST_TOKEN_UNSURE: &str = "gen_ai.server.time_to_first_token";
const MODELS: [&str; 3] = ["gen_ai.response.model", "gen_ai.request.model", "llm.model_name"];
const SESSION: [&str; 2] = ["gen_ai.conversation.id", "session.id"];
const TENANT: [&str; 3] = ["user.id", "metadata.user_api_key_team_id", "enduser.id"];

/// Beginnings of names that the conventions have.
const KNOWN: [&str; 27] = [
    "gen_ai.operation.",
    "gen_ai.request.",
    "gen_ai.response.",
    "gen_ai.latency.",
    "gen_ai.input.",
    "gen_ai.output.",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.tool.",
    "gen_ai.agent.",
    "gen_ai.conversation.",
    "gen_ai.provider.",
    "gen_ai.system",
    "gen_ai.server.",
    "gen_ai.openai.",
    "gen_ai.token.",
    "gen_ai.data_source.",
    "gen_ai.evaluation.",
    "gen_ai.embeddings.",
    "gen_ai.workflow.",
    "gen_ai.retrieval.",
    "gen_ai.usage.total_tokens",
    "gen_ai.usage.reasoning",
    "gen_ai.usage.cost",
    "gen_ai.event.",
    "gen_ai.client.",
    "gen_ai.framework",
];

/// What a span is.
enum Kind {
    Generation,
    /// A generation by its usage and model alone.
    ByUsage,
    /// The root span of an SGLang instance, and whether it decodes.
    Sglang {
        decodes: bool,
    },
    /// None, for this reason.
    Other(String),
}

fn kind(name: &str, scope: &str, of: &Attributes) -> Kind {
    if let Some(operation) = of.text(&["gen_ai.operation.name", "llm.request.type"]) {
        let generates = GENERATES.contains(&operation.as_str());
        return if generates { Kind::Generation } else { Kind::Other(format!("not a generation: {operation}")) };
    }
    if let Some(kind) = of.text(&["openinference.span.kind"]) {
        return if kind == "LLM" { Kind::Generation } else { Kind::Other(format!("not a generation: {kind}")) };
    }
    let usage = of.first(&PROMPT).is_some();
    if name == "llm_request" && usage {
        return Kind::Generation;
    }
    let sglang = scope.contains("sglang") || of.text(&["module"]).is_some_and(|module| module.starts_with("sglang"));
    if sglang && usage && of.first(&["rid"]).is_some() {
        return Kind::Sglang { decodes: !name.trim_start().starts_with("Prefill") };
    }
    if sglang {
        return Kind::Other("engine stage span".into());
    }
    if usage && of.first(&MODELS).is_some() {
        return Kind::ByUsage;
    }
    Kind::Other(format!("no GenAI span: {name}"))
}

/// An instant, ns since 1970, as a count (text or number) or ISO 8601; whether its zone is written.
fn instant(value: &Value, what: &str) -> Result<(i64, bool), TraceFault> {
    let text = super::record::text(value).unwrap_or_default();
    let counted = text.parse::<i64>().ok().filter(|at| *at >= 0).map(|at| (at, true));
    counted
        .or_else(|| timestamp(text.as_bytes(), true))
        .ok_or_else(|| wrong!("a span's {what} is `{text}`; it must be ns since 1970, under 2^63, or ISO 8601"))
}

/// Reads spans, and makes requests of them when all are there.
#[derive(Default)]
struct Otlp {
    spans: Spans,
    by_usage: u64,
    unzoned: bool,
}

impl Otlp {
    fn span(&mut self, span: Span, scope: &str, calls: &mut Calls) -> Result<(), TraceFault> {
        let attributes = Attributes::of(span.attributes);
        let strange = attributes.0.keys().filter(|name| {
            let known = [&PROMPT[..], &OUTPUT, &READ, &WRITTEN].iter().any(|names| names.contains(&name.as_str()));
            name.starts_with("gen_ai.") && !known && !KNOWN.iter().any(|begin| name.starts_with(begin))
        });
        let mut strange: Vec<&String> = strange.collect();
        strange.sort_unstable();
        strange.into_iter().for_each(|name| calls.tally.unknown(name));
        let name = span.name.unwrap_or_default();
        let trace = span.trace.unwrap_or_default();
        let (id, parent) = (span.id.unwrap_or_default(), span.parent.unwrap_or_default());
        self.spans.knows(&trace, &id, &parent);
        let kind = kind(&name, scope, &attributes);
        let engine = match kind {
            Kind::Other(reason) => {
                calls.leave_out(&reason);
                return Ok(());
            }
            Kind::Sglang { decodes } => {
                let room = attributes.text(&["bootstrap_room"]);
                room.or_else(|| attributes.text(&["rid"])).map(|call| (call, decodes))
            }
            Kind::ByUsage => {
                self.by_usage += 1;
                None
            }
            Kind::Generation => None,
        };
        let code = span.status.get("code");
        let failed = attributes.first(&["error.type"]).is_some()
            || code.is_some_and(|c| c == 2 || c == "STATUS_CODE_ERROR" || c == "ERROR");
        let prompt = attributes.tokens(&PROMPT)?;
        if !calls.has_tokens(prompt, failed) {
            return Ok(());
        }
        let ((start_ns, zoned), (end_ns, _)) = (instant(&span.start, "start")?, instant(&span.end, "end")?);
        self.unzoned |= !zoned;
        let took_ns = since(start_ns, end_ns)
            .ok_or_else(|| wrong!("a span is from {start_ns} to {end_ns}; it must end after its start"))?;
        let ttft_ns = match attributes.seconds(&FIRST_TOKEN)? {
            Some(ns) => Some(ns),
            None => attributes.seconds(&[FIRST_TOKEN_UNSURE])?.map(|ns| {
                // More than the whole span is no number of seconds.
                if ns > took_ns { ns / 1000 } else { ns }
            }),
        };
        let cost = attributes.first(&["llm.cost.total", "gen_ai.usage.cost"]).and_then(|(_, v)| v.as_f64());
        let mut models: Vec<String> = MODELS.iter().filter_map(|name| attributes.text(&[name])).collect();
        models.dedup();
        self.spans.add(Call {
            line: calls.line(),
            trace,
            id,
            scope: scope.to_owned(),
            start_ns,
            end_ns,
            prompt: prompt.unwrap_or(0),
            output: attributes.tokens(&OUTPUT)?.unwrap_or(0),
            cached: attributes.tokens(&READ)?,
            written: attributes.tokens(&WRITTEN)?,
            most_output: attributes.tokens(&["gen_ai.request.max_tokens"])?,
            models,
            ttft_ns,
            session: attributes.text(&SESSION),
            tenant: attributes.text(&TENANT),
            response: attributes.text(&["gen_ai.response.id"]),
            cost_usd: cost,
            failed,
            engine,
        });
        Ok(())
    }
}

impl Log for Otlp {
    fn text(&mut self, text: &str, calls: &mut Calls) -> Result<(), TraceFault> {
        let export: Export = super::parse::json(text, "resourceSpans, scopeSpans and spans")?;
        if export.span.id.is_some() || export.span.name.is_some() {
            return self.span(export.span, "", calls);
        }
        calls.tally.uncount();
        for scope in export.resource_spans.into_iter().flat_map(|r| r.scopes) {
            for span in scope.spans {
                calls.tally.row(true);
                let line = calls.line();
                self.span(span, &scope.scope.name, calls).or_else(|fault| calls.tally.faulty(fault, line))?;
            }
        }
        Ok(())
    }

    fn row(&mut self, _: &Record, _: &mut Calls) -> Result<(), TraceFault> {
        Err("it is CSV; spans are exported as JSON".into())
    }

    fn end(&mut self, _: &[(String, String)], calls: &mut Calls) -> Result<(), TraceFault> {
        let (requests, left_out) = std::mem::take(&mut self.spans).requests();
        for (reason, line) in left_out {
            calls.leave_out_at(reason, line);
        }
        for call in requests {
            let mut entry = Entry { at_ns: call.start_ns, ..Entry::blank() };
            let pushed = calls.whole_prompt(call.prompt, call.cached, call.written).and_then(|prompt| {
                (entry.prompt_tokens, entry.output_tokens) = (prompt, call.output);
                entry.max_output_tokens = call.most_output.unwrap_or(0);
                entry.measured = Measured {
                    ttft_ns: call.ttft_ns,
                    e2e_ns: since(call.start_ns, call.end_ns),
                    cached_tokens: call.cached,
                    status: if call.failed { Status::Failed } else { Status::Completed },
                    images: 0,
                };
                let model = call.models.first().cloned();
                calls.push(entry, &Of { tenant: call.tenant, session: call.session, model, cost_usd: call.cost_usd })
            });
            pushed.or_else(|fault| calls.tally.faulty(fault, call.line))?;
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let usage = (self.by_usage > 0)
            .then(|| format!("{} spans name no operation and are taken by their usage and model", self.by_usage));
        let unzoned = self.unzoned.then(|| "spans without a zone are taken as UTC".to_string());
        usage.into_iter().chain(unzoned).collect()
    }
}
