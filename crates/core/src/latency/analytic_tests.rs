//! Tests of the analytic step time: the law, its shape, magnitudes, and the figures of the fitting script.
use super::*;
use crate::catalog::Catalog;
use proptest::prelude::*;

fn with(model: &str, gpu: &str, tp: u32, options: &AnalyticOptions) -> Analytic {
    let c = Catalog::embedded();
    Analytic::new(c, c.model(model).unwrap(), c.gpu(gpu).unwrap(), tp, options).unwrap()
}

fn analytic(model: &str, gpu: &str, tp: u32) -> Analytic {
    with(model, gpu, tp, &AnalyticOptions::default())
}

fn curves(model_gpu: &str, change: impl FnOnce(&mut Curves)) -> Option<Curves> {
    let c = Catalog::embedded();
    let mut curves = Curves::of(c, c.gpu(model_gpu).unwrap(), WeightsDtype::Bf16).unwrap();
    change(&mut curves);
    Some(curves)
}

fn synchronous() -> AnalyticOptions {
    AnalyticOptions { async_scheduling: false, ..AnalyticOptions::default() }
}

fn decode_fs(r: &Analytic, rows: u32, ctx: u64) -> u128 {
    r.batch(&BatchShape { prefill: &[], decode_rows: rows, decode_ctx_sum: ctx }).0
}

fn prefill_ms(r: &Analytic, context: u32, tokens: u32) -> f64 {
    let chunk = [PrefillChunk { context, tokens }];
    r.batch(&BatchShape { prefill: &chunk, decode_rows: 0, decode_ctx_sum: 0 }).as_secs_f64() * 1e3
}

const CASES: [(&str, u32); 5] =
    [("llama-3.1-8b", 1), ("llama-3.1-70b", 4), ("deepseek-v3", 8), ("gpt-oss-120b", 2), ("qwen3.5-35b-a3b", 1)];

#[test]
fn law_equals_batch_and_grows_with_rows_and_context() {
    for (model, tp) in CASES {
        let r = analytic(model, "h200-sxm", tp);
        for rows in [1, 2, 7, 128, 1_024, 1_025, 3_000] {
            let mut last = 0;
            for ctx in [0, 1, 127, 128, 129, 4_096, 16_384, 131_072, 5_000_000] {
                let law = r.decode(rows, ctx);
                assert!(ctx < law.until_ctx_sum);
                let by_law = u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(ctx);
                let by_batch = decode_fs(&r, rows, ctx);
                assert_eq!(by_law, by_batch);
                assert!(by_batch >= last, "{model} {rows} {ctx}");
                last = by_batch;
                assert!(decode_fs(&r, rows + 1, ctx) >= by_batch, "{model} {rows} {ctx}");
            }
        }
    }
}

#[test]
fn a_law_holds_to_the_end_of_its_piece_and_pieces_join() {
    let r = analytic("gpt-oss-120b", "h100-sxm", 2);
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
    let r = analytic("llama-3.1-8b", "h100-sxm", 1);
    let alone = decode_fs(&r, 1, 1_000) as f64 / 1e12;
    assert!((6.3..6.7).contains(&alone), "{alone} ms");
    let prefill = prefill_ms(&r, 0, 8_192);
    assert!((180.0..300.0).contains(&prefill), "{prefill} ms");
    let big = analytic("llama-3.1-70b", "h100-sxm", 4);
    let alone = decode_fs(&big, 1, 1_000) as f64 / 1e12;
    assert!((12.0..25.0).contains(&alone), "{alone} ms");
}

/// Derived from published measurements; see the constants.
#[test]
fn decode_is_near_what_was_measured() {
    // vLLM 0.23, Qwen3-14B, one H100, 2 requests a second: the fastest of 1,212 requests, ms a token.
    let alone = decode_fs(&analytic("qwen3-14b", "h100-sxm", 1), 1, 1_060) as f64 / 1e12;
    assert!((alone / 11.08 - 1.0).abs() < 0.05, "{alone} ms");
    // vLLM 0.11 (synchronous), Llama-3.1-8B, one H100, about 320 tokens of context a row: median ms between tokens.
    let r = with("llama-3.1-8b", "h100-sxm", 1, &synchronous());
    for (rows, ms) in [(8, 7.32), (16, 7.91), (32, 8.91)] {
        let ours = decode_fs(&r, rows, u64::from(rows) * 320) as f64 / 1e12;
        assert!((ours / ms - 1.0).abs() < 0.1, "{rows} rows: {ours} ms, measured {ms}");
    }
}

#[test]
fn the_host_is_added_when_synchronous_and_hidden_when_asynchronous() {
    let gpu_ms = |r: &Analytic, rows: u32| decode_fs(r, rows, 0) as f64 / 1e12;
    let (sync, beside) = (with("llama-3.1-8b", "h100-sxm", 1, &synchronous()), analytic("llama-3.1-8b", "h100-sxm", 1));
    for rows in [1, 8, 64] {
        let host = 0.420 + 0.0394 * f64::from(rows);
        let more = gpu_ms(&sync, rows) - gpu_ms(&beside, rows);
        assert!((more - host).abs() < 1e-9, "sync-adds-host: {rows} rows: {more} ms, host {host}");
    }
    // A host of 50 ms decides alone, until the GPU takes longer.
    let slow = curves("h100-sxm", |c| (c.host_step_s, c.host_sequence_s) = (0.05, 0.0));
    let r = with("llama-3.1-8b", "h100-sxm", 1, &AnalyticOptions { curves: slow, ..AnalyticOptions::default() });
    let law = r.decode(4, 0);
    assert_eq!((law.base_fs, law.per_ctx_fs), (50_000_000_000_000, 0), "async-takes-the-longer");
    assert!(decode_fs(&r, 4, law.until_ctx_sum) >= 50_000_000_000_000);
    assert_eq!(decode_fs(&r, 4, law.until_ctx_sum - 1), 50_000_000_000_000);
    assert!(r.decode(4, law.until_ctx_sum).per_ctx_fs > 0);
}

#[test]
fn layers_are_padded_and_head_and_attention_are_not() {
    let quiet = curves("h100-sxm", |c| c.host_sequence_s = 0.0);
    let r = with("llama-3.1-8b", "h100-sxm", 1, &AnalyticOptions { curves: quiet, ..synchronous() });
    let step = |rows| decode_fs(&r, rows, 0) as i128;
    let head = |rows| i128::from(r.head_fs(rows));
    assert_eq!(step(500) - step(499), head(500) - head(499), "cudagraph-padding: 499 and 500 run as 512");
    assert!(step(497) - step(496) > 10 * (head(497) - head(496)), "cudagraph-padding: 497 runs as 512, 496 as itself");
    let mixed = |tokens| {
        let chunk = [PrefillChunk { context: 0, tokens }];
        r.batch(&BatchShape { prefill: &chunk, decode_rows: 0, decode_ctx_sum: 0 }).0 as i128
            - i128::from(r.prefill_attention_fs(&chunk[0]))
    };
    assert_eq!(mixed(497), mixed(512), "cudagraph-padding: mixed batches are padded too");
    assert!(
        mixed(513) > mixed(512) && mixed(514) > mixed(513),
        "cudagraph-padding: above the largest, tokens are real"
    );
}

#[test]
fn steps_without_a_graph_wait_for_their_launches() {
    let slow = curves("h100-sxm", |c| (c.eager_layer_s, c.host_step_s, c.host_sequence_s) = (0.01, 5e-4, 3e-5));
    let slow = AnalyticOptions { curves: slow, graph_sizes: GraphSizes::default(), ..synchronous() };
    let r = with("llama-3.1-8b", "h100-sxm", 1, &slow);
    let (host, launches) = (530_000_000_000, 320_000_000_000_000);
    assert_eq!(decode_fs(&r, 1, 0), host + launches, "eager-launches");
    let r = with("llama-3.1-8b", "h100-sxm", 1, &AnalyticOptions { async_scheduling: true, ..slow });
    assert_eq!(decode_fs(&r, 1, 0), host + launches, "eager-launches are the host's");
    let r =
        with("llama-2-70b", "a100-80-sxm", 8, &AnalyticOptions { graph_sizes: GraphSizes::default(), ..synchronous() });
    let ms = decode_fs(&r, 1, 512) as f64 / 1e12;
    assert!((ms / 44.9 - 1.0).abs() < 0.05, "eager-launches: {ms} ms, Splitwise measured 44.9");
}

#[derive(Debug, Clone)]
struct Setup {
    case: (&'static str, u32),
    options: AnalyticOptions,
}

fn setups() -> impl Strategy<Value = Setup> {
    let case = prop::sample::select(&CASES[..]);
    let graphs = (1u32..1_100, 1u32..9_000, any::<bool>(), any::<bool>());
    let host = (0.0..0.02f64, 0.0..2e-4f64, 0.0..4e-4f64, 0.0..1e-3f64);
    (case, graphs, host, any::<bool>()).prop_map(|(case, (seqs, budget, blackwell, none), host, async_scheduling)| {
        let graph_sizes = if none { GraphSizes::default() } else { GraphSizes::new(seqs, budget, blackwell) };
        let curves = curves("h200-sxm", |c| {
            (c.host_step_s, c.host_sequence_s, c.piecewise_layer_s, c.compiled_layer_s) = host;
            c.eager_layer_s = host.3;
        });
        Setup { case, options: AnalyticOptions { graph_sizes, async_scheduling, curves, ..Default::default() } }
    })
}

/// The definition of a step, written out part by part.
fn by_parts(r: &Analytic, chunks: &[PrefillChunk], rows: u32, ctx: u64) -> u128 {
    let tokens = u64::from(rows) + chunks.iter().map(|c| u64::from(c.tokens)).sum::<u64>();
    let sequences = u64::from(rows) + chunks.len() as u64;
    let attention = r.decode_attention(rows, ctx);
    let gpu = u128::from(r.layers_fs(tokens) + r.head_fs(sequences) + attention.base_fs)
        + u128::from(attention.per_ctx_fs) * u128::from(ctx)
        + chunks.iter().map(|c| u128::from(r.prefill_attention_fs(c))).sum::<u128>();
    let path = u128::from(r.host_step_fs + r.host_sequence_fs * sequences);
    let launches = match (r.graphs.padded(tokens), chunks.is_empty()) {
        (Some(_), true) => 0,
        (Some(_), false) => r.piecewise_fs,
        (None, _) => r.launched_fs,
    };
    if r.async_scheduling { gpu.max(path + u128::from(launches)) } else { path + gpu.max(launches.into()) }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn properties_law_equals_batch_and_the_parts_everywhere(
        setup in setups(),
        rows in prop_oneof![1u32..40, 1u32..1_100, 1_000u32..4_000],
        contexts in prop::collection::vec(prop_oneof![0u64..2_000, 0u64..5_000_000], 1..6),
        chunks in prop::collection::vec((0u32..50_000, 1u32..3_000), 1..4),
    ) {
        let Setup { case: (model, tp), options } = setup;
        let r = with(model, "h200-sxm", tp, &options);
        let law_at = |ctx: u64| {
            let law = r.decode(rows, ctx);
            (law, u128::from(law.base_fs) + u128::from(law.per_ctx_fs) * u128::from(ctx))
        };
        let mut places = contexts;
        // Every border of every piece, and the places beside it.
        let mut at = 0;
        loop {
            let until = r.decode(rows, at).until_ctx_sum;
            prop_assert!(until > at, "law-covers-its-place: rows {rows}, ctx {at}");
            if until == u64::MAX {
                break;
            }
            prop_assert_eq!(r.decode(rows, until - 1), r.decode(rows, at), "law-holds-to-its-end");
            places.extend([at, until - 1, until, until + 1]);
            at = until;
        }
        places.sort_unstable();
        let mut last = 0;
        for ctx in places {
            let (law, by_law) = law_at(ctx);
            prop_assert!(ctx < law.until_ctx_sum, "law-covers-its-place");
            prop_assert_eq!(by_law, decode_fs(&r, rows, ctx), "law-equals-batch: {} rows, ctx {}", rows, ctx);
            prop_assert_eq!(by_law, by_parts(&r, &[], rows, ctx), "law-equals-parts: {} rows, ctx {}", rows, ctx);
            prop_assert!(by_law >= last, "more context is never faster");
            last = by_law;
        }
        let prefill: Vec<PrefillChunk> = chunks.into_iter().map(|(context, tokens)| PrefillChunk { context, tokens }).collect();
        for (rows, ctx) in [(0, 0), (rows, 1_000)] {
            let shape = BatchShape { prefill: &prefill, decode_rows: rows, decode_ctx_sum: ctx };
            prop_assert_eq!(r.batch(&shape).0, by_parts(&r, &prefill, rows, ctx), "batch-equals-parts");
        }
    }
}

#[test]
fn prefill_grows_with_tokens_and_context_and_mixed_costs_more() {
    for (model, tp) in CASES {
        let r = analytic(model, "h200-sxm", tp);
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
fn few_tokens_touch_few_experts_and_narrow_weights_read_faster() {
    let moe = analytic("qwen3-30b-a3b", "h100-sxm", 1);
    let one = decode_fs(&moe, 1, 0) as f64;
    assert!(decode_fs(&moe, 64, 0) as f64 > 3.0 * one);
    let of = |weights| AnalyticOptions { weights, ..AnalyticOptions::default() };
    let base = |weights| with("llama-3.1-8b", "h100-sxm", 1, &of(weights)).decode(1, 0).base_fs as f64;
    let ratio = base(WeightsDtype::Bf16) / base(WeightsDtype::Fp8);
    assert!((1.3..1.8).contains(&ratio), "{ratio}");
    let int4 = base(WeightsDtype::Bf16) / base(WeightsDtype::Int4);
    assert!((ratio..2.8).contains(&int4), "{int4}");
    // A100 computes FP8 weights in BF16: prefill is no faster, decode is.
    let a100 = |weights| with("llama-3.1-8b", "a100-80-sxm", 1, &of(weights));
    let (wide, narrow) = (a100(WeightsDtype::Bf16), a100(WeightsDtype::Fp8));
    assert!(prefill_ms(&narrow, 0, 8_192) > 0.97 * prefill_ms(&wide, 0, 8_192));
    assert!(decode_fs(&narrow, 1, 0) < decode_fs(&wide, 1, 0) * 7 / 10);
    let whole = AnalyticOptions { expert_parallel: true, ..AnalyticOptions::default() };
    let (cut, whole) = (analytic("qwen3-30b-a3b", "h100-sxm", 2), with("qwen3-30b-a3b", "h100-sxm", 2, &whole));
    assert!(decode_fs(&whole, 8, 0) > decode_fs(&cut, 8, 0), "the busiest GPU has more than its share of experts");
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let c = Catalog::embedded();
    let (m, g) = (c.model("llama-3.1-8b").unwrap(), c.gpu("h100-sxm").unwrap());
    let refused = |tp, options: AnalyticOptions| Analytic::new(c, m, g, tp, &options).unwrap_err().to_string();
    assert_eq!(
        refused(3, AnalyticOptions::default()),
        "tensor_parallel = 3 does not divide the 32 heads of llama-3.1-8b"
    );
    assert_eq!(refused(16, AnalyticOptions::default()), "tensor_parallel = 16 is more than the 8 GPUs h100-sxm links");
    let zero = curves("h100-sxm", |c| c.linear.compute_share = 0.0);
    let zero = refused(1, AnalyticOptions { curves: zero, ..AnalyticOptions::default() });
    assert_eq!(zero, "linear.compute_share = 0 is not a share above 0 and up to 1.5");
    let nan = curves("h100-sxm", |c| c.host_step_s = f64::NAN);
    let nan = refused(1, AnalyticOptions { curves: nan, ..AnalyticOptions::default() });
    assert_eq!(nan, "host_step_s = NaN is not between 0 and 1 seconds");
}

/// The formulas twice, here and in numpy: `experiments/calibration/fit.py vectors` prints these lines.
#[test]
fn figures_are_those_of_the_fitting_script() {
    let c = Catalog::embedded();
    for (model, dtype, tp, expert_parallel, expected) in VECTORS {
        let (m, g) = (c.model(model).unwrap(), c.gpu("h100-sxm").unwrap());
        let weights = WeightsDtype::parse(dtype).unwrap();
        let mut curves = Curves::of(c, g, weights).unwrap();
        (curves.host_step_s, curves.host_sequence_s) = (0.0, 0.0);
        (curves.piecewise_layer_s, curves.compiled_layer_s) = (0.0, 0.0);
        let options = AnalyticOptions { weights, expert_parallel, curves: Some(curves), ..Default::default() };
        let r = Analytic::new(c, m, g, tp, &options).unwrap();
        let steps: [Step; 6] = [
            (&[], 1, 1_000),
            (&[], 64, 64_000),
            (&[], 200, 100_000),
            (&[(0, 1_024)], 0, 0),
            (&[(4_096, 4_096)], 0, 0),
            (&[(0, 2_048)], 32, 32_000),
        ];
        for ((chunks, decode_rows, decode_ctx_sum), ms) in steps.into_iter().zip(expected) {
            let prefill: Vec<_> = chunks.iter().map(|&(context, tokens)| PrefillChunk { context, tokens }).collect();
            let ours = r.batch(&BatchShape { prefill: &prefill, decode_rows, decode_ctx_sum }).as_secs_f64() * 1e3;
            assert!((ours / ms - 1.0).abs() < 2e-3, "{model} {chunks:?} {decode_rows}: {ours} ms, script {ms}");
        }
    }
}

/// Chunks (context, tokens), decode rows, sum of their contexts.
type Step = (&'static [(u32, u32)], u32, u64);
type Vector = (&'static str, &'static str, u32, bool, [f64; 6]);
const VECTORS: [Vector; 7] = [
    ("llama-3.1-8b", "bf16", 1, false, [6.4792, 9.7284, 13.1774, 25.6639, 112.9221, 51.4596]),
    ("qwen3-14b", "bf16", 1, false, [11.2403, 15.4674, 20.7101, 46.3594, 202.1468, 92.8499]),
    ("qwen3-32b", "bf16", 4, false, [9.4563, 12.0057, 16.2280, 40.1831, 163.1894, 77.5789]),
    ("llama-3.1-70b", "fp8", 2, false, [18.1862, 23.8329, 32.5024, 82.0307, 347.3994, 160.9443]),
    ("gpt-oss-120b", "mxfp4", 2, false, [4.1048, 13.0345, 17.2858, 30.5250, 101.3492, 52.9192]),
    ("qwen3-30b-a3b", "bf16", 1, false, [5.3255, 22.5052, 26.9106, 31.7094, 95.3024, 45.4256]),
    ("qwen3-235b-a22b", "fp8-block", 8, true, [14.6576, 25.5619, 28.9417, 44.5481, 132.1478, 70.4586]),
];

#[test]
fn nothing_shrinks_with_more_tokens_on_any_gpu_in_any_format() {
    let c = Catalog::embedded();
    for g in &c.gpus {
        for weights in WeightsDtype::ALL {
            for (model, expert_parallel) in [("llama-3.1-8b", false), ("qwen3-30b-a3b", true), ("deepseek-v3", false)] {
                let options = AnalyticOptions { weights, expert_parallel, ..AnalyticOptions::default() };
                let r = Analytic::new(c, c.model(model).unwrap(), g, g.scale_up_domain_gpus.min(8), &options).unwrap();
                let mut last = 0;
                for n in (0..2_000u64).chain((2_000..70_000).step_by(517)) {
                    let (layers, head) = (r.layers_fs(n), r.head_fs(n));
                    assert!(layers + head >= last, "{} {} {model}: {n} tokens", g.id, weights.name());
                    last = layers + head;
                }
            }
        }
    }
}
