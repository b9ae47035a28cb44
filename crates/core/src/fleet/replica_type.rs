//! A replica type: everything that is the same of all replicas that equal words make.
use crate::engine::{EngineLimits, EngineMode, KvCapacity, Replica, Scheduler};
use crate::memory::{MemoryPlan, PlanOptions, WeightsDtype};
use crate::types::{BackendFacts, StepTime, Usd};
use std::fmt;
use std::sync::Arc;
use toml::Table;

/// What a GPU costs, and since when that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourlyRent {
    /// US dollars for one GPU for one hour.
    pub usd_per_gpu_hour: Usd,
    /// Of a rent from the catalogue: its row's name, and the day on which it was read.
    pub read: Option<(String, String)>,
}

/// Makes an empty engine.
pub(super) type Build = dyn Fn(EngineMode) -> Box<dyn Scheduler> + Send + Sync;

/// A replica type. Cheap to clone.
#[derive(Clone)]
pub struct ReplicaType {
    /// What the replica is, for people: `model on N x GPU` and formats.
    pub title: String,
    /// GPUs of a replica.
    pub gpus: u32,
    /// How its weights are stored.
    pub weights: WeightsDtype,
    /// Where a GPU's memory goes; `None` on a machine that the catalogue has not.
    pub plan: Option<MemoryPlan>,
    /// What the memory account was made with.
    pub plan_options: PlanOptions,
    /// The KV blocks of its engine, and the longest sequence.
    pub kv: KvCapacity,
    /// What its engine may do in a step.
    pub limits: EngineLimits,
    /// What constraints ask of a replica.
    pub facts: BackendFacts,
    /// How long its steps take.
    pub step_time: Arc<dyn StepTime>,
    /// What a GPU costs, where the words say it.
    pub rent: Option<HourlyRent>,
    /// The engine's name, and its section with every default in it.
    pub engine: (&'static str, Table),
    /// What people should know, sentences without an end.
    pub warnings: Vec<String>,
    pub(super) build: Arc<Build>,
}

impl fmt::Debug for ReplicaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("ReplicaType");
        out.field("title", &self.title).field("engine", &self.engine).field("kv", &self.kv);
        out.field("limits", &self.limits).field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl ReplicaType {
    /// A type that no words were resolved to: an engine of the caller's own making on one GPU, of which nothing else is known.
    pub fn made_by(
        build: impl Fn(EngineMode) -> Box<dyn Scheduler> + Send + Sync + 'static,
        limits: EngineLimits,
        facts: BackendFacts,
        step_time: Arc<dyn StepTime>,
    ) -> ReplicaType {
        let total = build(EngineMode::default()).load().kv_total_blocks;
        let plan_options = PlanOptions::default();
        let max_model_len = facts.max_context_tokens;
        ReplicaType {
            title: "an engine of the caller's own".into(),
            gpus: 1,
            weights: WeightsDtype::default(),
            plan: None,
            kv: KvCapacity { block_size: plan_options.block_size, num_blocks: total.saturating_add(1), max_model_len },
            plan_options,
            limits,
            facts,
            step_time,
            rent: None,
            engine: ("", Table::new()),
            warnings: Vec::new(),
            build: Arc::new(build),
        }
    }

    /// Starts an idle replica. The mode changes how fast it is simulated, never what comes out.
    pub fn start(&self, mode: EngineMode) -> Replica {
        Replica::new((self.build)(mode), self.step_time.clone())
    }

    /// This replica type with other step times.
    #[must_use]
    pub fn with_step_time(self, step_time: Arc<dyn StepTime>) -> ReplicaType {
        ReplicaType { step_time, ..self }
    }
}
