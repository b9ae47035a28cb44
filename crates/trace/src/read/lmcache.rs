//! LMCache agent traces (LMCache, derived; Apache-2.0): calls of agents, in characters and 2,048-character blocks.
//!
//! Tokens = ceil(characters / 4), an estimate; a block is 512 of them. Calls of a session may overlap and their ends are
//! not known, so think times are unknown. Read from lmcache_agent_{magagent,miniswe,taubench}, 2026-11.
use super::Rows;
use super::parse::{Names, Unknown, count, json_counting};
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{ContentId, Entry, Run};
use baseload_core::types::{TraceFault, UnknownField, wrong};
use serde::Deserialize;

/// Row of LMCache's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "lmcache-agents",
    looks_like: "JSON with timestamp_us, input_chars",
    tried: Tried::On("all three"),
    carries: Carries { sessions: true, tokens: false, ..Carries::ARRIVALS },
    recognises: |head| head.has_keys(&["timestamp_us", "input_chars"]),
    open: |trace| super::rows(trace, LmCache::default()),
    example: r#"{"timestamp_us":7,"session":"b","step":0,"input_chars":4097,"output_chars":9,"hash_ids":[3,9]}"#,
    ..Format::PLAIN
};

/// Characters of a block.
const BLOCK_CHARS: u32 = 2_048;
/// Characters that are taken for a token.
pub(super) const CHARS_PER_TOKEN: u32 = 4;

const KEYS: [&str; 6] = ["timestamp_us", "session", "step", "input_chars", "output_chars", "hash_ids"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    timestamp_us: i64,
    session: String,
    #[serde(rename = "step")]
    _step: i64,
    input_chars: i64,
    output_chars: i64,
    hash_ids: Vec<u64>,
}

/// Reads one JSON object a line.
#[derive(Default)]
pub(super) struct LmCache {
    sessions: Names,
    /// Calls that record no prompt.
    promptless: u64,
    unknown: Unknown,
}

impl Rows for LmCache {
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, TraceFault> {
        let right = KEYS.join(", ");
        let line: Line = json_counting(line, &KEYS, &right, &mut self.unknown)?;
        let prompt = count(line.input_chars, "input_chars")?;
        let output = count(line.output_chars, "output_chars")?;
        let blocks = (prompt / BLOCK_CHARS) as usize;
        if line.hash_ids.len() != blocks {
            return Err(wrong!(
                "{} hash_ids for {prompt} characters; it must be {blocks}, one for each {BLOCK_CHARS} full",
                line.hash_ids.len()
            ));
        }
        let at_ns = line.timestamp_us.checked_mul(1_000).filter(|&at| at >= 0);
        entry.at_ns =
            at_ns.ok_or_else(|| wrong!("timestamp_us is {}; it must be microseconds since 1970", line.timestamp_us))?;
        self.promptless += u64::from(prompt == 0);
        entry.prompt_tokens = prompt.div_ceil(CHARS_PER_TOKEN).max(1);
        entry.output_tokens = output.div_ceil(CHARS_PER_TOKEN);
        entry.session = self.sessions.number(&line.session);
        let len = BLOCK_CHARS / CHARS_PER_TOKEN;
        entry.content.extend(line.hash_ids.iter().map(|&id| Run { id: ContentId::Named(id), start: 0, len }));
        Ok(true)
    }

    fn unknown_fields(&self) -> Vec<UnknownField> {
        self.unknown.list()
    }

    fn names(&self) -> Vec<String> {
        self.sessions.list()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec!["tokens are an estimate: characters / 4, rounded up".to_string()];
        if self.promptless > 0 {
            notes.push(format!(
                "{} calls record a prompt of 0 characters; they are kept with 1 prompt token, which takes next to no prefill",
                self.promptless
            ));
        }
        notes
    }
}
