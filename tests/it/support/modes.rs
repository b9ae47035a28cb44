//! One workload, every mode, one hash: how many threads, whether records are kept, whether shortcuts are taken.
//!
//! An optimisation is merged once it is a row of [`MODES`]. A difference is named: file, row and column, or key.
use assert_cmd::Command;
use baseload::frames::{Column, TableFile, write_table};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A way of running that must change no compared byte.
pub struct Mode {
    pub label: &'static str,
    args: &'static [&'static str],
    /// Whether Parquet files are written; without them `summary.json` and `report.html` are compared.
    records: bool,
}

const fn mode(label: &'static str, args: &'static [&'static str]) -> Mode {
    Mode { label, args, records: true }
}

/// The first one is what the others are compared with.
const MODES: &[Mode] = &[
    mode("jobs 1", &["--jobs", "1"]),
    mode("jobs 2", &["--jobs", "2"]),
    Mode { label: "no records", args: &["--jobs", "2", "--no-records"], records: false },
    mode("no strides", &["--jobs", "2", "--no-strides"]),
    mode("reference pool", &["--jobs", "2", "--kv-pool", "reference"]),
    mode("no strides, reference pool", &["--jobs", "2", "--no-strides", "--kv-pool", "reference"]),
];

/// Files that say how a run went, not what it found.
const NEVER_COMPARED: [&str; 2] = ["perf.json", "run.json"];

pub fn binary() -> Command {
    let mut command = Command::cargo_bin("baseload").expect("modes: the binary is built with the tests");
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs an experiment in one mode.
///
/// # Errors
/// What the program said, or that it ran longer than `at_most`.
pub fn run(mode: &Mode, experiment: &Path, more: &[&str], out: &Path, at_most: Duration) -> Result<(), String> {
    let mut command = binary();
    command.arg("run").arg(experiment).arg("--quiet").arg("--out");
    let output = command.arg(out).args(mode.args).args(more).timeout(at_most).output();
    let output = output.map_err(|e| format!("mode `{}`: {e}", mode.label))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(format!("mode `{}`: exit status {code}: {said}", mode.label)),
        None => Err(format!("mode `{}`: liveness: still running after {at_most:?}, or killed: {said}", mode.label)),
    }
}

/// Runs every mode into folders below `into` and compares them with the first, whose folder and hash it returns.
///
/// # Errors
/// The first fault or difference, named.
pub fn one_hash(experiment: &Path, more: &[&str], into: &Path, at_most: Duration) -> Result<(PathBuf, String), String> {
    let mut first: Option<PathBuf> = None;
    for (i, mode) in MODES.iter().enumerate() {
        let out = into.join(format!("mode-{i}"));
        run(mode, experiment, more, &out, at_most)?;
        match &first {
            None => first = Some(out),
            Some(first) => {
                let against = format!("`{}` against `{}`", mode.label, MODES[0].label);
                difference(first, &out, mode.records).map_or(Ok(()), |d| Err(format!("{against}: {d}")))?;
                std::fs::remove_dir_all(&out).map_err(|e| e.to_string())?;
            }
        }
    }
    let first = first.ok_or("no modes")?;
    let hash = hash(&first);
    Ok((first, hash))
}

/// Compared files of a result folder, by name.
fn files(folder: &Path) -> Vec<String> {
    fn walk(at: &Path, root: &Path, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(at).unwrap_or_else(|e| panic!("{}: {e}", at.display())).flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, root, into);
            } else {
                into.push(path.strip_prefix(root).expect("below its root").to_string_lossy().into_owned());
            }
        }
    }
    let mut names = Vec::new();
    walk(folder, folder, &mut names);
    names.retain(|n| !NEVER_COMPARED.contains(&n.as_str()));
    names.sort();
    names
}

fn hash(folder: &Path) -> String {
    let mut all = Sha256::new();
    for name in files(folder) {
        all.update(name.as_bytes());
        all.update(std::fs::read(folder.join(name)).expect("a file that was listed"));
    }
    all.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// The first difference between two result folders.
fn difference(a: &Path, b: &Path, records: bool) -> Option<String> {
    let mut names = files(a);
    if records {
        let theirs = files(b);
        if let Some(lone) = names.iter().chain(&theirs).find(|n| !names.contains(n) || !theirs.contains(n)) {
            return Some(format!("{lone} is in one of the two only"));
        }
    } else {
        names.retain(|n| n == "summary.json" || n == "report.html");
    }
    names.iter().find_map(|name| {
        let (x, y) = (a.join(name), b.join(name));
        let read = |p: &Path| std::fs::read(p).map_err(|e| format!("{}: {e}", p.display()));
        let (left, right) = match (read(&x), read(&y)) {
            (Ok(l), Ok(r)) => (l, r),
            (Err(e), _) | (_, Err(e)) => return Some(e),
        };
        if left == right {
            return None;
        }
        let where_ = match Path::new(name).extension().and_then(|e| e.to_str()) {
            Some("parquet") => rows(&x, &y),
            Some("json") => json(&left, &right),
            _ => None,
        };
        Some(format!("{name}: {}", where_.unwrap_or_else(|| bytes(&left, &right))))
    })
}

fn bytes(a: &[u8], b: &[u8]) -> String {
    let at = a.iter().zip(b).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
    let near = |t: &[u8]| String::from_utf8_lossy(&t[at.saturating_sub(30)..(at + 30).min(t.len())]).into_owned();
    format!("byte {at} ({} and {} bytes): `{}` and `{}`", a.len(), b.len(), near(a), near(b))
}

fn rows(a: &Path, b: &Path) -> Option<String> {
    /// Names of the columns and their values as texts.
    type Texts = (Vec<String>, Vec<Vec<Option<String>>>);
    let read = |path: &Path| -> Option<Texts> {
        let file = TableFile::open(path).ok()?;
        let names: Vec<String> = file.names().into_iter().map(String::from).collect();
        let texts = names.iter().map(|n| file.whole_column(n).ok()?.texts().ok()).collect::<Option<_>>()?;
        Some((names, texts))
    };
    let ((names, a), (others, b)) = (read(a)?, read(b)?);
    if names != others {
        return Some(format!("columns {names:?} and {others:?}"));
    }
    let shown = |v: &Option<String>| v.clone().unwrap_or_else(|| "null".into());
    let (rows, more) = (a.first()?.len(), b.first()?.len());
    for row in 0..rows.min(more) {
        if let Some(at) = (0..names.len()).find(|at| a[*at][row] != b[*at][row]) {
            let (key, u, v) = (shown(&a[0][row]), shown(&a[at][row]), shown(&b[at][row]));
            return Some(format!("row {row} ({} {key}), column {}: {u} and {v}", names[0], names[at]));
        }
    }
    (rows != more).then(|| format!("{rows} and {more} rows, equal as far as both go"))
}

fn json(a: &[u8], b: &[u8]) -> Option<String> {
    fn walk(path: &str, a: &Value, b: &Value) -> Option<String> {
        match (a, b) {
            (Value::Object(x), Value::Object(y)) => {
                x.keys().chain(y.keys()).find_map(|k| walk(&format!("{path}.{k}"), &a[k.as_str()], &b[k.as_str()]))
            }
            (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
                x.iter().zip(y).enumerate().find_map(|(i, (u, v))| walk(&format!("{path}[{i}]"), u, v))
            }
            _ => (a != b).then(|| format!("{}: {a} and {b}", path.trim_start_matches('.'))),
        }
    }
    walk("", &serde_json::from_slice(a).ok()?, &serde_json::from_slice(b).ok()?)
}

#[test]
fn a_difference_is_named_by_row_and_column_or_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let write = |folder: &str, tokens: [u32; 3], requests: u32| {
        let at = dir.path().join(folder);
        std::fs::create_dir_all(at.join("requests")).unwrap();
        let columns = vec![Column::new("index", vec![7u64, 8, 9]), Column::new("tokens", tokens.to_vec())];
        write_table(&at.join("requests/part.parquet"), columns).unwrap();
        std::fs::write(at.join("perf.json"), folder).unwrap();
        let text = format!("{{\"policies\": [{{\"name\": \"a\", \"requests\": {requests}}}]}}");
        std::fs::write(at.join("summary.json"), text).unwrap();
        at
    };
    let a = write("a", [1, 2, 3], 3);
    assert_eq!(difference(&a, &write("b", [1, 2, 3], 3), true), None);
    let rows = difference(&a, &write("c", [1, 5, 3], 3), true).unwrap();
    assert_eq!(rows, "requests/part.parquet: row 1 (index 8), column tokens: 2 and 5");
    let key = difference(&a, &write("d", [1, 9, 3], 4), false).unwrap();
    assert_eq!(key, "summary.json: policies[0].requests: 3 and 4");
    std::fs::write(a.join("extra.json"), "1").unwrap();
    assert!(difference(&a, &dir.path().join("b"), true).unwrap().contains("extra.json is in one"));
}

#[test]
fn a_run_that_lasts_too_long_is_a_failure_of_liveness() {
    let dir = tempfile::tempdir().unwrap();
    let quickstart = Path::new("experiments/quickstart.toml");
    let fault = run(&MODES[0], quickstart, &[], &dir.path().join("r"), Duration::from_millis(1)).unwrap_err();
    assert!(fault.contains("mode `jobs 1`: liveness"), "{fault}");
}
