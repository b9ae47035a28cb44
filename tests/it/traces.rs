//! Traces through the whole program: how they are played, what transforms make of them, and that both repeat.
use crate::program::{Ended, command, end_of, root};
use std::path::Path;

const EXPERIMENT: &str = "name = \"t\"\n[trace]\nTRACE\n[slo]\nttft = \"2s\"\n[endpoint.a]\ncatalog = \"openai/gpt-4o\"\n\
    [policy.buy]\n[policy.buy.api_only]\n[class.hard]\nshare = 0.5\n";

/// Three conversations of three turns, 60 s apart, and a request alone.
fn conversations() -> String {
    let mut rows = vec![(55_000, "7,1,,".to_string())];
    for turn in 0..3u64 {
        for session in 1..4u64 {
            rows.push((turn * 60_000 + session * 100, format!("{},40,{session},5", 200 * (turn + 1))));
        }
    }
    rows.sort();
    let line = |(ms, rest): &(u64, String)| format!("{}.{:03},{rest}\n", ms / 1000, ms % 1000);
    format!("arrival_s,prompt_tokens,output_tokens,session,think_s\n{}", rows.iter().map(line).collect::<String>())
}

fn run(dir: &Path, trace: &str, out: &str) -> Ended {
    std::fs::write(dir.join("e.toml"), EXPERIMENT.replace("TRACE", trace)).unwrap();
    std::fs::write(dir.join("t.csv"), conversations()).unwrap();
    end_of(command().current_dir(dir).args(["run", "e.toml", "--quiet", "--out", out]))
}

/// The summary of a run, twice the same.
#[track_caller]
fn summary(trace: &str) -> serde_json::Value {
    let dir = tempfile::tempdir().unwrap();
    for out in ["one", "two"] {
        run(dir.path(), trace, out).well();
    }
    let read = |out: &str| std::fs::read_to_string(dir.path().join(out).join("summary.json")).unwrap();
    assert_eq!(read("one"), read("two"), "the same file, the same bytes");
    serde_json::from_str(&read("one")).unwrap()
}

/// What users send depends on the answers that they get, so policies that are compared cannot share one reading of them.
#[test]
fn users_and_sessions_send_all_under_each_of_several_policies() {
    let two = "[policy.more]\n[policy.more.api_only]\n";
    let users = "[trace.users]\nconcurrency = 2\nrequests = 9\nprompt_tokens = 100\noutput_tokens = 10\n";
    for (trace, sent) in [
        (format!("{users}{two}"), 9),
        (format!("path = \"t.csv\"\n[trace.users]\nconcurrency = 2\n{two}"), 10),
        (format!("path = \"t.csv\"\n[trace.sessions]\n{two}"), 10),
        (format!("path = \"t.csv\"\n{two}"), 10),
    ] {
        let summary = summary(&trace);
        let policies = summary["policies"].as_array().unwrap();
        let requests: Vec<u64> = policies.iter().map(|p| p["requests"].as_u64().unwrap()).collect();
        assert_eq!(requests, [sent, sent], "{trace}");
        let overloaded = policies.iter().any(|p| p["overloaded"] == true);
        assert!(!overloaded || !trace.contains("[trace."), "users who wait for answers make no queue grow: {trace}");
    }
}

#[test]
fn a_closed_loop_waits_for_answers_and_an_open_one_does_not() {
    let open = summary("path = \"t.csv\"");
    assert_eq!(open["requests"], 10);
    assert!((open["window_s"].as_f64().unwrap() - 120.2).abs() < 1e-6, "{}", open["window_s"]);
    // Turns leave 5 s after the answer: long before the recorded minute is over; the request alone leaves on time.
    let closed = summary("path = \"t.csv\"\n[trace.sessions]");
    assert_eq!(closed["requests"], 10);
    let window = closed["window_s"].as_f64().unwrap();
    assert!((54.0..55.0).contains(&window), "{window}");
    let slower = summary("path = \"t.csv\"\n[trace.sessions]\nthink = \"90s\"");
    let window = slower["window_s"].as_f64().unwrap();
    assert!((180.0..200.0).contains(&window), "two thoughts of 90 s and two answers: {window}");
    let users = summary("path = \"t.csv\"\n[trace.users]\nconcurrency = 1");
    assert_eq!(users["requests"], 10);
}

#[test]
fn arrivals_and_transforms_apply_in_order() {
    let drawn = summary("path = \"t.csv\"\narrivals_per_s = 0.001");
    assert!(drawn["window_s"].as_f64().unwrap() > 500.0, "{}", drawn["window_s"]);
    let said = drawn["warnings"].to_string();
    assert!(said.contains("arrivals are drawn, not recorded"), "{said}");
    let first = "transform = [{ slice = { take = 4 } }, { superpose = { copies = 2 } }]";
    assert_eq!(summary(&format!("path = \"t.csv\"\n{first}"))["requests"], 8);
    let last = "transform = [{ superpose = { copies = 2 } }, { slice = { take = 4 } }]";
    assert_eq!(summary(&format!("path = \"t.csv\"\n{last}"))["requests"], 4);
    let with = "transform = [{ superpose = { with = \"t.csv\" } }, { class = { to = \"hard\" } }]";
    assert_eq!(summary(&format!("path = \"t.csv\"\n{with}"))["requests"], 20);
}

#[test]
fn what_a_trace_cannot_do_is_refused_with_the_key() {
    let cases = [
        (
            "path = \"t.csv\"\ntransform = [{ thin = { share = 0 } }]",
            "e.toml:4: trace.transform[0].thin.share: it is 0; it must be above 0 and at most 1",
        ),
        ("path = \"t.csv\"\ntransform = [{ thinn = { share = 0.5 } }]", "did you mean `thin`?"),
        (
            "path = \"t.csv\"\ntransform = [{ class = { to = \"easy\" } }]",
            "e.toml:4: trace.transform[0].class.to: class `easy` is not in the experiment",
        ),
        (
            "path = \"t.csv\"\ninput_format = \"azur\"",
            "e.toml:4: trace.input_format: format `azur` is unknown; known are",
        ),
        ("path = \"t.csv\"\narrivals_per_s = 0", "e.toml:4: trace.arrivals_per_s: it is 0"),
        ("path = \"t.csv\"\narrivals = \"no.toml\"", "e.toml:4: trace.arrivals: "),
        ("path = \"t.csv\"\n[trace.users]\nconcurrency = 2\nrequests = 3", "trace.users.requests: beside a trace"),
        ("[trace.users]\nconcurrency = 2\nrequests = 3", "trace.users.prompt_tokens: it is missing"),
        ("path = \"t.csv\"\n[trace.sessions]\nthink = \"soon\"", "trace.sessions.think: `soon` is not a duration"),
        ("path = \"t.csv\"\n[trace.sessions]\n[trace.users]\nconcurrency = 2", "trace.sessions: users are given too"),
    ];
    for (trace, words) in cases {
        let dir = tempfile::tempdir().unwrap();
        let ended = run(dir.path(), trace, "out");
        let message = ended.message();
        assert_eq!(ended.code, 2, "{trace}: {message}");
        assert!(message.contains(words), "{trace}: `{words}` is not in {message}");
        assert!(!dir.path().join("out").exists(), "{trace} left a folder");
    }
}

/// A file of `tests/data`, as `name` in `dir`.
fn copied(dir: &Path, file: &str, name: &str) {
    std::fs::copy(root().join("tests/data").join(file), dir.join(name)).unwrap();
}

/// Words of a text that was wrapped.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// "Nothing lost": a row that is no request is counted by its reason in info, in validate and in the run's warnings, and what
/// failed in the source is replayed only where that is asked for.
#[test]
fn what_a_trace_leaves_out_is_said_wherever_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    copied(dir.path(), "interchange/litellm_dump.jsonl", "spend.jsonl");
    let trace = |args: &[&str]| end_of(command().current_dir(dir.path()).arg("trace").args(args).arg("spend.jsonl"));
    let said = "left out 8 of 17: 1 not a generation: aembedding (first on line 6), 1 not a generation: call_mcp_tool";
    let info: serde_json::Value = serde_json::from_str(&trace(&["info", "--format", "json"]).well().stdout).unwrap();
    let account = &info["stats"]["account"];
    assert_eq!((info["stats"]["count"].as_u64(), info["stats"]["failed"].as_u64()), (Some(9), Some(1)));
    assert_eq!(account["left_out"].as_array().unwrap().len(), 8, "{account}");
    assert_eq!(account["unknown_fields"][0]["name"], "quota_zone");
    assert_eq!(account["models"][0]["model"], "openai/m-large");
    let billed: f64 = account["models"].as_array().unwrap().iter().filter_map(|m| m["cost_usd"].as_f64()).sum();
    // The spend of the nine requests, added up by hand.
    assert!((billed - 0.009_906).abs() < 1e-12, "{billed}");
    for words in [&["info"][..], &["validate"]] {
        let out = unwrapped(&trace(words).well().stdout);
        assert!(out.contains(said), "trace {words:?} says: {out}");
        let strict = trace(&[words, &["--strict"]].concat());
        assert_eq!(strict.code, 2, "{}{}", strict.stdout, strict.stderr);
        let message = strict.message();
        assert!(message.contains("spend.jsonl:6: it would be left out: not a generation: aembedding"), "{message}");
    }
    for (key, requests) in [("", 8), ("\nreplay_failed = true", 9)] {
        let out = format!("out{requests}");
        run(dir.path(), &format!("path = \"spend.jsonl\"{key}"), &out).well();
        let summary = std::fs::read_to_string(dir.path().join(out).join("summary.json")).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["policies"][0]["requests"].as_u64(), Some(requests));
        let warned =
            |words: &str| summary["warnings"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains(words));
        assert!(warned(said), "{}", summary["warnings"]);
        let failed = "1 requests failed in the source and are not replayed; trace.replay_failed = true replays them";
        assert_eq!(warned(failed), requests == 8, "{}", summary["warnings"]);
    }
    let strict = run(dir.path(), "path = \"spend.jsonl\"\nstrict = true", "strict");
    assert_eq!((strict.code, dir.path().join("strict").exists()), (2, false), "{}", strict.stderr);
}

/// What `trace validate` calls faultless is replayed whole.
#[test]
fn sessions_whose_clocks_do_not_begin_at_0_lose_no_request() {
    let dir = tempfile::tempdir().unwrap();
    copied(dir.path(), "traces/sessions_not_at_0.csv", "sessions.csv");
    let valid = end_of(command().current_dir(dir.path()).args(["trace", "validate", "sessions.csv"])).well().stdout;
    assert!(valid.contains("30 requests read") && valid.contains("no faults"), "{valid}");
    run(dir.path(), "path = \"sessions.csv\"\narrivals_per_s = 2.0", "out").well();
    let summary = std::fs::read_to_string(dir.path().join("out/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["policies"][0]["requests"].as_u64(), Some(30));
}

#[test]
fn formats_are_listed_with_what_they_carry() {
    let rows = end_of(command().args(["trace", "formats", "--format", "json"])).well().stdout;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&rows).unwrap();
    let readers = baseload::trace::Readers::embedded();
    let listed: Vec<&str> = rows.iter().filter_map(|row| row["format"].as_str()).collect();
    assert_eq!(listed, readers.rows().iter().map(|row| row.name).collect::<Vec<_>>());
    let carries = |name: &str| rows.iter().find(|row| row["format"] == name).unwrap()["carries"].clone();
    let (litellm, vllm) = (carries("litellm"), carries("vllm-bench-serve"));
    assert!(["arrivals", "tokens", "sessions", "tenants", "cached", "ttft", "cost"].iter().all(|k| litellm[k] == true));
    assert_eq!((vllm["ttft"].as_bool(), vllm["cost"].as_bool()), (Some(true), Some(false)));
    let table = end_of(command().args(["trace", "formats"])).well().stdout;
    assert!(listed.iter().all(|name| table.matches(name).count() >= 2), "{table}");
}

/// An option that only some formats heed says what it is for where it does not help.
#[test]
fn options_of_readers_reach_them() {
    let dir = tempfile::tempdir().unwrap();
    let trace = |args: &[&str]| end_of(command().current_dir(dir.path()).arg("trace").args(args));
    std::fs::write(
        dir.path().join("blocks.jsonl"),
        "{\"timestamp\":0,\"input_length\":700,\"output_length\":9,\"hash_ids\":[1]}\n",
    )
    .unwrap();
    let told = trace(&["info", "blocks.jsonl"]);
    assert_eq!(told.code, 2);
    let message = told.message();
    assert!(
        message.contains("blocks.jsonl:1: 1 hash_ids for 700 tokens") && message.contains("--hash-block"),
        "{message}"
    );
    trace(&["info", "blocks.jsonl", "--hash-block", "1024"]).well();
    copied(dir.path(), "interchange/sharegpt_lines.jsonl", "chat.jsonl");
    for (args, requests) in [
        (&["info", "chat.jsonl", "--format", "json"][..], 2),
        (&["info", "chat.jsonl", "--every-turn", "--format", "json"], 3),
    ] {
        let info: serde_json::Value = serde_json::from_str(&trace(args).well().stdout).unwrap();
        assert_eq!(info["stats"]["count"], requests, "{args:?}");
    }
    for word in ["--strict", "--hash-block", "--every-turn"] {
        assert!(trace(&["info", "--help"]).well().stdout.contains(word));
    }
    let wrong = trace(&["info", "chat.jsonl", "--hash-block", "0"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}
