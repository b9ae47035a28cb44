//! Targets that a score must meet, as a TOML file: `[overall.METRIC]`, `[each.METRIC]` (every group) and
//! `[group."NAME".METRIC]`, each with any of `median_ape`, `p90_ape`, `bias` (its size), as shares.
use super::score::{Metrics, Scores, errors};
use indexmap::IndexMap;
use serde::Deserialize;

/// What must not be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    median_ape: Option<f64>,
    p90_ape: Option<f64>,
    bias: Option<f64>,
}

/// A file of targets.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    overall: IndexMap<String, Limits>,
    each: IndexMap<String, Limits>,
    group: IndexMap<String, IndexMap<String, Limits>>,
}

impl Targets {
    /// Reads a file; `name` is for messages.
    ///
    /// # Errors
    /// `NAME:LINE: what is wrong`.
    pub fn parse(text: &str, name: &str) -> Result<Targets, String> {
        let targets: Targets = toml::from_str(text).map_err(|e: toml::de::Error| {
            let line = e.span().map_or(1, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
            format!("{name}:{line}: {}", e.message())
        })?;
        if targets == Targets::default() {
            return Err(format!("{name}: no target; give [overall.METRIC], [each.METRIC] or [group.\"NAME\".METRIC]"));
        }
        Ok(targets)
    }

    /// What is missed, a line each; a target of a group or metric that is not there is missed too.
    pub fn missed(&self, scores: &Scores) -> Vec<String> {
        let mut missed = Vec::new();
        let (_, overall) = scores.overall();
        check(&mut missed, "overall", &self.overall, &overall);
        for g in &scores.groups {
            check(&mut missed, &g.name, &self.each, &errors(g.pairs.iter()));
        }
        for (name, limits) in &self.group {
            match scores.groups.iter().find(|g| g.name == *name) {
                Some(g) => check(&mut missed, name, limits, &errors(g.pairs.iter())),
                None => missed.push(format!("{name}: there is no such group")),
            }
        }
        missed
    }
}

fn check(missed: &mut Vec<String>, group: &str, limits: &IndexMap<String, Limits>, metrics: &Metrics) {
    for (metric, l) in limits {
        let Some(e) = metrics.get(metric.as_str()) else {
            missed.push(format!("{group}: there is no {metric}"));
            continue;
        };
        let kinds = [
            ("median_ape", l.median_ape, e.median_ape),
            ("p90_ape", l.p90_ape, e.p90_ape),
            ("bias", l.bias, e.bias.abs()),
        ];
        for (what, limit, got) in kinds {
            // Written so that an error that is no number misses.
            if limit.is_some_and(|limit| !matches!(got.partial_cmp(&limit), Some(o) if o.is_le())) {
                missed.push(format!("{group}: {metric} {what} is {got:.4}, over {}", limit.unwrap_or_default()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::score::Group;
    use super::*;

    #[test]
    fn what_is_over_or_missing_is_missed() {
        let mut g = Group { name: "a".into(), n: 1, pairs: Vec::new() };
        g.add("ttft_s", 1.1, 1.0);
        let scores = Scores { groups: vec![g], ..Scores::default() };
        let missed = |text: &str| Targets::parse(text, "t").unwrap().missed(&scores);
        assert_eq!(missed("[overall.ttft_s]\nmedian_ape = 0.11\n[each.ttft_s]\nbias = 0.2\n"), Vec::<String>::new());
        assert_eq!(missed("[each.ttft_s]\nmedian_ape = 0.05\n"), ["a: ttft_s median_ape is 0.1000, over 0.05"]);
        assert_eq!(missed("[overall.tpot_s]\np90_ape = 1.0\n"), ["overall: there is no tpot_s"]);
        assert_eq!(missed("[group.\"b\".ttft_s]\np90_ape = 1.0\n"), ["b: there is no such group"]);
        assert!(Targets::parse("[overall.ttft_s]\nmedian = 1\n", "t").unwrap_err().starts_with("t:2: unknown field"));
        assert!(Targets::parse("", "t").unwrap_err().contains("no target"));
    }
}
