//! `perf.json`: what benches/peers.md reads from it must be there and make sense.
use assert_cmd::Command;

#[test]
fn perf_json_counts_cpu_memory_and_each_worker() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("r");
    let sets = ["--set", "trace.limit=500", "--jobs", "2", "--no-records", "--quiet", "--out"];
    let mut command = Command::cargo_bin("baseload").unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    command.current_dir(root).args(["run", "experiments/quickstart.toml"]).args(sets).arg(&out).assert().success();
    let perf: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("perf.json")).unwrap()).unwrap();
    let number = |key: &str| perf[key].as_f64().unwrap_or_else(|| panic!("`{key}` is no number in {perf:#}"));
    assert_eq!(number("requests"), 6.0 * 500.0);
    assert!(number("engine_steps") > 0.0 && number("events") > number("requests"));
    let rate = number("requests") / number("cpu_s");
    assert!((number("requests_per_cpu_s") / rate - 1.0).abs() < 1e-9, "{perf:#}");
    let workers = perf["workers"].as_array().unwrap();
    let simulations: u64 = workers.iter().map(|w| w["simulations"].as_u64().unwrap()).sum();
    assert_eq!((workers.len(), simulations), (2, 6), "{perf:#}");
    for worker in workers {
        let (busy, idle) = (worker["busy_s"].as_f64().unwrap(), worker["idle_share"].as_f64().unwrap());
        assert!((busy + idle * number("wall_s") - number("wall_s")).abs() < 1e-9, "{perf:#}");
    }
    if cfg!(target_os = "linux") {
        assert!(number("peak_rss_bytes") > 1e6, "{perf:#}");
    }
}
