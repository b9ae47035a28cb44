//! The toys on the road of every experiment: `Experiment::load_with(..).run()`.
use baseload::experiment::summary::{PolicySummary, Summary};
use baseload::experiment::{Experiment, Settings};
use baseload_toys::settings;
use std::path::{Path, PathBuf};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn load(sets: &[&str]) -> Experiment {
    let settings = Settings { sets: sets.iter().map(|set| (*set).to_owned()).collect(), ..settings() };
    Experiment::load_with(&folder().join("toys.toml"), &settings).unwrap_or_else(|faults| panic!("{faults}"))
}

fn policy<'a>(summary: &'a Summary, name: &str) -> &'a PolicySummary {
    summary.policies.iter().find(|p| p.name == name).unwrap()
}

/// What an experiment with these keys set is refused for, by a program with these settings.
fn refused(settings: Settings, set: &str) -> String {
    let settings = Settings { sets: vec![set.into()], ..settings };
    Experiment::load_with(&folder().join("toys.toml"), &settings).err().expect("it is refused").to_string()
}

#[test]
fn engine_preset_reader_and_row_of_ones_own_run() {
    let experiment = load(&[]);
    let replica = &experiment.pools[0].replica;
    assert_eq!((replica.engine.0, replica.limits.max_rows), ("toy", 1));
    let said = load(&["pool.own.rent={ usd_per_gpu_hour = 1.5 }"]);
    assert_eq!(experiment.pools[0].rent(), said.pools[0].rent(), "the row's rent");
    let summary = experiment.run().unwrap();
    assert_eq!(summary.requests, 6, "the reader yields a request a line");
    let (toy, keep) = (policy(&summary, "toy"), policy(&summary, "keep"));
    assert_eq!((toy.completed, keep.completed), (6, 6));
    // The preset buys the two long prompts, and they alone.
    let short = 4.0 * 320.0 / (4.0 * 320.0 + 4050.0 + 5050.0);
    assert!(toy.api_usd_per_month > 0.0 && (toy.self_hosted_share - short).abs() < 1e-9, "{}", toy.self_hosted_share);
    assert_eq!((keep.api_usd_per_month, keep.self_hosted_share), (0.0, 1.0));
    // The engine serves one after the other: the last of four waits for three.
    let alone = policy(&load(&["trace.limit=1"]).run().unwrap(), "keep").e2e_p50_s.unwrap();
    let four = load(&["trace.limit=4"]).run().unwrap();
    let last = policy(&four, "keep").e2e_p99_s.unwrap();
    assert!((3.9..4.1).contains(&(last / alone)), "{last} s for the last of four, {alone} s for one alone");
    assert_eq!(load(&[]).run().unwrap(), summary, "the same experiment gives the same results");
}

#[test]
fn keys_of_ones_own_can_be_set_from_outside_and_checked() {
    let nothing_bought = load(&["policy.toy.toy_preset.longer_than=9000"]).run().unwrap();
    assert_eq!(policy(&nothing_bought, "toy").api_usd_per_month, 0.0);
    let short_queue = load(&["pool.own.engine.toy.queue=1", "trace.limit=4", "gateway.retries=0"]);
    assert!(policy(&short_queue.run().unwrap(), "keep").completed < 4);
    let says = refused(settings(), "pool.own.engine.toy.queue=0");
    assert!(says.contains("pool.own.engine.toy.queue: it is 0; it must be at least 1"), "{says}");
    let says = refused(settings(), "policy.toy.toy_preset.longer=1");
    assert!(says.contains("did you mean `longer_than`?"), "{says}");
}

#[test]
fn a_reader_of_ones_own_is_named_in_messages_and_found_by_content_or_by_name() {
    assert!(load(&["trace.input_format=toy"]).run().is_ok());
    let says = refused(settings(), "trace.input_format=tooy");
    assert!(says.contains("format `tooy` is unknown") && says.contains("toy"), "{says}");
    let dir = tempfile::tempdir().unwrap();
    let torn: PathBuf = dir.path().join("torn.trace");
    std::fs::write(&torn, "toy trace\n0 300 20\n0 300\n").unwrap();
    let set = format!("trace.path={}", torn.display());
    let left_out = load(&[&set]).run().unwrap();
    assert_eq!(left_out.requests, 1);
    assert!(left_out.warnings.iter().any(|w| w.contains("left out")), "{:?}", left_out.warnings);
    let says = load(&[&set, "trace.strict=true"]).run().unwrap_err().to_string();
    assert!(says.contains("torn.trace:3: the line is torn; it must be milliseconds"), "{says}");
}

#[test]
fn without_their_lines_nobody_knows_them() {
    let without = |name: &str| match name {
        "engine" => Settings { engines: Settings::default().engines, ..settings() },
        "preset" => Settings { presets: Settings::default().presets, ..settings() },
        _ => Settings { readers: Settings::default().readers, ..settings() },
    };
    let says = refused(without("engine"), "seed=1");
    assert!(says.contains("pool.own.engine.toy: there is no such engine"), "{says}");
    let says = refused(without("preset"), "seed=1");
    assert!(says.contains("unknown key `toy_preset`"), "{says}");
    let says = refused(without("reader"), "trace.input_format=toy");
    assert!(says.contains("format `toy` is unknown"), "{says}");
}
