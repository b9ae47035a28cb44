//! Laws of latency: draws against the quantiles that are scored, and bounds that no draw beats.
use super::*;
use crate::catalog::{ApiKnot, ApiProfile, ApiTime};
use proptest::prelude::*;

/// A law whose spread differs between short and long calls.
fn profile() -> ApiProfile {
    let levels = vec![0.0, 0.1, 0.5, 0.9, 0.99, 1.0];
    let knot = |typical_s: f64, factors: [f64; 6]| ApiKnot { typical_s, factors: factors.to_vec() };
    ApiProfile {
        version: 1,
        name: "toy".into(),
        provider: "p".into(),
        model: "m".into(),
        measured: "2026".into(),
        date: "2026".into(),
        source: "made up".into(),
        note: String::new(),
        hours: None,
        together: 0.4,
        most_ttft_share: 0.8,
        data: crate::catalog::ApiProfileData {
            prompt_tokens: 20_000,
            cached_tokens: 15_000,
            output_tokens: 200,
            ..Default::default()
        },
        outcomes: None,
        scores: Default::default(),
        e2e: ApiTime {
            base_s: 1.0,
            s_per_1000_prompt_tokens: 0.01,
            s_per_1000_uncached_tokens: 0.03,
            s_per_1000_output_tokens: 17.0,
            levels: levels.clone(),
            knot: vec![knot(3.0, [0.5, 0.8, 1.0, 1.4, 3.0, 9.0]), knot(30.0, [0.4, 0.7, 1.0, 1.2, 1.9, 4.0])],
        },
        ttft: ApiTime {
            base_s: 0.8,
            s_per_1000_prompt_tokens: 0.005,
            s_per_1000_uncached_tokens: 0.04,
            s_per_1000_output_tokens: 0.0,
            levels,
            knot: vec![knot(2.0, [0.4, 0.7, 1.0, 1.9, 4.0, 20.0])],
        },
    }
}

fn law(p: &ApiProfile) -> Latency {
    assert!(ApiProfile::parse(&toml::to_string(p).unwrap(), "toy").unwrap() == *p, "a profile reads back");
    Latency::Profile(Arc::new(ProfileLaw::new(p, SimTime::ZERO)))
}

fn luck(request: u64) -> DrawKey {
    DrawKey { seed: 7, replicate: 0, request, try_number: 0 }
}

fn call(prompt: u32, cached: u32, output: u32) -> Call {
    Call { prompt, cached, output, at: SimTime::ZERO }
}

#[test]
fn draws_have_the_quantiles_that_are_scored() {
    let p = profile();
    let (latency, exact, streams) = (law(&p), ProfileLaw::new(&p, SimTime::ZERO), Streams::of("x"));
    let n = 40_000;
    for call in [call(20_000, 15_000, 200), call(60_000, 0, 30), call(500, 0, 3_000), call(9_000, 0, 1)] {
        let (mut e2e, mut ttft) = (Vec::new(), Vec::new());
        for i in 0..n {
            let pace = latency.pace(&streams, luck(i), &call);
            ttft.push(pace.first.as_secs_f64());
            let gaps = f64::from(call.output - 1);
            e2e.push(pace.first.as_secs_f64() + pace.gap.as_secs_f64() * gaps);
            assert!(call.output == 1 || pace.first.as_secs_f64() <= 0.8 * e2e[i as usize] + 1e-6);
        }
        for (drawn, of) in [(&mut e2e, true), (&mut ttft, false)] {
            drawn.sort_by(f64::total_cmp);
            for p in [0.1, 0.5, 0.9, 0.99] {
                let said = if of { exact.e2e_quantile(&call, p) } else { exact.ttft_quantile(&call, p) };
                let below = drawn.partition_point(|d| *d <= said) as f64 / n as f64;
                // Four standard deviations of a share of 40,000 draws are at most 0.01.
                assert!(
                    (below - p).abs() < 0.01,
                    "{call:?}: {below} of the draws are below the {p} quantile, {said} s"
                );
                let share = if of { exact.e2e_share(&call, said) } else { exact.ttft_share(&call, said) };
                assert!((share - p).abs() < 1e-6, "{call:?}: {share} at the {p} quantile");
            }
        }
    }
}

#[test]
fn tokens_and_hours_count_as_the_profile_says() {
    let mut p = profile();
    let at = |p: &ApiProfile, c: &Call| ProfileLaw::new(p, SimTime::from_secs(3_600)).e2e_quantile(c, 0.5);
    let s = at(&p, &call(10_000, 4_000, 100));
    assert!((s - (1.0 + 0.1 + 0.18 + 1.7)).abs() < 1e-9, "{s}");
    let mut hours = vec![1.0; 24];
    hours[3] = 2.5;
    p.hours = Some(hours);
    let call = |hour: u64| Call { at: SimTime::from_secs(hour * 3_600 + 5), ..call(10_000, 4_000, 100) };
    assert!((at(&p, &call(2)) / s - 2.5).abs() < 1e-9, "the clock shows 3 o'clock two hours after a start at 1");
    assert!((at(&p, &call(26)) / s - 2.5).abs() < 1e-9, "days repeat");
    assert!((at(&p, &call(3)) / s - 1.0).abs() < 1e-9);
}

#[test]
fn log_normals_draw_what_they_drew_before_there_were_profiles() {
    let law = LogNormal { ttft_p50_s: 0.5, output_tokens_per_s: 80.0, p95_over_p50: 3.0 };
    let pace = Latency::LogNormal(law).pace(&Streams::of("a"), luck(3), &call(10, 0, 5));
    assert_eq!((pace.first.0, pace.gap.0), (349_591_959, 30_599_287));
    let least = Latency::LogNormal(law).least(
        &Streams::of("a"),
        luck(3),
        &Call { prompt: 10, cached: 0, output: 5, at: SimTime::ZERO },
        0,
    );
    assert_eq!((least.first, least.whole.0), (pace.first, pace.first.0 + 4 * pace.gap.0));
}

#[test]
fn the_typical_p90_is_that_of_the_measured_median_call() {
    let p = profile();
    let exact = ProfileLaw::new(&p, SimTime::ZERO).ttft_quantile(&call(20_000, 15_000, 200), 0.9);
    assert_eq!(law(&p).ttft_p90(), SimTime::from_secs_f64(exact));
}

proptest! {
    #[test]
    fn least_is_at_most_what_any_cache_and_hour_give(
        request in 0u64..1_000_000, prompt in 1u32..200_000, part in 0.0f64..1.0, used in 0.0f64..1.0, output in 1u32..5_000,
        hours in proptest::option::of(proptest::collection::vec(0.3f64..4.0, 24)), at in 0u64..400_000,
    ) {
        let mut p = profile();
        p.hours = hours;
        let (latency, streams) = (Latency::Profile(Arc::new(ProfileLaw::new(&p, SimTime::from_secs(77)))), Streams::of("x"));
        let shareable = (f64::from(prompt) * part) as u32;
        let cached = (f64::from(shareable) * used) as u32;
        let pace = latency.pace(&streams, luck(request), &Call { prompt, cached, output, at: SimTime::from_secs(at) });
        let most = Call { prompt, cached: shareable.min(prompt), output, at: SimTime::ZERO };
        let least = latency.least(&streams, luck(request), &most, 0);
        prop_assert!(least.first <= pace.first, "{least:?} {pace:?}");
        prop_assert!(least.whole.0 <= pace.first.0 + pace.gap.0 * u64::from(output - 1), "{least:?} {pace:?}");
        // And it is no idle bound: with all of it cached, at the fastest hour, it is the pace itself.
        if p.hours.is_none() && cached == shareable {
            prop_assert!(least.first.0 + 1 >= pace.first.0);
        }
    }
}
