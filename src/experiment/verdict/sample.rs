//! Policies that tests judge.
use super::summary::{PolicySummary, SloSummary};

/// One of 1,000 requests.
pub fn policy(name: &str, completed: u64, goodput_share: f64, total_usd: f64, ttft_p99_s: f64) -> PolicySummary {
    PolicySummary {
        name: name.into(),
        requests: 1000,
        completed,
        goodput_share,
        total_usd_per_month: total_usd,
        ttft_p99_s: Some(ttft_p99_s),
        ..Default::default()
    }
}

/// A first token within two seconds.
pub fn slo() -> SloSummary {
    SloSummary { ttft_s: Some(2.0), ..Default::default() }
}
