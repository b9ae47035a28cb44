//! Every preset of the registry, and what the routers that they are named for do with the specification's vectors.
use super::*;
use crate::gateway::testing::{Bench, ask, prompt, qualities, to_replica};
use crate::gateway::{Decision, Pipeline, Policy, PolicyScope};
use crate::types::{Faults, Load, Place, SimTime};

fn known() -> PolicyScope {
    PolicyScope {
        pools: vec!["chat".into()],
        replicas: vec![4],
        endpoints: vec!["frontier".into()],
        classes: vec!["default".into()],
        slo_ttft: Some(SimTime::from_secs(2)),
        quality: qualities(&[("chat", 0.6), ("frontier", 0.9)]),
    }
}

fn pipeline(name: &str) -> Pipeline {
    let parts = Presets::embedded().get(name).unwrap().parts().unwrap();
    parts.assemble(&known()).unwrap_or_else(|e| panic!("{name}: {e}")).pipeline
}
fn policy(name: &str) -> Policy {
    Policy::new(pipeline(name))
}

#[test]
fn every_preset_says_where_it_is_from_and_expands_to_parts_that_can_be_written_again() {
    let presets = Presets::embedded();
    let mut names: Vec<&str> = presets.iter().map(|p| p.name).collect();
    let all = names.len();
    for p in presets.iter() {
        assert!(!p.title.is_empty() && !p.source.is_empty() && !p.sees.is_empty(), "{}", p.name);
        assert!(p.title.len() <= 90, "{}: its title is long", p.name);
        let parts = p.parts().unwrap_or_else(|e| panic!("{}: {e}", p.name));
        let text = toml::to_string(&parts).unwrap_or_else(|e| panic!("{}: {e}", p.name));
        let again: Parts = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}\n{text}", p.name));
        assert_eq!(again, parts, "{}", p.name);
        let made = parts.assemble(&known()).unwrap_or_else(|e| panic!("{}: {e}", p.name));
        assert_eq!(made.warnings, [], "{}", p.name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a name stands twice");
}

#[test]
fn with_one_replica_all_presets_that_keep_to_own_replicas_decide_alike() {
    let bench = Bench::of(1);
    for p in Presets::embedded().iter() {
        let made = pipeline(p.name);
        if made.rules.iter().any(|r| made.needs().endpoints && r.when.is_empty()) {
            continue;
        }
        let mut policy = Policy::new(made);
        for i in 0..50 {
            let decision = ask(&mut policy, &bench, &[], i, &prompt(&[(i % 3, 400)]));
            assert_eq!(decision, to_replica(0), "{}", p.name);
        }
    }
}

#[test]
fn a_fault_of_parts_is_said_of_the_table_that_made_them() {
    let table = |name: &str, text: &str| {
        let table = toml::Value::Table(toml::from_str(text).unwrap());
        Presets::embedded().get(name).unwrap().read(table)
    };
    let says = |name: &str, text: &str| {
        let given = table(name, text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let faults = given.parts.assemble(&known()).unwrap_err();
        faults.into_iter().map(|fault| given.said(fault)).collect::<Faults>().to_string()
    };
    let overflow = says("overflow", "to = \"frontie\"");
    assert_eq!(overflow, "overflow.to: unknown place of this policy `frontie`; did you mean `frontier`?");
    let classes = says("route_llm_threshold", "to = \"frontie\"\nstrong_share = 0.5\nclasses = { default = [0.5] }");
    assert_eq!(classes, "route_llm_threshold.to: unknown place of this policy `frontie`; did you mean `frontier`?");
    let neither = says("route_llm_threshold", "to = \"frontier\"");
    assert_eq!(neither, "route_llm_threshold: it says not who needs it; give threshold or strong_share");
    let unknown = table("overflow", "too = \"frontier\"").err().unwrap().to_string();
    assert_eq!(unknown, "too: unknown key `too`; did you mean `to`?");
}

#[test]
fn an_embedder_adds_a_preset() {
    let mine = Preset { name: "mine", ..*Presets::embedded().get("random").unwrap() };
    let presets = Presets::embedded().with(mine);
    assert_eq!(presets.iter().last().map(|p| p.name), Some("mine"));
}

#[test]
#[should_panic(expected = "there is one named random")]
fn a_name_stands_once() {
    let _ = Presets::embedded().with(*Presets::embedded().get("random").unwrap());
}

#[test]
fn llmds_vector() {
    let mut bench = Bench::of(2);
    let mut p = policy("llmd_default");
    // B is sent four fifths of the prompt first: 8 of 10 blocks.
    bench.loads = [load(9, 0.0), load(0, 0.0)].into_iter().collect();
    assert_eq!(ask(&mut p, &bench, &[], 0, &prompt(&[(1, 512)])), to_replica(1));
    bench.loads = [load(0, 0.2), load(4, 0.6)].into_iter().collect();
    bench.scrape();
    let asked = prompt(&[(1, 512), (2, 128)]);
    assert_eq!(ask(&mut p, &bench, &[], 1, &asked), to_replica(0), "3.6 against 0 + 0.8 + 2.4 = 3.2");
    let mut p = policy("llmd_default");
    bench.loads = [load(9, 0.0), load(0, 0.0)].into_iter().collect();
    bench.scrape();
    assert_eq!(ask(&mut p, &bench, &[], 2, &asked), to_replica(1));
    bench.loads = [load(0, 0.2), load(4, 0.6)].into_iter().collect();
    bench.scrape();
    assert_eq!(ask(&mut p, &bench, &[], 3, &asked), to_replica(1), "3.8 against 3.6");
}

fn load(waiting: u32, kv_use: f64) -> Load {
    Load { waiting, running: 0, kv_used_blocks: (kv_use * 1000.0) as u32, kv_total_blocks: 1000 }
}

#[test]
fn llmd_sheds_what_is_not_urgent_when_saturated_and_trusts_no_old_sample() {
    let mut bench = Bench::of(2);
    bench.priority = 1;
    bench.loads = [load(5, 0.0), load(0, 0.8)].into_iter().collect();
    let mut p = policy("llmd_default");
    assert_eq!(ask(&mut p, &bench, &[], 0, &prompt(&[(1, 64)])), Decision::Reject, "max(5/5, 0) and max(0, 0.8/0.8)");
    bench.priority = 0;
    assert_ne!(ask(&mut p, &bench, &[], 0, &prompt(&[(1, 64)])), Decision::Reject);
    bench.priority = 1;
    bench.loads = [load(4, 0.0), load(0, 0.8)].into_iter().collect();
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
        bench.outstanding = loads.iter().copied().collect();
        ask(&mut p, &bench, &[], 0, &content)
    };
    assert_eq!(at(&[0, 9], prompt(&[(1, 300), (2, 700)])), to_replica(0), "nothing is known yet");
    assert_eq!(at(&[70, 2], prompt(&[(1, 300), (3, 100)])), to_replica(1), "out of balance, and noted");
    assert_eq!(at(&[2, 66], prompt(&[(1, 300), (4, 100)])), to_replica(1), "64 is not over 64");
    assert_eq!(at(&[200, 140], prompt(&[(1, 300), (5, 100)])), to_replica(1), "60 is not over 64");
    assert_eq!(at(&[0, 9], prompt(&[(1, 300), (6, 700)])), to_replica(0), "exactly 0.3 is no hit");
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
    let decision = ask(&mut p, &bench, &[], 1, &prompt(&[(1, 320)]));
    let Decision::Send(Place::Replica(first)) = decision else { panic!("{decision:?}") };
    let asked = prompt(&[(1, 320), (2, 320)]);
    assert_eq!(ask(&mut p, &bench, &[], 2, &asked), Decision::Send(first.into()), "40 - 20 + 40 blocks against 80");
    bench.unanswered[first] = 4_000;
    assert_eq!(ask(&mut p, &bench, &[], 3, &prompt(&[(1, 320), (3, 320)])), to_replica(1 - first.0));
}
