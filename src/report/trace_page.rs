//! `trace info --html`: what a trace holds, as charts and tables.
//!
//! May import: trace, charts. Must keep true: same trace, same bytes; no script and nothing from outside the file.
use super::charts::{Axis, BOTTOM, LEFT, RIGHT, frame_of};
use super::markup::escape;
use super::page::{Cell, Head, Page, PageTable};
use baseload_core::types::numbers::{self, span, thousands, tick_count, tick_percent};
use baseload_trace::{ArrivalStats, PrefixCurve, Quantiles, RateSeries, TenantStats, TimeQuantiles, TraceStats};

/// Heading of the prefix curve.
const PREFIX: &str = "Prompt tokens that a prefix cache has";

/// Renders the page; `name` is the trace's file and `format` how it was read.
pub fn trace_page(name: &str, format: &str, s: &TraceStats) -> String {
    let mut facts = vec![format!("{} requests", thousands(s.count))];
    if let Some(a) = &s.arrivals {
        facts.push(format!("over {}", span(a.span_s)));
        facts.push(format!("{} requests/s", numbers::three_digits(a.rate_per_s)));
        facts.push(format!("inter-arrival CV {}", numbers::decimals(a.gap_cv, 2)));
    }
    facts.push(format!("read as {format}"));
    let mut page = Page::new(&format!("Trace {name}"));
    page.facts(&facts);
    page.warnings("How it was read", &s.notes);
    page.push("<div class=\"two\" style=\"row-gap:0\">\n");
    page.push(&figures(s));
    page.push("</div>\n");
    page.push(&counts(s));
    page.push(&times(s));
    page.push(&s.tenants.as_ref().map_or_else(String::new, tenants));
    page.push(&s.prefix.as_ref().map_or_else(String::new, prefix_hits));
    page.finish()
}

/// The charts, each in a section.
fn figures(s: &TraceStats) -> String {
    let mut out = String::new();
    match &s.arrivals {
        Some(a) => figure(&mut out, "Rate over time", &rate_caption(a), &rate(&a.rate)),
        None => figure(&mut out, "Rate over time", "The trace does not say when its requests arrive.", ""),
    }
    if let Some(curve) = &s.prefix {
        figure(&mut out, PREFIX, &curve_caption(curve), &hits(curve));
    }
    let zeros = match s.zero_outputs {
        0 => String::new(),
        n => format!(" {} requests without output are left out.", thousands(n)),
    };
    for (heading, q, more) in [("Prompt tokens", &s.prompt_tokens, ""), ("Output tokens", &s.output_tokens, &*zeros)] {
        figure(&mut out, heading, &format!("Share of requests, ten bars a factor of ten.{more}"), &bars(q, heading));
    }
    if let Some(sessions) = &s.sessions {
        let caption = format!(
            "Share of {} sessions by their number of requests; {} of requests are in one.",
            thousands(sessions.count),
            numbers::percent(sessions.share)
        );
        figure(&mut out, "Requests a session", &caption, &bars(&sessions.depth, "Requests a session"));
    }
    if s.prefix.is_none() {
        figure(&mut out, PREFIX, "Unknown: the trace says nothing of what its prompts have in common.", "");
    }
    out
}

fn figure(out: &mut String, heading: &str, caption: &str, chart: &str) {
    out.push_str(&format!(
        "<section><figure><h2>{heading}</h2><figcaption>{}</figcaption>\n{chart}</figure></section>\n",
        escape(caption)
    ));
}

fn rate_caption(a: &ArrivalStats) -> String {
    let indices =
        a.dispersion.iter().filter_map(|d| d.index.map(|i| format!("{} at {} s", numbers::decimals(i, 2), d.window_s)));
    let indices: Vec<String> = indices.collect();
    let spread = match indices.is_empty() {
        true => String::new(),
        false => format!(" Index of dispersion of counts (1 is Poisson): {}.", indices.join(", ")),
    };
    format!("Requests a second in bins of {}.{spread}", span(a.rate.bin_s))
}

fn rate(series: &RateSeries) -> String {
    let all_s = series.bin_s * series.per_s.len() as f64;
    let (unit_s, unit) = match all_s {
        s if s >= 4.0 * 86_400.0 => (86_400.0, "days"),
        s if s >= 4.0 * 3_600.0 => (3_600.0, "hours"),
        s if s >= 240.0 => (60.0, "minutes"),
        _ => (1.0, "seconds"),
    };
    let (x, y) = (Axis::up_to(all_s / unit_s), Axis::linear(series.per_s.iter().copied().fold(0.0, f64::max)));
    let mut out = String::new();
    let title = format!("{unit} from the first request");
    frame_of(
        &mut out,
        "Requests a second over time",
        [&x, &y],
        [tick_count, tick_count],
        [&title, "requests a second"],
    );
    let mut line = String::new();
    for (i, v) in series.per_s.iter().enumerate() {
        let (from, to) = (i as f64 * series.bin_s / unit_s, (i + 1) as f64 * series.bin_s / unit_s);
        let first = if i == 0 { 'M' } else { 'L' };
        line.push_str(&format!("{first}{:.1} {:.1}H{:.1}", x.x(from), y.y(*v), x.x(to)));
    }
    let right = x.x(all_s / unit_s);
    out.push_str(&format!(
        "<path d=\"{line}V{BOTTOM}H{LEFT}Z\" style=\"fill:var(--c0);fill-opacity:.15\"/>\n\
         <path class=\"curve\" style=\"stroke:var(--c0);stroke-width:1.3\" d=\"{line}\"/>\n<path class=\"g\" d=\"M{LEFT} {BOTTOM}H{right:.1}\"/>\n</svg>\n"
    ));
    out
}

/// Shares of values as bars on a logarithmic axis.
fn bars(q: &Quantiles, what: &str) -> String {
    let (Some(first), Some(last)) = (q.histogram.first(), q.histogram.last()) else {
        return "<p>There are none.</p>\n".into();
    };
    let all: u64 = q.histogram.iter().map(|b| b.2).sum();
    let share = |n: u64| n as f64 * 100.0 / all as f64;
    let x = Axis::log(f64::from(first.0), f64::from(last.1).max(f64::from(first.0) * 10.0));
    let y = Axis::linear(q.histogram.iter().map(|b| share(b.2)).fold(0.0, f64::max));
    let mut out = String::new();
    let title = format!("{}, log scale", what.to_lowercase());
    frame_of(&mut out, what, [&x, &y], [tick_count, tick_percent], [title.trim_end_matches(", log scale"), "share"]);
    for &(from, to, n) in &q.histogram {
        let (left, right, top) = (x.x(f64::from(from)), x.x(f64::from(to)), y.y(share(n)));
        let values = if to == from + 1 {
            thousands(from.into())
        } else {
            format!("{} to {}", thousands(from.into()), thousands(u64::from(to) - 1))
        };
        out.push_str(&format!(
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" style=\"fill:var(--c0)\"><title>{values}: {}</title></rect>\n",
            (right - left - 1.0).max(1.0),
            BOTTOM - top,
            numbers::percent_fine(share(n) / 100.0)
        ));
    }
    out.push_str("</svg>\n");
    out
}

fn curve_caption(curve: &PrefixCurve) -> String {
    let sampled = match curve.sampled_one_in {
        1 => String::new(),
        n => format!(" An estimate from one block in {n}."),
    };
    format!(
        "LRU over blocks of {} tokens; {} distinct blocks. The dashed line is a cache without limit: {}.{sampled}",
        curve.block_tokens,
        thousands(curve.distinct_blocks),
        numbers::percent(curve.unlimited)
    )
}

fn hits(curve: &PrefixCurve) -> String {
    let (Some(first), Some(last)) = (curve.points.first(), curve.points.last()) else {
        return "<p>No block was asked for twice.</p>\n".into();
    };
    let x = Axis::log(first.tokens as f64, (last.tokens as f64).max(first.tokens as f64 * 10.0));
    let y = Axis::linear(curve.unlimited * 100.0);
    let mut out = String::new();
    frame_of(
        &mut out,
        "Share of prompt tokens that a prefix cache has, by its size",
        [&x, &y],
        [tick_count, tick_percent],
        ["tokens that the cache holds", "prompt tokens"],
    );
    let level = y.y(curve.unlimited * 100.0);
    out.push_str(&format!(
        "<path class=\"curve\" style=\"stroke:var(--c1);stroke-width:1.3;stroke-dasharray:5 4\" d=\"M{LEFT} {level:.1}H{RIGHT}\"/>\n"
    ));
    let points: Vec<String> =
        curve.points.iter().map(|p| format!("{:.1} {:.1}", x.x(p.tokens as f64), y.y(p.hit_share * 100.0))).collect();
    out.push_str(&format!("<path class=\"curve\" style=\"stroke:var(--c0)\" d=\"M{}\"/>\n", points.join("L")));
    for p in &curve.points {
        out.push_str(&format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" style=\"fill:var(--c0)\"><title>{} blocks, {} tokens: {}</title></circle>\n",
            x.x(p.tokens as f64),
            y.y(p.hit_share * 100.0),
            thousands(p.blocks),
            thousands(p.tokens),
            numbers::percent_fine(p.hit_share)
        ));
    }
    out.push_str("</svg>\n");
    out
}

/// A table whose first column is words and whose others are figures.
fn table<const N: usize>(heading: &str, words: &str, figures: [&str; N]) -> PageTable {
    PageTable::new(heading, std::iter::once(Head::Words(words)).chain(figures.map(Head::Figure)))
}

fn counts(s: &TraceStats) -> String {
    let mut out = table("Counts", "what", ["mean", "p50", "p90", "p99", "max"]);
    let depth = s.sessions.as_ref().map(|x| ("requests a session", &x.depth));
    let all = [("prompt tokens", &s.prompt_tokens), ("output tokens", &s.output_tokens)];
    for (name, q) in all.into_iter().chain(depth) {
        let quantiles = [q.p50, q.p90, q.p99, q.max].map(|n| thousands(n.into()));
        out.row(name, std::iter::once(numbers::mean_count(q.mean)).chain(quantiles).map(Cell::from));
    }
    out.finish()
}

/// Times that the trace has; empty where it has none.
fn times(s: &TraceStats) -> String {
    let think = s.sessions.as_ref().and_then(|x| x.think);
    let all = [("think time", think), ("measured TTFT", s.ttft), ("measured end to end", s.e2e)];
    let known: Vec<(&str, TimeQuantiles)> = all.into_iter().filter_map(|(name, t)| t.map(|t| (name, t))).collect();
    if known.is_empty() {
        return String::new();
    }
    let mut out = table("Times in the trace, s", "what", ["requests", "mean", "p50", "p90", "p99", "max"]);
    for (name, t) in known {
        let times = [t.mean_s, t.p50_s, t.p90_s, t.p99_s, t.max_s].map(numbers::column);
        out.row(name, std::iter::once(thousands(t.count)).chain(times).map(Cell::from));
    }
    out.finish()
}

fn tenants(tenants: &TenantStats) -> String {
    let heading = format!("{} tenants", thousands(tenants.count));
    let mut out = table(&heading, "tenant", ["requests", "share of requests", "share of tokens"]);
    let mut one = |name: &str, t: &baseload_trace::TenantShare| {
        let shares = [t.share, t.token_share].map(numbers::percent);
        out.row(&escape(name), std::iter::once(thousands(t.requests)).chain(shares).map(Cell::from));
    };
    tenants.top.iter().for_each(|t| one(&t.tenant.to_string(), t));
    if tenants.rest.requests > 0 {
        one("all others", &tenants.rest);
    }
    out.finish()
}

fn prefix_hits(curve: &PrefixCurve) -> String {
    let mut out = table("Prefix hits by cache size", "blocks", ["tokens", "prompt tokens that it has"]);
    for p in &curve.points {
        out.row(&thousands(p.blocks), [thousands(p.tokens), numbers::percent_fine(p.hit_share)].map(Cell::from));
    }
    out.row("without limit", [String::new(), numbers::percent_fine(curve.unlimited)].map(Cell::from));
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use baseload_trace::{GenerateSpec, Generator, SourceOptions};

    #[test]
    fn the_page_is_self_contained_escaped_and_repeatable() {
        let spec = GenerateSpec::parse(include_str!("../../traces/support-desk.toml"), "s.toml").unwrap();
        let mut entries = Generator::new(&spec, &SourceOptions::default()).unwrap();
        let mut stats = TraceStats::of(&mut entries, 16).unwrap();
        stats.notes.push("a <note>".into());
        let page = trace_page("<x>&.toml", "generator", &stats);
        assert_eq!(page, trace_page("<x>&.toml", "generator", &stats));
        for banned in ["<script", "http:", "https:", "src=", "url(", "@import", "NaN", "inf\""] {
            assert!(!page.contains(banned), "{banned}");
        }
        assert!(page.contains("&lt;x&gt;&amp;.toml") && page.contains("a &lt;note&gt;"));
        assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
        assert_eq!(page.matches("<svg").count(), 4);
        (stats.prefix, stats.arrivals) = (None, None);
        let page = trace_page("x", "generator", &stats);
        assert_eq!((page.matches("<svg").count(), page.matches("Unknown: ").count()), (2, 1));
    }
}
