//! What the world hands to a backend (`Job`), what a backend says back (`Effect`), what it shows (`Load`).
use super::{Content, SimTime, Usd};

/// One attempt of one request at one backend: any number that whoever submits it has not used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// Work for a backend.
#[derive(Debug, Clone)]
pub struct Job {
    /// Who this is.
    pub attempt: AttemptId,
    /// The request's index in the trace; also names its output's content.
    pub request: u64,
    /// Number of the request's try, from 0 (keys random draws).
    pub try_number: u32,
    /// Prompt tokens.
    pub prompt_tokens: u32,
    /// Tokens it will generate (EOS included), at least 1.
    pub output_tokens: u32,
    /// The client's limit: what a rate limiter that estimates by it counts.
    pub max_output_tokens: u32,
    /// Lower is more urgent.
    pub priority: i32,
    /// Prompt identity.
    pub content: Content,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureCause {
    /// HTTP 429, with the wait the provider asks for.
    RateLimited {
        /// Retry-After.
        retry_after: SimTime,
    },
    /// HTTP 429 below the limits, because traffic grew too fast.
    SlowDown {
        /// Retry-After.
        retry_after: SimTime,
    },
    /// HTTP 429 because the account has spent what it may: no wait helps.
    QuotaExhausted,
    /// HTTP 5xx.
    ServerError,
    /// HTTP 529 or 503: the provider is overloaded.
    Overloaded,
    /// HTTP 503: the engine's queue is full.
    QueueFull,
    /// The replica died under it.
    ReplicaLost,
    /// The job can never fit this backend (context or memory).
    TooLong,
    /// A job of a batch that was not done within its window.
    Expired,
    /// The gateway gave the try up, as HTTP 408; no backend says it.
    TryTimeout,
}

impl FailureCause {
    /// The wait that the provider asks for.
    pub fn retry_after(self) -> Option<SimTime> {
        match self {
            FailureCause::RateLimited { retry_after } | FailureCause::SlowDown { retry_after } => Some(retry_after),
            _ => None,
        }
    }
}

/// What a backend reports; delivered by the world in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The first token left the backend.
    FirstToken {
        /// The attempt whose token it is.
        attempt: AttemptId,
        /// When the token left.
        at: SimTime,
    },
    /// The last token left the backend.
    Done {
        /// The attempt that is done.
        attempt: AttemptId,
        /// When the token left.
        at: SimTime,
        /// Prompt tokens served from a prefix cache when first admitted.
        cached_tokens: u32,
        /// Times it was preempted.
        preemptions: u32,
        /// Billed for it by its provider's rule; zero at an own replica.
        cost: Usd,
    },
    /// The attempt ended without an answer, and nothing is billed; tokens emitted so far are `emitted`.
    Failed {
        /// The attempt that failed.
        attempt: AttemptId,
        /// When the attempt ended.
        at: SimTime,
        /// Why the attempt failed.
        cause: FailureCause,
        /// Output tokens that had left the backend.
        emitted: u32,
    },
}

/// What a backend shows a gateway that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Requests waiting for admission.
    pub waiting: u32,
    /// Requests in the running list.
    pub running: u32,
    /// KV blocks in use.
    pub kv_used_blocks: u32,
    /// KV blocks there are.
    pub kv_total_blocks: u32,
}

impl Load {
    /// Share of KV blocks in use, per million (integer, so that it compares exactly).
    pub fn kv_use_ppm(&self) -> u32 {
        if self.kv_total_blocks == 0 {
            return 0;
        }
        (u64::from(self.kv_used_blocks) * 1_000_000 / u64::from(self.kv_total_blocks)) as u32
    }
}
