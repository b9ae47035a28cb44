//! Our own schema as JSON lines: the CSV's keys, and `content`, the leading runs of the prompt; see `traces/README.md`.
use super::Rows;
use super::own_csv::status;
use super::parse::{count, json, seconds_ns};
use crate::registry::{Carries, Format};
use baseload_core::types::{Classes, Clock, ContentId, Entry, Measured, NO_SESSION, Run};
use baseload_core::types::{TraceFault, wrong};
use serde::Deserialize;
use std::borrow::Cow;

/// Row of this program's JSON lines in the registry of readers.
pub const FORMAT: Format = Format {
    name: "baseload-jsonl",
    looks_like: "JSON with prompt_tokens, output_tokens",
    carries: Carries::ALL_BUT_COST,
    recognises: |head| {
        let timed = ["arrival_s", "arrival_ns", "session_s"].into_iter().any(|key| head.has_keys(&[key]));
        let chat = ["conversations", "conversation", "messages"].into_iter().any(|key| head.has_keys(&[key]));
        timed || head.has_keys(&["prompt_tokens", "output_tokens"]) && !chat
    },
    open: |trace| {
        let rows = OwnJsonl::new(trace.classes, trace.head.line());
        super::rows(trace, rows)
    },
    example: r#"{"arrival_s":0.5,"prompt_tokens":900,"output_tokens":60,"content":[[17,0,512]]}"#,
    ..Format::PLAIN
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    arrival_s: Option<f64>,
    arrival_ns: Option<i64>,
    session_s: Option<f64>,
    id: Option<u64>,
    prompt_tokens: i64,
    output_tokens: i64,
    #[serde(default)]
    tenant: u32,
    session: Option<u64>,
    #[serde(borrow, default)]
    class: Cow<'a, str>,
    max_output_tokens: Option<i64>,
    #[serde(default)]
    priority: i32,
    think_s: Option<f64>,
    tools_s: Option<f64>,
    ttft_s: Option<f64>,
    e2e_s: Option<f64>,
    cached_tokens: Option<i64>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(default)]
    images: u32,
    #[serde(default)]
    content: Vec<ContentPart>,
}

/// A run: `[id, start, len]`, or `["output" or "prompt", request, start, len]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum ContentPart {
    Named(u64, u32, u32),
    Of(String, u64, u32, u32),
}

/// Reads one JSON object a line; unknown keys are refused.
pub(super) struct OwnJsonl {
    classes: Classes,
    clock: Clock,
    /// Whether requests carry their own ids; the first says it for all.
    ids: Option<bool>,
}

impl OwnJsonl {
    /// `first` is the file's first line.
    pub(super) fn new(classes: &Classes, first: &str) -> OwnJsonl {
        let has = |key: &str| first.contains(&format!("\"{key}\""));
        let clock = if has("session_s") {
            Clock::Session
        } else if has("arrival_s") || has("arrival_ns") {
            Clock::Common
        } else {
            Clock::None
        };
        OwnJsonl { classes: classes.clone(), clock, ids: None }
    }

    fn at(&self, line: &Line) -> Result<i64, TraceFault> {
        match (self.clock, line.arrival_s, line.arrival_ns, line.session_s) {
            (Clock::Common, Some(s), None, None) => seconds_ns(s, "arrival_s"),
            (Clock::Common, None, Some(ns), None) => Ok(ns),
            (Clock::Session, None, None, Some(s)) => seconds_ns(s, "session_s"),
            (Clock::None, None, None, None) => Ok(0),
            (Clock::Session, ..) => {
                Err("its time is not session_s alone, which the first request has; all must".into())
            }
            (Clock::None, ..) => Err("it has a time, which the first request has not; none or all must".into()),
            _ => Err("its time is not arrival_s alone, or arrival_ns alone; it must have one of them".into()),
        }
    }
}

impl Rows for OwnJsonl {
    fn row(&mut self, line: &str, row: &mut Entry) -> Result<bool, TraceFault> {
        let line: Line = json(line, "arrival_s, prompt_tokens, output_tokens and the other keys of traces/README.md")?;
        if *self.ids.get_or_insert(line.id.is_some()) != line.id.is_some() {
            return Err("some requests have an id and some have none; all must, or none".into());
        }
        let duration = |s: Option<f64>, key| s.map(|s| seconds_ns(s, key).map(|ns| ns as u64)).transpose();
        row.id = line.id.unwrap_or(0);
        row.at_ns = self.at(&line)?;
        row.prompt_tokens = count(line.prompt_tokens, "prompt_tokens")?;
        row.output_tokens = count(line.output_tokens, "output_tokens")?;
        row.tenant = line.tenant;
        row.session = line.session.unwrap_or(NO_SESSION);
        row.class = self.classes.number(&line.class)?;
        row.max_output_tokens = line.max_output_tokens.map_or(Ok(0), |m| count(m, "max_output_tokens"))?;
        row.priority = line.priority;
        row.think_ns = duration(line.think_s, "think_s")?;
        row.tools_ns = duration(line.tools_s, "tools_s")?.unwrap_or(0);
        row.measured = Measured {
            ttft_ns: duration(line.ttft_s, "ttft_s")?,
            e2e_ns: duration(line.e2e_s, "e2e_s")?,
            cached_tokens: line.cached_tokens.map(|c| count(c, "cached_tokens")).transpose()?,
            status: line.status.as_deref().map_or(Ok(Default::default()), status)?,
            images: line.images,
        };
        for part in &line.content {
            let (id, start, len) = match part {
                ContentPart::Named(id, start, len) => (ContentId::Named(*id), *start, *len),
                ContentPart::Of(what, id, start, len) => match what.as_str() {
                    "output" => (ContentId::Output(*id), *start, *len),
                    "prompt" => (ContentId::Private(*id), *start, *len),
                    other => return Err(wrong!("content names `{other}`; it must be output or prompt")),
                },
            };
            if len == 0 || start.checked_add(len).is_none() {
                return Err(
                    "content has a run of 0 tokens or past 2^32; a run is [id, start, len] with len at least 1".into(),
                );
            }
            row.content.push(Run { id, start, len });
        }
        Ok(true)
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn has_ids(&self) -> bool {
        self.ids == Some(true)
    }
}
