//! GitHub Copilot coding agents 2026 (Azure/AzurePublicDataset, CC-BY-4.0): a JSON line a session.
//! Written to the description (schema.json, trace_loader.py), not tried on the original.
//!
//! There are no hashes: a call is taken to share its first `cached` tokens with the call before it in its session, with
//! that call's prompt first and its answer behind. Think time = start less the end of what the call waited for: the
//! call before, or the tools that ran on that call's behalf. `duration_ms` is a measured end-to-end time.
use super::parse::{Names, Others, Unknown, count, json};
use super::sessions::{Order, Sessions, session_items};
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::timestamp::timestamp;
use baseload_core::types::{Clock, ContentId, Entry, Measured, Run, Status};
use baseload_core::types::{TraceFault, UnknownField, wrong};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Row of Copilot's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "copilot",
    looks_like: "JSON with session_id, turns",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, cached: true, ..Carries::ARRIVALS },
    recognises: |head| head.has_keys(&["session_id", "turns"]) && !head.names("messages"),
    open: |trace| session_items(trace, Copilot::default()),
    example: r#"{"session_id":"s1","date":"2026-06-01","turns":[{"turn_id":"t1","llm_calls":[{"message_id":"m1","timestamp":"2026-06-01T08:00:00.120Z","duration_ms":4210.5,"tokens":{"total":18240,"prompt":18000,"completion":240,"cached":15872}}]}]}"#,
    ..Format::PLAIN
};

#[derive(Deserialize)]
struct Session {
    session_id: Option<String>,
    #[serde(rename = "date")]
    _date: Option<IgnoredAny>,
    turns: Option<Vec<Turn>>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct Turn {
    #[serde(rename = "turn_id")]
    _turn_id: Option<IgnoredAny>,
    llm_calls: Option<Vec<Call>>,
    tool_batches: Option<Vec<Batch>>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct Call {
    message_id: Option<String>,
    timestamp: Option<String>,
    duration_ms: Option<f64>,
    result: Option<String>,
    tokens: Option<Tokens>,
    #[serde(rename = "initiator_type")]
    _initiator_type: Option<IgnoredAny>,
    #[serde(rename = "model")]
    _model: Option<IgnoredAny>,
    #[serde(rename = "status_code")]
    _status_code: Option<IgnoredAny>,
    #[serde(rename = "message_metadata")]
    _message_metadata: Option<IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct Tokens {
    total: Option<i64>,
    prompt: Option<i64>,
    completion: Option<i64>,
    cached: Option<i64>,
    #[serde(rename = "cached_pct")]
    _cached_pct: Option<IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct Batch {
    timestamp: Option<String>,
    duration_ms: Option<f64>,
    request_id: Option<String>,
    #[serde(rename = "auto_continue")]
    _auto_continue: Option<IgnoredAny>,
    #[serde(rename = "result")]
    _result: Option<IgnoredAny>,
    #[serde(rename = "function_calls")]
    _function_calls: Option<IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

/// Reads one session a line.
#[derive(Default)]
pub(super) struct Copilot {
    sessions: Names,
    /// Calls without a time or a prompt.
    unusable: u64,
    /// Cached tokens that no call before in the session had.
    unexplained: u64,
    /// Calls that start before the one before them ends.
    overlapping: u64,
    unzoned: bool,
    /// Time that tools ran between calls, ns.
    tools_ns: u128,
    unknown: Unknown,
}

/// A call that can be replayed.
struct Usable<'a> {
    at_ns: i64,
    duration_ns: i64,
    prompt: u32,
    output: u32,
    cached: u32,
    call: &'a Call,
}

impl Copilot {
    fn at(&mut self, text: &str) -> Result<i64, TraceFault> {
        let (ns, zoned) = timestamp(text.as_bytes(), true)
            .ok_or_else(|| wrong!("timestamp is `{text}`; it must be ISO 8601, such as 2026-06-01T08:00:00.120Z"))?;
        self.unzoned |= !zoned;
        Ok(ns)
    }

    fn usable<'a>(&mut self, call: &'a Call) -> Result<Option<Usable<'a>>, TraceFault> {
        let duration_ns = millis(call.duration_ms)?.unwrap_or(0);
        let Some(tokens) = &call.tokens else { return Ok(None) };
        let known = |value: Option<i64>, key| value.map(|v| count(v, key)).transpose();
        let (prompt, output) = (known(tokens.prompt, "tokens.prompt")?, known(tokens.completion, "tokens.completion")?);
        let cached = known(tokens.cached, "tokens.cached")?.unwrap_or(0);
        if let (Some(total), Some(prompt), Some(output)) = (tokens.total, prompt, output)
            && total != i64::from(prompt) + i64::from(output)
        {
            return Err(wrong!(
                "tokens.total is {total} but prompt and completion add up to {}; they must agree",
                i64::from(prompt) + i64::from(output)
            ));
        }
        let (Some(prompt @ 1..), Some(at)) = (prompt, &call.timestamp) else { return Ok(None) };
        if cached > prompt {
            return Err(wrong!("tokens.cached is {cached} but tokens.prompt {prompt}; it may not be more"));
        }
        Ok(Some(Usable { at_ns: self.at(at)?, duration_ns, prompt, output: output.unwrap_or(0), cached, call }))
    }
}

fn millis(ms: Option<f64>) -> Result<Option<i64>, TraceFault> {
    ms.map(|ms| {
        if (0.0..1e12).contains(&ms) {
            Ok((ms * 1e6).round() as i64)
        } else {
            Err(wrong!("duration_ms is {ms}; it must be milliseconds, at least 0"))
        }
    })
    .transpose()
}

impl Sessions for Copilot {
    fn item(&mut self, line: &str, first_id: u64, out: &mut Vec<Entry>) -> Result<(), TraceFault> {
        let line: Session = json(line, "a session: session_id, date, turns as documented")?;
        self.unknown.others(&line.others);
        for turn in line.turns.iter().flatten() {
            let calls = turn.llm_calls.iter().flatten();
            let parts = calls.flat_map(|c| std::iter::once(&c.others).chain(c.tokens.as_ref().map(|t| &t.others)));
            let batches = turn.tool_batches.iter().flatten().map(|b| &b.others);
            std::iter::once(&turn.others).chain(parts).chain(batches).for_each(|others| self.unknown.others(others));
        }
        let session = line.session_id.as_deref().ok_or("session_id is null; a session must have one")?;
        let session = self.sessions.number(session);
        let turns = line.turns.unwrap_or_default();
        let mut calls = Vec::new();
        for call in turns.iter().flat_map(|t| t.llm_calls.iter().flatten()) {
            match self.usable(call)? {
                Some(usable) => calls.push(usable),
                None => self.unusable += 1,
            }
        }
        calls.sort_by_key(|c| c.at_ns);
        let mut batches = Vec::new();
        for batch in turns.iter().flat_map(|t| t.tool_batches.iter().flatten()) {
            if let (Some(at), Some(id)) = (&batch.timestamp, &batch.request_id) {
                let ran = millis(batch.duration_ms)?.unwrap_or(0);
                batches.push((id.as_str(), self.at(at)?.saturating_add(ran), ran));
            }
        }
        // The whole of the call before: its prompt and its answer.
        let mut whole: Vec<Run> = Vec::new();
        for (n, usable) in calls.iter().enumerate() {
            let id = first_id + n as u64;
            let mut entry = Entry { at_ns: usable.at_ns, session, ..Entry::blank() };
            (entry.prompt_tokens, entry.output_tokens) = (usable.prompt, usable.output);
            if let Some(before) = n.checked_sub(1).and_then(|b| calls.get(b)) {
                let answered = before.at_ns.saturating_add(before.duration_ns);
                let mut end = answered;
                let asked = before.call.message_id.as_deref();
                for &(_, ended, ran) in batches.iter().filter(|b| Some(b.0) == asked && b.1 <= usable.at_ns) {
                    self.tools_ns += ran as u128;
                    end = end.max(ended);
                }
                self.overlapping += u64::from(end > usable.at_ns);
                entry.tools_ns = (end - answered).max(0) as u64;
                entry.think_ns = Some(usable.at_ns.saturating_sub(end).max(0) as u64);
            }
            let mut left = usable.cached;
            for run in &whole {
                let len = run.len.min(left);
                left -= len;
                if len > 0 {
                    entry.content.push(Run { len, ..*run });
                }
            }
            self.unexplained += u64::from(left);
            whole.clone_from(&entry.content);
            let rest = [
                (ContentId::Private(id), usable.prompt - (usable.cached - left)),
                (ContentId::Output(id), usable.output),
            ];
            whole.extend(rest.into_iter().filter(|r| r.1 > 0).map(|(id, len)| Run { id, start: 0, len }));
            entry.measured = Measured {
                e2e_ns: usable.call.duration_ms.map(|_| usable.duration_ns as u64),
                cached_tokens: Some(usable.cached),
                status: match usable.call.result.as_deref() {
                    None | Some("Success") => Status::Completed,
                    Some("UserCancel") => Status::Cancelled,
                    Some(_) => Status::Failed,
                },
                ..Measured::default()
            };
            out.push(entry);
        }
        Ok(())
    }
    fn clock(&self) -> Clock {
        Clock::Common
    }
    fn order(&self) -> Order {
        Order::Starts
    }
    fn unknown_fields(&self) -> Vec<UnknownField> {
        self.unknown.list()
    }
    fn names(&self) -> Vec<String> {
        self.sessions.list()
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "a call is assumed to share its first cached tokens with the call before it in its session".to_string(),
        ];
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(self.unexplained, "cached tokens were in no call before of their session; they are private, and never hit");
        say(
            self.unusable,
            "calls have no time or no prompt tokens and are left out: rate and tokens are too low by theirs",
        );
        say(self.overlapping, "calls start before what they follow has ended; their think time is 0");
        if self.tools_ns > 0 {
            notes.push(format!(
                "tools ran {:.0} s in all between calls; think times count from their end, and a closed loop waits for both",
                self.tools_ns as f64 / 1e9
            ));
        }
        notes.extend(self.unzoned.then(|| "times without a zone are taken as UTC".to_string()));
        notes
    }
}
