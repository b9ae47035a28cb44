//! `[gateway]`: patience, retries and what else stands around a policy's decision.
use super::{DurationText, ScrapeSection};
use baseload_core::catalog::values_between;
use baseload_core::gateway::ASSUMED_PREFILL_TOKENS_PER_S;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long the gateway waits, what it does with failures, and how old what it knows is. `[policy.NAME.gateway]` lays
/// keys over these for one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GatewaySection {
    /// From a request's arrival until the gateway gives it up.
    pub timeout: DurationText,
    /// From sending a try until it is given up, as HTTP 408; no limit but `timeout` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub try_timeout: Option<DurationText>,
    /// From sending a try until it is given up for want of its first token; no limit but `timeout` and `try_timeout`
    /// unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_timeout: Option<DurationText>,
    /// Tries after the first at one place; those of `retry.preset` (2) unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000))]
    pub retries: Option<u32>,
    /// Which failures are retried, and after how long: the OpenAI SDK's rules unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySection>,
    /// Where a request goes when its tries at a place are used up. Nowhere unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackSection>,
    /// A second copy of what waits too long for its first token. None unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge: Option<HedgeSection>,
    /// Backends that fail in a row are left alone for a time. Never unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerSection>,
    /// Backends that fail are left alone for a time by LiteLLM's rules. Never unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<CooldownSection>,
    /// Who gets in while the fleet is full. All unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admission: Option<AdmissionSection>,
    /// By pool or endpoint: requests that it may have under way. With `admission.queue` others wait, without they go
    /// elsewhere or are refused. No limits unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = values_between(0, 10_000_000))]
    pub concurrency: Option<IndexMap<String, u32>>,
    /// Clients that leave when no token comes. None unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impatience: Option<ImpatienceSection>,
    /// How old engine signals are.
    pub scrape: ScrapeSection,
    /// Prefill rate of a pool assumed before it is measured, tokens a second.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub assumed_prefill_tokens_per_s: u64,
    /// How late KV events of own replicas reach the precise prefix index, which the scorer `cached_prefix` reads; "0s" looks
    /// into the caches at once.
    pub kv_event_delay: DurationText,
}

impl Default for GatewaySection {
    fn default() -> Self {
        GatewaySection {
            timeout: "600s".into(),
            try_timeout: None,
            first_token_timeout: None,
            retries: None,
            retry: None,
            fallback: None,
            hedge: None,
            breaker: None,
            cooldown: None,
            admission: None,
            concurrency: None,
            impatience: None,
            scrape: ScrapeSection::default(),
            assumed_prefill_tokens_per_s: ASSUMED_PREFILL_TOKENS_PER_S,
            kv_event_delay: "0s".into(),
        }
    }
}

/// Client or gateway whose rules of retrying hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RetryPreset {
    /// 2 retries after 0.5 s doubled to 8 s, less up to a quarter; Retry-After up to 120 s.
    #[default]
    OpenaiSdk,
    /// As the OpenAI SDK: 2 retries after 0.5 s doubled to 8 s, less up to a quarter; Retry-After up to 120 s.
    AnthropicSdk,
    /// 2 retries, at once where another backend is ready, else after Retry-After up to 60 s, else 0.5 s doubled to 8 s, plus
    /// up to 0.75 s.
    Litellm,
    /// 4 retries after 50 ms times 1.5 to 30 s, more or less by up to a fifth.
    Sglang,
    /// 5 retries of lost connections and 500s, after up to 100 ms doubled to 10 s.
    Envoy,
    /// 5 retries after 1 s doubled; all Retry-Afters of a request up to 60 s.
    Portkey,
}

impl RetryPreset {
    /// Name of the preset in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            RetryPreset::OpenaiSdk => "openai-sdk",
            RetryPreset::AnthropicSdk => "anthropic-sdk",
            RetryPreset::Litellm => "litellm",
            RetryPreset::Sglang => "sglang",
            RetryPreset::Envoy => "envoy",
            RetryPreset::Portkey => "portkey",
        }
    }
}

/// A failure that may be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CauseName {
    /// The try ran out of its own time (HTTP 408).
    Timeout,
    /// A refusal for the rate (HTTP 429).
    RateLimited,
    /// A server's error (HTTP 500 and its like).
    ServerError,
    /// The provider is overloaded (HTTP 529 or 503).
    Overloaded,
    /// An engine's queue is full (HTTP 503).
    QueueFull,
    /// The connection broke: the replica died.
    ReplicaLost,
}

/// Rules of retrying: a preset's, and what differs from it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySection {
    /// Rules that hold where no key says otherwise; `openai-sdk` unless given.
    pub preset: RetryPreset,
    /// Failures that are retried; the preset's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<CauseName>>,
    /// How long to wait between tries; the preset's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<BackoffSection>,
    /// What a Retry-After does; what it does in the preset unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<RetryAfterSection>,
    /// Retry without a wait where another backend is ready; as in the preset unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once_elsewhere: Option<bool>,
    /// Retries as a share of requests; no limit unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<RetryBudgetSection>,
}

/// `base * factor^n`, at most `max`, blurred. Keys left out are the preset's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackoffSection {
    /// Wait before the first retry; the preset's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<DurationText>,
    /// Factor from one wait to the next, at least 1; the preset's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub factor: Option<f64>,
    /// Longest wait; the preset's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<DurationText>,
    /// How waits are blurred; as in the preset unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<JitterSection>,
}

/// How waits are blurred; exactly one key is given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JitterSection {
    /// Waits are shorter by up to this share, 0 to 1; not unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub less: Option<f64>,
    /// Waits are shorter or longer by up to this share, 0 to 1; not unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub around: Option<f64>,
    /// Waits are longer by up to this, those of a Retry-After too; not unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plus: Option<DurationText>,
}

/// How long a Retry-After is waited for; exactly one key is given. A Retry-After of `0s` is none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryAfterSection {
    /// A Retry-After up to this is waited for; a longer one ends the tries. Not unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<DurationText>,
    /// A Retry-After up to this is waited for; for a longer one the backoff holds. Not unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to_else_backoff: Option<DurationText>,
    /// All Retry-Afters of a request together are waited for up to this; more ends the tries. Not unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to_in_all: Option<DurationText>,
    /// Retry-Afters are never read. Not unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<bool>,
}

/// A bucket that each request fills by `share` and each retry empties by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryBudgetSection {
    /// Retries a request, 0 to 1.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub share: f64,
    /// Retries that the bucket holds, at least 1; it starts full.
    #[serde(default = "ten")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub burst: u32,
}

/// Where a request goes when a place has failed it, by pool or endpoint: the next places in order. Its retries at a place
/// that is named here stay there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FallbackSection {
    /// Next places after any failure when the tries are used up; none unless given.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub chains: IndexMap<String, Vec<String>>,
    /// Next places, at once, of what is too long for the place; none unless given.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub context_window: IndexMap<String, Vec<String>>,
    /// Hops of a request at most (LiteLLM's default: 5).
    #[schemars(range(min = 0, max = 100))]
    pub max_hops: u32,
}

impl Default for FallbackSection {
    fn default() -> Self {
        FallbackSection { chains: IndexMap::new(), context_window: IndexMap::new(), max_hops: 5 }
    }
}

/// When a second copy goes to another backend; the first to answer wins, the other is cancelled, both are billed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HedgeSection {
    /// A copy goes after this time without a first token; with `quantile`, until 16 answers were measured. Not unless
    /// given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<DurationText>,
    /// A copy goes after this quantile (0 to 1) of the last 256 TTFTs that the gateway measured. Not unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub quantile: Option<f64>,
}

/// A circuit breaker a replica and endpoint. Defaults are those of SGLang's gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerSection {
    /// Failures in a row that open the circuit (default: 10).
    #[schemars(range(min = 0, max = 1_000_000))]
    pub failures: u32,
    /// Time from the first of `failures` failures in a row within which the last must come to open the circuit
    /// (default: `120s`).
    pub window: DurationText,
    /// Share of a window's attempts (0 to 1) whose failure opens the circuit as well. Not unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub failed_share: Option<f64>,
    /// Attempts that a window must have for `failed_share` to count (default: 10).
    #[schemars(range(min = 0, max = 1_000_000))]
    pub at_least: u32,
    /// How long the circuit stays open (default: `60s`).
    pub open: DurationText,
    /// Successes after that time which close the circuit (default: 3); a failure before opens it again.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub successes: u32,
    /// Refuse requests whose backends are all open (default: false, act as if none were).
    pub refuse_if_all_open: bool,
}

impl Default for BreakerSection {
    fn default() -> Self {
        BreakerSection {
            failures: 10,
            window: "120s".into(),
            failed_share: None,
            at_least: 10,
            open: "60s".into(),
            successes: 3,
            refuse_if_all_open: false,
        }
    }
}

/// LiteLLM's cooldown of a replica or endpoint: after a 429 (Retry-After, where one is given), a timeout, or too many
/// failures in a minute. Requests whose backends all cool down are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CooldownSection {
    /// How long the replica or endpoint is left alone (default: `5s`).
    pub time: DurationText,
    /// A replica or endpoint cools down when more than this share of a minute's attempts failed, 0 to 1 (default: 0.5).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub failed_share: f64,
    /// Attempts that a minute must have for its share of failures to count (default: 5).
    #[schemars(range(min = 0, max = 1_000_000))]
    pub at_least: u32,
}

impl Default for CooldownSection {
    fn default() -> Self {
        CooldownSection { time: "5s".into(), failed_share: 0.5, at_least: 5 }
    }
}

/// Who gets in while the fleet is full, and when it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionSection {
    /// The fleet is saturated by what engines show. Not looked at unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saturation: Option<SaturationSection>,
    /// The fleet is saturated with so many requests under way, in place of `saturation`. Not looked at unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub max_in_flight: Option<u32>,
    /// While the fleet is saturated, what has a higher priority number (is less urgent) is refused: llm-d's sheddable
    /// requests are those above 0. Nobody unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1_000_000_000, max = 1_000_000_000))]
    pub shed_above: Option<i32>,
    /// While the fleet is saturated, others wait at the gateway. They pass unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueSection>,
}

/// llm-d's utilisation detector: saturated where the mean over own replicas of the larger of waiting requests over
/// `waiting` and KV use over `kv_use` is at least 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SaturationSection {
    /// Waiting requests of a replica that count as 1 (default: 5).
    #[schemars(range(min = 0, max = 1_000_000))]
    pub waiting: u32,
    /// KV use of a replica that counts as 1, 0 to 1 (default: 0.8).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub kv_use: f64,
    /// Age of signals from which they count as saturation, too; never unless given. llm-d's is `200ms`, with a scrape
    /// of `50ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<DurationText>,
}

impl Default for SaturationSection {
    fn default() -> Self {
        SaturationSection { waiting: 5, kv_use: 0.8, stale_after: None }
    }
}

/// A queue at the gateway: by priority, then in order of arrival. Defaults are llm-d's; SGLang's are 100 and `60s`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSection {
    /// Requests that the queue holds (default: 5000); more are refused.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub capacity: u32,
    /// How long a request may wait in the queue (default: `60s`); then it is refused.
    pub ttl: DurationText,
}

impl Default for QueueSection {
    fn default() -> Self {
        QueueSection { capacity: 5_000, ttl: "60s".into() }
    }
}

/// Clients that leave unless the first token comes within their patience, which is log-normal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImpatienceSection {
    /// Share of requests whose clients leave so, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// Median of the clients' patience.
    pub patience: DurationText,
    /// Standard deviation of the logarithm of the patience.
    #[serde(default = "half")]
    #[schemars(range(min = 0.0, max = 5.0))]
    pub sigma: f64,
}

/// FrugalGPT's cascade: stages in order; the answer of each is kept with its chance, else the next is paid for as well. The
/// last answer is kept always. A stage that may not serve a request is left out for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CascadeSection {
    /// Pools or endpoints that are the stages.
    pub stages: Vec<String>,
    /// Share of answers that each stage but the last keeps, 0 to 1: FrugalGPT's tau, where a reliability score is
    /// uniform from 0 to 1 and an answer is kept above 1 - tau.
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub accept: Vec<f64>,
}

fn ten() -> u32 {
    10
}
fn half() -> f64 {
    0.5
}
