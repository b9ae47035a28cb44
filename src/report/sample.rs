//! Summaries that tests render.
use crate::experiment::rank::verdict;
use crate::experiment::summary::{BillRow, PolicySummary, SloSummary, Summary};

fn policy(name: &str, own: f64, bill: [f64; 3], ttft: f64, goodput: f64) -> PolicySummary {
    let total: f64 = bill.iter().sum();
    let mut e2e: Vec<f64> =
        (0..=100u32).map(|q| ttft * 0.8 + f64::from(q) * 0.06 + f64::from(q.pow(4)) * 2e-7).collect();
    e2e[100] += 3.0;
    PolicySummary {
        name: name.into(),
        requests: 20_000,
        completed: 20_000,
        requests_per_s: 5.55,
        output_tokens_per_s: 1234.0 - ttft,
        ttft_p50_s: Some(ttft * 0.2),
        ttft_p90_s: Some(ttft * 0.6),
        ttft_p99_s: Some(ttft),
        tpot_p50_s: Some(0.0113),
        tpot_p99_s: Some(0.031 + ttft * 0.001),
        e2e_p50_s: Some(e2e[50]),
        e2e_p99_s: Some(e2e[99]),
        itl_p99_s: Some(0.05),
        goodput_per_s: 5.55 * goodput,
        goodput_share: goodput,
        self_hosted_share: own,
        gpu_usd_per_month: bill[0],
        api_usd_per_month: bill[1],
        people_usd_per_month: bill[2],
        total_usd_per_month: total,
        usd_per_million_tokens: Some(total / 21_000.0),
        prompt_tokens: 12_000_000,
        output_tokens: 4_500_000,
        bill: [("chat", "gpu"), ("frontier <api>", "api"), ("people", "people")]
            .iter()
            .zip(bill)
            .map(|((name, kind), usd)| BillRow { name: (*name).into(), kind: (*kind).into(), usd_per_month: usd })
            .collect(),
        e2e_quantiles: e2e,
        ..Default::default()
    }
}

/// Six policies: one with a dagger, one overloaded, two close together.
pub fn sample() -> Summary {
    let mut policies = vec![
        policy("api-only", 0.0, [0.0, 31_250.4, 0.0], 0.61, 0.999),
        policy("own-4", 0.94, [20_089.6, 812.0, 7_500.0], 0.38, 0.9984),
        policy("hybrid-overflow", 0.78, [5_022.4, 5_441.2, 7_500.0], 1.42, 0.9931),
        policy("hybrid-cost", 0.71, [5_022.4, 5_871.7, 7_500.0], 1.31, 0.9948),
        policy("spot-only", 0.9, [4_100.0, 0.0, 7_500.0], 2.9, 0.81),
        policy("own-1", 0.94, [5_022.4, 301.9, 7_500.0], 48.5, 0.412),
    ];
    policies[4].completed = 19_100;
    policies[4].failed = 900;
    policies[4].timed_out = 40;
    policies[4].outcomes = vec![("replica_lost".into(), 860), ("timeout".into(), 40)];
    policies[5].overloaded = true;
    let slo = SloSummary { ttft_s: Some(2.0), tpot_s: Some(0.06), e2e_s: None };
    Summary {
        format: 1,
        name: "quickstart".into(),
        question: "A support desk with an evening burst: own it, buy it, or both?".into(),
        seed: 1,
        requests: 20_000,
        window_s: 3_600.0,
        verdict: verdict(&policies, &slo),
        slo,
        policies,
        failed: Default::default(),
        warnings: vec![
            "The window is one hour: the monthly bill repeats it 730 times, nights & weekends included.".into(),
        ],
    }
}

/// The widest plausible values.
pub fn widest() -> Summary {
    let mut s = sample();
    for (i, p) in s.policies.iter_mut().enumerate() {
        p.name = format!("sixteen-chars-{i:02}");
        p.completed = 123_456_789 + i as u64;
        p.rejected = 9_999;
        p.failed = 999_400;
        p.requests_per_s = 9_998.0 - i as f64;
        p.output_tokens_per_s = 9_987.0 - i as f64;
        for (field, value) in [
            (&mut p.ttft_p50_s, 9.987),
            (&mut p.ttft_p99_s, 1234.0),
            (&mut p.tpot_p50_s, 0.0123),
            (&mut p.tpot_p99_s, 9.876),
            (&mut p.e2e_p99_s, 9_876.0),
        ] {
            *field = Some(value + i as f64 * 0.001 * value);
        }
        p.self_hosted_share = 1.0;
        p.gpu_usd_per_month = 123_456_789.0;
        p.api_usd_per_month = 123_456_789.0;
        p.people_usd_per_month = 12_345_678.0;
        p.total_usd_per_month = 259_259_256.0 + i as f64;
        p.usd_per_million_tokens = Some(123_456.7 + i as f64);
    }
    s
}
