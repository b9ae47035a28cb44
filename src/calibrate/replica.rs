//! The words of a measured replica: what a file, a profile and the command say of an engine, on the road that every other
//! replica takes.
//!
//! Must keep true: equal words make the replica that an experiment's pool makes of them.
use baseload_core::catalog::{Catalog, MeasuredEngine, Profile};
use baseload_core::engine::Engines;
use baseload_core::fleet::{Formats, LongestSequence, MemoryOptions, ReplicaSpec, ReplicaType, StepTimeSource};
use baseload_core::memory::{KvDtype, UTILIZATION, WeightsDtype};
use baseload_core::types::Fault;
use std::sync::Arc;

/// KV blocks, and tokens of the longest sequence, of a machine that the catalogue has not and that nobody says them of: more
/// than anything measured needs.
const AS_GOOD_AS_NONE: u32 = 1 << 20;

/// What is known of a replica that was measured.
#[derive(Debug, Clone)]
pub struct MeasuredReplica {
    /// The model: an id of the catalogue, or a name of the data's own.
    pub model: String,
    /// The GPU: an id of the catalogue, or a name of the data's own.
    pub gpu: String,
    /// GPUs that share each layer.
    pub tensor_parallel: u32,
    /// Whether routed experts are spread whole over the GPUs.
    pub expert_parallel: bool,
    /// How weights are stored; as the model's name or row says where nobody says it.
    pub weights: Option<WeightsDtype>,
    /// Share of a GPU's memory that the engine may use.
    pub utilization: f64,
    /// The engine that was measured.
    pub engine: MeasuredEngine,
}

impl MeasuredReplica {
    /// `model` on one `gpu` with today's defaults.
    pub fn of(model: impl Into<String>, gpu: impl Into<String>, engine: MeasuredEngine) -> MeasuredReplica {
        MeasuredReplica {
            model: model.into(),
            gpu: gpu.into(),
            tensor_parallel: 1,
            expert_parallel: false,
            weights: None,
            utilization: UTILIZATION,
            engine,
        }
    }

    /// The replica that a profile was fitted on, with an engine that says more than the profile.
    pub fn profiled(profile: &Profile, engine: MeasuredEngine) -> MeasuredReplica {
        MeasuredReplica {
            tensor_parallel: profile.tensor_parallel,
            weights: super::machine::weights_dtype(&profile.dtype),
            ..MeasuredReplica::of(&profile.model, &profile.gpu, engine)
        }
    }

    /// The words of a replica like the measured one, with step times of `source`.
    ///
    /// # Errors
    /// At `engine`: a setting that its engine does not have.
    pub fn spec(&self, catalog: &Catalog, source: StepTimeSource) -> Result<ReplicaSpec, Fault> {
        let (engines, said) = (Engines::embedded(), &self.engine);
        let name = if said.name.is_empty() { engines.usual().name } else { said.name.as_str() };
        let chosen = engines.choose(name, said.settings.clone()).map_err(|fault| fault.under("engine"))?;
        let gpu = catalog.gpu(&self.gpu).ok();
        let usual = chosen.row().defaults_of(&said.version, gpu);
        let engine = usual.into_iter().fold(chosen, |chosen, (key, value)| chosen.or(&key, value));
        let is_known = gpu.is_some() && catalog.model(&self.model).is_ok();
        let unknown = (!is_known).then_some(AS_GOOD_AS_NONE);
        let longest = said.max_model_len.or(unknown);
        Ok(ReplicaSpec {
            tensor_parallel: self.tensor_parallel,
            expert_parallel: self.expert_parallel,
            formats: Formats { weights: self.weights, kv: KvDtype::Bf16 },
            memory: MemoryOptions {
                utilization: self.utilization,
                max_model_len: longest.map_or(LongestSequence::Fitting, LongestSequence::Tokens),
                num_blocks: said.num_gpu_blocks.or(unknown),
                measured: true,
            },
            step_time: source,
            ..ReplicaSpec::new(&self.model, &self.gpu, engine)
        })
    }

    /// The replica type, with step times of `source`.
    ///
    /// # Errors
    /// What [`ReplicaSpec::resolve`] refuses.
    pub fn resolve(&self, catalog: &Catalog, source: StepTimeSource) -> Result<Arc<ReplicaType>, Fault> {
        Ok(Arc::new(self.spec(catalog, source)?.resolve(catalog)?))
    }
}
