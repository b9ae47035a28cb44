//! `baseload calibrate --kind kernels`: kernel tables to the numbers of a GPU's analytic step time.
use super::artefacts::Clock;
use super::sheet::Sheet;
use super::{Exit, printer};
use crate::calibrate::{KernelProfile, kernel_profile};
use crate::experiment::write_whole;
use crate::frames;
use baseload_core::catalog::{Catalog, NUMBERS};
use baseload_core::memory::WeightsDtype;
use baseload_core::types::Fault;
use std::path::{Path, PathBuf};

/// Fits, writes the file, prints numbers and errors.
pub fn run(catalog: &Catalog, files: &[PathBuf], gpu: &str, dtype: Option<&str>, out: &Path) -> Result<(), Exit> {
    let known = || WeightsDtype::ALL.map(WeightsDtype::name).join(", ");
    let gpu = match gpu {
        "cpu" => {
            let fault = Fault::at("--gpu", "kernel tables are of a GPU");
            return Err(fault.hint("give one, such as --gpu h100-sxm").into());
        }
        id => catalog.gpu(id).map_err(|e| Fault::from(e).under("--gpu"))?,
    };
    let dtype = dtype.unwrap_or("bf16");
    let unknown = || Fault::at("--dtype", format!("`{dtype}` is not known")).hint(format!("known are {}", known()));
    let weights = WeightsDtype::parse(dtype).ok_or_else(unknown)?;
    let times = frames::read_kernels(files)?;
    let name = out.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let profile = kernel_profile(catalog, &times, gpu, weights, &name, &Clock::start().today())?;
    let text = profile.text()?;
    write_whole(out, &text)?;
    printer::out(&sheets(catalog, &profile, &name));
    printer::out(&format!("Profile: {}", out.display()));
    Ok(())
}

fn sheets(catalog: &Catalog, p: &KernelProfile, name: &str) -> String {
    let of_catalog = catalog.step_time(&p.row.gpu, &p.row.dtype);
    let mut numbers = Sheet::new("", &["number", "fitted", "catalogue"], 1);
    let shown = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v}"));
    for (i, number) in NUMBERS.iter().enumerate() {
        let (own, theirs) = (p.row.numbers()[i], of_catalog.and_then(|c| c.numbers()[i]));
        if own.is_some() || theirs.is_some() {
            numbers.row(vec![(*number).into(), shown(own), shown(theirs)]);
        }
    }
    let mut errors = Sheet::new("", &["held out, by shape", "fitted", "n", "median", "p90", "bias"], 1);
    let percent = |v: f64| format!("{:.1} %", v * 100.0);
    for e in &p.errors {
        errors.row(vec![
            e.part.into(),
            e.fitted.to_string(),
            e.held_out.to_string(),
            percent(e.median),
            percent(e.p90),
            format!("{:+.1} %", e.bias * 100.0),
        ]);
    }
    let mut out =
        format!("{name}: {} in {}, {}\n\n{}\n{}", p.row.gpu, p.row.dtype, p.row.fitted, numbers.text(), errors.text());
    p.notes.iter().for_each(|n| out.push_str(&format!("note: {n}\n")));
    out
}
