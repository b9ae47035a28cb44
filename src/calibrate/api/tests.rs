//! Calls drawn from known laws: coefficients and quantiles come back, and what cannot be told is said.
use super::*;
use baseload_core::api::{Call, DrawKey, Latency, ProfileLaw, Streams};
use baseload_core::catalog::{ApiKnot, ApiProfile, ApiProfileData, ApiTime, Catalog};
use baseload_core::random;
use baseload_core::types::{SimTime, TraceFault};
use std::fmt::Write;
use std::sync::Arc;

/// Log-normal factors at some levels, as wide as `sigma`.
fn spread(typical_s: f64, sigma: f64, levels: &[f64]) -> ApiKnot {
    let z = |l: f64| random::dist::normal_quantile(l.clamp(1e-4, 1.0 - 1e-4));
    ApiKnot { typical_s, factors: levels.iter().map(|l| libm::exp(sigma * z(*l))).collect() }
}

/// A made-up provider.
fn truth() -> ApiProfile {
    let levels: Vec<f64> = (0..=200).map(|i| f64::from(i) / 200.0).collect();
    let knot = |s: f64| vec![spread(1.0, s, &levels)];
    ApiProfile {
        version: 1,
        name: "truth".into(),
        provider: "p".into(),
        model: "m".into(),
        measured: "2026-11".into(),
        date: "2026-11-25".into(),
        source: String::new(),
        note: String::new(),
        hours: None,
        together: 0.3,
        most_ttft_share: 0.9,
        data: ApiProfileData::default(),
        outcomes: None,
        scores: Default::default(),
        e2e: ApiTime {
            base_s: 1.2,
            s_per_1000_prompt_tokens: 0.01,
            s_per_1000_uncached_tokens: 0.08,
            s_per_1000_output_tokens: 12.0,
            levels: levels.clone(),
            knot: knot(0.3),
        },
        ttft: ApiTime {
            base_s: 0.7,
            s_per_1000_prompt_tokens: 0.004,
            s_per_1000_uncached_tokens: 0.06,
            s_per_1000_output_tokens: 0.0,
            levels: levels.clone(),
            knot: knot(0.5),
        },
    }
}

/// `n` calls of the truth, `streamed` of them with a time to first token, in groups of ten.
fn calls(n: u64, streamed: impl Fn(u64) -> bool, output: impl Fn(f64) -> u32) -> ApiCalls {
    let latency = Latency::Profile(Arc::new(ProfileLaw::new(&truth(), SimTime::ZERO)));
    let streams = Streams::of("measured");
    let one = |i: u64| {
        let mut rng = random::stream(11, 0, "tokens", i, 0);
        let mut u = || random::dist::uniform01(&mut rng);
        let prompt = (2_000.0 * libm::exp(3.5 * u())) as u32;
        let cached = if u() < 0.3 { 0 } else { (f64::from(prompt) * u()) as u32 };
        let call = Call { prompt, cached, output: output(u()), at: SimTime::ZERO };
        let pace = latency.pace(&streams, DrawKey { seed: 5, replicate: 0, request: i, try_number: 0 }, &call);
        let ttft_s = pace.first.as_secs_f64();
        let e2e_s = ttft_s + pace.gap.as_secs_f64() * f64::from(call.output.saturating_sub(1));
        MeasuredCall { call, e2e_s, ttft_s: streamed(i).then_some(ttft_s), group: Some(i / 10) }
    };
    ApiCalls { model: "m".into(), calls: (0..n).map(one).collect(), files: vec!["f".into()], ..ApiCalls::default() }
}

fn lengths(u: f64) -> u32 {
    (20.0 * libm::exp(5.0 * u)) as u32
}

fn recipe() -> ApiRecipe {
    ApiRecipe { provider: "p".into(), model: "m".into(), measured: "2026-11".into(), ..ApiRecipe::default() }
}

fn near(name: &str, fitted: f64, truth: f64, share: f64) {
    assert!((fitted / truth - 1.0).abs() < share, "{name} is {fitted}, {truth} was drawn from");
}

#[test]
fn a_known_law_comes_back_from_its_calls() {
    let c = calls(6_000, |i| i % 3 == 0, lengths);
    let p = api_profile(&c, &recipe()).unwrap();
    let t = truth();
    near("output", p.e2e.s_per_1000_output_tokens, 12.0, 0.03);
    near("uncached", p.e2e.s_per_1000_uncached_tokens, 0.08, 0.15);
    near("base", p.e2e.base_s, 1.2, 0.1);
    near("ttft base", p.ttft.base_s, 0.7, 0.1);
    near("ttft uncached", p.ttft.s_per_1000_uncached_tokens, 0.06, 0.15);
    assert!((p.together - 0.3).abs() < 0.1, "together {}", p.together);
    let (fitted, drawn) = (ProfileLaw::new(&p, SimTime::ZERO), ProfileLaw::new(&t, SimTime::ZERO));
    for call in [[5_000, 0, 100], [40_000, 30_000, 400], [3_000, 2_000, 2_000]] {
        let call = Call { prompt: call[0], cached: call[1], output: call[2], at: SimTime::ZERO };
        for (q, share) in [(0.5, 0.05), (0.9, 0.1), (0.99, 0.15)] {
            near(&format!("E2E {q} of {call:?}"), fitted.e2e_quantile(&call, q), drawn.e2e_quantile(&call, q), share);
            near(
                &format!("TTFT {q} of {call:?}"),
                fitted.ttft_quantile(&call, q),
                drawn.ttft_quantile(&call, q),
                share,
            );
        }
    }
    let s = p.scores.e2e.unwrap();
    assert!(s.calls == 6_000 && s.pinball_ratio.p50 < 0.5 && s.pinball_ratio.p99 < 0.5, "{s:?}");
    assert!((s.coverage.p50 - 0.5).abs() < 0.02 && (s.coverage.p99 - 0.99).abs() < 0.005, "{s:?}");
    assert_eq!(ApiProfile::parse(&toml::to_string(&p).unwrap(), "p").unwrap(), p, "what is written reads back");
}

#[test]
fn other_shapes_are_calibrated_too() {
    // Nothing streamed, nothing cached, few calls: 50 groups of 10, told by their quantiles alone.
    let mut c = calls(500, |_| false, lengths);
    c.calls.iter_mut().for_each(|c| c.call.cached = 0);
    // And two calls that broke off: no output is known of them, and they took long.
    c.calls.iter_mut().step_by(300).for_each(|c| {
        c.call.output = 0;
        c.e2e_s = 40.0;
    });
    let report = api_scores(std::slice::from_ref(&c), None).unwrap();
    let m = &report.models["m"];
    assert!(m.judged && m.missed.is_empty() && m.ttft.is_none(), "{m:?}");
    let p = api_profile(&c, &recipe()).unwrap();
    assert!(p.note.contains("time to first token was measured in 0 calls, and 20 are needed"), "{}", p.note);
    assert!(p.note.contains("what a cached prompt token costs is not told apart"), "{}", p.note);
    assert_eq!((p.e2e.s_per_1000_prompt_tokens, p.ttft.s_per_1000_output_tokens), (0.0, 0.0));
    let report = api_scores(&[calls(400, |_| true, lengths)], None).unwrap();
    let m = &report.models["m"];
    assert!(!m.judged && m.missed.is_empty() && m.groups == 40 && m.coverage.is_some(), "{m:?}");
}

#[test]
fn equal_outputs_tell_their_speed_between_first_and_last_token() {
    let c = calls(150, |_| true, |u| 148 + (u * 4.0) as u32);
    let p = api_profile(&c, &recipe()).unwrap();
    assert!(p.note.contains("outputs are equally long"), "{}", p.note);
    // All that is not the first token: 12 ms a token, and what the whole call has beyond the first token's own time.
    assert!((10.0..20.0).contains(&p.e2e.s_per_1000_output_tokens), "{:?}", p.e2e);
}

#[test]
fn too_few_calls_say_how_many_are_needed() {
    let says = api_profile(&calls(19, |_| true, lengths), &recipe()).unwrap_err().to_string();
    assert!(says.contains("p/m: 19 calls") && says.contains("at least 20 are needed"), "{says}");
    let says = api_scores(&[calls(19, |_| true, lengths)], None).unwrap_err().to_string();
    assert!(says.contains("the most is 19; 20 outside each fold"), "{says}");
    let few = api_profile(&calls(30, |_| true, lengths), &recipe()).unwrap();
    assert!(few.note.contains("30 calls: beyond the 95th percentile"), "{}", few.note);
}

#[test]
fn a_given_profile_is_scored_as_it_is_and_of_its_model_only() {
    let c = calls(1_000, |i| i % 2 == 0, lengths);
    let report = api_scores(std::slice::from_ref(&c), Some(&truth())).unwrap();
    let m = &report.models["m"];
    assert!(m.missed.is_empty() && m.pinball_ratio.unwrap().p90 < 0.5, "{m:?}");
    let mut slow = truth();
    slow.e2e.base_s = 30.0;
    let m = api_scores(std::slice::from_ref(&c), Some(&slow)).unwrap().models["m"].clone();
    assert!(m.missed.iter().any(|x| x.starts_with("coverage p50 is ")), "{m:?}");
    slow.model = "other-20250101".into();
    let says = api_scores(&[c], Some(&slow)).unwrap_err().to_string();
    assert!(
        says.contains("profile truth is of p/other-20250101; the calls are of m; give a profile of that"),
        "{says}"
    );
}

const HEAD: &str = "trace,model,in_tokens,prefix_seen_tokens,out_tokens,ttft_s,api_time_s,dup_group\n";

fn read(text: &str) -> Result<Vec<ApiCalls>, TraceFault> {
    read_api_file(Catalog::embedded(), text.as_bytes(), "c.csv")
}

#[test]
fn tables_are_read_by_model_and_rows_without_a_time_are_left_out() {
    let text = format!(
        "{HEAD}a,m1,100,40,7,0.5,1.5,3\na,m2,10,0,0,,2.5,4\na,m1,100,400,7,,1.5,\na,m1,100,40,7,0.5,,3\na,m1,5,0,,,1.0,3\na,m1,5,0,1,0,0,3\n"
    );
    let all = read(&text).unwrap();
    let of = |i: usize| (all[i].model.as_str(), all[i].calls.len(), all[i].left_out, all[i].groups());
    assert_eq!((all.len(), of(0), of(1)), (2, ("m1", 2, 3, 1), ("m2", 1, 0, 1)));
    let c = all[0].calls[1];
    assert_eq!((c.call.cached, c.ttft_s, c.group), (100, None, None), "no more is cached than there is");
    for (bad, says) in [
        ("a,m,100,40,7,0.5,x,3\n", "c.csv:2: api_time_s is `x`; it must be a number from 0"),
        ("a,m,1.5,40,7,0.5,1,3\n", "c.csv:2: in_tokens is 1.5; it must be a whole number"),
        ("a,m,1,0,-7,0.5,1,3\n", "c.csv:2: out_tokens is `-7`; it must be a number from 0"),
        ("a,m,1,0,7,0.5,1,x\n", "c.csv:2: dup_group is `x`; it must be a whole number"),
        ("a,,1,0,7,0.5,1,1\n", "c.csv:2: model is empty"),
    ] {
        let e = read(&format!("{HEAD}{bad}")).unwrap_err().to_string();
        assert!(e.contains(says), "{e}");
    }
    assert!(read("model,in_tokens\n").unwrap_err().to_string().contains("column `out_tokens` is missing"));
}

#[test]
fn results_of_llmperf_are_read_with_their_errors() {
    let mut text = String::from("[");
    for i in 0..30 {
        write!(text, "{{\"error_code\":null,\"ttft_s\":0.{},\"end_to_end_latency_s\":1.{i},\"number_input_tokens\":550,\"number_output_tokens\":150,\"more\":1}},", 10 + i).unwrap();
    }
    for code in [429, 429, -100, -1] {
        write!(text, "{{\"error_code\":{code},\"ttft_s\":0,\"end_to_end_latency_s\":0}},").unwrap();
    }
    let text = format!("{}]", text.trim_end_matches(','));
    let all = read_api_file(Catalog::embedded(), text.as_bytes(), "llmperf/groq_70b.json").unwrap();
    assert_eq!((all[0].model.as_str(), all[0].provider.as_deref()), ("llama-2-70b-chat", Some("groq")));
    let o = all[0].outcomes.unwrap();
    assert_eq!((all[0].calls.len(), o.calls, o.rate_limited, o.short, o.failed), (30, 34, 2, 1, 1));
    assert!((o.error_rate() - 1.0 / 32.0).abs() < 1e-12, "refusals are no failures of those that were let in");
    let e = read_api_file(Catalog::embedded(), "[{\"error_code\":null,\"ttft_s\":\"x\"}]".as_bytes(), "a.json")
        .unwrap_err()
        .to_string();
    assert!(e.starts_with("a.json:1: invalid type"), "{e}");
    let p = api_profile(&all[0], &recipe()).unwrap();
    assert!(
        p.note.contains("prompts are equally long") && p.note.contains("2 of 34 calls were refused with 429"),
        "{}",
        p.note
    );
}
