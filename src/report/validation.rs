//! `validate --html`: predicted against measured, one dot a row, and how errors are spread.
//!
//! May import: calibrate, charts. Must keep true: same scores, same bytes; no script and nothing from outside the file.
use super::charts::{Axis, BOTTOM, LEFT, RIGHT, TOP, colour, frame};
use super::markup::escape;
use super::page::{Cell, Head, Page, PageTable};
use crate::calibrate::{Metrics, Pair, Scores, errors};
use baseload_core::types::numbers::{self, tick_seconds};

/// Dots drawn of a metric at most; of more, every second, third, ... is drawn.
const MOST_DOTS: usize = 2_000;
/// Bars of the histogram, and the error at which its last ones begin.
const BARS: usize = 24;
const WIDEST: f64 = 0.6;

/// Renders the page.
pub fn validation_page(scores: &Scores) -> String {
    let (n, overall) = scores.overall();
    let mut page = Page::new(&format!("Predicted against measured: {}", scores.kind));
    page.facts(&[
        format!("{n} rows or requests in {} groups", scores.groups.len()),
        "errors are shares of what was measured".into(),
    ]);
    page.push(&errors_of(scores, &overall));
    for metric in overall.keys().filter(|m| m.ends_with("_s")) {
        page.push(&format!("<section><h2>{metric}</h2>\n<div class=\"two\">\n<figure><figcaption>One dot a row; on the line, prediction and measurement are equal.</figcaption>\n"));
        page.push(&identity(scores, metric));
        page.push("</figure>\n<figure><figcaption>Rows by error; the outermost bars hold all beyond.</figcaption>\n");
        page.push(&histogram(scores, metric));
        page.push("</figure>\n</div></section>\n");
    }
    if !scores.notes.is_empty() {
        let items: String = scores.notes.iter().map(|n| format!("<li>{}</li>", escape(n))).collect();
        page.push(&format!("<section><h2>Notes</h2><ul class=\"legend\">{items}</ul></section>\n"));
    }
    page.finish()
}

fn errors_of(scores: &Scores, overall: &Metrics) -> String {
    let heads = ["group", "metric"].map(Head::Words).into_iter();
    let mut table = PageTable::new("Errors", heads.chain(["n", "median", "p90", "bias"].map(Head::Figure)));
    let mut rows = |name: &str, metrics: &Metrics| {
        for (metric, e) in metrics {
            let sizes = [e.median_ape, e.p90_ape].map(numbers::percent);
            let figures = std::iter::once(e.n.to_string()).chain(sizes).chain([numbers::percent_signed(e.bias)]);
            table.row(&escape(name), [Cell::words((*metric).to_owned())].into_iter().chain(figures.map(Cell::from)));
        }
    };
    rows("overall", overall);
    for g in &scores.groups {
        rows(&g.name, &errors(g.pairs.iter()));
    }
    for (g, why) in &scores.apart {
        rows(&format!("({why}) {}", g.name), &errors(g.pairs.iter()));
    }
    table.finish()
}

fn pairs<'a>(scores: &'a Scores, metric: &'a str) -> impl Iterator<Item = (usize, &'a str, &'a Pair)> {
    let of = move |(i, g): (usize, &'a crate::calibrate::Group)| {
        g.pairs.iter().filter(move |p| p.metric == metric).map(move |p| (i, g.name.as_str(), p))
    };
    scores.groups.iter().enumerate().flat_map(of)
}

fn identity(scores: &Scores, metric: &str) -> String {
    let values: Vec<f64> = pairs(scores, metric).flat_map(|(_, _, p)| [p.predicted, p.measured]).collect();
    let axis = Axis::of(&values);
    let mut out = String::new();
    frame(
        &mut out,
        &format!("{metric}, predicted against measured"),
        &axis,
        &axis,
        tick_seconds,
        ["measured", "predicted"],
    );
    out.push_str(&format!("<path class=\"lead\" d=\"M{LEFT} {BOTTOM}L{RIGHT} {TOP}\"/>\n"));
    let every = (values.len() / 2).div_ceil(MOST_DOTS).max(1);
    for (i, name, p) in pairs(scores, metric).step_by(every) {
        out.push_str(&format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" style=\"fill:{};fill-opacity:.55\"><title>{}: {} measured, {} predicted</title></circle>\n",
            axis.x(p.measured),
            axis.y(p.predicted),
            colour(i),
            escape(name),
            tick_seconds(p.measured),
            tick_seconds(p.predicted)
        ));
    }
    out.push_str("</svg>\n");
    out
}

fn histogram(scores: &Scores, metric: &str) -> String {
    let mut bars = [0u32; BARS];
    for (_, _, p) in pairs(scores, metric) {
        let share = ((p.predicted / p.measured - 1.0) / WIDEST + 1.0) / 2.0;
        bars[((share * BARS as f64).floor().clamp(0.0, BARS as f64 - 1.0)) as usize] += 1;
    }
    let most = f64::from(bars.iter().copied().max().unwrap_or(0).max(1));
    let mut out = format!(
        "<svg class=\"chart\" viewBox=\"0 0 540 340\" role=\"img\" aria-label=\"Errors of {}\">\n",
        escape(metric)
    );
    let width = (RIGHT - LEFT) / BARS as f64;
    for (i, count) in bars.iter().enumerate() {
        let height = f64::from(*count) / most * (BOTTOM - TOP - 10.0);
        out.push_str(&format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" style=\"fill:var(--c0)\"><title>{count}</title></rect>\n",
            LEFT + i as f64 * width + 1.0,
            BOTTOM - height,
            width - 2.0
        ));
    }
    for (share, text) in [(0.0, "-60 %"), (0.25, "-30 %"), (0.5, "0"), (0.75, "+30 %"), (1.0, "+60 %")] {
        let x = LEFT + share * (RIGHT - LEFT);
        out.push_str(&format!(
            "<path class=\"g\" d=\"M{x:.1} {TOP}V{BOTTOM}\"/><text class=\"t\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>\n",
            BOTTOM + 17.0
        ));
    }
    let middle = (LEFT + RIGHT) / 2.0;
    out.push_str(&format!(
        "<text class=\"t\" x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">predicted over measured</text>\n</svg>\n",
        BOTTOM + 36.0
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Group;

    #[test]
    fn the_page_has_a_dot_a_row_the_identity_line_and_no_address() {
        let mut g = Group { name: "a <b>".into(), n: 3, ..Group::default() };
        for (p, m) in [(1.0, 1.1), (2.0, 2.0), (9.0, 3.0)] {
            g.add("ttft_s", p, m);
        }
        g.add("steps", 10.0, 11.0);
        let page = validation_page(&Scores { kind: "inferencex", groups: vec![g], ..Scores::default() });
        assert_eq!(page.matches("<circle").count(), 3);
        assert_eq!(page.matches("<rect").count(), BARS);
        assert!(page.contains("a &lt;b&gt;") && page.contains("class=\"lead\""));
        assert!(!page.contains("http") && !page.contains("<script"), "self-contained");
    }
}
