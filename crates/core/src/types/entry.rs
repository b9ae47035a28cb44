//! A request as a trace or generator has it, before replay decides when it leaves, and the seam that yields them.
use super::{Account, ContentId, NO_SESSION, Run, TraceFault};

/// How a measured request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Status {
    /// Answered, or the trace does not say.
    #[default]
    Completed,
    /// Failed.
    Failed,
    /// The client gave the request up.
    Cancelled,
    /// Answered from a response cache: no model saw it.
    FromCache,
}

impl Status {
    /// All statuses.
    pub const ALL: [Status; 4] = [Status::Completed, Status::Failed, Status::Cancelled, Status::FromCache];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
            Status::FromCache => "from_cache",
        }
    }
}

/// What was measured of a request, where the trace has it. Replay ignores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// Start to first token, ns.
    pub ttft_ns: Option<u64>,
    /// Start to last token, ns.
    pub e2e_ns: Option<u64>,
    /// Prompt tokens that a cache had.
    pub cached_tokens: Option<u32>,
    /// How it ended.
    pub status: Status,
    /// Images in the prompt; they are not priced.
    pub images: u32,
}

/// One request as its trace has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the entry in the trace, unique; transforms keep it. Becomes `Request::index`, the key of the request's
    /// random streams.
    pub id: u64,
    /// Nanoseconds on the trace's clock (see [`Clock`]); any origin.
    pub at_ns: i64,
    /// Tenant, 0 where unknown.
    pub tenant: u32,
    /// Session, [`NO_SESSION`] where none.
    pub session: u64,
    /// Index into the experiment's classes; `u16::MAX` = none said.
    pub class: u16,
    /// Prompt tokens, at least 1.
    pub prompt_tokens: u32,
    /// Tokens generated. 0 is kept as the trace has it; replay generates 1.
    pub output_tokens: u32,
    /// The client's limit, 0 where unknown.
    pub max_output_tokens: u32,
    /// Lower is more urgent.
    pub priority: i32,
    /// Leading part of the prompt's content; what is left of the prompt is [`Entry::private_text`].
    pub content: Vec<Run>,
    /// From the end of what it waited for (its session's previous request, a tool) to its start; `None` where unknown or
    /// first of its session.
    pub think_ns: Option<u64>,
    /// From the answer of its session's previous request to the end of the tools that it called, ns; 0 where there were
    /// none. Its think time, if it has one, begins then.
    pub tools_ns: u64,
    /// What was measured.
    pub measured: Measured,
}

impl Entry {
    /// An entry with nothing in it, to be filled in.
    pub fn blank() -> Entry {
        Entry {
            id: 0,
            at_ns: 0,
            tenant: 0,
            session: NO_SESSION,
            class: u16::MAX,
            prompt_tokens: 0,
            output_tokens: 0,
            max_output_tokens: 0,
            priority: 0,
            content: Vec::new(),
            think_ns: None,
            tools_ns: 0,
            measured: Measured::default(),
        }
    }

    /// What its prompt holds beyond its content: text that it brings, counted from 0. A later request may name it.
    pub fn private_text(&self) -> Option<Run> {
        let named: u32 = self.content.iter().map(|r| r.len).sum();
        let len = self.prompt_tokens.saturating_sub(named);
        (len > 0).then_some(Run { id: ContentId::Private(self.id), start: 0, len })
    }

    /// Runs of the whole prompt: first its content, then its private text.
    pub fn prompt(&self) -> impl Iterator<Item = Run> + '_ {
        self.content.iter().copied().chain(self.private_text())
    }

    /// Becomes `next`, if there is one; whether there was, as [`Entries::next`] says it.
    pub fn become_next(&mut self, next: Option<Entry>) -> bool {
        let any = next.is_some();
        next.into_iter().for_each(|e| *self = e);
        any
    }

    /// Makes it blank again and keeps its buffer.
    pub fn clear(&mut self) {
        let mut content = std::mem::take(&mut self.content);
        content.clear();
        *self = Entry { content, ..Entry::blank() };
    }
}

/// What the times of a trace count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Clock {
    /// One origin for all entries; the first arrival becomes the simulation's start.
    #[default]
    Common,
    /// The simulation's start.
    Zero,
    /// Each session's own start; when sessions start is not known.
    Session,
    /// There are no times: when requests arrive is not known.
    None,
}

/// Yields the entries of a trace, one at a time.
pub trait Entries: Send {
    /// Fills `entry` (cleared first) with the next one; `false` at the end.
    ///
    /// # Errors
    /// `NAME:LINE: what is wrong; what would be right`.
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault>;
    /// What its times count from.
    fn clock(&self) -> Clock {
        Clock::Common
    }
    /// Place of the entry that was yielded last, for messages: `NAME:LINE`.
    fn place(&self) -> String;
    /// What people should know of how the entries so far were read: assumptions, estimates, counts. A sentence each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
    /// What was left out of the trace so far, and whose names stand behind its numbers. [`Entries::notes`] says it too.
    fn account(&self) -> Account {
        Account::default()
    }
    /// Entries in all, where known (progress bars only).
    fn total(&self) -> Option<u64> {
        None
    }
    /// Whether a later entry may name the private text of an earlier one. Where none does, it need not be remembered.
    fn names_private_text(&self) -> bool {
        true
    }
}

impl<E: Entries + ?Sized> Entries for Box<E> {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        (**self).next(entry)
    }
    fn clock(&self) -> Clock {
        (**self).clock()
    }
    fn place(&self) -> String {
        (**self).place()
    }
    fn notes(&self) -> Vec<String> {
        (**self).notes()
    }
    fn account(&self) -> Account {
        (**self).account()
    }
    fn total(&self) -> Option<u64> {
        (**self).total()
    }
    fn names_private_text(&self) -> bool {
        (**self).names_private_text()
    }
}
