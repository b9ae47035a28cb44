//! The catalogue as a whole: loading, overriding, looking up.
//!
//! Imports only `types`. Must keep true: the embedded tables load (a test does), rows stay in file order.
use super::{
    ApiCapability, ApiLatency, ApiPrice, FrontendRow, Gpu, IncidentRow, MeasuredPool, Model, OpsCost, PromptCacheRow,
    ProvisionedRow, RateLimit, Rent, StepTimeRow, nearest::hint, prices,
};
use crate::types::Capability;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

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
}

/// What may go wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No row has this name.
    #[error("unknown {what} `{name}`{hint}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// Under which name.
        name: String,
        /// The nearest known name and the command that lists all, as the end of the sentence.
        hint: String,
    },
    /// A table does not read.
    #[error("catalogue table: {0}")]
    Table(String),
}

const EMBEDDED: [&str; 12] = [
    include_str!("data/incidents.toml"),
    include_str!("data/provisioned.toml"),
    include_str!("data/gpus.toml"),
    include_str!("data/models.toml"),
    include_str!("data/api_prices.toml"),
    include_str!("data/api_latency.toml"),
    include_str!("data/prompt_caches.toml"),
    include_str!("data/gpu_prices.toml"),
    include_str!("data/measured_pools.toml"),
    include_str!("data/ops_costs.toml"),
    include_str!("data/rate_limits.toml"),
    include_str!("data/step_times.toml"),
];

impl Catalog {
    /// The embedded facts, parsed once.
    pub fn embedded() -> &'static Catalog {
        static ONCE: OnceLock<Catalog> = OnceLock::new();
        ONCE.get_or_init(|| {
            EMBEDDED.iter().fold(Catalog::default(), |c, text| match c.with_overrides(text) {
                Ok(next) => next,
                Err(e) => panic!("catalog-embedded: {e}"),
            })
        })
    }

    /// A copy with the rows of a TOML text put in place of those of the same name, or added. A model's prices in the text
    /// stand in place of all that were known of it.
    ///
    /// # Errors
    /// Text that does not parse, has an unknown key, a price finer than a pico-dollar, or two prices of a model that hold on
    /// the same day.
    pub fn with_overrides(&self, toml_text: &str) -> Result<Catalog, CatalogError> {
        let new: Catalog = toml::from_str(toml_text).map_err(|e| CatalogError::Table(e.to_string()))?;
        let mut all = self.clone();
        let mut prices = new.api_prices;
        prices::said(&mut prices, super::api::PRICES_READ, super::api::PRICES_SOURCE);
        prices::check(&prices).map_err(|(row, what)| CatalogError::Table(format!("api_price {}: {what}", row + 1)))?;
        prices::replace(&mut all.api_prices, prices);
        merge(&mut all.gpus, new.gpus, |r| r.id.clone());
        merge(&mut all.models, new.models, |r| r.id.clone());
        merge(&mut all.api_latencies, new.api_latencies, |r| key(&r.provider, &r.model));
        merge(&mut all.api_capabilities, new.api_capabilities, |r| key(&r.provider, &r.model));
        merge(&mut all.prompt_caches, new.prompt_caches, |r| (r.provider.clone(), r.models.clone()));
        merge(&mut all.rents, new.rents, |r| (r.gpu.clone(), r.provider.clone(), r.kind.clone()));
        merge(&mut all.measured_pools, new.measured_pools, |r| {
            (r.model.clone(), r.gpu.clone(), r.tensor_parallel, r.engine.clone(), r.utilization.to_bits())
        });
        merge(&mut all.ops_costs, new.ops_costs, |r| r.key.clone());
        merge(&mut all.rate_limits, new.rate_limits, |r| (r.provider.clone(), r.tier.clone(), r.model_class.clone()));
        merge(&mut all.incidents, new.incidents, |r| r.service.clone());
        merge(&mut all.provisioned, new.provisioned, |r| r.model.clone());
        merge(&mut all.step_times, new.step_times, |r| (r.gpu.clone(), r.dtype.clone()));
        merge(&mut all.frontends, new.frontends, |r| r.kinds.clone());
        Ok(all)
    }

    /// The GPU `id`.
    ///
    /// # Errors
    /// [`CatalogError::Unknown`] with the nearest name, as for every lookup here.
    pub fn gpu(&self, id: &str) -> Result<&Gpu, CatalogError> {
        find("GPU", "baseload catalog gpus", id, &self.gpus, |r| r.id.clone())
    }
    /// The open-weight model `id`.
    ///
    /// # Errors
    /// As [`Catalog::gpu`].
    pub fn model(&self, id: &str) -> Result<&Model, CatalogError> {
        find("model", "baseload catalog models", id, &self.models, |r| r.id.clone())
    }
    /// A price of `provider/model`, the first of those that hold at different times.
    ///
    /// # Errors
    /// As [`Catalog::gpu`].
    pub fn api(&self, name: &str) -> Result<&ApiPrice, CatalogError> {
        find("API", "baseload catalog apis", name, &self.api_prices, |r| key(&r.provider, &r.model))
    }
    /// How `provider` caches prompts of `model`, if that is known.
    pub fn prompt_cache(&self, provider: &str, model: &str) -> Option<&PromptCacheRow> {
        let rows = || self.prompt_caches.iter().filter(|r| r.provider == provider);
        let own = rows().find(|r| r.models.iter().any(|m| m == model));
        own.or_else(|| rows().find(|r| r.models.is_empty()))
    }
    /// Latency of `provider/model`.
    ///
    /// # Errors
    /// As [`Catalog::gpu`]; few APIs have a row.
    pub fn api_latency(&self, name: &str) -> Result<&ApiLatency, CatalogError> {
        find("API latency", "baseload catalog apis", name, &self.api_latencies, |r| key(&r.provider, &r.model))
    }
    /// Capability of `provider/model`.
    ///
    /// # Errors
    /// As [`Catalog::gpu`].
    pub fn api_capability(&self, name: &str) -> Result<Capability, CatalogError> {
        find("API capability", "baseload catalog apis", name, &self.api_capabilities, |r| key(&r.provider, &r.model))
            .map(|r| r.capability)
    }
    /// Rent of `gpu` from `provider` of a `kind` such as `on-demand`.
    ///
    /// # Errors
    /// As [`Catalog::gpu`]; the name is `gpu, provider, kind`.
    pub fn rent(&self, gpu: &str, provider: &str, kind: &str) -> Result<&Rent, CatalogError> {
        let name = format!("{gpu}, {provider}, {kind}");
        find("rent", "baseload catalog rents", &name, &self.rents, |r| format!("{}, {}, {}", r.gpu, r.provider, r.kind))
    }
    /// The published limits `provider/tier`, or `provider/tier/models` where a tier has several.
    ///
    /// # Errors
    /// As [`Catalog::gpu`]; a name that is not one row's alone lists theirs.
    pub fn rate_limit(&self, name: &str) -> Result<&RateLimit, CatalogError> {
        let whole = |r: &RateLimit| format!("{}/{}/{}", r.provider, r.tier, r.model_class);
        let mut of_tier = self.rate_limits.iter().filter(|r| format!("{}/{}", r.provider, r.tier) == name);
        match (of_tier.next(), of_tier.next()) {
            (Some(row), None) => Ok(row),
            (Some(first), Some(second)) => {
                let names: Vec<String> =
                    [first, second].into_iter().chain(of_tier).map(|r| format!("`{}`", whole(r))).collect();
                let hint = format!(" by itself: it differs by model; there are {}", names.join(", "));
                Err(CatalogError::Unknown { what: "tier", name: name.to_owned(), hint })
            }
            (None, _) => {
                // A misspelt tier is told from the tiers, a misspelt class from the classes.
                if name.matches('/').count() < 2 {
                    return find("tier", "baseload catalog apis", name, &self.rate_limits, |r| {
                        format!("{}/{}", r.provider, r.tier)
                    });
                }
                find("tier", "baseload catalog apis", name, &self.rate_limits, whole)
            }
        }
    }
    /// Incidents of a service.
    ///
    /// # Errors
    /// As [`Catalog::gpu`].
    pub fn incidents(&self, service: &str) -> Result<&IncidentRow, CatalogError> {
        find("service", "baseload catalog apis", service, &self.incidents, |r| r.service.clone())
    }
    /// What a provisioned unit of a model serves.
    ///
    /// # Errors
    /// As [`Catalog::gpu`].
    pub fn provisioned(&self, model: &str) -> Result<&ProvisionedRow, CatalogError> {
        find("provisioned model", "baseload catalog apis", model, &self.provisioned, |r| r.model.clone())
    }
    /// The fitted numbers of `gpu` for weights of `dtype`: its own row, else that of the GPU it borrows from.
    pub fn step_time(&self, gpu: &str, dtype: &str) -> Option<&StepTimeRow> {
        let rows = || self.step_times.iter().filter(|r| r.dtype == dtype);
        rows().find(|r| r.gpu == gpu).or_else(|| rows().find(|r| r.speaks_for(gpu)))
    }
    /// What lay before the engine where measurements of this kind were taken, if that is known.
    pub fn frontend(&self, kind: &str) -> Option<&FrontendRow> {
        self.frontends.iter().find(|r| r.kinds.iter().any(|k| k == kind))
    }
    /// The cost `key` of people, power or space.
    ///
    /// # Errors
    /// As [`Catalog::gpu`].
    pub fn ops(&self, key: &str) -> Result<&OpsCost, CatalogError> {
        find("operating cost", "baseload catalog people", key, &self.ops_costs, |r| r.key.clone())
    }
}

fn key(provider: &str, model: &str) -> String {
    format!("{provider}/{model}")
}

fn merge<T, K: PartialEq>(into: &mut Vec<T>, from: Vec<T>, key: impl Fn(&T) -> K) {
    for row in from {
        match into.iter_mut().find(|old| key(old) == key(&row)) {
            Some(old) => *old = row,
            None => into.push(row),
        }
    }
}

fn find<'a, T>(
    what: &'static str,
    listing: &str,
    name: &str,
    rows: &'a [T],
    key: impl Fn(&T) -> String,
) -> Result<&'a T, CatalogError> {
    if let Some(row) = rows.iter().find(|r| key(r) == name) {
        return Ok(row);
    }
    let names: Vec<String> = rows.iter().map(key).collect();
    let hint = hint(name, names.iter().map(String::as_str), listing);
    Err(CatalogError::Unknown { what, name: name.to_owned(), hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{TokenPrice, Usd};

    #[test]
    fn embedded_tables_load_and_join() {
        let c = Catalog::embedded();
        assert_eq!((c.gpus.len(), c.models.len(), c.api_prices.len(), c.rents.len()), (18, 34, 40, 45));
        assert_eq!(c.rent("h100-sxm", "AWS", "on-demand").unwrap().usd_per_gpu_hour, Usd::parse("6.88").unwrap());
        assert_eq!(c.api("openai/gpt-4o").unwrap().input, TokenPrice(2_500_000));
        assert_eq!(c.ops("on_call_stipend_us").unwrap().typical, 12_000.0);
        for row in &c.api_prices {
            c.api_capability(&key(&row.provider, &row.model)).unwrap();
        }
        for row in &c.prompt_caches {
            let step = row.step_tokens.unwrap_or(1);
            assert!(row.min_tokens % step == 0 && row.step_tokens.is_none() == row.breakpoints, "{row:?}");
            assert!(row.models.iter().all(|m| c.api(&key(&row.provider, m)).is_ok()), "{row:?}");
        }
        for row in &c.api_latencies {
            c.api(&key(&row.provider, &row.model)).unwrap();
        }
        for row in &c.rents {
            c.gpu(&row.gpu).unwrap();
        }
        for row in &c.measured_pools {
            c.gpu(&row.gpu).unwrap();
            c.model(&row.model).unwrap();
        }
        for g in &c.gpus {
            assert!(c.step_time(&g.id, "bf16").is_some(), "{} is new: say whose step times it borrows", g.id);
        }
        for row in &c.step_times {
            c.gpu(&row.gpu).unwrap();
            row.borrowed_by.iter().for_each(|id| assert!(c.gpu(id).is_ok(), "{id}"));
        }
        for row in &c.incidents {
            assert!((0.2..0.5).contains(&row.noticed()) && (0.0..0.4).contains(&row.full()), "{row:?}");
            assert!(row.gap_mean_h > row.gap_median_h && row.duration_p90_min > row.duration_median_min);
        }
        assert!(c.provisioned.iter().all(|r| r.input_tpm_per_unit > 0 && r.output_weight >= 1.0 && r.min_units > 0));
        for row in &c.frontends {
            let numbers = [row.arrival_s, row.arrival_s_per_1000_prompt_tokens, row.token_s];
            assert!(numbers.iter().all(|s| (0.0..1.0).contains(s)), "{:?}", row.kinds);
        }
        assert_eq!(c.model("llama-3.1-8b").unwrap().capability(), Capability::Small);
        assert_eq!(c.model("llama-3.1-70b").unwrap().capability(), Capability::Mid);
        assert_eq!(c.model("deepseek-v3").unwrap().capability(), Capability::Frontier);
    }

    #[test]
    fn unknown_names_get_a_hint_and_overrides_replace() {
        let c = Catalog::embedded();
        let e = c.gpu("h100-smx").unwrap_err().to_string();
        assert_eq!(e, "unknown GPU `h100-smx`; did you mean `h100-sxm`? `baseload catalog gpus` lists them");
        let c2 = c
            .with_overrides(
                "[[gpu_price]]\ngpu = \"h100-sxm\"\nprovider = \"AWS\"\nkind = \"on-demand\"\nusd_per_gpu_hour = 2\n\
                 date = \"2026\"\nsource = \"us\"\n",
            )
            .unwrap();
        assert_eq!(c2.rents.len(), 45);
        assert_eq!(c2.rent("h100-sxm", "AWS", "on-demand").unwrap().usd_per_gpu_hour, Usd::parse("2").unwrap());
        assert!(c.with_overrides("[[gpu]]\nidd = 1\n").is_err());
    }

    #[test]
    fn tiers_are_found_by_name_and_by_class_where_they_have_several() {
        let c = Catalog::embedded();
        assert_eq!(c.rate_limit("anthropic/Scale").unwrap().rpm, Some(4_000));
        assert_eq!(c.rate_limit("groq/Free/gpt-oss-20b").unwrap().combined_tpd, Some(200_000));
        assert_eq!(c.rate_limit("anthropic/T2/Haiku 4.5").unwrap().input_tpm, Some(450_000));
        let e = |name: &str| c.rate_limit(name).unwrap_err().to_string();
        assert!(e("anthropic/Scael").contains("did you mean `anthropic/Scale`?"), "{}", e("anthropic/Scael"));
        assert!(e("groq/Free").contains("`groq/Free/gpt-oss-20b`"), "{}", e("groq/Free"));
        assert!(e("groq/Free/gpt-oss-21b").contains("did you mean `groq/Free/gpt-oss-20b`?"));
        assert!(c.incidents("openai").unwrap_err().to_string().contains("did you mean `openai-api`?"));
    }

    #[test]
    fn rows_survive_a_round_trip() {
        let c = Catalog::embedded();
        let json = serde_json::to_string(c).unwrap();
        assert_eq!(&serde_json::from_str::<Catalog>(&json).unwrap(), c);
    }
}
