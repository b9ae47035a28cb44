//! The experiment file as text: what people write, with every default stated here once.
use super::gate::GateRule;
use super::origin::Origin;
pub use baseload_core::gateway::ScrapeSection;
use baseload_core::gateway::{
    BaseloadSplitSection, BudgetPacedSection, CacheAwareSection, DynamoKvSection, Empty, KvCostSection,
    LitellmShuffleSection, OracleQualitySection, OverflowSection, PickerSection, PrefixSection,
    RouteLlmThresholdSection, RuleSection, TimeOfDaySection,
};
use baseload_core::memory::{KvDtype, UTILIZATION, WeightsDtype};
use baseload_core::types::{Capability, Privacy};
use baseload_trace::Transform;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod buying;
mod endpoint;
mod engine;
mod gateway;
mod quality;
mod service;

pub use buying::{
    AccelerationSection, ErrorsSection, LimitsPreset, LimitsSection, OutageEntry, OutageSection, OutputCountingName,
    PartialSection, ProvisionedSection,
};
pub use endpoint::EndpointSection;
pub use engine::EngineSection;
pub use gateway::{
    AdmissionSection, BackoffSection, BreakerSection, CascadeSection, CauseName, CooldownSection, FallbackSection,
    GatewaySection, HedgeSection, ImpatienceSection, JitterSection, QueueSection, RetryAfterSection,
    RetryBudgetSection, RetryPreset, RetrySection, SaturationSection,
};
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
    pub version: u32,
    /// A file, relative to this one, that this one is laid over; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Name; also names the result folder.
    #[serde(default)]
    pub name: String,
    /// What the experiment answers.
    #[serde(default)]
    pub question: String,
    /// Seed of every random stream.
    #[serde(default = "one_u64")]
    pub seed: u64,
    /// The day whose prices hold, such as `2026-11-25`; the newest day that a price of its endpoints was read on unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Replicates of every policy. Only 1 today; statistics over replicates come later.
    #[serde(default = "one")]
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
    /// What you may run.
    #[serde(default)]
    pub pool: IndexMap<String, PoolSection>,
    /// What you may buy.
    #[serde(default)]
    pub endpoint: IndexMap<String, EndpointSection>,
    /// Timeouts, retries, scrapes.
    #[serde(default)]
    pub gateway: GatewaySection,
    /// The policies to compare; each keeps its own fleet.
    #[serde(default)]
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
    /// Silent changes of models that are not pinned; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftSection>,
    /// People.
    #[serde(default)]
    pub economics: EconomicsSection,
    /// `"policy.metric" = { worse = "5%" }`: what a pull request may not make worse.
    #[serde(default)]
    pub gate: IndexMap<String, GateRule>,
    /// The files it was read from, for messages and for the manifest's hashes.
    #[serde(skip)]
    pub origin: Origin,
}

/// Exactly one of `source`, `path`, `generate`, or `users` alone.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
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
    /// What `path` is written in, by its name in `baseload trace info --help`; its content says it unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    pub arrivals_per_s: Option<f64>,
    /// The same by the `[arrivals]` of a generator's specification, relative to the experiment file. As the trace says
    /// unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<String>,
    /// Puts requests in order of arrival first; a trace out of order is refused unless given. Holds the whole trace.
    #[serde(default)]
    pub sort: bool,
    /// Transforms, applied in the order written, before `rate_scale` and `limit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transform: Vec<Transform>,
    /// Divides all times: 2 = twice the rate.
    #[serde(default = "one_f64")]
    pub rate_scale: f64,
    /// Only the first so many requests; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Client's limit where the trace has none.
    #[serde(default = "default_max_output")]
    pub default_max_output_tokens: u32,
    /// Spread Mooncake's 3-second buckets evenly, by seed.
    #[serde(default = "yes")]
    pub spread_buckets: bool,
}

/// Users who send their next request after the previous one was answered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsersSection {
    /// Users, each with one request in flight.
    pub concurrency: u32,
    /// Requests in all; beside a trace, all of its own unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Mean think time between answer and next request (exponential).
    #[serde(default = "zero_text")]
    pub think: DurationText,
    /// Median prompt tokens (log-normal, sigma 0.5); the trace's own beside a trace, needed unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u32>,
    /// Median output tokens (log-normal, sigma 0.5); the trace's own beside a trace, needed unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    pub share: f64,
    /// Where it may be served.
    #[serde(default)]
    pub privacy: Privacy,
    /// The least capable model that serves it.
    #[serde(default)]
    pub needs: Capability,
    /// Added to the priority that the trace gives a request; lower is more urgent. Engines whose `scheduling_policy` is
    /// `priority` go by it.
    #[serde(default)]
    pub priority: i32,
    /// How long its requests may wait for their answer, such as `6h`: their timeout in place of `gateway.timeout`, and their
    /// objectives of TTFT and E2E where those are shorter; for work that may be deferred. As all others unless given.
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
    pub tensor_parallel: u32,
    /// Replicas, where a policy does not say.
    #[serde(default = "one")]
    pub replicas: u32,
    /// What a GPU costs.
    pub rent: RentSection,
    /// Share of GPU memory the engine may use (vLLM's default: 0.92).
    #[serde(default = "utilization")]
    pub utilization: f64,
    /// Longest sequence; the model's own limit unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<u32>,
    /// How the layers' weights are stored: `bf16` (default), `fp8` or `int4`. Embeddings, output head, norms and routers
    /// stay BF16.
    #[serde(default)]
    pub weights_dtype: WeightsDtype,
    /// How keys and values are cached: `bf16` (default) or `fp8`.
    #[serde(default)]
    pub kv_dtype: KvDtype,
    /// KV blocks of a replica; what the memory arithmetic finds unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// The engine.
    #[serde(default)]
    pub engine: EngineSection,
    /// How good its answers are, `{ share = 0.7 }` or `{ column = "..." }`; not known unless given.
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
    /// Your own price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_per_gpu_hour: Option<f64>,
}

/// A policy: the fleet it keeps, what it may buy, and how it routes: one preset (`least_outstanding` unless given), or parts of
/// your own. Rules may stand beside a preset; they are asked before the preset's own.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySection {
    /// Replicas it keeps of each pool; the pool's own number where unnamed, 0 = none and no cost.
    pub pools: IndexMap<String, u32>,
    /// Endpoints it may buy from; all unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<String>>,
    /// The first rule that holds and whose place has a candidate decides; what none takes goes to an own replica by scorers
    /// and picker, where one is ready, and else to the cheapest endpoint. None unless given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleSection>,
    /// Weights of scorers, by the names that `baseload policies fields` lists; a preset's, or `outstanding`, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scorers: Option<IndexMap<String, f64>>,
    /// Who is taken of scored candidates; `max`, or a preset's, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picker: Option<PickerSection>,
    /// How sent prefixes are remembered, where a part reads them; as llm-d does unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<PrefixSection>,
    /// Constants of the scorer `kv_cost`; Dynamo's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cost: Option<KvCostSection>,
    /// Weights of pools (of each replica) and endpoints for the scorer `weight`; 1 each unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<IndexMap<String, f64>>,
    /// How old engine signals are for this policy; a preset's, or that of `[gateway]`, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape: Option<ScrapeSection>,
    /// What its gateway does otherwise: keys of `[gateway]`, laid over those; all as there unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewaySection>,
    /// Small models first, larger ones where an answer does not do. None unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cascade: Option<CascadeSection>,
    /// Own replicas in turn; endpoints only for what those may not serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_robin: Option<Empty>,
    /// An own replica by chance; endpoints only for what those may not serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random: Option<Empty>,
    /// The own replica with the fewest requests under way; endpoints only for what those may not serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_outstanding: Option<Empty>,
    /// Of two own replicas by chance the one with fewer requests under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_of_two: Option<Empty>,
    /// A session stays on its place of a hash ring; others go to the fewest requests under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_hash: Option<Empty>,
    /// The own replica with the lowest KV use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_kv: Option<Empty>,
    /// No replicas at all: the cheapest allowed endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_only: Option<Empty>,
    /// No endpoints at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_hosted_only: Option<Empty>,
    /// The own replica that was sent the longest prefix of the prompt last; endpoints only for what those may not serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_affinity: Option<CacheAwareSection>,
    /// The same, by the name of the router that does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sglang_cache_aware: Option<CacheAwareSection>,
    /// vLLM production-stack's session router.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production_stack_session: Option<Empty>,
    /// vLLM production-stack's prefix-aware router.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production_stack_prefix: Option<Empty>,
    /// llm-d's default profile with its saturation detector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llmd_default: Option<Empty>,
    /// NVIDIA Dynamo's KV router.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamo_kv: Option<DynamoKvSection>,
    /// LiteLLM's default, over own replicas and endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub litellm_simple_shuffle: Option<LitellmShuffleSection>,
    /// LiteLLM's least-busy, over own replicas and endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub litellm_least_busy: Option<Empty>,
    /// LiteLLM's latency-based routing, over own replicas and endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub litellm_latency: Option<Empty>,
    /// LiteLLM's usage-based routing v2, over own replicas and endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub litellm_usage_v2: Option<Empty>,
    /// vLLM's internal balancer over data-parallel engines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vllm_dp: Option<Empty>,
    /// Buy when the own queue is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overflow: Option<OverflowSection>,
    /// A steady rate to own replicas, the rest bought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseload_split: Option<BaseloadSplitSection>,
    /// Buy in a part of every day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_of_day: Option<TimeOfDaySection>,
    /// The cheapest that is predicted to meet the TTFT objective, else the fastest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo_cheapest: Option<Empty>,
    /// The same by its older name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_aware: Option<Empty>,
    /// Buy where the own queue is long, at the pace of a day's budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_paced: Option<BudgetPacedSection>,
    /// What is predicted to need the strong model goes there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_llm_threshold: Option<RouteLlmThresholdSection>,
    /// What only the strong model answers above the bar goes there: a bound that no router can reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oracle_quality: Option<OracleQualitySection>,
}

/// Failures of replicas (spec/fleet.md 5.1).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailuresSection {
    /// Failures per GPU and hour.
    pub per_gpu_hour: f64,
    /// Until the gateway notices.
    pub detection: DurationText,
    /// Until the replica serves again.
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
    pub people_fte: f64,
    /// Loaded cost of one; the catalog's `ml_infra_engineer_loaded_us` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people_usd_per_year: Option<f64>,
    /// On-call; the catalog's `on_call_stipend_us` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_call_usd_per_year: Option<f64>,
}

impl Default for EconomicsSection {
    fn default() -> Self {
        EconomicsSection { people_fte: 0.5, people_usd_per_year: None, on_call_usd_per_year: None }
    }
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
