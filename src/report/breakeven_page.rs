//! `breakeven.html`: one self-contained page that opens without a network.
//!
//! May import: experiment, charts. Must keep true: same result, same bytes; every text from outside is escaped; no script and no
//! address of anything outside the file.
use super::breakeven::{PART_WORDS, PARTS, Part, good, head, sentences};
use super::charts::{Axis, colour, frame_of};
use super::markup::escape;
use super::page::{Cell, Head, Page, PageTable, key};
use crate::experiment::breakeven::{BreakEven, Kind, Point};
use baseload_core::types::numbers;

/// Colours and dashes of the naive line and of the three lines.
fn style(kind: Option<Kind>) -> String {
    let (colour, dashes) = match kind {
        Some(Kind::Api) => (colour(0), "none"),
        Some(Kind::Own) => (colour(1), "7 3"),
        Some(Kind::Hybrid) => (colour(2), "none"),
        None => (colour(7), "2 3"),
    };
    format!("stroke:{colour};stroke-dasharray:{dashes}")
}

/// Renders the page.
pub fn breakeven_page(b: &BreakEven) -> String {
    let mut page = Page::new(&format!("{}: break-even", b.name));
    page.question(&b.question);
    page.facts(&[head(b), format!("seed {}", b.seed)]);
    page.verdict(&sentences(b));
    page.warnings("Warnings", &b.warnings);
    page.push("<section><h2>Cost a month against volume</h2>\n<figure style=\"max-width:860px\">\n");
    page.push(&chart(b));
    page.push("</figure></section>\n");
    page.push(&lines(b));
    if b.points.iter().any(|p| p.gap.is_some()) {
        page.push(&gap(b));
    }
    page.finish()
}

fn chart(b: &BreakEven) -> String {
    let of_point =
        |p: &Point| -> Vec<f64> { p.lines.iter().map(|l| l.usd_per_month).chain(p.naive_own_usd_per_month).collect() };
    let all: Vec<f64> = b.points.iter().flat_map(of_point).filter(|usd| *usd > 0.0).collect();
    let (low, high) = (all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().copied().fold(0.0, f64::max));
    let (Some(first), Some(last)) = (b.points.first(), b.points.last()) else { return String::new() };
    if all.is_empty() {
        return "<p>Nothing costs anything.</p>\n".into();
    }
    let (x, y) = (Axis::log(first.volume, last.volume), Axis::log(low * 0.8, high * 1.25));
    let titles = ["volume, times today's", "US$ a month, log scale"];
    let mut out = String::new();
    frame_of(&mut out, "Cost a month against volume", [&x, &y], [numbers::volume, numbers::tick_usd], titles);
    let mut keys = String::from("<div class=\"keys\">\n");
    let mut draw = |kind: Option<Kind>, title: &str, points: &[(f64, f64)]| {
        if points.is_empty() {
            return;
        }
        let at = |(v, usd): &(f64, f64)| format!("{:.1} {:.1}", x.x(*v), y.y(*usd));
        let d = points.iter().map(at).collect::<Vec<_>>().join("L");
        let style = style(kind);
        out.push_str(&format!("<path class=\"curve\" style=\"{style}\" d=\"M{d}\"/>\n"));
        keys.push_str(&key("curve", &style, title));
    };
    let naive = b.points.iter().filter_map(|p| Some((p.volume, p.naive_own_usd_per_month?)));
    draw(None, "naive own line", &naive.filter(|(_, usd)| *usd > 0.0).collect::<Vec<_>>());
    // The hybrid first: where it is as dear as the own line, that one's dashes lie over it.
    let mut order: Vec<usize> = (0..b.lines.len()).collect();
    order.sort_by_key(|i| b.lines[*i].kind != Kind::Hybrid);
    for (i, line) in order.iter().map(|i| (*i, &b.lines[*i])) {
        let curve = b.points.iter().map(|p| (p.volume, p.lines[i].usd_per_month)).filter(|(_, usd)| *usd > 0.0);
        draw(Some(line.kind), &format!("{} ({})", line.kind.title(), line.policy), &curve.collect::<Vec<_>>());
    }
    marks(&mut out, b, &x, &y);
    out.push_str("</svg>\n");
    out.push_str(&keys);
    out.push_str(
        "</div>\n<p class=\"legend\">Filled dots meet the SLO, hollow ones miss it; rings are crossings.</p>\n",
    );
    out
}

/// A dot for each line at each volume, and a ring at each crossing.
fn marks(out: &mut String, b: &BreakEven, x: &Axis, y: &Axis) {
    for (i, line) in b.lines.iter().enumerate() {
        for p in b.points.iter().filter(|p| p.lines[i].usd_per_month > 0.0) {
            let l = &p.lines[i];
            let colour = match line.kind {
                Kind::Api => colour(0),
                Kind::Own => colour(1),
                Kind::Hybrid => colour(2),
            };
            // Hollow where it misses the SLO.
            let fill = if l.meets_slo { colour.clone() } else { "var(--card)".into() };
            out.push_str(&format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" style=\"fill:{fill};stroke:{colour};stroke-width:1.5\"><title>{} at {}: US$ {} a month, {} replicas, {} % good</title></circle>\n",
                x.x(p.volume),
                y.y(l.usd_per_month),
                escape(&line.policy),
                numbers::volume(p.volume),
                numbers::usd_wide(l.usd_per_month),
                l.replicas(),
                good(l)
            ));
        }
    }
    for c in &b.crossings {
        out.push_str(&format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"7\" style=\"fill:none;stroke:var(--ink);stroke-width:1.5\"><title>{} becomes the cheaper one at {}</title></circle>\n",
            x.x(c.volume),
            y.y(c.usd_per_month[1]),
            c.above.title(),
            numbers::volume(c.volume)
        ));
    }
}

fn lines(b: &BreakEven) -> String {
    let mut heads = vec![Head::Words("volume"), Head::Unit("requests", "/s")];
    for l in &b.lines {
        if l.kind != Kind::Api {
            heads.push(Head::Unit(l.kind.title(), "replicas"));
        }
        heads.extend([Head::Unit(l.kind.title(), "US$ a month"), Head::Unit("good", "%")]);
    }
    heads.push(Head::Unit("naive own", "US$ a month"));
    let mut table = PageTable::new("The lines", heads);
    for p in &b.points {
        let mut cells = vec![Cell::from(numbers::three_digits(p.requests_per_s))];
        for (l, line) in b.lines.iter().zip(&p.lines) {
            if l.kind != Kind::Api {
                cells.push(line.replicas().to_string().into());
            }
            cells.extend([Cell::sum(numbers::usd_wide(line.usd_per_month)), good(line).into()]);
        }
        cells.push(p.naive_own_usd_per_month.map_or_else(|| "–".into(), numbers::usd_wide).into());
        table.row(&numbers::volume(p.volume), cells);
    }
    table.finish_with("<ul class=\"legend\"><li>† misses the SLO</li></ul>")
}

fn gap(b: &BreakEven) -> String {
    // Heads that are broken in two for a terminal.
    let names = PARTS.map(|(first, second, _)| match (first, second) {
        ("head-", _) => "headroom".to_owned(),
        (first, second) => format!("{first} {second}").trim_end().to_owned(),
    });
    let heads = std::iter::once(Head::Words("volume")).chain(names.iter().map(|name| Head::Figure(name)));
    let mut table = PageTable::new("What the naive line leaves out, US$ a month", heads);
    for p in &b.points {
        let Some(gap) = &p.gap else { continue };
        let cell = |(i, (_, _, get)): (usize, &Part)| {
            let usd = numbers::usd_wide(get(gap));
            if i + 1 == PARTS.len() { Cell::sum(usd) } else { Cell::from(usd) }
        };
        table.row(&numbers::volume(p.volume), PARTS.iter().enumerate().map(cell));
    }
    let words = PART_WORDS.map(|(part, words)| format!("<dt>{part}</dt><dd>{}</dd>\n", escape(words)));
    table.finish_with(&format!("<dl>\n{}</dl>", words.concat()))
}
