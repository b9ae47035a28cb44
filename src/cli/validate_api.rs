//! `baseload validate --kind api`: quantiles of measured API calls, on folds that the law has not seen.
use super::{Exit, Format, measured, printer};
use crate::calibrate::{ApiCalls, ApiReport, FOLDS, JUDGED_GROUPS, ModelScore, api_scores, read_api_calls};
use crate::experiment::{LONGEST_TOML, read_text};
use crate::report::{Sheet, WIDTH, wrapped};
use baseload_core::catalog::{ApiProfile, AtQuantiles, Catalog, undated};
use baseload_core::types::numbers::{decimals, percent};
use baseload_core::types::{Fault, TraceFault};
use std::path::{Path, PathBuf};

/// What is asked for.
pub struct Calls<'a> {
    /// The facts.
    pub catalog: &'a Catalog,
    /// Files of calls.
    pub files: &'a [PathBuf],
    /// A profile to score as it is.
    pub profile: Option<&'a str>,
    /// The only model to score.
    pub model: Option<&'a str>,
    /// Score calls that the profile was fitted on.
    pub seen: bool,
    /// Form of the output.
    pub format: Format,
}

pub fn run(asked: &Calls<'_>) -> Result<(), Exit> {
    let all = of_model(read_api_calls(asked.catalog, measured::open(asked.files)?)?, asked.model)?;
    let profile = asked.profile.map(profile).transpose()?;
    if let Some(p) = &profile
        && !asked.seen
        && all.iter().any(|c| c.hash() == p.data.hash)
    {
        let hint = "--seen scores it all the same, no profile scores its fit on held-out folds";
        let fault = Fault::new(format!("profile {}: it was fitted on these very calls", p.name));
        return Err(fault.hint(hint).into());
    }
    let report = api_scores(&all, profile.as_ref())?;
    match asked.format {
        Format::Json => printer::json(&report)?,
        Format::Table => printer::out(&terminal(&report)),
        Format::Markdown => printer::out(&markdown(&report)),
    }
    Ok(())
}

/// A profile by file or by name.
pub fn profile(name: &str) -> Result<ApiProfile, TraceFault> {
    let path = Path::new(name);
    if !path.is_file() && !name.ends_with(".toml") {
        return Ok(ApiProfile::named(name).cloned().map_err(|e| Fault::from(e).under("--profile"))?);
    }
    let text = read_text(path, LONGEST_TOML)?;
    ApiProfile::parse(&text, name)
}

/// The calls of the model that is asked for, a day of release aside; all without one.
pub fn of_model(all: Vec<ApiCalls>, model: Option<&str>) -> Result<Vec<ApiCalls>, Fault> {
    let Some(model) = model else { return Ok(all) };
    let have: Vec<String> = all.iter().map(|c| c.model.clone()).collect();
    let exact = have.iter().any(|m| m == model);
    let is = |c: &ApiCalls| if exact { c.model == model } else { undated(&c.model) == undated(model) };
    let found: Vec<ApiCalls> = all.into_iter().filter(is).collect();
    if found.is_empty() {
        let fault = Fault::at("--model", format!("no call is of {model}"));
        return Err(fault.hint(format!("the calls are of {}", have.join(", "))));
    }
    Ok(found)
}

/// Columns of a model's rows.
const HEAD: [&str; 10] = ["time", "calls", "groups", "loss p50", "p90", "p99", "below p50", "p90", "p99", "judged"];

/// A model's rows: whole calls, and first tokens where calls were streamed.
fn rows(m: &ModelScore) -> Vec<Vec<String>> {
    let verdict = match (m.judged, m.missed.is_empty()) {
        (false, _) => "printed",
        (true, true) => "met",
        (true, false) => "missed",
    };
    let row = |time: &str, calls: u64, ratio: AtQuantiles, coverage: AtQuantiles, judged: &str| {
        let mut cells = vec![time.to_owned(), calls.to_string(), m.groups.to_string()];
        cells.extend([ratio.p50, ratio.p90, ratio.p99].map(|v| decimals(v, 3)));
        cells.extend([coverage.p50, coverage.p90, coverage.p99].map(percent));
        cells.push(judged.to_owned());
        cells
    };
    let mut out = Vec::new();
    if let (Some(ratio), Some(coverage)) = (m.pinball_ratio, m.coverage) {
        out.push(row("E2E", m.calls, ratio, coverage, verdict));
    }
    if let Some(t) = &m.ttft {
        out.push(row("TTFT", t.calls, t.pinball_ratio, t.coverage, "printed"));
    }
    out
}

/// For terminals of 80 columns: each model's name on a line of its own, above its rows.
fn terminal(report: &ApiReport) -> String {
    let mut sheet = Sheet::new("", &HEAD, 1).narrow(WIDTH);
    for m in report.models.values() {
        for mut cells in rows(m) {
            cells[0].insert_str(0, "  ");
            sheet.row(cells);
        }
    }
    let text = sheet.text();
    let mut lines = text.lines().map(|line| format!("{line}\n"));
    let mut out: String = lines.by_ref().take(1).collect();
    for (name, m) in &report.models {
        let own: String = lines.by_ref().take(rows(m).len()).collect();
        if !own.is_empty() {
            out.push_str(&wrapped(name, WIDTH, 2));
            out.push_str(&own);
        }
    }
    out.push_str(&below(report));
    out
}

fn markdown(report: &ApiReport) -> String {
    let head: Vec<&'static str> = std::iter::once("model").chain(HEAD).collect();
    let mut sheet = Sheet::new("", &head, 2);
    for (name, m) in &report.models {
        for (i, cells) in rows(m).into_iter().enumerate() {
            let name = if i == 0 { name.clone() } else { String::new() };
            sheet.row(std::iter::once(name).chain(cells).collect());
        }
    }
    sheet.markdown() + &below(report)
}

/// What stands below the table.
fn below(report: &ApiReport) -> String {
    let terms = format!(
        "loss: pinball loss over that of the empirical quantile of the training folds; below: share of calls at or \
         below the predicted quantile. {FOLDS} folds of whole groups; models of fewer than {JUDGED_GROUPS} groups are \
         printed only."
    );
    let mut out = format!("\n{}", wrapped(&terms, WIDTH, 0));
    out.push_str("Targets: loss at most 0.9; below within 5, 3 and 1 points.\n");
    for (name, m) in &report.models {
        said(name, m).iter().for_each(|line| out.push_str(&wrapped(line, WIDTH, 2)));
    }
    out
}

/// What is to be known of a model beside its figures.
fn said(name: &str, m: &ModelScore) -> Vec<String> {
    let mut out = Vec::new();
    if m.left_out > 0 {
        out.push(format!("{name}: {} rows left out, without a time or a length", m.left_out));
    }
    out.extend(m.notes.iter().chain(&m.missed).map(|n| format!("{name}: {n}")));
    out
}
