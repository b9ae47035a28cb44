//! `breakeven.html`: one self-contained page that opens without a network.
//!
//! May import: experiment, charts. Must keep true: same result, same bytes; every text from outside is escaped; no script and no
//! address of anything outside the file.
use super::breakeven::{PART_WORDS, PARTS, good, head, sentences};
use super::breakeven_numbers::{money, rate_text, volume_text};
use super::charts::{Axis, colour, dollars, frame_of};
use super::markup::{escape, prose};
use super::style::CSS;
use crate::experiment::breakeven::{BreakEven, Kind, Point};

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
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{0}: break-even – Baseload</title>\n\
         <style>\n{CSS}</style>\n</head>\n<body>\n<main>\n<h1>{0}: break-even</h1>\n",
        escape(&b.name)
    );
    if !b.question.is_empty() {
        out.push_str(&format!("<p class=\"q\">{}</p>\n", escape(&b.question)));
    }
    out.push_str(&format!("<p class=\"facts\">{} · seed {}</p>\n", prose(&head(b)), b.seed));
    let said: String = sentences(b).iter().map(|s| format!("<p>{}</p>\n", prose(s))).collect();
    out.push_str(&format!("<div class=\"verdict\">{said}</div>\n"));
    if !b.warnings.is_empty() {
        let items: String = b.warnings.iter().map(|w| format!("<li>{}</li>", escape(w))).collect();
        out.push_str(&format!("<div class=\"warn\"><strong>Before trusting it</strong><ul>{items}</ul></div>\n"));
    }
    out.push_str("<section><h2>Cost a month against volume</h2>\n<figure style=\"max-width:860px\">\n");
    push_chart(&mut out, b);
    out.push_str("</figure></section>\n");
    push_lines(&mut out, b);
    if b.points.iter().any(|p| p.gap.is_some()) {
        push_gap(&mut out, b);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn push_chart(out: &mut String, b: &BreakEven) {
    let of_point =
        |p: &Point| -> Vec<f64> { p.lines.iter().map(|l| l.usd_per_month).chain(p.naive_own_usd_per_month).collect() };
    let all: Vec<f64> = b.points.iter().flat_map(of_point).filter(|usd| *usd > 0.0).collect();
    let (low, high) = (all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().copied().fold(0.0, f64::max));
    let (Some(first), Some(last)) = (b.points.first(), b.points.last()) else { return };
    if all.is_empty() {
        out.push_str("<p>Nothing costs anything.</p>\n");
        return;
    }
    let (x, y) = (Axis::log(first.volume, last.volume), Axis::log(low * 0.8, high * 1.25));
    let titles = ["volume, times today's", "US$ a month, log scale"];
    frame_of(out, "Cost a month against volume", [&x, &y], [volume_text, dollars], titles);
    let mut keys = String::from("<div class=\"keys\">\n");
    let mut draw = |kind: Option<Kind>, title: &str, points: &[(f64, f64)]| {
        if points.is_empty() {
            return;
        }
        let at = |(v, usd): &(f64, f64)| format!("{:.1} {:.1}", x.x(*v), y.y(*usd));
        let d = points.iter().map(at).collect::<Vec<_>>().join("L");
        let style = style(kind);
        out.push_str(&format!("<path class=\"curve\" style=\"{style}\" d=\"M{d}\"/>\n"));
        keys.push_str(&format!(
            "<span><svg width=\"30\" height=\"8\"><path class=\"curve\" style=\"{style}\" d=\"M0 4H30\"/></svg>{}</span>\n",
            escape(title)
        ));
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
                volume_text(p.volume),
                money(l.usd_per_month),
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
            volume_text(c.volume)
        ));
    }
    out.push_str("</svg>\n");
    out.push_str(&keys);
    out.push_str(
        "</div>\n<p class=\"legend\">Filled dots meet the SLO, hollow ones miss it; rings are crossings.</p>\n",
    );
}

fn push_lines(out: &mut String, b: &BreakEven) {
    out.push_str("<section><h2>The lines</h2><div class=\"scroll\"><table>\n<thead><tr><th class=\"l\">volume</th><th>requests<small>/s</small></th>");
    for l in &b.lines {
        if l.kind != Kind::Api {
            out.push_str(&format!("<th>{}<small>replicas</small></th>", l.kind.title()));
        }
        out.push_str(&format!("<th>{}<small>US$ a month</small></th><th>good<small>%</small></th>", l.kind.title()));
    }
    out.push_str("<th>naive own<small>US$ a month</small></th></tr></thead>\n<tbody>\n");
    for p in &b.points {
        out.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td>",
            volume_text(p.volume),
            rate_text(p.requests_per_s)
        ));
        for (l, line) in b.lines.iter().zip(&p.lines) {
            if l.kind != Kind::Api {
                out.push_str(&format!("<td>{}</td>", line.replicas()));
            }
            out.push_str(&format!("<td class=\"sum\">{}</td><td>{}</td>", money(line.usd_per_month), good(line)));
        }
        out.push_str(&format!("<td>{}</td></tr>\n", p.naive_own_usd_per_month.map_or_else(|| "–".into(), money)));
    }
    out.push_str("</tbody></table></div>\n<ul class=\"legend\"><li>† misses the SLO</li></ul></section>\n");
}

fn push_gap(out: &mut String, b: &BreakEven) {
    out.push_str("<section><h2>What the naive line leaves out, US$ a month</h2><div class=\"scroll\"><table>\n<thead><tr><th class=\"l\">volume</th>");
    for (first, second, _) in PARTS {
        // Heads that are broken in two for a terminal.
        let name = match (first, second) {
            ("head-", _) => "headroom".to_owned(),
            (first, second) => format!("{first} {second}").trim_end().to_owned(),
        };
        out.push_str(&format!("<th>{name}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for p in &b.points {
        let Some(gap) = &p.gap else { continue };
        out.push_str(&format!("<tr><th scope=\"row\">{}</th>", volume_text(p.volume)));
        for (i, (_, _, get)) in PARTS.iter().enumerate() {
            let class = if i + 1 == PARTS.len() { " class=\"sum\"" } else { "" };
            out.push_str(&format!("<td{class}>{}</td>", money(get(gap))));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n<dl>\n");
    for (part, words) in PART_WORDS {
        out.push_str(&format!("<dt>{part}</dt><dd>{}</dd>\n", escape(words)));
    }
    out.push_str("</dl></section>\n");
}
