//! `validate` of kinds with one figure a metric: a row a group, each cell measured, simulated and the difference.
use crate::calibrate::{Group, Pair, Scores};
use crate::report::Sheet;
use baseload_core::types::numbers::{self, decimals};

/// The table and what is judged beside it.
pub fn text(s: &Scores, render: impl Fn(&Sheet) -> String) -> String {
    let mut metrics: Vec<&'static str> = Vec::new();
    for pair in s.groups.iter().chain(s.apart.iter().map(|(g, _)| g)).flat_map(|g| g.shares.iter().chain(&g.pairs)) {
        if !metrics.contains(&pair.metric) {
            metrics.push(pair.metric);
        }
    }
    let head: Vec<&'static str> = ["group", "n"].into_iter().chain(metrics.iter().copied()).collect();
    let mut sheet = Sheet::new("", &head, 1);
    for g in &s.groups {
        sheet.row(row(&g.name, g, &metrics));
    }
    for (g, why) in &s.apart {
        sheet.row(row(&format!("({why}) {}", g.name), g, &metrics));
    }
    let mut out = render(&sheet);
    out.push_str("\nEach cell: measured, simulated, and the error over what was measured (of shares: in points).\n");
    judged(&mut out, s);
    for note in &s.notes {
        out.push_str(&format!("{note}\n"));
    }
    out
}

fn row(name: &str, g: &Group, metrics: &[&'static str]) -> Vec<String> {
    let cell = |metric: &&'static str| {
        let of = |pairs: &[Pair]| pairs.iter().find(|p| p.metric == *metric).map(|p| (p.measured, p.predicted));
        match (of(&g.shares), of(&g.pairs)) {
            (Some((m, p)), _) => format!("{} {} {}", decimals(m, 3), decimals(p, 3), numbers::points(p - m)),
            (_, Some((m, p))) => format!("{} {} {}", value(m), value(p), numbers::percent_signed_whole(p / m - 1.0)),
            _ => "-".into(),
        }
    };
    [name.to_owned(), g.n.to_string()].into_iter().chain(metrics.iter().map(cell)).collect()
}

/// A time or a count: three places, or none from 1,000 on.
fn value(v: f64) -> String {
    decimals(v, if v < 1_000.0 { 3 } else { 0 })
}

fn judged(out: &mut String, s: &Scores) {
    let verdict = |agree: bool| if agree { "agrees" } else { "DISAGREES" };
    if let Some(order) = &s.order {
        out.push_str(&format!("Order of policies: {} of {} pairs agree.\n", order.agree, order.pairs));
        order.wrong.iter().for_each(|w| out.push_str(&format!("  DISAGREES {w}\n")));
        if !s.collapse.is_empty() {
            order.ties.iter().for_each(|t| out.push_str(&format!("  tie {t}\n")));
        }
    }
    let at = |rate: Option<f64>| rate.map_or_else(|| "never".to_owned(), |r| format!("at {r}/s"));
    for c in &s.collapse {
        let (measured, simulated) = (at(c.measured), at(c.simulated));
        out.push_str(&format!("{} collapses {measured}, simulated {simulated}: {}\n", c.policy, verdict(c.agree)));
    }
    for r in &s.ratios {
        let (m, p) = (r.measured, r.simulated);
        out.push_str(&format!(
            "{}: measured {}, simulated {}: {}\n",
            r.name,
            decimals(m, 5),
            decimals(p, 5),
            verdict(r.agree)
        ));
    }
}
