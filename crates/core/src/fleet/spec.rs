//! A replica in words: what an experiment's pool, a measurement and the options of a command say of one.
use super::StepTimeSource;
use crate::engine::EngineChoice;
use crate::memory::{KvDtype, UTILIZATION, WeightsDtype};
use crate::types::Usd;

/// Number formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Formats {
    /// Format of weights; unless given what the model's name or row says, else 16 bits.
    pub weights: Option<WeightsDtype>,
    /// Format of cached keys and values.
    pub kv: KvDtype,
}

/// How long a sequence may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LongestSequence {
    /// The longest sequence is the model's context.
    #[default]
    OfModel,
    /// The longest sequence is this many tokens, prompt and output together.
    Tokens(u32),
    /// The longest sequence is the model's context, or as much of it as fits: who measured a model on a GPU that hardly
    /// holds it shortened the longest sequence until the engine started.
    Fitting,
}

/// What is said of a replica's memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryOptions {
    /// Share of a GPU's memory that the engine may use, above 0 and up to 1.
    pub utilization: f64,
    /// Longest sequence.
    pub max_model_len: LongestSequence,
    /// KV blocks, the null block included; what the memory account finds where nobody says.
    pub num_blocks: Option<u32>,
    /// Whether blocks and longest sequence were seen on a real machine, so that they hold whatever the catalogue's context
    /// and the memory account say; said by hand, they are refused beyond these.
    pub measured: bool,
}

impl Default for MemoryOptions {
    fn default() -> MemoryOptions {
        MemoryOptions {
            utilization: UTILIZATION,
            max_model_len: LongestSequence::OfModel,
            num_blocks: None,
            measured: false,
        }
    }
}

/// What a GPU costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RentSpec {
    /// US dollars for one GPU for one hour.
    Own(Usd),
    /// A row of the catalogue.
    Of {
        /// Who rents it out.
        provider: String,
        /// `on-demand`, `spot`, ...
        kind: String,
    },
}

/// A replica in words.
#[derive(Debug, Clone)]
pub struct ReplicaSpec {
    /// The model, by any name that the catalogue knows. With step times of a profile it may be a model that the catalogue has not.
    pub model: String,
    /// The GPU, by any name that the catalogue knows. With step times of a profile it may be a machine that the catalogue has not.
    pub gpu: String,
    /// GPUs that share each layer.
    pub tensor_parallel: u32,
    /// Whether routed experts are spread whole over the GPUs instead of each cut into `tensor_parallel` parts.
    pub expert_parallel: bool,
    /// Number formats.
    pub formats: Formats,
    /// Memory.
    pub memory: MemoryOptions,
    /// The engine, and its section.
    pub engine: EngineChoice,
    /// Where the durations of its steps come from.
    pub step_time: StepTimeSource,
    /// What a GPU costs; `None` where nobody asks.
    pub rent: Option<RentSpec>,
}

impl ReplicaSpec {
    /// `model` on one `gpu`, served by `engine`; all else as by default.
    pub fn new(model: impl Into<String>, gpu: impl Into<String>, engine: EngineChoice) -> ReplicaSpec {
        ReplicaSpec {
            model: model.into(),
            gpu: gpu.into(),
            tensor_parallel: 1,
            expert_parallel: false,
            formats: Formats::default(),
            memory: MemoryOptions::default(),
            engine,
            step_time: StepTimeSource::default(),
            rent: None,
        }
    }
}
