//! Traces through the whole program: how they are played, what transforms make of them, and that both repeat.
use crate::program::{Ended, command, end_of};
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
