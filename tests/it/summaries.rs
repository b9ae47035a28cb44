//! Shipped experiments keep their bytes: `tests/summaries.lock` has the SHA-256 of each one's `summary.json`.
//!
//! A commit that moves results writes the file again (`BASELOAD_LOCK=write cargo test --test it summaries`) and says which
//! moved and why. Rows of published traces are skipped, aloud, where BASELOAD_DATA names no folder.
use crate::support::modes;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;

const LOCK: &str = "tests/summaries.lock";
/// Set to `write`, it replaces the file instead of comparing with it.
const VARIABLE: &str = "BASELOAD_LOCK";

/// A row of the lock: the hash, the experiment, and what is set so that a debug build takes a second or two.
struct Row<'a> {
    sha256: &'a str,
    experiment: &'a str,
    limit: &'a str,
    needs_data: bool,
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let parsed = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()).map(|line| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let [sha256, experiment, limit, data] = cells[..] else { panic!("{LOCK}: not four cells: {line}") };
        Row { sha256, experiment, limit, needs_data: data == "data" }
    });
    parsed.collect()
}

fn hash_of(row: &Row<'_>, out: &Path) -> String {
    let mut command = modes::binary();
    command.args(["run", row.experiment, "--no-records", "--quiet", "--set", &format!("trace.limit={}", row.limit)]);
    command.arg("--out").arg(out).assert().success();
    let bytes = std::fs::read(out.join("summary.json")).unwrap();
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, b| {
        _ = write!(hex, "{b:02x}");
        hex
    })
}

#[test]
fn shipped_experiments_keep_their_bytes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join(LOCK)).unwrap();
    let has_data = std::env::var_os("BASELOAD_DATA").is_some();
    let dir = tempfile::tempdir().unwrap();
    let (mut now, mut moved) = (String::new(), Vec::new());
    for (i, row) in rows(&text).iter().enumerate() {
        let kind = if row.needs_data { "data" } else { "-" };
        let hash = if row.needs_data && !has_data {
            println!("skipped: {} needs a published trace", row.experiment);
            row.sha256.to_string()
        } else {
            hash_of(row, &dir.path().join(i.to_string()))
        };
        if hash != row.sha256 {
            moved.push(format!("{} (trace.limit={})", row.experiment, row.limit));
        }
        _ = writeln!(now, "{hash}  {}  {}  {kind}", row.experiment, row.limit);
    }
    if std::env::var_os(VARIABLE).is_some_and(|v| v == "write") {
        let head: String = text.lines().take_while(|l| l.starts_with('#')).fold(String::new(), |h, l| h + l + "\n");
        std::fs::write(root.join(LOCK), head + &now).unwrap();
        return;
    }
    assert!(moved.is_empty(), "summaries moved; if that is meant, {VARIABLE}=write and say why:\n{}", moved.join("\n"));
}
