//! The experiment file as text: what people write, with every default stated here once.
use super::verdict::gate::GateRule;
pub use baseload_core::gateway::ScrapeSection;
use baseload_core::memory::{KvDtype, UTILIZATION, WeightsDtype};
use baseload_core::types::{Capability, Privacy};
use baseload_trace::{Readers, Transform};
use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

mod buying;
mod endpoint;
mod engine;
mod gateway;
mod load;
mod origin;
mod paths;
mod policy;
mod quality;
mod service;

pub use buying::{
    AccelerationSection, ErrorsSection, LimitsSection, OutageEntry, OutageSection, OutputCountingName, PartialSection,
    ProvisionedSection,
};
pub use endpoint::EndpointSection;
pub use engine::EngineSection;
pub use gateway::{
    AdmissionSection, BackoffSection, BreakerSection, CascadeSection, CauseName, CooldownSection, FallbackSection,
    GatewaySection, HedgeSection, ImpatienceSection, JitterSection, QueueSection, RetryAfterSection,
    RetryBudgetSection, RetryPreset, RetrySection, SaturationSection,
};
pub use load::{Text, load};
pub use origin::{Excerpt, FileFaults, Located, Origin, ReadFile};
pub use paths::{NamedPath, PATHS, PathKey, Paths};
pub use policy::{PolicyKeys, PolicySection};
pub use service::{BatchSection, CacheName, ReasoningSection};

pub use quality::{AnswersSection, DriftSection, OwnPriceSection, QualitySection};

/// A duration with a unit, such as `250ms`, `2s`, `90m`, `2h`.
pub type DurationText = String;

/// An experiment: one trace, one set of pools and endpoints, several policies to compare.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentFile {
    /// Version of the file format: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1_000))]
    pub version: u32,
    /// A file, relative to this one, that this one is laid over; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Name of the experiment; the result folder is named by it, too.
    #[serde(default)]
    pub name: String,
    /// The question that the experiment answers.
    #[serde(default)]
    pub question: String,
    /// Seed of every random stream.
    #[serde(default = "one_u64")]
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_u64))]
    pub seed: u64,
    /// The day whose prices hold, such as `2026-11-25`; the newest day that a price of its endpoints was read on unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Replicates of every policy. Only 1 today; statistics over replicates come later.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1))]
    pub replicates: u32,
    /// Where requests come from.
    #[serde(default)]
    pub trace: TraceSection,
    /// Classes, drawn by share where the trace has none; the rest is class `default`.
    #[serde(default)]
    pub class: IndexMap<String, ClassSection>,
    /// Objectives; a request counts for goodput when it meets all of them.
    #[serde(default)]
    pub slo: SloSection,
    /// Pools of replicas that you may run.
    #[serde(default)]
    pub pool: IndexMap<String, PoolSection>,
    /// Endpoints that you may buy from.
    #[serde(default)]
    pub endpoint: IndexMap<String, EndpointSection>,
    /// Timeouts, retries, scrapes.
    #[serde(default)]
    pub gateway: GatewaySection,
    /// The policies to compare; each keeps its own fleet.
    // The registry of presets reads them (`policy::read_all`), not serde.
    #[serde(default, deserialize_with = "elsewhere")]
    pub policy: IndexMap<String, PolicySection>,
    /// Failures of replicas; off unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<FailuresSection>,
    /// Incidents of providers, by their names in `catalog`. None unless given.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub outages: IndexMap<String, OutageSection>,
    /// Measured answers; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualitySection>,
    /// Files of your own facts, laid over the catalog's; none unless given.
    #[serde(default, skip_serializing_if = "CatalogSection::is_empty")]
    pub catalog: CatalogSection,
    /// Silent changes of models that are not pinned; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftSection>,
    /// People who run the fleet, and what they cost.
    #[serde(default)]
    pub economics: EconomicsSection,
    /// `"policy.metric" = { worse = "5%" }`: what a pull request may not make worse.
    #[serde(default)]
    pub gate: IndexMap<String, GateRule>,
}

/// Policies are read by `policy::read_all`.
fn elsewhere<'de, D: Deserializer<'de>>(table: D) -> Result<IndexMap<String, PolicySection>, D::Error> {
    IndexMap::<String, IgnoredAny>::deserialize(table).map(|_| IndexMap::new())
}

/// Facts of your own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogSection {
    /// Catalog files, relative to this file: models, GPUs, APIs, rents, people (docs/catalogue.md). An overlay's list stands
    /// in place of its base's. None unless given.
    pub files: Vec<String>,
}

impl CatalogSection {
    fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// Exactly one of `source`, `path`, `generate`, or `users` alone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceSection {
    /// A published trace that `baseload trace fetch --list` names: below `$BASELOAD_DATA/traces`, else fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// A trace file, relative to the experiment file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A generator's specification, relative to the experiment file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<String>,
    /// Fixed-concurrency users: alone, with prompts of their own; beside a trace they send its requests one after the
    /// other, whatever its times say. None unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<UsersSection>,
    /// What `path` is written in; its content says it unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "input_formats")]
    pub input_format: Option<String>,
    /// A map of columns for a CSV, JSONL or Parquet file of no known format, relative to this file (traces/README.md);
    /// none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
    /// A closed loop: a session's next request leaves when the one before was answered and the client has thought. An
    /// open loop, at the trace's times, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionsSection>,
    /// Sessions (requests, where there are none) arrive as a Poisson process of this rate instead of when the trace says.
    /// As the trace says unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub arrivals_per_s: Option<f64>,
    /// Sessions (requests, where there are none) arrive by the `[arrivals]` of a generator's specification, a path
    /// relative to the experiment file. As the trace says unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<String>,
    /// Puts requests in order of arrival first; a trace out of order is refused unless given. Holds the whole trace.
    #[serde(default)]
    pub sort: bool,
    /// Replays requests that failed in the source, too; they are left out unless given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replay_failed: bool,
    /// Refuses a trace of which a row is left out, such as one that is torn or no call of a model; such rows are counted in a
    /// warning unless given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// Tokens of a hash id, where the rows of a Mooncake file do not tell; told by them unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub hash_block: Option<u32>,
    /// Makes a request of each answer of a chat file's conversations; of the first alone unless given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub every_turn: bool,
    /// Transforms, applied in the order written, before `rate_scale` and `limit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transform: Vec<Transform>,
    /// Divides all times: 2 = twice the rate.
    #[serde(default = "one_f64")]
    #[schemars(range(min = 1e-06, max = 1_000_000.0))]
    pub rate_scale: f64,
    /// Only the first so many requests; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub limit: Option<u64>,
    /// Requests under way at most, as load generators have it: one whose time has come waits at its client, unmeasured, until an
    /// earlier one has ended. No limit unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_concurrency: Option<u32>,
    /// The first so many requests warm the fleet up: they are simulated and in the records, and left out of what is counted,
    /// paid for calls, and measured (gaps between tokens excepted).
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub warmup_requests: u64,
    /// The client's limit of output tokens, where the trace has none.
    #[serde(default = "default_max_output")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub default_max_output_tokens: u32,
    /// Spread Mooncake's 3-second buckets evenly, by seed.
    #[serde(default = "yes")]
    pub spread_buckets: bool,
}

impl Default for TraceSection {
    /// The section with every default of its keys: who forgets it hears that it is missing, and of no key in it.
    fn default() -> TraceSection {
        TraceSection {
            source: None,
            path: None,
            generate: None,
            users: None,
            input_format: None,
            columns: None,
            sessions: None,
            arrivals_per_s: None,
            arrivals: None,
            sort: false,
            replay_failed: false,
            strict: false,
            hash_block: None,
            every_turn: false,
            transform: Vec::new(),
            rate_scale: one_f64(),
            limit: None,
            max_concurrency: None,
            warmup_requests: 0,
            default_max_output_tokens: default_max_output(),
            spread_buckets: yes(),
        }
    }
}

/// Users who send their next request after the previous one was answered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsersSection {
    /// Users, each with one request in flight.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub concurrency: u32,
    /// Requests in all; beside a trace, all of its own unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub requests: Option<u64>,
    /// The users' first requests are spread evenly over this time (users without a trace).
    #[serde(default = "zero_text")]
    pub ramp: DurationText,
    /// Mean think time between answer and next request (exponential).
    #[serde(default = "zero_text")]
    pub think: DurationText,
    /// Median prompt tokens (log-normal, sigma 0.5); the trace's own beside a trace, needed unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub prompt_tokens: Option<u32>,
    /// Median output tokens (log-normal, sigma 0.5); the trace's own beside a trace, needed unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub output_tokens: Option<u32>,
}

/// A closed loop by session.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionsSection {
    /// Time between an answer and the next request; as the trace recorded it unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think: Option<DurationText>,
}

/// A class of requests.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassSection {
    /// Share of requests, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// Where requests of the class may be served.
    #[serde(default)]
    pub privacy: Privacy,
    /// The least capable model that serves the class.
    #[serde(default)]
    pub needs: Capability,
    /// Added to the priority that the trace gives a request; lower is more urgent. Engines whose `scheduling_policy` is
    /// `priority` go by it.
    #[serde(default)]
    #[schemars(range(min = -1_000_000_000, max = 1_000_000_000))]
    pub priority: i32,
    /// How long requests of the class may wait for their answer, such as `6h`: their timeout in place of
    /// `gateway.timeout`, and their objectives of TTFT and E2E where those are shorter; for work that may be deferred.
    /// As all others unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerates: Option<DurationText>,
}

/// Objectives; an absent one is not asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloSection {
    /// Time to first token; not asked for unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft: Option<DurationText>,
    /// Time per output token after the first; not asked for unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot: Option<DurationText>,
    /// Arrival to last token; not asked for unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e: Option<DurationText>,
}

/// A pool of identical replicas.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolSection {
    /// Model, by its name in `baseload catalog models`.
    pub model: String,
    /// GPU, by its name in `baseload catalog gpus`.
    pub gpu: String,
    /// GPUs of one replica.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1_024))]
    pub tensor_parallel: u32,
    /// Replicas, where a policy does not say.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 10_000))]
    pub replicas: u32,
    /// What a GPU costs.
    pub rent: RentSection,
    /// Share of GPU memory the engine may use (vLLM's default: 0.92).
    #[serde(default = "utilization")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub utilization: f64,
    /// Longest sequence; the model's own limit unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub max_model_len: Option<u32>,
    /// How the layers' weights are stored; as the name or row of the model, else `bf16`, unless given.
    /// Embeddings, output head, norms and routers stay BF16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_dtype: Option<WeightsDtype>,
    /// How keys and values are cached: `bf16` (default) or `fp8`.
    #[serde(default)]
    pub kv_dtype: KvDtype,
    /// KV blocks of a replica; what the memory arithmetic finds unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub num_blocks: Option<u32>,
    /// A fitted step-time profile: a file (relative to this one) that `baseload calibrate` wrote, or a name of the
    /// catalog; it must be of this pool's model, GPU and parallelism, or (from kernel tables) of its GPU and type of
    /// weights. The analytic step time unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Measured kernels of this pool's GPU to interpolate step times in, in place of a profile: a folder of Parquet
    /// tables (relative to this file), or one of them. The profile's or the analytic step time unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernels: Option<String>,
    /// Engine of the replicas, and its options.
    #[serde(default)]
    pub engine: EngineSection,
    /// How good the pool's answers are, `{ share = 0.7 }` or `{ column = "..." }`; not known unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<AnswersSection>,
}

/// Rent of a GPU: `{ provider, kind }` of the catalog, or `{ usd_per_gpu_hour }`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RentSection {
    /// Provider in `baseload catalog rents`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Kind in `baseload catalog rents`, such as `on-demand`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Your own rent of a GPU, US dollars an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub usd_per_gpu_hour: Option<f64>,
}

/// Failures of replicas (spec/fleet.md 5.1).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailuresSection {
    /// Failures per GPU and hour.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub per_gpu_hour: f64,
    /// Time from a failure until the gateway notices it.
    pub detection: DurationText,
    /// Time from a failure until the replica serves again.
    pub recovery: DurationText,
}

impl Default for FailuresSection {
    fn default() -> Self {
        FailuresSection { per_gpu_hour: 2e-5, detection: "30s".into(), recovery: "3m".into() }
    }
}

/// People, charged where a pool with replicas exists.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EconomicsSection {
    /// Full-time equivalents that a self-hosted fleet takes.
    #[schemars(range(min = 0.0, max = 1_000.0))]
    pub people_fte: f64,
    /// Loaded cost of one full-time equivalent, US dollars a year; the catalog's `ml_infra_engineer_loaded_us` unless
    /// given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1_000_000_000.0))]
    pub people_usd_per_year: Option<f64>,
    /// Cost of on-call, US dollars a year; the catalog's `on_call_stipend_us` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1_000_000_000.0))]
    pub on_call_usd_per_year: Option<f64>,
}

impl Default for EconomicsSection {
    fn default() -> Self {
        EconomicsSection { people_fte: 0.5, people_usd_per_year: None, on_call_usd_per_year: None }
    }
}

/// Names of the readers that there are.
fn input_formats(_: &mut SchemaGenerator) -> Schema {
    let names = Readers::embedded().rows().iter().map(|row| Some(row.name)).chain([None]).collect::<Vec<_>>();
    json_schema!({ "type": ["string", "null"], "enum": names })
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
fn one() -> u32 {
    1
}
fn one_u64() -> u64 {
    1
}
fn one_f64() -> f64 {
    1.0
}
fn yes() -> bool {
    true
}
fn is_true(value: &bool) -> bool {
    *value
}
fn default_max_output() -> u32 {
    1024
}
fn zero_text() -> String {
    "0s".into()
}
fn utilization() -> f64 {
    UTILIZATION
}
