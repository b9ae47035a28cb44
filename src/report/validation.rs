//! `validate --html`: predicted against measured, one dot a row, and how errors are spread.
//!
//! May import: calibrate, charts. Must keep true: same scores, same bytes; no script and nothing from outside the file.
use super::charts::{Axis, BOTTOM, LEFT, RIGHT, TOP, colour, frame, seconds};
use super::markup::escape;
use super::style::CSS;
use crate::calibrate::{Metrics, Pair, Scores, errors};

/// Dots drawn of a metric at most; of more, every second, third, ... is drawn.
const MOST_DOTS: usize = 2_000;
/// Bars of the histogram, and the error at which its last ones begin.
const BARS: usize = 24;
const WIDEST: f64 = 0.6;

/// Renders the page.
pub fn validation_page(scores: &Scores) -> String {
    let title = format!("Predicted against measured: {}", scores.kind);
    let (n, overall) = scores.overall();
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{0} – Baseload</title>\n\
         <style>\n{CSS}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n\
         <p class=\"facts\">{n} rows or requests in {1} groups · errors are shares of what was measured</p>\n",
        escape(&title),
        scores.groups.len()
    );
    push_table(&mut out, scores, &overall);
    for metric in overall.keys().filter(|m| m.ends_with("_s")) {
        out.push_str(&format!("<section><h2>{metric}</h2>\n<div class=\"two\">\n<figure><figcaption>One dot a row; on the line, prediction and measurement are equal.</figcaption>\n"));
        out.push_str(&identity(scores, metric));
        out.push_str(
            "</figure>\n<figure><figcaption>Rows by error; the outermost bars hold all beyond.</figcaption>\n",
        );
        out.push_str(&histogram(scores, metric));
        out.push_str("</figure>\n</div></section>\n");
    }
    if !scores.notes.is_empty() {
        let items: String = scores.notes.iter().map(|n| format!("<li>{}</li>", escape(n))).collect();
        out.push_str(&format!("<section><h2>Notes</h2><ul class=\"legend\">{items}</ul></section>\n"));
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn push_table(out: &mut String, scores: &Scores, overall: &Metrics) {
    out.push_str("<section><h2>Errors</h2><div class=\"scroll\"><table>\n<thead><tr><th class=\"l\">group</th><th class=\"l\">metric</th><th>n</th><th>median</th><th>p90</th><th>bias</th></tr></thead>\n<tbody>\n");
    let mut rows = |name: &str, metrics: &Metrics| {
        for (metric, e) in metrics {
            out.push_str(&format!(
                "<tr><th scope=\"row\">{}</th><td class=\"l\">{metric}</td><td>{}</td><td>{:.1} %</td><td>{:.1} %</td><td>{:+.1} %</td></tr>\n",
                escape(name),
                e.n,
                e.median_ape * 100.0,
                e.p90_ape * 100.0,
                e.bias * 100.0
            ));
        }
    };
    rows("overall", overall);
    for g in &scores.groups {
        rows(&g.name, &errors(g.pairs.iter()));
    }
    for (g, why) in &scores.apart {
        rows(&format!("({why}) {}", g.name), &errors(g.pairs.iter()));
    }
    out.push_str("</tbody></table></div></section>\n");
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
    frame(&mut out, &format!("{metric}, predicted against measured"), &axis, &axis, seconds, ["measured", "predicted"]);
    out.push_str(&format!("<path class=\"lead\" d=\"M{LEFT} {BOTTOM}L{RIGHT} {TOP}\"/>\n"));
    let every = (values.len() / 2).div_ceil(MOST_DOTS).max(1);
    for (i, name, p) in pairs(scores, metric).step_by(every) {
        out.push_str(&format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" style=\"fill:{};fill-opacity:.55\"><title>{}: {} measured, {} predicted</title></circle>\n",
            axis.x(p.measured),
            axis.y(p.predicted),
            colour(i),
            escape(name),
            seconds(p.measured),
            seconds(p.predicted)
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
