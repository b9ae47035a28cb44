//! `baseload breakeven` as people run it: what it prints and writes, and what it refuses.
use crate::program::{command, end_of, root};
use std::path::{Path, PathBuf};

/// The quickstart's first 2,000 requests at three volumes.
const SMALL: [&str; 11] = [
    "experiments/quickstart.toml",
    "--set",
    "trace.limit=2000",
    "--from",
    "0.5",
    "--to",
    "2",
    "--points",
    "3",
    "--jobs",
    "2",
];

/// A folder of this test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn it_prints_tables_a_chart_and_words_and_writes_a_folder() {
    let out = folder("breakeven").join("result");
    let ended = end_of(command().arg("breakeven").args(SMALL).arg("--out").arg(&out)).well();
    assert_eq!(ended.stderr, "", "no progress where nobody watches");
    let shown: Vec<&str> = ended.stdout.lines().filter(|l| !l.contains(env!("CARGO_TARGET_TMPDIR"))).collect();
    for line in &shown {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("breakeven", shown.join("\n").trim_end()));

    let text = std::fs::read_to_string(out.join("breakeven.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["points"].as_array().unwrap().len(), 3);
    let page = std::fs::read_to_string(out.join("breakeven.html")).unwrap();
    for banned in ["<script", "http:", "https:", "src=", "url(", "@import", "NaN", "inf\""] {
        assert!(!page.contains(banned), "{banned}");
    }
    assert_eq!(page.matches("class=\"curve\"").count(), 2 * 4, "three lines and the naive one, each with its key");
    assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
    // The gap's parts are the own line, and the own fleet is as small as may be.
    for point in json["points"].as_array().unwrap() {
        let gap = point["gap"].as_object().unwrap();
        let part = |name: &str| gap[name].as_f64().unwrap();
        let parts: f64 = gap.keys().filter(|k| *k != "total").map(|k| part(k)).sum();
        assert!((parts - part("total")).abs() < 1e-6, "{gap:?}");
        assert!((part("total") - point["lines"][1]["usd_per_month"].as_f64().unwrap()).abs() < 1e-6);
    }
    // Again, on one thread and as JSON: the same bytes, over the former folder.
    let again = end_of(
        command().arg("breakeven").args(&SMALL[..9]).args(["--jobs", "1", "--format", "json", "--out"]).arg(&out),
    );
    assert_eq!(again.well().stdout, text);
    assert_eq!(out.parent().unwrap().read_dir().unwrap().count(), 1, "nothing but the folder");
}

#[test]
fn what_cannot_be_is_refused_with_the_option_and_nothing_is_written() {
    let cases: [(&[&str], &[&str]); 13] = [
        (&["--from", "2", "--to", "2"], &["--from: it is 2; it must be below --to"]),
        (&["--from", "0"], &["--from: it is 0; a volume is above 0"]),
        (&["--to", "5000"], &["--to: it is 5000; a volume is above 0 and at most 1000"]),
        (&["--points", "1"], &["--points: it is 1; a line needs 2 volumes at least"]),
        (&["--from", "1", "--to", "1.0001", "--points", "9"], &["--points: 9 are too many between 1 and 1.0001"]),
        (&["--target", "99"], &["--target: it is 99; a share"]),
        (&["--tolerance", "0"], &["--tolerance: it is 0; a share"]),
        (&["--jobs", "0"], &["--jobs: it is 0; at least 1"]),
        (&["--hybrid", "overfow"], &["--hybrid: unknown policy `overfow`", "did you mean `overflow`?"]),
        (&["--own", "api-only"], &["--own api-only: it keeps no replicas"]),
        (&["--api", "overflow"], &["--api overflow: it keeps replicas"]),
        (&["--own", "overflow"], &["--own overflow: it may buy ", "it belongs to --hybrid"]),
        (&["--hybrid", "own-mean"], &["--hybrid own-mean: it never buys ", "it belongs to --own"]),
    ];
    for (args, words) in cases {
        let dir = tempfile::tempdir().unwrap();
        let mut run = command();
        run.args(["breakeven", "experiments/quickstart.toml", "--out"]).arg(dir.path().join("r")).args(args);
        let ended = end_of(&mut run);
        let message = ended.message();
        assert_eq!(ended.code, 2, "{args:?}: {message}");
        for word in words {
            assert!(message.contains(word), "`{word}` is not in: {message}");
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "{args:?} left something");
    }
    let ended = end_of(command().arg("breakeven"));
    assert_eq!(ended.code, 2);
    assert!(ended.message().contains("<EXPERIMENT>"), "{}", ended.message());
    let ended = end_of(command().args(["breakeven", "no.toml"]));
    assert!(ended.code == 2 && ended.message().contains("no.toml: "), "{}", ended.message());
}

#[test]
fn one_kind_of_policy_is_no_break_even_and_a_foreign_folder_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = "name = \"t\"\n[trace]\npath = \"t.csv\"\n[endpoint.a]\ncatalog = \"openai/gpt-4o\"\n[policy.buy]\n\
        [policy.buy.api_only]\n[policy.cheap]\n[policy.cheap.api_only]\n";
    std::fs::write(dir.path().join("e.toml"), text).unwrap();
    std::fs::write(dir.path().join("t.csv"), "arrival_s,prompt_tokens,output_tokens\n0,9,9\n1,9,9\n").unwrap();
    let run = |args: &[&str]| end_of(command().current_dir(dir.path()).args(["breakeven", "e.toml"]).args(args));
    let ended = run(&["--out", "r"]);
    let message = ended.message();
    assert_eq!(ended.code, 2, "{message}");
    for word in ["e.toml:6: policy: ", "only an all-API one (`buy`)", "[policy.own.least_outstanding]"] {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(!dir.path().join("r").exists());
    let ended = end_of(command().arg("breakeven").args(SMALL).arg("--out").arg(dir.path()));
    assert!(ended.code == 2 && ended.message().contains("holds no breakeven.json"), "{}", ended.message());
    assert!(dir.path().join("e.toml").is_file());
}
