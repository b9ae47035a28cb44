//! ShareGPT JSON: an array of conversations, read one by one. Written to the description (vllm benchmarks/datasets), not
//! tried on the original.
//!
//! Each answer (`gpt`) is a turn of a session: its prompt is all that was said before it. Tokens = ceil(characters / 4),
//! an estimate; where a conversation has `prompt_tokens` and `output_tokens` it is one request of those. vLLM's own
//! benchmark takes the first two values alone and drops short and long ones; this reader drops nothing that has an answer.
//! There are no arrivals.
use super::lmcache::CHARS_PER_TOKEN;
use super::parse::{count, json};
use super::sessions::{Order, Sessions, session_elements};
use crate::registry::{Format, Tried};
use baseload_core::types::{Clock, ContentId, Entry, Run};
use baseload_core::types::{TraceFault, wrong};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Row of ShareGPT's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "sharegpt",
    looks_like: "JSON array with conversations",
    tried: Tried::Nothing,
    recognises: |head| head.is_array_with("conversations"),
    open: |trace| session_elements(trace, ShareGpt::default()),
    example: r#"[{"id":"a","conversations":[{"from":"human","value":"Which way?"},{"from":"gpt","value":"That way."}]}]"#,
    ..Format::PLAIN
};

#[derive(Deserialize)]
struct Conversation<'a> {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(borrow)]
    conversations: Vec<Value<'a>>,
    prompt_tokens: Option<i64>,
    output_tokens: Option<i64>,
}

#[derive(Deserialize)]
struct Value<'a> {
    #[serde(borrow)]
    from: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

/// Reads one conversation an element.
#[derive(Default)]
pub(super) struct ShareGpt {
    sessions: u64,
    estimated: bool,
    /// Conversations without a turn.
    silent: u64,
    wordless: u64,
}

impl Sessions for ShareGpt {
    fn item(&mut self, text: &str, first_id: u64, out: &mut Vec<Entry>) -> Result<(), TraceFault> {
        let all: Conversation = json(text, "a conversation: id, conversations of from and value")?;
        let session = self.sessions;
        self.sessions += 1;
        match (all.prompt_tokens, all.output_tokens) {
            (Some(prompt), Some(output)) => {
                out.push(Entry {
                    session,
                    prompt_tokens: count(prompt, "prompt_tokens")?,
                    output_tokens: count(output, "output_tokens")?,
                    ..Entry::blank()
                });
                return Ok(());
            }
            (None, None) => {}
            _ => return Err("it has one of prompt_tokens and output_tokens; it must have both or neither".into()),
        }
        // What was said, as the next prompt begins with it, and characters since.
        let (mut said, mut said_tokens, mut fresh) = (Vec::<Run>::new(), 0u64, 0u64);
        let mut asked = false;
        for value in &all.conversations {
            let chars = value.value.chars().count() as u64;
            match &*value.from {
                "gpt" | "chatgpt" | "assistant" | "bing" | "bard" if asked => {
                    self.estimated = true;
                    let id = first_id + out.len() as u64;
                    let private = fresh.div_ceil(u64::from(CHARS_PER_TOKEN)).max(u64::from(said_tokens == 0));
                    self.wordless += u64::from(fresh == 0 && said_tokens == 0);
                    let output = chars.div_ceil(u64::from(CHARS_PER_TOKEN));
                    let too_long = "the conversation is longer than 2^32 tokens; no request can be";
                    let prompt = u32::try_from(said_tokens + private).map_err(|_| too_long)?;
                    let output = u32::try_from(output).map_err(|_| too_long)?;
                    out.push(Entry {
                        session,
                        prompt_tokens: prompt,
                        output_tokens: output,
                        content: said.clone(),
                        ..Entry::blank()
                    });
                    let more = [(ContentId::Private(id), private as u32), (ContentId::Output(id), output)];
                    said.extend(more.into_iter().filter(|m| m.1 > 0).map(|(id, len)| Run { id, start: 0, len }));
                    said_tokens = u64::from(prompt) + u64::from(output);
                    (fresh, asked) = (0, false);
                }
                // An answer to nothing (a conversation cut in pieces) is what the next prompt starts with.
                "gpt" | "chatgpt" | "assistant" | "bing" | "bard" => fresh += chars,
                "human" | "user" | "system" => {
                    fresh += chars;
                    asked |= &*value.from != "system";
                }
                other => {
                    return Err(wrong!("`from` is `{other}`; only human and gpt, and their other names, are known"));
                }
            }
        }
        self.silent += u64::from(out.is_empty());
        Ok(())
    }
    fn clock(&self) -> Clock {
        Clock::None
    }
    fn order(&self) -> Order {
        Order::File
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = vec!["there are no arrivals: the experiment says how requests arrive".to_string()];
        notes.extend(self.estimated.then(|| "tokens are an estimate: characters / 4, rounded up".to_string()));
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(self.silent, "conversations have no question with an answer and are left out");
        say(self.wordless, "questions are empty; they are kept with 1 prompt token");
        notes
    }
}
