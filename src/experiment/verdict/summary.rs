//! The summary of an experiment (`summary.json`): what every report and the gate read, and the verdict.
//!
//! May import: serde and ordered maps only. Must keep true: byte-for-byte deterministic; field names are the format that baselines on
//! disk have (`FORMAT` counts up when one changes its meaning); every metric of [`METRICS`] is a field name.
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Version of `summary.json`.
pub const FORMAT: u32 = 2;

/// What an experiment found; `summary.json` is this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Format version, [`FORMAT`].
    pub format: u32,
    /// The experiment's name.
    pub name: String,
    /// The question it asks.
    pub question: String,
    /// Seed of the experiment.
    pub seed: u64,
    /// Requests of the trace.
    pub requests: u64,
    /// The arrivals' window: first to last arrival, seconds.
    pub window_s: f64,
    /// What a good answer is.
    pub slo: SloSummary,
    /// One entry a policy that did not fail, in file order.
    pub policies: Vec<PolicySummary>,
    /// Policies that were simulated and failed, and why: they have no entry in `policies`, for they have no numbers.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub failed: IndexMap<String, String>,
    /// One sentence: which policy and why.
    pub verdict: String,
    /// What a reader should know before trusting it.
    pub warnings: Vec<String>,
}

/// The service level objective; a part that is `None` is not asked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SloSummary {
    /// Time to first token at most, seconds.
    pub ttft_s: Option<f64>,
    /// Time per output token at most, seconds.
    pub tpot_s: Option<f64>,
    /// End to end at most, seconds.
    pub e2e_s: Option<f64>,
}

impl SloSummary {
    /// Whether the SLO asks for nothing, so that every completed request is good.
    pub fn is_empty(&self) -> bool {
        self.ttft_s.is_none() && self.tpot_s.is_none() && self.e2e_s.is_none()
    }
}

/// What one policy kept in one pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolUse {
    /// The pool.
    pub name: String,
    /// Replicas the policy keeps.
    pub replicas: u32,
    /// KV blocks a replica has.
    pub blocks: u64,
    /// Longest sequence that a replica takes, tokens.
    #[serde(default)]
    pub max_model_len: u64,
    /// Share of the pool's tries that its busiest replica took; `None` of few tries, and of one replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busiest_share: Option<f64>,
}

/// One line of a policy's bill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BillRow {
    /// Name of the pool, endpoint or post ("people") that the row pays for.
    pub name: String,
    /// `gpu`, `api` or `people`.
    pub kind: String,
    /// US dollars a month.
    pub usd_per_month: f64,
}

fn none(n: &u64) -> bool {
    *n == 0
}

/// What one policy did. Latencies are seconds over completed requests, `None` where none completed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PolicySummary {
    /// Name of the policy in the experiment file.
    pub name: String,
    /// Requests that arrived.
    pub requests: u64,
    /// Answered in full.
    pub completed: u64,
    /// Refused before any work.
    pub rejected: u64,
    /// Timed out at the gateway (part of `failed`).
    pub timed_out: u64,
    /// Failed, timed out included.
    pub failed: u64,
    /// Left by their clients.
    pub cancelled: u64,
    /// Completed requests a second of `served_s`.
    pub requests_per_s: f64,
    /// Output tokens of completed requests a second of `served_s`.
    pub output_tokens_per_s: f64,
    /// Time to first token, median.
    pub ttft_p50_s: Option<f64>,
    /// Time to first token, 90th percentile.
    pub ttft_p90_s: Option<f64>,
    /// Time to first token, 99th percentile.
    pub ttft_p99_s: Option<f64>,
    /// Time per output token, median.
    pub tpot_p50_s: Option<f64>,
    /// Time per output token, 99th percentile.
    pub tpot_p99_s: Option<f64>,
    /// End to end, median.
    pub e2e_p50_s: Option<f64>,
    /// End to end, 99th percentile.
    pub e2e_p99_s: Option<f64>,
    /// Gap between tokens, 99th percentile.
    pub itl_p99_s: Option<f64>,
    /// Requests that met every part of the SLO, a second of `served_s`.
    pub goodput_per_s: f64,
    /// Share of all requests that met every part of the SLO, 0 to 1.
    pub goodput_share: f64,
    /// Share of completed requests whose answer is above the bar, of those where that is known; `None` where it is of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_served: Option<f64>,
    /// Share of tokens served on own GPUs.
    pub self_hosted_share: f64,
    /// GPU lines of the bill, US$ a month.
    pub gpu_usd_per_month: f64,
    /// API lines of the bill, US$ a month.
    pub api_usd_per_month: f64,
    /// People lines of the bill, US$ a month.
    pub people_usd_per_month: f64,
    /// The whole bill, US$ a month.
    pub total_usd_per_month: f64,
    /// Whole bill over tokens of completed requests, US$ a million; `None` where none completed.
    pub usd_per_million_tokens: Option<f64>,
    /// Prompt tokens of completed requests.
    pub prompt_tokens: u64,
    /// Output tokens of completed requests.
    pub output_tokens: u64,
    /// Share of prompt tokens read from a prefix cache.
    pub cached_prompt_share: f64,
    /// Preemptions in engines.
    pub preemptions: u64,
    /// Replicas that died.
    pub replica_failures: u64,
    /// Tries beyond the first, but for those that follow.
    pub retries: u64,
    /// Second copies sent.
    #[serde(default, skip_serializing_if = "none")]
    pub hedges: u64,
    /// Fallbacks to another place.
    #[serde(default, skip_serializing_if = "none")]
    pub fallbacks: u64,
    /// Further stages of a cascade that were asked.
    #[serde(default, skip_serializing_if = "none")]
    pub escalations: u64,
    /// Tries given up by a timeout of their own.
    #[serde(default, skip_serializing_if = "none")]
    pub try_timeouts: u64,
    /// Ended because they were refused at saturation.
    #[serde(default, skip_serializing_if = "none")]
    pub shed: u64,
    /// Ended because the gateway's queue was full or too slow.
    #[serde(default, skip_serializing_if = "none")]
    pub queue_timeouts: u64,
    /// Times that a backend's circuit opened, or that it cooled down.
    #[serde(default, skip_serializing_if = "none")]
    pub circuits_opened: u64,
    /// Work after the last arrival, seconds.
    pub drain_s: f64,
    /// First arrival to last answer, seconds.
    #[serde(default)]
    pub served_s: f64,
    /// What a month's API spend is scaled from, seconds: the arrivals' window; in a closed loop and of a burst, first arrival to
    /// last answer.
    #[serde(default)]
    pub billed_s: f64,
    /// Whether all requests came at once: the arrivals' window is under the median of the requests' least E2E.
    #[serde(default)]
    pub burst: bool,
    /// Whether its queue grew in the last half of the arrivals' window, so that it would for as long as they went on.
    pub overloaded: bool,
    /// How fast it falls behind, where it is overloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub falls_behind: Option<FallsBehind>,
    /// Replicas that the policy kept, by pool.
    pub pools: Vec<PoolUse>,
    /// Lines of the policy's bill.
    pub bill: Vec<BillRow>,
    /// End to end at 0 %, 1 %, ... 100 %: 101 points, empty if none completed.
    pub e2e_quantiles: Vec<f64>,
    /// Requests by cause of not completing.
    pub outcomes: Vec<(String, u64)>,
    /// What users saw minute by minute; baselines leave it out.
    #[serde(default, skip_serializing_if = "TimelineSummary::is_empty")]
    pub timeline: TimelineSummary,
    /// What no policy could beat on its fleet, for what it delivered.
    #[serde(default)]
    pub oracle: OracleSummary,
    /// How far it is from that.
    #[serde(default)]
    pub regret: RegretSummary,
}

/// How a policy fell behind its arrivals in the last half of their window. Requests that may wait are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FallsBehind {
    /// Arrivals a second there.
    pub arrived_per_s: f64,
    /// Requests that ended a second there.
    pub ended_per_s: f64,
}

/// What users saw, row by row from the trace's start.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TimelineSummary {
    /// Length of a row, seconds: 60, or longer for a long trace.
    pub row_s: f64,
    /// The rows, in order of time.
    pub rows: Vec<TimelineRow>,
}

impl TimelineSummary {
    /// Whether the timeline has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// One row of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TimelineRow {
    /// Requests that arrived in it.
    pub arrived: u64,
    /// Requests that arrived in the row and were answered in full, then or later.
    pub completed: u64,
    /// Requests that arrived in the row and met every part of the SLO.
    pub good: u64,
    /// 90th percentile of the time to first token of the row's completed requests, to 1 %; `None` where none completed.
    pub ttft_p90_s: Option<f64>,
    /// Billed by endpoints in it, US$.
    pub api_usd: f64,
}

/// Bounds that no policy on the same fleet beats for what this one delivered (ARCHITECTURE.md, "Bounds"). Latencies are
/// over completed requests, `None` where none completed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OracleSummary {
    /// Least bill, US$ a month: the fixed lines and the least that was to be bought.
    pub cost_usd_per_month: f64,
    /// Part of the least bill that is bought from endpoints, US$ a month.
    pub api_usd_per_month: f64,
    /// Mean of the requests' least times to first token.
    pub ttft_mean_s: Option<f64>,
    /// Median of the requests' least times to first token.
    pub ttft_p50_s: Option<f64>,
    /// 99th percentile of the requests' least times to first token.
    pub ttft_p99_s: Option<f64>,
    /// Mean of the requests' least times end to end.
    pub e2e_mean_s: Option<f64>,
    /// Median of the requests' least times end to end.
    pub e2e_p50_s: Option<f64>,
    /// 99th percentile of the requests' least times end to end.
    pub e2e_p99_s: Option<f64>,
}

/// What a policy has beyond its bounds: never below 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RegretSummary {
    /// The policy's bill less the least bill, US$ a month.
    pub cost_usd_per_month: f64,
    /// The policy's bill less the least bill, as a share of the policy's bill.
    pub cost_share: f64,
    /// Mean TTFT less the mean of the least ones.
    pub ttft_mean_s: Option<f64>,
    /// Median TTFT less the median of the least ones.
    pub ttft_p50_s: Option<f64>,
    /// 99th percentile of TTFT less that of the least ones.
    pub ttft_p99_s: Option<f64>,
    /// Mean E2E less the mean of the least ones.
    pub e2e_mean_s: Option<f64>,
    /// Median E2E less the median of the least ones.
    pub e2e_p50_s: Option<f64>,
    /// 99th percentile of E2E less that of the least ones.
    pub e2e_p99_s: Option<f64>,
}

/// Whether more or less of a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Less of the metric is better.
    Lower,
    /// More of the metric is better.
    Higher,
}

macro_rules! metrics {
    ($($name:ident $better:ident $get:expr;)*) => {
        /// Metrics that can be gated, with their better direction; each is a field of [`PolicySummary`].
        pub const METRICS: &[(&str, Better)] = &[$((stringify!($name), Better::$better)),*];

        impl PolicySummary {
            /// A metric of [`METRICS`] by its field name; `None` if unknown or null.
            pub fn metric(&self, name: &str) -> Option<f64> {
                match name {
                    $(stringify!($name) => {
                        let get: fn(&PolicySummary) -> Option<f64> = $get;
                        get(self)
                    })*
                    _ => None,
                }
            }
        }
    };
}

metrics! {
    completed Higher |p| Some(p.completed as f64);
    rejected Lower |p| Some(p.rejected as f64);
    timed_out Lower |p| Some(p.timed_out as f64);
    failed Lower |p| Some(p.failed as f64);
    cancelled Lower |p| Some(p.cancelled as f64);
    requests_per_s Higher |p| Some(p.requests_per_s);
    output_tokens_per_s Higher |p| Some(p.output_tokens_per_s);
    ttft_p50_s Lower |p| p.ttft_p50_s;
    ttft_p90_s Lower |p| p.ttft_p90_s;
    ttft_p99_s Lower |p| p.ttft_p99_s;
    tpot_p50_s Lower |p| p.tpot_p50_s;
    tpot_p99_s Lower |p| p.tpot_p99_s;
    e2e_p50_s Lower |p| p.e2e_p50_s;
    e2e_p99_s Lower |p| p.e2e_p99_s;
    itl_p99_s Lower |p| p.itl_p99_s;
    goodput_per_s Higher |p| Some(p.goodput_per_s);
    goodput_share Higher |p| Some(p.goodput_share);
    quality_served Higher |p| p.quality_served;
    self_hosted_share Higher |p| Some(p.self_hosted_share);
    gpu_usd_per_month Lower |p| Some(p.gpu_usd_per_month);
    api_usd_per_month Lower |p| Some(p.api_usd_per_month);
    people_usd_per_month Lower |p| Some(p.people_usd_per_month);
    total_usd_per_month Lower |p| Some(p.total_usd_per_month);
    usd_per_million_tokens Lower |p| p.usd_per_million_tokens;
    cached_prompt_share Higher |p| Some(p.cached_prompt_share);
    preemptions Lower |p| Some(p.preemptions as f64);
    replica_failures Lower |p| Some(p.replica_failures as f64);
    retries Lower |p| Some(p.retries as f64);
    drain_s Lower |p| Some(p.drain_s);
    overloaded Lower |p| Some(f64::from(u8::from(p.overloaded)));
}

/// Which policies completed at least 99.9 % of what any policy completed (the others carry a dagger).
pub fn completed_enough(policies: &[PolicySummary]) -> Vec<bool> {
    let most = policies.iter().map(|p| u128::from(p.completed)).max().unwrap_or(0);
    policies.iter().map(|p| u128::from(p.completed) * 1000 >= most * 999).collect()
}

/// Which policies may be marked best: completed enough, completed anything, and not overloaded.
pub fn eligible_for_best(policies: &[PolicySummary]) -> Vec<bool> {
    let enough = completed_enough(policies);
    policies.iter().zip(enough).map(|(p, enough)| enough && p.completed > 0 && !p.overloaded).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{policy, slo};
    use super::*;

    #[test]
    fn the_overloaded_and_those_that_drop_work_are_not_eligible() {
        let mut policies =
            vec![policy("a", 1000, 1.0, 1.0, 1.0), policy("b", 999, 1.0, 1.0, 1.0), policy("c", 998, 1.0, 1.0, 1.0)];
        assert_eq!(eligible_for_best(&policies), [true, true, false]);
        policies[0].overloaded = true;
        assert_eq!(eligible_for_best(&policies), [false, true, false]);
        assert_eq!(completed_enough(&policies), [true, true, false]);
        assert_eq!(eligible_for_best(&[policy("none", 0, 0.0, 1.0, 1.0)]), [false]);
    }

    #[test]
    fn every_metric_is_a_field_and_the_json_round_trips() {
        let mut p = policy("a", 10, 0.5, 3.25, 0.125);
        p.outcomes = vec![("timeout".into(), 3)];
        assert!(!serde_json::to_string(&p).unwrap().contains("quality_served"), "not known is not there");
        p.quality_served = Some(0.75);
        let json = serde_json::to_value(&p).unwrap();
        for (name, _) in METRICS {
            let field = json.get(name).unwrap_or_else(|| panic!("{name} is no field"));
            let value = field.as_bool().map(|b| f64::from(u8::from(b))).or(field.as_f64());
            assert_eq!(value, p.metric(name), "{name}");
        }
        assert_eq!(p.metric("nonsense"), None);
        let s = Summary {
            format: FORMAT,
            name: "n".into(),
            question: "q".into(),
            seed: 1,
            requests: 10,
            window_s: 0.1,
            slo: slo(),
            policies: vec![p],
            failed: IndexMap::new(),
            verdict: "v".into(),
            warnings: vec![],
        };
        let text = serde_json::to_string_pretty(&s).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), s);
    }
}
