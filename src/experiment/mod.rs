//! An experiment: the TOML file, its resolution against the catalog, the parallel run, the summary, the gate.
//!
//! May import everything below `report`. Stages, each in its folder and each default stated once: what people write
//! (`format`), the values that it means (`resolve`), the files that it names (`inputs`), the simulations (`run`), what came
//! out (`verdict`).
//! Must keep true: a result folder is whole or absent; the same inputs give the same bytes for any number of jobs.
//! Read first: `format/mod.rs`.
pub mod breakeven;
pub mod format;
mod inputs;
mod resolve;
mod run;
mod verdict;
mod whole_text;

pub use format::{Excerpt, FileFaults, Located, ReadFile, Text, load};
pub use inputs::published::DATA_VARIABLE;
pub use inputs::{
    KernelInput, OwnFacts, TraceOrigin, open_servegen, open_text, open_trace, open_trace_with, published, read_catalog,
    transformed,
};
pub use resolve::{
    Experiment, Hourly, QualityInput, ResolvedEndpoint, ResolvedPolicy, ResolvedPool, Settings, TraceSpec, resolve,
};
pub use run::{
    Claim, Oracle, Perf, RunError, RunOptions, Scrap, Traffic, Watch, WholeFile, folder, manifest, run, write_whole,
};
pub use verdict::{gate, rank, summary};
pub use whole_text::{LONGEST_JSON, LONGEST_TOML, read_text, whole};

/// The catalogue's row for the loaded cost of a full-time equivalent, unless the experiment gives its own.
const PEOPLE_KEY: &str = "ml_infra_engineer_loaded_us";
/// The catalogue's row for on-call, unless the experiment gives its own.
const ON_CALL_KEY: &str = "on_call_stipend_us";
