//! What figures are per, and whether a policy falls behind its arrivals.
use super::Complaints;
use super::facts::{Facts, Policy};
use super::requests::Life;
use serde_json::Value;

/// Stretches from the first arrival, ns: to the last arrival, to the last end, to the last end of work that may not wait, and
/// the one that a month's spend is scaled from.
pub struct Spans {
    pub arrivals: u64,
    pub served: u64,
    pub in_haste: u64,
    pub billed: u64,
    burst: bool,
    short: bool,
    closed: bool,
}

fn may_wait(facts: &Facts, life: &Life) -> bool {
    facts.classes.iter().any(|class| class.name == life.request.class && class.tolerates.is_some())
}

pub fn spans(facts: &Facts, lives: &[Life], summary: &Value) -> Spans {
    let first = lives.iter().map(|l| l.request.arrival).min().unwrap_or(0);
    let last = lives.iter().map(|l| l.request.arrival).max().unwrap_or(0);
    let ends = |of: &dyn Fn(&&Life) -> bool| lives.iter().filter(of).map(|l| l.request.ended).max();
    let all = ends(&|_| true).unwrap_or(0).max(last);
    let haste = ends(&|l| !may_wait(facts, l)).map_or(all, |end| end.max(last));
    let closed = ["users", "sessions"].iter().any(|key| facts.trace.contains_key(*key));
    let arrivals = last - first;
    let least = summary["oracle"]["e2e_p50_s"].as_f64().map_or(0.0, |s| s * 1e9);
    let burst = arrivals == 0 || arrivals < least as u64;
    let short = burst || arrivals < 10 * least as u64;
    let billed = if closed || burst { haste - first } else { arrivals };
    Spans { arrivals, served: all - first, in_haste: haste - first, billed, burst, short, closed }
}

/// The rule of overload, from every request's two instants.
pub fn pace(c: &mut Complaints, facts: &Facts, policy: &Policy, lives: &[Life], summary: &Value) {
    let spans = spans(facts, lives, summary);
    c.same("served_s", summary["served_s"].as_f64(), Some(spans.served as f64 / 1e9));
    c.same("billed_s", summary["billed_s"].as_f64(), Some(spans.billed as f64 / 1e9));
    c.same("burst", summary["burst"].as_bool(), Some(spans.burst));
    let owns = policy.replicas.iter().any(|n| *n > 0);
    let limited = policy.endpoints.iter().any(|e| facts.endpoints[*e].limits.iter().any(Option::is_some));
    let counts = !spans.closed && !spans.short && (owns || limited);
    let behind = counts.then(|| falls_behind(facts, lives, &spans)).flatten();
    c.same("overloaded", summary["overloaded"].as_bool(), Some(behind.is_some()));
    let said = ["arrived_per_s", "ended_per_s"].map(|key| summary["falls_behind"][key].as_f64());
    let close = |said: Option<f64>, audit: Option<f64>| match (said, audit) {
        (Some(a), Some(b)) => super::summary::close(a, b),
        (a, b) => a == b,
    };
    if !close(said[0], behind.map(|b| b.0)) || !close(said[1], behind.map(|b| b.1)) {
        c.say(format!("falls_behind: the result says {said:?}, the audit {behind:?}"));
    }
}

/// Arrivals and ends a second in the last half, where in flight rises there.
fn falls_behind(facts: &Facts, lives: &[Life], spans: &Spans) -> Option<(f64, f64)> {
    let last = lives.iter().map(|l| l.request.arrival).max()?;
    let lives: Vec<(u64, u64)> =
        lives.iter().filter(|l| !may_wait(facts, l)).map(|l| (l.request.arrival, l.request.ended)).collect();
    let latest = lives.iter().map(|l| l.1.max(l.0)).max()?;
    // Instants are rounded down to a grid that the longest time has under 8,192 steps of.
    let mut grid = 1u64 << 20;
    while latest / grid >= 8_192 {
        grid *= 2;
    }
    let half = spans.arrivals / 2;
    let at = |k: u64| {
        let instant = (last - half + half * k / 10) / grid;
        let before = |of: fn(&(u64, u64)) -> u64| lives.iter().filter(|l| of(l) / grid < instant).count() as f64;
        (before(|l| l.0), before(|l| l.1))
    };
    let points: Vec<(f64, f64)> = (1..=10).map(|k| (k as f64, at(k).0 - at(k).1)).collect();
    let [sx, sy, sxx, sxy, syy] =
        points.iter().fold([0.0; 5], |s, (x, y)| [s[0] + x, s[1] + y, s[2] + x * x, s[3] + x * y, s[4] + y * y]);
    let (vx, vy, cov) = (sxx - sx * sx / 10.0, syy - sy * sy / 10.0, sxy - sx * sy / 10.0);
    // Student's t of a correlation is that of the slope: t^2 = r^2 (n - 2) / (1 - r^2).
    let explained = if vy > 0.0 { cov * cov / (vx * vy) } else { 0.0 };
    let rises = cov > 0.0 && explained * 8.0 > 2.9 * 2.9 * (1.0 - explained);
    let (from, to) = (at(0), at(10));
    let (arrived, ended) = (to.0 - from.0, to.1 - from.1);
    let half_s = half as f64 / 1e9;
    (rises && arrived - ended > 0.05 * arrived).then(|| (arrived / half_s, ended / half_s))
}
