//! `report.html`: one self-contained page that opens without a network.
//!
//! May import: experiment, tables, charts. Must keep true: same summary, same bytes; every text from outside is
//! escaped; no script and no address of anything outside the file.
use super::chart_list::charts_of;
use super::charts::colour;
use super::markup::escape;
use super::page::{Cell, Head, Page, PageTable};
use super::table::{Policy, Table, tables};
use super::why::meaning;
use crate::experiment::summary::Summary;
use baseload_core::types::numbers;

/// Renders the report.
pub fn html(summary: &Summary) -> String {
    let t = tables(summary);
    let mut page = Page::new(&summary.name);
    page.question(&summary.question);
    page.facts(&[
        format!("{} requests over {}", numbers::thousands(summary.requests), numbers::span(summary.window_s)),
        format!("{} policies", summary.policies.len()),
        format!("SLO: {}", slo(summary)),
        format!("seed {}", summary.seed),
    ]);
    page.verdict(std::slice::from_ref(&summary.verdict));
    page.warnings("Warnings", &summary.warnings);
    for table in [&t.service, &t.money, &t.bounds] {
        page.push(&compared(table, &t.policies));
    }
    if !t.legend.is_empty() {
        let items: String = t.legend.iter().map(|l| format!("<li>{}</li>", escape(l))).collect();
        page.push(&format!("<ul class=\"legend\" style=\"margin:-12px 4px 22px\">{items}</ul>\n"));
    }
    page.push(&charts_of(summary));
    page.push(&bill(summary));
    page.push(&inside(summary));
    page.push(&outcomes(summary));
    page.push(&definitions());
    page.finish()
}

fn slo(summary: &Summary) -> String {
    let s = &summary.slo;
    let parts: Vec<String> = [("TTFT", s.ttft_s), ("TPOT", s.tpot_s), ("end to end", s.e2e_s)]
        .into_iter()
        .filter_map(|(name, limit)| {
            limit.map(|l| format!("{name} ≤ {}", numbers::seconds(l).replace(".00", "").replace(".0 ", " ")))
        })
        .collect();
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

fn compared(table: &Table, policies: &[Policy]) -> String {
    let heads = table.columns.iter().map(|column| Head::Unit(&column.long, &column.unit));
    let mut out = PageTable::new(table.title, std::iter::once(Head::Words("policy")).chain(heads));
    for (i, (policy, row)) in policies.iter().zip(&table.rows).enumerate() {
        let dagger = if policy.dagger { " †" } else { "" };
        let over = if policy.overloaded { "<span class=\"tag\">overloaded</span>" } else { "" };
        let cells = row
            .iter()
            .map(|cell| if cell.best { Cell::best(format!("{}*", cell.full)) } else { cell.full.clone().into() });
        out.row(&format!("{}{dagger}{over}", name(i, &policy.name)), cells);
    }
    out.finish()
}

/// A row a policy, a column a line of any bill: what differs between policies stands in one column.
fn bill(summary: &Summary) -> String {
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for kind in ["gpu", "api", "people"] {
        for row in summary.policies.iter().flat_map(|p| &p.bill).filter(|row| row.kind == kind) {
            if row.usd_per_month != 0.0 && !lines.contains(&(kind, &row.name)) {
                lines.push((kind, &row.name));
            }
        }
    }
    let heads = lines.iter().map(|(kind, name)| Head::Unit(name, kind));
    let heads = std::iter::once(Head::Words("policy")).chain(heads).chain([Head::Unit("total", "US$ a month")]);
    let mut out = PageTable::new("The bill, line by line", heads);
    for (i, p) in summary.policies.iter().enumerate() {
        let cell = |(kind, name): &(&str, &str)| {
            let row = p.bill.iter().find(|row| row.kind == *kind && row.name == *name);
            let usd = row.map(|row| row.usd_per_month).filter(|usd| *usd != 0.0);
            Cell::from(usd.map_or_else(|| "–".into(), numbers::usd))
        };
        out.row(&name(i, &p.name), lines.iter().map(cell).chain([Cell::sum(numbers::usd(p.total_usd_per_month))]));
    }
    out.finish()
}

/// The name of a policy in its row, behind its dot.
fn name(i: usize, name: &str) -> String {
    format!("<span class=\"dot\" style=\"background:{}\"></span>{}", colour(i), escape(name))
}

/// What stands behind the latencies: tries, preemptions, failures, cache, and the work left at the end.
fn inside(summary: &Summary) -> String {
    let plain = |name| Head::Unit(name, "");
    let heads = [
        Head::Words("policy"),
        plain("retries"),
        plain("replicas failed"),
        plain("preemptions"),
        Head::Unit("prompt from cache", "%"),
        plain("timed out"),
        plain("drain"),
    ];
    let mut out = PageTable::new("What happened inside", heads);
    for (i, p) in summary.policies.iter().enumerate() {
        let cells = [
            numbers::thousands(p.retries),
            numbers::thousands(p.replica_failures),
            numbers::thousands(p.preemptions),
            numbers::percent_down(p.cached_prompt_share),
            numbers::thousands(p.timed_out),
            numbers::seconds(p.drain_s),
        ];
        out.row(&name(i, &p.name), cells.map(Cell::from));
    }
    out.finish()
}

/// Causes of what did not complete; empty where all did.
fn outcomes(summary: &Summary) -> String {
    if summary.policies.iter().all(|p| p.outcomes.iter().all(|(_, n)| *n == 0)) {
        return String::new();
    }
    let heads = ["policy", "cause", "that is"].map(Head::Words).into_iter();
    let heads = heads.chain(["requests", "share"].map(Head::Figure));
    let mut out = PageTable::new("Why requests did not complete", heads);
    for (i, p) in summary.policies.iter().enumerate() {
        for (cause, count) in p.outcomes.iter().filter(|(_, n)| *n > 0) {
            let share = numbers::percent_down(*count as f64 / p.requests.max(1) as f64);
            let words = [cause.replace('_', " "), meaning(cause).to_owned()].map(Cell::words).into_iter();
            let figures = [numbers::thousands(*count), format!("{share} %")].map(Cell::from);
            out.row(&name(i, &p.name), words.chain(figures));
        }
    }
    out.finish()
}

fn definitions() -> String {
    let terms = [
        (
            "TTFT, end to end",
            "From arrival at the gateway to the client's first and last token: queueing, retries and network included; over completed requests.",
        ),
        ("TPOT", "(end to end − TTFT) / (output tokens − 1), for two tokens or more."),
        ("Window", "First to last arrival. Work after it is served and counts in latencies, but does not lengthen it."),
        (
            "Requests, tokens /s",
            "Completed requests and their output tokens, per second from the first arrival to the last answer.",
        ),
        ("Goodput", "Requests that met every part of the SLO, as a share of all requests that arrived."),
        (
            "Quality",
            "Share of completed requests whose final answer is above the bar, by the qualities that the experiment gives; answers of places without one are left out.",
        ),
        ("Failed", "Includes timed out; rejected and cancelled are apart."),
        (
            "Month",
            "730 h. GPUs: replicas × GPUs × rent × 730, idle included. API: spend, scaled to a month from the time between first and last arrival (in a closed loop and of a burst: to the last answer). People: a twelfth of a year, charged only where GPUs are kept.",
        ),
        (
            "$ per million tokens",
            "What the time from first arrival to last answer costs / (prompt + output tokens of completed requests).",
        ),
        ("Drain", "Work after the last arrival, until the last request ended."),
        ("Self-hosted", "Share of tokens served on own GPUs."),
    ];
    let terms: String = terms.iter().map(|(term, text)| format!("<dt>{term}</dt><dd>{text}</dd>\n")).collect();
    format!("<section><h2>How the numbers are defined</h2><dl>\n{terms}</dl></section>\n")
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn the_page_is_self_contained_escaped_and_repeatable() {
        let mut s = sample();
        s.policies[0].name = "<script>alert(1)</script>".into();
        s.question = "own & \"buy\"?".into();
        s.policies[1].ttft_p99_s = None;
        s.policies[1].e2e_quantiles.clear();
        let page = html(&s);
        assert_eq!(page, html(&s));
        for banned in ["<script", "http:", "https:", "src=", "url(", "@import", "NaN", "inf\""] {
            assert!(!page.contains(banned), "{banned}");
        }
        assert!(page.contains("own &amp; &quot;buy&quot;?") && page.contains("frontier &lt;api&gt;"));
        assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
        assert_eq!(page.matches("class=\"curve\"").count(), 2 * 5, "a curve and a key a policy that completed");
        if let Ok(path) = std::env::var("BASELOAD_SAMPLE_REPORT") {
            std::fs::write(path, html(&sample())).unwrap();
        }
    }

    #[test]
    fn nothing_completed_is_a_page_too() {
        let mut s = sample();
        s.policies.clear();
        assert!(html(&s).contains("No policy completed a request."));
    }
}
