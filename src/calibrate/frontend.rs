//! Fits what lies before the engine to measured TTFTs of closed loops, step times being the catalogue's.
//!
//! Must keep true: two numbers for all rows, whatever their model, tensor parallelism or file; the error is that of
//! rows that a fit has not seen, in five folds by whole groups (model, GPUs, lengths), by hash of the group's name.
//!
//! A row's mean TTFT is what the simulator says behind the last frontend, less that frontend's own part; what is left
//! of the measured one is fitted, and the row simulated anew. Errors are relative, and the larger half of them counts
//! linearly: what is to be right is the median.
use super::fit::{FRONTEND, FRONTEND_TOKEN, K, Row, Wanted, frontend, lags, robust};
use super::hash;
use super::kinds::inferencex::{self, Point, apart, predict};
use super::measurements::Input;
use super::score::{Errors, Group, errors};
use baseload_core::catalog::{Catalog, Frontend, FrontendRow};
use baseload_core::fleet::StepTimeSource;
use baseload_core::types::{TraceFault, wrong};

/// Folds of whole groups.
const FOLDS: u64 = 5;
/// Rounds of simulation against fit.
const ROUNDS: u32 = 5;
/// Residuals above this quantile count linearly.
const LINEAR_ABOVE: f64 = 0.5;

/// A frontend, and how far off TTFTs are behind it.
#[derive(Debug, Clone)]
pub struct FrontendFit {
    /// The fit as a row of the catalogue.
    pub row: FrontendRow,
    /// TTFT of each fold behind a frontend fitted on the others, then of all of them, then with no frontend at all.
    pub held_out: Vec<(String, Errors)>,
}

fn fold_of(p: &Point) -> u64 {
    u64::from_str_radix(&hash::of(&p.group()), 16).unwrap_or(0) % FOLDS
}

fn fit(catalog: &Catalog, points: &[&Point]) -> Result<Frontend, TraceFault> {
    let mut wanted: Wanted = [false; K];
    (wanted[FRONTEND], wanted[FRONTEND_TOKEN]) = (true, true);
    let mut now = Frontend::default();
    for _ in 0..ROUNDS {
        let row = |p: &&Point| {
            let predicted = predict(catalog, p, lags(&now), &StepTimeSource::Analytic)?;
            let own = now.arrival_s + now.token_s + now.arrival_s_per_1000_prompt_tokens * predicted.prompt / 1e3;
            let mut columns = [0.0; K];
            (columns[FRONTEND], columns[FRONTEND_TOKEN]) = (1.0, predicted.prompt);
            Ok(Row { columns, value: p.ttft_s - (predicted.ttft_s - own), weight: 1.0 / (p.ttft_s * p.ttft_s) })
        };
        let rows = points.iter().map(row).collect::<Result<Vec<_>, TraceFault>>()?;
        now = frontend(&robust(&rows, &wanted, LINEAR_ABOVE));
    }
    Ok(now)
}

fn group<'a>(
    catalog: &Catalog,
    points: impl Iterator<Item = &'a &'a Point>,
    f: &Frontend,
) -> Result<Group, TraceFault> {
    let mut group = Group::default();
    for p in points {
        group.add("ttft_s", predict(catalog, p, lags(f), &StepTimeSource::Analytic)?.ttft_s, p.ttft_s);
    }
    Ok(group)
}

/// Fits the frontend of closed loops (`inferencex`).
///
/// # Errors
/// Files that do not read; fewer groups than folds.
pub fn fit_frontend(catalog: &Catalog, inputs: Vec<Input>, date: &str) -> Result<FrontendFit, TraceFault> {
    let mut points = Vec::new();
    for input in inputs {
        points.extend(inferencex::read(input.text, &input.name)?);
    }
    // Rows that cannot be predicted are left out here as they are by `validate`, which says why.
    let judged = |p: &&Point| {
        apart(p, &points).is_none()
            && predict(catalog, p, lags(&Frontend::default()), &StepTimeSource::Analytic).is_ok()
    };
    let judged: Vec<&Point> = points.iter().filter(judged).collect();
    let of = |f: u64| judged.iter().filter(move |p| fold_of(p) == f);
    if (0..FOLDS).any(|f| of(f).count() == 0) {
        let fault = wrong!("these rows are of too few groups for {FOLDS} folds");
        return Err(fault.hint("give rows of more models or lengths"));
    }
    let (mut held_out, mut all) = (Vec::new(), Group::default());
    let ttft = |g: &Group| errors(g.pairs.iter())["ttft_s"];
    for f in 0..FOLDS {
        let others: Vec<&Point> = judged.iter().filter(|p| fold_of(p) != f).copied().collect();
        let fitted = fit(catalog, &others)?;
        let group = group(catalog, of(f), &fitted)?;
        let micro = fitted.arrival_s_per_1000_prompt_tokens * 1e3;
        held_out.push((format!("fold {f}: {:.1} ms, {micro:.1} us", fitted.arrival_s * 1e3), ttft(&group)));
        all.pairs.extend(group.pairs);
    }
    let whole = ttft(&all);
    held_out.push(("all folds".to_owned(), whole));
    held_out.push(("no frontend".to_owned(), ttft(&group(catalog, judged.iter(), &Frontend::default())?)));
    let fitted = fit(catalog, &judged)?;
    let hashes: Vec<String> = judged.iter().map(|p| p.hash.clone()).collect();
    let row = FrontendRow {
        kinds: vec!["inferencex".to_owned()],
        arrival_s: fitted.arrival_s,
        arrival_s_per_1000_prompt_tokens: fitted.arrival_s_per_1000_prompt_tokens,
        token_s: fitted.token_s,
        fitted: format!("through the simulator on TTFT of {} rows", judged.len()),
        error: (whole.median_ape * 1e3).round() / 1e3,
        error_of: format!("TTFT, {FOLDS} folds by group"),
        data_sha256: hash::of_all(&hashes),
        date: date.to_owned(),
        source: "InferenceX".to_owned(),
    };
    Ok(FrontendFit { row, held_out })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "concurrency,backend,backend_version,model_path,system,precision,isl,osl,tp_size,silicon_ttft_ms,silicon_tpot_ms\n";

    fn input(text: String) -> Vec<Input> {
        vec![Input { name: "i".into(), text: Box::new(std::io::Cursor::new(text)), beside: None }]
    }

    #[test]
    fn the_frontend_that_made_the_rows_comes_back_and_every_fold_finds_it() {
        let truth = Frontend { arrival_s: 0.02, arrival_s_per_1000_prompt_tokens: 0.03, token_s: 0.0 };
        let mut text = HEAD.to_owned();
        for tp in [1, 2, 4] {
            for isl in [200, 800, 1_600, 3_200] {
                for users in [2, 4] {
                    let row = |ttft: f64| format!("{users},vllm,,Qwen/Qwen3-8B,h100_sxm,,{isl},32,{tp},{ttft},5\n");
                    let point = inferencex::read(format!("{HEAD}{}", row(1.0)).as_bytes(), "i").unwrap();
                    text += &row(predict(Catalog::embedded(), &point[0], lags(&truth), &StepTimeSource::Analytic)
                        .unwrap()
                        .ttft_s
                        * 1e3);
                }
            }
        }
        let fit = fit_frontend(Catalog::embedded(), input(text), "2026-11-24").unwrap();
        assert!((fit.row.arrival_s / 0.02 - 1.0).abs() < 0.02, "{:?}", fit.row);
        assert!((fit.row.arrival_s_per_1000_prompt_tokens / 0.03 - 1.0).abs() < 0.02, "{:?}", fit.row);
        assert!(fit.row.error < 0.02 && fit.held_out.len() == 7, "{:?}", fit.held_out);
        assert!(fit.held_out[6].1.median_ape > 0.2, "with no frontend: {:?}", fit.held_out[6]);
    }

    #[test]
    fn rows_of_one_group_are_refused() {
        let row = "2,vllm,,Qwen/Qwen3-8B,h100_sxm,,200,32,1,50,5\n";
        let e = fit_frontend(Catalog::embedded(), input(format!("{HEAD}{row}")), "2026-11-24").unwrap_err().to_string();
        assert!(e.contains("too few groups for 5 folds"), "{e}");
    }
}
