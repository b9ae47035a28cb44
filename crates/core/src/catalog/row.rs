//! What the tables of the catalogue have in common: a name, rows, what a row leaves out and what makes no sense in one.
//!
//! Imports only `types`. Must keep true: each table is here once; two rows of one name say the same thing.
use super::row_fault::RowFault;
use super::{
    ApiCapability, ApiLatency, ApiPrice, Catalog, DataSetRow, FrontendRow, Gpu, IncidentRow, LimitRules, MeasuredPool,
    Model, NameWords, OpsCost, PromptCacheRow, ProvisionedRow, RateLimit, Rent, StepTimeRow,
};
use crate::types::{Fault, Faults};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of row.
pub(super) trait Row: Clone + PartialEq + Serialize + DeserializeOwned + JsonSchema {
    /// The table's name in TOML.
    const TABLE: &'static str;
    /// Name of the thing that the row is about; a user's row stands in place of the embedded one with its name.
    fn name(&self) -> String;
    /// The table.
    fn rows(catalog: &Catalog) -> &Vec<Self>;
    /// The table, to be changed.
    fn rows_mut(catalog: &mut Catalog) -> &mut Vec<Self>;
    /// Fills in what it leaves out; `file` is the file that it is from, and `under` what it is laid over.
    fn complete(&mut self, file: &str, under: &Catalog);
    /// Whether rows of one name hold at different times and stand beside each other.
    const SEVERAL: bool = false;
    /// What makes no sense of a file's rows together: the row and what is wrong.
    ///
    /// # Errors
    /// The first fault.
    fn faults_together(_rows: &[Self]) -> Result<(), (usize, Fault)> {
        Ok(())
    }
    /// What makes no sense in it.
    fn faults(&self) -> Vec<RowFault> {
        Vec::new()
    }
    /// What can be and hardly is, in words.
    fn unusual(&self) -> Vec<String> {
        Vec::new()
    }
    /// Names in it that no row of the catalogue has.
    fn unknown_names(&self, _catalog: &Catalog) -> Faults {
        Faults::default()
    }
}

/// Fills in the source and the date of a row that has none: the file, and "undated".
fn fill_source(source: &mut String, date: &mut String, file: &str) {
    if source.is_empty() {
        file.clone_into(source);
    }
    if date.is_empty() {
        "undated".clone_into(date);
    }
}

/// Keys whose numbers must lie in a range.
fn out_of_range<const N: usize>(numbers: [(&str, f64, f64, f64); N]) -> Vec<RowFault> {
    let wrong = numbers.into_iter().filter(|(_, value, least, most)| !(*value >= *least && *value <= *most));
    wrong
        .map(|(key, value, least, most)| {
            let range = match (least, most) {
                (l, f64::MAX) if l == f64::MIN_POSITIVE => "above 0".to_owned(),
                (l, f64::MAX) => format!("at least {l}"),
                (l, m) => format!("from {l} to {m}"),
            };
            Fault::at(key, format!("is {value}")).hint(format!("it must be {range}")).into()
        })
        .collect()
}

/// [`out_of_range`] for bounds that are other keys, `of`.
fn out_of_order<const N: usize>(of: &'static [&'static str], numbers: [(&str, f64, f64, f64); N]) -> Vec<RowFault> {
    out_of_range(numbers).into_iter().map(|f| RowFault::of(f.fault, of)).collect()
}

const ABOVE_0: f64 = f64::MIN_POSITIVE;

/// The fault of `key` where a look-up failed.
fn looked_up<T>(key: &str, found: Result<T, super::CatalogError>) -> Option<Fault> {
    found.err().map(|e| Fault::from(e).under(key))
}

macro_rules! row {
    ($type:ty, $table:literal, $field:ident, |$r:ident| $name:expr, { $($more:tt)* }) => {
        impl Row for $type {
            const TABLE: &'static str = $table;
            fn name(&self) -> String {
                let $r = self;
                $name
            }
            fn rows(catalog: &Catalog) -> &Vec<Self> {
                &catalog.$field
            }
            fn rows_mut(catalog: &mut Catalog) -> &mut Vec<Self> {
                &mut catalog.$field
            }
            $($more)*
        }
    };
}

row!(Gpu, "gpu", gpus, |r| r.id.clone(), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
        self.fill();
    }
    fn faults(&self) -> Vec<RowFault> {
        out_of_range([
            ("memory_total_gib", self.memory_total_gib, ABOVE_0, f64::MAX),
            ("mem_bw_gbps", self.mem_bw_gbps, ABOVE_0, f64::MAX),
            ("bf16_tflops_dense", self.bf16_tflops_dense, ABOVE_0, f64::MAX),
            ("scale_up_gbps_unidirectional", self.scale_up_gbps_unidirectional, ABOVE_0, f64::MAX),
            ("scale_up_domain_gpus", self.scale_up_domain_gpus.into(), 1.0, f64::MAX),
        ])
    }
});
row!(Model, "model", models, |r| r.id.clone(), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
        self.fill();
    }
    fn faults(&self) -> Vec<RowFault> {
        self.nonsense()
    }
    fn unusual(&self) -> Vec<String> {
        self.unusual_dimensions()
    }
});
row!(ApiPrice, "api_price", api_prices, |r| r.name(), {
    fn complete(&mut self, file: &str, under: &Catalog) {
        self.said(file, under);
    }
    const SEVERAL: bool = true;
    fn faults_together(rows: &[Self]) -> Result<(), (usize, Fault)> {
        super::prices::check(rows)
    }
});
row!(ApiLatency, "api_latency", api_latencies, |r| format!("{}/{}", r.provider, r.model), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
    }
    fn faults(&self) -> Vec<RowFault> {
        out_of_range([
            ("ttft_p50_s", self.ttft_p50_s, ABOVE_0, f64::MAX),
            ("output_tokens_per_s", self.output_tokens_per_s, ABOVE_0, f64::MAX),
            ("p95_over_p50", self.p95_over_p50, 1.0, 1e6),
            ("error_rate", self.error_rate, 0.0, 1.0),
        ])
    }
    fn unknown_names(&self, catalog: &Catalog) -> Faults {
        looked_up("model", catalog.api(&self.name())).into_iter().collect()
    }
});
row!(ApiCapability, "api_capability", api_capabilities, |r| format!("{}/{}", r.provider, r.model), {
    fn complete(&mut self, _file: &str, _under: &Catalog) {}
    fn unknown_names(&self, catalog: &Catalog) -> Faults {
        looked_up("model", catalog.api(&self.name())).into_iter().collect()
    }
});
row!(
    PromptCacheRow,
    "prompt_cache",
    prompt_caches,
    |r| match r.models.is_empty() {
        true => r.provider.clone(),
        false => format!("{} ({})", r.provider, r.models.join(", ")),
    },
    {
        fn complete(&mut self, file: &str, _under: &Catalog) {
            fill_source(&mut self.source, &mut self.date, file);
        }
        fn faults(&self) -> Vec<RowFault> {
            let mut faults = Vec::new();
            match (self.breakpoints, self.step_tokens) {
                (true, Some(_)) => {
                    let fault = Fault::at("step_tokens", "a cache with breakpoints has no steps").hint("leave it out");
                    faults.push(RowFault::of(fault, &["breakpoints"]));
                }
                (false, None) => {
                    let fault = Fault::at("breakpoints", "is false").hint("give step_tokens, the steps of a hit");
                    faults.push(RowFault::of(fault, &["step_tokens"]));
                }
                (false, Some(step)) if step == 0 || !self.min_tokens.is_multiple_of(step) => {
                    let fault = Fault::at("step_tokens", format!("is {step}"));
                    let fault = fault.hint("min_tokens must be a multiple of it");
                    faults.push(RowFault::of(fault, &["min_tokens", "breakpoints"]));
                }
                _ => {}
            }
            if self.ttl_s == 0 {
                faults.push(Fault::at("ttl_s", "is 0").hint("entries must live").into());
            }
            faults
        }
        fn unknown_names(&self, catalog: &Catalog) -> Faults {
            let of = |model: &String| looked_up("models", catalog.api(&format!("{}/{model}", self.provider)));
            self.models.iter().filter_map(of).collect()
        }
    }
);
row!(Rent, "gpu_price", rents, |r| format!("{}, {}, {}", r.gpu, r.provider, r.kind), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
    }
    fn faults(&self) -> Vec<RowFault> {
        out_of_range([("usd_per_gpu_hour", self.usd_per_gpu_hour.as_f64(), 0.0, f64::MAX)])
    }
    fn unknown_names(&self, catalog: &Catalog) -> Faults {
        looked_up("gpu", catalog.gpu(&self.gpu)).into_iter().collect()
    }
});
row!(
    MeasuredPool,
    "measured_pool",
    measured_pools,
    |r| format!("{} on {} x {}, {}, {}", r.model, r.tensor_parallel, r.gpu, r.engine, r.utilization),
    {
        fn complete(&mut self, file: &str, _under: &Catalog) {
            fill_source(&mut self.source, &mut self.date, file);
        }
        fn unknown_names(&self, catalog: &Catalog) -> Faults {
            let (gpu, model) = (catalog.gpu(&self.gpu), catalog.model(&self.model));
            looked_up("gpu", gpu).into_iter().chain(looked_up("model", model)).collect()
        }
    }
);
row!(OpsCost, "ops_cost", ops_costs, |r| r.key.clone(), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
        for end in [&mut self.low, &mut self.high] {
            *end = if *end == 0.0 { self.typical } else { *end };
        }
    }
    fn faults(&self) -> Vec<RowFault> {
        let ends = [("low", self.low, 0.0, self.typical), ("high", self.high, self.typical, f64::MAX)];
        let mut faults = out_of_range([("typical", self.typical, 0.0, f64::MAX)]);
        faults.extend(out_of_order(&["typical"], ends));
        faults
    }
});
row!(RateLimit, "rate_limit", rate_limits, |r| format!("{}/{}/{}", r.provider, r.tier, r.model_class), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
    }
});
row!(LimitRules, "limit_rules", limit_rules, |r| r.provider.clone(), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
    }
    fn faults(&self) -> Vec<RowFault> {
        self.nonsense().into_iter().map(RowFault::from).collect()
    }
});
row!(IncidentRow, "incident", incidents, |r| r.service.clone(), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
    }
    fn faults(&self) -> Vec<RowFault> {
        let mut faults = out_of_range([
            ("availability_any", self.availability_any, 0.0, 100.0),
            ("gap_median_h", self.gap_median_h, ABOVE_0, f64::MAX),
            ("duration_median_min", self.duration_median_min, ABOVE_0, f64::MAX),
        ]);
        let weighted = ("availability_weighted", self.availability_weighted, self.availability_any, 100.0);
        faults.extend(out_of_order(&["availability_any"], [weighted]));
        faults.extend(out_of_order(&["gap_median_h"], [("gap_mean_h", self.gap_mean_h, self.gap_median_h, f64::MAX)]));
        let longest = ("duration_p90_min", self.duration_p90_min, self.duration_median_min, f64::MAX);
        faults.extend(out_of_order(&["duration_median_min"], [longest]));
        faults
    }
});
row!(ProvisionedRow, "provisioned", provisioned, |r| r.model.clone(), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
    }
    fn faults(&self) -> Vec<RowFault> {
        out_of_range([
            ("input_tpm_per_unit", self.input_tpm_per_unit as f64, 1.0, f64::MAX),
            ("output_weight", self.output_weight, 0.001, 1_000.0),
            ("min_units", self.min_units.into(), 1.0, f64::MAX),
            ("unit_step", self.unit_step.into(), 1.0, f64::MAX),
        ])
    }
});
row!(StepTimeRow, "step_time", step_times, |r| format!("{} in {}", r.gpu, r.dtype), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
    }
    fn faults(&self) -> Vec<RowFault> {
        let numbers = super::NUMBERS.iter().zip(self.numbers());
        let wrong =
            numbers.filter_map(|(key, value)| value.filter(|v| !(v.is_finite() && *v >= 0.0)).map(|v| (*key, v)));
        let refused =
            |(key, v): (&str, f64)| Fault::at(key, format!("is {v}")).hint("it must be a number from 0").into();
        let mut faults: Vec<RowFault> = wrong.map(refused).collect();
        if self.numbers().iter().all(Option::is_none) {
            let hint = format!("give one of {}", super::NUMBERS.join(", "));
            faults.push(RowFault::of(Fault::new("it has no number").hint(hint), &super::NUMBERS));
        }
        faults
    }
    fn unknown_names(&self, catalog: &Catalog) -> Faults {
        let borrowers = self.borrowed_by.iter().filter_map(|id| looked_up("borrowed_by", catalog.gpu(id)));
        looked_up("gpu", catalog.gpu(&self.gpu)).into_iter().chain(borrowers).collect()
    }
});
row!(FrontendRow, "frontend", frontends, |r| r.kinds.join(", "), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
    }
    fn faults(&self) -> Vec<RowFault> {
        out_of_range([
            ("arrival_s", self.arrival_s, 0.0, 1e3),
            ("arrival_s_per_1000_prompt_tokens", self.arrival_s_per_1000_prompt_tokens, 0.0, 1e3),
            ("token_s", self.token_s, 0.0, 1e3),
        ])
    }
});
row!(DataSetRow, "data_set", data_sets, |r| r.kind.clone(), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut self.date, file);
    }
    fn unknown_names(&self, catalog: &Catalog) -> Faults {
        let gpus = self.gpu.iter().map(|g| ("gpu", g)).chain(self.gpus.iter().map(|n| ("gpus", &n.is)));
        gpus.filter_map(|(key, id)| looked_up(key, catalog.gpu(id))).collect()
    }
});
row!(NameWords, "name_words", name_words, |r| r.words.join(", "), {
    fn complete(&mut self, file: &str, _under: &Catalog) {
        fill_source(&mut self.source, &mut String::new(), file);
    }
});

/// Calls `$do!(TYPE)` for the row of each table, in the order in which they are laid: what others name comes first.
macro_rules! each_table {
    ($do:ident) => {
        $do!($crate::catalog::Gpu);
        $do!($crate::catalog::Model);
        $do!($crate::catalog::ApiPrice);
        $do!($crate::catalog::ApiLatency);
        $do!($crate::catalog::ApiCapability);
        $do!($crate::catalog::PromptCacheRow);
        $do!($crate::catalog::Rent);
        $do!($crate::catalog::MeasuredPool);
        $do!($crate::catalog::OpsCost);
        $do!($crate::catalog::RateLimit);
        $do!($crate::catalog::LimitRules);
        $do!($crate::catalog::IncidentRow);
        $do!($crate::catalog::ProvisionedRow);
        $do!($crate::catalog::StepTimeRow);
        $do!($crate::catalog::FrontendRow);
        $do!($crate::catalog::DataSetRow);
        $do!($crate::catalog::NameWords);
    };
}
pub(super) use each_table;
