//! Published formats, as far as an entry can be said in them; the readers beside say what each is.
//!
//! Blocks of Mooncake and Bailian are named anew where a prompt's content is not already whole blocks of one id each:
//! equal content gets equal ids, so that what two prompts share stays shared up to a block.
use super::{Lines, Lost};
use crate::read::{bailian, mooncake};
use baseload_core::types::TraceFault;
use baseload_core::types::timestamp::written;
use baseload_core::types::{ContentId, Entry, NO_SESSION, Run, Status};
use rustc_hash::FxHashMap;
use std::fmt::Write;

/// What no published format that is written here has a place for.
fn lost_measures(e: &Entry, lost: &mut Lost) {
    lost.note(e.tenant != 0, "tenant");
    lost.note(e.class != u16::MAX, "class");
    lost.note(e.max_output_tokens != 0, "max_output_tokens");
    lost.note(e.priority != 0, "priority");
    lost.note(e.think_ns.is_some(), "think time");
    let m = &e.measured;
    lost.note(m.ttft_ns.is_some() || m.e2e_ns.is_some(), "measured times");
    lost.note(m.cached_tokens.is_some(), "cached tokens");
    lost.note(m.images != 0, "images");
}

/// Azure 2023/2024 CSV.
pub(super) struct Azure;

impl Lines for Azure {
    fn header(&self) -> Option<String> {
        Some("TIMESTAMP,ContextTokens,GeneratedTokens".into())
    }
    fn line(&mut self, e: &Entry, _: &[String], lost: &mut Lost, out: &mut String) -> Result<(), TraceFault> {
        lost_measures(e, lost);
        lost.note(!e.content.is_empty(), "content (prompt identity)");
        lost.note(e.session != NO_SESSION, "session");
        lost.note(e.measured.status != Status::Completed, "status");
        _ = write!(out, "{},{},{}", written(e.at_ns), e.prompt_tokens, e.output_tokens);
        Ok(())
    }
}

/// BurstGPT CSV; times count from the first entry.
#[derive(Default)]
pub(super) struct BurstGpt {
    origin: Origin,
}

/// The first entry's time, which published clocks start at.
#[derive(Default)]
struct Origin(Option<i64>);

impl Origin {
    fn since(&mut self, at: i64) -> Result<u64, TraceFault> {
        let origin = *self.0.get_or_insert(at);
        u64::try_from(i128::from(at) - i128::from(origin))
            .map_err(|_| TraceFault::new("it arrives before the first request").hint("sort the trace (--sort)"))
    }
}

impl Lines for BurstGpt {
    fn header(&self) -> Option<String> {
        Some("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type,Session ID".into())
    }
    fn line(&mut self, e: &Entry, _: &[String], lost: &mut Lost, out: &mut String) -> Result<(), TraceFault> {
        lost_measures(e, lost);
        lost.note(!e.content.is_empty(), "content (prompt identity)");
        let (status, output) = (e.measured.status, e.output_tokens);
        lost.note(status != Status::Completed && !(status == Status::Failed && output == 0), "status");
        if status == Status::Completed && output == 0 {
            return Err(TraceFault::new("it has 0 output tokens, which BurstGPT says of failed requests alone")
                .hint("write another format"));
        }
        let at = self.origin.since(e.at_ns)?;
        let session = if e.session == NO_SESSION { String::new() } else { e.session.to_string() };
        let total = u64::from(e.prompt_tokens) + u64::from(output);
        _ = write!(
            out,
            "{}.{:09},ChatGPT,{},{output},{total},API log,{session}",
            at / 1_000_000_000,
            at % 1_000_000_000,
            e.prompt_tokens
        );
        Ok(())
    }
}

/// Names of blocks.
#[derive(Default)]
struct Blocks {
    /// Numbers of blocks by what they hold, and, for a partial one, that it is.
    known: FxHashMap<Vec<Run>, u64>,
    /// Whether ids that the trace gave are kept; decided by the first prompt.
    given: Option<bool>,
}

impl Blocks {
    /// Ids of the prompt's blocks of `size` tokens, the last one perhaps partial.
    fn ids(&mut self, e: &Entry, size: u32) -> Result<Vec<u64>, TraceFault> {
        let named: u32 = e.content.iter().map(|r| r.len).sum();
        let given = e.content.iter().enumerate().all(|(n, r)| {
            matches!(r.id, ContentId::Named(_))
                && r.start == 0
                && (r.len == size || n + 1 == e.content.len() && r.len < size)
        }) && named == e.prompt_tokens;
        if *self.given.get_or_insert(given) != given {
            return Err(TraceFault::new("some prompts are blocks of the format and some are not")
                .hint("their ids would be mixed, write another format"));
        }
        if given {
            let id = |r: &Run| match r.id {
                ContentId::Named(id) | ContentId::Output(id) | ContentId::Private(id) => id,
            };
            return Ok(e.content.iter().map(id).collect());
        }
        let (mut ids, mut block, mut room) = (Vec::new(), Vec::<Run>::new(), size);
        for mut run in e.prompt() {
            while run.len > 0 {
                let len = run.len.min(room);
                match block.last_mut() {
                    Some(last) if last.id == run.id && last.start + last.len == run.start => last.len += len,
                    _ => block.push(Run { len, ..run }),
                }
                (run.start, run.len, room) = (run.start + len, run.len - len, room - len);
                if room == 0 {
                    ids.push(self.number(&mut block));
                    room = size;
                }
            }
        }
        if !block.is_empty() {
            ids.push(self.number(&mut block));
        }
        Ok(ids)
    }

    fn number(&mut self, block: &mut Vec<Run>) -> u64 {
        let next = self.known.len() as u64;
        *self.known.entry(std::mem::take(block)).or_insert(next)
    }
}

fn joined(ids: &[u64]) -> String {
    let texts: Vec<String> = ids.iter().map(u64::to_string).collect();
    texts.join(",")
}

/// Mooncake JSON lines.
#[derive(Default)]
pub(super) struct Mooncake {
    origin: Origin,
    blocks: Blocks,
}

impl Lines for Mooncake {
    fn line(&mut self, e: &Entry, _: &[String], lost: &mut Lost, out: &mut String) -> Result<(), TraceFault> {
        lost_measures(e, lost);
        lost.note(e.session != NO_SESSION, "session");
        lost.note(e.measured.status != Status::Completed, "status");
        // Its own clock starts at 0, and a trace read from it keeps that.
        let at = self.origin.since(e.at_ns)?;
        let ids = joined(&self.blocks.ids(e, mooncake::BLOCK)?);
        let (ms, rest) = (at / 1_000_000, at % 1_000_000);
        let ms = if rest == 0 { ms.to_string() } else { format!("{ms}.{rest:06}") };
        _ = write!(
            out,
            "{{\"timestamp\":{ms},\"input_length\":{},\"output_length\":{},\"hash_ids\":[{ids}]}}",
            e.prompt_tokens, e.output_tokens
        );
        Ok(())
    }
}

/// Bailian JSON lines. A session's next request is the child of the one before.
#[derive(Default)]
pub(super) struct Bailian {
    origin: Origin,
    blocks: Blocks,
    /// The last chat of each session, and its turn.
    last: FxHashMap<u64, (u64, u64)>,
    made: u64,
}

impl Lines for Bailian {
    fn line(&mut self, e: &Entry, _: &[String], lost: &mut Lost, out: &mut String) -> Result<(), TraceFault> {
        lost_measures(e, lost);
        lost.note(e.measured.status != Status::Completed, "status");
        let at = self.origin.since(e.at_ns)?;
        let ids = joined(&self.blocks.ids(e, bailian::BLOCK)?);
        let chat = self.made;
        self.made += 1;
        let before = if e.session == NO_SESSION { None } else { self.last.get(&e.session).copied() };
        let (parent, turn) = before.map_or((-1, 1), |(chat, turn)| (chat as i64, turn + 1));
        if e.session != NO_SESSION {
            self.last.insert(e.session, (chat, turn));
        }
        _ = write!(
            out,
            "{{\"chat_id\":{chat},\"parent_chat_id\":{parent},\"timestamp\":{}.{:09},\"input_length\":{},\
             \"output_length\":{},\"type\":\"text\",\"turn\":{turn},\"hash_ids\":[{ids}]}}",
            at / 1_000_000_000,
            at % 1_000_000_000,
            e.prompt_tokens,
            e.output_tokens
        );
        Ok(())
    }
}
