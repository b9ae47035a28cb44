//! No policy beats its bounds, and what lies beyond them is said rightly.
use super::Complaints;
use super::requests::Life;
use super::rows::PolicyEvidence;
use super::summary::close;

/// A bound is at most what the policy did; regret is the difference.
pub fn oracle(c: &mut Complaints, lives: &[Life], seen: &PolicyEvidence) {
    let s = &seen.summary;
    let (bound, regret) = (&s["oracle"], &s["regret"]);
    let total = s["total_usd_per_month"].as_f64().unwrap_or(f64::NAN);
    let fixed = ["gpu_usd_per_month", "people_usd_per_month"].iter().filter_map(|k| s[*k].as_f64()).sum::<f64>();
    let least = bound["cost_usd_per_month"].as_f64().unwrap_or(f64::NAN);
    let over = regret["cost_usd_per_month"].as_f64().unwrap_or(f64::NAN);
    let in_range = least <= total + 1e-9 * total && least >= fixed - 1e-9 * fixed - 1e-9 && over >= 0.0;
    if !in_range || (least + over - total).abs() > 1e-9 * (1.0 + total) {
        c.say(format!("never-beaten: a bill of {total} ({fixed} of it fixed), the bound {least}, beyond it {over}"));
    }
    let share = regret["cost_share"].as_f64().unwrap_or(f64::NAN);
    if !((0.0..=1.0).contains(&share) && (share * total - over).abs() <= 1e-9 * (1.0 + total)) {
        c.say(format!("regret.cost_share: {share} of {total}, {over} beyond the bound"));
    }
    let done: Vec<&Life> = lives.iter().filter(|l| l.request.outcome == "completed").collect();
    let mean = |ns: u64| (!done.is_empty()).then(|| ns as f64 / done.len() as f64 / 1e9);
    let ttft = mean(done.iter().filter_map(|l| l.request.ttft).sum());
    let e2e = mean(done.iter().map(|l| l.request.e2e).sum());
    let at = |key: &str| s[key].as_f64();
    for (key, measured) in [
        ("ttft_mean_s", ttft),
        ("ttft_p50_s", at("ttft_p50_s")),
        ("ttft_p99_s", at("ttft_p99_s")),
        ("e2e_mean_s", e2e),
        ("e2e_p50_s", at("e2e_p50_s")),
        ("e2e_p99_s", at("e2e_p99_s")),
    ] {
        match (measured, bound[key].as_f64(), regret[key].as_f64()) {
            (None, None, None) => {}
            (Some(m), Some(least), Some(over)) if over >= 0.0 && least >= 0.0 && close_to(least + over, m) => {}
            (m, least, over) => c.say(format!("never-beaten: {key}: {m:?}, the bound {least:?}, beyond it {over:?}")),
        }
    }
}

fn close_to(a: f64, b: f64) -> bool {
    close(a, b) || (a - b).abs() < 1e-9
}
