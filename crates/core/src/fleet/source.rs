//! Where the durations of a replica's steps come from, as whoever describes a replica says it.
//!
//! Must keep true: a source is only named here; what it gives, and what it may speak for, is the step time's matter.
use crate::catalog::{Catalog, Gpu, Profile, StepCoefficients, StepTimeFile};
use crate::latency::KernelTables;
use crate::memory::{KvDtype, WeightsDtype};
use crate::types::TraceFault;
use std::fmt;
use std::sync::Arc;

/// Measured kernels of GPUs, by what they are asked for.
pub trait KernelSource: fmt::Debug + Send + Sync {
    /// What the kernel times were read from, for messages: a path, or several.
    fn name(&self) -> String;
    /// The tables of a GPU and its number formats.
    ///
    /// # Errors
    /// There are none of these.
    fn tables(
        &self,
        catalog: &Catalog,
        gpu: &Gpu,
        weights: WeightsDtype,
        kv: KvDtype,
    ) -> Result<Arc<KernelTables>, TraceFault>;
}

/// Where step times come from.
#[derive(Debug, Clone, Default)]
pub enum StepTimeSource {
    /// The analytic step time by the catalogue's rows.
    #[default]
    Analytic,
    /// The analytic step time, by rows of the catalogue's form that are laid over the catalogue's: a name for them, and
    /// the rows.
    Rows(Arc<(String, StepTimeFile)>),
    /// A profile of this model on this GPU.
    Profile(Arc<Profile>),
    /// Coefficients that are being fitted, each multiplied by a speed factor (above 1 is slower).
    Coefficients(StepCoefficients, f64),
    /// Kernel tables, interpolated.
    Kernels(Arc<dyn KernelSource>),
}

impl StepTimeSource {
    /// What the source is, in words; `None` for the catalogue.
    pub fn what(&self) -> Option<String> {
        match self {
            StepTimeSource::Analytic => None,
            StepTimeSource::Rows(rows) => Some(format!("profile {}", rows.0)),
            StepTimeSource::Profile(profile) => Some(format!("profile {}", profile.name)),
            StepTimeSource::Coefficients(..) => Some("fitted coefficients".to_owned()),
            StepTimeSource::Kernels(_) => Some("kernel tables".to_owned()),
        }
    }

    /// Whether the source needs neither a model nor a GPU of the catalogue.
    pub(super) fn speaks_for_itself(&self) -> bool {
        matches!(self, StepTimeSource::Profile(_) | StepTimeSource::Coefficients(..))
    }
}
