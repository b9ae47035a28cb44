//! `baseload conformance` on the golden vLLM schedules, and on one that is wrong.
use assert_cmd::Command;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
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
        "first_mismatch": null,
    });
    assert_eq!((code, report), (0, want));
}

#[test]
fn a_recording_that_differs_is_named_and_fails() {
    let mut text = String::new();
    let packed = std::fs::File::open(golden("vllm-0.32-sync.jsonl.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    let mut case: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
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
    let mut text = String::new();
    let packed = std::fs::File::open(golden("vllm-0.32-sync.jsonl.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    let case: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let with = |at: &str, value: serde_json::Value| {
        let mut case = case.clone();
        *case.pointer_mut(at).unwrap() = value;
        case.to_string()
    };
    refused(&with("/config/block_size", 0.into()), "config.block_size is 0");
    refused(&with("/config/num_gpu_blocks", 1.into()), "config.num_gpu_blocks is 1");
    refused(&with("/config/policy", "sjf".into()), "config.policy is `sjf`");
    refused(&with("/config/watermark", (-0.1).into()), "config.watermark is -0.1");
    refused(&with("/requests/0/prompt_len", 0.into()), "prompt_len 0");
    refused(&with("/requests/0/output_len", 0.into()), "output_len 0");
    refused(&with("/requests/0/block_ids", vec![1; 100_000].into()), "100000 block_ids");
}
