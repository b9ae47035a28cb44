//! Where the step time of a measurement comes from in place of the catalogue: rows of a user's own, or kernel tables.
//!
//! Must keep true: a supply speaks only for its own GPU and number format; a row that it cannot speak for is refused
//! by a reason, never predicted by the catalogue instead.
use super::machine::StepOptions;
#[cfg(feature = "frames")]
use crate::frames::KernelTimes;
use baseload_core::catalog::{Catalog, Gpu, Model, StepTimeFile};
use baseload_core::latency::{Analytic, AnalyticOptions, Curves, GraphSizes, KernelTables, Table, WeightDtype};
use baseload_core::memory::KvDtype;
use baseload_core::types::StepTime;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Where step times come from.
#[derive(Debug, Clone, Default)]
pub enum Supply {
    /// The catalogue's rows.
    #[default]
    Catalogue,
    /// Rows of the catalogue's form, laid over the catalogue's: their name and they.
    Rows(Arc<(String, StepTimeFile)>),
    /// Kernel tables, interpolated.
    Kernels(Arc<Kernels>),
}

/// Tables, or why there are none.
type Made = Result<Arc<KernelTables>, String>;

/// Kernel tables by what they are asked for: GPU, format of the weights and of the cache.
#[derive(Debug)]
pub struct Kernels {
    #[cfg(feature = "frames")]
    times: KernelTimes,
    made: Mutex<BTreeMap<(String, &'static str, &'static str), Made>>,
}

impl Kernels {
    /// Of files that were read.
    #[cfg(feature = "frames")]
    pub fn new(times: KernelTimes) -> Kernels {
        Kernels { times, made: Mutex::default() }
    }

    /// The files.
    #[cfg(feature = "frames")]
    pub fn times(&self) -> &KernelTimes {
        &self.times
    }

    /// Tables of a GPU and its formats, made once.
    ///
    /// # Errors
    /// What `choose_kernels` refuses.
    pub fn tables(&self, catalog: &Catalog, gpu: &Gpu, weights: WeightDtype, kv: KvDtype) -> Made {
        let mut made = self.made.lock().map_err(|_| "a thread broke off while it made kernel tables".to_owned())?;
        let key = (gpu.id.clone(), weights.name(), kv.name());
        made.entry(key).or_insert_with(|| self.make(catalog, gpu, weights, kv)).clone()
    }

    #[cfg(feature = "frames")]
    fn make(&self, catalog: &Catalog, gpu: &Gpu, weights: WeightDtype, kv: KvDtype) -> Made {
        super::kernels::choose_kernels(catalog, &self.times, gpu, weights, kv).map(|c| Arc::new(c.tables))
    }

    #[cfg(not(feature = "frames"))]
    fn make(&self, _catalog: &Catalog, _gpu: &Gpu, _weights: WeightDtype, _kv: KvDtype) -> Made {
        Err("this build cannot read Parquet: build with the feature `frames`".to_owned())
    }
}

impl Supply {
    /// What it is, in words; `None` for the catalogue.
    pub fn what(&self) -> Option<String> {
        match self {
            Supply::Catalogue => None,
            Supply::Rows(rows) => Some(format!("profile {}", rows.0)),
            Supply::Kernels(_) => Some("kernel tables".to_owned()),
        }
    }

    /// The step time of a model on `tensor_parallel` GPUs.
    ///
    /// # Errors
    /// Options that make no sense for this model or GPU; a supply that says nothing of this GPU, format or shape.
    pub fn step_time(
        &self,
        catalog: &Catalog,
        model: &Model,
        gpu: &Gpu,
        tensor_parallel: u32,
        options: &StepOptions,
    ) -> Result<Arc<dyn StepTime>, String> {
        let graph_sizes = if options.graphs {
            GraphSizes::new(options.max_num_seqs, options.max_num_batched_tokens, gpu.is_datacenter_blackwell())
        } else {
            GraphSizes::default()
        };
        let analytic = AnalyticOptions {
            weights: options.weights.1,
            expert_parallel: options.expert_parallel,
            async_scheduling: options.async_scheduling,
            graph_sizes,
            ..AnalyticOptions::default()
        };
        self.priced(catalog, model, gpu, tensor_parallel, analytic, KvDtype::Bf16)
    }

    /// The same for options of the analytic model; `kv` is the format of the KV cache.
    ///
    /// # Errors
    /// As [`Supply::step_time`].
    pub fn priced(
        &self,
        catalog: &Catalog,
        model: &Model,
        gpu: &Gpu,
        tensor_parallel: u32,
        mut options: AnalyticOptions,
        kv: KvDtype,
    ) -> Result<Arc<dyn StepTime>, String> {
        let text = |e: baseload_core::latency::LatencyError| e.to_string();
        match self {
            Supply::Catalogue => {}
            Supply::Rows(rows) => options.curves = Some(curves(catalog, &rows.0, &rows.1, gpu, options.weights)?.0),
            Supply::Kernels(kernels) => {
                let tables = kernels.tables(catalog, gpu, options.weights, kv)?;
                let table = Table::new(catalog, model, gpu, tensor_parallel, &tables, &options).map_err(text)?;
                return Ok(Arc::new(table));
            }
        }
        Ok(Arc::new(Analytic::new(catalog, model, gpu, tensor_parallel, &options).map_err(text)?))
    }
}

/// The curves of `gpu` under a file of rows, and a note of what is borrowed, if anything.
///
/// # Errors
/// A file of another GPU or without the number format; a number that makes no sense.
pub fn curves(
    catalog: &Catalog,
    name: &str,
    file: &StepTimeFile,
    gpu: &Gpu,
    weights: WeightDtype,
) -> Result<(Curves, Option<String>), String> {
    let of: Vec<&str> = file.step_time.iter().map(|r| r.dtype.as_str()).collect();
    let fits = |r: &baseload_core::catalog::StepTimeRow| r.speaks_for(&gpu.id);
    if let Some(row) = file.step_time.iter().find(|r| !fits(r)) {
        return Err(format!("profile {name} is of {}; this is {}: give a profile for that", row.gpu, gpu.id));
    }
    if let Some(row) = file.step_time.iter().find(|r| WeightDtype::parse(&r.dtype).is_none()) {
        let known = WeightDtype::ALL.map(WeightDtype::name).join(", ");
        return Err(format!("profile {name}: dtype `{}` is not known; known are {known}", row.dtype));
    }
    if !of.contains(&weights.name()) {
        return Err(format!(
            "profile {name} is of weights in {}; these are in {}: add a row of that",
            of.join(", "),
            weights.name()
        ));
    }
    let (curves, borrowed) =
        Curves::under(catalog, gpu, weights, &file.step_time).map_err(|e| format!("profile {name}: {e}"))?;
    let note = borrowed.first().map(|(_, from)| {
        let names: Vec<&str> = borrowed.iter().map(|b| b.0).collect();
        format!("profile {name} says nothing of {}: taken from the catalogue's row of {from}", names.join(", "))
    });
    Ok((curves, note))
}

#[cfg(test)]
mod tests {
    use super::super::machine;
    use super::*;
    use baseload_core::catalog::StepTimeRow;
    use baseload_core::types::BatchShape;

    const OPTIONS: StepOptions = StepOptions {
        weights: machine::BF16,
        expert_parallel: false,
        async_scheduling: true,
        max_num_seqs: 64,
        max_num_batched_tokens: 8_192,
        graphs: true,
    };

    fn rows(gpu: &str, dtype: &str) -> Supply {
        let row =
            StepTimeRow { gpu: gpu.into(), dtype: dtype.into(), memory_share: Some(0.4), ..StepTimeRow::default() };
        Supply::Rows(Arc::new(("mine".into(), StepTimeFile { step_time: vec![row] })))
    }

    #[test]
    fn a_supply_speaks_for_its_own_gpu_and_format_alone() {
        let c = Catalog::embedded();
        let (m, g) = (c.model("llama-3.1-8b").unwrap(), c.gpu("h100-sxm").unwrap());
        let step = |s: &Supply| {
            let shape = BatchShape { prefill: &[], decode_rows: 8, decode_ctx_sum: 8_000 };
            s.step_time(c, m, g, 1, &OPTIONS).map(|s| s.batch(&shape).as_secs_f64())
        };
        let plain = step(&Supply::Catalogue).unwrap();
        let slow = step(&rows("h100-sxm", "bf16")).unwrap();
        assert!(slow > 1.8 * plain, "half the bandwidth takes longer: {slow} {plain}");
        let refused = |s: Supply| step(&s).unwrap_err();
        assert_eq!(refused(rows("l4", "bf16")), "profile mine is of l4; this is h100-sxm: give a profile for that");
        assert_eq!(
            refused(rows("h100-sxm", "fp8")),
            "profile mine is of weights in fp8; these are in bf16: add a row of that"
        );
        assert!(refused(rows("h100-sxm", "fp9")).starts_with("profile mine: dtype `fp9` is not known; known are bf16"));
    }
}
