//! What serves requests, as its owner drives it: an engine replica, or a bought endpoint with its account.
use super::{AttemptId, Effect, GapRun, Job, Load, SimTime, Usd};

/// What backends have to say: effects in order, and the gaps between tokens. Its owner empties it.
#[derive(Debug, Default)]
pub struct Outbox {
    /// What happened.
    pub effects: Vec<Effect>,
    /// Gaps between tokens that were closed, in the order of each backend's clock.
    pub gaps: Vec<GapRun>,
}

/// What a cancelled attempt leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cancelled {
    /// Output tokens that had left the backend.
    pub output_tokens: u32,
    /// Prompt tokens that were read from a prefix cache, where its provider bills them apart.
    pub cached_tokens: u32,
    /// Billed for it by its provider's rule; zero at an own replica.
    pub cost: Usd,
}

/// How a backend stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The backend takes no further job and ends those that it has.
    Drain,
    /// The backend ends at once, and the jobs that it has fail.
    Kill,
}

/// A backend. It calls nobody: what happens goes into the outbox that a call lends it. Each job ends exactly once: by `Done`,
/// by `Failed`, or by `cancel`. Instants that a backend is handed never run backwards.
pub trait Backend {
    /// Takes a job; one that it cannot take fails at once. Only while it is started.
    fn submit(&mut self, job: Job, now: SimTime, out: &mut Outbox);
    /// Drops a job; `None` if it is not here (any more). A token in flight is discarded.
    fn cancel(&mut self, attempt: AttemptId, now: SimTime, out: &mut Outbox) -> Option<Cancelled>;
    /// When `advance` has something to do; `NEVER` while only a call can change anything.
    fn next_event(&self) -> SimTime;
    /// Does what is due up to `now`.
    fn advance(&mut self, now: SimTime, out: &mut Outbox);
    /// What it shows just before instant `before`, which is no earlier than the last call. A pure read.
    fn observe(&self, before: SimTime) -> Load;
    /// Takes jobs from now on. A new backend is started.
    fn start(&mut self, now: SimTime);
    /// Takes no further jobs.
    fn stop(&mut self, now: SimTime, how: Stop, out: &mut Outbox);
}
