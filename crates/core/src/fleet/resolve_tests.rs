//! Tests of the road from words to a replica type.
use super::*;
use crate::catalog::{Catalog, StepCoefficients};
use crate::engine::{EngineMode, Engines};
use crate::types::Usd;
use toml::{Table, Value};

fn spec(model: &str, gpu: &str) -> ReplicaSpec {
    ReplicaSpec::new(model, gpu, Engines::embedded().chosen(&Table::new()).unwrap())
}

fn refused(spec: &ReplicaSpec) -> String {
    spec.resolve(Catalog::embedded()).unwrap_err().to_string()
}

#[test]
fn blocks_that_are_given_are_taken_and_said_where_the_account_finds_fewer() {
    let plain = spec("llama-3.1-8b", "a10g");
    let of = |num_blocks| {
        let memory = MemoryOptions {
            num_blocks: Some(num_blocks),
            max_model_len: LongestSequence::Tokens(32_768),
            ..plain.memory
        };
        ReplicaSpec { memory, ..plain.clone() }
    };
    // The account is 0.05 GiB short for one sequence of 32,768 tokens; the engine printed 2,200 blocks.
    assert!(
        refused(&ReplicaSpec { memory: MemoryOptions { num_blocks: None, ..of(2_200).memory }, ..of(2_200) })
            .contains("llama-3.1-8b does not fit a10g with tensor_parallel = 1: 0.05 GiB a GPU short")
    );
    let given = of(2_200).resolve(Catalog::embedded()).unwrap();
    assert_eq!((given.kv.num_blocks, given.kv.max_model_len), (2_200, 32_768));
    assert!(given.warnings[0].starts_with("num_blocks = 2200 is taken as it is given"), "{:?}", given.warnings);
    let few = of(1_000).resolve(Catalog::embedded()).unwrap();
    assert_eq!((few.kv.num_blocks, few.kv.max_model_len), (1_000, 15_984), "one block is null");
    assert!(few.warnings[0].starts_with("sequences end at 15984 tokens, not 32768"), "{:?}", few.warnings);
    assert_eq!(refused(&of(1)), "num_blocks: it is 1, and one is the null block; it must be at least 2");
    let most = refused(&of(u32::MAX));
    assert!(
        most.starts_with("num_blocks: 4294967295 blocks of 16 tokens take more than the 21.96 GiB of a GPU"),
        "{most}"
    );
    let bound: u32 = most.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(of(bound).resolve(Catalog::embedded()).is_ok() && of(bound + 1).resolve(Catalog::embedded()).is_err());
    // Who saw them says so: neither the GPU's memory nor the model's context is asked.
    let longest = LongestSequence::Tokens(200_000);
    assert!(
        refused(&ReplicaSpec { memory: MemoryOptions { max_model_len: longest, ..of(2_200).memory }, ..of(2_200) })
            .starts_with("max_model_len: it is 200000")
    );
    let memory = MemoryOptions { max_model_len: longest, measured: true, ..of(bound + 1).memory };
    let seen = ReplicaSpec { memory, ..plain.clone() }.resolve(Catalog::embedded()).unwrap();
    assert_eq!((seen.kv.num_blocks, seen.kv.max_model_len), (bound + 1, (bound * 16).min(200_000)));
}

#[test]
fn what_windows_would_save_is_said_with_its_factor() {
    let gemma = spec("gemma-3-27b", "h100-sxm");
    let short = |longest| {
        let memory = MemoryOptions { max_model_len: LongestSequence::Tokens(longest), ..gemma.memory };
        let weights = Some(crate::memory::WeightsDtype::Fp8);
        let spec = ReplicaSpec { memory, formats: Formats { weights, ..gemma.formats }, ..gemma.clone() };
        spec.resolve(Catalog::embedded()).unwrap()
    };
    let held = short(32_768);
    let plan = held.plan.as_ref().unwrap();
    assert_eq!(u64::from(held.kv.num_blocks), plan.uniform_blocks);
    assert!(plan.uniform_blocks < plan.num_blocks, "the engine is not promised what windows save");
    let [warning] = held.warnings.as_slice() else { panic!("{:?}", held.warnings) };
    assert!(warning.contains("windows too") && warning.contains("times as many"), "{warning}");
    // Of 32,768 tokens ten layers keep 2,048 blocks; six groups of windows, as wide, keep 65 each.
    let times = f64::from(7 * 2_048) / f64::from(2_048 + 6 * 65);
    assert!(warning.contains(&format!("{times:.1} times")), "{warning}");
    assert_eq!(short(1_024).warnings, Vec::<String>::new(), "no window lets go of a token");
    let ends = short(131_072);
    assert!(ends.warnings[0].starts_with("sequences end at ") && ends.kv.max_model_len < 131_072);
    assert_eq!(spec("llama-3.1-8b", "h100-sxm").resolve(Catalog::embedded()).unwrap().warnings, Vec::<String>::new());
}

#[test]
fn a_model_of_windows_alone_says_what_they_would_save_too() {
    let mut catalog = Catalog::embedded().clone();
    let model = catalog.models.iter_mut().find(|m| m.id == "gemma-3-27b").unwrap();
    (model.full_attention_layers, model.window_layers) = (0, model.layers);
    let memory =
        MemoryOptions { max_model_len: LongestSequence::Tokens(32_768), ..spec("gemma-3-27b", "h200-sxm").memory };
    let held = ReplicaSpec { memory, ..spec("gemma-3-27b", "h200-sxm") }.resolve(&catalog).unwrap();
    assert_eq!(held.plan.as_ref().unwrap().groups, 1);
    let [warning] = held.warnings.as_slice() else { panic!("{:?}", held.warnings) };
    let times = 2_048.0 / 65.0;
    assert!(warning.contains(&format!("{times:.1} times as many")), "{warning}");
}

#[test]
fn what_does_not_fit_says_what_would_by_the_same_road() {
    let llama = spec("llama-3.1-70b", "h100-sxm");
    let e = refused(&llama);
    assert!(e.contains("GiB a GPU short") && e.contains("; h100-sxm with tensor_parallel = 4 would fit"), "{e}");
    let four = ReplicaSpec { tensor_parallel: 4, ..llama };
    assert!(four.resolve(Catalog::embedded()).is_ok(), "what is named fits");
    assert!(e.contains("the cheapest of the catalogue that would fit is "), "{e}");
    let none = refused(&spec("llama-3.1-405b", "l4"));
    assert!(!none.contains("; l4 with tensor_parallel"), "no number of L4s: {none}");
}

#[test]
fn a_machine_of_no_catalogue_needs_blocks_a_length_and_a_profile() {
    let odd = spec("h512-l8", "cpu");
    assert!(refused(&odd).starts_with("model: unknown model `h512-l8`"));
    let fitted = StepTimeSource::Coefficients(StepCoefficients { step_s: 0.01, ..Default::default() }, 2.0);
    let profiled = ReplicaSpec { step_time: fitted, ..odd };
    assert!(refused(&profiled).ends_with("; give num_blocks and max_model_len, which the catalogue would say"));
    let memory = MemoryOptions { num_blocks: Some(64), max_model_len: LongestSequence::Tokens(500), ..profiled.memory };
    let known = ReplicaSpec { memory, ..profiled };
    let replica = known.resolve(Catalog::embedded()).unwrap();
    assert_eq!((replica.kv.num_blocks, replica.kv.max_model_len, replica.plan.is_none()), (64, 500, true));
    assert_eq!(replica.step_time.decode(0, 0).base_fs, 20_000_000_000_000, "twice 10 ms");
    let too_many = ReplicaSpec { memory: MemoryOptions { num_blocks: Some(u32::MAX), ..memory }, ..known };
    assert!(refused(&too_many).starts_with("num_blocks: it is 4294967295; it must be at most"));
}

#[test]
fn faults_stand_at_the_keys_of_a_pool() {
    let plain = spec("llama-3.1-8b", "h100-sxm");
    let with = |change: &dyn Fn(&mut ReplicaSpec)| {
        let mut spec = plain.clone();
        change(&mut spec);
        refused(&spec)
    };
    assert!(with(&|s| s.gpu = "h100-smx".into()).starts_with("gpu: unknown GPU `h100-smx`; did you mean `h100-sxm`?"));
    assert_eq!(with(&|s| s.tensor_parallel = 0), "tensor_parallel: it is 0; it must be at least 1");
    assert!(with(&|s| s.tensor_parallel = 3).starts_with("tensor_parallel: 3 does not divide the 32 heads"));
    assert!(with(&|s| s.memory.utilization = 1.5).starts_with("utilization: it is 1.5;"));
    assert!(with(&|s| s.memory.max_model_len = LongestSequence::Tokens(0)).starts_with("max_model_len: it is 0;"));
    assert!(with(&|s| s.memory.max_model_len = LongestSequence::Tokens(200_000)).contains("at most 131072"));
    assert_eq!(with(&|s| s.rent = Some(RentSpec::Own(Usd(-1)))), "rent: it is below zero");
    let few = Table::from_iter([("max_num_seqs".to_owned(), Value::Integer(0))]);
    let engine = Engines::embedded().choose("vllm", few).unwrap();
    assert!(with(&|s| s.engine = engine.clone()).starts_with("engine.vllm.max_num_seqs: it is 0;"));
}

#[test]
fn a_type_starts_idle_replicas_of_its_blocks() {
    let rent = Some(RentSpec::Of { provider: "AWS".into(), kind: "on-demand".into() });
    let replica = ReplicaSpec { rent, ..spec("llama-3.1-8b", "h100-sxm") }.resolve(Catalog::embedded()).unwrap();
    let started = replica.start(EngineMode::default());
    assert_eq!(started.engine().load().kv_total_blocks, replica.kv.num_blocks - 1);
    assert_eq!(started.unfinished(), 0);
    assert_eq!(replica.rent.as_ref().unwrap().read.as_ref().unwrap().0, "rent of h100-sxm from AWS");
    assert_eq!(replica.title, "llama-3.1-8b on 1 x h100-sxm");
}
