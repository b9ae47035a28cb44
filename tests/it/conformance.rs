//! Golden vLLM schedules, call by call, through the scheduler that simulations use.
use baseload::engine::conformance;
use std::io::BufRead;

fn exact(file: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let reader = std::io::BufReader::new(flate2::read::MultiGzDecoder::new(std::fs::File::open(&path).unwrap()));
    let mut cases = 0;
    for line in reader.lines() {
        let case: conformance::Case = serde_json::from_str(&line.unwrap()).unwrap();
        cases += 1;
        if let Err(mismatch) = case.replay() {
            panic!("{file}: first difference: {mismatch:?}");
        }
    }
    assert!(cases > 0, "{file} holds no case");
}

#[test]
fn synchronous_schedules_are_exact() {
    exact("vllm-0.32-sync.jsonl.gz");
    exact("vllm-0.32-azure-sync.jsonl.gz");
}

#[test]
fn asynchronous_schedules_are_exact() {
    exact("vllm-0.32-async.jsonl.gz");
    exact("vllm-0.32-azure-async.jsonl.gz");
}
