//! What users saw minute by minute: a row of bars a policy for the terminal, three charts for the page.
//!
//! May import: experiment, charts. Must keep true: same summary, same bytes; no terminal line is wider than 80 columns.
use super::charts::{Axis, colour, dashes, frame_of};
use super::page::key;
use super::sheet::Sheet;
use super::spark::sparkline;
use crate::experiment::summary::{PolicySummary, Summary, TimelineRow};
use baseload_core::types::numbers::{self, span, tick, tick_percent, tick_seconds, tick_usd};

/// Columns of bars at most.
const BARS: usize = 30;
/// Points of a line in a chart at most.
const POINTS: usize = 120;

/// Several rows as one: counts and money add up; the TTFT is that of the worst row.
fn joined(rows: &[TimelineRow]) -> TimelineRow {
    let mut sum = TimelineRow::default();
    for row in rows {
        sum.arrived += row.arrived;
        sum.completed += row.completed;
        sum.good += row.good;
        sum.api_usd += row.api_usd;
        sum.ttft_p90_s = [sum.ttft_p90_s, row.ttft_p90_s].into_iter().flatten().reduce(f64::max);
    }
    sum
}

/// Share of the requests that arrived in a row that met the SLO; `None` where none arrived.
fn good_share(row: &TimelineRow) -> Option<f64> {
    (row.arrived > 0).then(|| row.good as f64 / row.arrived as f64)
}

/// The rows of all policies, all as long as the longest: that length, seconds, and each policy's.
fn rows_of(summary: &Summary) -> (f64, Vec<Vec<TimelineRow>>) {
    let row_s = summary.policies.iter().map(|p| p.timeline.row_s).fold(0.0, f64::max);
    // A policy that spends long after the last arrival has longer rows, by a power of two.
    let of = |p: &PolicySummary| -> Vec<TimelineRow> {
        p.timeline.rows.chunks((row_s / p.timeline.row_s).round().max(1.0) as usize).map(joined).collect()
    };
    (row_s, summary.policies.iter().map(of).collect())
}

/// What users saw over time, as text: share of requests within the SLO by when they arrived, its worst stretch, and
/// what was spent. Empty for a trace of less than two rows.
pub fn timeline(summary: &Summary) -> String {
    let (row_s, all) = rows_of(summary);
    let longest = all.iter().map(Vec::len).max().unwrap_or(0);
    if longest < 2 {
        return String::new();
    }
    let each = longest.div_ceil(BARS);
    let width = each as f64 * row_s;
    let title = format!(
        "Within the SLO over time: a bar is {} of arrivals, a full one is 100 %;\n\
         0 = none of them, · = none arrived. Then the worst stretch and the dearest.",
        span(width)
    );
    let mut sheet = Sheet::new(title, &["policy", "", "worst", "TTFT p90", "API $/h"], 2).ruled().cutting();
    for (p, rows) in summary.policies.iter().zip(&all) {
        let rows: Vec<TimelineRow> = rows.chunks(each).map(joined).collect();
        let worst = rows.iter().filter_map(good_share).reduce(f64::min);
        let ttft = rows.iter().filter_map(|r| r.ttft_p90_s).reduce(f64::max);
        let dearest = rows.iter().map(|r| r.api_usd).fold(0.0, f64::max) * 3600.0 / width;
        sheet.row(vec![
            p.name.clone(),
            rows.iter().map(bar).collect(),
            worst.map_or("–".into(), |share| format!("{} %", numbers::percent_down(share))),
            ttft.map_or("–".into(), numbers::seconds),
            numbers::usd_cents(dearest),
        ]);
    }
    sheet.text()
}

fn bar(row: &TimelineRow) -> String {
    match good_share(row) {
        None => "·".into(),
        Some(0.0) => "0".into(),
        Some(share) => sparkline(&[share], 1.0),
    }
}

type Value = fn(&TimelineRow, f64) -> Option<f64>;

fn hours(v: f64) -> String {
    format!("{} h", tick(v))
}

fn minutes(v: f64) -> String {
    format!("{} min", tick(v * 60.0))
}

/// Points of each policy's line, and the length of the lines, seconds.
struct Points {
    lines: Vec<Vec<TimelineRow>>,
    row_s: f64,
}

impl Points {
    fn of(summary: &Summary) -> Points {
        let (row_s, all) = rows_of(summary);
        let each = all.iter().map(Vec::len).max().unwrap_or(0).div_ceil(POINTS).max(1);
        let lines = all.iter().map(|rows| rows.chunks(each).map(joined).collect()).collect();
        Points { lines, row_s: row_s * each as f64 }
    }
}

/// One chart: a line a policy over the time since the trace's start.
fn chart(out: &mut String, points: &Points, title: &str, y: (&Axis, fn(f64) -> String), value: Value) {
    let longest = points.lines.iter().map(Vec::len).max().unwrap_or(0) as f64 * points.row_s / 3600.0;
    let x = Axis::up_to(longest);
    let x_text = if longest > 3.0 { hours } else { minutes };
    frame_of(
        out,
        &format!("{title} by policy over time"),
        [&x, y.0],
        [x_text, y.1],
        ["time since the trace's start", title],
    );
    for (i, line) in points.lines.iter().enumerate() {
        let mut d = String::new();
        let mut pen_down = false;
        for (r, row) in line.iter().enumerate() {
            let Some(v) = value(row, points.row_s) else {
                pen_down = false;
                continue;
            };
            let at = (r as f64 + 0.5) * points.row_s / 3600.0;
            d.push_str(&format!("{}{:.1} {:.1}", if pen_down { "L" } else { "M" }, x.x(at), y.0.y(v)));
            pen_down = true;
        }
        let style = format!("stroke:{};stroke-dasharray:{}", colour(i), dashes(i));
        out.push_str(&format!("<path class=\"line\" style=\"{style}\" d=\"{d}\"/>\n"));
    }
    out.push_str("</svg>\n");
}

/// The section of `report.html`: within the SLO, TTFT p90 and money over time. Nothing for a trace of less than two rows.
pub(super) fn section(summary: &Summary) -> Option<String> {
    let points = Points::of(summary);
    if points.lines.iter().all(|line| line.len() < 2) {
        return None;
    }
    let mut out = String::new();
    let rows = || points.lines.iter().flatten();
    out.push_str(&format!(
        "<section><h2>What users saw over time</h2><figcaption>Requests by when they arrived, money by when it was spent; \
         a point is {}.</figcaption>\n<div class=\"two\">\n<figure>\n",
        span(points.row_s)
    ));
    let share = Axis::percent();
    chart(&mut out, &points, "within the SLO", (&share, tick_percent), |r, _| Some(good_share(r)? * 100.0));
    out.push_str("</figure>\n<figure>\n");
    let ttft = Axis::of(&rows().filter_map(|r| r.ttft_p90_s).collect::<Vec<_>>());
    chart(&mut out, &points, "TTFT p90", (&ttft, tick_seconds), |r, _| r.ttft_p90_s);
    out.push_str("</figure>\n");
    if rows().any(|r| r.api_usd > 0.0) {
        let an_hour: Value = |r, row_s| Some(r.api_usd * 3600.0 / row_s);
        let money = Axis::linear(rows().filter_map(|r| an_hour(r, points.row_s)).fold(0.0, f64::max));
        out.push_str("<figure>\n");
        chart(&mut out, &points, "US$ an hour to endpoints", (&money, tick_usd), an_hour);
        out.push_str("</figure>\n");
    }
    out.push_str("</div>\n<div class=\"keys\">\n");
    for (i, p) in summary.policies.iter().enumerate() {
        let style = format!("stroke:{};stroke-dasharray:{}", colour(i), dashes(i));
        out.push_str(&key("line", &style, &p.name));
    }
    out.push_str("</div></section>\n");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::prose::WIDTH;
    use super::super::sample::sample;
    use super::*;
    use crate::experiment::summary::TimelineSummary;

    fn with_rows(rows: Vec<TimelineRow>) -> Summary {
        let mut s = sample();
        for p in &mut s.policies {
            p.timeline = TimelineSummary { row_s: 60.0, rows: rows.clone() };
        }
        s
    }

    #[test]
    fn bars_tell_none_in_time_from_none_arrived_and_fit_80_columns() {
        let row = |arrived, good| TimelineRow { arrived, completed: good, good, ttft_p90_s: Some(0.5), api_usd: 0.1 };
        let mut rows = vec![row(4, 4), row(4, 2), row(4, 0), row(0, 0)];
        let text = timeline(&with_rows(rows.clone()));
        assert!(text.contains("█▄0·    0 %    500 ms     6.00\n"), "{text}");
        rows.resize(720, row(9, 9));
        let text = timeline(&with_rows(rows));
        assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
        assert!(timeline(&with_rows(vec![row(1, 1)])).is_empty());
    }

    #[test]
    fn the_page_has_a_line_a_policy_in_each_chart_and_breaks_it_where_nothing_arrived() {
        let row = |arrived| TimelineRow { arrived, completed: arrived, good: arrived, ..TimelineRow::default() };
        let s = with_rows(vec![row(1), row(0), row(2), row(3)]);
        let out = section(&s).unwrap();
        let lines: Vec<&str> = out.split("<path class=\"line\"").skip(1).collect();
        assert_eq!(lines.len(), 3 * s.policies.len(), "two charts and a key: nobody was paid");
        assert_eq!(lines[0].matches('M').count() - lines[0].matches("M0").count(), 2, "{}", lines[0]);
    }

    #[test]
    fn lines_of_longer_rows_have_the_same_points_and_the_same_money_an_hour() {
        let row = |n: u64| TimelineRow { arrived: n, completed: n, good: n, ttft_p90_s: Some(0.5), api_usd: n as f64 };
        let mut s = with_rows(vec![row(1); 128]);
        s.policies[1].timeline = TimelineSummary { row_s: 120.0, rows: vec![row(2); 124] };
        let out = section(&s).unwrap();
        assert!(out.contains("a point is 4.0 min."), "{out}");
        let d = |path: &str| path.split("d=\"").nth(1).and_then(|d| d.split('"').next()).unwrap_or_default().to_owned();
        let lines: Vec<String> = out.split("<path class=\"line\"").skip(1).map(d).collect();
        assert_eq!(lines.len(), 4 * s.policies.len(), "three charts and a key");
        for chart in lines[..3 * s.policies.len()].chunks(s.policies.len()) {
            assert!(chart[0].matches('L').count() == 31 && chart[1].starts_with(&chart[0]), "{chart:?}");
        }
    }
}
