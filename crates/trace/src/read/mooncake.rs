//! Mooncake (kvcache-ai/Mooncake, Apache-2.0): times in ms, 512-token blocks named by `hash_ids`. Conversation tried,
//! 2026-11; toolagent, synthetic and the older arxiv trace are documented with the same keys.
//!
//! Published times stand in 3-second buckets (some a few ms early or late). `trace::Buckets` spreads each bucket
//! over [its time, the earlier of 3 s later and the next bucket), order kept, keyed by seed and request.
use super::Rows;
use super::parse::{count, json};
use crate::registry::{Format, Tried};
use baseload_core::types::{ContentId, Entry, Run};
use baseload_core::types::{TraceFault, wrong};
use serde::Deserialize;

/// Row of Mooncake's format in the registry of readers. A file of Bailian's has all of its keys, and two more.
pub const FORMAT: Format = Format {
    name: "mooncake",
    looks_like: "JSON with timestamp, input_length, hash_ids",
    tried: Tried::On("conversation"),
    recognises: |head| {
        head.has_keys(&["timestamp", "input_length", "hash_ids"]) && !head.has_keys(&["chat_id", "parent_chat_id"])
    },
    open: |trace| super::rows(trace, Mooncake),
    example: r#"{"timestamp":0,"input_length":600,"output_length":5,"hash_ids":[1,2]}"#,
    bucket_ns: 3_000_000_000,
    ..Format::PLAIN
};

/// Tokens a hash id stands for.
pub(crate) const BLOCK: u32 = 512;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    timestamp: f64,
    input_length: i64,
    output_length: i64,
    hash_ids: Vec<u64>,
}

/// Reads one JSON object a line; a key it does not know would be another format's and is refused.
pub(super) struct Mooncake;

impl Rows for Mooncake {
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, TraceFault> {
        let line: Line = json(line, "timestamp, input_length, output_length, hash_ids and nothing else")?;
        let prompt = count(line.input_length, "input_length")?;
        let output = count(line.output_length, "output_length")?;
        let blocks = prompt.div_ceil(BLOCK) as usize;
        if line.hash_ids.len() != blocks {
            return Err(wrong!(
                "{} hash_ids for {prompt} tokens; it must be {blocks}, one for each 512 begun",
                line.hash_ids.len()
            ));
        }
        if !(0.0..1e12).contains(&line.timestamp) {
            return Err(wrong!("timestamp is {}; it must be milliseconds from 0", line.timestamp));
        }
        (entry.at_ns, entry.prompt_tokens, entry.output_tokens) =
            ((line.timestamp * 1e6).round() as i64, prompt, output);
        let len = |i: usize| BLOCK.min(prompt - i as u32 * BLOCK);
        let run = |(i, &id): (usize, &u64)| Run { id: ContentId::Named(id), start: 0, len: len(i) };
        entry.content.extend(line.hash_ids.iter().enumerate().map(run));
        Ok(true)
    }
}
