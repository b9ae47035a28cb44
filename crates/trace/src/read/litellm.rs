//! LiteLLM spend logs (BerriAI/litellm, schema.prisma, model LiteLLM_SpendLogs), exported as JSON lines or CSV: a row a
//! call. Written to the schema, not tried on an export.
//!
//! Tenant = team_id, else end_user, else user, numbered from 1 in order of first appearance. Times are UTC where no zone
//! is written. What a response cache answered (`cache_hit` True) never reached a model and is left out, counted.
//! `messages`, `response` and `proxy_server_request` are never looked at.
use super::parse::{Names, count, json, scaled};
use super::{Rows, csv};
use crate::registry::{Format, Tried};
use baseload_core::types::timestamp::timestamp;
use baseload_core::types::{Entry, Measured, Status};
use baseload_core::types::{TraceFault, wrong};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Row of LiteLLM's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "litellm",
    looks_like: "request_id, startTime, prompt_tokens",
    tried: Tried::Nothing,
    recognises: |head| head.has_keys(&NEEDED) || head.has_columns(&NEEDED),
    open: |trace| {
        let csv = !trace.head.is_object();
        super::rows(trace, LiteLlm::new(csv))
    },
    example: "request_id,startTime,prompt_tokens,completion_tokens,team_id\na,2026-06-01 08:00:00.5,10,3,red\n",
    headed: true,
    ..Format::PLAIN
};

/// What tells it from other logs.
const NEEDED: [&str; 3] = ["request_id", "startTime", "prompt_tokens"];

/// Columns that are read.
const READ: [&str; 16] = [
    "request_id",
    "startTime",
    "prompt_tokens",
    "completion_tokens",
    "endTime",
    "completionStartTime",
    "request_duration_ms",
    "total_tokens",
    "team_id",
    "end_user",
    "user",
    "session_id",
    "cache_hit",
    "status",
    "model",
    "custom_llm_provider",
];
/// Columns that may be there.
const SKIPPED: [&str; 14] = [
    "call_type",
    "api_key",
    "spend",
    "model_id",
    "model_group",
    "api_base",
    "metadata",
    "cache_key",
    "request_tags",
    "organization_id",
    "requester_ip_address",
    "messages",
    "response",
    "proxy_server_request",
];

/// A field as JSON has it; CSV gives text alone.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Field {
    #[default]
    None,
    Whole(i64),
    Float(f64),
    Text(String),
    Flag(bool),
}

impl Field {
    fn text(&self) -> String {
        match self {
            Field::None => String::new(),
            Field::Whole(n) => n.to_string(),
            Field::Float(n) => n.to_string(),
            Field::Text(t) => t.trim().to_string(),
            Field::Flag(b) => b.to_string(),
        }
    }
}

/// A JSON line: the fields of `READ`. Others' values are passed over without being kept.
struct Line([Field; READ.len()]);

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Line, D::Error> {
        struct Keys;
        impl<'de> serde::de::Visitor<'de> for Keys {
            type Value = Line;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Line, M::Error> {
                let mut fields: [Field; READ.len()] = Default::default();
                while let Some(key) = map.next_key::<String>()? {
                    match READ.iter().position(|k| *k == key) {
                        Some(k) => fields[k] = map.next_value()?,
                        None if SKIPPED.contains(&key.as_str()) => _ = map.next_value::<IgnoredAny>()?,
                        None => {
                            return Err(serde::de::Error::custom(format!(
                                "key `{key}` is unknown; a log with others is read by a column map, --columns"
                            )));
                        }
                    }
                }
                Ok(Line(fields))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// Reads one call a line.
pub(super) struct LiteLlm {
    csv: bool,
    header: csv::Header,
    splitter: csv::Splitter,
    fields: csv::Fields,
    tenants: Names,
    sessions: Names,
    cached: u64,
    tokenless: u64,
    unzoned: bool,
}

impl LiteLlm {
    pub(super) fn new(csv: bool) -> LiteLlm {
        LiteLlm {
            csv,
            header: csv::Header::default(),
            splitter: csv::Splitter::default(),
            fields: csv::Fields::default(),
            tenants: Names::default(),
            sessions: Names::default(),
            cached: 0,
            tokenless: 0,
            unzoned: false,
        }
    }

    fn at(&mut self, text: &str, key: &str) -> Result<i64, TraceFault> {
        let (ns, zoned) = timestamp(text.as_bytes(), true)
            .ok_or_else(|| wrong!("{key} is `{text}`; it must be ISO 8601, such as 2026-06-01T08:00:00.120Z"))?;
        self.unzoned |= !zoned;
        Ok(ns)
    }

    /// `of(k)` is the text of `READ[k]`, empty where it is null or absent.
    fn call(&mut self, of: impl Fn(usize) -> String, entry: &mut Entry) -> Result<bool, TraceFault> {
        let whole = |k: usize| {
            let text = of(k);
            if text.is_empty() {
                return Ok(None);
            }
            let n: i64 =
                text.parse().map_err(|_| wrong!("{} is `{text}`; it must be a whole number of tokens", READ[k]))?;
            count(n, READ[k]).map(Some)
        };
        if of(0).is_empty() {
            return Err("request_id is empty; a call must have one".into());
        }
        let status = match of(13).as_str() {
            "" | "success" => Status::Completed,
            "failure" => Status::Failed,
            other => return Err(wrong!("status is `{other}`; only success and failure are known")),
        };
        match of(12).to_ascii_lowercase().as_str() {
            "true" => {
                self.cached += 1;
                return Ok(false);
            }
            "" | "false" | "none" | "null" | "cache off" => {}
            other => return Err(wrong!("cache_hit is `{other}`; only True and False are known")),
        }
        let (prompt, output, total) = (whole(2)?.unwrap_or(0), whole(3)?.unwrap_or(0), whole(7)?);
        let sum = u64::from(prompt) + u64::from(output);
        if total.is_some_and(|t| u64::from(t) != sum) {
            return Err(wrong!("total_tokens is {} but prompt and completion add up to {sum}; they must agree", of(7)));
        }
        if prompt == 0 {
            self.tokenless += 1;
            return Ok(false);
        }
        (entry.prompt_tokens, entry.output_tokens) = (prompt, output);
        entry.at_ns = self.at(&of(1), READ[1])?;
        if let Some(name) = [8, 9, 10].map(&of).into_iter().find(|n| !n.is_empty()) {
            entry.tenant =
                u32::try_from(self.tenants.number(&name) + 1).map_err(|_| "over 2^32 tenants; no more fit")?;
        }
        if !of(11).is_empty() {
            entry.session = self.sessions.number(&of(11));
        }
        let after = |at: i64, key: &str| {
            u64::try_from(at - entry.at_ns).map_err(|_| wrong!("{key} is before startTime; it must not be"))
        };
        let (end, first, took) = (of(4), of(5), of(6));
        let e2e_ns = if !took.is_empty() {
            let ns =
                scaled(&took, 6).ok_or_else(|| wrong!("request_duration_ms is `{took}`; it must be at least 0"))?;
            Some(ns as u64)
        } else if !end.is_empty() {
            Some(after(self.at(&end, READ[4])?, READ[4])?)
        } else {
            None
        };
        let ttft_ns = if first.is_empty() { None } else { Some(after(self.at(&first, READ[5])?, READ[5])?) };
        entry.measured = Measured { ttft_ns, e2e_ns, status, ..Measured::default() };
        Ok(true)
    }
}

impl Rows for LiteLlm {
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, TraceFault> {
        if !self.csv {
            let Line(values) = json(line, "the columns of LiteLLM_SpendLogs")?;
            return self.call(|k| values[k].text(), entry);
        }
        let mut fields = std::mem::take(&mut self.fields);
        self.splitter.split(line, &mut fields)?;
        if !self.header.is_read() {
            let known: Vec<&str> = READ.iter().chain(&SKIPPED).copied().collect();
            self.header.read(fields.iter(), &known, 4, str::eq_ignore_ascii_case)?;
            return Ok(false);
        }
        self.header.fits(fields.count())?;
        let header = std::mem::take(&mut self.header);
        let made = self.call(|k| header.of(&fields, k).to_string(), entry);
        (self.header, self.fields) = (header, fields);
        made
    }

    fn quoted(&self) -> bool {
        self.csv
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(self.cached, "calls were answered from a response cache, reached no model and are left out");
        say(self.tokenless, "calls record no prompt tokens and are left out: rate and tokens are too low by theirs");
        say(self.tenants.len(), "tenants are numbered from 1 in order of first appearance");
        notes.extend(self.unzoned.then(|| "times without a zone are taken as UTC".to_string()));
        notes
    }
}
