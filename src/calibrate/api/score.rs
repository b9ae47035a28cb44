//! How good the quantiles of a law are on calls that it was not fitted on: five folds over the number of the group.
//!
//! Conditional on each call's own prompt, cached and output tokens. Pinball loss is compared with that of the empirical
//! quantile of the training folds, which knows nothing of the call; coverage is the share of calls at or below the quantile.
use super::law::{FEWEST_CALLS, law_of};
use super::read::{ApiCalls, MeasuredCall};
use baseload_core::api::ProfileLaw;
use baseload_core::catalog::{ApiProfile, ApiScores, AtQuantiles, QuantileScore};
use baseload_core::numeric::quantile;
use baseload_core::types::{SimTime, TraceFault, wrong};
use serde::Serialize;
use std::collections::BTreeMap;

/// Folds; a group is in the fold of its number modulo this.
pub const FOLDS: u64 = 5;
/// Groups from which on a model is judged; the scores of others are printed.
pub const JUDGED_GROUPS: u64 = 50;
/// Scored quantiles.
const AT: [f64; 3] = [0.5, 0.9, 0.99];
/// Most pinball loss, as a share of the empirical quantile's.
const MOST_RATIO: f64 = 0.9;
/// Farthest that a coverage may lie from its quantile.
const FARTHEST: [f64; 3] = [0.05, 0.03, 0.01];

/// The scores of one model's calls.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelScore {
    /// Who sells it, where the file says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Calls scored.
    pub calls: u64,
    /// Rows left out: no time, or no length.
    pub left_out: u64,
    /// Groups; 0 where the file names none.
    pub groups: u64,
    /// Whether there are enough groups to judge it.
    pub judged: bool,
    /// What misses its target, in words; empty where all is met, or nothing is judged.
    pub missed: Vec<String>,
    /// Pinball loss of the whole call's time, as a share of the empirical quantile's.
    pub pinball_ratio: Option<AtQuantiles>,
    /// Share of calls whose whole time is at or below the quantile.
    pub coverage: Option<AtQuantiles>,
    /// Score of the times to first token, where calls were streamed; never judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft: Option<QuantileScore>,
    /// What could not be scored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The scores of all models of some files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApiReport {
    /// `api`.
    pub kind: &'static str,
    /// By model, as the files name it (`provider/model` where they name both).
    pub models: BTreeMap<String, ModelScore>,
}

/// Sums of one duration's losses.
#[derive(Default)]
struct Sums {
    calls: u64,
    loss: [f64; 3],
    base: [f64; 3],
    below: [u64; 3],
}

fn pinball(p: f64, predicted: f64, measured: f64) -> f64 {
    if measured >= predicted { p * (measured - predicted) } else { (1.0 - p) * (predicted - measured) }
}

impl Sums {
    fn add(&mut self, measured: f64, base: &[f64; 3], predicted: impl Fn(f64) -> f64) {
        self.calls += 1;
        for (i, p) in AT.into_iter().enumerate() {
            let q = predicted(p);
            self.loss[i] += pinball(p, q, measured);
            self.base[i] += pinball(p, base[i], measured);
            self.below[i] += u64::from(measured <= q);
        }
    }
    fn score(&self) -> Option<QuantileScore> {
        let four = |v: f64| (v * 1e4).round() / 1e4;
        let at = |f: &dyn Fn(usize) -> f64| AtQuantiles { p50: four(f(0)), p90: four(f(1)), p99: four(f(2)) };
        (self.calls > 0).then(|| QuantileScore {
            calls: self.calls,
            // No loss on either side is no gain: calls that all last equally long.
            pinball_ratio: at(&|i| if self.base[i] > 0.0 { self.loss[i] / self.base[i] } else { 1.0 }),
            coverage: at(&|i| self.below[i] as f64 / self.calls as f64),
        })
    }
}

fn empirical(calls: &[&MeasuredCall], of: impl Fn(&MeasuredCall) -> Option<f64>) -> Option<[f64; 3]> {
    let all: Vec<f64> = calls.iter().filter_map(|c| of(c)).collect();
    if all.len() < FEWEST_CALLS { None } else { Some(AT.map(|p| quantile(&all, p).unwrap_or(0.0))) }
}

/// Why no call can be held out, where all are in one fold.
fn one_fold(calls: &ApiCalls) -> Option<TraceFault> {
    let first = calls.calls.first()?.group?;
    let alike = |c: &MeasuredCall| c.group.is_some_and(|g| g % FOLDS == first % FOLDS);
    let why = match calls.groups() {
        1 => format!("dup_group is {first} in each"),
        _ => format!("dup_group modulo {FOLDS} is {} in each", first % FOLDS),
    };
    let all = calls.calls.len();
    calls.calls.iter().all(alike).then(|| {
        let fault = wrong!("all {all} calls are in one fold: {why}");
        fault.hint("number the groups of calls that are alike, or leave it empty")
    })
}

/// Cross-validated scores, or those of a given profile, and what could not be scored. Where the file names no groups, each call is one.
fn cross_validated(calls: &ApiCalls, given: Option<&ApiProfile>) -> (ApiScores, Vec<String>) {
    let (mut whole, mut first, mut notes) = (Sums::default(), Sums::default(), Vec::new());
    let fold = |i: usize, c: &MeasuredCall| c.group.unwrap_or(i as u64) % FOLDS;
    for held in 0..FOLDS {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for (i, c) in calls.calls.iter().enumerate() {
            if fold(i, c) == held { test.push(c) } else { train.push(c) }
        }
        if test.is_empty() {
            continue;
        }
        let Some(base) = empirical(&train, |c| Some(c.e2e_s)) else {
            let (outside, own) = (train.len(), test.len());
            let few = || {
                format!(
                    "fold {held}: {outside} calls are outside it, {FEWEST_CALLS} are needed to fit; its {own} are not scored"
                )
            };
            notes.push(one_fold(calls).map_or_else(few, |fault| fault.to_string()));
            continue;
        };
        let fitted = match given {
            Some(profile) => Ok(profile.clone()),
            None => law_of(&train, &calls.model).map(|(profile, _)| profile),
        };
        let Ok(profile) = fitted else { continue };
        let law = ProfileLaw::new(&profile, SimTime::ZERO);
        let ttft = empirical(&train, |c| c.ttft_s);
        for c in test {
            whole.add(c.e2e_s, &base, |p| law.e2e_quantile(&c.call, p));
            if let (Some(base), Some(measured)) = (&ttft, c.ttft_s) {
                first.add(measured, base, |p| law.ttft_quantile(&c.call, p));
            }
        }
    }
    (ApiScores { e2e: whole.score(), ttft: first.score() }, notes)
}

/// The scores that a profile of these calls carries.
pub(super) fn scores_of(calls: &ApiCalls) -> ApiScores {
    cross_validated(calls, None).0
}

fn missed(s: &QuantileScore) -> Vec<String> {
    let (r, c) = (s.pinball_ratio, s.coverage);
    let mut out = Vec::new();
    let all = [("p50", r.p50, c.p50), ("p90", r.p90, c.p90), ("p99", r.p99, c.p99)];
    for ((name, ratio, coverage), (p, farthest)) in all.into_iter().zip(AT.into_iter().zip(FARTHEST)) {
        if ratio > MOST_RATIO {
            out.push(format!("pinball_ratio {name} is {ratio}; at most {MOST_RATIO}"));
        }
        // Shares have four digits; the limit itself is met.
        if (coverage - p).abs() > farthest + 1e-9 {
            out.push(format!("coverage {name} is {coverage}; within {farthest} of {p}"));
        }
    }
    out
}

/// Scores each model's calls on folds of its own; or `given` as it is, beside the folds' empirical quantiles.
///
/// # Errors
/// No model with enough calls to score a fold: how many are needed. A given profile of a model that has no calls here.
pub fn api_scores(all: &[ApiCalls], given: Option<&ApiProfile>) -> Result<ApiReport, TraceFault> {
    let name = |c: &ApiCalls| c.provider.as_ref().map_or_else(|| c.model.clone(), |p| format!("{p}/{}", c.model));
    let of = |c: &ApiCalls| given.is_none_or(|g| g.is_of(c.provider.as_deref().unwrap_or(&g.provider), &c.model));
    if let Some(g) = given
        && !all.iter().any(of)
    {
        let have: Vec<String> = all.iter().map(name).collect();
        let (of, have) = (format!("{}/{}", g.provider, g.model), have.join(", "));
        let fault = wrong!("profile {} is of {of}; the calls are of {have}", g.name);
        return Err(fault.hint("give a profile of that, or none"));
    }
    let mut models = BTreeMap::new();
    for calls in all.iter().filter(|c| of(c)) {
        let (scores, notes) = cross_validated(calls, given);
        let groups = calls.groups();
        let judged = groups >= JUDGED_GROUPS;
        let model = ModelScore {
            provider: calls.provider.clone(),
            calls: calls.calls.len() as u64,
            left_out: calls.left_out,
            groups,
            judged,
            missed: scores.e2e.as_ref().filter(|_| judged).map(missed).unwrap_or_default(),
            pinball_ratio: scores.e2e.map(|s| s.pinball_ratio),
            coverage: scores.e2e.map(|s| s.coverage),
            ttft: scores.ttft,
            notes,
        };
        models.insert(name(calls), model);
    }
    if models.values().all(|m| m.coverage.is_none()) {
        let mut enough = all.iter().filter(|c| of(c) && c.calls.len() >= FEWEST_CALLS);
        if let Some(says) = enough.find_map(|c| Some(one_fold(c)?.of_part(name(c)))) {
            return Err(says);
        }
        let most = all.iter().map(|c| c.calls.len()).max().unwrap_or(0);
        let enough = FEWEST_CALLS * 5 / 4;
        let hint = format!("{FEWEST_CALLS} outside each fold of five are needed, about {enough} spread over groups");
        return Err(wrong!("no model has enough calls: the most is {most}").hint(hint));
    }
    Ok(ApiReport { kind: "api", models })
}
