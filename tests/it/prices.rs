//! What bought tokens cost: price files, days, tiers, prompt caches, batches; the bill is worked out here from usage.
use crate::program::{Ended, baseload, command, end_of};
use std::path::Path;

const ROW: &str = "[[api_price]]\nprovider = \"openai\"\nmodel = \"gpt-4o\"\ninput = 2\noutput = 8\nmax_input_tokens = 100000\n\
    max_output_tokens = 1000\n";

/// One endpoint that answers for sure, one policy, requests of 2,000 tokens in and 10 out, a second apart.
fn experiment(catalog: &str, endpoint: &str, top: &str) -> String {
    format!(
        "name = \"t\"\n{top}\n[trace]\npath = \"t.csv\"\n[endpoint.a]\ncatalog = \"{catalog}\"\nerror_rate = 0\n{endpoint}\n\
         [policy.buy]\n[policy.buy.api_only]\n"
    )
}

const CSV: &str = "arrival_s,prompt_tokens,output_tokens\n0,2000,10\n1,2000,10\n2,2000,10\n";

fn run_in(dir: &Path, text: &str, trace: (&str, &str), more: &[&str]) -> Ended {
    std::fs::write(dir.join("e.toml"), text.replace("t.csv", trace.0)).unwrap();
    std::fs::write(dir.join(trace.0), trace.1).unwrap();
    end_of(command().current_dir(dir).args(["run", "e.toml", "--quiet", "--no-records", "--out", "r"]).args(more))
}

fn summary(
    text: &str,
    trace: (&str, &str),
    more: &[&str],
    files: &[(&str, &str)],
) -> (serde_json::Value, serde_json::Value) {
    let dir = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| std::fs::write(dir.path().join(name), text).unwrap());
    run_in(dir.path(), text, trace, more).well();
    let read = |name: &str| {
        let text = std::fs::read_to_string(dir.path().join("r").join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    (read("summary.json"), read("manifest.json"))
}

#[track_caller]
fn refused(text: &str, more: &[&str], prices: &str, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.toml"), prices).unwrap();
    let ended = run_in(dir.path(), text, ("t.csv", CSV), more);
    let message = ended.message();
    assert_eq!(ended.code, 2, "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(!dir.path().join("r").exists(), "nothing is written: {message}");
}

/// US dollars of the three requests, from the month's bill: the window is 2 s, a month 730 h.
fn bill(summary: &serde_json::Value) -> f64 {
    summary["policies"][0]["api_usd_per_month"].as_f64().unwrap() * summary["policies"][0]["billed_s"].as_f64().unwrap()
        / (730.0 * 3_600.0)
}

#[track_caller]
fn costs(summary: &serde_json::Value, usd: f64) {
    assert!((bill(summary) / usd - 1.0).abs() < 1e-9, "{} is not {usd}", bill(summary));
}

fn warned(summary: &serde_json::Value, words: &str) -> bool {
    summary["warnings"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains(words))
}

#[test]
fn a_price_file_stands_in_place_of_the_list_and_is_in_the_manifest() {
    let text = experiment("openai/gpt-4o", "", "");
    let (s, m) = summary(&text, ("t.csv", CSV), &[], &[]);
    costs(&s, 3.0 * (2_000.0 * 2.5 + 10.0 * 10.0) / 1e6);
    assert_eq!(m["experiment"]["date"], "2026-11-23", "the day that the price was read on");
    let (s, m) = summary(&text, ("t.csv", CSV), &["--prices", "p.toml"], &[("p.toml", ROW)]);
    costs(&s, 3.0 * (2_000.0 * 2.0 + 10.0 * 8.0) / 1e6);
    let input = m["inputs"].as_array().unwrap().iter().find(|i| i["role"] == "catalog").unwrap();
    assert_eq!((input["file"].as_str(), input["bytes"].as_u64()), (Some("p.toml"), Some(ROW.len() as u64)));
    assert_eq!(input["sha256"].as_str().map(str::len), Some(64));
    let fact = m["facts"].as_array().unwrap().iter().find(|f| f["kind"] == "api price").unwrap();
    assert_eq!(fact["source"], "p.toml");
}

#[test]
fn the_run_s_day_picks_the_price_and_old_ones_are_said() {
    let two = format!(
        "{ROW}valid_from = \"2026-01-01\"\nvalid_until = \"2026-06-30\"\n{}valid_from = \"2026-07-01\"\n",
        ROW.replace("input = 2", "input = 4")
    );
    let files = [("p.toml", two.as_str())];
    for (day, input) in [("2026-06-30", 2.0), ("2026-07-01", 4.0), ("2026-09-29", 4.0)] {
        let text = experiment("openai/gpt-4o", "", &format!("date = \"{day}\""));
        let (s, _) = summary(&text, ("t.csv", CSV), &["--prices", "p.toml"], &files);
        costs(&s, 3.0 * (2_000.0 * input + 10.0 * 8.0) / 1e6);
        assert_eq!(warned(&s, "rests on a price that is"), day == "2026-06-30", "{day}: {}", s["warnings"]);
    }
    let text = experiment("openai/gpt-4o", "", "date = \"2026-09-30\"");
    let (s, _) = summary(&text, ("t.csv", CSV), &["--prices", "p.toml"], &files);
    assert!(
        warned(&s, "rests on a price that is 91 days older than the run's date: read 2026-07-01"),
        "{}",
        s["warnings"]
    );
    let (s, _) = summary(&experiment("openai/gpt-4o", "", "date = \"2026-10-01\""), ("t.csv", CSV), &[], &[]);
    assert!(warned(&s, "its price was read on 2026-11-23, after the run's date 2026-10-01"), "{}", s["warnings"]);
}

#[test]
fn bad_prices_name_file_line_and_key() {
    let text = experiment("openai/gpt-4o", "", "date = \"2025-12-31\"");
    let prices = ["--prices", "p.toml"];
    let from = format!("{ROW}valid_from = \"2026-01-01\"\n");
    refused(
        &text,
        &prices,
        &from,
        &["e.toml:6: endpoint.a.catalog: no price of openai/gpt-4o is valid on 2025-12-31", "from 2026-01-01 on"],
    );
    let twice = format!("{from}{}valid_from = \"2026-07-01\"\n", ROW.replace("input = 2", "input = 4"));
    refused(
        &text,
        &prices,
        &twice,
        &["p.toml:9: api_price[1]: openai/gpt-4o: valid from 2026-07-01 on, and another row"],
    );
    refused(
        &text,
        &prices,
        &format!("{ROW}currency = \"EUR\"\n"),
        &["p.toml:8: api_price[0].currency: currency is `EUR`; prices are in USD"],
    );
    refused(
        &text,
        &prices,
        &format!("{ROW}inptu = 1\n"),
        &["p.toml:8: api_price[0].inptu: unknown key `inptu`", "did you mean `input`?"],
    );
    refused(&text, &["--prices", "q.toml"], ROW, &["q.toml: ", "[[api_price]]"]);
    let dated = |date: &str| experiment("openai/gpt-4o", "", &format!("date = \"{date}\""));
    refused(&dated("2026-13-01"), &[], ROW, &["e.toml:2: date: `2026-13-01` is no day", "give a day such as"]);
    refused(&dated("2026"), &[], ROW, &["e.toml:2: date: `2026` is no day"]);
}

#[test]
fn bad_tiers_and_caches_say_what_there_is() {
    let of = |catalog: &str, keys: &str, words: &[&str]| refused(&experiment(catalog, keys, ""), &[], ROW, words);
    of(
        "openai/gpt-4o",
        "tier = \"flex\"",
        &["e.toml:8: endpoint.a.tier: openai/gpt-4o has no price in tier flex", "it has standard, batch, priority"],
    );
    of("openai/gpt-4o", "tier = \"slow\"", &["e.toml:8: endpoint.a.tier: unknown value `slow`"]);
    of(
        "openai/gpt-4o",
        "unavailable_share = 0.1",
        &["endpoint.a.unavailable_share: only an endpoint with tier = \"flex\" has it"],
    );
    of(
        "openai/gpt-5.5",
        "ttft_p50 = \"1s\"\noutput_tokens_per_s = 9\ntier = \"flex\"\nunavailable_share = 2",
        &["endpoint.a.unavailable_share: it is 2", "it must be a number from 0 to 1"],
    );
    of("openai/gpt-4o", "batch = {}", &["endpoint.a.batch: only an endpoint with tier = \"batch\" has it"]);
    of(
        "openai/gpt-4o",
        "tier = \"batch\"\nbatch = { turnaround_p50 = \"25h\" }",
        &["endpoint.a.batch.turnaround_p50: it is 25h", "it must lie above 0 and within 24h"],
    );
    of(
        "openai/gpt-4o",
        "tier = \"batch\"\nbatch = { p95_over_p50 = 0.5 }",
        &["endpoint.a.batch.p95_over_p50: it is 0.5"],
    );
    of("openai/gpt-4o", "tier = \"batch\"\nttft_p50 = \"1s\"", &["endpoint.a.ttft_p50: a batch answers all at once"]);
    of("openai/gpt-4o", "reasoning = { median_tokens = 0 }", &["endpoint.a.reasoning.median_tokens: it is 0"]);
    of("openai/gpt-4o", "reasoning = { median_tokens = 9, sigma = -1 }", &["endpoint.a.reasoning.sigma: it is -1"]);
    of("openai/gpt-4o", "cache = \"auto-1h\"", &["endpoint.a.cache: openai/gpt-4o has no entries that live an hour"]);
    let llama = "deepinfra/meta-llama/Meta-Llama-3.1-8B-Instruct";
    of(llama, "cache = \"auto\"", &["endpoint.a.cache: no prompt cache of deepinfra/meta-llama", "or say \"off\""]);
}

#[test]
fn a_retired_model_is_said() {
    let keys = "ttft_p50 = \"1s\"\noutput_tokens_per_s = 50";
    let text = experiment("together/meta-llama/Llama-3.3-70B-Instruct-Turbo", keys, "");
    let (s, _) = summary(&text, ("t.csv", CSV), &[], &[]);
    assert!(warned(&s, "was to retire it on 2026-10-22, before the run's date 2026-11-23"), "{}", s["warnings"]);
}

#[test]
fn a_tier_and_hidden_tokens_are_billed() {
    let (s, _) = summary(&experiment("openai/gpt-4o", "tier = \"priority\"", ""), ("t.csv", CSV), &[], &[]);
    costs(&s, 3.0 * (2_000.0 * 4.25 + 10.0 * 17.0) / 1e6);
    assert!(warned(&s, "tier priority): no list says what cached input cost"), "{}", s["warnings"]);
    // The client's limit leaves 990 tokens beside the answer, and the model would think with more.
    let keys = "reasoning = { median_tokens = 1000000, sigma = 0 }";
    let text = experiment("openai/gpt-4o", keys, "").replace("t.csv\"", "t.csv\"\ndefault_max_output_tokens = 1000");
    let (s, _) = summary(&text, ("t.csv", CSV), &[], &[]);
    costs(&s, 3.0 * (2_000.0 * 2.5 + 1_000.0 * 10.0) / 1e6);
    let p = &s["policies"][0];
    assert_eq!(p["output_tokens"], 30, "what is shown");
    assert!(
        p["ttft_p50_s"].as_f64().unwrap() > 3.0,
        "990 tokens at about 131 a second come first: {}",
        p["ttft_p50_s"]
    );
}

/// Three requests that share 1,500 tokens and have 500 of their own.
const SHARED: &str = "{\"arrival_s\":0,\"prompt_tokens\":2000,\"output_tokens\":10,\"content\":[[7,0,1500]]}\n\
    {\"arrival_s\":1,\"prompt_tokens\":2000,\"output_tokens\":10,\"content\":[[7,0,1500]]}\n\
    {\"arrival_s\":2,\"prompt_tokens\":2000,\"output_tokens\":10,\"content\":[[7,0,1500]]}\n";

#[test]
fn each_provider_s_cache_is_billed_by_its_rule() {
    let of = |catalog: &str, keys: &str| summary(&experiment(catalog, keys, ""), ("t.jsonl", SHARED), &[], &[]).0;
    // OpenAI: 1,024 + 3 * 128 = 1,408 of 1,500 tokens, read at half price by the second and third.
    costs(&of("openai/gpt-4o", ""), (6_000.0 * 2.5 - 2.0 * 1_408.0 * 1.25 + 30.0 * 10.0) / 1e6);
    costs(&of("openai/gpt-4o", "cache = \"off\""), (6_000.0 * 2.5 + 30.0 * 10.0) / 1e6);
    // Anthropic must be asked: the whole prompt is written at 1.25 times, or twice, the price of input.
    let plain = 6_000.0 * 3.0 + 30.0 * 15.0;
    costs(&of("anthropic/claude-sonnet-4-6", ""), plain / 1e6);
    let cached = |write: f64| (2_000.0 + 2.0 * 500.0) * write + 2.0 * 1_500.0 * 0.3 + 30.0 * 15.0;
    costs(&of("anthropic/claude-sonnet-4-6", "cache = \"auto\""), cached(3.75) / 1e6);
    costs(&of("anthropic/claude-sonnet-4-6", "cache = \"auto-1h\""), cached(6.0) / 1e6);
    // Haiku 4.5 caches from 4,096 tokens on only.
    costs(&of("anthropic/claude-haiku-4-5", "cache = \"auto\""), (6_000.0 * 1.0 + 30.0 * 5.0) / 1e6);
    // GPT-6: whole steps are written at 1.25 times; 1,920 of 2,000 tokens are whole.
    let six = |keys: &str| of("openai/gpt-6.1-sol", &format!("ttft_p50 = \"1s\"\noutput_tokens_per_s = 50\n{keys}"));
    let (read, written) = (2.0 * 1_408.0, 1_920.0 + 2.0 * 512.0);
    costs(&six(""), ((6_000.0 - read - written) * 2.0 + read * 0.1 + written * 2.5 + 30.0 * 10.0) / 1e6);
    let flex = ((6_000.0 - read - written) * 1.0 + read * 0.05 + written * 1.25 + 30.0 * 5.0) / 1e6;
    costs(&six("tier = \"flex\""), flex);
}

#[test]
fn a_batch_serves_only_who_tolerates_a_wait() {
    let csv = "arrival_s,prompt_tokens,output_tokens,class\n0,2000,10,bulk\n1,2000,10,chat\n2,2000,10,bulk\n";
    let classes = "[class.bulk]\nshare = 0.0\ntolerates = \"24h\"\n[class.chat]\nshare = 0.0\n";
    let keys = "[endpoint.slow]\ncatalog = \"openai/gpt-4o\"\nerror_rate = 0\ntier = \"batch\"\nbatch = { turnaround_p50 = \"1h\", p95_over_p50 = 1 }\n";
    let text = experiment("openai/gpt-4o", "", "").replace("[policy.buy]", &format!("{classes}{keys}[policy.buy]"));
    let (s, _) = summary(&text, ("t.csv", csv), &[], &[]);
    let p = &s["policies"][0];
    assert_eq!(p["completed"], 3);
    costs(&s, (4_000.0 * 1.25 + 20.0 * 5.0 + 2_000.0 * 2.5 + 10.0 * 10.0) / 1e6);
    let e2e = p["e2e_quantiles"].as_array().unwrap();
    assert!(e2e[0].as_f64().unwrap() < 60.0 && (e2e[100].as_f64().unwrap() / 3_600.0 - 1.0).abs() < 0.01, "{e2e:?}");
    let nobody = experiment("openai/gpt-4o", "tier = \"batch\"", "");
    let (s, _) = summary(&nobody, ("t.csv", CSV), &[], &[]);
    assert_eq!(s["policies"][0]["rejected"], 3);
    for words in ["serves nobody: no class says how long it tolerates", "a turnaround of 1h is an assumption"] {
        assert!(warned(&s, words), "{}", s["warnings"]);
    }
}

#[test]
fn flex_may_have_no_room_and_bills_nothing_then() {
    let keys = "tier = \"flex\"\nunavailable_share = 1.0\nttft_p50 = \"1s\"\noutput_tokens_per_s = 50";
    let text = experiment("openai/gpt-5.5", keys, "");
    let (s, _) = summary(&text, ("t.csv", CSV), &["--set", "gateway.retries=0"], &[]);
    let p = &s["policies"][0];
    assert_eq!((p["failed"].as_u64(), p["total_usd_per_month"].as_f64()), (Some(3), Some(0.0)));
    assert_eq!(p["outcomes"][0][0], "rate_limited");
}

#[test]
fn the_listing_shows_tiers_caches_and_dates_in_80_columns() {
    let text = baseload(&["catalog", "apis"]).well().stdout;
    for words in ["Tiers: US$", "Prompt caches:", "2026-11-23", "2.5/15", "20/75", "272k", "5m, 60m"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
}
