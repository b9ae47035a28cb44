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

/// A gateway that looks at every replica every 10 ms, for a policy that then never has a reason to buy, changes no byte of
/// what the engines do.
#[cfg(feature = "frames")]
#[test]
fn looking_does_not_disturb() {
    use crate::support::modes;
    let dir = tempfile::tempdir().unwrap();
    let run = |interval: &str| {
        let out = dir.path().join(interval);
        let sets = [
            "trace.limit=3000".to_string(),
            "policy.overflow.pools={chat=8}".to_string(),
            "policy.overflow.overflow.waiting_per_replica=1000000".to_string(),
            "policy.overflow.overflow.kv_use=1".to_string(),
            format!("gateway.scrape.interval=\"{interval}\""),
        ];
        let mut command = modes::binary();
        command.args(["run", "experiments/quickstart.toml", "--quiet", "--out"]).arg(&out);
        sets.iter().for_each(|set| _ = command.args(["--set", set]));
        command.assert().success();
        let read = |file: &str| std::fs::read(out.join(file)).unwrap();
        let policies = ["overflow", "own-peak-lo"].map(|policy| format!("policy={policy}/replicate=0/part.parquet"));
        let requests = policies.iter().map(|p| read(&format!("requests/{p}"))).collect::<Vec<_>>();
        let series = policies.iter().map(|p| read(&format!("series/{p}"))).collect::<Vec<_>>();
        (read("summary.json"), requests, series)
    };
    let (eager, lazy) = (run("10ms"), run("24h"));
    assert!(eager == lazy, "a scrape every 10 ms changed what a run without one finds");
}

#[test]
fn readme_shows_the_baseline_s_tables() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let summary = serde_json::from_str(&read("experiments/baselines/quickstart.summary.json")).unwrap();
    let shown = baseload::report::terminal(&summary);
    assert!(read("README.md").contains(shown.trim_end()), "README.md's table is old; it should read\n{shown}");
}
