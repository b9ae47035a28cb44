//! What the two tables show: cells, best marks, daggers and the legend.
//!
//! May import: experiment. Must keep true: a best mark only among policies that are eligible for it.
use super::why::{lopsided, not_completed};
use crate::experiment::summary::{Better, PolicySummary, Summary, completed_enough, eligible_for_best};
use baseload_core::types::numbers::{
    column, four, four_count, in_ms, percent_down, percent_four, thousands, three_digits, usd, usd_cents,
};

/// A column's heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Three short lines for narrow output: name, quantile, unit.
    pub short: [String; 3],
    /// The heading in words.
    pub long: String,
    /// Unit of the column, empty for a count.
    pub unit: String,
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// For wide output.
    pub full: String,
    /// At most four characters in the service table.
    pub short: String,
    /// Whether the cell is marked `*`.
    pub best: bool,
}

/// One table; row i is policy i.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Title of the table.
    pub title: &'static str,
    /// Columns after the policy's name.
    pub columns: Vec<Column>,
    /// Cells by row.
    pub rows: Vec<Vec<Cell>>,
}

/// A row's policy and its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Name of the policy.
    pub name: String,
    /// Completed too little to be marked best.
    pub dagger: bool,
    /// The policy's queue still grew at the end.
    pub overloaded: bool,
}

/// Tables of service, money and bounds with the same rows, and the legend of the marks that occur.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The rows of both tables.
    pub policies: Vec<Policy>,
    /// Throughput, latency, goodput.
    pub service: Table,
    /// The bill.
    pub money: Table,
    /// What no policy on the same fleet could beat, and what this one has beyond it.
    pub bounds: Table,
    /// Marks that occur, each explained once.
    pub legend: Vec<String>,
}

type Show = fn(f64) -> String;
type Get = fn(&PolicySummary) -> Option<f64>;

/// A time between tokens below this says that answers come whole; histograms hold no 0.
const WHOLE_S: f64 = 1e-6;

/// How one column is filled.
struct Spec {
    short: [&'static str; 3],
    long: &'static str,
    unit: &'static str,
    best: Option<Better>,
    /// A time between tokens: none says that answers come whole, not that they stream fast.
    streamed: bool,
    get: Get,
    full: Show,
    compact: Show,
}

/// Lays out both tables.
pub fn tables(summary: &Summary) -> Tables {
    let policies = &summary.policies;
    let eligible = eligible_for_best(policies);
    let rows: Vec<Policy> = policies
        .iter()
        .zip(completed_enough(policies))
        .map(|(p, enough)| Policy {
            name: p.name.clone(),
            dagger: !enough || p.completed == 0,
            overloaded: p.overloaded,
        })
        .collect();
    let service = build("Service", service_specs(policies), policies, &eligible);
    let money = build("Money", money_specs(), policies, &eligible);
    let bounds = build("Bounds", bounds_specs(policies), policies, &eligible);
    let mut legend = Vec::new();
    let marked = |table: &Table| table.rows.iter().flatten().any(|cell| cell.best);
    if marked(&service) || marked(&money) {
        legend.push("* best of the policies that may be marked".to_owned());
    }
    if rows.iter().any(|row| row.dagger) {
        legend.push("† completed under 99.9 % of the most that a policy completed; never marked best".into());
    }
    if rows.iter().any(|row| row.overloaded) {
        legend.push(
            "overloaded: its queue grew through the last half of the arrivals, so a longer run would be worse; never marked best".into(),
        );
    }
    if policies.iter().any(|p| p.tpot_p99_s.is_some_and(|v| v < WHOLE_S)) {
        legend.push("TPOT 0: answers come whole, so nothing passes between their tokens; never marked best".into());
    }
    if policies.iter().any(|p| p.quality_served.is_some()) {
        legend.push(
            "quality: share of completed requests whose answer is above the bar, where that is known; bounds do not look \
             at it"
                .into(),
        );
    }
    legend.push(
        "Bounds: no policy on the same fleet delivers the same for less, or sooner; queues, batching conflicts, whole \
         requests and rate limits are left out, so the best may lie above"
            .into(),
    );
    legend.extend(policies.iter().filter_map(not_completed));
    legend.extend(policies.iter().filter_map(lopsided));
    legend.extend(policies.iter().filter_map(around));
    Tables { policies: rows, service, money, bounds, legend }
}

/// What the gateway did around a policy's decisions, if anything but retries.
fn around(p: &PolicySummary) -> Option<String> {
    let counts = [
        ("cancelled", p.cancelled),
        ("shed", p.shed),
        ("refused by the gateway's queue", p.queue_timeouts),
        ("hedges", p.hedges),
        ("fallbacks", p.fallbacks),
        ("further stages asked", p.escalations),
        ("tries timed out", p.try_timeouts),
        ("circuits opened", p.circuits_opened),
    ];
    let some: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{what} {}", thousands(*n))).collect();
    (!some.is_empty()).then(|| format!("{}: {}", p.name, some.join(", ")))
}

fn build(title: &'static str, specs: Vec<Spec>, policies: &[PolicySummary], eligible: &[bool]) -> Table {
    let mut rows: Vec<Vec<Cell>> = policies.iter().map(|_| Vec::new()).collect();
    for spec in &specs {
        let text = |p: &PolicySummary, show: Show| (spec.get)(p).map_or("–".to_owned(), show);
        let candidates = || policies.iter().zip(eligible).filter(|(_, ok)| **ok).map(|(p, _)| p);
        let best = spec.best.and_then(|better| {
            let values = candidates().filter_map(|p| (spec.get)(p).map(|v| (p, v)));
            values.filter(|(_, v)| !(spec.streamed && *v < WHOLE_S)).reduce(|a, b| {
                let wins = if better == Better::Lower { b.1 < a.1 } else { b.1 > a.1 };
                if wins { b } else { a }
            })
        });
        // Equal as shown is equal; where all are equal there is no best.
        let best = best.map(|(p, _)| text(p, spec.full)).filter(|b| candidates().any(|p| text(p, spec.full) != *b));
        for ((row, policy), ok) in rows.iter_mut().zip(policies).zip(eligible) {
            let full = text(policy, spec.full);
            let best = *ok && best.as_ref() == Some(&full);
            row.push(Cell { short: text(policy, spec.compact), full, best });
        }
    }
    let columns = specs
        .into_iter()
        .map(|s| Column { short: s.short.map(str::to_owned), long: s.long.into(), unit: s.unit.into() })
        .collect();
    Table { title, columns, rows }
}

/// Latency columns that share a unit: milliseconds while all their values have at most four digits, else seconds.
fn latency<const N: usize>(policies: &[PolicySummary], columns: [(&'static str, Get); N]) -> [Spec; N] {
    let milliseconds = columns.iter().all(|(_, get)| policies.iter().filter_map(get).all(|v| v < 9.9995));
    let (full, compact): (Show, Show) = if milliseconds { (in_ms, |s| four(s * 1e3)) } else { (column, four) };
    columns.map(|(long, get)| {
        let (name, quantile) = long.split_once(' ').unwrap_or((long, ""));
        let unit = if milliseconds { "ms" } else { "s" };
        let (best, streamed) = (Some(Better::Lower), name == "TPOT");
        Spec { short: [name, quantile, unit], long, unit, best, streamed, get, full, compact }
    })
}

/// Name, quantile and unit of a column in narrow output.
type Short = [&'static str; 3];

/// A column that shows the same in narrow and in wide output, of which nothing is best.
fn plain(short: Short, long: &'static str, unit: &'static str, show: Show, get: Get) -> Spec {
    Spec { short, long, unit, best: None, streamed: false, get, full: show, compact: show }
}

fn count(short: Short, long: &'static str, get: Get) -> Spec {
    Spec { full: |v| thousands(v as u64), ..plain(short, long, "", four_count, get) }
}

fn service_specs(policies: &[PolicySummary]) -> Vec<Spec> {
    let rate = |short, long, get| Spec {
        best: Some(Better::Higher),
        full: three_digits,
        ..plain(short, long, "/s", four, get)
    };
    let share = |short, long, show, get| Spec { best: Some(Better::Higher), ..plain(short, long, "%", show, get) };
    let mut specs = vec![
        count(["done", "", ""], "completed", |p| Some(p.completed as f64)),
        count(["rej.", "", ""], "rejected", |p| Some(p.rejected as f64)),
        count(["fail", "", ""], "failed", |p| Some(p.failed as f64)),
        rate(["req", "", "/s"], "requests", |p: &PolicySummary| Some(p.requests_per_s)),
        rate(["tok", "", "/s"], "tokens out", |p| Some(p.output_tokens_per_s)),
    ];
    specs.extend(latency(policies, [("TTFT p50", |p| p.ttft_p50_s), ("TTFT p99", |p| p.ttft_p99_s)]));
    specs.extend(latency(policies, [("TPOT p50", |p| p.tpot_p50_s), ("TPOT p99", |p| p.tpot_p99_s)]));
    specs.extend(latency(policies, [("E2E p99", |p| p.e2e_p99_s)]));
    specs.push(share(["good", "put", "%"], "goodput", percent_down, |p| Some(p.goodput_share)));
    if policies.iter().any(|p| p.quality_served.is_some()) {
        // To the nearest tenth, as qualities are published; there is no target that it could miss.
        specs.push(share(["qual", "ity", "%"], "quality", percent_four, |p| p.quality_served));
    }
    specs
}

fn money_specs() -> Vec<Spec> {
    let a_month = |short, long, get| plain(short, long, "$/mo", usd, get);
    let lower = Some(Better::Lower);
    vec![
        plain(["own", "", "%"], "self-hosted", "%", percent_down, |p| Some(p.self_hosted_share)),
        a_month(["GPU", "", "$/mo"], "GPU", |p| Some(p.gpu_usd_per_month)),
        a_month(["API", "", "$/mo"], "API", |p| Some(p.api_usd_per_month)),
        a_month(["people", "", "$/mo"], "people", |p| Some(p.people_usd_per_month)),
        Spec { best: lower, ..a_month(["total", "", "$/mo"], "total", |p| Some(p.total_usd_per_month)) },
        Spec {
            best: lower,
            ..plain(["$ per", "", "Mtok"], "per million tokens", "$", usd_cents, |p| p.usd_per_million_tokens)
        },
    ]
}

fn bounds_specs(policies: &[PolicySummary]) -> Vec<Spec> {
    let mut specs = vec![
        plain(["least", "bill", "$/mo"], "least bill", "$/mo", usd, |p| Some(p.oracle.cost_usd_per_month)),
        plain(["over", "it", "$/mo"], "bill beyond it", "$/mo", usd, |p| Some(p.regret.cost_usd_per_month)),
        plain(["of", "bill", "%"], "share of the bill", "%", percent_down, |p| Some(p.regret.cost_share)),
    ];
    let mean: [(&'static str, Get); 2] =
        [("least TTFT", |p| p.oracle.ttft_mean_s), ("over it", |p| p.regret.ttft_mean_s)];
    let e2e: [(&'static str, Get); 2] = [("least E2E", |p| p.oracle.e2e_mean_s), ("over it", |p| p.regret.e2e_mean_s)];
    let longs = ["least mean TTFT", "TTFT beyond it", "least mean E2E", "E2E beyond it"];
    let times = latency(policies, mean).into_iter().chain(latency(policies, e2e));
    specs.extend(times.zip(longs).map(|(spec, long)| Spec { long, best: None, ..spec }));
    specs
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    fn best_in(table: &Table, column: &str) -> Vec<usize> {
        let at = table.columns.iter().position(|c| c.long == column).unwrap();
        (0..table.rows.len()).filter(|row| table.rows[*row][at].best).collect()
    }

    #[test]
    fn best_goes_only_to_the_eligible_and_the_legend_explains_each_mark_once() {
        let t = tables(&sample());
        // Cheapest of all is policy 4, but it dropped work (dagger) and policy 5 is overloaded.
        assert!(t.policies[4].dagger && t.policies[5].overloaded);
        assert_eq!(best_in(&t.money, "total"), [2]);
        assert!(t.service.rows[4].iter().chain(&t.service.rows[5]).all(|c| !c.best));
        let starts = ["* best", "† completed", "overloaded: ", "Bounds: ", "spot-only did not complete 860: "];
        assert_eq!(t.legend.len(), starts.len());
        for (line, start) in t.legend.iter().zip(starts) {
            assert!(line.starts_with(start));
        }
        let mut one = sample();
        one.policies.truncate(1);
        assert!(tables(&one).legend[0].starts_with("Bounds: "), "nothing to be best of");
    }

    #[test]
    fn answers_that_come_whole_are_not_the_best_streamed() {
        let mut s = sample();
        s.policies.truncate(2);
        (s.policies[0].tpot_p50_s, s.policies[0].tpot_p99_s) = (Some(1e-9), Some(1e-9));
        (s.policies[1].tpot_p50_s, s.policies[1].tpot_p99_s) = (Some(0.02), Some(0.05));
        let t = tables(&s);
        assert_eq!((best_in(&t.service, "TPOT p50"), best_in(&t.service, "TPOT p99")), (vec![1], vec![1]));
        assert!(t.legend.iter().any(|line| line.starts_with("TPOT 0")), "{:?}", t.legend);
    }

    #[test]
    fn quality_is_a_column_only_where_it_is_known() {
        let mut s = sample();
        let at = |t: &Tables| t.service.columns.iter().position(|c| c.long == "quality");
        assert_eq!(at(&tables(&s)), None);
        s.policies.iter_mut().zip([0.680_81, 1.0]).for_each(|(p, q)| p.quality_served = Some(q));
        let t = tables(&s);
        let at = at(&t).unwrap();
        let cells: Vec<&str> = t.service.rows.iter().map(|row| row[at].short.as_str()).collect();
        assert_eq!(cells[..3], ["68.1", "100", "–"]);
        assert!(t.legend.iter().any(|line| line.starts_with("quality: ")));
    }

    #[test]
    fn what_reads_equal_shares_the_mark() {
        let mut s = sample();
        s.policies[3].total_usd_per_month = s.policies[2].total_usd_per_month + 0.01;
        assert_eq!(best_in(&tables(&s).money, "total"), [2, 3]);
    }
}
