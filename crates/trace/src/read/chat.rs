//! Conversations as chat data has them: ShareGPT (`conversations` of from and value; vllm benchmarks/datasets), `messages` of
//! role and content as APIs take them, and LMSYS's `conversation`. A list or JSON lines. Written to their descriptions, not
//! tried on originals.
//!
//! A conversation is one request: all before its first answer, and that answer. With `every_turn` each answer is one, its prompt
//! all that was said before it, in a session. Tokens = characters / 4, an estimate, each message rounded up by itself; a call of
//! a tool is an answer of its name and arguments. Where a conversation has `prompt_tokens` and `output_tokens` it is one request
//! of those. There are no arrivals.
use super::calls::{Calls, Log, Of, log};
use super::lmcache::CHARS_PER_TOKEN;
use super::record::Record;
use crate::head::Head;
use crate::registry::{Carries, Format, Tried};
use crate::shown::shown;
use crate::unopened::Unopened;
use baseload_core::types::{Clock, ContentId, Entries, Entry, Run, TraceFault, wrong};
use serde_json::Value;

const CARRIES: Carries = Carries { tokens: false, ..Carries::NONE };

/// Row of ShareGPT's format in the registry of readers.
pub const SHAREGPT: Format = Format {
    name: "sharegpt",
    looks_like: "JSON with conversations of from, value",
    tried: Tried::Nothing,
    carries: CARRIES,
    recognises: |head| head.has_keys(&["conversations"]),
    open: |trace| open(trace, "conversations"),
    example: r#"[{"id":"a","conversations":[{"from":"human","value":"Which way?"},{"from":"gpt","value":"That way."}]}]"#,
    ..Format::PLAIN
};

/// Row of chat messages in the registry of readers.
pub const MESSAGES: Format = Format {
    name: "chat-messages",
    looks_like: "JSON with messages of role, content",
    tried: Tried::Nothing,
    carries: CARRIES,
    recognises: |head| of_objects(head, "messages") && !head.has_keys(&["output_length"]) && !head.has_keys(&["turns"]),
    open: |trace| open(trace, "messages"),
    example: r#"{"messages":[{"role":"user","content":"Which way?"},{"role":"assistant","content":"That way."}]}"#,
    ..Format::PLAIN
};

/// Row of LMSYS's format in the registry of readers.
pub const LMSYS: Format = Format {
    name: "lmsys",
    looks_like: "JSON with conversation of role, content",
    tried: Tried::Nothing,
    carries: CARRIES,
    recognises: |head| of_objects(head, "conversation"),
    open: |trace| open(trace, "conversation"),
    example: r#"{"conversation_id":"l1","model":"m","conversation":[{"role":"user","content":"Which way?"},{"role":"assistant","content":"That way."}]}"#,
    ..Format::PLAIN
};

fn of_objects(head: &Head<'_>, key: &str) -> bool {
    head.has_keys(&[key]) && head.value_starts(key, "[")
}

fn open(trace: Unopened<'_>, key: &'static str) -> Result<Box<dyn Entries>, TraceFault> {
    let every_turn = trace.options.every_turn;
    log(trace, Chat { key, every_turn, estimated: false, images: 0, empty: 0 })
}

/// Tokens that characters are taken for; at most what a request can hold.
pub(super) fn chars_as_tokens(chars: u64) -> u32 {
    u32::try_from(chars.div_ceil(u64::from(CHARS_PER_TOKEN))).unwrap_or(u32::MAX)
}

/// Runs of a conversation that keep their identity: behind them what was said is private to each request, so that what a
/// conversation holds grows with its length and not with its square.
pub(super) const MOST_RUNS: usize = 512;

/// A message, as far as it is counted.
struct Message {
    answer: bool,
    /// Whether it asks for an answer; what is said before all that is asked does not.
    asks: bool,
    tokens: u32,
    images: u32,
}

/// Characters of a message's content, a text or a list of parts, and its images.
fn content(value: &Value) -> (u64, u32) {
    match value {
        Value::String(text) => (text.chars().count() as u64, 0),
        Value::Array(parts) => parts.iter().fold((0, 0), |(chars, images), part| {
            let text = part.get("text").or(Some(part)).and_then(Value::as_str).unwrap_or("");
            let kind = part.get("type").and_then(Value::as_str).unwrap_or("");
            (chars + text.chars().count() as u64, images + u32::from(kind.contains("image")))
        }),
        _ => (0, 0),
    }
}

impl Message {
    fn of(value: &Value) -> Result<Message, TraceFault> {
        let role = value.get("from").or_else(|| value.get("role")).and_then(Value::as_str);
        let role = role.ok_or("a message has neither `from` nor `role`; it must have one")?;
        let said = value.get("value").or_else(|| value.get("content")).unwrap_or(&Value::Null);
        let (mut chars, images) = content(said);
        let (answer, asks) = match role {
            "gpt" | "chatgpt" | "assistant" | "bing" | "bard" | "model" | "function_call" | "tool_call" => {
                (true, false)
            }
            "human" | "user" | "tool" | "observation" | "function" | "function_response" | "tool_response"
            | "ipython" => (false, true),
            "system" | "developer" => (false, false),
            other => {
                let other = shown(other);
                return Err(wrong!(
                    "`from` is `{other}`; only human, gpt, system, tool and their other names are known"
                ));
            }
        };
        let calls = value.get("tool_calls").and_then(Value::as_array);
        for call in calls.into_iter().flatten().chain(value.get("function_call")) {
            let function = call.get("function").unwrap_or(call);
            for part in ["name", "arguments"] {
                chars += match function.get(part) {
                    Some(Value::String(text)) => text.chars().count() as u64,
                    Some(other) => other.to_string().chars().count() as u64,
                    None => 0,
                };
            }
        }
        Ok(Message { answer, asks, tokens: chars_as_tokens(chars), images })
    }
}

/// Tokens of a list of messages, each rounded up by itself.
///
/// # Errors
/// What is no such list.
pub(super) fn tokens_of_messages(messages: &Value) -> Result<u32, TraceFault> {
    let Value::Array(messages) = messages else { return Err("messages is no list; it must be one".into()) };
    messages.iter().try_fold(0u32, |sum, message| Ok(sum.saturating_add(Message::of(message)?.tokens)))
}

/// Reads one conversation an object.
struct Chat {
    /// The key that has what was said.
    key: &'static str,
    every_turn: bool,
    estimated: bool,
    images: u64,
    /// Prompts without a character.
    empty: u64,
}

impl Chat {
    /// Requests of what was said, and whether there were any.
    fn conversation(&mut self, said: &[Message], of: &Of, calls: &mut Calls) -> Result<bool, TraceFault> {
        // What was said, as the next prompt begins with it; its tokens, and those since.
        let (mut before, mut known, mut fresh) = (Vec::<Run>::new(), 0u32, 0u32);
        let (mut asked, mut images, mut any) = (false, 0, false);
        let too_long = "the conversation is longer than 2^32 tokens; no request can be";
        for message in said {
            if !(message.answer && asked) {
                // An answer to nothing (a conversation cut in pieces) is what the next prompt starts with.
                fresh = fresh.checked_add(message.tokens).ok_or(too_long)?;
                images += message.images;
                asked |= message.asks;
                continue;
            }
            let id = calls.next_id();
            let private = fresh.max(u32::from(known == 0));
            self.empty += u64::from(fresh == 0 && known == 0);
            let prompt = known.checked_add(private).ok_or(too_long)?;
            let mut entry = Entry { prompt_tokens: prompt, output_tokens: message.tokens, ..Entry::blank() };
            entry.content.clone_from(&before);
            entry.measured.images = images;
            self.images += u64::from(images);
            calls.push(entry, of)?;
            any = true;
            if !self.every_turn {
                break;
            }
            let more = [(ContentId::Private(id), private), (ContentId::Output(id), message.tokens)];
            if before.len() < MOST_RUNS {
                before.extend(more.into_iter().filter(|m| m.1 > 0).map(|(id, len)| Run { id, start: 0, len }));
            }
            known = prompt.checked_add(message.tokens).ok_or(too_long)?;
            (fresh, asked) = (0, false);
        }
        Ok(any)
    }
}

impl Log for Chat {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        let name = row.first(&["id", "conversation_id"]).and_then(|name| row.text(name));
        let name = name.unwrap_or_else(|| format!("line {}", calls.line()));
        let session = self.every_turn.then_some(name);
        let of = Of { session, model: row.text("model"), ..Of::default() };
        match (row.tokens("prompt_tokens")?, row.tokens("output_tokens")?) {
            (Some(prompt_tokens), Some(output_tokens)) => {
                if calls.has_tokens(Some(prompt_tokens), false) {
                    calls.push(Entry { prompt_tokens, output_tokens, ..Entry::blank() }, &of)?;
                }
                return Ok(());
            }
            (None, None) => {}
            _ => return Err("it has one of prompt_tokens and output_tokens; it must have both or neither".into()),
        }
        let Some(Value::Array(said)) = row.get(self.key) else {
            return Err(wrong!("{} is no list; it must be one of what was said", self.key));
        };
        // Some have the list within a list.
        let said = match said.as_slice() {
            [Value::Array(inner)] => inner,
            _ => said,
        };
        let said: Vec<Message> = said.iter().map(Message::of).collect::<Result<_, TraceFault>>()?;
        if self.conversation(&said, &of, calls)? {
            self.estimated = true;
        } else {
            calls.leave_out("no answer in the conversation");
        }
        Ok(())
    }

    fn knows(&self, field: &str) -> bool {
        const FIELDS: [&str; 20] = [
            "id",
            "conversation_id",
            "model",
            "prompt_tokens",
            "output_tokens",
            "turn",
            "turns",
            "language",
            "redacted",
            "openai_moderation",
            "detoxify_moderation",
            "toxic",
            "tools",
            "functions",
            "system",
            "source",
            "timestamp",
            "user_id",
            "metadata",
            "tstamp",
        ];
        field == self.key || FIELDS.contains(&field)
    }

    fn clock(&self) -> Clock {
        Clock::None
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec!["there are no arrivals: the experiment says how requests arrive".to_string()];
        notes.extend(self.estimated.then(|| "tokens are an estimate: characters / 4, rounded up".to_string()));
        notes.push(if self.every_turn {
            "each answer is a request, whose prompt is all that was said before it".into()
        } else {
            "a conversation is one request, up to its first answer; --every-turn makes one of each answer".into()
        });
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(self.empty, "questions are empty; they are kept with 1 prompt token");
        say(self.images, "images are kept and not priced");
        notes
    }
}
