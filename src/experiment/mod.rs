//! An experiment: the TOML file, its resolution against the catalog, the parallel run, the summary, the gate.
//!
//! May import everything below `report`. Three stages, each default stated once: text (`file`), resolved
//! (`resolve`), run (`run`).
//! Must keep true: a result folder is whole or absent; the same inputs give the same bytes for any number of jobs.
//! Read first: `file.rs`.
pub mod breakeven;
mod collect;
pub mod file;
pub mod folder;
pub mod gate;
mod load;
pub mod manifest;
mod oracle;
mod origin;
mod own_prices;
pub mod published;
mod resolve;
mod run;
mod servegen;
mod source;
pub mod summary;
mod timeline;
mod whole_file;

pub use load::load;
pub use oracle::Oracle;
pub use origin::{FileError, Origin, ReadFile};
pub use own_prices::read_prices;
pub use published::DATA_VARIABLE;
pub use resolve::{
    Experiment, Hourly, KernelInput, OwnPrices, QualityInput, ResolvedEndpoint, ResolvedPolicy, ResolvedPool, resolve,
    resolve_among, resolve_with,
};
pub use run::{Perf, RunError, RunOptions, Watch, run, trace_of};
pub use servegen::open_servegen;
pub use source::{TraceOrigin, open_text, open_trace, open_trace_with, transformed};
pub use whole_file::{WholeFile, write_whole};

/// The catalogue's row for the loaded cost of a full-time equivalent, unless the experiment gives its own.
const PEOPLE_KEY: &str = "ml_infra_engineer_loaded_us";
/// The catalogue's row for on-call, unless the experiment gives its own.
const ON_CALL_KEY: &str = "on_call_stipend_us";
