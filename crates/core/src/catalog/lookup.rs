//! The catalogue as a whole: loading and looking up.
//!
//! Imports only `types`. Must keep true: the embedded tables load (a test does), rows stay in file order. Names of models
//! and GPUs are matched in `names.rs`.
use super::row::{Row, each_table};
use super::{
    ApiLatency, ApiPrice, Catalog, CatalogError, DataSetRow, FrontendRow, IncidentRow, LimitRules, Model, OpsCost,
    PromptCacheRow, ProvisionedRow, RateLimit, Rent, StepTimeRow, nearest::hint,
};
use crate::types::Capability;
use std::sync::OnceLock;

const EMBEDDED: [&str; 15] = [
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
    include_str!("data/limit_rules.toml"),
    include_str!("data/data_sets.toml"),
    include_str!("data/names.toml"),
];

impl Catalog {
    /// The embedded facts, parsed once.
    pub fn embedded() -> &'static Catalog {
        static ONCE: OnceLock<Catalog> = OnceLock::new();
        ONCE.get_or_init(|| {
            let read = |text: &&str| match toml::from_str::<Catalog>(text) {
                Ok(tables) => tables,
                Err(e) => panic!("catalog-embedded: {e}"),
            };
            EMBEDDED.iter().map(read).fold(Catalog::default(), Catalog::and)
        })
    }

    /// The rows of both catalogues, `more`'s behind these.
    fn and(mut self, mut more: Catalog) -> Catalog {
        macro_rules! append {
            ($type:ty) => {
                <$type>::rows_mut(&mut self).append(<$type>::rows_mut(&mut more));
            };
        }
        each_table!(append);
        self
    }

    /// The open-weight model that `name` means: an id, or a name at Hugging Face ([`Catalog::model_named`]).
    ///
    /// # Errors
    /// [`CatalogError::Unknown`] with the nearest name, as for every lookup here.
    pub fn model(&self, name: &str) -> Result<&Model, CatalogError> {
        self.model_named(name).map(|named| named.row)
    }
    /// A price of `provider/model`, the first of those that hold at different times.
    ///
    /// # Errors
    /// As [`Catalog::model`].
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
    /// As [`Catalog::model`]; few APIs have a row.
    pub fn api_latency(&self, name: &str) -> Result<&ApiLatency, CatalogError> {
        find("API latency", "baseload catalog apis", name, &self.api_latencies, |r| key(&r.provider, &r.model))
    }
    /// Capability of `provider/model`.
    ///
    /// # Errors
    /// As [`Catalog::model`].
    pub fn api_capability(&self, name: &str) -> Result<Capability, CatalogError> {
        find("API capability", "baseload catalog apis", name, &self.api_capabilities, |r| key(&r.provider, &r.model))
            .map(|r| r.capability)
    }
    /// Rent of `gpu` from `provider` of a `kind` such as `on-demand`.
    ///
    /// # Errors
    /// As [`Catalog::model`]; the name is `gpu, provider, kind`.
    pub fn rent(&self, gpu: &str, provider: &str, kind: &str) -> Result<&Rent, CatalogError> {
        let name = format!("{gpu}, {provider}, {kind}");
        find("rent", "baseload catalog rents", &name, &self.rents, |r| format!("{}, {}, {}", r.gpu, r.provider, r.kind))
    }
    /// The published limits `provider/tier`, or `provider/tier/models` where a tier has several.
    ///
    /// # Errors
    /// As [`Catalog::model`]; a name that is not one row's alone lists theirs.
    pub fn rate_limit(&self, name: &str) -> Result<&RateLimit, CatalogError> {
        let whole = |r: &RateLimit| format!("{}/{}/{}", r.provider, r.tier, r.model_class);
        let mut of_tier = self.rate_limits.iter().filter(|r| format!("{}/{}", r.provider, r.tier) == name);
        match (of_tier.next(), of_tier.next()) {
            (Some(row), None) => Ok(row),
            (Some(first), Some(second)) => {
                let names: Vec<String> =
                    [first, second].into_iter().chain(of_tier).map(|r| format!("`{}`", whole(r))).collect();
                let hint = format!("it differs by model: there are {}", names.join(", "));
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
    /// As [`Catalog::model`].
    pub fn incidents(&self, service: &str) -> Result<&IncidentRow, CatalogError> {
        find("service", "baseload catalog apis", service, &self.incidents, |r| r.service.clone())
    }
    /// What a provisioned unit of a model serves.
    ///
    /// # Errors
    /// As [`Catalog::model`].
    pub fn provisioned(&self, model: &str) -> Result<&ProvisionedRow, CatalogError> {
        find("provisioned model", "baseload catalog apis", model, &self.provisioned, |r| r.model.clone())
    }
    /// The fitted numbers of `gpu` for weights of `dtype`: its own row, else that of the GPU it borrows from.
    pub fn step_time(&self, gpu: &str, dtype: &str) -> Option<&StepTimeRow> {
        let rows = || self.step_times.iter().filter(|r| r.dtype == dtype);
        let of = |gpu: &str| rows().find(|r| r.gpu == gpu).or_else(|| rows().find(|r| r.speaks_for(gpu)));
        let like = |gpu: &&str| self.gpus.iter().find(|g| g.id == *gpu).and_then(|g| g.like.as_deref());
        // A row is like one that stood before it, so this ends; the bound holds for catalogues that nobody checked.
        std::iter::successors(Some(gpu), like).take(self.gpus.len() + 1).find_map(of)
    }
    /// Rules by which a provider counts limits; those of `plain` where none are known.
    pub fn limit_rules(&self, provider: &str) -> Option<&LimitRules> {
        let of = |name: &str| self.limit_rules.iter().find(|r| r.provider == name || r.also.iter().any(|a| a == name));
        of(provider).or_else(|| of("plain"))
    }
    /// The rules that are called `name`.
    ///
    /// # Errors
    /// As [`Catalog::model`].
    pub fn limit_rules_named(&self, name: &str) -> Result<&LimitRules, CatalogError> {
        find("preset of limits", "docs/limits-and-outages.md", name, &self.limit_rules, |r| r.provider.clone())
    }
    /// What files of a kind of measurements leave out or name in their own way.
    pub fn data_set(&self, kind: &str) -> Option<&DataSetRow> {
        self.data_sets.iter().find(|r| r.kind == kind)
    }
    /// What lay before the engine where measurements of this kind were taken, if that is known.
    pub fn frontend(&self, kind: &str) -> Option<&FrontendRow> {
        self.frontends.iter().find(|r| r.kinds.iter().any(|k| k == kind))
    }
    /// The cost `key` of people, power or space.
    ///
    /// # Errors
    /// As [`Catalog::model`].
    pub fn ops(&self, key: &str) -> Result<&OpsCost, CatalogError> {
        find("operating cost", "baseload catalog people", key, &self.ops_costs, |r| r.key.clone())
    }
}

fn key(provider: &str, model: &str) -> String {
    format!("{provider}/{model}")
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
        macro_rules! sound {
            ($type:ty) => {
                for (i, row) in <$type>::rows(c).iter().enumerate() {
                    let mut whole = row.clone();
                    whole.complete("nowhere", c);
                    assert!(
                        &whole == row,
                        "{} {}: says itself all that a user's may leave out",
                        <$type>::TABLE,
                        row.name()
                    );
                    assert_eq!(
                        crate::catalog::row_fault::sure(row.faults(), &[]).to_string()
                            + &row.unknown_names(c).to_string(),
                        "",
                        "{}",
                        row.name()
                    );
                    let again = <$type>::rows(c)[..i].iter().any(|r| r.name() == row.name());
                    assert!(!again, "{} {} stands twice", <$type>::TABLE, row.name());
                }
                assert_eq!(<$type>::faults_together(<$type>::rows(c)), Ok(()));
            };
        }
        each_table!(sound);
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
        for g in &c.gpus {
            assert!(c.step_time(&g.id, "bf16").is_some(), "{} is new: say whose step times it borrows", g.id);
        }
        for row in &c.incidents {
            assert!((0.2..0.5).contains(&row.noticed()) && (0.0..0.4).contains(&row.full()), "{row:?}");
        }
        for row in &c.frontends {
            let numbers = [row.arrival_s, row.arrival_s_per_1000_prompt_tokens, row.token_s];
            assert!(numbers.iter().all(|s| (0.0..1.0).contains(s)), "{:?}", row.kinds);
        }
        assert_eq!(c.model("llama-3.1-8b").unwrap().capability(), Capability::Small);
        assert_eq!(c.model("llama-3.1-70b").unwrap().capability(), Capability::Mid);
        assert_eq!(c.model("deepseek-v3").unwrap().capability(), Capability::Frontier);
    }

    #[test]
    fn unknown_names_get_a_hint() {
        let c = Catalog::embedded();
        let e = c.gpu("h100-smx").unwrap_err().to_string();
        assert_eq!(e, "unknown GPU `h100-smx`; did you mean `h100-sxm`? `baseload catalog gpus` lists them");
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
