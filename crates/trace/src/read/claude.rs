//! Claude Code sessions (callanjfox/kv-cache-tester, derived; Apache-2.0): a line a session.
//!
//! As kv-cache-tester itself has them: one JSON object a file, with plain `hash_ids` ("Weka" in AIPerf).
//!
//! `hash_ids_rle` are runs `[first id, count]` of full blocks that mean nothing outside their line; a run becomes tokens
//! `first * block_size ..` of one content named after the session. A subagent's ids share its parent's numbering (they
//! continue it), its times start at its own `t`; it is a session of its own. Sessions have no absolute start.
//! Read from claude_code_sessions.jsonl.gz (559 sessions), 2026-11.
use super::parse::{Others, Unknown, count, json, seconds_ns};
use super::sessions::{Order, Sessions, session_items};
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Clock, ContentId, Entry, Measured, Run};
use baseload_core::types::{TraceFault, UnknownField, wrong};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Row of Claude Code's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "claude-sessions",
    looks_like: "JSON with id, block_size, requests",
    tried: Tried::On("yes"),
    carries: Carries { sessions: true, ttft: true, ..Carries::NONE },
    recognises: |head| head.has_keys(&["id", "block_size", "requests"]),
    open: |trace| session_items(trace, Claude::default()),
    example: r#"{"id":"a","block_size":64,"hash_id_scope":"local","requests":[{"t":0.0,"type":"n","in":200,"out":5,"hash_ids_rle":[[1,3]]}]}"#,
    ..Format::PLAIN
};

#[derive(Deserialize)]
struct Session {
    id: String,
    block_size: u32,
    hash_id_scope: String,
    requests: Vec<Item>,
    #[serde(rename = "models")]
    _models: Option<IgnoredAny>,
    #[serde(rename = "tool_tokens")]
    _tool_tokens: Option<IgnoredAny>,
    #[serde(rename = "system_tokens")]
    _system_tokens: Option<IgnoredAny>,
    #[serde(rename = "totals")]
    _totals: Option<IgnoredAny>,
    #[serde(rename = "dup_group")]
    _dup_group: Option<IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Item {
    #[serde(rename = "n")]
    Plain(Call),
    #[serde(rename = "s")]
    Streamed(Call),
    #[serde(rename = "subagent")]
    Subagent(Subagent),
}

#[derive(Deserialize)]
struct Call {
    t: f64,
    #[serde(rename = "in")]
    input: i64,
    out: i64,
    hash_ids_rle: Option<Vec<(u64, u64)>>,
    hash_ids: Option<Vec<u64>>,
    api_time: Option<f64>,
    think_time: Option<f64>,
    ttft: Option<f64>,
    #[serde(rename = "model")]
    _model: Option<IgnoredAny>,
    #[serde(rename = "input_types")]
    _input_types: Option<IgnoredAny>,
    #[serde(rename = "output_types")]
    _output_types: Option<IgnoredAny>,
    #[serde(rename = "stop")]
    _stop: Option<IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct Subagent {
    t: f64,
    requests: Vec<Item>,
    agent_id: Option<String>,
    #[serde(rename = "subagent_type")]
    _subagent_type: Option<IgnoredAny>,
    #[serde(rename = "status")]
    _status: Option<IgnoredAny>,
    #[serde(rename = "models")]
    _models: Option<IgnoredAny>,
    #[serde(rename = "tool_tokens")]
    _tool_tokens: Option<IgnoredAny>,
    #[serde(rename = "system_tokens")]
    _system_tokens: Option<IgnoredAny>,
    #[serde(rename = "duration_ms")]
    _duration_ms: Option<IgnoredAny>,
    #[serde(rename = "total_tokens")]
    _total_tokens: Option<IgnoredAny>,
    #[serde(rename = "tool_use_count")]
    _tool_use_count: Option<IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

/// Reads one session a line.
#[derive(Default)]
pub(super) struct Claude {
    sessions: u64,
    subagents: u64,
    names: Vec<String>,
    unknown: Unknown,
}

/// Nested subagents that are followed.
const DEEPEST: u32 = 8;

impl Claude {
    /// Makes entries of a session's requests. `start_s`: of the session, on its line's clock; `depth`: 0 for the line itself.
    fn walk(
        &mut self,
        items: &[Item],
        (start_s, depth): (f64, u32),
        (name, content, block): (&str, u64, u32),
        out: &mut Vec<Entry>,
    ) -> Result<(), TraceFault> {
        if depth > DEEPEST {
            return Err(wrong!("subagents are nested deeper than {DEEPEST}; that must be a fault of the file"));
        }
        let session = self.sessions;
        self.sessions += 1;
        self.names.push(name.to_owned());
        let mut last = 0.0;
        let mut first = true;
        for (n, item) in items.iter().enumerate() {
            let at = |e: TraceFault| wrong!("request {n} of session {session}: {e}");
            let t = match item {
                Item::Plain(c) | Item::Streamed(c) => c.t,
                Item::Subagent(s) => s.t,
            };
            if t < last {
                return Err(at(wrong!("t is {t} after {last}; a session's requests must be in order")));
            }
            last = t;
            match item {
                Item::Plain(call) | Item::Streamed(call) => {
                    self.unknown.others(&call.others);
                    let mut entry = call.entry(start_s, content, block).map_err(at)?;
                    entry.session = session;
                    entry.think_ns = entry.think_ns.filter(|_| !first);
                    first = false;
                    out.push(entry);
                }
                Item::Subagent(agent) => {
                    self.subagents += 1;
                    self.unknown.others(&agent.others);
                    let name = format!("{name}/{}", agent.agent_id.as_deref().unwrap_or("subagent"));
                    self.walk(&agent.requests, (start_s + agent.t, depth + 1), (&name, content, block), out)?;
                }
            }
        }
        Ok(())
    }
}

impl Call {
    /// Its ids as runs of first id and count, however they are written.
    fn runs(&self) -> Vec<(u64, u64)> {
        if let Some(runs) = &self.hash_ids_rle {
            return runs.clone();
        }
        let mut runs = Vec::<(u64, u64)>::new();
        for &id in self.hash_ids.iter().flatten() {
            match runs.last_mut() {
                Some((first, count)) if *first + *count == id => *count += 1,
                _ => runs.push((id, 1)),
            }
        }
        runs
    }

    fn entry(&self, start_s: f64, content: u64, block: u32) -> Result<Entry, TraceFault> {
        let mut entry = Entry::blank();
        entry.at_ns = seconds_ns(start_s + self.t, "t")?;
        entry.prompt_tokens = count(self.input, "in")?;
        entry.output_tokens = count(self.out, "out")?;
        entry.think_ns = self.think_time.map(|t| seconds_ns(t, "think_time")).transpose()?.map(|t| t as u64);
        entry.measured = Measured {
            ttft_ns: self.ttft.map(|t| seconds_ns(t, "ttft")).transpose()?.map(|t| t as u64),
            e2e_ns: self.api_time.map(|t| seconds_ns(t, "api_time")).transpose()?.map(|t| t as u64),
            ..Measured::default()
        };
        let runs = self.runs();
        let blocks: u64 = runs.iter().fold(0, |n, r| n.saturating_add(r.1));
        let right = u64::from(entry.prompt_tokens / block);
        if blocks != right {
            return Err(wrong!(
                "hash_ids_rle has {blocks} blocks for {} tokens; it must have {right}, one for each {block} full",
                entry.prompt_tokens
            ));
        }
        for &(first, blocks) in &runs {
            let end = first.checked_add(blocks).and_then(|e| e.checked_mul(u64::from(block)));
            if blocks == 0 || end.is_none_or(|e| e > u64::from(u32::MAX)) {
                return Err(wrong!("the run [{first}, {blocks}] is empty or past 2^32 tokens; it must be neither"));
            }
            let block = u64::from(block);
            let (start, len) = ((first * block) as u32, (blocks * block) as u32);
            match entry.content.last_mut() {
                Some(run) if run.start + run.len == start => run.len += len,
                _ => entry.content.push(Run { id: ContentId::Named(content), start, len }),
            }
        }
        Ok(entry)
    }
}

impl Sessions for Claude {
    fn item(&mut self, line: &str, _first_id: u64, out: &mut Vec<Entry>) -> Result<(), TraceFault> {
        let line: Session = json(line, "a session: id, block_size, hash_id_scope, requests")?;
        if line.hash_id_scope != "local" {
            return Err(wrong!("hash_id_scope is `{}`; only `local` is known", line.hash_id_scope));
        }
        if !(1..=1 << 20).contains(&line.block_size) {
            return Err(wrong!("block_size is {}; it must be tokens, at least 1", line.block_size));
        }
        self.unknown.others(&line.others);
        let (sessions, names) = (self.sessions, self.names.len());
        let walked = self.walk(&line.requests, (0.0, 0), (&line.id, hash(&line.id), line.block_size), out);
        if walked.is_err() {
            // A session is left out whole, its number too.
            self.sessions = sessions;
            self.names.truncate(names);
        }
        walked?;
        out.sort_by_key(|e| e.at_ns);
        Ok(())
    }
    fn clock(&self) -> Clock {
        Clock::Session
    }
    fn order(&self) -> Order {
        Order::File
    }
    fn unknown_fields(&self) -> Vec<UnknownField> {
        self.unknown.list()
    }
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = vec!["sessions have no absolute start: the experiment says how they arrive".to_string()];
        if self.subagents > 0 {
            notes.push(format!("{} subagents are sessions of their own, beside their parents", self.subagents));
        }
        notes
    }
}

/// FNV-1a, finished by a 64-bit mix: the same number for the same id everywhere.
fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}
