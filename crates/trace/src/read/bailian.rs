//! Alibaba Bailian (alibaba-edu/qwen-bailian-usagetraces-anon, Apache-2.0): JSON lines with 16-token block ids.
//! Written to the README's description, not tried on the original.
//!
//! Hashes are of each block alone, so equal ids make a shared prefix exactly as far as two lists agree from the start,
//! which is how content runs compare. A session is the root reached through `parent_chat_id` and carries its number.
use super::Rows;
use super::parse::{Unknown, count, json_counting, seconds_ns};
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{ContentId, Entry, NO_SESSION, Run};
use baseload_core::types::{TraceFault, UnknownField, wrong};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Row of Bailian's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "bailian",
    looks_like: "JSON with chat_id, parent_chat_id",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, ..Carries::ARRIVALS },
    recognises: |head| head.has_keys(&["chat_id", "parent_chat_id"]),
    open: |trace| super::rows(trace, Bailian::default()),
    example: r#"{"chat_id":9,"parent_chat_id":-1,"timestamp":0.412,"input_length":40,"output_length":210,"type":"text","turn":1,"hash_ids":[3,4,5]}"#,
    ..Format::PLAIN
};

/// Tokens a hash id stands for.
pub(crate) const BLOCK: u32 = 16;

const KEYS: [&str; 8] =
    ["chat_id", "parent_chat_id", "timestamp", "input_length", "output_length", "type", "turn", "hash_ids"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    chat_id: i64,
    parent_chat_id: i64,
    timestamp: f64,
    input_length: i64,
    output_length: i64,
    turn: i64,
    hash_ids: Vec<u64>,
    #[serde(rename = "type")]
    _type: IgnoredAny,
}

/// Reads one JSON object a line.
#[derive(Default)]
pub(super) struct Bailian {
    /// Root of every chat so far.
    roots: FxHashMap<u64, u64>,
    orphans: u64,
    unknown: Unknown,
}

impl Rows for Bailian {
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, TraceFault> {
        let right = KEYS.join(", ");
        let line: Line = json_counting(line, &KEYS, &right, &mut self.unknown)?;
        let prompt = count(line.input_length, "input_length")?;
        let ids = line.hash_ids.len() as u64;
        if ids != u64::from(prompt.div_ceil(BLOCK)) && ids != u64::from(prompt / BLOCK) {
            return Err(wrong!(
                "{ids} hash_ids for {prompt} tokens; it must be {}, one for each {BLOCK} begun",
                prompt.div_ceil(BLOCK)
            ));
        }
        let chat = u64::try_from(line.chat_id).ok().filter(|&c| c != NO_SESSION);
        let chat = chat.ok_or_else(|| wrong!("chat_id is {}; it must be at least 0", line.chat_id))?;
        let root = match (line.parent_chat_id, line.turn) {
            (-1, 1) => chat,
            (-1, turn) => return Err(wrong!("turn is {turn} but parent_chat_id -1; a root's turn must be 1")),
            (parent, turn) if parent < 0 || turn < 2 => {
                return Err(wrong!("parent_chat_id is {parent} in turn {turn}; a turn from 2 must name its parent"));
            }
            (parent, _) => {
                let known = self.roots.get(&(parent as u64)).copied();
                self.orphans += u64::from(known.is_none());
                known.unwrap_or(parent as u64)
            }
        };
        if self.roots.insert(chat, root).is_some() {
            return Err(wrong!("chat_id {chat} stands twice; it must be unique"));
        }
        entry.session = root;
        entry.at_ns = seconds_ns(line.timestamp, "timestamp")?;
        (entry.prompt_tokens, entry.output_tokens) = (prompt, count(line.output_length, "output_length")?);
        let run = |(i, &id): (usize, &u64)| Run {
            id: ContentId::Named(id),
            start: 0,
            len: BLOCK.min(prompt - i as u32 * BLOCK),
        };
        entry.content.extend(line.hash_ids.iter().enumerate().map(run));
        Ok(true)
    }

    fn unknown_fields(&self) -> Vec<UnknownField> {
        self.unknown.list()
    }

    fn notes(&self) -> Vec<String> {
        let orphans = (self.orphans > 0).then(|| {
            format!("{} chats have a parent from before the trace; the parent's number is their session", self.orphans)
        });
        orphans.into_iter().collect()
    }
}
