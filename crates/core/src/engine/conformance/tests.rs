//! The recordings, on all three ways through the scheduler; and which feature a case counts under.
use super::*;
use serde::de::IgnoredAny;
use std::io::Read;

type Replayed = Result<(), Box<Mismatch>>;

fn lines(file: &str) -> Vec<String> {
    let path = format!("{}/../../tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let packed = std::fs::File::open(&path).expect("golden file");
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("golden file unpacks");
    text.lines().map(str::to_string).collect()
}

/// A way to replay a case.
type Replay = fn(&Case) -> Replayed;

/// Replays the cases of a file of this project's recordings that use only what is built; the tests may read files.
fn exact(file: &str, cases: usize) {
    let built = |line: &String| {
        let case: Case<IgnoredAny> = serde_json::from_str(line).expect("golden case");
        case.need().is_none()
    };
    let all: Vec<Case> =
        lines(file).iter().filter(|line| built(line)).map(|l| serde_json::from_str(l).expect("golden case")).collect();
    let ways: [(&str, Replay); 3] = [
        ("one by one", |c| c.replay(false)),
        ("with strides", |c| c.replay(true)),
        ("on the reference pool", Case::replay_on_reference),
    ];
    for (way, replay) in ways {
        let wrong: Vec<Mismatch> = all.iter().filter_map(|c| replay(c).err()).map(|m| *m).collect();
        assert!(
            wrong.is_empty(),
            "vllm-exact: {} of {} cases differ {way}: {:#?}",
            wrong.len(),
            all.len(),
            &wrong[..wrong.len().min(5)]
        );
    }
    assert_eq!(all.len(), cases);
}

#[test]
fn synchronous_schedules_equal_the_real_vllm() {
    exact("vllm-0.32-sync.jsonl.gz", 90);
}
#[test]
fn azure_schedules_equal_the_real_vllm() {
    exact("vllm-0.32-azure-sync.jsonl.gz", 2);
}
#[test]
fn asynchronous_schedules_equal_the_real_vllm() {
    exact("vllm-0.32-async.jsonl.gz", 90);
}
#[test]
fn asynchronous_azure_schedules_equal_the_real_vllm() {
    exact("vllm-0.32-azure-async.jsonl.gz", 1);
}
#[test]
fn families_equal_the_real_vllm_as_far_as_they_use_what_is_built() {
    for (family, cases) in [("more", 143), ("tight", 41), ("abort", 28), ("edge", 15), ("lora", 13), ("knobs", 16)] {
        exact(&format!("families/vllm-0.32-{family}-sync.jsonl.gz"), cases);
    }
}
#[test]
fn asynchronous_families_equal_the_real_vllm_as_far_as_they_use_what_is_built() {
    for (family, cases) in [("more", 143), ("tight", 41), ("abort", 28), ("edge", 15), ("lora", 12), ("knobs", 14)] {
        exact(&format!("families/vllm-0.32-{family}-async.jsonl.gz"), cases);
    }
}
