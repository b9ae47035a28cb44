//! `report.html`: one self-contained page that opens without a network.
//!
//! May import: experiment, tables, charts. Must keep true: same summary, same bytes; every text from outside is
//! escaped; no script and no address of anything outside the file.
use super::chart_list::push_charts;
use super::charts::colour;
use super::markup::{escape, prose};
use super::span::span;
use super::style::CSS;
use super::table::{Policy, Table, tables};
use crate::experiment::summary::{Summary, percent, seconds_text, thousands, usd_text};

/// Renders the report.
pub fn html(summary: &Summary) -> String {
    let t = tables(summary);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{0} – Baseload</title>\n\
         <style>\n{CSS}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n",
        escape(&summary.name)
    );
    if !summary.question.is_empty() {
        out.push_str(&format!("<p class=\"q\">{}</p>\n", escape(&summary.question)));
    }
    out.push_str(&format!(
        "<p class=\"facts\">{} requests over {} · {} policies · SLO: {} · seed {}</p>\n",
        thousands(summary.requests),
        span(summary.window_s),
        summary.policies.len(),
        slo(summary),
        summary.seed
    ));
    out.push_str(&format!("<p class=\"verdict\">{}</p>\n", prose(&summary.verdict)));
    if !summary.warnings.is_empty() {
        let items: String = summary.warnings.iter().map(|w| format!("<li>{}</li>", prose(w))).collect();
        out.push_str(&format!("<div class=\"warn\"><strong>Warnings</strong><ul>{items}</ul></div>\n"));
    }
    for table in [&t.service, &t.money, &t.bounds] {
        push_table(&mut out, table, &t.policies);
    }
    if !t.legend.is_empty() {
        let items: String = t.legend.iter().map(|l| format!("<li>{}</li>", escape(l))).collect();
        out.push_str(&format!("<ul class=\"legend\" style=\"margin:-12px 4px 22px\">{items}</ul>\n"));
    }
    push_charts(&mut out, summary);
    push_bill(&mut out, summary);
    push_inside(&mut out, summary);
    push_outcomes(&mut out, summary);
    push_definitions(&mut out);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn slo(summary: &Summary) -> String {
    let s = &summary.slo;
    let parts: Vec<String> = [("TTFT", s.ttft_s), ("TPOT", s.tpot_s), ("end to end", s.e2e_s)]
        .into_iter()
        .filter_map(|(name, limit)| {
            limit.map(|l| format!("{name} ≤ {}", seconds_text(l).replace(".00", "").replace(".0 ", " ")))
        })
        .collect();
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

fn push_table(out: &mut String, table: &Table, policies: &[Policy]) {
    out.push_str(&format!(
        "<section><h2>{}</h2><div class=\"scroll\"><table>\n<thead><tr><th class=\"l\">policy</th>",
        table.title
    ));
    for column in &table.columns {
        let unit = if column.unit.is_empty() { "&nbsp;" } else { &column.unit };
        out.push_str(&format!("<th>{}<small>{unit}</small></th>", column.long));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (i, (policy, row)) in policies.iter().zip(&table.rows).enumerate() {
        let dagger = if policy.dagger { " †" } else { "" };
        let over = if policy.overloaded { "<span class=\"tag\">overloaded</span>" } else { "" };
        out.push_str(&format!("{}{dagger}{over}</th>", head(i, &policy.name)));
        for cell in row {
            let (class, star) = if cell.best { (" class=\"best\"", "*") } else { ("", "") };
            out.push_str(&format!("<td{class}>{}{star}</td>", cell.full));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div></section>\n");
}

/// A row a policy, a column a line of any bill: what differs between policies stands in one column.
fn push_bill(out: &mut String, summary: &Summary) {
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for kind in ["gpu", "api", "people"] {
        for row in summary.policies.iter().flat_map(|p| &p.bill).filter(|row| row.kind == kind) {
            if row.usd_per_month != 0.0 && !lines.contains(&(kind, &row.name)) {
                lines.push((kind, &row.name));
            }
        }
    }
    out.push_str(
        "<section><h2>The bill, line by line</h2><div class=\"scroll\"><table>\n<thead><tr><th class=\"l\">policy</th>",
    );
    for (kind, name) in &lines {
        out.push_str(&format!("<th>{}<small>{kind}</small></th>", escape(name)));
    }
    out.push_str("<th>total<small>US$ a month</small></th></tr></thead>\n<tbody>\n");
    for (i, p) in summary.policies.iter().enumerate() {
        out.push_str(&format!("{}</th>", head(i, &p.name)));
        for (kind, name) in &lines {
            let row = p.bill.iter().find(|row| row.kind == *kind && row.name == *name);
            let text = row.filter(|r| r.usd_per_month != 0.0).map_or_else(|| "–".into(), |r| usd_text(r.usd_per_month));
            out.push_str(&format!("<td>{text}</td>"));
        }
        out.push_str(&format!("<td class=\"sum\">{}</td></tr>\n", usd_text(p.total_usd_per_month)));
    }
    out.push_str("</tbody></table></div></section>\n");
}

/// The start of a policy's row, its heading still open: its dot and its name.
fn head(i: usize, name: &str) -> String {
    format!("<tr><th scope=\"row\"><span class=\"dot\" style=\"background:{}\"></span>{}", colour(i), escape(name))
}

/// What stands behind the latencies: tries, preemptions, failures, cache, and the work left at the end.
fn push_inside(out: &mut String, summary: &Summary) {
    out.push_str(
        "<section><h2>What happened inside</h2><div class=\"scroll\"><table>\n<thead><tr><th class=\"l\">policy</th>\
         <th>retries<small>&nbsp;</small></th><th>replicas failed<small>&nbsp;</small></th>\
         <th>preemptions<small>&nbsp;</small></th><th>prompt from cache<small>%</small></th>\
         <th>timed out<small>&nbsp;</small></th><th>drain<small>&nbsp;</small></th></tr></thead>\n<tbody>\n",
    );
    for (i, p) in summary.policies.iter().enumerate() {
        out.push_str(&format!(
            "{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            head(i, &p.name),
            thousands(p.retries),
            thousands(p.replica_failures),
            thousands(p.preemptions),
            percent(p.cached_prompt_share),
            thousands(p.timed_out),
            seconds_text(p.drain_s)
        ));
    }
    out.push_str("</tbody></table></div></section>\n");
}

fn push_outcomes(out: &mut String, summary: &Summary) {
    if summary.policies.iter().all(|p| p.outcomes.iter().all(|(_, n)| *n == 0)) {
        return;
    }
    out.push_str(
        "<section><h2>Why requests did not complete</h2><div class=\"scroll\"><table>\n<thead><tr>\
         <th class=\"l\">policy</th><th class=\"l\">cause</th><th class=\"l\">that is</th><th>requests</th><th>share</th>\
         </tr></thead>\n<tbody>\n",
    );
    for (i, p) in summary.policies.iter().enumerate() {
        for (cause, count) in p.outcomes.iter().filter(|(_, n)| *n > 0) {
            out.push_str(&format!(
                "{}</th><td class=\"l\">{}</td><td class=\"l\">{}</td><td>{}</td><td>{} %</td></tr>\n",
                head(i, &p.name),
                escape(&cause.replace('_', " ")),
                meaning(cause),
                thousands(*count),
                percent(*count as f64 / p.requests.max(1) as f64)
            ));
        }
    }
    out.push_str("</tbody></table></div></section>\n");
}

/// A cause in words; empty for one that this page does not know.
fn meaning(cause: &str) -> &'static str {
    match cause {
        "constraint" => "no backend that the policy keeps may serve it: privacy, capability or context length",
        "rate_limited" => "the endpoint's limits, to the last try (429)",
        "server_error" => "the endpoint's errors, to the last try (5xx)",
        "queue_full" => "the engine's queue was full, to the last try (503)",
        "replica_lost" => "its replica died, to the last try",
        "too_long" => "longer than what the backend takes",
        "timeout" => "the gateway's patience ended",
        "try_timeout" => "each try ran out of its own time",
        "shed" => "refused while the fleet was full",
        "gateway_queue_full" => "the gateway's queue was full",
        "queue_timeout" => "it waited too long in the gateway's queue",
        "client_gone" => "its client did not wait any longer",
        "no_backend" => "breakers, cooldowns or limits kept every backend out",
        _ => "",
    }
}

fn push_definitions(out: &mut String) {
    let terms = [
        (
            "TTFT, end to end",
            "From arrival at the gateway to the client's first and last token: queueing, retries and network included; over completed requests.",
        ),
        ("TPOT", "(end to end − TTFT) / (output tokens − 1), for two tokens or more."),
        ("Window", "First to last arrival. Work after it is served and counts in latencies, but does not lengthen it."),
        ("Requests, tokens /s", "Completed requests and their output tokens, per second of the window."),
        ("Goodput", "Requests that met every part of the SLO, as a share of all requests that arrived."),
        (
            "Quality",
            "Share of completed requests whose final answer is above the bar, by the qualities that the experiment gives; answers of places without one are left out.",
        ),
        ("Failed", "Includes timed out; rejected and cancelled are apart."),
        (
            "Month",
            "730 h. GPUs: replicas × GPUs × rent × 730, idle included. API: spend of the window scaled to a month. People: a twelfth of a year, charged only where GPUs are kept.",
        ),
        (
            "$ per million tokens",
            "The window's part of the whole bill / (prompt + output tokens of completed requests).",
        ),
        ("Drain", "Work after the last arrival, until the last request ended."),
        ("Self-hosted", "Share of tokens served on own GPUs."),
    ];
    out.push_str("<section><h2>How the numbers are defined</h2><dl>\n");
    for (term, text) in terms {
        out.push_str(&format!("<dt>{term}</dt><dd>{text}</dd>\n"));
    }
    out.push_str("</dl></section>\n");
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
