//! Every table of the catalogue, by name.
use super::{
    ApiCapability, ApiLatency, ApiPrice, DataSetRow, FrontendRow, Gpu, IncidentRow, LimitRules, MeasuredPool, Model,
    NameWords, OpsCost, PromptCacheRow, ProvisionedRow, RateLimit, Rent, StepTimeRow,
};
use serde::{Deserialize, Serialize};

/// Every table. As TOML or JSON its keys are the names of the tables in `data/`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalog {
    /// GPUs.
    #[serde(rename = "gpu")]
    pub gpus: Vec<Gpu>,
    /// Open-weight models.
    #[serde(rename = "model")]
    pub models: Vec<Model>,
    /// API prices.
    #[serde(rename = "api_price")]
    pub api_prices: Vec<ApiPrice>,
    /// API latencies.
    #[serde(rename = "api_latency")]
    pub api_latencies: Vec<ApiLatency>,
    /// Capabilities of API models.
    #[serde(rename = "api_capability")]
    pub api_capabilities: Vec<ApiCapability>,
    /// How providers cache prompts.
    #[serde(rename = "prompt_cache")]
    pub prompt_caches: Vec<PromptCacheRow>,
    /// GPU rents.
    #[serde(rename = "gpu_price")]
    pub rents: Vec<Rent>,
    /// KV caches that real engines reported.
    #[serde(rename = "measured_pool")]
    pub measured_pools: Vec<MeasuredPool>,
    /// People, power, space.
    #[serde(rename = "ops_cost")]
    pub ops_costs: Vec<OpsCost>,
    /// Published rate limits.
    #[serde(rename = "rate_limit")]
    pub rate_limits: Vec<RateLimit>,
    /// Rules by which providers count limits.
    #[serde(rename = "limit_rules")]
    pub limit_rules: Vec<LimitRules>,
    /// Incidents of hosted services.
    #[serde(rename = "incident")]
    pub incidents: Vec<IncidentRow>,
    /// Provisioned units.
    #[serde(rename = "provisioned")]
    pub provisioned: Vec<ProvisionedRow>,
    /// Fitted numbers of the analytic step time.
    #[serde(rename = "step_time")]
    pub step_times: Vec<StepTimeRow>,
    /// What lay between client and engine in set-ups that were measured.
    #[serde(rename = "frontend")]
    pub frontends: Vec<FrontendRow>,
    /// What files of measurements leave out or name in their own way.
    #[serde(rename = "data_set")]
    pub data_sets: Vec<DataSetRow>,
    /// Words in names of models that do not say their shape.
    #[serde(rename = "name_words")]
    pub name_words: Vec<NameWords>,
}
