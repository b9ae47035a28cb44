//! The quickstart in every mode, the same bytes; and README's tables are those of its baseline.
#[cfg(feature = "frames")]
#[test]
fn no_mode_changes_a_byte() {
    use crate::support::modes;
    let dir = tempfile::tempdir().unwrap();
    let quickstart = std::path::Path::new("experiments/quickstart.toml");
    // A limit keeps the debug build quick.
    let limit = ["--set", "trace.limit=3000"];
    let at_most = std::time::Duration::from_secs(120);
    let (result, _) = modes::one_hash(quickstart, &limit, dir.path(), at_most).unwrap();
    assert!(result.join("requests").is_dir(), "records were written");
}

#[test]
fn readme_shows_the_baseline_s_tables() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let summary = serde_json::from_str(&read("experiments/baselines/quickstart.summary.json")).unwrap();
    let shown = baseload::report::terminal(&summary);
    assert!(read("README.md").contains(shown.trim_end()), "README.md's table is old; it should read\n{shown}");
}
