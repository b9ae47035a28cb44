//! What a break-even found: `breakeven.json`, and what every report of it reads.
//!
//! May import: the summary, economics. Must keep true: deterministic; field names are the format (`FORMAT` counts up when one
//! changes its meaning); the parts of a gap add up to the own line.
use super::super::verdict::summary::{PoolUse, SloSummary};
use super::lines::Kind;
use super::size::Fit;
use baseload_core::economics::Gap;
use serde::Serialize;

/// Version of `breakeven.json`.
pub const FORMAT: u32 = 1;

/// Costs that differ by less, as a share, are equal: rounding of reports.
const EQUAL: f64 = 1e-9;

/// What a break-even found; `breakeven.json` is this.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BreakEven {
    /// Format version, [`FORMAT`].
    pub format: u32,
    /// The experiment's name.
    pub name: String,
    /// The question it asks.
    pub question: String,
    /// Seed of the experiment.
    pub seed: u64,
    /// Requests at x1.
    pub requests: u64,
    /// First to last arrival at x1, seconds.
    pub window_s: f64,
    /// Requests a second at x1.
    pub requests_per_s: f64,
    /// What a good answer is.
    pub slo: SloSummary,
    /// Share of requests that must be good.
    pub target: f64,
    /// How exactly crossings are found, as a share of the volume.
    pub tolerance: f64,
    /// The lines that there are, in the order all-API, all-self-hosted, hybrid.
    pub lines: Vec<LineInfo>,
    /// What a spreadsheet would say.
    pub naive: Naive,
    /// A point a volume, ascending.
    pub points: Vec<Point>,
    /// Volumes at which the cheaper one of two lines changes, by pair and volume.
    pub crossings: Vec<Crossing>,
    /// What a reader should know before trusting it.
    pub warnings: Vec<String>,
}

/// A volume at which the cheaper one of two lines changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crossing {
    /// The line that is cheaper below.
    pub below: Kind,
    /// The line that is cheaper above.
    pub above: Kind,
    /// The volume from which on it is: the upper one of the two volumes that it lies between.
    pub volume: f64,
    /// The lower one.
    pub volume_below: f64,
    /// Requests a second at `volume`.
    pub requests_per_s: f64,
    /// What both cost at the lower volume, `below` first, US$ a month.
    pub usd_per_month_below: [f64; 2],
    /// What both cost at `volume`, `below` first, US$ a month.
    pub usd_per_month: [f64; 2],
    /// Whether both meet the SLO there.
    pub both_meet_slo: bool,
}

/// A line of a break-even.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LineInfo {
    /// Kind of the line.
    pub kind: Kind,
    /// The policy.
    pub policy: String,
    /// Pools whose replicas are sized.
    pub pools: Vec<String>,
    /// Endpoints it may buy from.
    pub endpoints: Vec<String>,
}

/// Prices a token as a spreadsheet has them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Naive {
    /// Own: US$ a million output tokens, rent an hour by the output tokens an hour of full batches.
    pub own_usd_per_million_output_tokens: Option<f64>,
    /// Own: US$ a month at x1.
    pub own_usd_per_month: Option<f64>,
    /// Output tokens a second of the own fleet in the file, in full batches.
    pub full_batch_tokens_per_s: Option<f64>,
    /// Output tokens a second of the own fleet in the file, in batches that its KV cache holds.
    pub kv_limited_tokens_per_s: Option<f64>,
    /// The endpoint that is cheapest for the mean request.
    pub endpoint: Option<String>,
    /// All tokens at that endpoint's list price, US$ a month at x1.
    pub api_usd_per_month: Option<f64>,
}

/// One volume.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Times today's volume.
    pub volume: f64,
    /// Requests a second.
    pub requests_per_s: f64,
    /// The lines, in the order of [`BreakEven::lines`].
    pub lines: Vec<LinePoint>,
    /// The naive own line, US$ a month.
    pub naive_own_usd_per_month: Option<f64>,
    /// The naive API line, US$ a month.
    pub naive_api_usd_per_month: Option<f64>,
    /// What the naive own line left out, where there is an all-self-hosted line.
    pub gap: Option<GapRow>,
}

/// One line at one volume.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinePoint {
    /// Replicas of each pool.
    pub pools: Vec<PoolUse>,
    /// The whole bill, US$ a month.
    pub usd_per_month: f64,
    /// Part of the bill for GPUs, US$ a month.
    pub gpu_usd_per_month: f64,
    /// Part of the bill for what was bought from APIs, US$ a month.
    pub api_usd_per_month: f64,
    /// Part of the bill for people and on-call, US$ a month.
    pub people_usd_per_month: f64,
    /// Share of requests that met the SLO.
    pub goodput_share: f64,
    /// Whether so many did as must, and the queue did not grow.
    pub meets_slo: bool,
    /// Whether the queue still grew at the end.
    pub overloaded: bool,
    /// Time to first token, 99th percentile, seconds.
    pub ttft_p99_s: Option<f64>,
    /// Share of tokens served on own GPUs.
    pub self_hosted_share: f64,
    /// The exact split, of an all-self-hosted line.
    #[serde(skip)]
    pub(super) gap: Option<Gap>,
    /// What the search for a size reads.
    #[serde(skip)]
    pub(super) fit: Fit,
}

impl LinePoint {
    /// Replicas in all.
    pub fn replicas(&self) -> u32 {
        self.pools.iter().map(|p| p.replicas).sum()
    }
    /// Whether it costs less than `other`, by more than reports round.
    pub fn costs_less_than(&self, other: &LinePoint) -> bool {
        self.usd_per_month < other.usd_per_month * (1.0 - EQUAL)
    }
    /// Replicas of the largest pool, by which a fleet is sized.
    pub(super) fn largest(&self) -> u32 {
        self.pools.iter().map(|p| p.replicas).max().unwrap_or(0)
    }
}

/// A [`Gap`], US$ a month.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[expect(missing_docs, reason = "each is the field of `Gap`")]
pub struct GapRow {
    pub naive: f64,
    pub packing: f64,
    pub prompts: f64,
    pub idle: f64,
    pub headroom: f64,
    pub bought: f64,
    pub people: f64,
    pub on_call: f64,
    /// Sum of the parts: the own line.
    pub total: f64,
}

impl GapRow {
    pub(super) fn of(gap: &Gap) -> GapRow {
        let [naive, packing, prompts, idle, headroom, bought, people, on_call] =
            gap.parts().map(|(_, usd)| usd.as_f64());
        GapRow { naive, packing, prompts, idle, headroom, bought, people, on_call, total: gap.total().as_f64() }
    }
}
