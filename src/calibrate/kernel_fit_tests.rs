//! Tests of `kernel_fit.rs`: numbers that made tables are found in them; what tables cannot say is refused.
use super::*;
use baseload_core::catalog::Catalog;

#[path = "../../crates/core/src/latency/made_tables.rs"]
mod made_tables;
use made_tables::made;

fn h100() -> &'static Gpu {
    Catalog::embedded().gpu("h100-sxm").unwrap()
}

#[test]
fn known_numbers_are_found_again() {
    for weights in [WeightsDtype::Bf16, WeightsDtype::Fp8] {
        let fit = fit_from_kernels(h100(), weights, &made(weights == WeightsDtype::Fp8)).unwrap();
        let near = |name: &str, value: Option<f64>, expected: f64| {
            let v = value.unwrap();
            // Few rows say how many keys more a query costs.
            let most = if name == "attention_row_tokens" { 0.2 } else { 0.05 };
            assert!((v / expected - 1.0).abs() < most, "{name}: {v}, made with {expected}");
        };
        let r = &fit.row;
        near("linear_compute_share", r.linear_compute_share, 0.75);
        near("memory_share", r.memory_share, 0.85);
        near("linear_launch_us", r.linear_launch_us, 4.0);
        near("attention_compute_share", r.attention_compute_share, 0.65);
        near("attention_row_tokens", r.attention_row_tokens, 400.0);
        near("attention_launch_us", r.attention_launch_us, 12.0);
        near("expert_compute_share", r.expert_compute_share, 0.45);
        near("expert_memory_share", r.expert_memory_share, 0.8);
        near("expert_launch_us", r.expert_launch_us, 30.0);
        near("link_share", r.link_share, 0.3);
        near("all_reduce_latency_us", r.all_reduce_latency_us, 6.0);
        assert_eq!(fit.errors.len(), 5);
        for e in &fit.errors {
            assert!(e.median < 0.02 && e.p90 < 0.08 && e.held_out > 5, "{e:?}");
        }
    }
}

#[test]
fn the_fit_does_not_depend_on_the_order_of_rows_much_and_repeats_exactly() {
    let tables = made(false);
    let once = fit_from_kernels(h100(), WeightsDtype::Bf16, &tables).unwrap();
    assert_eq!(once, fit_from_kernels(h100(), WeightsDtype::Bf16, &tables).unwrap());
    let mut turned = tables;
    turned.products.reverse();
    let turned = fit_from_kernels(h100(), WeightsDtype::Bf16, &turned).unwrap();
    let [a, b] = [&once, &turned].map(|f| f.row.linear_compute_share.unwrap());
    assert!((a / b - 1.0).abs() < 1e-6);
}

#[test]
fn a_fixed_part_may_be_nil() {
    let mut t = made(false);
    let p = Peaks::new(h100(), WeightsDtype::Bf16);
    t.products.iter_mut().for_each(|r| r.seconds = p.product(r, 0.75, 0.85, 0.0));
    let fit = fit_from_kernels(h100(), WeightsDtype::Bf16, &t).unwrap();
    assert!(fit.row.linear_launch_us.unwrap() < 0.01, "{:?}", fit.row);
    assert!((fit.row.linear_compute_share.unwrap() - 0.75).abs() < 0.01);
}

#[test]
fn data_that_cannot_say_is_refused() {
    let refused = |t: KernelTables| fit_from_kernels(h100(), WeightsDtype::Bf16, &t).unwrap_err().to_string();
    let mut t = made(false);
    t.decode[2].seconds = f64::NAN;
    assert_eq!(refused(t), "decode: row 3 lasts NaN s; it must be above 0");
    let row = ProductRow { m: 8, n: 4_096, k: 4_096, seconds: 2e-5 };
    let few = KernelTables { products: vec![row; 2], ..KernelTables::default() };
    assert!(refused(few).starts_with("products: 2 usable rows cannot tell 3 numbers (linear_compute_share"));
    let same = KernelTables { products: vec![row; 50], ..KernelTables::default() };
    let e = refused(same);
    assert_eq!(e, "products: the rows cannot tell memory_share from the other numbers; give other shapes");
}
