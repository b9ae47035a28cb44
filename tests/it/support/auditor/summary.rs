//! The summary's counts, rates, shares and quantiles, from the rows.
use super::Complaints;
use super::facts::{Facts, Policy};
use super::requests::Life;
use super::rows::{Evidence, PolicyEvidence};
use serde_json::Value;

pub fn close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

/// Complains unless the number at `key` is `audit`.
pub fn number(c: &mut Complaints, summary: &Value, key: &str, audit: f64) {
    match summary[key].as_f64() {
        Some(result) if close(result, audit) => {}
        _ => c.say(format!("{key}: the result says {}, the audit {audit}", summary[key])),
    }
}

/// One policy's summary but for its bill.
pub fn summary(c: &mut Complaints, facts: &Facts, policy: &Policy, lives: &[Life], seen: &PolicyEvidence) {
    let s = &seen.summary;
    let all = lives.len() as f64;
    let done: Vec<&Life> = lives.iter().filter(|l| l.request.outcome == "completed").collect();
    let count = |outcome: &str| lives.iter().filter(|l| l.request.outcome == outcome).count() as f64;
    let total = |what: &dyn Fn(&Life) -> u64, of: &[&Life]| of.iter().map(|l| what(l)).sum::<u64>() as f64;
    number(c, s, "requests", all);
    number(c, s, "completed", count("completed"));
    number(c, s, "rejected", count("rejected"));
    number(c, s, "timed_out", count("timed_out"));
    number(c, s, "failed", count("failed") + count("timed_out"));
    number(c, s, "cancelled", count("cancelled"));
    let served_s = super::pace::spans(facts, lives, s).served as f64 / 1e9;
    let per_s = |n: f64| if served_s > 0.0 { n / served_s } else { 0.0 };
    let share = |n: f64, of: f64| if of == 0.0 { 0.0 } else { n / of };
    let met = lives.iter().filter(|l| l.request.met_slo).count() as f64;
    let prompt = total(&|l| l.request.prompt_tokens.into(), &done);
    let output = total(&|l| l.request.output_tokens.into(), &done);
    number(c, s, "requests_per_s", per_s(done.len() as f64));
    number(c, s, "output_tokens_per_s", per_s(output));
    number(c, s, "goodput_per_s", per_s(met));
    number(c, s, "goodput_share", share(met, all));
    number(c, s, "prompt_tokens", prompt);
    number(c, s, "output_tokens", output);
    let tokens = |l: &Life| u64::from(l.request.prompt_tokens) + u64::from(l.request.output_tokens);
    let own: Vec<&Life> =
        done.iter().copied().filter(|l| facts.pools.iter().any(|p| p.name == l.request.backend)).collect();
    number(c, s, "self_hosted_share", share(total(&tokens, &own), prompt + output));
    number(c, s, "cached_prompt_share", share(total(&|l| l.request.cached_tokens.into(), &done), prompt));
    let every: Vec<&Life> = lives.iter().collect();
    number(c, s, "preemptions", total(&|l| l.request.preemptions.into(), &every));
    let more =
        ["retries", "hedges", "fallbacks", "escalations"].map(|k| s[k].as_u64().unwrap_or(0)).iter().sum::<u64>();
    c.same("tries beyond the first", more as f64, total(&|l| l.attempts.len().saturating_sub(1) as u64, &every));
    if !policy.free {
        c.same("tries beyond the first that are retries", s["retries"].as_u64(), Some(more));
    }
    let because = |causes: &[&str]| lives.iter().filter(|l| causes.contains(&l.request.cause.as_str())).count() as u64;
    let said = |key: &str| s[key].as_u64().unwrap_or(0);
    c.same("shed", said("shed"), because(&["shed"]));
    c.same("queue_timeouts", said("queue_timeouts"), because(&["queue_timeout", "gateway_queue_full"]));
    let tries = lives.iter().flat_map(|l| &l.attempts);
    c.same("try_timeouts", said("try_timeouts"), tries.filter(|a| a.cause == "try_timeout").count() as u64);
    let last = lives.iter().map(|l| l.request.arrival).max().unwrap_or(0);
    let drain = lives.iter().map(|l| l.request.ended).max().unwrap_or(0).saturating_sub(last);
    number(c, s, "drain_s", drain as f64 / 1e9);
    super::pace::pace(c, facts, policy, lives, s);
    let mut causes = std::collections::BTreeMap::<&str, u64>::new();
    for l in lives.iter().filter(|l| l.request.outcome != "completed") {
        let cause = if l.request.cause.is_empty() { &l.request.outcome } else { &l.request.cause };
        *causes.entry(cause).or_default() += 1;
    }
    c.same("outcomes by cause", &s["outcomes"], &serde_json::json!(causes.into_iter().collect::<Vec<_>>()));
    let kept: Vec<Value> = facts
        .pools
        .iter()
        .zip(&policy.replicas)
        .map(|(p, n)| {
            serde_json::json!({ "name": p.name, "replicas": n, "blocks": p.num_blocks, "max_model_len": p.context() })
        })
        .collect();
    let mut said = s["pools"].clone();
    said.as_array_mut().into_iter().flatten().for_each(|pool| {
        pool.as_object_mut().map(|pool| pool.remove("busiest_share"));
    });
    c.same("pools", &said, &Value::Array(kept));
    let sorted = |values: Vec<u64>| {
        let mut values = values;
        values.sort_unstable();
        values
    };
    let ttft = sorted(done.iter().filter_map(|l| l.request.ttft).collect());
    let e2e = sorted(done.iter().map(|l| l.request.e2e).collect());
    let tpot = |l: &&Life| {
        let (r, gaps) = (l.request, u64::from(l.request.output_tokens.saturating_sub(1)));
        (gaps > 0).then(|| r.e2e.saturating_sub(r.ttft.unwrap_or(0)) / gaps)
    };
    let tpot = sorted(done.iter().filter_map(tpot).collect());
    for (key, values, percent) in [
        ("ttft_p50_s", &ttft, 50),
        ("ttft_p90_s", &ttft, 90),
        ("ttft_p99_s", &ttft, 99),
        ("tpot_p50_s", &tpot, 50),
        ("tpot_p99_s", &tpot, 99),
        ("e2e_p50_s", &e2e, 50),
        ("e2e_p99_s", &e2e, 99),
    ] {
        quantile(c, key, &s[key], values, percent);
    }
    let points = s["e2e_quantiles"].as_array().cloned().unwrap_or_default();
    c.same("points of e2e_quantiles", points.len(), if e2e.is_empty() { 0 } else { 101 });
    for (percent, point) in points.iter().enumerate() {
        quantile(c, &format!("e2e_quantiles[{percent}]"), point, &e2e, percent as u64);
    }
}

/// The value at its rank among the sorted ones, as far as three digits tell values apart.
fn quantile(c: &mut Complaints, key: &str, result: &Value, sorted: &[u64], percent: u64) {
    if sorted.is_empty() {
        return c.same(key, result, &Value::Null);
    }
    let rank = (sorted.len() as u64 * percent).div_ceil(100).max(1) as usize;
    // A rank that is a whole number may come out one higher in floating point.
    let exact = (sorted.len() as u64 * percent).is_multiple_of(100);
    let ranks = rank..=(rank + usize::from(exact)).min(sorted.len());
    let says = result.as_f64().unwrap_or(f64::NAN) * 1e9;
    let near = |value: u64| (says - value.max(1) as f64).abs() <= value as f64 / 1000.0 + 1.5;
    if !ranks.clone().any(|r| near(sorted[r - 1])) {
        let audit = sorted[rank - 1];
        c.say(format!("{key}: the result says {says} ns, the audit {audit} (rank {rank} of {})", sorted.len()));
    }
}

/// What the summary says of the whole experiment.
pub fn whole(c: &mut Complaints, facts: &Facts, evidence: &Evidence) {
    let s = &evidence.summary;
    c.same("name", s["name"].as_str(), Some(facts.name.as_str()));
    c.same("seed", s["seed"].as_u64(), Some(facts.seed));
    for (key, limit) in ["ttft_s", "tpot_s", "e2e_s"].into_iter().zip(facts.slo) {
        c.same(format!("slo.{key}"), s["slo"][key].as_f64(), limit.map(|l| l as f64 / 1e9));
    }
    let first = evidence.policies.first().map_or(0, |p| p.requests.len());
    c.same("requests", s["requests"].as_u64(), Some(first as u64));
    let span = |p: &PolicyEvidence| {
        let arrivals = || p.requests.iter().map(|r| r.arrival);
        arrivals().max().unwrap_or(0) - arrivals().min().unwrap_or(0)
    };
    let widest = evidence.policies.iter().map(span).max().unwrap_or(0);
    c.same("window_s", s["window_s"].as_f64(), Some(widest as f64 / 1e9));
    for p in evidence.policies.iter().filter(|p| p.summary["overloaded"] == true) {
        let name = p.summary["name"].as_str().unwrap_or("");
        let warned = |w: &Value| w.as_str().is_some_and(|w| w.starts_with(&format!("{name} is overloaded")));
        if !s["warnings"].as_array().is_some_and(|all| all.iter().any(warned)) {
            c.say(format!("{name} is overloaded and no warning says so"));
        }
    }
}
