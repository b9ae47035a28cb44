//! Kernel tables that users measured, as the source of step times.
use super::kernels::{ChosenKernels, choose_kernels};
use crate::frames::{KernelFile, KernelTimes};
use baseload_core::catalog::{Catalog, Gpu};
use baseload_core::fleet::KernelSource;
use baseload_core::latency::KernelTables;
use baseload_core::memory::{KvDtype, WeightsDtype};
use baseload_core::types::TraceFault;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What was chosen, or why nothing was.
type Made = Result<Arc<ChosenKernels>, TraceFault>;

/// Kernel tables by what they are asked for: GPU, format of the weights and of the cache.
#[derive(Debug)]
pub struct Kernels {
    times: KernelTimes,
    made: Mutex<BTreeMap<(String, &'static str, &'static str), Made>>,
}

impl Kernels {
    /// Step times from the kernel times of files that were read.
    pub fn new(times: KernelTimes) -> Kernels {
        Kernels { times, made: Mutex::default() }
    }

    /// The files.
    pub fn times(&self) -> &KernelTimes {
        &self.times
    }

    /// Tables of a GPU and its formats and what they were taken from, made once.
    ///
    /// # Errors
    /// What [`choose_kernels`] refuses.
    pub fn chosen(&self, catalog: &Catalog, gpu: &Gpu, weights: WeightsDtype, kv: KvDtype) -> Made {
        let mut made =
            self.made.lock().map_err(|_| TraceFault::new("a thread broke off while it made kernel tables"))?;
        let key = (gpu.id.clone(), weights.name(), kv.name());
        let make = || choose_kernels(catalog, &self.times, gpu, weights, kv).map(Arc::new);
        made.entry(key).or_insert_with(make).clone()
    }
}

impl KernelSource for Kernels {
    fn name(&self) -> String {
        let paths = self.times.files.iter().map(|file: &KernelFile| file.path.display().to_string());
        Vec::from_iter(paths).join(", ")
    }
    fn tables(
        &self,
        catalog: &Catalog,
        gpu: &Gpu,
        weights: WeightsDtype,
        kv: KvDtype,
    ) -> Result<Arc<KernelTables>, TraceFault> {
        self.chosen(catalog, gpu, weights, kv).map(|chosen| chosen.tables.clone())
    }
}
