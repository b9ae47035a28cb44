//! AIPerf's dag_jsonl (dag_jsonl_models.py, 0.13): JSON lines, an agent's session each, whose turns add messages, wait, and start
//! other sessions: a fork inherits what was said, a spawn begins anew. Written to the source, not tried on a file.
//!
//! Tokens are an estimate of the messages' characters, answers are `max_tokens` long. Sessions that others start are no roots.
//! A turn's own wait is its think time; that a parent also waits for what it spawned is not replayed, and said. No arrivals.
use super::calls::{Calls, Log, Of, log};
use super::chat::{MOST_RUNS, tokens_of_messages};
use super::record::{Record, nanos};
use crate::registry::{Carries, Format, Tried};
use crate::shown::shown;
use baseload_core::types::{Clock, ContentId, Entry, Run, TraceFault, wrong};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

/// Row of AIPerf's dag_jsonl in the registry of readers.
pub const FORMAT: Format = Format {
    name: "aiperf-dag",
    looks_like: "JSON with session_id, turns of messages",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, tokens: false, ..Carries::NONE },
    recognises: |head| head.has_keys(&["session_id", "turns"]) && head.names("messages") && !head.names("llm_calls"),
    open: |trace| log(trace, Dag::default()),
    example: r#"{"session_id":"root","turns":[{"messages":[{"role":"user","content":"Which way?"}],"max_tokens":8,"spawns":["kid"]},{"messages":[{"role":"user","content":"Now."}],"max_tokens":4,"delay":250}]}
{"session_id":"kid","turns":[{"messages":[{"role":"user","content":"Look it up."}],"max_tokens":16}]}
"#,
    ..Format::PLAIN
};

/// Sessions within one another that are followed.
const DEEPEST: u32 = 32;
/// Requests that one file may make: sessions that start one another multiply.
const MOST: u64 = 100_000;

/// A turn of a session.
struct Turn {
    fresh: u32,
    output: u32,
    delay_ns: u64,
    model: Option<String>,
    /// Sessions that inherit what was said.
    forks: Vec<String>,
    /// Sessions that begin anew.
    spawns: Vec<String>,
}

/// Reads one session a line; makes requests when all are there.
#[derive(Default)]
struct Dag {
    order: Vec<String>,
    turns: FxHashMap<String, Vec<Turn>>,
    children: FxHashSet<String>,
    waits: u64,
}

/// Names of the sessions that a turn starts: names, or objects with one or several.
fn names(value: Option<&Value>) -> Vec<String> {
    let of = |value: &Value| match value {
        Value::String(name) => vec![name.clone()],
        object => {
            let all = object.get("children").and_then(Value::as_array).into_iter().flatten();
            all.chain(object.get("child")).filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }
    };
    value.and_then(Value::as_array).into_iter().flatten().flat_map(of).collect()
}

impl Turn {
    fn of(value: &Value) -> Result<Turn, TraceFault> {
        let output = value.get("max_tokens").or_else(|| value.get("extra").and_then(|extra| extra.get("max_tokens")));
        let output = output.ok_or("a turn has no max_tokens, which its answer is taken to be; it must have one")?;
        let delay_ns = value.get("delay").map(|delay| nanos(delay, "delay", 6)).transpose()?.unwrap_or(0);
        Ok(Turn {
            fresh: tokens_of_messages(value.get("messages").unwrap_or(&Value::Null))?,
            output: super::record::tokens(output, "max_tokens")?,
            delay_ns,
            model: value.get("model").and_then(Value::as_str).map(str::to_owned),
            forks: names(value.get("forks")),
            spawns: names(value.get("spawns")),
        })
    }
}

impl Dag {
    /// Makes the requests of a session that starts at `at_ns` on its root's clock with `said` behind it, `before` tokens.
    fn play(
        &self,
        name: &str,
        (at_ns, depth): (i64, u32),
        (mut said, mut before): (Vec<Run>, u32),
        calls: &mut Calls,
    ) -> Result<(), TraceFault> {
        let Some(turns) = self.turns.get(name) else {
            let name = shown(name);
            return Err(wrong!("session `{name}` is started and not in the file; it must be"));
        };
        if depth > DEEPEST {
            return Err(wrong!("sessions start one another deeper than {DEEPEST}; that must be a circle"));
        }
        // What starts it may start it again: each is a session of its own.
        let session = if depth == 0 { name.to_owned() } else { self.named_child(name, calls) };
        let mut at_ns = at_ns;
        for (n, turn) in turns.iter().enumerate() {
            if calls.next_id() >= MOST {
                return Err(wrong!("sessions that start one another make over {MOST} requests; that must be a fault"));
            }
            at_ns = at_ns.saturating_add(if n > 0 { turn.delay_ns as i64 } else { 0 });
            let too_long = "a session is longer than 2^32 tokens; no request can be";
            let prompt = before.checked_add(turn.fresh).ok_or(too_long)?;
            let id = calls.next_id();
            let mut entry = Entry { at_ns, prompt_tokens: prompt, output_tokens: turn.output, ..Entry::blank() };
            entry.content.clone_from(&said);
            entry.think_ns = (n > 0).then_some(turn.delay_ns);
            let of = Of { session: Some(session.clone()), model: turn.model.clone(), ..Of::default() };
            if calls.has_tokens(Some(prompt), false) {
                calls.push(entry, &of)?;
            }
            let more = [(ContentId::Private(id), turn.fresh), (ContentId::Output(id), turn.output)];
            if said.len() < MOST_RUNS {
                said.extend(more.into_iter().filter(|m| m.1 > 0).map(|(id, len)| Run { id, start: 0, len }));
            }
            before = prompt.checked_add(turn.output).ok_or(too_long)?;
            // A moment later, so that they are within what started them.
            let within = (at_ns.saturating_add(1), depth + 1);
            for child in &turn.forks {
                self.play(child, within, (said.clone(), before), calls)?;
            }
            for child in &turn.spawns {
                self.play(child, within, (Vec::new(), 0), calls)?;
            }
        }
        Ok(())
    }

    fn named_child(&self, name: &str, calls: &mut Calls) -> String {
        let mut n = 1;
        let mut unique = name.to_owned();
        while !calls.is_new_session(&unique) {
            n += 1;
            unique = format!("{name} ({n})");
        }
        unique
    }
}

impl Log for Dag {
    fn row(&mut self, row: &Record, _: &mut Calls) -> Result<(), TraceFault> {
        let name = row.text("session_id").ok_or("session_id is not there; a session must have one")?;
        let Some(Value::Array(turns)) = row.get("turns") else { return Err("turns is no list; it must be one".into()) };
        let turns: Vec<Turn> = turns.iter().map(Turn::of).collect::<Result<_, TraceFault>>()?;
        let mut children: Vec<String> = turns.iter().flat_map(|t| t.forks.iter().chain(&t.spawns)).cloned().collect();
        children.extend(names(row.get("pre_session_spawns")));
        if self.turns.contains_key(&name) {
            return Err(wrong!("session `{}` stands twice; it may stand once", shown(&name)));
        }
        self.waits += turns.iter().filter(|t| !t.spawns.is_empty()).count() as u64;
        self.children.extend(children);
        self.turns.insert(name.clone(), turns);
        self.order.push(name);
        Ok(())
    }

    fn knows(&self, field: &str) -> bool {
        let known =
            ["session_id", "turns", "rounds", "think_time_ms", "context_mode", "pre_session_spawns", "orchestrator"];
        known.contains(&field) || field.starts_with("think_time_ms_")
    }

    fn clock(&self) -> Clock {
        Clock::Session
    }

    fn end(&mut self, _: &[(String, String)], calls: &mut Calls) -> Result<(), TraceFault> {
        for root in self.order.iter().filter(|name| !self.children.contains(*name)) {
            self.play(root, (0, 0), (Vec::new(), 0), calls)?;
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "tokens are an estimate: characters / 4, rounded up; answers are max_tokens long".to_string(),
            "sessions have no absolute start: the experiment says how they arrive".to_string(),
        ];
        if self.waits > 0 {
            notes.push(format!(
                "{} turns spawn sessions that their parent waits for; they run beside it, and the wait is not replayed",
                self.waits
            ));
        }
        notes
    }
}
