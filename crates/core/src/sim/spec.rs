//! What a simulation is given, and what it counts beside its records.
use crate::api::EndpointSpec;
use crate::engine::EngineMode;
use crate::fleet::{FailureModel, ReplicaType};
use crate::gateway::{Answers, Resilience, Routing};
use crate::types::{AttemptRecord, ClassSpec, GapRun, Place, PlaceMap, RequestRecord, SeriesRow, SimTime, TraceFault};
use std::sync::Arc;

/// One pool of identical replicas, as a policy keeps it.
pub struct PoolSpec {
    /// Name in the experiment file.
    pub name: String,
    /// Replicas kept.
    pub replicas: u32,
    /// Type of each replica of the pool.
    pub replica: Arc<ReplicaType>,
    /// How their engines are simulated.
    pub mode: EngineMode,
    /// Prefill rate that the gateway assumes before it has measured one, tokens a second.
    pub assumed_prefill_tokens_per_s: u64,
}

/// Everything one simulation needs besides its source.
pub struct WorldSpec {
    /// Experiment seed.
    pub seed: u64,
    /// Replicate.
    pub replicate: u32,
    /// The policy's pools.
    pub pools: Vec<PoolSpec>,
    /// Endpoints the policy may buy from.
    pub endpoints: Vec<EndpointSpec>,
    /// How it picks.
    pub routing: Routing,
    /// Timeout and retries.
    pub resilience: Resilience,
    /// Scrape interval and delay.
    pub scrape: (SimTime, SimTime),
    /// How late KV events reach the precise prefix index.
    pub kv_event_delay: SimTime,
    /// Classes and their shares in millionths; drawn for requests whose trace has none. The last one is the default.
    pub classes: Vec<(ClassSpec, u32)>,
    /// Failures, if the experiment has them.
    pub failures: Option<FailureModel>,
    /// Objectives: TTFT, TPOT, E2E.
    pub slo: [Option<SimTime>; 3],
    /// First interval of the series; doubled when rows run out.
    pub sample_every: SimTime,
    /// How good answers of pools and endpoints are, where known.
    pub answers: PlaceMap<Option<Arc<Answers>>>,
}

/// What has happened in a world since it was last asked.
#[derive(Debug, Default)]
pub struct Effects {
    /// In the order in which it happened.
    pub list: Vec<WorldEffect>,
    /// Gaps between tokens that closed, of requests that may yet fail; in the order of each backend's clock only.
    pub gaps: Vec<GapRun>,
}

/// One thing that a world says has happened.
#[derive(Debug, Clone, Copy)]
pub enum WorldEffect {
    /// The first token of an answer left for its client. There is another if that answer is not accepted, or fails.
    FirstToken {
        /// The request's index.
        request: u64,
        /// When.
        at: SimTime,
    },
    /// An attempt ended.
    Attempt(AttemptRecord),
    /// A request ended: exactly one for each that arrived.
    Request(RequestRecord),
    /// A row of the series, where the world keeps one.
    Series(SeriesRow),
    /// A replica or an endpoint has left for good.
    Left {
        /// The replica or endpoint that left.
        place: Place,
    },
}

/// Why a simulation stopped early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// The source's fault, with file and line.
    #[error("{0}")]
    Source(TraceFault),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// More than 1,000 events at one instant from one cause.
    #[error("more than 1,000 events at {at_s} s, the last one {event}: a loop that makes no progress")]
    Livelock {
        /// The instant, seconds.
        at_s: String,
        /// The event.
        event: String,
    },
}

/// What a simulation counts beside its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimStats {
    /// Requests that arrived.
    pub requests: u64,
    /// First and last arrival: the billing window.
    pub first_arrival: SimTime,
    /// Last arrival.
    pub last_arrival: SimTime,
    /// When the last request ended.
    pub ended: SimTime,
    /// When the last request ended that tolerates no wait.
    pub ended_in_haste: SimTime,
    /// Engine steps.
    pub engine_steps: u64,
    /// Strides taken: runs of engine steps taken at once.
    pub strides: u64,
    /// Engine steps taken one by one: those at which a batch changes, or might.
    pub batch_changes: u64,
    /// Events handled, arrivals included.
    pub events: u64,
    /// Failures of replicas.
    pub replica_failures: u64,
    /// Retries made: tries beyond the first that are nothing of what follows.
    pub retries: u64,
    /// Second copies sent.
    pub hedges: u64,
    /// Fallbacks to another place.
    pub fallbacks: u64,
    /// Further stages of a cascade that were asked.
    pub escalations: u64,
    /// Tries given up by a timeout of their own.
    pub try_timeouts: u64,
    /// Times that a backend's circuit opened, or that it cooled down.
    pub circuits_opened: u64,
}
