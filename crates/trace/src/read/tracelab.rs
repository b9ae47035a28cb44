//! TraceLab's rounds (uw-syfi/TraceLab, CC BY 4.0): JSON lines, a round of a coding agent each. Written to its description, not
//! tried on the original.
//!
//! A round starts at the last of its inputs (user_message, tool_result) and ends at the last of its outputs (text, reasoning,
//! tool_call). There are no hashes: it is taken to go on behind the round before it in its session where it shares nearly all of
//! that (`prefix_tokens`), else to share so many tokens with it. Answers are not named.
use super::calls::{Calls, Log, Of, log, since};
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use crate::shown::shown;
use baseload_core::types::timestamp::timestamp;
use baseload_core::types::{ContentId, Entry, Measured, Run, TraceFault, wrong};
use rustc_hash::FxHashMap;
use serde_json::Value;

/// Row of TraceLab's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "tracelab",
    looks_like: "JSON with session_id, round_index, timing_events",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, cached: true, ..Carries::ARRIVALS },
    recognises: |head| head.has_keys(&["session_id", "round_index", "timing_events"]),
    open: |trace| log(trace, TraceLab::default()),
    example: r#"{"provider":"p","session_id":"u1","round_index":0,"input_tokens_total":9000,"prefix_tokens":0,"newly_append_tokens":9000,"output_tokens":150,"timing_events":[{"event_type":"user_message","timestamp":"2026-03-01T09:00:00.000Z"},{"event_type":"text","timestamp":"2026-03-01T09:00:05.000Z"}]}"#,
    ..Format::PLAIN
};

/// The last round of a session.
struct Round {
    end_ns: i64,
    prompt: u32,
    /// The prompt, named by the parts of the session that it grew in.
    runs: Vec<Run>,
}

/// Reads one round a line.
#[derive(Default)]
struct TraceLab {
    last: FxHashMap<String, Round>,
    /// Parts of sessions so far: each is a content of its own.
    parts: u64,
    /// Cached tokens that the round before did not have.
    unexplained: u64,
}

/// A prompt that shares all but so many tokens of the one before it is taken to go on behind it: caches count whole blocks.
const ROUNDING: u32 = 1_024;
/// Parts of a session that keep their identity.
const MOST_PARTS: usize = 64;

impl TraceLab {
    /// Names a prompt: what it shares with the round before by its names, the rest as a growth of its last part, or a new one.
    fn named(&mut self, before: Option<&Round>, prompt: u32, cached: u32) -> Vec<Run> {
        let known = before.map_or(0, |b| b.prompt);
        self.unexplained += u64::from(cached.saturating_sub(known));
        let mut runs = before.map(|b| b.runs.clone()).unwrap_or_default();
        let goes_on = !runs.is_empty() && prompt >= known && cached.saturating_add(ROUNDING) >= known;
        if goes_on && let Some(last) = runs.last_mut() {
            last.len += prompt - known;
            return runs;
        }
        // A part is begun in any case: one that was cut may not grow again.
        let mut left = cached.min(known).min(prompt - 1);
        runs.retain_mut(|run| {
            run.len = run.len.min(left);
            left -= run.len;
            run.len > 0
        });
        runs.truncate(MOST_PARTS);
        let shared: u32 = runs.iter().map(|r| r.len).sum();
        self.parts += 1;
        runs.push(Run { id: ContentId::Named(self.parts), start: 0, len: prompt - shared });
        runs
    }
}

/// The last event of these types.
fn last(events: &[Value], types: &[&str]) -> Result<Option<i64>, TraceFault> {
    let mut latest = None;
    for event in events {
        let of = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("");
        if types.contains(&of("event_type")) {
            let text = of("timestamp");
            let (at, _) = timestamp(text.as_bytes(), true)
                .ok_or_else(|| wrong!("an event's timestamp is `{}`; it must be ISO 8601", shown(text)))?;
            latest = latest.max(Some(at));
        }
    }
    Ok(latest)
}

impl Log for TraceLab {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        let session = row.text("session_id").ok_or("session_id is not there; a round must have one")?;
        let round = row.text("round_index").unwrap_or_default();
        if calls.again(&format!("{session}\n{round}"), "session_id and round_index") {
            return Ok(());
        }
        let (read, fresh) = (row.tokens("prefix_tokens")?, row.tokens("newly_append_tokens")?);
        let prompt = match row.tokens("input_tokens_total")? {
            Some(total) => Some(total),
            None => read.zip(fresh).and_then(|(read, fresh)| read.checked_add(fresh)),
        };
        if !calls.has_tokens(prompt, false) {
            return Ok(());
        }
        let prompt = prompt.unwrap_or(0);
        let events = row.get("timing_events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let at_ns = last(events, &["user_message", "tool_result"])?;
        let at_ns = at_ns.ok_or("it has no event of an input; a round starts at its last one")?;
        let end_ns = last(events, &["text", "reasoning", "tool_call"])?.filter(|end| *end >= at_ns);
        let mut entry = Entry { at_ns, prompt_tokens: prompt, ..Entry::blank() };
        entry.output_tokens = row.tokens("output_tokens")?.unwrap_or(0);
        let cached = read.map(|read| read.min(prompt));
        let before = self.last.remove(&session);
        entry.content = self.named(before.as_ref(), prompt, cached.unwrap_or(0));
        entry.think_ns = before.map(|b| at_ns.saturating_sub(b.end_ns).max(0) as u64);
        entry.measured =
            Measured { e2e_ns: end_ns.and_then(|end| since(at_ns, end)), cached_tokens: cached, ..Measured::default() };
        let round = Round { end_ns: end_ns.unwrap_or(at_ns), prompt, runs: entry.content.clone() };
        self.last.insert(session.clone(), round);
        calls.push(entry, &Of { session: Some(session), model: row.text("model"), ..Of::default() })
    }

    fn knows(&self, field: &str) -> bool {
        const FIELDS: [&str; 11] = [
            "provider",
            "session_id",
            "round_index",
            "model",
            "input_tokens_total",
            "prefix_tokens",
            "newly_append_tokens",
            "output_tokens",
            "reasoning_output_tokens",
            "timing_events",
            "tools",
        ];
        FIELDS.contains(&field)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec!["a round is assumed to share its prefix_tokens with the round before it".to_string()];
        if self.unexplained > 0 {
            notes.push(format!(
                "{} cached tokens were in no round before; they are private, and never hit",
                self.unexplained
            ));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_by_the_parts_that_it_grew_in() {
        let mut lab = TraceLab::default();
        let mut before: Option<Round> = None;
        let mut made = Vec::new();
        for (prompt, cached) in [(9000, 0), (9400, 8960), (9400, 9400), (5000, 2000), (5000, 2000), (5200, 5000)] {
            let runs = lab.named(before.as_ref(), prompt, cached);
            assert_eq!(runs.iter().map(|r| r.len).sum::<u32>(), prompt);
            made.push(runs.iter().map(|r| (r.id, r.len)).collect::<Vec<_>>());
            before = Some(Round { end_ns: 0, prompt, runs });
        }
        let part = ContentId::Named;
        assert_eq!(made[..3], [vec![(part(1), 9000)], vec![(part(1), 9400)], vec![(part(1), 9400)]]);
        assert_eq!(made[3], [(part(1), 2000), (part(2), 3000)]);
        // It went another way from the same point: what was said there before is not taken for it.
        assert_eq!(made[4], [(part(1), 2000), (part(3), 3000)]);
        assert_eq!((made[5].clone(), lab.unexplained), (vec![(part(1), 2000), (part(3), 3200)], 0));
    }
}
