//! How attempts and requests end.
use crate::gateway::HealthEvent;
use crate::types::{Outcome, OutcomeCause, SimTime, Usd};

/// Why an attempt is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// The other of two copies answered first.
    Loser,
    /// The try ran out of its own time.
    TryTimeout,
    /// Nobody waits for its request any longer; how that ends.
    GivenUp(Outcome, OutcomeCause),
}

impl Hangup {
    /// How the attempt ends.
    pub(super) fn ending(self) -> (Outcome, OutcomeCause) {
        match self {
            Hangup::Loser => (Outcome::Cancelled, OutcomeCause::Hedged),
            Hangup::TryTimeout => (Outcome::TimedOut, OutcomeCause::TryTimeout),
            Hangup::GivenUp(outcome, cause) => (outcome, cause),
        }
    }
}

/// What an attempt leaves in the books beside how it ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Charge {
    pub preemptions: u32,
    pub cost: Usd,
    pub health: Option<HealthEvent>,
}

/// How an attempt or a request ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    pub at: SimTime,
    pub outcome: Outcome,
    pub cause: OutcomeCause,
    /// Output tokens that had left.
    pub output_tokens: u32,
    /// Prompt tokens read from a prefix cache.
    pub cached_tokens: u32,
}

impl Ending {
    /// An ending of an attempt without an answer.
    pub fn without_answer(at: SimTime, outcome: Outcome, cause: OutcomeCause) -> Ending {
        Ending { at, outcome, cause, output_tokens: 0, cached_tokens: 0 }
    }
}
