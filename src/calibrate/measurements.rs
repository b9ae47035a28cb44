//! Files of measurements: of what kind they are, what is read of them, and what is said beside them.
use super::kinds::requests::RequestRun;
use baseload_core::catalog::{MeasuredEngine, Profile};
use baseload_core::fleet::StepTimeSource;
use std::io::BufRead;

/// What a file of measurements holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// TTFT and TPOT of closed loops, a row a point.
    Inferencex,
    /// A CSV row a request, open loop.
    VllmRequests,
    /// Median inter-token latency at a batch size.
    MlEnergy,
    /// A static batch a row.
    StaticBatch,
    /// A result of `vllm bench serve`.
    VllmBenchServe,
    /// LLMServingSim's recording of a vLLM run.
    LlmServingSim,
    /// Stages of constant rate, a row a stage.
    VllmStages,
    /// A recorded engine, step by step.
    EngineSteps,
    /// A recorded fleet of engines behind a router.
    Fleet,
    /// Routing policies measured on a fleet, a row a policy and rate.
    Routing,
    /// Calls of bought APIs.
    Api,
}

impl Kind {
    /// All kinds with their names.
    pub const ALL: [(Kind, &'static str); 11] = [
        (Kind::Inferencex, "inferencex"),
        (Kind::VllmRequests, "vllm-requests"),
        (Kind::MlEnergy, "ml-energy"),
        (Kind::StaticBatch, "static-batch"),
        (Kind::VllmBenchServe, "vllm-bench-serve"),
        (Kind::LlmServingSim, "llmservingsim"),
        (Kind::VllmStages, "vllm-stages"),
        (Kind::EngineSteps, "engine-steps"),
        (Kind::Fleet, "fleet"),
        (Kind::Routing, "routing"),
        (Kind::Api, "api"),
    ];
    /// Name of the kind in files.
    pub fn name(self) -> &'static str {
        Kind::ALL.iter().find(|(k, _)| *k == self).map_or("", |(_, name)| name)
    }
}

/// A file, opened.
pub struct Input {
    /// Name of the measurement, for messages and groups.
    pub name: String,
    /// What it holds, unpacked.
    pub text: Box<dyn BufRead + Send>,
    /// Text of the settings file that lies beside it, where there is one.
    pub beside: Option<String>,
}

/// What is known beside the files.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The profile that is asked for.
    pub profile: Option<Profile>,
    /// The analytic step time of this GPU is asked for: an id of the catalogue.
    pub analytic: Option<String>,
    /// Rows or kernel tables that step times are to come from in place of the catalogue's.
    pub source: StepTimeSource,
    /// Fit what engine runs say again, without the rows that are scored.
    pub split: Option<Split>,
    /// Runs of `vllm-requests` that join such a fit.
    pub also: Vec<RequestRun>,
    /// Score rows that the profile was fitted on.
    pub seen: bool,
    /// Send each request where it went in the recording, to tell the router's error from the engines' (fleet).
    pub recorded_choices: bool,
    /// `key.path=value` for the set-up of a fleet (routing).
    pub set: Vec<String>,
    /// Model, where the files do not say it.
    pub model: Option<String>,
    /// GPU, where the files do not say it.
    pub gpu: Option<String>,
    /// Settings of the engine that the files do not say.
    pub engine: MeasuredEngine,
}

/// Which rows are left out of the fit that they are scored with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// Groups, in so many parts by hash of their names.
    Folds(u32),
    /// The rows of a model, by any name that the catalogue knows.
    Model(String),
    /// Each model in turn.
    EachModel,
}
