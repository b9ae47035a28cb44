//! The manifest holds what determines a result, and only that.
use crate::program::{command, end_of, root};
use sha2::{Digest, Sha256};
use std::path::Path;

fn sha256(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Runs `experiment` into `out` and reads back the manifest.
fn manifest(experiment: &Path, out: &Path, more: &[&str]) -> (String, serde_json::Value) {
    let mut program = command();
    program.arg("run").arg(experiment).args(["--quiet", "--no-records", "--out"]).arg(out).args(more);
    end_of(&mut program).well();
    let text = std::fs::read_to_string(out.join("manifest.json")).unwrap();
    let value = serde_json::from_str(&text).unwrap();
    (text, value)
}

#[test]
fn it_holds_hashes_seed_version_features_facts_and_the_resolved_experiment() {
    let dir = tempfile::tempdir().unwrap();
    let base = root().join("experiments/quickstart.toml");
    let over = dir.path().join("over.toml");
    let text = format!("extends = \"{}\"\nname = \"over\"\n[trace]\nlimit = 200\n", base.display());
    std::fs::write(&over, text).unwrap();
    let (bytes, m) = manifest(&over, &dir.path().join("a"), &["--seed", "7", "--jobs", "1"]);
    assert_eq!((m["seed"].as_u64(), m["replicates"].as_u64()), (Some(7), Some(1)));
    assert_eq!(m["baseload_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(m["features"], serde_json::json!(["frames"]));
    let inputs = m["inputs"].as_array().unwrap();
    let files = [("experiment", over.clone()), ("base", base), ("generator", root().join("traces/support-desk.toml"))];
    assert_eq!(inputs.len(), files.len(), "{inputs:?}");
    for (input, (role, path)) in inputs.iter().zip(&files) {
        assert_eq!(input["role"], *role);
        assert_eq!(input["file"].as_str().unwrap(), path.file_name().unwrap().to_str().unwrap());
        assert_eq!(input["sha256"].as_str().unwrap(), sha256(path), "{role}");
        assert_eq!(input["bytes"].as_u64().unwrap(), std::fs::metadata(path).unwrap().len(), "{role}");
    }
    let e = &m["experiment"];
    assert_eq!(
        (e["seed"].as_u64(), e["trace"]["limit"].as_u64()),
        (Some(7), Some(200)),
        "--seed and the overlay count"
    );
    assert_eq!(e["pool"]["chat"]["engine"]["vllm"]["block_size"], 16, "defaults are filled in");
    assert_eq!(e["gateway"]["timeout"], "600s", "defaults are filled in");
    let facts = m["facts"].as_array().unwrap();
    for (kind, name) in [
        ("gpu", "l4"),
        ("model", "llama-3.1-8b"),
        ("rent", "l4, AWS, on-demand"),
        ("api price", "anthropic/claude-haiku-4-5"),
        ("api latency", "openai/gpt-4o"),
        ("people", "on_call_stipend_us"),
    ] {
        let fact = facts.iter().find(|f| f["kind"] == kind && f["name"] == name);
        let fact = fact.unwrap_or_else(|| panic!("no {kind} {name} in {facts:?}"));
        assert!(fact["date"].as_str().is_some_and(|d| !d.is_empty()) && fact["source"].is_string(), "{fact}");
    }
    let host = root().display().to_string();
    assert!(
        !bytes.replace("\\/", "/").lines().any(|l| l.contains(&host) && !l.contains("\"generate\"")),
        "a path: {bytes}"
    );
}

#[test]
fn it_repeats_whatever_the_host_and_changes_with_an_input() {
    let dir = tempfile::tempdir().unwrap();
    let spec = std::fs::read_to_string(root().join("traces/support-desk.toml")).unwrap();
    let text = std::fs::read_to_string(root().join("experiments/quickstart.toml")).unwrap();
    let text = text.replace("../traces/", "").replace("[class.private]", "limit = 100\n[class.private]");
    let lay = |folder: &str, spec: &str| {
        let folder = dir.path().join(folder);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("support-desk.toml"), spec).unwrap();
        std::fs::write(folder.join("q.toml"), &text).unwrap();
        folder
    };
    let (one, two) = (lay("one", &spec), lay("two", &spec));
    let first = manifest(&one.join("q.toml"), &one.join("r"), &["--jobs", "1"]);
    let second = manifest(&two.join("q.toml"), &two.join("elsewhere"), &["--jobs", "2"]);
    assert_eq!(first.0, second.0, "folders, threads and clocks are not in the manifest");
    let run: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(two.join("elsewhere/run.json")).unwrap()).unwrap();
    assert_eq!(run["threads"], 2, "{run}");
    for key in ["started", "host", "os", "folder"] {
        assert!(run[key].as_str().is_some_and(|v| !v.is_empty()), "run.json lacks {key}: {run}");
    }
    assert!(run["started"].as_str().unwrap().ends_with('Z') && run["command"].as_array().unwrap().len() > 3, "{run}");
    let three = lay("three", &format!("{spec}# a remark\n"));
    let third = manifest(&three.join("q.toml"), &three.join("r"), &[]);
    assert_ne!(first.1["inputs"][1]["sha256"], third.1["inputs"][1]["sha256"], "a changed input has another hash");
    assert_eq!(first.1["inputs"][0], third.1["inputs"][0]);
}
