//! Scores as `validate --format json` writes them.
use super::score::{Errors, Group, Pair, Points, Scores, errors, points};
use indexmap::IndexMap;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Errors of some groups together; `group` and `figures` where it is one group.
struct Row<'a> {
    group: Option<&'a str>,
    n: u64,
    metrics: IndexMap<&'static str, Errors>,
    points: IndexMap<&'static str, Points>,
    figures: Option<&'a Group>,
}

fn row(group: &Group, figures: bool) -> Row<'_> {
    let all = std::slice::from_ref(group);
    Row { group: Some(&group.name), figures: figures.then_some(group), ..over(all) }
}

fn over(groups: &[Group]) -> Row<'_> {
    let pairs = groups.iter().flat_map(|g| &g.pairs);
    let shares = groups.iter().flat_map(|g| &g.shares);
    let n = groups.iter().map(|g| g.n).sum();
    Row { group: None, n, metrics: errors(pairs), points: points(shares), figures: None }
}

/// What was measured and simulated, of a group that has one figure a metric.
struct Figure<'a>(&'a Pair);

impl Serialize for Figure<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map([("measured", self.0.measured), ("simulated", self.0.predicted)])
    }
}

struct Figures<'a>(&'a Group);

impl Serialize for Figures<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.pairs.iter().chain(&self.0.shares).map(|p| (p.metric, Figure(p))))
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        if let Some(group) = self.group {
            map.serialize_entry("group", group)?;
        }
        map.serialize_entry("n", &self.n)?;
        map.serialize_entry("metrics", &self.metrics)?;
        if !self.points.is_empty() {
            map.serialize_entry("points", &self.points)?;
        }
        if let Some(group) = self.figures {
            map.serialize_entry("figures", &Figures(group))?;
        }
        map.end()
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let groups: Vec<Row<'_>> = self.groups.iter().map(|g| row(g, self.figures)).collect();
        let apart: Vec<Row<'_>> = self.apart.iter().map(|(g, _)| row(g, self.figures)).collect();
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("kind", self.kind)?;
        map.serialize_entry("groups", &groups)?;
        map.serialize_entry("overall", &over(&self.groups))?;
        map.serialize_entry("not_judged", &apart)?;
        map.serialize_entry("trivial_baseline", &over(&self.trivial))?;
        if let Some(order) = &self.order {
            map.serialize_entry("order", order)?;
        }
        if !self.collapse.is_empty() {
            map.serialize_entry("collapse", &self.collapse)?;
        }
        if !self.ratios.is_empty() {
            map.serialize_entry("ratios", &self.ratios)?;
        }
        map.serialize_entry("notes", &self.notes)?;
        map.end()
    }
}
