//! `baseload conformance` on the golden vLLM schedules, and on one that is wrong.
use assert_cmd::Command;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

/// The synchronous and the asynchronous recording of a family.
fn both(family: &str) -> Vec<PathBuf> {
    ["sync", "async"].iter().map(|kind| golden(&format!("families/vllm-0.32-{family}-{kind}.jsonl.gz"))).collect()
}

/// The first case of a recording.
fn first_case(path: &Path) -> serde_json::Value {
    let mut text = String::new();
    let packed = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

fn conformance(files: &[PathBuf]) -> (i32, serde_json::Value) {
    let out = Command::cargo_bin("baseload").unwrap().args(["conformance", "--format", "json"]).args(files).output();
    let out = out.unwrap();
    (out.status.code().unwrap(), serde_json::from_slice(&out.stdout).expect("JSON on stdout"))
}

#[test]
fn all_recordings_are_exact_with_and_without_strides() {
    let files =
        ["sync", "async", "azure-sync", "azure-async"].map(|kind| golden(&format!("vllm-0.32-{kind}.jsonl.gz")));
    let (code, report) = conformance(&files);
    let want = serde_json::json!({
        "cases": 183, "cases_exact": 183, "steps": 89_204, "steps_exact": 89_204, "strided_cases_exact": 183,
        "first_mismatch": null, "needs": {},
    });
    assert_eq!((code, report), (0, want));
}

/// Cases, those that were replayed, their steps, and those under each need, of both files of each family.
#[test]
fn the_families_are_exact_as_far_as_they_use_what_is_built() {
    let of_edges = serde_json::json!({
        "kv_groups": 24, "kv_offload": 32, "long_prefill_adaptive": 2, "max_loras": 2, "pipeline_parallel": 4,
        "speculative_decoding": 24,
    });
    let none = serde_json::json!({});
    let rows = [
        ("more", 286, 286, 140_245, none.clone()),
        ("tight", 82, 82, 56_312, none.clone()),
        ("abort", 56, 56, 15_694, none),
        ("edge", 118, 30, 368, of_edges),
        ("knobs", 40, 30, 9_682, serde_json::json!({ "long_prefill_adaptive": 10 })),
        ("lora", 48, 25, 5_144, serde_json::json!({ "max_loras": 23 })),
    ];
    for (family, cases, exact, steps, needs) in rows {
        let (code, report) = conformance(&both(family));
        let want = serde_json::json!({
            "cases": cases, "cases_exact": exact, "steps": steps, "steps_exact": steps, "strided_cases_exact": exact,
            "first_mismatch": null, "needs": needs,
        });
        assert_eq!((code, report), (0, want), "{family}");
    }
}

#[test]
fn a_line_a_family_and_what_is_not_built_is_said() {
    let files = [both("lora"), both("edge")].concat();
    let out = Command::cargo_bin("baseload").unwrap().arg("conformance").args(&files).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<String> = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(out.status.code(), Some(0));
    let edge = "edge kv_groups 24, kv_offload 32, long_prefill_adaptive 2, max_loras 2, pipeline_parallel 4, \
                speculative_decoding 24 118 30 30 368 368";
    for line in ["lora max_loras 23 24 1 1 112 112", "salt 24 24 24 5032 5032", edge, "cases exact 55 of 55"] {
        assert!(lines.iter().any(|l| l == line), "no line `{line}` in:\n{text}");
    }
}

#[test]
fn a_recording_that_differs_is_named_and_fails() {
    let mut case = first_case(&golden("vllm-0.32-sync.jsonl.gz"));
    let step = &mut case["steps"][7];
    step["free_blocks"] = (step["free_blocks"].as_u64().unwrap() + 1).into();
    let call = step["step"].clone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrong.jsonl");
    writeln!(std::fs::File::create(&path).unwrap(), "{case}").unwrap();
    let (code, report) = conformance(std::slice::from_ref(&path));
    assert_eq!(code, 1);
    assert_eq!((&report["cases"], &report["cases_exact"]), (&1.into(), &0.into()));
    assert_eq!((&report["strided_cases_exact"], &report["steps_exact"]), (&0.into(), &7.into()));
    let first = &report["first_mismatch"];
    assert_eq!((&first["field"], &first["step"], &first["case"]), (&"free_blocks".into(), &call, &case["case"]));
}

#[test]
fn what_is_no_recording_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrong.jsonl");
    let refused = |text: &str, words: &str| {
        std::fs::write(&path, text).unwrap();
        let out = Command::cargo_bin("baseload").unwrap().arg("conformance").arg(&path).output().unwrap();
        let message = String::from_utf8_lossy(&out.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(out.status.code() == Some(2) && message.replace("│ ", "").contains(words), "{text}: {message}");
    };
    refused("{\"case\": 1}\n", "wrong.jsonl:1");
    refused("", "it holds no case");
    refused("\n\n", "it holds no case");
    let case = first_case(&golden("vllm-0.32-sync.jsonl.gz"));
    let with = |at: &str, value: serde_json::Value| {
        let mut case = case.clone();
        *case.pointer_mut(at).unwrap() = value;
        case.to_string()
    };
    refused(&with("/config/block_size", 0.into()), "config.block_size is 0");
    refused(&with("/config/num_gpu_blocks", 1.into()), "config.num_gpu_blocks is 1");
    refused(&with("/config/policy", "sjf".into()), "config.policy is `sjf`");
    refused(&with("/config/watermark", (-0.1).into()), "config.watermark is -0.1");
    refused(&with("/requests/0/prompt_len", 0.into()), "prompt_len is 0");
    refused(&with("/requests/0/output_len", 0.into()), "output_len 0");
    refused(&with("/requests/0/block_ids", vec![1; 100_000].into()), "100000 block_ids");
    let unknown = |at: &str, key: &str| {
        let mut case = case.clone();
        case.pointer_mut(at).unwrap()[key] = 1.into();
        case.to_string()
    };
    refused(&unknown("/config", "prefill_schedule_interval"), "unknown field `prefill_schedule_interval`");
    refused(&unknown("/requests/0", "min_tokens"), "unknown field `min_tokens`");
    refused(&unknown("/steps/0", "emitted"), "unknown field `emitted`");
    refused(&with("/version", "0.33.0".into()), "engine vllm, version 0.33.0");
    refused(&with("/engine", "triton".into()), "engine triton");
}

/// A case counts under what it needs before its steps are looked at; one that only names a feature is replayed.
#[test]
fn the_need_is_decided_by_each_case() {
    let case = first_case(&golden("families/vllm-0.32-abort-sync.jsonl.gz"));
    let with = |changes: &[(&str, serde_json::Value)]| {
        let mut case = case.clone();
        for (key, value) in changes {
            case["config"][key] = value.clone();
        }
        case["steps"][0]["later"] = 1.into();
        case.to_string()
    };
    let group = |kind: &str, block: u32| serde_json::json!({ "type": kind, "block_size": block, "window": 64 });
    let full = serde_json::json!([group("full", 32)]);
    let lines = [
        with(&[("num_speculative_tokens", 3.into()), ("spec_method", "ngram".into())]),
        with(&[("kv_groups", serde_json::json!([group("full", 32), group("sliding", 32)]))]),
        with(&[("kv_groups", serde_json::json!([group("sliding", 32)])), ("num_speculative_tokens", 1.into())]),
        with(&[("kv_groups", serde_json::json!([group("full", 16)]))]),
        with(&[("offload", serde_json::json!({ "cpu_chunks": 4 }))]),
        with(&[("batch_queue", 2.into())]),
        with(&[("pp_size", 2.into())]),
        with(&[("long_prefill_adaptive", true.into()), ("long_prefill_token_threshold", 8.into())]),
        serde_json::json!({ "case": "edge-one-n", "engine": "sglang", "version": "0.5.23", "steps": [] }).to_string(),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("needs.jsonl");
    std::fs::write(&path, lines.join("\n")).unwrap();
    let (code, report) = conformance(std::slice::from_ref(&path));
    let needs = serde_json::json!({
        "kv_groups": 3, "kv_offload": 1, "long_prefill_adaptive": 1, "pipeline_parallel": 2, "sglang": 1,
        "speculative_decoding": 1,
    });
    let counts = ["cases", "cases_exact", "steps", "strided_cases_exact"].map(|key| report[key].as_u64().unwrap());
    assert_eq!((code, counts, &report["needs"]), (0, [9, 0, 0, 0], &needs));
    // A single group as the engine has it anyway, adapters that have room, a cap that is off.
    let mut built = case.clone();
    for (key, value) in [("kv_groups", full), ("max_loras", 2.into()), ("long_prefill_adaptive", true.into())] {
        built["config"][key] = value;
    }
    built["requests"][0]["lora"] = 1.into();
    std::fs::write(&path, built.to_string()).unwrap();
    let (code, report) = conformance(&[path]);
    assert_eq!((code, &report["cases_exact"], &report["needs"]), (0, &1.into(), &serde_json::json!({})));
}
