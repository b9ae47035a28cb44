//! One experiment, every mode, the same bytes.
use assert_cmd::Command;
use std::path::{Path, PathBuf};

/// The same small experiment under different threads; a limit keeps the debug build quick.
fn run(out: &Path, jobs: &str, polars_threads: &str) {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::cargo_bin("baseload")
        .unwrap()
        .current_dir(root)
        .env("POLARS_MAX_THREADS", polars_threads)
        .args(["run", "experiments/quickstart.toml", "--quiet", "--set", "trace.limit=3000", "--jobs", jobs, "--out"])
        .arg(out)
        .assert()
        .success();
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { files(&entry.path(), into) } else { into.push(entry.path()) }
    }
}

#[test]
fn threads_change_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    let modes = [("1", "1"), ("2", "1"), ("2", "4")];
    let outs: Vec<PathBuf> = (0..modes.len()).map(|i| dir.path().join(format!("mode{i}"))).collect();
    for (out, (jobs, threads)) in outs.iter().zip(modes) {
        run(out, jobs, threads);
    }
    let mut first = Vec::new();
    files(&outs[0], &mut first);
    assert!(first.iter().any(|p| p.ends_with("part.parquet")), "records were written");
    for path in first.iter().filter(|p| !p.ends_with("perf.json") && !p.ends_with("run.json")) {
        let name = path.strip_prefix(&outs[0]).unwrap();
        let bytes = std::fs::read(path).unwrap();
        for (other, mode) in outs[1..].iter().zip(&modes[1..]) {
            let theirs = std::fs::read(other.join(name)).unwrap();
            let at = bytes.iter().zip(&theirs).position(|(a, b)| a != b);
            assert!(
                bytes == theirs,
                "{} differs under jobs, polars threads = {mode:?}, first at byte {at:?}",
                name.display()
            );
        }
    }
}

#[test]
fn readme_shows_the_baseline_s_tables() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let summary = serde_json::from_str(&read("experiments/baselines/quickstart.summary.json")).unwrap();
    let shown = baseload::report::terminal(&summary);
    assert!(read("README.md").contains(shown.trim_end()), "README.md's table is old; it should read\n{shown}");
}
