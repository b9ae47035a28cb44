//! Limits, accounts, provisioned units and outages as people write them.
use super::tests::load_text;
use super::*;
use baseload_core::api::{Counting, Incident, OutputCounting, Sequence};

const FILE: &str = r#"
name = "t"
[trace]
users = { concurrency = 1, requests = 1, prompt_tokens = 1, output_tokens = 1 }
[endpoint.sonnet]
catalog = "anthropic/claude-sonnet-4-6"
[endpoint.haiku]
catalog = "anthropic/claude-haiku-4-5"
[endpoint.gpt]
catalog = "openai/gpt-4o"
[policy.buy.api_only]
"#;

fn loaded(text: &str) -> Result<Experiment, FileFaults> {
    load_text(&format!("{FILE}{text}"), &[])
}
fn with(sets: &[&str]) -> Result<Experiment, FileFaults> {
    load_text(FILE, sets)
}
fn limits(endpoint: usize, set: &str) -> Limits {
    with(&[set]).unwrap_or_else(|e| panic!("{set}: {e}")).endpoints[endpoint].spec.limits
}

#[test]
fn limits_follow_the_provider_the_preset_and_the_tier() {
    let l = limits(2, "endpoint.gpt.limits={ tokens_per_minute = 30000, requests_over = \"1s\" }");
    assert_eq!((l.rules.both, l.rules.requests_over), (Counting::Larger, Some(SimTime::from_secs(1))));
    assert!(l.rules.acceleration.is_some() && l.rules.cache_reads_count && l.rules.refused_count);
    let l = limits(0, "endpoint.sonnet.limits={ output_tokens_per_minute = 8000, output_counting = \"max-tokens\" }");
    assert_eq!((l.rules.output, l.rules.cache_reads_count), (OutputCounting::MaxTokens, false));
    let l = limits(0, "endpoint.sonnet.limits={ preset = \"bedrock\", tokens_per_minute = 1000 }");
    assert_eq!((l.rules.both, l.tokens_per_day), (Counting::BurnDown(5), Some(1_440_000)));
    let l = limits(2, "endpoint.gpt.limits={ preset = \"bedrock\", tokens_per_minute = 1000, tokens_per_day = 7 }");
    assert_eq!((l.rules.both, l.tokens_per_day), (Counting::BurnDown(1), Some(7)));
    let l = limits(2, "endpoint.gpt.limits={ preset = \"plain\", requests_per_minute = 3 }");
    assert_eq!(l, Limits { requests_per_minute: Some(3), ..Limits::NONE });
    let exp = with(&["endpoint.sonnet.limits={ tier = \"anthropic/Scale\", requests_per_minute = 5 }"]).unwrap();
    let l = exp.endpoints[0].spec.limits;
    let want = (Some(5), Some(4_000_000), Some(800_000));
    assert_eq!((l.requests_per_minute, l.input_tokens_per_minute, l.output_tokens_per_minute), want);
    assert!(exp.dated_facts.contains(&("rate limits of anthropic/Scale".into(), "2026-10-17".into())));
    let l = limits(0, "endpoint.sonnet.limits={ tier = \"groq/Free/gpt-oss-20b\" }");
    assert_eq!((l.requests_per_day, l.tokens_per_day, l.rules), (Some(1_000), Some(200_000), Rules::PLAIN));
}

#[test]
fn wrong_limits_are_named_with_their_key() {
    for (set, wanted) in [
        ("gpt.limits={ requests_per_minute = 0 }", "endpoint.gpt.limits.requests_per_minute: it is 0"),
        ("gpt.limits={ tokens_per_day = 0 }", "endpoint.gpt.limits.tokens_per_day: it is 0"),
        ("gpt.limits={ tier = \"openai/Tier 6\" }", "unknown tier `openai/Tier 6`; did you mean `openai/Tier"),
        ("gpt.limits={ tier = \"google/Tier 1-3\" }", "no published numbers"),
        ("gpt.limits={ burn_down = 5 }", "endpoint.gpt.limits.burn_down: only Bedrock's"),
        ("gpt.limits={ day_offset = \"1h\" }", "endpoint.gpt.limits.day_offset: only Gemini's"),
        ("gpt.limits={ requests_over = \"2m\" }", "endpoint.gpt.limits.requests_over: it is 2m"),
        ("gpt.limits={ acceleration = { over = \"90s\" } }", "endpoint.gpt.limits.acceleration.over: it is 90s"),
        ("gpt.limits={ acceleration = { times = 0.0 } }", "endpoint.gpt.limits.acceleration.times: it is 0"),
        ("gpt.limits={ spend_cap_usd = 0.0 }", "endpoint.gpt.limits.spend_cap_usd: it is 0"),
        ("gpt.limits={ preset = \"antropic\" }", "did you mean `anthropic`?"),
        ("gpt.account=\"\"", "endpoint.gpt.account: it is empty"),
        ("gpt.errors={ overloaded = 1.5 }", "endpoint.gpt.errors.overloaded: it is 1.5"),
        ("gpt.errors={ server_error = 0.6, overloaded = 0.6 }", "endpoint.gpt.errors: more than all"),
        ("gpt.provisioned={ units = 0, usd_per_unit_hour = 1.0 }", "endpoint.gpt.provisioned.units: it is 0"),
        (
            "gpt.provisioned={ units = 15, usd_per_unit_hour = 1.0, output_weight = 1e9 }",
            "endpoint.gpt.provisioned.output_weight: it is 1000000000",
        ),
        (
            "gpt.provisioned={ units = 15, usd_per_unit_hour = 0.0 }",
            "endpoint.gpt.provisioned.usd_per_unit_hour: it is 0",
        ),
        (
            "sonnet.provisioned={ units = 15, usd_per_unit_hour = 1.0 }",
            "endpoint.sonnet.provisioned.input_tokens_per_minute: it is missing, and unknown provisioned model",
        ),
    ] {
        let e = with(&[&format!("endpoint.{set}")]).err().unwrap_or_else(|| panic!("{set} is refused")).to_string();
        assert!(e.contains(wanted), "{set}: {e}");
    }
    let e =
        with(&["endpoint.gpt.error_rate=0.1", "endpoint.gpt.errors={ server_error = 0.1 }"]).err().unwrap().to_string();
    assert!(e.contains("endpoint.gpt.errors.server_error: error_rate says the same"), "{e}");
}

#[test]
fn an_account_has_one_set_of_limits_and_whoever_names_it_shares_them() {
    let shared = "endpoint.sonnet.account=\"a\"";
    let one = "endpoint.haiku={ catalog = \"anthropic/claude-haiku-4-5\", account = \"a\", limits = { requests_per_minute = 9 } }";
    let exp = with(&[shared, one]).unwrap();
    let all: Vec<_> =
        exp.endpoints.iter().map(|e| (e.spec.account.as_str(), e.spec.limits.requests_per_minute)).collect();
    assert_eq!(all, [("a", Some(9)), ("a", Some(9)), ("gpt", None)]);
    let e = with(&[shared, one, "endpoint.sonnet.limits.requests_per_minute=8"]).err().unwrap().to_string();
    assert!(e.contains("endpoint.haiku.limits: account `a` has other limits in endpoint.sonnet.limits"), "{e}");
    let units = "endpoint.gpt={ catalog = \"openai/gpt-4o\", account = \"a\", \
                 provisioned = { units = 15, usd_per_unit_hour = 1.0 } }";
    let own = with(&[shared, one, units]).err().unwrap().to_string();
    assert!(
        own.contains(
            "endpoint.gpt.provisioned: account `a` is that of endpoint.sonnet, too; units are an account of their own"
        ),
        "{own}"
    );
}

#[test]
fn provisioned_units_cost_by_the_hour_and_not_by_the_token() {
    let exp = with(&["endpoint.gpt.provisioned={ units = 50, usd_per_unit_hour = 1.0 }"]).unwrap();
    let spec = &exp.endpoints[2].spec;
    let usage = baseload_core::api::Usage { prompt: 1_000_000, cached: 10, written: 0, output: 1_000, reasoning: 0 };
    assert_eq!(spec.price.bill(&usage), Usd::ZERO);
    let u = spec.limits.utilization.unwrap();
    assert_eq!((u.tokens_per_minute, u.output_milli), (125_000, 4_000));
    assert_eq!(exp.endpoints[2].hourly, Some(Hourly { units: 50, per_unit: Usd::parse("1").unwrap() }));
    let odd = with(&["endpoint.gpt.provisioned={ units = 7, usd_per_unit_hour = 1.0 }"]).unwrap();
    assert!(odd.warnings.iter().any(|w| w.contains("from 15 in steps of 5")), "{:?}", odd.warnings);
}

#[test]
fn outages_reach_the_endpoints_of_their_provider() {
    let schedule = "[outages.anthropic]\nschedule = [{ at = \"1h\", duration = \"4h\", fails = 0.5, slower = 3.0 }, \
                    { at = \"6h\", duration = \"30m\", limits_times = 0.25 }]\n";
    let exp = loaded(&format!("[endpoint.sonnet.limits]\nrequests_per_minute = 100\n{schedule}")).unwrap();
    let met: Vec<bool> = exp.endpoints.iter().map(|e| e.spec.outages.is_some()).collect();
    assert_eq!(met, [true, true, false]);
    let hours = |h: u64| SimTime::from_secs(h * 3_600);
    let incident = Incident { at: hours(1), until: hours(5), fails: 0.5, slower: 3.0 };
    assert_eq!(exp.endpoints[0].spec.outages.as_ref().unwrap().written, [incident]);
    let squeezes = exp.endpoints.iter().map(|e| e.spec.squeezes.len());
    assert_eq!(squeezes.collect::<Vec<_>>(), [1, 1, 0]);
    let only = loaded("[outages.anthropic]\ndrawn = \"anthropic-api\"\nmodels = [\"claude-haiku-4-5\"]\n").unwrap();
    let met: Vec<bool> = only.endpoints.iter().map(|e| e.spec.outages.is_some()).collect();
    assert_eq!(met, [false, true, false]);
    assert!(only.dated_facts.iter().any(|(what, _)| what == "incidents of anthropic-api"));
    // Without limits a squeeze is said to be idle.
    let idle = loaded(schedule).unwrap();
    assert!(
        idle.warnings.iter().any(|w| w.contains("schedule[1].limits_times changes nothing")),
        "{:?}",
        idle.warnings
    );
}

#[test]
fn wrong_outages_are_named_with_their_key() {
    let entry = |words: &str| format!("[outages.openai]\nschedule = [{{ {words} }}]\n");
    for (text, wanted) in [
        ("[outages.antropic]\ndrawn = \"anthropic-api\"\n".to_string(), "did you mean `anthropic`?"),
        ("[outages.openai]\ndrawn = \"openai\"\n".into(), "did you mean `openai-api`?"),
        ("[outages.openai]\nmodels = [\"gpt-4o\"]\n".into(), "outages.openai: no incidents"),
        ("[outages.openai]\nmodels = [\"gpt-4\"]\ndrawn = \"openai-api\"\n".into(), "did you mean `gpt-4o`?"),
        (entry("at = \"1h\", duration = \"1h\""), "outages.openai.schedule[0]: it changes nothing"),
        (entry("at = \"1h\", duration = \"0s\", fails = 1.0"), "outages.openai.schedule[0].duration: it is 0"),
        (entry("at = \"1h\", duration = \"1h\", fails = 1.5"), "outages.openai.schedule[0].fails: it is 1.5"),
        (entry("at = \"1h\", duration = \"1h\", slower = 0.5"), "outages.openai.schedule[0].slower: it is 0.5"),
        (
            entry("at = \"1h\", duration = \"1h\", limits_times = 0.0"),
            "outages.openai.schedule[0].limits_times: it is 0",
        ),
        (
            "[outages.openai]\ndrawn = \"openai-api\"\npartial = { slower = 0.1 }\n".into(),
            "outages.openai.partial.slower: it is 0.1",
        ),
    ] {
        let e = loaded(&text).err().unwrap_or_else(|| panic!("{text} is refused")).to_string();
        assert!(e.contains(wanted) && e.contains("t.toml"), "{text}: {e}");
    }
}

#[test]
fn drawn_incidents_leave_the_availability_that_was_measured() {
    for (service, provider) in [("openai-api", "openai"), ("anthropic-api", "anthropic")] {
        let exp = loaded(&format!("[outages.{provider}]\ndrawn = \"{service}\"\n")).unwrap();
        let row = Catalog::embedded().incidents(service).unwrap();
        let spec = exp.endpoints.iter().find_map(|e| e.spec.outages.clone()).unwrap();
        // 400 replicates of ten years, so that the sampling error is about a hundredth of the unavailability.
        let years = SimTime::from_secs(10 * 365 * 86_400);
        let (mut any, mut full, mut n) = (0u128, 0u128, 0u64);
        let mut gaps = Vec::new();
        for replicate in 0..400 {
            let mut ended = SimTime::ZERO;
            for i in Sequence::new(provider, spec.drawn.unwrap(), 1, replicate).take_while(|i| i.at < years) {
                let lasts = u128::from(i.until.min(years).0 - i.at.0);
                any += lasts;
                full += if i.fails == 1.0 { lasts } else { 0 };
                n += 1;
                gaps.push(i.at.since(ended).0);
                ended = i.until;
            }
        }
        let whole = 400.0 * years.0 as f64;
        let (any, full) = (any as f64 / whole * 100.0, full as f64 / whole * 100.0);
        let weighted = full + 0.3 * (any - full);
        assert!((any - (100.0 - row.availability_any)).abs() < 0.012, "{service}: {any} % lost in {n} incidents");
        assert!((weighted - (100.0 - row.availability_weighted)).abs() < 0.01, "{service}: {weighted} % weighted");
        // Noticed incidents are rarer than posted ones.
        let mean_h = gaps.iter().map(|g| *g as f64).sum::<f64>() / gaps.len() as f64 / 3.6e12;
        assert!((mean_h * row.noticed() / row.gap_mean_h - 1.0).abs() < 0.05, "{service}: {mean_h} h");
    }
}
