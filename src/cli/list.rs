//! `baseload run` without a file: the experiments that are here, with their questions.
use super::{Exit, printer};
use crate::experiment::{LONGEST_TOML, Text};
use crate::{experiment, report};
use baseload_core::gateway::Presets;
use baseload_core::types::Fault;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

pub fn run() -> Result<(), Exit> {
    let mut found: Vec<PathBuf> = [".", "experiments"].iter().flat_map(|folder| tables_of(Path::new(folder))).collect();
    found.sort();
    let mut any = false;
    for path in found {
        let name = path.strip_prefix("./").unwrap_or(&path);
        let says = match experiment::load(&path, &[], &Presets::embedded()).and_then(Text::whole) {
            Ok(text) if text.file.policy.is_empty() => continue,
            Ok(text) => text.file.question,
            Err(_) if !looks_like_one(&path) => continue,
            Err(e) => format!("does not load: {e}"),
        };
        any = true;
        printer::out(&format!("{}\n{}", name.display(), report::wrapped(&format!("    {says}"), report::WIDTH, 4)));
    }
    if any {
        return Ok(());
    }
    Err(Fault::new("no experiments here (*.toml, experiments/*.toml)").hint("give the file").into())
}

fn tables_of(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_table = |p: &PathBuf| p.is_file() && p.extension().is_some_and(|e| e == "toml");
    entries.flatten().map(|e| e.path()).filter(is_table).collect()
}

/// Whether a file that does not load was meant as an experiment: it has a policy, or it lies in `experiments`.
fn looks_like_one(path: &Path) -> bool {
    let text = experiment::read_text(path, LONGEST_TOML).unwrap_or_default();
    path.starts_with("experiments") || DeTable::parse_recoverable(&text).0.get_ref().contains_key("policy")
}
