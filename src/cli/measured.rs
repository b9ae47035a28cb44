//! Opening files of measurements, for `validate` and `calibrate`.
use crate::calibrate::{Input, Kind, Setup};
use crate::experiment::{LONGEST_JSON, open_text, whole};
use baseload_core::types::TraceFault;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use std::path::{Path, PathBuf};

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Kind] {
        const ALL: [Kind; Kind::ALL.len()] = {
            let mut all = [Kind::Inferencex; Kind::ALL.len()];
            let mut i = 0;
            while i < all.len() {
                all[i] = Kind::ALL[i].0;
                i += 1;
            }
            all
        };
        &ALL
    }
    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// Opens the files; a folder stands for its `requests.jsonl`. Settings beside a file come with it.
pub fn open(files: &[PathBuf]) -> Result<Vec<Input>, TraceFault> {
    let open = |path: &PathBuf| {
        let path = if path.is_dir() { path.join("requests.jsonl") } else { path.clone() };
        Ok(Input { name: short_name(&path), text: open_text(&path)?, beside: beside(&path)? })
    };
    files.iter().map(open).collect()
}

/// Opens a measurement of routing: a CSV, or a set-up that names its measurement below `BASELOAD_DATA`. The set-up's text,
/// where a file says it, comes beside it.
pub fn open_routing(path: &Path, setup: Option<&Path>) -> Result<Input, TraceFault> {
    let is_setup = path.extension().is_some_and(|e| e == "toml");
    if !is_setup {
        let beside = setup.map(read).transpose()?;
        return Ok(Input { name: short_name(path), text: open_text(path)?, beside });
    }
    if setup.is_some() {
        let fault = TraceFault::of(path.display(), "is a set-up itself");
        return Err(fault.hint("leave --setup out, or give the measurement"));
    }
    let text = read(path)?;
    let named = Setup::parse(&text, &path.display().to_string(), &[])?.measured.ok_or_else(|| {
        let fault = TraceFault::of(path.display(), "it names no measurement (key `measured`)");
        fault.hint("give that as FILE and this with --setup")
    })?;
    let data = std::env::var("BASELOAD_DATA").map_err(|_| {
        let what = format!("its measurement, {named}, lies in the folder that BASELOAD_DATA names, which is not set");
        TraceFault::of(path.display(), what).hint("set it, or give the measurement as FILE and this with --setup")
    })?;
    let measured = Path::new(&data).join(named);
    Ok(Input { name: short_name(&measured), text: open_text(&measured)?, beside: Some(text) })
}

fn read(path: &Path) -> Result<String, TraceFault> {
    whole(open_text(path)?, &path.display().to_string(), LONGEST_JSON)
}

/// The file's name; its folder's too where the name alone says nothing.
fn short_name(path: &Path) -> String {
    let name = |p: &Path| p.file_name().map_or_else(|| p.display().to_string(), |n| n.to_string_lossy().into_owned());
    match (name(path).as_str(), path.parent()) {
        ("requests.jsonl", Some(folder)) => format!("{}/requests.jsonl", name(folder)),
        (own, _) => own.to_owned(),
    }
}

/// The text of `meta.json`, or of the `*server_config.json` whose name begins as the file's does.
fn beside(path: &Path) -> Result<Option<String>, TraceFault> {
    let Some(folder) = path.parent() else { return Ok(None) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let own = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let entries = std::fs::read_dir(folder).map_err(|e| TraceFault::of(folder.display(), e))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| {
            let name = p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let stem = name.strip_suffix("server_config.json");
            stem.is_some_and(|s| own.starts_with(s)) || (name == "meta.json" && own.ends_with(".jsonl"))
        })
        .collect();
    found.sort();
    found.last().map(|config| read(config)).transpose()
}
