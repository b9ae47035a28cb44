//! Targets that a score must meet, as a TOML file: `[overall.METRIC]`, `[each.METRIC]` (every group) and
//! `[group."NAME".METRIC]`, each with any of `median_ape`, `p90_ape`, `bias` (its size), as shares; of a share with any of
//! `median_points` and `p90_points`, percentage points. `[order]`, `[collapse]` and `[ratios]` have `agree`, the share that
//! must agree with what was measured.
use super::score::{Group, Scores, errors, points};
use baseload_core::types::TraceFault;
use indexmap::IndexMap;
use serde::Deserialize;

/// What must not be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    median_ape: Option<f64>,
    p90_ape: Option<f64>,
    bias: Option<f64>,
    median_points: Option<f64>,
    p90_points: Option<f64>,
}

/// How much must agree.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Agree {
    /// A share.
    agree: f64,
}

/// A file of targets.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    overall: IndexMap<String, Limits>,
    each: IndexMap<String, Limits>,
    group: IndexMap<String, IndexMap<String, Limits>>,
    order: Option<Agree>,
    collapse: Option<Agree>,
    ratios: Option<Agree>,
}

impl Targets {
    /// Reads a file; `name` is for messages.
    ///
    /// # Errors
    /// What is no file of targets, with its line.
    pub fn parse(text: &str, name: &str) -> Result<Targets, TraceFault> {
        let targets: Targets = toml::from_str(text).map_err(|e| TraceFault::toml(name, text, &e))?;
        if targets == Targets::default() {
            let hint = "give [overall.METRIC], [each.METRIC], [group.\"NAME\".METRIC] or [order]";
            return Err(TraceFault::of(name, "no target").hint(hint));
        }
        Ok(targets)
    }

    /// What is missed, a line each; a target of a group or metric that is not there is missed too.
    pub fn missed(&self, scores: &Scores) -> Vec<String> {
        let mut missed = Vec::new();
        check(&mut missed, "overall", &self.overall, &scores.groups);
        for g in &scores.groups {
            check(&mut missed, &g.name, &self.each, std::slice::from_ref(g));
        }
        for (name, limits) in &self.group {
            match scores.groups.iter().find(|g| g.name == *name) {
                Some(g) => check(&mut missed, name, limits, std::slice::from_ref(g)),
                None => missed.push(format!("{name}: there is no such group")),
            }
        }
        let order = scores.order.as_ref().map_or((0, 0), |o| (o.agree, o.pairs));
        let count = |agree: &mut dyn Iterator<Item = bool>| agree.fold((0, 0), |(a, n), x| (a + u64::from(x), n + 1));
        let collapse = count(&mut scores.collapse.iter().map(|c| c.agree));
        let ratios = count(&mut scores.ratios.iter().map(|r| r.agree));
        let judged =
            [("order", self.order, order), ("collapse", self.collapse, collapse), ("ratios", self.ratios, ratios)];
        for (what, limit, (agree, n)) in judged {
            let Some(Agree { agree: wanted }) = limit else { continue };
            match n {
                0 => missed.push(format!("{what}: nothing here says it")),
                n if agree as f64 / n as f64 >= wanted => {}
                n => missed.push(format!("{what}: {agree} of {n} agree, less than {wanted}")),
            }
        }
        missed
    }
}

fn check(missed: &mut Vec<String>, group: &str, limits: &IndexMap<String, Limits>, groups: &[Group]) {
    let metrics = errors(groups.iter().flat_map(|g| &g.pairs));
    let shares = points(groups.iter().flat_map(|g| &g.shares));
    for (metric, l) in limits {
        let mut kinds = Vec::new();
        if let Some(e) = metrics.get(metric.as_str()) {
            kinds.extend([
                ("median_ape", l.median_ape, Some(e.median_ape)),
                ("p90_ape", l.p90_ape, Some(e.p90_ape)),
                ("bias", l.bias, Some(e.bias.abs())),
                ("median_points", l.median_points, None),
                ("p90_points", l.p90_points, None),
            ]);
        } else if let Some(e) = shares.get(metric.as_str()) {
            kinds.extend([
                ("median_points", l.median_points, Some(e.median)),
                ("p90_points", l.p90_points, Some(e.p90)),
                ("bias", l.bias, Some(e.bias.abs() / 100.0)),
                ("median_ape", l.median_ape, None),
                ("p90_ape", l.p90_ape, None),
            ]);
        } else {
            missed.push(format!("{group}: there is no {metric}"));
        }
        for (what, limit, got) in kinds {
            let Some(limit) = limit else { continue };
            match got {
                None => missed.push(format!("{group}: {metric} has no {what}")),
                // Written so that an error that is no number misses.
                Some(got) if !matches!(got.partial_cmp(&limit), Some(o) if o.is_le()) => {
                    missed.push(format!("{group}: {metric} {what} is {got:.4}, over {limit}"));
                }
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::Order;
    use super::*;

    #[test]
    fn shares_have_points_and_order_has_a_share_that_agrees() {
        let mut g = Group { name: "a".into(), n: 1, ..Group::default() };
        g.add_share("cached_share", 0.55, 0.50);
        let order = Some(Order { pairs: 4, agree: 3, ..Order::default() });
        let scores = Scores { groups: vec![g], order, ..Scores::default() };
        let missed = |text: &str| Targets::parse(text, "t").unwrap().missed(&scores);
        assert_eq!(missed("[each.cached_share]\nmedian_points = 5.1\n[order]\nagree = 0.75\n"), Vec::<String>::new());
        assert_eq!(missed("[each.cached_share]\np90_points = 4\n"), ["a: cached_share p90_points is 5.0000, over 4"]);
        assert_eq!(missed("[each.cached_share]\nmedian_ape = 4\n"), ["a: cached_share has no median_ape"]);
        assert_eq!(missed("[order]\nagree = 1\n"), ["order: 3 of 4 agree, less than 1"]);
    }

    #[test]
    fn what_is_over_or_missing_is_missed() {
        let mut g = Group { name: "a".into(), n: 1, ..Group::default() };
        g.add("ttft_s", 1.1, 1.0);
        let scores = Scores { groups: vec![g], ..Scores::default() };
        let missed = |text: &str| Targets::parse(text, "t").unwrap().missed(&scores);
        assert_eq!(missed("[overall.ttft_s]\nmedian_ape = 0.11\n[each.ttft_s]\nbias = 0.2\n"), Vec::<String>::new());
        assert_eq!(missed("[each.ttft_s]\nmedian_ape = 0.05\n"), ["a: ttft_s median_ape is 0.1000, over 0.05"]);
        assert_eq!(missed("[overall.tpot_s]\np90_ape = 1.0\n"), ["overall: there is no tpot_s"]);
        assert_eq!(missed("[group.\"b\".ttft_s]\np90_ape = 1.0\n"), ["b: there is no such group"]);
        assert_eq!(missed("[order]\nagree = 1.0\n"), ["order: nothing here says it"]);
        assert!(
            Targets::parse("[overall.ttft_s]\nmedian = 1\n", "t")
                .unwrap_err()
                .to_string()
                .starts_with("t:2: unknown field")
        );
        assert!(Targets::parse("", "t").unwrap_err().to_string().contains("no target"));
    }
}
