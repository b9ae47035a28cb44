//! The linear floor of every step-time model lies under its steps, whatever the batch.
use super::made_tables::made;
use super::*;
use crate::catalog::{Catalog, StepCoefficients};
use crate::types::{BatchShape, PrefillChunk, StepTime};
use proptest::prelude::*;
use std::sync::OnceLock;

const MOST_ROWS: u32 = 200;

fn models() -> &'static [(String, Box<dyn StepTime>)] {
    static MODELS: OnceLock<Vec<(String, Box<dyn StepTime>)>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let c = Catalog::embedded();
        let mut all: Vec<(String, Box<dyn StepTime>)> = Vec::new();
        for (model, gpu, tp) in [
            ("llama-3.1-8b", "l4", 1),
            ("llama-3.1-70b", "h100-sxm", 4),
            ("gpt-oss-20b", "h100-sxm", 1),
            ("qwen3-30b-a3b", "h100-sxm", 4),
            ("qwen2.5-7b", "a100-80-sxm", 1),
        ] {
            for async_scheduling in [true, false] {
                let eager = AnalyticOptions { graph_sizes: GraphSizes::default(), ..AnalyticOptions::default() };
                for options in [AnalyticOptions::default(), eager] {
                    let options = AnalyticOptions { async_scheduling, ..options };
                    let step = Analytic::new(c, c.model(model).unwrap(), c.gpu(gpu).unwrap(), tp, &options).unwrap();
                    all.push((format!("{model} on {gpu}, async {async_scheduling}"), Box::new(step)));
                }
            }
        }
        let (model, gpu) = (c.model("llama-3.1-8b").unwrap(), c.gpu("h100-sxm").unwrap());
        let table = Table::new(c, model, gpu, 1, &made(false), &AnalyticOptions::default()).unwrap();
        all.push(("table".into(), Box::new(table)));
        let fitted = StepCoefficients {
            step_s: 0.012,
            first_sequences_s: 0.000_2,
            sequence_s: 0.000_5,
            context_s_per_1000: 0.001_3,
            prefill_s: 0.001,
            prefill_token_s: 0.000_35,
            prefill_pair_s_per_million: 0.14,
        };
        all.push(("fitted".into(), Box::new(Fitted::new(&fitted, 1.0))));
        let constant = Constant { base_fs: 1_000, per_row_fs: 100, per_ctx_fs: 10, per_prefill_token_fs: 1 };
        all.push(("constant".into(), Box::new(constant)));
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn a_floor_is_never_above_a_step(
        which in 0usize..1_000,
        rows in 0u32..150,
        mean_context in prop_oneof![0u64..50, 0u64..20_000],
        prefill in prop::collection::vec((prop_oneof![Just(0u32), 0u32..30_000], prop_oneof![1u32..20, 1u32..4_000]), 0..6),
    ) {
        let (name, step) = &models()[which % models().len()];
        prop_assume!(rows > 0 || !prefill.is_empty());
        let chunks: Vec<PrefillChunk> =
            prefill.iter().map(|(context, tokens)| PrefillChunk { context: *context, tokens: *tokens }).collect();
        let ctx = u64::from(rows) * mean_context;
        let takes = step.batch(&BatchShape { prefill: &chunks, decode_rows: rows, decode_ctx_sum: ctx }).0;
        let floor = step.floor(MOST_ROWS);
        let tokens: u64 = prefill.iter().map(|c| u64::from(c.1)).sum();
        let pairs: u128 = prefill.iter().map(|(c, t)| (u128::from(*c), u128::from(*t)))
            .map(|(c, t)| c * t + t * (t - 1) / 2).sum();
        let least = u128::from(step.floor_of_tokens(u64::from(rows) + tokens))
            + u128::from(floor.per_row_fs) * u128::from(rows)
            + u128::from(floor.per_prefill_token_fs) * u128::from(tokens)
            + u128::from(floor.per_ctx_fs) * u128::from(ctx)
            + u128::from(floor.per_pair_fs) * pairs;
        prop_assert!(least <= takes, "floor: {}: {} fs above {} fs", name, least, takes);
        // What a request alone needs: one row without context, or one chunk without others.
        let one = [PrefillChunk { context: 0, tokens: 1 }];
        let one = step.batch(&BatchShape { prefill: &one, decode_rows: 0, decode_ctx_sum: 0 }).0;
        let alone = one.min(step.decode(1, 0).base_fs.into());
        prop_assert!(alone - alone / 1_000_000 <= takes, "floor: {}: one token takes {} fs, this {}", name, alone, takes);
        if rows > 0 {
            let law = step.decode(1, mean_context);
            let one = u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(mean_context);
            prop_assert!(one - one / 1_000_000 <= takes, "floor: {}: one of its rows takes {} fs, all {}", name, one, takes);
        }
    }

    #[test]
    fn what_tokens_share_never_falls(which in 0usize..1_000, tokens in 1u64..20_000, more in 1u64..300) {
        let (name, step) = &models()[which % models().len()];
        let (few, many) = (step.floor_of_tokens(tokens), step.floor_of_tokens(tokens + more));
        prop_assert!(few <= many, "floor: {}: {} tokens {} fs, {} more {} fs", name, tokens, few, more, many);
    }
}
