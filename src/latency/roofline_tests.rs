//! Tests of the roofline: the law, its shape, and magnitudes.
use super::*;
use crate::catalog::Catalog;

fn roofline(model: &str, gpu: &str, tp: u32) -> Roofline {
    let c = Catalog::embedded();
    Roofline::new(c.model(model).unwrap(), c.gpu(gpu).unwrap(), tp, &RooflineOptions::default()).unwrap()
}

fn decode_fs(r: &Roofline, rows: u32, ctx: u64) -> u128 {
    r.batch(&BatchShape { prefill: &[], decode_rows: rows, decode_ctx_sum: ctx }).0
}

fn prefill_ms(r: &Roofline, context: u32, tokens: u32) -> f64 {
    let chunk = [PrefillChunk { context, tokens }];
    r.batch(&BatchShape { prefill: &chunk, decode_rows: 0, decode_ctx_sum: 0 }).as_secs_f64() * 1e3
}

const CASES: [(&str, u32); 5] =
    [("llama-3.1-8b", 1), ("llama-3.1-70b", 4), ("deepseek-v3", 8), ("gpt-oss-120b", 2), ("qwen3.5-35b-a3b", 1)];

#[test]
fn law_equals_batch_and_grows_with_rows_and_context() {
    for (model, tp) in CASES {
        let r = roofline(model, "h200-sxm", tp);
        for rows in [1, 2, 7, 128, 1_024, 1_025, 3_000] {
            let mut last = 0;
            for ctx in [0, 1, 127, 128, 129, 4_096, 16_384, 131_072, 5_000_000] {
                let law = r.decode(rows, ctx);
                assert!(ctx < law.until_ctx_sum);
                let by_law = u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(ctx);
                let by_batch = decode_fs(&r, rows, ctx);
                assert_eq!(by_law, by_batch);
                assert!(by_batch > last, "{model} {rows} {ctx}");
                last = by_batch;
                assert!(decode_fs(&r, rows + 1, ctx) >= by_batch, "{model} {rows} {ctx}");
            }
        }
    }
}

#[test]
fn a_law_holds_to_the_end_of_its_piece_and_pieces_join() {
    let r = roofline("gpt-oss-120b", "h100-sxm", 2);
    let law = r.decode(4, 0);
    assert_eq!(law.until_ctx_sum, 4 * 128);
    assert_eq!(r.decode(4, law.until_ctx_sum - 1), law);
    let next = r.decode(4, law.until_ctx_sum);
    assert_eq!(next.until_ctx_sum, u64::MAX);
    let at = law.until_ctx_sum;
    assert_eq!(law.base_fs + law.per_ctx_fs * at, next.base_fs + next.per_ctx_fs * at);
}

#[test]
fn magnitudes_are_sane() {
    let r = roofline("llama-3.1-8b", "h100-sxm", 1);
    let alone = decode_fs(&r, 1, 1_000) as f64 / 1e12;
    assert!((5.0..9.0).contains(&alone), "{alone} ms");
    let prefill = prefill_ms(&r, 0, 8_192);
    assert!((150.0..400.0).contains(&prefill), "{prefill} ms");
    let big = roofline("llama-3.1-70b", "h100-sxm", 4);
    let alone = decode_fs(&big, 1, 1_000) as f64 / 1e12;
    assert!((12.0..25.0).contains(&alone), "{alone} ms");
}

#[test]
fn prefill_grows_with_tokens_and_context_and_mixed_costs_more() {
    for (model, tp) in CASES {
        let r = roofline(model, "h200-sxm", tp);
        let mut last = 0.0;
        for tokens in [2, 16, 512, 2_048, 8_192] {
            let ms = prefill_ms(&r, 0, tokens);
            assert!(ms > last);
            assert!(prefill_ms(&r, 20_000, tokens) > ms);
            last = ms;
        }
        let chunk = [PrefillChunk { context: 0, tokens: 512 }];
        let mixed = r.batch(&BatchShape { prefill: &chunk, decode_rows: 8, decode_ctx_sum: 8_000 }).0;
        assert!(mixed > decode_fs(&r, 8, 8_000));
        assert!(mixed as f64 / 1e12 > prefill_ms(&r, 0, 512));
    }
}

#[test]
fn few_tokens_touch_few_experts_and_fp8_halves_weight_reads() {
    let moe = roofline("qwen3-30b-a3b", "h100-sxm", 1);
    let one = decode_fs(&moe, 1, 0) as f64;
    assert!(decode_fs(&moe, 64, 0) as f64 > 3.0 * one);
    let c = Catalog::embedded();
    let options = RooflineOptions { weight_bytes_per_param: 1.0, step_overhead_s: 0.0, ..RooflineOptions::default() };
    let (m, g) = (c.model("llama-3.1-8b").unwrap(), c.gpu("h100-sxm").unwrap());
    let fp8 = Roofline::new(m, g, 1, &options).unwrap().decode(1, 0).base_fs;
    let bf16 = RooflineOptions { weight_bytes_per_param: 2.0, ..options };
    let ratio = Roofline::new(m, g, 1, &bf16).unwrap().decode(1, 0).base_fs as f64 / fp8 as f64;
    assert!((ratio - 2.0).abs() < 1e-6, "{ratio}");
    assert!(Roofline::new(m, g, 3, &bf16).is_err());
    assert!(Roofline::new(m, g, 1, &RooflineOptions { linear_mfu: 0.0, ..bf16 }).is_err());
}
