//! Mooncake (kvcache-ai/Mooncake, Apache-2.0): times in ms, 512-token blocks named by `hash_ids`.
//!
//! Published times stand in 3-second buckets (some a few ms early or late). `FileSource` spreads each bucket
//! over [its time, the earlier of 3 s later and the next bucket), order kept, keyed by seed and request.
use super::{Row, Rows};
use crate::types::{ContentId, Run};
use serde::Deserialize;

/// Width of a bucket, ns.
pub(super) const BUCKET_NS: u64 = 3_000_000_000;
/// Tokens a hash id stands for.
const BLOCK: u32 = 512;

#[derive(Deserialize)]
struct Line {
    timestamp: f64,
    input_length: i64,
    output_length: i64,
    hash_ids: Vec<u64>,
}

/// Reads one JSON object a line; keys it does not know are ignored.
pub(super) struct Mooncake;

impl Rows for Mooncake {
    fn row(&mut self, line: &str) -> Result<Option<Row>, String> {
        let line: Line = serde_json::from_str(line).map_err(|e| {
            format!(
                "the line is torn or wrong ({e}); it must be JSON with timestamp, input_length, output_length, hash_ids"
            )
        })?;
        let prompt = count(line.input_length, "input_length")?;
        let output = count(line.output_length, "output_length")?;
        let blocks = prompt.div_ceil(BLOCK) as usize;
        if line.hash_ids.len() != blocks {
            return Err(format!(
                "{} hash_ids for {prompt} tokens; it must be {blocks}, one for each 512 begun",
                line.hash_ids.len()
            ));
        }
        if !(0.0..1e15).contains(&line.timestamp) {
            return Err(format!("timestamp is {}; it must be milliseconds from 0", line.timestamp));
        }
        let mut row = Row::new((line.timestamp * 1e6).round() as i128, prompt, output);
        let len = |i: usize| BLOCK.min(prompt - i as u32 * BLOCK);
        row.named = line
            .hash_ids
            .iter()
            .enumerate()
            .map(|(i, &id)| Run { id: ContentId::Named(id), start: 0, len: len(i) })
            .collect();
        Ok(Some(row))
    }
}

/// A count of tokens that JSON gave as any whole number.
pub(super) fn count(value: i64, key: &str) -> Result<u32, String> {
    if value < 0 {
        return Err(format!("{key} is {value}, a negative number; it must be at least 1"));
    }
    u32::try_from(value).map_err(|_| format!("{key} is {value}; it must be under 2^32"))
}
