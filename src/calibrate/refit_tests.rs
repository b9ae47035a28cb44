//! Tests of `refit.rs`: numbers that made the rows are found without the rows that are scored; what cannot be split is
//! refused.
use super::*;
use crate::calibrate::kinds::inferencex::read;
use std::fmt::Write;

const HEAD: &str = "concurrency,backend,model_path,system,precision,isl,osl,tp_size,silicon_ttft_ms,silicon_tpot_ms\n";

/// Rows whose TPOT is what engines with `values` would take.
fn made(values: &[f64]) -> Vec<Point> {
    let mut shapes = Vec::new();
    for (model, precision) in [("Qwen/Qwen3-32B", ""), ("meta-llama/Llama-3.1-70B", "fp8")] {
        for tp in [2, 4, 8] {
            for (isl, osl) in [(512, 64), (2_048, 32)] {
                shapes.extend([2u32, 16, 48].map(|users| (model, precision, tp, isl, osl, users)));
            }
        }
    }
    let text = |tpot: &dyn Fn(usize) -> f64| {
        let mut out = HEAD.to_owned();
        for (i, (model, precision, tp, isl, osl, users)) in shapes.iter().enumerate() {
            writeln!(out, "{users},vllm,{model},h100_sxm,{precision},{isl},{osl},{tp}.0,100,{}", tpot(i)).unwrap();
        }
        read(out.as_bytes(), "made").unwrap()
    };
    let blank = text(&|_| 1.0);
    let tpot: Vec<f64> = blank
        .par_iter()
        .map(|p| {
            score(Catalog::embedded(), std::slice::from_ref(p), &refitted(Catalog::embedded(), "h100-sxm", values))
        })
        .map(|s| s.groups[0].pairs.iter().find(|p| p.metric == "tpot_s").unwrap().predicted * 1e3)
        .collect();
    text(&|i| tpot[i])
}

#[test]
fn groups_and_models_that_are_out_are_predicted_from_the_rest() {
    let truth = [0.6, 0.8, 10.0, 12.0, 800.0, 20.0, 0.5, 0.7, 0.29, 0.61];
    let points = made(&truth);
    let folds = cross_validate(Catalog::embedded(), &points, &[], &Split::Folds(3)).unwrap();
    let (n, errors) = folds.overall();
    assert_eq!(n, points.len() as u64, "each row is scored once");
    assert!(errors["tpot_s"].median_ape < 0.01 && errors["tpot_s"].p90_ape < 0.03, "{errors:?} {:?}", folds.notes);
    assert_eq!(folds.trivial.len(), folds.groups.len());
    let refit = Refit { catalog: Catalog::embedded(), points: &points, runs: &[], gpu: "h100-sxm" };
    let before = refit.residuals(&NUMBERS.map(|n| n.start));
    assert!(before.iter().map(|r| r.abs()).fold(0.0, f64::max) > 0.1, "the start is not the truth");
    let out = cross_validate(Catalog::embedded(), &points, &[], &Split::Model("llama-3.1-70b".into())).unwrap();
    assert_eq!(out.groups.len(), 6);
    let note = out.notes.iter().find(|n| n.starts_with("without llama-3.1-70b: fitted on 18 rows")).unwrap();
    assert!(note.contains("fp8 memory_share 0.876 (no row says it)"), "{note}");
    assert!(note.contains("mxfp4 expert_memory_share 0.610 (no row says it)"), "{note}");
    let again =
        cross_validate(Catalog::embedded(), &points, &[], &Split::Model("meta-llama/Llama-3.1-70B".into())).unwrap();
    assert_eq!(out.groups, again.groups, "a fit repeats");
}

#[test]
fn what_cannot_be_split_or_fitted_is_refused() {
    let row = |users: u32, gpu: &str| format!("{users},vllm,Qwen/Qwen3-32B,{gpu},,64,16,2.0,100,20\n");
    let says = |rows: &str, split: Split| {
        cross_validate(Catalog::embedded(), &read(format!("{HEAD}{rows}").as_bytes(), "i").unwrap(), &[], &split)
            .unwrap_err()
            .to_string()
    };
    let few = row(2, "h100_sxm") + &row(4, "h100_sxm").replace(",64,", ",128,");
    assert_eq!(says(&few, Split::Folds(3)), "--folds: it is 3; give 2 to 2, the number of groups");
    let more = [1, 2, 4, 8].map(|tp| few.replace(",2.0,", &format!(",{tp}.0,"))).concat();
    assert!(says(&more, Split::Folds(2)).ends_with(" rows cannot tell 10 numbers; give more"));
    assert_eq!(says(&few, Split::EachModel), "without qwen3-32b no row is left to fit; give rows of more models");
    let other = says(&few, Split::Model("gpt-oss-120b".into()));
    assert_eq!(other, "--leave-out: no row is of gpt-oss-120b; there are rows of qwen3-32b");
    let mixed = row(2, "h100_sxm") + &row(4, "a100_sxm");
    assert!(says(&mixed, Split::Folds(2)).starts_with("rows are of several GPUs, h100-sxm and a100-80-sxm"));
    let unknown = few.replace("Qwen/Qwen3-32B", "no/such");
    assert!(says(&unknown, Split::Folds(2)).contains("unknown model `no/such`"));
}
