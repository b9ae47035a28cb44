//! The quickstart's 20,000 requests under one policy, from its file to its summary, without records.
//!
//! What comes out must be the baseline's row of that policy, to the last digit: a bench that measures nonsense fails.
use baseload::engine::EngineMode;
use baseload::experiment::{Experiment, RunOptions, Traffic, run, summary::Summary};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};

const POLICY: &str = "own-peak-lo";

fn whole(c: &mut Criterion) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("experiments/quickstart.toml");
    let baseline = std::fs::read_to_string(root.join("experiments/baselines/quickstart.summary.json"));
    let baseline: Summary = serde_json::from_str(&baseline.expect("the baseline is committed")).expect("a summary");
    let wanted = baseline.policies.iter().find(|p| p.name == POLICY).expect("the policy has a baseline");
    let replay = || {
        let mut exp = Experiment::load(&path).expect("it loads");
        exp.policies.retain(|p| p.name == POLICY);
        let (progress, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let mode = EngineMode::default();
        let options = RunOptions { jobs: 1, records: None, progress: &progress, stop: &stop, mode, watch: &() };
        let traffic = Traffic::of(&exp, &stop).expect("its trace is there");
        run(&exp, &traffic, &options).expect("it runs").0
    };
    assert_eq!(&replay().policies[0], wanted, "the outcome is not the baseline's: the time would mean nothing");
    let mut group = c.benchmark_group("whole");
    group.throughput(Throughput::Elements(wanted.requests)).sample_size(20);
    group.bench_function(format!("quickstart {POLICY}"), |b| b.iter(replay));
    group.finish();
}

criterion_group!(benches, whole);
criterion_main!(benches);
