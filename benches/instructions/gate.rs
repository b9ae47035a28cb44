//! The instruction gate's judgement: counts against a baseline. No valgrind, no process; `tests/it/instructions.rs` tests it.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A count may be so much above the baseline, in thousandths.
pub const TOLERANCE_PERMILLE: u64 = 30;

/// Instructions by workload.
pub type Counts = BTreeMap<String, u64>;

/// What decides how many instructions the same source takes. Counts of different keys are not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// `rustc --version`, without the name.
    pub rustc: String,
    /// `valgrind --version`, without the name.
    pub valgrind: String,
    /// Target triple.
    pub target: String,
}

/// Counts under one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Under what.
    #[serde(flatten)]
    pub key: Key,
    /// Instructions by workload.
    pub instructions: Counts,
}

/// `benches/instructions.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baselines {
    /// One table a key.
    #[serde(default)]
    pub measured: Vec<Measured>,
}

const HEAD: &str = "# Instructions that the workloads of benches/instructions take, counted by callgrind; .ci/instructions compares.\n\
    # Replace them with `bash .ci/instructions --write`; a commit that does says why the new counts are right.\n";

impl Baselines {
    /// Reads the file's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Baselines, String> {
        toml::from_str(text).map_err(|e| e.to_string())
    }
    /// The counts of a key.
    pub fn of(&self, key: &Key) -> Option<&Counts> {
        self.measured.iter().find(|m| m.key == *key).map(|m| &m.instructions)
    }
    /// Takes the place of what that key had.
    pub fn set(&mut self, key: &Key, instructions: Counts) {
        self.measured.retain(|m| m.key != *key);
        self.measured.push(Measured { key: key.clone(), instructions });
    }
    /// The file's text.
    ///
    /// # Errors
    /// Never seen; TOML's own.
    pub fn text(&self) -> Result<String, String> {
        Ok(format!("{HEAD}\n{}", toml::to_string(self).map_err(|e| e.to_string())?))
    }
}

/// Compares `now` with `before`. `Ok` and `Err` are the same kind of table; `Err` when the gate fails: a workload takes
/// more than the tolerance more, or one of the baseline's is gone. What the baseline does not know passes and is said.
///
/// # Errors
/// The table, when something got worse.
pub fn compare(before: &Counts, now: &Counts) -> Result<String, String> {
    let mut table = String::from("| workload | before | now | change | |\n|---|---|---|---|---|\n");
    let mut worse = false;
    let mut row = |name: &str, cells: [&str; 4]| {
        let [before, after, change, verdict] = cells;
        let _ = writeln!(table, "| {name} | {before} | {after} | {change} | {verdict} |");
    };
    for (name, &was) in before {
        let Some(&is) = now.get(name) else {
            worse = true;
            row(name, [&was.to_string(), "-", "-", "GONE: the baseline has it; update the baseline if that is meant"]);
            continue;
        };
        // In whole numbers: is > was * (1 + tolerance).
        let over = u128::from(is) * 1000 > u128::from(was) * u128::from(1000 + TOLERANCE_PERMILLE);
        let well_under = u128::from(is) * 1000 < u128::from(was) * u128::from(1000 - TOLERANCE_PERMILLE);
        worse |= over;
        let change = format!("{:+.2} %", (is as f64 / was.max(1) as f64 - 1.0) * 100.0);
        let verdict = match () {
            () if over => "WORSE",
            () if well_under => "better: `bash .ci/instructions --write` keeps the gain",
            () => "",
        };
        row(name, [&was.to_string(), &is.to_string(), &change, verdict]);
    }
    for (name, is) in now.iter().filter(|(name, _)| !before.contains_key(*name)) {
        row(name, ["-", &is.to_string(), "-", "new"]);
    }
    if worse { Err(table) } else { Ok(table) }
}

/// The count that callgrind printed, from its standard error: `==1== Collected : 123`.
pub fn collected(stderr: &str) -> Option<u64> {
    let line = stderr.lines().rev().find_map(|l| l.split_once("Collected :"))?.1;
    line.split_whitespace().next()?.replace(',', "").parse().ok().filter(|n| *n > 0)
}
