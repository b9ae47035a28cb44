//! Tests of the account: against reality, against hand vectors, and laws over models and GPUs.
use super::*;
use crate::catalog::Catalog;
use crate::memory::KvDtype;
use proptest::prelude::*;

fn parts(model: &str, gpu: &str) -> (&'static Model, &'static Gpu, PlanOptions) {
    let c = Catalog::embedded();
    (c.model(model).unwrap(), c.gpu(gpu).unwrap(), PlanOptions::default())
}

#[test]
fn plans_come_within_five_percent_of_measured_pools() {
    let c = Catalog::embedded();
    assert_eq!(c.measured_pools.len(), 3);
    for row in &c.measured_pools {
        let options = PlanOptions {
            tensor_parallel: row.tensor_parallel,
            utilization: row.utilization,
            block_size: row.block_size,
            max_model_len: row.max_model_len,
            max_num_batched_tokens: row.max_num_batched_tokens,
            ..PlanOptions::default()
        };
        let p = plan(c.model(&row.model).unwrap(), c.gpu(&row.gpu).unwrap(), &options).unwrap();
        let off = (p.num_blocks * u64::from(p.block_size)) as f64 / row.kv_tokens as f64 - 1.0;
        assert!(off.abs() < 0.05, "{} at {}: {} blocks, {off:+.3}", row.model, row.utilization, p.num_blocks);
    }
}

#[test]
fn blocks_are_those_of_the_worked_example() {
    // Spec 1.9: 80 GiB x 0.92 - 15.5 consumed - 1.5 transient - 0.6 graphs = 56.0 GiB.
    let tenths = 736 - 155 - 15 - 6;
    assert_eq!(blocks_in(tenths * (1 << 30) / 10, 2 << 20), 28_672);
    let (m, g, o) = parts("llama-3.1-8b", "h100-sxm");
    let p = plan(m, g, &o).unwrap().with_blocks(28_672);
    assert_eq!(p.kv_tokens, 458_752 - 16, "one block is null");
    assert_eq!((p.uniform_blocks, p.uniform_tokens()), (28_672, p.kv_tokens));
    assert_eq!(p.sequences_of_8k, 55);
}

#[test]
fn sequences_and_preemption_follow_from_blocks() {
    let (m, g, o) = parts("llama-3.1-8b", "h100-sxm");
    let p = plan(m, g, &o).unwrap().with_blocks(1_001);
    assert_eq!((p.sequences_of(1_600), p.sequences_of(1_601)), (10, 9), "1,000 usable blocks; 100 and 101 each");
    assert_eq!(p.preempts_at(1_600), Some(11));
    assert_eq!(p.blocks_of(11, 1_600), 1_100);
    let few = PlanOptions { max_num_seqs: Some(10), ..o };
    assert_eq!(plan(m, g, &few).unwrap().with_blocks(1_001).preempts_at(1_600), None, "the eleventh waits");
}

#[test]
fn windows_are_worth_what_they_save() {
    let (m, g, o) = parts("gemma-3-27b", "h100-sxm");
    let p = plan(m, g, &o).unwrap();
    assert_eq!(p.groups, 7);
    let full = p.kv_pool_bytes / p.kv_bytes_per_token;
    assert!(p.kv_tokens > 3 * full, "{} tokens where all layers in full would give {full}", p.kv_tokens);
    assert!(p.uniform_tokens() <= full, "an engine without groups must not be promised more than memory has");
    // 131,072 tokens: 8,192 blocks in full, and 65 in each of six groups of windows.
    assert_eq!(p.sequences_of(131_072), p.usable_blocks() / (8_192 + 6 * 65));
}

#[test]
fn what_does_not_fit_says_by_how_much_and_what_would() {
    let says = |model: &str, gpu: &str, change: fn(&mut PlanOptions)| {
        let (m, g, mut o) = parts(model, gpu);
        change(&mut o);
        plan(m, g, &o).unwrap_err().to_string()
    };
    let e = says("llama-3.1-70b", "h100-sxm", |_| ());
    assert!(e.contains("does not fit h100-sxm with tensor_parallel = 1: ") && e.contains("GiB a GPU short"), "{e}");
    let e = says("llama-3.1-405b", "l4", |_| ());
    assert!(e.contains("GiB of weights"), "{e}");
    let e = says("llama-3.1-8b", "l4", |_| ());
    assert!(e.contains("one sequence of max_model_len = 131072 tokens"), "{e}");
    let (m, g, o) = parts("llama-3.1-8b", "l4");
    let Err(MemoryError::DoesNotFit(short)) = plan(m, g, &o) else { panic!("{e}") };
    let longest = short.longest.unwrap();
    assert!(e.contains(&format!("max_model_len = {longest} would fit")), "{e}");
    for (len, good) in [(longest, true), (longest + 1, false)] {
        assert_eq!(plan(m, g, &PlanOptions { max_model_len: Some(len), ..o.clone() }).is_ok(), good, "{len}");
    }
    let e = says("llama-3.1-8b", "h100-sxm", |o| o.utilization = 1.5);
    assert_eq!(e, "utilization: it is 1.5; it must be a share above 0 and up to 1");
    let e = says("llama-3.1-8b", "h100-sxm", |o| o.max_model_len = Some(200_000));
    assert_eq!(e, "max_model_len: it is 200000; it must be at most 131072, the context of llama-3.1-8b");
}

#[test]
fn quantisation_makes_room() {
    let (m, g, o) = parts("llama-3.1-70b", "h100-sxm");
    let with = |weights_dtype, kv_dtype| {
        plan(m, g, &PlanOptions { tensor_parallel: 4, weights_dtype, kv_dtype, ..o.clone() }).unwrap()
    };
    let bf16 = with(WeightsDtype::Bf16, KvDtype::Bf16);
    let fp8 = with(WeightsDtype::Fp8, KvDtype::Fp8);
    let int4 = with(WeightsDtype::Int4, KvDtype::Fp8);
    assert_eq!(bf16.kv_bytes_per_token, 2 * fp8.kv_bytes_per_token);
    assert!(fp8.kv_tokens > 2 * bf16.kv_tokens && int4.kv_tokens > fp8.kv_tokens);
    assert!(fp8.weights_bytes > bf16.weights_bytes / 2, "embeddings and head stay");
}

/// Any model and GPU that a plan may be asked for.
fn any_case() -> impl Strategy<Value = (usize, usize, PlanOptions)> {
    let c = Catalog::embedded();
    let limits = (prop::option::of(1u32..20_000), prop::option::of(1u32..2_000), prop::option::of(1u32..4_096));
    let dtypes = (prop::sample::select(&WeightsDtype::ALL[..]), prop::sample::select(&KvDtype::ALL[..]));
    (0..c.models.len(), 0..c.gpus.len(), 0u32..5, 0.3f64..=1.0, limits, dtypes, 1u32..=2).prop_map(
        |(model, gpu, log, utilization, (tokens, seqs, len), (weights_dtype, kv_dtype), concurrent_batches)| {
            let options = PlanOptions {
                tensor_parallel: 1 << log,
                utilization,
                max_num_batched_tokens: tokens,
                max_num_seqs: seqs,
                max_model_len: len,
                concurrent_batches,
                weights_dtype,
                kv_dtype,
                ..PlanOptions::default()
            };
            (model, gpu, options)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_add_up_and_blocks_fit((model, gpu, options) in any_case()) {
        let c = Catalog::embedded();
        let (m, g) = (&c.models[model], &c.gpus[gpu]);
        let Ok(p) = plan(m, g, &options) else { return Ok(()) };
        prop_assert_eq!(account(m, g, &options), Ok(p.clone()));
        let used = p.weights_bytes + p.activations_bytes + p.cuda_graphs_bytes + p.other_bytes + p.kv_pool_bytes;
        prop_assert_eq!(used + p.unused_bytes, p.per_gpu_total_bytes, "account-sums: {} on {}", m.id, g.id);
        prop_assert!(p.num_blocks * p.block_bytes <= p.kv_pool_bytes);
        prop_assert!((p.num_blocks + 1) * p.block_bytes > p.kv_pool_bytes, "a whole block is left over");
        let uniform = (p.uniform_blocks - 1) * u64::from(p.groups) * p.block_bytes;
        prop_assert!(uniform <= p.kv_pool_bytes, "an engine without groups is promised more than there is");
        for len in [1, 100, p.max_model_len] {
            let held = p.sequences_of(len);
            prop_assert!(p.blocks_of(held, len) <= p.usable_blocks() && p.blocks_of(held + 1, len) > p.usable_blocks());
        }
    }

    #[test]
    fn more_memory_or_more_gpus_never_hold_less((model, gpu, options) in any_case(), more in 0.0f64..0.5) {
        let c = Catalog::embedded();
        let (m, g) = (&c.models[model], &c.gpus[gpu]);
        let Ok(p) = plan(m, g, &options) else { return Ok(()) };
        let utilization = (options.utilization + more).min(1.0);
        let freer = plan(m, g, &PlanOptions { utilization, ..options.clone() });
        prop_assert!(freer.is_ok_and(|f| f.kv_tokens >= p.kv_tokens && f.num_blocks >= p.num_blocks));
        let tensor_parallel = options.tensor_parallel * 2;
        match plan(m, g, &PlanOptions { tensor_parallel, ..options }) {
            Ok(wider) => {
                prop_assert!(wider.weights_bytes < p.weights_bytes);
                prop_assert!(wider.kv_tokens >= p.kv_tokens, "{}: {} {}", m.id, wider.kv_tokens, p.kv_tokens);
            }
            Err(e) => prop_assert!(matches!(e, MemoryError::Options(_)), "twice the GPUs hold less: {e}"),
        }
    }
}
