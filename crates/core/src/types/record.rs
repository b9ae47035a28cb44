//! What a simulation leaves behind: one record an attempt, one a request, and rows of a series.
use super::{Place, ReplicaId, SimTime, Usd};

/// How a request ended; exactly one each (`nothing-lost`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Answered in full.
    Completed,
    /// Refused before any work: constraint or admission.
    Rejected,
    /// The gateway's timeout passed.
    TimedOut,
    /// Every try failed.
    Failed,
    /// The request's client went away.
    Cancelled,
}

impl Outcome {
    /// The name in records and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Rejected => "rejected",
            Outcome::TimedOut => "timed_out",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
        }
    }
}

/// Why a request or attempt did not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutcomeCause {
    /// Nothing went wrong.
    None,
    /// No allowed backend may serve it.
    Constraint,
    /// 429s until the retries ran out.
    RateLimited,
    /// Refused, below the limits, because traffic grew too fast.
    SlowDown,
    /// The account has spent what it may.
    QuotaExhausted,
    /// 5xx until the retries ran out.
    ServerError,
    /// The provider was overloaded until the retries ran out.
    Overloaded,
    /// The engine's queue was full.
    QueueFull,
    /// The replica died.
    ReplicaLost,
    /// Longer than the backend can ever hold.
    TooLong,
    /// Gateway timeout.
    Timeout,
    /// Every backend that might serve it is kept out by a breaker, a cooldown or a limit.
    NoBackend,
    /// The try ran out of its own time.
    TryTimeout,
    /// The other of two copies answered first.
    Hedged,
    /// Answered in full, but a cascade asked a further model; of attempts only.
    NotAccepted,
    /// Refused at saturation.
    Shed,
    /// The gateway's queue was full.
    GatewayQueueFull,
    /// The request waited too long in the gateway's queue.
    QueueTimeout,
    /// The request's client did not wait any longer.
    ClientGone,
    /// A job of a batch that was not done within its window.
    Expired,
}

impl OutcomeCause {
    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            OutcomeCause::None => "",
            OutcomeCause::Constraint => "constraint",
            OutcomeCause::RateLimited => "rate_limited",
            OutcomeCause::SlowDown => "slow_down",
            OutcomeCause::QuotaExhausted => "quota_exhausted",
            OutcomeCause::ServerError => "server_error",
            OutcomeCause::Overloaded => "overloaded",
            OutcomeCause::QueueFull => "queue_full",
            OutcomeCause::ReplicaLost => "replica_lost",
            OutcomeCause::TooLong => "too_long",
            OutcomeCause::Timeout => "timeout",
            OutcomeCause::NoBackend => "no_backend",
            OutcomeCause::TryTimeout => "try_timeout",
            OutcomeCause::Hedged => "hedged",
            OutcomeCause::NotAccepted => "not_accepted",
            OutcomeCause::Shed => "shed",
            OutcomeCause::GatewayQueueFull => "gateway_queue_full",
            OutcomeCause::QueueTimeout => "queue_timeout",
            OutcomeCause::ClientGone => "client_gone",
            OutcomeCause::Expired => "expired",
        }
    }

    /// Every cause of a request that did not complete.
    pub const ALL: [OutcomeCause; 18] = [
        OutcomeCause::Constraint,
        OutcomeCause::RateLimited,
        OutcomeCause::SlowDown,
        OutcomeCause::QuotaExhausted,
        OutcomeCause::ServerError,
        OutcomeCause::Overloaded,
        OutcomeCause::QueueFull,
        OutcomeCause::ReplicaLost,
        OutcomeCause::TooLong,
        OutcomeCause::Timeout,
        OutcomeCause::NoBackend,
        OutcomeCause::TryTimeout,
        OutcomeCause::Shed,
        OutcomeCause::GatewayQueueFull,
        OutcomeCause::QueueTimeout,
        OutcomeCause::ClientGone,
        OutcomeCause::Expired,
        OutcomeCause::Hedged,
    ];

    /// What the cause says to whoever reads a report.
    pub fn meaning(self) -> &'static str {
        match self {
            OutcomeCause::None | OutcomeCause::NotAccepted => "",
            OutcomeCause::Constraint => {
                "no place that the policy keeps may serve it: privacy, capability or context length"
            }
            OutcomeCause::RateLimited => "the endpoint's limits, to the last try (429)",
            OutcomeCause::SlowDown => "the endpoint's traffic grew too fast, to the last try (429)",
            OutcomeCause::QuotaExhausted => "the account has spent what it may",
            OutcomeCause::ServerError => "the endpoint's errors, to the last try (5xx)",
            OutcomeCause::Overloaded => "the provider was overloaded, to the last try (529, 503)",
            OutcomeCause::QueueFull => "the engine's queue was full, to the last try (503)",
            OutcomeCause::ReplicaLost => "its replica died, to the last try",
            OutcomeCause::TooLong => "longer than what the place takes",
            OutcomeCause::Timeout => "the gateway's patience ended",
            OutcomeCause::NoBackend => "breakers, cooldowns or limits kept every place out",
            OutcomeCause::TryTimeout => "each try ran out of its own time",
            OutcomeCause::Hedged => "the other copy answered first",
            OutcomeCause::Shed => "refused while the fleet was full",
            OutcomeCause::GatewayQueueFull => "the gateway's queue was full",
            OutcomeCause::QueueTimeout => "it waited too long in the gateway's queue",
            OutcomeCause::ClientGone => "its client did not wait any longer",
            OutcomeCause::Expired => "its batch was not done within the window",
        }
    }
}

/// One attempt at one backend.
#[derive(Debug, Clone, Copy)]
pub struct AttemptRecord {
    /// Request's index in the trace.
    pub request: u64,
    /// Try number from 0.
    pub try_number: u32,
    /// The pool or endpoint where it went.
    pub backend: Place,
    /// The pool's replica that took it; `None` at endpoints.
    pub replica: Option<ReplicaId>,
    /// Sent to the backend.
    pub sent: SimTime,
    /// First token at the gateway, if any.
    pub first_token: Option<SimTime>,
    /// When it ended.
    pub ended: SimTime,
    /// How it ended.
    pub outcome: Outcome,
    /// Why the attempt ended so.
    pub cause: OutcomeCause,
    /// Prompt tokens read from a prefix cache.
    pub cached_tokens: u32,
    /// Output tokens that left the backend.
    pub output_tokens: u32,
    /// Preemptions inside the engine.
    pub preemptions: u32,
    /// Billed for this attempt by its provider's rule; zero on own pools.
    pub cost: Usd,
}

impl SeriesRow {
    /// Rows that a sink keeps at most.
    pub const MOST: u32 = 5_000;
}

/// One request, as its client saw it.
#[derive(Debug, Clone, Copy)]
pub struct RequestRecord {
    /// Index in the trace.
    pub index: u64,
    /// Arrival at the gateway.
    pub arrival: SimTime,
    /// Class index.
    pub class: u16,
    /// Tenant.
    pub tenant: u32,
    /// Session.
    pub session: u64,
    /// Prompt tokens.
    pub prompt_tokens: u32,
    /// Output tokens delivered.
    pub output_tokens: u32,
    /// What its client asked for at most.
    pub max_output_tokens: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Why the request ended so.
    pub cause: OutcomeCause,
    /// Pool or endpoint of the answer, else of the last attempt, if there was one.
    pub backend: Option<Place>,
    /// Tries made.
    pub attempts: u32,
    /// Arrival to first token.
    pub ttft: Option<SimTime>,
    /// Arrival to end.
    pub e2e: SimTime,
    /// When it ended.
    pub ended: SimTime,
    /// Prompt tokens read from a cache in the answering attempt.
    pub cached_tokens: u32,
    /// Leading prompt tokens that another request may have too: the most that any cache could have had.
    pub shareable_tokens: u32,
    /// Preemptions over all attempts.
    pub preemptions: u32,
    /// Marginal cost: what its attempts were billed.
    pub cost: Usd,
    /// Whether it met every part of the SLO.
    pub met_slo: bool,
    /// Whether its answer is above the bar; `None` where that is not known, or where it was not completed.
    pub above_bar: Option<bool>,
}

/// Gaps between successive tokens: `steps` steps in a row, each of which closes `tokens` gaps of one length. Step `i`
/// (from 0) lasts `first_fs + i * more_fs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapRun {
    /// Length of the first step's gaps, femtoseconds.
    pub first_fs: u128,
    /// By how much each step is longer than the one before.
    pub more_fs: u64,
    /// Steps, at least 1.
    pub steps: u32,
    /// Gaps that each step closes, one a token.
    pub tokens: u32,
}

/// One row of the series: the state at a fixed instant.
#[derive(Debug, Clone, Copy)]
pub struct SeriesRow {
    /// The instant.
    pub at: SimTime,
    /// Requests waiting in engines.
    pub waiting: u32,
    /// Requests running in engines.
    pub running: u32,
    /// KV blocks in use over all replicas.
    pub kv_used_blocks: u64,
    /// KV blocks over all replicas that are up.
    pub kv_total_blocks: u64,
    /// Replicas that are up.
    pub replicas: u32,
    /// Requests in flight at endpoints.
    pub api_in_flight: u32,
    /// API spend so far.
    pub api_spend: Usd,
}
