//! Facts with source and date: GPUs, models, API prices, latencies and limits, rents, people.
//!
//! May import `types`. The facts are TOML files under `data/`, embedded; every row names its source.
//! Must keep true: a lookup that fails names the nearest known row; nothing is invented where a fact is missing.
//! Read first: `rows.rs`.
mod dates;
mod names;
mod rows;

pub use dates::{age_days, date_of_days};
pub use names::{nearest, unknown};
pub use rows::{ApiLatency, ApiPrice, Gpu, Model, OpsCost, RateLimit, Rent};

use serde::Deserialize;
use std::sync::OnceLock;

/// When the API prices were read (header of `data/api_prices.toml`).
pub const API_PRICES_DATE: &str = "2026-11-23";

/// All facts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Catalog {
    /// GPUs.
    #[serde(rename = "gpu")]
    pub gpus: Vec<Gpu>,
    /// Open-weight models.
    #[serde(rename = "model")]
    pub models: Vec<Model>,
    /// API list prices.
    #[serde(rename = "api_price")]
    pub api_prices: Vec<ApiPrice>,
    /// API latencies.
    #[serde(rename = "api_latency")]
    pub api_latencies: Vec<ApiLatency>,
    /// GPU rents.
    #[serde(rename = "gpu_price")]
    pub rents: Vec<Rent>,
    /// People, power, space.
    #[serde(rename = "ops_cost")]
    pub ops_costs: Vec<OpsCost>,
    /// Published rate limits.
    #[serde(rename = "rate_limit")]
    pub rate_limits: Vec<RateLimit>,
}

impl Catalog {
    /// The facts that the program carries.
    pub fn embedded() -> &'static Catalog {
        static CATALOG: OnceLock<Catalog> = OnceLock::new();
        CATALOG.get_or_init(|| {
            let text = concat!(
                include_str!("data/gpus.toml"),
                "\n",
                include_str!("data/models.toml"),
                "\n",
                include_str!("data/api_prices.toml"),
                "\n",
                include_str!("data/api_latency.toml"),
                "\n",
                include_str!("data/gpu_prices.toml"),
                "\n",
                include_str!("data/ops_costs.toml"),
                "\n",
                include_str!("data/rate_limits.toml"),
            );
            toml::from_str(text).unwrap_or_else(|e| panic!("catalog-parses: embedded facts: {}", e.message()))
        })
    }
    /// A GPU by its id.
    ///
    /// # Errors
    /// Names the nearest id.
    pub fn gpu(&self, id: &str) -> Result<&Gpu, String> {
        let found = self.gpus.iter().find(|g| g.id == id);
        found.ok_or_else(|| unknown("GPU", id, self.gpus.iter().map(|g| g.id.as_str()), "baseload catalog gpus"))
    }
    /// A model by its id.
    ///
    /// # Errors
    /// Names the nearest id.
    pub fn model(&self, id: &str) -> Result<&Model, String> {
        let found = self.models.iter().find(|m| m.id == id);
        found.ok_or_else(|| unknown("model", id, self.models.iter().map(|m| m.id.as_str()), "baseload catalog models"))
    }
    /// A price by `provider/model`.
    ///
    /// # Errors
    /// Names the nearest key.
    pub fn api(&self, key: &str) -> Result<&ApiPrice, String> {
        let keys: Vec<String> = self.api_prices.iter().map(ApiPrice::key).collect();
        let found = keys.iter().position(|k| k == key).map(|i| &self.api_prices[i]);
        found.ok_or_else(|| unknown("API", key, keys.iter().map(String::as_str), "baseload catalog apis"))
    }
    /// Published latency of an API, where we have one.
    pub fn api_latency(&self, key: &str) -> Option<&ApiLatency> {
        self.api_latencies.iter().find(|l| l.key == key)
    }
    /// A rent by GPU, provider and kind.
    ///
    /// # Errors
    /// Lists what there is for the GPU.
    pub fn rent(&self, gpu: &str, provider: &str, kind: &str) -> Result<&Rent, String> {
        let of_gpu = || self.rents.iter().filter(|r| r.gpu == gpu);
        of_gpu().find(|r| r.provider == provider && r.kind == kind).ok_or_else(|| {
            let known: Vec<String> = of_gpu().map(|r| format!("{} {}", r.provider, r.kind)).collect();
            format!("no rent of `{gpu}` from `{provider}` of kind `{kind}`; known: {}", known.join(", "))
        })
    }
    /// A cost of people, power or space.
    ///
    /// # Errors
    /// Names the nearest key.
    pub fn ops(&self, key: &str) -> Result<&OpsCost, String> {
        let found = self.ops_costs.iter().find(|o| o.key == key);
        found.ok_or_else(|| {
            unknown("cost", key, self.ops_costs.iter().map(|o| o.key.as_str()), "baseload catalog people")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_parses_has_a_source_and_an_exact_price() {
        let c = Catalog::embedded();
        assert!(c.gpus.len() > 10 && c.models.len() > 20 && c.api_prices.len() > 30 && c.rents.len() > 20);
        assert!(c.gpus.iter().all(|g| !g.source.is_empty()) && c.models.iter().all(|m| !m.source.is_empty()));
        assert!(c.rents.iter().all(|r| !r.source.is_empty() && r.usd().is_ok()));
        for price in &c.api_prices {
            price.prices().unwrap_or_else(|e| panic!("{}: {e}", price.key()));
        }
        assert!(c.api_latencies.iter().all(|l| c.api(&l.key).is_ok()), "a latency without a price");
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest() {
        let c = Catalog::embedded();
        let message = c.gpu("h100-smx").unwrap_err();
        assert!(message.contains("did you mean `h100-sxm`?"), "{message}");
        assert!(c.model("llama-3.1-8").unwrap_err().contains("llama-3.1-8b"));
        assert!(c.rent("h100-sxm", "AWS", "spot").unwrap_err().contains("AWS on-demand"));
    }

    #[test]
    fn kv_bytes_of_the_models_agree_with_their_dimensions() {
        for m in Catalog::embedded().models.iter().filter(|m| m.attention == "gqa" || m.attention == "mha") {
            let bytes = u64::from(m.layers) * u64::from(m.kv_heads) * u64::from(m.head_dim) * 2 * 2;
            assert_eq!(bytes, m.kv_bytes_per_token_bf16_all_layers, "{}", m.id);
        }
    }
}
