//! Every preset of the registry, and what the routers that they are named for do with the specification's vectors.
use super::*;
use crate::gateway::testing::{Bench, ask, prompt, qualities};
use crate::gateway::{Decision, Known, Pipeline, Policy};
use crate::types::{Load, SimTime};

fn known() -> Known {
    Known {
        pools: vec!["chat".into()],
        replicas: vec![4],
        endpoints: vec!["frontier".into()],
        classes: vec!["default".into()],
        slo_ttft: Some(SimTime::from_secs(2)),
        quality: qualities(&[("chat", 0.6), ("frontier", 0.9)]),
    }
}

fn pipeline(name: &str) -> Pipeline {
    parts_of(name).assemble(&known()).unwrap_or_else(|e| panic!("{name}: {e}")).pipeline
}
fn policy(name: &str) -> Policy {
    Policy::new(pipeline(name))
}

#[test]
fn every_preset_says_where_it_is_from_and_expands_to_parts_that_can_be_written_again() {
    let mut names: Vec<&str> = presets().map(|p| p.name).collect();
    for p in presets() {
        assert!(!p.title.is_empty() && !p.source.is_empty() && !p.sees.is_empty(), "{}", p.name);
        assert!(p.title.len() <= 90, "{}: its title is long", p.name);
        let parts = (p.parts)();
        let text = toml::to_string(&parts).unwrap_or_else(|e| panic!("{}: {e}", p.name));
        let again: Parts = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}\n{text}", p.name));
        assert_eq!(again, parts, "{}", p.name);
        let made = parts.assemble(&known()).unwrap_or_else(|e| panic!("{}: {e}", p.name));
        assert_eq!(made.warnings, Vec::<String>::new(), "{}", p.name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), presets().count(), "a name stands twice");
}

#[test]
fn with_one_replica_all_presets_that_keep_to_own_replicas_decide_alike() {
    let bench = Bench::of(1);
    for p in presets() {
        let made = pipeline(p.name);
        if made.rules.iter().any(|r| made.needs().endpoints && r.when.is_empty()) {
            continue;
        }
        let mut policy = Policy::new(made);
        for i in 0..50 {
            let decision = ask(&mut policy, &bench, &[], i, &prompt(&[(i % 3, 400)]));
            assert_eq!(decision, Decision::Replica(0), "{}", p.name);
        }
    }
}

#[test]
fn llmds_vector() {
    let mut bench = Bench::of(2);
    let mut p = policy("llmd_default");
    // B is sent four fifths of the prompt first: 8 of 10 blocks.
    bench.loads = vec![load(9, 0.0), load(0, 0.0)];
    assert_eq!(ask(&mut p, &bench, &[], 0, &prompt(&[(1, 512)])), Decision::Replica(1));
    bench.loads = vec![load(0, 0.2), load(4, 0.6)];
    bench.scrape();
    let asked = prompt(&[(1, 512), (2, 128)]);
    assert_eq!(ask(&mut p, &bench, &[], 1, &asked), Decision::Replica(0), "3.6 against 0 + 0.8 + 2.4 = 3.2");
    let mut p = policy("llmd_default");
    bench.loads = vec![load(9, 0.0), load(0, 0.0)];
    bench.scrape();
    assert_eq!(ask(&mut p, &bench, &[], 2, &asked), Decision::Replica(1));
    bench.loads = vec![load(0, 0.2), load(4, 0.6)];
    bench.scrape();
    assert_eq!(ask(&mut p, &bench, &[], 3, &asked), Decision::Replica(1), "3.8 against 3.6");
}

fn load(waiting: u32, kv_use: f64) -> Load {
    Load { waiting, running: 0, kv_used_blocks: (kv_use * 1000.0) as u32, kv_total_blocks: 1000 }
}

#[test]
fn llmd_sheds_what_is_not_urgent_when_saturated_and_trusts_no_old_sample() {
    let mut bench = Bench::of(2);
    bench.priority = 1;
    bench.loads = vec![load(5, 0.0), load(0, 0.8)];
    let mut p = policy("llmd_default");
    assert_eq!(ask(&mut p, &bench, &[], 0, &prompt(&[(1, 64)])), Decision::Reject, "max(5/5, 0) and max(0, 0.8/0.8)");
    bench.priority = 0;
    assert_ne!(ask(&mut p, &bench, &[], 0, &prompt(&[(1, 64)])), Decision::Reject);
    bench.priority = 1;
    bench.loads = vec![load(4, 0.0), load(0, 0.8)];
    bench.scrape();
    assert_ne!(ask(&mut p, &bench, &[], 0, &prompt(&[(1, 64)])), Decision::Reject, "(0.8 + 1) / 2");
    bench.now = SimTime(bench.sampled_at.0 + 200_000_001);
    assert_eq!(ask(&mut p, &bench, &[], 0, &prompt(&[(1, 64)])), Decision::Reject, "older than 200 ms");
}

#[test]
fn sglangs_vectors() {
    let mut p = policy("sglang_cache_aware");
    let mut at = |loads: &[u32], content| {
        let mut bench = Bench::of(loads.len() as u32);
        bench.outstanding = loads.to_vec();
        ask(&mut p, &bench, &[], 0, &content)
    };
    assert_eq!(at(&[0, 9], prompt(&[(1, 300), (2, 700)])), Decision::Replica(0), "nothing is known yet");
    assert_eq!(at(&[70, 2], prompt(&[(1, 300), (3, 100)])), Decision::Replica(1), "out of balance, and noted");
    assert_eq!(at(&[2, 66], prompt(&[(1, 300), (4, 100)])), Decision::Replica(1), "64 is not over 64");
    assert_eq!(at(&[200, 140], prompt(&[(1, 300), (5, 100)])), Decision::Replica(1), "60 is not over 64");
    assert_eq!(at(&[0, 9], prompt(&[(1, 300), (6, 700)])), Decision::Replica(0), "exactly 0.3 is no hit");
}

#[test]
fn production_stack_takes_chance_among_the_deepest_matches() {
    let mut p = policy("production_stack_prefix");
    let bench = Bench::of(4);
    let first = ask(&mut p, &bench, &[], 7, &prompt(&[(1, 640)]));
    for i in 0..20 {
        assert_eq!(
            ask(&mut p, &bench, &[], i, &prompt(&[(1, 640), (2, 31)])),
            first,
            "a partial chunk changes nothing"
        );
    }
    let mut seen: Vec<Decision> = (0..40).map(|i| ask(&mut p, &bench, &[], i, &prompt(&[(i + 9, 64)]))).collect();
    seen.sort_by_key(|d| format!("{d:?}"));
    seen.dedup();
    assert_eq!(seen.len(), 4, "without a match anybody");
}

#[test]
fn dynamo_follows_the_overlap_until_the_work_ahead_costs_more() {
    let mut p = policy("dynamo_kv");
    let mut bench = Bench::of(2);
    // Two idle workers cost the same: the first pick is by chance.
    let Decision::Replica(first) = ask(&mut p, &bench, &[], 1, &prompt(&[(1, 320)])) else { panic!("no replica") };
    let asked = prompt(&[(1, 320), (2, 320)]);
    assert_eq!(ask(&mut p, &bench, &[], 2, &asked), Decision::Replica(first), "40 - 20 + 40 blocks against 80");
    bench.unanswered[first as usize] = 4_000;
    assert_eq!(ask(&mut p, &bench, &[], 3, &prompt(&[(1, 320), (3, 320)])), Decision::Replica(1 - first));
}
