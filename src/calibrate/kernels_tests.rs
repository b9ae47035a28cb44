//! Tests of `kernels.rs`: which rows are taken, what is refused, what the fitted row says.
use super::*;
use crate::frames::{KernelFile, SIZES};
use baseload_core::catalog::Catalog;

/// Files by (part, version, device).
fn files(of: &[(KernelPart, &str, &str)]) -> KernelTimes {
    let file = |(part, version, device): &(KernelPart, &str, &str)| KernelFile {
        path: format!("{}.parquet", part.name()).into(),
        part: *part,
        version: (*version).into(),
        device: (*device).into(),
        rows: 1,
        bytes: 1,
        sha256: "0".repeat(64),
    };
    KernelTimes { files: of.iter().map(file).collect(), ..KernelTimes::default() }
}

fn add(t: &mut KernelTimes, file: usize, texts: &[&str], numbers: &[u64], ms: f64) {
    let texts: Vec<String> = texts.iter().map(|s| (*s).to_owned()).collect();
    let variant = t.variants.iter().position(|v| *v == texts).unwrap_or_else(|| {
        t.variants.push(texts);
        t.variants.len() - 1
    });
    let mut sizes = [0; SIZES];
    sizes.iter_mut().zip(numbers).for_each(|(s, n)| *s = *n);
    let row = t.rows.iter().filter(|r| r.file == file).count() + 1;
    t.rows.push(KernelTime { file, row, variant, sizes, ms });
}

fn gpu(id: &str) -> &'static Gpu {
    Catalog::embedded().gpu(id).unwrap()
}

const H100: &str = "NVIDIA H100 80GB HBM3";

#[test]
fn the_newest_version_that_has_the_format_is_taken_and_shapes_become_medians() {
    let products = KernelPart::Products;
    let mut t = files(&[(products, "0.9.0", H100), (products, "0.19.0", H100), (products, "0.24.0", H100)]);
    add(&mut t, 0, &["fp8"], &[1, 512, 512], 9.0);
    for ms in [1.0, 5.0, 2.0] {
        add(&mut t, 1, &["fp8"], &[1, 512, 512], ms);
    }
    add(&mut t, 2, &["bfloat16"], &[1, 512, 512], 3.0);
    let c = choose_kernels(Catalog::embedded(), &t, gpu("h100-sxm"), WeightsDtype::Fp8, KvDtype::Bf16).unwrap();
    assert_eq!(c.tables.products, [ProductRow { m: 1, n: 512, k: 512, seconds: 2e-3 }], "0.19 is newer than 0.9");
    assert_eq!(c.tables.bf16_products[0].seconds, 3e-3, "output heads and routers are BF16");
    let taken = |what, file, rows| Taken { what, file, rows };
    assert_eq!(c.taken, [taken("products", 1, 3), taken(BF16_PRODUCTS, 2, 1)]);
    let e = choose_kernels(Catalog::embedded(), &t, gpu("h100-sxm"), WeightsDtype::Int4, KvDtype::Bf16)
        .unwrap_err()
        .to_string();
    assert_eq!(
        e,
        "the kernel tables have no products or experts in int4 (they would be called int4_wo); they have bfloat16, fp8"
    );
    let e = choose_kernels(Catalog::embedded(), &t, gpu("a100-80-sxm"), WeightsDtype::Fp8, KvDtype::Bf16)
        .unwrap_err()
        .to_string();
    assert!(e.ends_with("measured on NVIDIA H100 80GB HBM3 (h100-sxm), and this is a100-80-sxm; give tables of that"));
}

#[test]
fn attention_is_of_full_windows_and_the_cache_s_format_and_all_reduces_count_elements() {
    let mut t = files(&[
        (KernelPart::Products, "1", H100),
        (KernelPart::Decode, "1", H100),
        (KernelPart::Prefill, "1", H100),
        (KernelPart::AllReduce, "2.29", H100),
        (KernelPart::AllReduce, "1", H100),
        (KernelPart::Experts, "1", H100),
        (KernelPart::Latent, "1", H100),
    ]);
    add(&mut t, 0, &["bfloat16"], &[1, 512, 512], 1.0);
    for (kv, window, ms) in [("bfloat16", 0, 1.0), ("bfloat16", 128, 2.0), ("fp8", 0, 3.0)] {
        add(&mut t, 1, &["bfloat16", kv], &[4, 1, 32, 8, 128, 1_023, window], ms);
        add(&mut t, 2, &["bfloat16", kv], &[1, 2_048, 32, 8, 128, 0, window], ms);
    }
    add(&mut t, 2, &["bfloat16", "bfloat16"], &[1, 2_048, 32, 8, 128, 64, 0], 9.0);
    add(&mut t, 3, &["all_reduce", "half", "nccl"], &[2, 1_024], 1.0);
    add(&mut t, 4, &["all_reduce", "bfloat16", "vllm_eager"], &[2, 1_024], 2.0);
    for (routing, ep, ms) in [("balanced", 1, 1.0), ("power_law_1.01", 1, 2.0), ("power_law_1.01", 2, 3.0)] {
        add(&mut t, 5, &["bfloat16", routing], &[8, 2_048, 768, 8, 128, 2, ep], ms);
    }
    let choose =
        |t: &KernelTimes, kv| choose_kernels(Catalog::embedded(), t, gpu("h100-sxm"), WeightsDtype::Bf16, kv).unwrap();
    let bf16 = choose(&t, KvDtype::Bf16);
    let row = AttentionRow { batch: 4, tokens: 1_023, heads: 32, kv_heads: 8, head_dim: 128, seconds: 1e-3 };
    assert_eq!(bf16.tables.decode, [row]);
    assert_eq!(bf16.tables.prefill, [AttentionRow { batch: 1, tokens: 2_048, ..row }], "a prefix is no whole prompt");
    let fp8 = choose(&t, KvDtype::Fp8);
    assert_eq!((fp8.tables.decode[0].seconds, fp8.tables.prefill[0].seconds), (3e-3, 3e-3));
    let nccl = AllReduceRow { gpus: 2, bytes: 2_048.0, seconds: 1e-3 };
    assert_eq!(bf16.tables.all_reduce, [nccl], "a kernel outside graphs is no engine's");
    add(&mut t, 4, &["all_reduce", "bfloat16", "vllm_graph"], &[2, 1_024], 0.5);
    assert_eq!(choose(&t, KvDtype::Bf16).tables.all_reduce, [AllReduceRow { seconds: 0.5e-3, ..nccl }]);
    let expert =
        ExpertRow { tokens: 8, hidden: 2_048, inner: 768, top_k: 8, experts: 128, tensor_parallel: 2, seconds: 2e-3 };
    assert_eq!(bf16.tables.experts, [expert], "as trained routers spread tokens, and cut, not spread");
    add(&mut t, 0, &["bfloat16"], &[0, 512, 512], 1.0);
    let e = choose_kernels(Catalog::embedded(), &t, gpu("h100-sxm"), WeightsDtype::Bf16, KvDtype::Bf16)
        .unwrap_err()
        .to_string();
    assert_eq!(e, "products.parquet: row 2: m is 0; it must be from 1");
}

#[test]
fn a_fitted_row_says_its_numbers_its_data_and_what_it_leaves_to_engine_runs() {
    let mut t = files(&[(KernelPart::Products, "0.24.0", H100), (KernelPart::AllReduce, "0.24.0", H100)]);
    let g = gpu("h100-sxm");
    let (flop, byte) = (1e-9 / g.bf16_tflops_dense / 0.8, 1e-6 / g.mem_bw_gbps / 0.9);
    for m in [1u64, 8, 64, 512, 4_096] {
        for n in [1_024u64, 2_048, 4_096, 8_192, 14_336] {
            for k in [1_024u64, 4_096, 5_120, 8_192] {
                let [m_, n_, k_] = [m, n, k].map(|v| v as f64);
                let ms = 4e-3 + libm::hypot(2.0 * m_ * n_ * k_ * flop, (n_ * k_ + m_ * (n_ + k_)) * 2.0 * byte);
                add(&mut t, 0, &["bfloat16"], &[m, n, k], ms);
            }
        }
    }
    for gpus in [2u64, 4, 8] {
        for shift in 11..27 {
            let bytes = f64::from(2u32 << shift) * 2.0 * (gpus as f64 - 1.0) / gpus as f64;
            let ms = 6e-3 + bytes * 1e-6 / g.scale_up_gbps_unidirectional / 0.5;
            add(&mut t, 1, &["all_reduce", "bfloat16", "vllm_graph"], &[gpus, 1 << shift], ms);
        }
    }
    let p = kernel_profile(Catalog::embedded(), &t, g, WeightsDtype::Bf16, "mine", "2026-11-24").unwrap();
    let near = |v: Option<f64>, want: f64| assert!((v.unwrap() / want - 1.0).abs() < 0.01, "{v:?}, made with {want}");
    near(p.row.linear_compute_share, 0.8 * SUSTAINED);
    near(p.row.memory_share, 0.9);
    near(p.row.linear_launch_us, 4.0);
    near(p.row.link_share, 0.5);
    assert_eq!((p.row.all_reduce_latency_us, p.row.host_step_us), (None, None));
    assert!(
        p.notes.iter().any(|n| n.starts_with("all_reduce_latency_us is 6.0 in kernels, and left out")),
        "{:?}",
        p.notes
    );
    let text = p.text().unwrap();
    assert!(text.contains("# products: 80 rows fitted; 20 held out by shape: median 0.0 %"), "{text}");
    let read = StepTimeFile::parse(&text, "t").unwrap().step_time.remove(0);
    assert_eq!(read, p.row);
    assert_eq!((read.data_sha256.len(), read.date.as_str(), read.dtype.as_str()), (2, "2026-11-24", "bf16"));
    assert_eq!(read.fitted, "kernels: products 0.24.0, all-reduces (vLLM's, in graphs) 0.24.0");
    t.rows.truncate(3);
    let e =
        kernel_profile(Catalog::embedded(), &t, g, WeightsDtype::Bf16, "mine", "2026-11-24").unwrap_err().to_string();
    assert!(e.contains("products: ") && e.contains("cannot tell 3 numbers (linear_compute_share"), "{e}");
}
