//! Mooncake (kvcache-ai/Mooncake, Apache-2.0): times in ms, blocks of tokens named by `hash_ids`. Conversation tried, 2026-11;
//! toolagent, synthetic and the older arxiv trace are documented with the same keys. And its descendants (AIPerf
//! dataset/loader/models.py, Dynamo): rows of sessions with delays, prompts as text, other block sizes.
//!
//! Published times stand in 3-second buckets (some a few ms early or late). `trace::Buckets` spreads each bucket
//! over [its time, the earlier of 3 s later and the next bucket), order kept, keyed by seed and request.
//! The block size is not in a file: it is the power of two from 16 to 2,048 that gives each of the first rows its number of
//! ids, 512 where that is one of several.
use super::Rows;
use super::calls::{Calls, Log, Of, log};
use super::chat::{chars_as_tokens, tokens_of_messages};
use super::parse::{Unknown, count, json_counting};
use super::record::{Record, nanos};
use crate::registry::{Carries, Format, Tried};
use crate::unopened::Unopened;
use baseload_core::types::{ContentId, Entry, Run, TraceFault, UnknownField, wrong};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::Value;

/// Row of Mooncake's format in the registry of readers. A file of Bailian's has all of its keys, and two more.
pub const FORMAT: Format = Format {
    name: "mooncake",
    looks_like: "JSON with timestamp, input_length, hash_ids",
    tried: Tried::On("conversation"),
    carries: Carries::ARRIVALS,
    recognises: |head| {
        head.has_keys(&NEEDED) && !["chat_id", "session_id", "delay"].into_iter().any(|key| head.has_keys(&[key]))
    },
    open: |trace| {
        let block = block_of(&trace)?;
        super::rows(trace, Mooncake { block, unknown: Unknown::default() })
    },
    example: r#"{"timestamp":0,"input_length":600,"output_length":5,"hash_ids":[1,2]}"#,
    bucket_ns: 3_000_000_000,
    ..Format::PLAIN
};

/// Row of Mooncake's descendants in the registry of readers.
pub const SESSIONS: Format = Format {
    name: "mooncake-sessions",
    looks_like: "JSON with session_id or delay, input_length, output_length",
    tried: Tried::Nothing,
    carries: Carries { sessions: true, ..Carries::ARRIVALS },
    recognises: |head| {
        let has = |key: &&str| head.has_keys(&[key]);
        let prompt = ["input_length", "text_input", "messages", "payload"].iter().any(has);
        let timed = ["timestamp", "delay", "session_id"].iter().any(has);
        let plain = head.has_keys(&NEEDED) && !has(&"session_id") && !has(&"delay");
        prompt && timed && has(&"output_length") && !plain && !has(&"chat_id")
    },
    open: |trace| {
        let block = block_of(&trace)?;
        log(trace, Descendant { block, ..Descendant::default() })
    },
    example: r#"{"session_id":"a","timestamp":0,"input_length":600,"output_length":20,"hash_ids":[1,2]}
{"session_id":"a","delay":4000,"input_length":700,"output_length":30,"hash_ids":[1,2]}
"#,
    ..Format::PLAIN
};

const NEEDED: [&str; 3] = ["timestamp", "input_length", "hash_ids"];

/// Tokens a hash id of the published traces stands for.
pub(crate) const BLOCK: u32 = 512;

/// Block sizes that are tried.
const SIZES: [u32; 8] = [16, 32, 64, 128, 256, 512, 1024, 2048];

/// Tokens a hash id stands for, as the options say, or as the rows that the trace begins with do.
fn block_of(trace: &Unopened<'_>) -> Result<u32, TraceFault> {
    #[derive(Deserialize)]
    struct Row {
        input_length: u32,
        hash_ids: Vec<u64>,
    }
    if let Some(block) = trace.options.hash_block {
        return Ok(block);
    }
    let lines = trace.head.text().lines().map(|line| line.trim().trim_start_matches('[').trim_end_matches([',', ']']));
    let row = |line: &str| {
        let whole = serde_json::from_str::<Row>(line).ok();
        whole.filter(|row| row.input_length > 0 && !row.hash_ids.is_empty()).map(|r| (r.input_length, r.hash_ids.len()))
    };
    let rows: Vec<(u32, usize)> = lines.filter_map(row).collect();
    let fits = |ids: fn(u32, u32) -> u32| -> Vec<u32> {
        let all = |b: &u32| rows.iter().all(|&(tokens, n)| ids(tokens, *b) as usize == n);
        SIZES.into_iter().filter(all).collect()
    };
    let begun = fits(u32::div_ceil);
    let sizes = if begun.is_empty() { fits(|tokens, block| tokens / block) } else { begun };
    match sizes.as_slice() {
        [one] => Ok(*one),
        several if several.contains(&BLOCK) => Ok(BLOCK),
        // A few rows that are wrong do not make a published trace another one.
        [] if rows.iter().filter(|r| r.0.div_ceil(BLOCK) as usize == r.1).count() * 10 >= rows.len() * 9 => Ok(BLOCK),
        several => {
            let (tokens, ids) = rows.first().copied().unwrap_or_default();
            let sizes: Vec<String> = several.iter().map(u32::to_string).collect();
            let sizes = if sizes.is_empty() { "none".into() } else { sizes.join(", ") };
            let what = format!(
                "{ids} hash_ids for {tokens} tokens: blocks of what size, its rows do not say (of those known, {sizes} would do)"
            );
            Err(TraceFault::of(trace.name, what).on_line(1).hint("give the tokens of a block, --hash-block"))
        }
    }
}

/// Gives a prompt the identity that its ids say: one for each block begun, or each full one.
fn name_blocks(entry: &mut Entry, ids: &[u64], block: u32) -> Result<(), TraceFault> {
    let prompt = entry.prompt_tokens;
    let (begun, full) = (prompt.div_ceil(block) as usize, (prompt / block) as usize);
    if ids.len() != begun && ids.len() != full {
        return Err(wrong!(
            "{} hash_ids for {prompt} tokens; it must be {begun}, one for each {block} begun",
            ids.len()
        ));
    }
    let len = |i: usize| block.min(prompt - i as u32 * block);
    let run = |(i, &id): (usize, &u64)| Run { id: ContentId::Named(id), start: 0, len: len(i) };
    entry.content.extend(ids.iter().enumerate().map(run));
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    timestamp: f64,
    input_length: i64,
    output_length: i64,
    hash_ids: Vec<u64>,
}

/// Reads one JSON object a line.
struct Mooncake {
    block: u32,
    unknown: Unknown,
}

impl Rows for Mooncake {
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, TraceFault> {
        const KEYS: [&str; 4] = ["timestamp", "input_length", "output_length", "hash_ids"];
        let right = "timestamp, input_length, output_length and hash_ids";
        let line: Line = json_counting(line, &KEYS, right, &mut self.unknown)?;
        if !(0.0..1e12).contains(&line.timestamp) {
            return Err(wrong!("timestamp is {}; it must be milliseconds from 0", line.timestamp));
        }
        entry.at_ns = (line.timestamp * 1e6).round() as i64;
        entry.prompt_tokens = count(line.input_length, "input_length")?;
        entry.output_tokens = count(line.output_length, "output_length")?;
        name_blocks(entry, &line.hash_ids, self.block)?;
        Ok(true)
    }

    fn unknown_fields(&self) -> Vec<UnknownField> {
        self.unknown.list()
    }

    fn notes(&self) -> Vec<String> {
        (self.block != BLOCK).then(|| format!("a hash id stands for {} tokens", self.block)).into_iter().collect()
    }
}

/// Reads rows of sessions.
#[derive(Default)]
struct Descendant {
    block: u32,
    /// When the last turn of a session started, ns.
    started: FxHashMap<String, i64>,
    /// Turns that wait for the answer before them.
    delayed: u64,
    /// Requests whose tokens are estimated.
    estimated: u64,
}

impl Descendant {
    /// Prompt tokens: as they are counted, or of the text.
    fn prompt(&mut self, row: &Record) -> Result<u32, TraceFault> {
        if let Some(tokens) = row.tokens("input_length")? {
            return Ok(tokens);
        }
        self.estimated += 1;
        if let Some(text) = row.text("text_input") {
            return Ok(chars_as_tokens(text.chars().count() as u64));
        }
        let messages = row.get("messages").or_else(|| row.get("payload.messages"));
        let messages = messages.ok_or("it has none of input_length, text_input, messages; a request must have one")?;
        tokens_of_messages(messages)
    }
}

impl Log for Descendant {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        let prompt = self.prompt(row)?;
        if !calls.has_tokens(Some(prompt), false) {
            return Ok(());
        }
        let ms = |name: &str| row.get(name).map(|value| nanos(value, name, 6)).transpose();
        let (at, delay, session) = (ms("timestamp")?, ms("delay")?, row.text("session_id"));
        let before = session.as_ref().and_then(|name| self.started.get(name)).copied();
        let at_ns = match (at, before, delay) {
            (Some(at), _, _) => at as i64,
            // The answer before it takes an unknown time.
            (None, Some(before), Some(delay)) => before.saturating_add(delay as i64),
            (None, None, _) => return Err("the first turn of a session has no timestamp; it must have one".into()),
            (None, Some(_), None) => return Err("it has neither timestamp nor delay; a turn must have one".into()),
        };
        let mut entry = Entry { at_ns, prompt_tokens: prompt, ..Entry::blank() };
        entry.output_tokens = row.tokens("output_length")?.ok_or("output_length is not there; a row must have it")?;
        entry.think_ns = delay.filter(|_| before.is_some());
        self.delayed += u64::from(at.is_none());
        if let (Some(Value::Array(ids)), true) = (row.get("hash_ids"), row.get("input_length").is_some()) {
            let ids: Option<Vec<u64>> = ids.iter().map(Value::as_u64).collect();
            name_blocks(&mut entry, &ids.ok_or("hash_ids has what is no whole number; ids are")?, self.block)?;
        }
        if let Some(name) = &session {
            self.started.insert(name.clone(), at_ns);
        }
        calls.push(entry, &Of { session, ..Of::default() })
    }

    fn knows(&self, field: &str) -> bool {
        let known = ["timestamp", "delay", "session_id", "input_length", "output_length", "hash_ids"];
        known.contains(&field) || ["text_input", "messages", "tools", "payload"].contains(&field)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(
            self.delayed,
            "turns have a delay behind the answer before them and no time of their own: an open loop sends them that long \
             after the turn before began, a closed loop of sessions as they are meant",
        );
        say(self.estimated, "prompts are text, whose tokens are an estimate: characters / 4, rounded up");
        notes.extend((self.block != BLOCK).then(|| format!("a hash id stands for {} tokens", self.block)));
        notes
    }
}
