//! Where requests come from: published trace files, our own schema, a generator, closed-loop users.
//!
//! May import: `numeric`, `random`, `types`, and parsers (serde, toml). Readers take a `BufRead` and a display name, never a path.
//! Must hold: every source is streaming and yields requests in time order; nothing is guessed, a fault is an error
//! `NAME:LINE: what is wrong; what would be right`; the same input, seed and replicate give the same requests.
//! Read first: `registry.rs`, `read/mod.rs`, then `generate/mod.rs`.
mod aggregates;
mod answer_table;
mod answered;
mod buckets;
mod capped;
mod closed_loop;
mod compare;
mod embedded;
mod fit;
mod generate;
mod head;
mod keys;
mod open;
pub mod read;
mod registry;
mod replay;
mod retime;
mod sessions;
mod shared;
mod shown;
mod sort;
mod spec;
mod stats;
pub mod transform;
mod trie;
mod unopened;
mod write;

pub use answer_table::QualityTable;
pub use answered::Answered;
pub use baseload_core::types::{Classes, ColumnMap};
pub use buckets::Buckets;
pub use capped::Capped;
pub use closed_loop::{ClosedLoop, ClosedLoopSpec, Think};
pub use compare::{Figures, Limits, Row, SessionFigures, Unit, rows};
pub use fit::{Fitted, fit, to_toml};
pub use generate::{ArrivalTimes, GENERATOR, Generator, SERVEGEN};
pub use head::Head;
pub use open::{How, Opened, open, open_in, open_with, open_with_map, open_with_options};
pub use read::{COLUMNS, GapFamily, OWN_CSV, OWN_JSONL, PARQUET, ServeGenClient, ServeGenLengths, ServeGenWindow};
pub use registry::{Carries, Format, Readers, Tried};
pub use replay::Replay;
pub use retime::retimed;
pub use sessions::{Closed, ClosedPlay};
pub use shared::{SharedReplay, SharedTrace};
pub use sort::{Held, Sorted, collect};
pub use spec::{
    Arrivals, Bench, Burst, Client, Family, GenerateSpec, Joint, Length, LengthSpec, Pool, Prefixes, Process, Ramp,
    RampShape, RatePoint, Reuse, ReuseBin, Sessions, State, TurnLength, Windows,
};
pub use stats::{
    ArrivalStats, BLOCK_TOKENS, Counts, CurvePoint, Dispersion, EXACT_BLOCKS, PrefixCurve, Quantiles, RateSeries,
    SessionStats, TenantShare, TenantStats, TimeQuantiles, TraceStats,
};
pub use transform::Transform;
pub use unopened::{Columns, Files, Reader, Strictness, Unopened};
pub use write::{TextWriter, write_csv};

use baseload_core::types::{Entries, Fault, Source, TraceFault, check};

/// How the requests of a trace leave.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Play {
    /// At the times that the trace says, whatever becomes of the requests.
    #[default]
    Open,
    /// One after the other, as answers come.
    Closed(ClosedPlay),
}

/// What every source needs to know of the experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceOptions {
    /// Seed of the experiment.
    pub seed: u64,
    /// Replicate, from 0.
    pub replicate: u32,
    /// Times the trace's rate: arrivals are divided by it. Above 0.
    pub rate_scale: f64,
    /// Only the first so many requests.
    pub limit: Option<u64>,
    /// The client's limit (tokens) where the trace has none; raised to the request's output where that is longer.
    pub default_max_output_tokens: u32,
    /// Spread Mooncake's 3-second buckets uniformly inside each bucket, order kept.
    pub spread_buckets: bool,
    /// Put entries in order of arrival first, instead of refusing those that are not. Holds the whole trace.
    pub sort: bool,
    /// Tokens that a hash id stands for, where its file cannot tell (Mooncake's and its descendants').
    pub hash_block: Option<u32>,
    /// Whether each answer of a chat file's conversation is a request; else the first one is.
    pub every_turn: bool,
    /// Whether requests that failed in the source are replayed, too.
    pub replay_failed: bool,
    /// How requests leave.
    pub play: Play,
    /// Requests under way at most; one whose time has come before an earlier one has ended waits at its client. No limit unless
    /// given.
    pub max_concurrency: Option<u32>,
}

impl Default for SourceOptions {
    fn default() -> SourceOptions {
        SourceOptions {
            seed: 1,
            replicate: 0,
            rate_scale: 1.0,
            limit: None,
            default_max_output_tokens: 1024,
            spread_buckets: true,
            sort: false,
            hash_block: None,
            every_turn: false,
            replay_failed: false,
            play: Play::Open,
            max_concurrency: None,
        }
    }
}

impl SourceOptions {
    /// Refuses options that no source can follow.
    ///
    /// # Errors
    /// Names the option.
    pub fn check(&self) -> Result<(), Fault> {
        let within = (SLOWEST..=1.0 / SLOWEST).contains(&self.rate_scale);
        check::in_range("rate_scale", self.rate_scale, within, "it must be a number from 0.000001 to 1000000")?;
        if let Some(most) = self.max_concurrency {
            check::at_least_1("max_concurrency", most)?;
        }
        self.limit.map_or(Ok(()), |limit| check::at_least_1("limit", limit).map(drop))
    }

    /// `ns` nanoseconds of the trace's time in the simulation's.
    fn scaled(&self, ns: u64) -> u64 {
        if self.rate_scale == 1.0 { ns } else { (ns as f64 / self.rate_scale).round() as u64 }
    }
}

/// The least `rate_scale`: an hour of the trace then lasts over a century, and the most is its inverse.
const SLOWEST: f64 = 1e-6;

/// The refusal of a `rate_scale` in a closed loop.
fn no_rate() -> Fault {
    let fault = Fault::at("rate_scale", "a closed loop has no rate of its own");
    fault.hint("leave it out; change the number of users, or how long they think")
}

/// Why a trace cannot be transformed or played.
#[derive(Debug, Clone, PartialEq)]
pub enum Unplayable {
    /// Its text cannot be read, with file and line.
    Unread(TraceFault),
    /// It has not what is asked of it. The key is counted from the section that asks, `[trace]` in an experiment; none where
    /// the trace itself lacks something.
    Asked(Fault),
}

impl From<TraceFault> for Unplayable {
    fn from(fault: TraceFault) -> Unplayable {
        Unplayable::Unread(fault)
    }
}

impl From<Fault> for Unplayable {
    fn from(fault: Fault) -> Unplayable {
        Unplayable::Asked(fault)
    }
}

impl From<Unplayable> for TraceFault {
    /// For who plays a trace that no section asks for.
    fn from(why: Unplayable) -> TraceFault {
        match why {
            Unplayable::Unread(fault) => fault,
            Unplayable::Asked(fault) => fault.into(),
        }
    }
}

impl std::fmt::Display for Unplayable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unplayable::Unread(fault) => fault.fmt(f),
            Unplayable::Asked(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Unplayable {}

/// A trace as the options make it: sorted, spread, transformed; not yet played.
pub fn prepare(opened: Opened, options: &SourceOptions) -> Box<dyn Entries> {
    let Opened { format, mut entries } = opened;
    if options.sort {
        entries = Box::new(Sorted::new(entries));
    }
    if format.bucket_ns > 0 && options.spread_buckets {
        entries = Box::new(Buckets::new(entries, format.bucket_ns, options));
    }
    entries
}

/// Prepared entries as a source.
///
/// # Errors
/// What the options ask for and the trace does not have; the reader's, where the whole trace is read first.
pub fn play(entries: Box<dyn Entries>, options: &SourceOptions) -> Result<Box<dyn Source>, Unplayable> {
    let entries = if options.replay_failed { entries } else { Box::new(Answered::new(entries)) };
    let source: Box<dyn Source> = match &options.play {
        Play::Open => Box::new(Replay::new(entries, options)?),
        Play::Closed(how) => Box::new(Closed::new(entries, how, options)?),
    };
    Ok(match options.max_concurrency {
        Some(most) => Box::new(Capped::new(source, most)),
        None => source,
    })
}
