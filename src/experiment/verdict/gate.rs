//! The gate: compares a candidate's summary with a baseline's and says what became worse than allowed.
//!
//! May import: the summary. Must keep true: an unknown policy or metric is an error, never a silent pass; the same
//! summaries pass with any tolerance.
use super::summary::{Better, METRICS, PolicySummary, Summary};
use baseload_core::types::numbers::plain;
use baseload_core::types::{Fault, Faults, KeyPath};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much worse a metric may become.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// A share of the baseline's value: 0.05 is 5 %.
    Relative(f64),
    /// An amount in the metric's own unit.
    Absolute(f64),
    /// An amount of time, for metrics in seconds.
    Seconds(f64),
}

impl Tolerance {
    /// Parses `5%` (of the baseline), `50ms` or `0.05s` (for metrics in seconds) or a plain amount.
    ///
    /// # Errors
    /// Text that is none of these, or negative.
    pub fn parse(text: &str) -> Result<Tolerance, Fault> {
        let text = text.trim();
        type Make = fn(f64) -> Tolerance;
        let units: [(&str, Make); 4] = [
            ("%", |v| Tolerance::Relative(v / 100.0)),
            ("ms", |v| Tolerance::Seconds(v / 1000.0)),
            ("s", Tolerance::Seconds),
            ("", Tolerance::Absolute),
        ];
        let (number, make) = units
            .iter()
            .find_map(|(unit, make)| text.strip_suffix(unit).map(|number| (number.trim(), make)))
            .unwrap_or((text, &units[3].1));
        match number.parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 0.0 => Ok(make(value)),
            _ => {
                let hint = "write \"5%\", \"50ms\", \"0.05s\" or a number from 0";
                Err(Fault::at("worse", format!("`{text}` is no tolerance")).hint(hint))
            }
        }
    }

    /// From a plain number, in the metric's own unit.
    ///
    /// # Errors
    /// A number that is negative or not finite.
    pub fn absolute(value: f64) -> Result<Tolerance, Fault> {
        Tolerance::parse(&format!("{value}"))
    }

    fn allowed(self, baseline: f64) -> f64 {
        match self {
            Tolerance::Relative(share) => share * baseline.abs(),
            Tolerance::Absolute(amount) | Tolerance::Seconds(amount) => amount,
        }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tolerance::Relative(share) => write!(f, "{} %", plain(share * 100.0)),
            Tolerance::Absolute(amount) => write!(f, "{}", plain(*amount)),
            Tolerance::Seconds(amount) => write!(f, "{} s", plain(*amount)),
        }
    }
}

/// A rule as the experiment file has it: `{ worse = "5%" }` or `{ worse = 0.01 }`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateRule {
    /// How much worse the metric may become.
    pub worse: Worse,
}

/// The value of `worse`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Worse {
    /// In the metric's own unit.
    Number(#[schemars(range(min = 0.0, max = 1e15))] f64),
    /// A number with `%`, `s` or `ms`.
    Text(String),
}

impl GateRule {
    /// The tolerance it states.
    ///
    /// # Errors
    /// As [`Tolerance::parse`].
    pub fn tolerance(&self) -> Result<Tolerance, Fault> {
        match &self.worse {
            Worse::Number(value) => Tolerance::absolute(*value),
            Worse::Text(text) => Tolerance::parse(text),
        }
    }
}

/// What became of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateVerdict {
    /// The value is the baseline's.
    Unchanged,
    /// Better than the baseline.
    Better,
    /// Worse, within the tolerance.
    Within,
    /// Worse than allowed: fails the gate.
    Worse,
}

impl GateVerdict {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            GateVerdict::Unchanged => "unchanged",
            GateVerdict::Better => "better",
            GateVerdict::Within => "within",
            GateVerdict::Worse => "WORSE",
        }
    }
}

/// One gated metric.
#[derive(Debug, Clone, PartialEq)]
pub struct GateRow {
    /// `policy.metric`.
    pub metric: String,
    /// The baseline's value, `None` where null.
    pub baseline: Option<f64>,
    /// The candidate's value, `None` where null.
    pub candidate: Option<f64>,
    /// Change in per cent of the baseline, where that means something.
    pub change_percent: Option<f64>,
    /// What was allowed.
    pub tolerance: Tolerance,
    /// Whether the metric got better or worse, and whether that is allowed.
    pub verdict: GateVerdict,
}

/// What the gate found.
#[derive(Debug, Clone, PartialEq)]
pub struct GateReport {
    /// One row a rule, in rule order.
    pub rows: Vec<GateRow>,
    /// What makes the two runs hard to compare.
    pub notes: Vec<String>,
}

impl GateReport {
    /// Whether nothing is worse than allowed.
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.verdict != GateVerdict::Worse)
    }
}

/// Compares `candidate` with `baseline` by rules `(policy.metric, tolerance)`.
///
/// # Errors
/// A rule that names a policy or metric that either summary does not have, or gives a time for what is no time.
pub fn gate(baseline: &Summary, candidate: &Summary, rules: &[(String, Tolerance)]) -> Result<GateReport, Faults> {
    if baseline.format != candidate.format {
        let what = format!("the baseline has summary format {}, this run {}", baseline.format, candidate.format);
        return Err(Fault::new(what).hint("compare results of one version").into());
    }
    let mut faults = Faults::default();
    let rows = rules.iter().filter_map(|(name, tolerance)| {
        faults.take(row(baseline, candidate, name, *tolerance).map_err(|fault| fault.under(name).under("gate")))
    });
    let rows = rows.collect();
    let mut notes = Vec::new();
    if baseline.seed != candidate.seed {
        notes.push(format!(
            "the seeds differ: {} in the baseline, {} here; part of each change is luck",
            baseline.seed, candidate.seed
        ));
    }
    if baseline.requests != candidate.requests {
        notes.push(format!(
            "the traces differ: {} requests in the baseline, {} here; part of each change is the trace's",
            baseline.requests, candidate.requests
        ));
    }
    faults.finish(GateReport { rows, notes })
}

/// Checks that `policy.metric` names a policy among `policies` and a metric that can be gated, before anything runs.
///
/// # Errors
/// With the nearest name.
pub fn check_name(name: &str, policies: &[&str]) -> Result<(), Fault> {
    let (policy, metric) = parts(name)?;
    if !policies.contains(&policy) {
        return Err(Fault::unknown(KeyPath::default(), "policy", policy, policies.iter().copied()));
    }
    better(metric).map(drop)
}

/// A policy and a metric. A policy's name may hold dots, a metric's cannot.
fn parts(name: &str) -> Result<(&str, &str), Fault> {
    name.rsplit_once('.').ok_or_else(|| Fault::new("it is not of the form \"policy.metric\"").hint("write it so"))
}

/// Which way a metric is better.
fn better(metric: &str) -> Result<Better, Fault> {
    let found = METRICS.iter().find(|(known, _)| *known == metric).map(|(_, better)| *better);
    found.ok_or_else(|| Fault::unknown(KeyPath::default(), "metric", metric, METRICS.iter().map(|(known, _)| *known)))
}

fn row(baseline: &Summary, candidate: &Summary, name: &str, tolerance: Tolerance) -> Result<GateRow, Fault> {
    let (policy, metric) = parts(name)?;
    let better = better(metric)?;
    if matches!(tolerance, Tolerance::Seconds(_)) && (!metric.ends_with("_s") || metric.ends_with("_per_s")) {
        let what = format!("the tolerance is a time, and `{metric}` is not in seconds");
        return Err(Fault::at("worse", what).hint("give a share or an amount"));
    }
    let before = find(baseline, "the baseline", policy)?.metric(metric);
    let after = find(candidate, "this run", policy)?.metric(metric);
    let (change_percent, verdict) = match (before, after) {
        (None, None) => (None, GateVerdict::Unchanged),
        (Some(_), None) => (None, GateVerdict::Worse),
        (None, Some(_)) => (None, GateVerdict::Better),
        (Some(b), Some(c)) => {
            let worse_by = if better == Better::Lower { c - b } else { b - c };
            // Slack for the rounding of the subtraction alone.
            let allowed = tolerance.allowed(b) + 1e-12 * b.abs();
            let verdict = match worse_by {
                0.0 => GateVerdict::Unchanged,
                w if w < 0.0 => GateVerdict::Better,
                w if w <= allowed => GateVerdict::Within,
                _ => GateVerdict::Worse,
            };
            ((b != 0.0).then(|| 100.0 * (c - b) / b.abs()), verdict)
        }
    };
    Ok(GateRow { metric: name.into(), baseline: before, candidate: after, change_percent, tolerance, verdict })
}

fn find<'a>(summary: &'a Summary, which: &str, policy: &str) -> Result<&'a PolicySummary, Fault> {
    summary.policies.iter().find(|p| p.name == policy).ok_or_else(|| {
        let known: Vec<&str> = summary.policies.iter().map(|p| p.name.as_str()).collect();
        Fault::new(format!("{which} has no policy `{policy}`")).hint(format!("it has {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(ttft: Option<f64>, goodput: f64) -> Summary {
        let p =
            PolicySummary { name: "hybrid.v2".into(), ttft_p99_s: ttft, goodput_share: goodput, ..Default::default() };
        Summary {
            format: 1,
            name: "n".into(),
            question: String::new(),
            seed: 1,
            requests: 10,
            window_s: 1.0,
            slo: Default::default(),
            policies: vec![p],
            failed: Default::default(),
            verdict: String::new(),
            warnings: vec![],
        }
    }

    fn one(before: Option<f64>, after: Option<f64>, metric: &str, tolerance: &str) -> GateVerdict {
        let rules = [(format!("hybrid.v2.{metric}"), Tolerance::parse(tolerance).unwrap())];
        let (a, b) = (summary(before, before.unwrap_or(0.0)), summary(after, after.unwrap_or(0.0)));
        gate(&a, &b, &rules).unwrap().rows[0].verdict
    }

    #[test]
    fn tolerances_parse() {
        assert_eq!(Tolerance::parse("5%"), Ok(Tolerance::Relative(0.05)));
        assert_eq!(Tolerance::parse(" 50 ms"), Ok(Tolerance::Seconds(0.05)));
        assert_eq!(Tolerance::parse("0.05s"), Ok(Tolerance::Seconds(0.05)));
        assert_eq!(Tolerance::parse("0.01"), Ok(Tolerance::Absolute(0.01)));
        for bad in ["-1%", "fast", "", "nan", "inf%", "5 minutes"] {
            assert!(Tolerance::parse(bad).unwrap_err().what.contains("is no tolerance"), "{bad}");
        }
        let rule = |text: &str| toml::from_str::<GateRule>(text).unwrap().tolerance();
        assert_eq!(rule("worse = \"5%\""), Ok(Tolerance::Relative(0.05)));
        assert_eq!(rule("worse = 0.01"), Ok(Tolerance::Absolute(0.01)));
        assert_eq!(rule("worse = 1"), Ok(Tolerance::Absolute(1.0)));
        assert!(rule("worse = -1").is_err());
    }

    #[test]
    fn direction_tolerance_and_null_decide() {
        use GateVerdict::{Better, Unchanged, Within, Worse};
        assert_eq!(one(Some(1.0), Some(1.05), "ttft_p99_s", "5%"), Within);
        assert_eq!(one(Some(1.0), Some(1.0501), "ttft_p99_s", "5%"), Worse);
        assert_eq!(one(Some(1.0), Some(0.5), "ttft_p99_s", "0%"), Better);
        assert_eq!(one(Some(1.0), Some(1.04), "ttft_p99_s", "50ms"), Within);
        assert_eq!(one(Some(0.9), Some(0.8), "goodput_share", "0.05"), Worse);
        assert_eq!(one(Some(0.9), Some(0.88), "goodput_share", "0.05"), Within);
        assert_eq!(one(Some(0.9), Some(0.95), "goodput_share", "0"), Better);
        assert_eq!(one(None, None, "ttft_p99_s", "0"), Unchanged);
        assert_eq!(one(Some(1.0), None, "ttft_p99_s", "100%"), Worse);
        assert_eq!(one(None, Some(9.0), "ttft_p99_s", "0"), Better);
        assert_eq!(one(Some(1.0), Some(f64::NAN), "ttft_p99_s", "5%"), Worse);
    }

    #[test]
    fn unknown_names_are_errors_that_list_the_known() {
        let s = summary(Some(1.0), 1.0);
        let fail = |name: &str, tolerance: &str| {
            gate(&s, &s, &[(name.into(), Tolerance::parse(tolerance).unwrap())]).unwrap_err().to_string()
        };
        assert!(fail("own.ttft_p99_s", "5%").contains("no policy `own`; it has hybrid.v2"));
        assert!(fail("hybrid.v2.ttft_p98_s", "5%").contains("did you mean `ttft_p9"));
        assert!(fail("hybrid", "5%").contains("policy.metric"));
        assert!(fail("hybrid.v2.requests_per_s", "5ms").contains("not in seconds"));
    }

    #[test]
    fn a_gate_passes_until_something_is_worse_than_allowed() {
        let rules = [
            ("hybrid.v2.ttft_p99_s".to_owned(), Tolerance::Relative(0.05)),
            ("hybrid.v2.goodput_share".to_owned(), Tolerance::Absolute(0.01)),
        ];
        let after = Summary { seed: 2, ..summary(Some(1.5), 0.9) };
        let report = gate(&summary(Some(1.2), 0.9), &after, &rules).unwrap();
        assert!(!report.passed() && report.notes[0].contains("seeds differ"));
        assert!(gate(&after, &after, &rules).unwrap().passed());
    }
}
