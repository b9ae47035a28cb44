//! The bill: GPU hours, API spend scaled to a month, people; its total is the sum of its lines.
use super::Complaints;
use super::facts::{Facts, Policy};
use super::money::{scaled, usd};
use super::pace::spans;
use super::requests::Life;
use super::rows::PolicyEvidence;
use super::summary::close;

/// 730 hours in ns.
const MONTH_NS: i128 = 730 * 3_600 * 1_000_000_000;

/// Compares every line and every sum of a policy's bill.
pub fn bill(c: &mut Complaints, policy: &Policy, facts: &Facts, lives: &[Life], seen: &PolicyEvidence) {
    let s = &seen.summary;
    let spans = spans(facts, lives, s);
    let (window, mut spent) = (i128::from(spans.billed), 0i128);
    let mut lines: Vec<(String, &str, i128)> = Vec::new();
    for (pool, replicas) in facts.pools.iter().zip(&policy.replicas).filter(|(_, n)| **n > 0) {
        let gpus = i128::from(*replicas) * i128::from(pool.gpus);
        lines.push((format!("pool {}", pool.name), "gpu", gpus * 730 * pool.rent));
    }
    for endpoint in policy.endpoints.iter().map(|e| &facts.endpoints[*e]) {
        let attempts = lives.iter().flat_map(|l| &l.attempts);
        let spend: i128 = attempts.filter(|a| a.backend == endpoint.name).map(|a| a.cost).sum();
        spent += spend;
        if spend > 0 && window == 0 {
            c.say(format!("endpoint {}: spend in a window of zero cannot be scaled to a month", endpoint.name));
        } else if spend > 0 {
            lines.push((format!("endpoint {}", endpoint.name), "api", scaled(spend, MONTH_NS, window)));
        }
    }
    if policy.replicas.iter().any(|n| *n > 0) {
        lines.push(("people".into(), "people", scaled(facts.people_per_year, facts.fte_thousandths, 12_000)));
        lines.push(("on-call".into(), "people", scaled(facts.on_call_per_year, 1, 12)));
    }
    let audit: Vec<serde_json::Value> = lines
        .iter()
        .map(|(name, kind, pico)| serde_json::json!({ "name": name, "kind": kind, "usd_per_month": usd(*pico) }))
        .collect();
    let said = s["bill"].as_array().cloned().unwrap_or_default();
    c.same("lines of the bill", said.len(), audit.len());
    for (said, audit) in said.iter().zip(&audit) {
        c.same("a line of the bill", said, audit);
    }
    let of = |kind: &str| lines.iter().filter(|l| l.1 == kind).map(|l| l.2).sum::<i128>();
    let total: i128 = lines.iter().map(|l| l.2).sum();
    for (key, pico) in [
        ("gpu_usd_per_month", of("gpu")),
        ("api_usd_per_month", of("api")),
        ("people_usd_per_month", of("people")),
        ("total_usd_per_month", total),
    ] {
        c.same(format!("bill-exact: {key}"), s[key].as_f64(), Some(usd(pico)));
    }
    let done = lives.iter().filter(|l| l.request.outcome == "completed").map(|l| l.request);
    let tokens: i128 = done.map(|r| i128::from(r.prompt_tokens) + i128::from(r.output_tokens)).sum();
    // What is paid whatever is sent, x time / month, over tokens, times a million (taken out of the month first); and the spend.
    let served = i128::from(spans.in_haste);
    let per_million = (tokens > 0 && served > 0).then(|| {
        let fixed = scaled(total - of("api"), served, MONTH_NS / 1_000_000 * tokens);
        usd(fixed + scaled(spent, 1_000_000, tokens))
    });
    let said = s["usd_per_million_tokens"].as_f64();
    if !matches!((said, per_million), (Some(a), Some(b)) if close(a, b)) && said != per_million {
        c.say(format!("usd_per_million_tokens: the result says {said:?}, the audit {per_million:?}"));
    }
}
