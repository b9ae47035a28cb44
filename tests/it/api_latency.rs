//! Latency of bought APIs as people fit, score and use it: `calibrate api`, `validate --kind api`, `[endpoint.X] latency`.
use crate::program::{Ended, command, data, end_of, root};
use baseload::catalog::ApiProfile;
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "model,in_tokens,prefix_seen_tokens,out_tokens,ttft_s,api_time_s,dup_group\n";

/// Calls of `model`: 0.5 s, 20 us an uncached token, 10 ms an output token, times a factor from 0.7 to 1.3.
fn calls(model: &str, n: u32) -> String {
    let mut out = String::new();
    for i in 0..n {
        let (prompt, output) = (1_000 + 977 * i % 30_000, 10 + 619 * i % 900);
        let cached = if i % 3 == 0 { 0 } else { prompt / 2 };
        let factor = 0.7 + f64::from(i * 7_919 % 601) / 1_000.0;
        let first = (0.5 + f64::from(prompt - cached) * 2e-5) * factor;
        let whole = first + f64::from(output) * 0.01 * factor;
        let first = if i % 2 == 0 { format!("{first:.4}") } else { String::new() };
        writeln!(out, "{model},{prompt},{cached},{output},{first},{whole:.4},{}", i / 6).unwrap();
    }
    out
}

fn run_in(dir: &Path, args: &[&str]) -> Ended {
    end_of(command().current_dir(dir).args(args))
}

/// The program refuses: exit code 2, all `words` in the message, and `x.toml` is not written.
#[track_caller]
fn refused(dir: &Path, args: &[&str], words: &[&str]) {
    let ended = run_in(dir, args);
    let message = ended.message();
    assert_eq!(ended.code, 2, "{}{message}", ended.stdout);
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(!dir.join("x.toml").exists(), "a refused fit writes nothing");
}

#[test]
fn calls_become_a_profile_that_an_endpoint_takes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("c.csv"), format!("{HEAD}{}", calls("claude-sonnet-4-6", 900))).unwrap();
    let fitted = run_in(dir, &["calibrate", "api", "c.csv", "--measured", "2026-11", "-o", "p.toml"]).well();
    assert!(fitted.stdout.contains("anthropic/claude-sonnet-4-6: 900 calls in 150 groups"), "{}", fitted.stdout);
    let p = ApiProfile::parse(&std::fs::read_to_string(dir.join("p.toml")).unwrap(), "p.toml").unwrap();
    assert!((p.e2e.s_per_1000_output_tokens / 10.0 - 1.0).abs() < 0.05, "{:?}", p.e2e);

    let trace = "arrival_s,prompt_tokens,output_tokens\n0,4000,400\n9,8,120\n30,9000,1\n";
    std::fs::write(dir.join("t.csv"), trace).unwrap();
    let experiment = |endpoint: &str| {
        format!(
            "name = \"t\"\n[trace]\npath = \"t.csv\"\n[endpoint.a]\n{endpoint}\n[policy.buy]\n[policy.buy.api_only]\n"
        )
    };
    let run = |endpoint: &str, name: &str| {
        std::fs::write(dir.join("e.toml"), experiment(endpoint)).unwrap();
        run_in(dir, &["run", "e.toml", "--out", name])
    };
    let mean = |name: &str| {
        let text = std::fs::read_to_string(dir.join(name).join("summary.json")).unwrap();
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        all["policies"][0]["e2e_p50_s"].as_f64().unwrap()
    };
    let own = "catalog = \"anthropic/claude-sonnet-4-6\"\nlatency = \"p.toml\"";
    run(own, "own").well();
    assert!((0.7..3.0).contains(&mean("own")), "{}: 1.7 s typically", mean("own"));
    let manifest = std::fs::read_to_string(dir.join("own/manifest.json")).unwrap();
    assert!(manifest.contains("\"latency\"") && manifest.contains("p.toml"), "what a result rests on: {manifest}");

    let other = own.replace("sonnet-4-6", "haiku-4-5");
    let e = run(&other, "r");
    let says = "endpoint.a.latency: profile anthropic/claude-sonnet-4-6 is of anthropic/claude-sonnet-4-6, and the endpoint is anthropic/claude-haiku-4-5";
    assert!(e.code == 2 && e.message().contains(says) && e.message().contains("e.toml:6"), "{}", e.message());
    assert!(!dir.join("r").exists());
    let e = run(&format!("{other}\nlatency_of_another_model = true"), "other").well();
    let said = format!("{}{}", e.stdout, e.message());
    assert!(
        said.split_whitespace().collect::<Vec<_>>().join(" ").contains("stands in for anthropic/claude-haiku-4-5"),
        "{said}"
    );

    for (more, says) in [
        ("ttft_p50 = \"1s\"", "endpoint.a.ttft_p50: latency is given too"),
        ("output_tokens_per_s = 50.0", "endpoint.a.output_tokens_per_s: latency is given too"),
        ("latency_offset = \"9x\"", "endpoint.a.latency_offset: "),
    ] {
        let e = run(&format!("{own}\n{more}"), "r");
        assert!(e.code == 2 && e.message().contains(says), "{}", e.message());
    }
    let e = run("catalog = \"anthropic/claude-sonnet-4-6\"\nlatency_offset = \"9h\"", "r");
    assert!(e.code == 2 && e.message().contains("give latency too"), "{}", e.message());
    let e = run(&own.replace("p.toml", "groq/llama-2-70b-chta"), "r");
    assert!(e.code == 2 && e.message().contains("did you mean `groq/llama-2-70b-chat`"), "{}", e.message());

    // Hours: the one request of the ninth hour's law is ten times as slow, and only where the clock starts there.
    let text = std::fs::read_to_string(dir.join("p.toml")).unwrap();
    let hours: Vec<String> = (0..24).map(|h| if h == 9 { "10.0" } else { "1.0" }.to_owned()).collect();
    let slow = text.replace("together =", &format!("hours = [{}]\ntogether =", hours.join(", ")));
    std::fs::write(dir.join("h.toml"), slow).unwrap();
    run(&own.replace("p.toml", "h.toml"), "night").well();
    run(&format!("{}\nlatency_offset = \"9h\"", own.replace("p.toml", "h.toml")), "day").well();
    assert!((mean("night") - mean("own")).abs() < 1e-9);
    assert!((mean("day") / mean("own") - 10.0).abs() < 0.01, "{} {}", mean("day"), mean("own"));

    for (from, to, says) in [
        ("together = ", "together = 1", "p.toml:"),
        ("version = 1", "version = 2", "p.toml:1: version is 2"),
        ("base_s = ", "base_s = -", "base_s is -"),
        ("measured", "measred", "unknown field `measred`"),
    ] {
        std::fs::write(dir.join("bad.toml"), text.replacen(from, to, 1)).unwrap();
        let e = run(&own.replace("p.toml", "bad.toml"), "r");
        assert!(e.code == 2 && e.message().contains(&says.replace("p.toml", "bad.toml")), "{says}: {}", e.message());
    }
}

#[test]
fn what_cannot_be_fitted_or_scored_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write("few.csv", &format!("{HEAD}{}", calls("claude-x", 19)));
    write("two.csv", &format!("{HEAD}{}{}", calls("claude-x", 300), calls("gpt-y-20260101", 300)));
    let fit = |more: &[&'static str]| [&["calibrate", "api", "-o", "x.toml"], more].concat();
    refused(dir, &fit(&["few.csv"]), &["19 calls", "at least 20 are needed"]);
    refused(dir, &fit(&["two.csv"]), &["several models: claude-x (300 calls), gpt-y-20260101 (300 calls)", "--model"]);
    refused(
        dir,
        &fit(&["two.csv", "--model", "z"]),
        &["--model: no call is of z; the calls are of claude-x, gpt-y-20260101"],
    );
    refused(dir, &fit(&["two.csv", "two.csv"]), &["hold the same calls", "give each file once"]);
    let again = ["few.csv", "two.csv", "few.csv"];
    refused(dir, &fit(&again), &["few.csv and few.csv hold the same calls of claude-x", "give each file once"]);
    write("late.csv", &format!("{HEAD}{}claude-x,9,0,9,5,2,1\n", calls("claude-x", 30)));
    refused(dir, &fit(&["late.csv"]), &["late.csv:32: ttft_s is 5, later than the whole call's 2"]);
    let perf = |ttft: &str| {
        format!(
            "[{{\"ttft_s\":{ttft},\"end_to_end_latency_s\":2,\"number_input_tokens\":9,\"number_output_tokens\":9}}]"
        )
    };
    write("q_7b.json", &perf("5"));
    refused(dir, &fit(&["q_7b.json"]), &["q_7b.json: call 0: ttft_s is 5, later than the whole call's 2"]);
    write("q_7b.json", &perf("0"));
    refused(dir, &fit(&["q_7b.json"]), &["q_7b.json: call 0: ttft_s is 0; it must be above 0"]);
    let micros: String = (0..200).map(|i| format!("claude-x,1000,0,{0},,{0}0000,{1}\n", 100 + i, i / 4)).collect();
    write("micros.csv", &format!("{HEAD}{micros}"));
    refused(dir, &fit(&["micros.csv"]), &["fitted profile:", "a number of seconds from 0; is api_time_s in seconds?"]);
    refused(dir, &fit(&["few.csv", "--measured", "soon"]), &["--measured: it is `soon`", "2026-11"]);
    write("odd.csv", &format!("{HEAD}{}", calls("mystery", 30)));
    refused(dir, &fit(&["odd.csv"]), &["do not say who sells mystery", "--provider"]);
    refused(dir, &["calibrate", "--kind", "api", "two.csv", "--out", "x.toml"], &["baseload calibrate api"]);
    let score = |more: &[&'static str]| [&["validate", "--kind", "api"], more].concat();
    refused(dir, &score(&["few.csv"]), &["the most is 19", "20 outside each fold"]);
    write("one.csv", &format!("{HEAD}{}", calls("claude-x", 6).repeat(9)));
    refused(dir, &score(&["one.csv"]), &["claude-x: all 54 calls are in one fold: dup_group is 0 in each"]);
    refused(dir, &score(&["two.csv", "--folds", "3"]), &["--folds: calls of APIs are scored on five folds"]);

    let fitted =
        run_in(dir, &["calibrate", "api", "two.csv", "--model", "gpt-y", "--provider", "q", "-o", "y.toml"]).well();
    assert!(fitted.stdout.contains("q/gpt-y: 300 calls in 50 groups"), "{}", fitted.stdout);
    refused(
        dir,
        &score(&["two.csv", "--model", "gpt-y", "--profile", "y.toml"]),
        &["fitted on these very calls", "--seen"],
    );
    refused(
        dir,
        &score(&["odd.csv", "--profile", "y.toml"]),
        &["profile q/gpt-y is of q/gpt-y; the calls are of mystery"],
    );
    run_in(dir, &score(&["two.csv", "--profile", "y.toml", "--seen"])).well();

    let json = run_in(dir, &score(&["two.csv", "--format", "json"])).well().stdout;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let models = report["models"].as_object().unwrap();
    assert_eq!(models.keys().collect::<Vec<_>>(), ["claude-x", "gpt-y-20260101"]);
    for m in models.values() {
        assert_eq!((m["groups"].as_u64(), m["judged"].as_bool()), (Some(50), Some(true)));
        for p in ["p50", "p90", "p99"] {
            assert!(m["pinball_ratio"][p].as_f64().unwrap() < 0.9 && m["coverage"][p].as_f64().unwrap() > 0.4, "{m}");
        }
    }
    let table = run_in(dir, &score(&["two.csv"])).well().stdout;
    assert!(table.contains("\ngpt-y-20260101\n") && table.contains("met") && table.contains("TTFT"), "{table}");
    assert!(table.lines().all(|l| l.chars().count() <= 80), "{table}");
}

#[test]
fn measured_calls_meet_their_targets() {
    let Some(data) = data("measured_calls_meet_their_targets") else { return };
    let file = data.join("api/anthropic_api_latency.csv.gz");
    let ended = end_of(command().args(["validate", "--kind", "api", "--format", "json"]).arg(file)).well();
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let mut judged = 0;
    for (name, m) in report["models"].as_object().unwrap() {
        let enough = m["groups"].as_u64().unwrap() >= 50;
        assert_eq!(m["judged"].as_bool(), Some(enough), "{name}");
        if !enough {
            continue;
        }
        judged += 1;
        for (p, share, within) in [("p50", 0.5, 0.05), ("p90", 0.9, 0.03), ("p99", 0.99, 0.01)] {
            let ratio = m["pinball_ratio"][p].as_f64().unwrap();
            let coverage = m["coverage"][p].as_f64().unwrap();
            assert!(ratio <= 0.9 && (coverage - share).abs() <= within, "{name} {p}: {ratio}, {coverage}");
        }
        assert_eq!(m["missed"].as_array().unwrap().len(), 0, "{name}: {m}");
    }
    assert_eq!(judged, 2, "claude-opus-4-5 and claude-sonnet-4");
}

#[test]
fn shipped_profiles_are_what_their_calls_give() {
    let Some(data) = data("shipped_profiles_are_what_their_calls_give") else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("p.toml");
    let shipped = ApiProfile::embedded();
    assert!(shipped.len() == 21, "two models of the measured sessions and the files of the leaderboard");
    for p in shipped {
        let mut fit = command();
        fit.args(["calibrate", "api", "--model", &p.model, "--provider", &p.provider, "--name", &p.name]);
        fit.args(["--measured", &p.measured, "--source", &p.source]).arg("--out").arg(&out);
        for file in &p.data.files {
            let folders = ["api", "api/llmperf-leaderboard"].map(|f| data.join(f).join(file));
            fit.arg(folders.iter().find(|f| f.is_file()).unwrap_or(&folders[0]));
        }
        end_of(&mut fit).well();
        let made = ApiProfile::parse(&std::fs::read_to_string(&out).unwrap(), "made").unwrap();
        assert_eq!(
            ApiProfile { date: p.date.clone(), ..made },
            *p,
            "{}: `{}/crates/core/src/catalog/data/api_profiles`",
            p.name,
            root().display()
        );
    }
}
