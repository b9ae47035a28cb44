//! An auditor that cannot fail is none: a true result passes, and each single forgery is complained of.
use super::{Case, Evidence};
use crate::support::modes;
use std::path::Path;
use std::time::Duration;

/// Something of everything: completed on own GPUs and bought, timed out, failed, rejected, retried, refused by limits.
const MIXED: &str = r#"
version = 1
name = "mixed"
[trace]
path = "trace.jsonl"
[class.private]
share = 0.1
privacy = "internal-only"
[class.hard]
share = 0.1
needs = "frontier"
[slo]
ttft = "900ms"
tpot = "20ms"
[pool.own]
model = "llama-3.1-8b"
gpu = "h100-sxm"
rent = { usd_per_gpu_hour = 2.5 }
num_blocks = 40
max_model_len = 600
[pool.own.engine.vllm]
max_num_seqs = 4
max_num_batched_tokens = 64
[endpoint.cheap]
catalog = "openai/gpt-4o-mini"
ttft_p50 = "300ms"
output_tokens_per_s = 60.0
error_rate = 0.5
limits = { requests_per_minute = 30, preset = "plain" }
[endpoint.best]
catalog = "anthropic/claude-sonnet-4-6"
error_rate = 0.0
[gateway]
timeout = "2500ms"
retries = 2
[policy.hybrid]
pools = { own = 2 }
overflow = { to = "cheap", waiting_per_replica = 1 }
[policy.bought]
api_only = {}
[policy.own]
pools = { own = 2 }
self_hosted_only = {}
"#;

fn mixed(folder: &Path) -> (Case, Evidence) {
    let mut trace = String::new();
    for i in 0..150 {
        let (prompt, output, at) = (1 + i * 37 % 580, 1 + i * 7 % 60, f64::from(i / 3) * 0.11);
        let shared = prompt.min(40);
        trace += &format!(
            "{{\"arrival_s\":{at},\"prompt_tokens\":{prompt},\"output_tokens\":{output},\"content\":[[1,0,{shared}]]}}\n"
        );
    }
    std::fs::write(folder.join("trace.jsonl"), trace).unwrap();
    let experiment = folder.join("experiment.toml");
    std::fs::write(&experiment, MIXED).unwrap();
    let (result, _) = modes::one_hash(&experiment, &[], folder, Duration::from_secs(60)).unwrap();
    (Case::read(&experiment), Evidence::read(&result))
}

/// Forges; `None` where the result has nothing of the kind.
type Forgery = fn(&mut Evidence) -> Option<()>;

/// The auditor passes a true result and complains of each single forgery.
#[test]
fn the_auditor_can_fail() {
    let dir = tempfile::tempdir().unwrap();
    let (case, truth) = mixed(dir.path());
    assert_eq!(case.audit(&truth), Vec::<String>::new());

    /// The first row of policy `$p` that fits, changed.
    macro_rules! first {
        ($p:expr, $kind:ident, $r:ident => $fits:expr, $change:expr) => {
            |e: &mut Evidence| {
                let $r = e.policies[$p].$kind.iter_mut().find(|$r| $fits)?;
                $change;
                Some(())
            }
        };
    }
    macro_rules! number {
        ($p:expr, $key:literal, $change:expr) => {
            |e: &mut Evidence| {
                let change: fn(f64) -> f64 = $change;
                let value = &mut e.policies[$p].summary[$key];
                *value = change(value.as_f64()?).into();
                Some(())
            }
        };
    }
    fn completed_at(e: &Evidence, policy: usize, backend: &str) -> Option<(usize, usize)> {
        let p = &e.policies[policy];
        let r =
            p.requests.iter().position(|r| r.outcome == "completed" && r.backend == backend && r.output_tokens > 2)?;
        let a = p.attempts.iter().position(|a| a.request == p.requests[r].index && a.outcome == "completed")?;
        Some((r, a))
    }
    let forgeries: &[(&str, Forgery, &str)] = &[
        ("a request's row is gone", |e| e.policies[0].requests.pop().map(drop), "nothing-lost"),
        ("the first request's row is gone", |e| e.policies[1].requests.drain(..1).next().map(drop), "nothing-lost"),
        (
            "a request ends twice",
            |e| {
                let r = e.policies[0].requests[5].clone();
                e.policies[0].requests[6] = r;
                Some(())
            },
            "ended twice",
        ),
        ("an attempt's row is gone", |e| e.policies[0].attempts.drain(3..4).next().map(drop), "attempts"),
        (
            "an attempt is there twice",
            |e| {
                let a = e.policies[0].attempts[3].clone();
                e.policies[0].attempts.push(a);
                Some(())
            },
            "try number",
        ),
        (
            "completed, said to be failed",
            first!(0, requests, r => r.outcome == "completed", r.outcome = "failed".into()),
            "failed without",
        ),
        (
            "timed out, said to be completed",
            first!(0, requests, r => r.outcome == "timed_out", r.outcome = "completed".into()),
            "completed without",
        ),
        ("another cause", first!(1, requests, r => r.outcome == "failed", r.cause = "too_long".into()), "cause"),
        ("another class", first!(0, requests, r => r.class == "private", r.class = "default".into()), "class"),
        (
            "one output token less",
            first!(0, requests, r => r.outcome == "completed", r.output_tokens -= 1),
            "output tokens",
        ),
        ("one prompt token more", first!(0, requests, r => r.attempts > 0, r.prompt_tokens += 1), "prompt tokens"),
        ("a pico-dollar more in the request", first!(0, requests, r => r.cost > 0, r.cost += 1), "cost, pico-dollars"),
        (
            "a pico-dollar more in both",
            |e| {
                let (r, a) = completed_at(e, 1, "best")?;
                e.policies[1].requests[r].cost += 1;
                e.policies[1].attempts[a].cost += 1;
                Some(())
            },
            "bill-exact",
        ),
        ("own GPUs billed", first!(2, attempts, a => a.outcome == "completed", a.cost = 1), "cost on own GPUs"),
        ("an SLO met that was not", first!(0, requests, r => !r.met_slo, r.met_slo = true), "SLO met"),
        (
            "a TTFT a nanosecond longer",
            first!(2, requests, r => r.ttft.is_some(), r.ttft = r.ttft.map(|t| t + 1)),
            "TTFT",
        ),
        ("an E2E a nanosecond longer", first!(2, requests, r => r.attempts > 0, r.e2e += 1), "E2E"),
        (
            "a bought first token a nanosecond later",
            |e| {
                let (r, a) = completed_at(e, 1, "best")?;
                let p = &mut e.policies[1];
                p.requests[r].ttft = p.requests[r].ttft.map(|t| t + 1);
                p.requests[r].tpot_s = None;
                p.attempts[a].first_token = p.attempts[a].first_token.map(|t| t + 1);
                Some(())
            },
            "first token",
        ),
        ("an impatient timeout", first!(0, requests, r => r.outcome == "timed_out", r.ended -= 1), "timeout, ns"),
        ("a retry a nanosecond early", first!(1, attempts, a => a.try_number == 1, a.sent -= 1), "sent, ns"),
        ("another replica", first!(2, attempts, a => a.replica == Some(0), a.replica = Some(1)), "picked by"),
        (
            "a replica that is not there",
            first!(2, attempts, a => a.replica == Some(0), a.replica = Some(9)),
            "no candidate",
        ),
        (
            "private text outside",
            |e| {
                let p = &mut e.policies[0];
                let r = p.requests.iter_mut().find(|r| r.class == "private" && r.backend == "own")?;
                r.backend = "best".into();
                let a = p.attempts.iter_mut().find(|a| a.request == r.index && a.backend == "own")?;
                (a.backend, a.replica) = ("best".into(), None);
                Some(())
            },
            "barrier",
        ),
        (
            "more cached than there was",
            first!(2, attempts, a => a.cached_tokens > 0, a.cached_tokens += 16),
            "cached tokens",
        ),
        (
            "cached in parts of a block",
            first!(2, attempts, a => a.cached_tokens > 0, a.cached_tokens -= 1),
            "cached tokens",
        ),
        (
            "a refusal that was none",
            first!(1, attempts, a => a.cause == "rate_limited", a.cause = "server_error".into()),
            "outcome, cause",
        ),
        (
            "tokens before the first",
            first!(2, attempts, a => a.outcome == "timed_out" && a.output_tokens == 0, a.output_tokens = 1),
            "tokens left",
        ),
        ("completed", number!(0, "completed", |n| n - 1.0), "completed"),
        ("failed without the timed out", number!(0, "failed", |n| n - 1.0), "failed"),
        ("retries", number!(1, "retries", |n| n + 1.0), "retries"),
        ("failures", number!(0, "replica_failures", |n| n + 1.0), "replica_failures"),
        ("goodput", number!(0, "goodput_per_s", |x| x * 1.000_001), "goodput_per_s"),
        ("shares", number!(0, "self_hosted_share", |x| x * 0.999_99), "self_hosted_share"),
        ("a quantile off by half a per cent", number!(0, "ttft_p99_s", |x| x * 1.005), "ttft_p99_s"),
        ("the median for the p90", number!(2, "ttft_p90_s", |x| x * 0.9), "ttft_p90_s"),
        ("a rounded total", number!(0, "total_usd_per_month", |x| x + 0.01), "total_usd_per_month"),
        ("US$ a million tokens", number!(1, "usd_per_million_tokens", |x| x * 1.000_001), "usd_per_million_tokens"),
        ("drain", number!(0, "drain_s", |x| x + 1e-6), "drain_s"),
        (
            "overloaded",
            |e| {
                let over = e.policies[0].summary["overloaded"].as_bool()?;
                e.policies[0].summary["overloaded"] = (!over).into();
                Some(())
            },
            "overloaded",
        ),
        (
            "a line of the bill",
            |e| {
                let line = &mut e.policies[0].summary["bill"][0]["usd_per_month"];
                *line = (line.as_f64()? + 0.01).into();
                Some(())
            },
            "line of the bill",
        ),
        ("a line missing", |e| e.policies[0].summary["bill"].as_array_mut()?.pop().map(drop), "lines of the bill"),
        (
            "a cause miscounted",
            |e| {
                let count = &mut e.policies[0].summary["outcomes"][0][1];
                *count = (count.as_u64()? + 1).into();
                Some(())
            },
            "outcomes by cause",
        ),
        (
            "the series' requests at endpoints",
            first!(1, series, s => s.api_in_flight > 0, s.api_in_flight += 1),
            "in flight",
        ),
        ("the series' spend", first!(1, series, s => s.api_spend > 0, s.api_spend += 1), "API spend"),
        ("the series' queue", first!(2, series, s => s.running > 0, s.waiting += 1), "in engines"),
        (
            "the window",
            |e| {
                e.summary["window_s"] = 1.0.into();
                Some(())
            },
            "window_s",
        ),
    ];
    for (name, forge, word) in forgeries {
        let mut forged = truth.clone();
        forge(&mut forged).unwrap_or_else(|| panic!("`{name}`: nothing in the result to forge"));
        let complaints = case.audit(&forged);
        let heard = complaints.iter().any(|c| c.contains(word));
        assert!(heard, "`{name}`: the auditor did not complain of `{word}` but said {complaints:?}");
    }
}
