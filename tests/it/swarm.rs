//! Whole experiments drawn from seeds: every mode gives one hash, and the auditor finds nothing to complain of.
//!
//! `BASELOAD_SWARM_SEED` and `BASELOAD_SWARM_CASES` choose the cases. A case that fails leaves its folder behind and
//! prints its seed, its experiment and the command that repeats it.
use crate::support::auditor::{Case, Evidence};
use crate::support::{draw, modes, seeds};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No drawn case needs more in a debug build on a busy machine; what does makes no progress.
const AT_MOST: Duration = Duration::from_secs(60);

fn schema() -> String {
    let output = modes::binary().arg("schema").output().expect("`baseload schema` runs");
    String::from_utf8(output.stdout).expect("a schema is text")
}

fn folder(seed: u64) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("swarm-{seed}"))
}

/// Draws, runs in every mode, audits. The words of what went wrong, and the hash where nothing did.
fn case(seed: u64, schema: &str) -> Result<String, String> {
    let folder = folder(seed);
    let _ = std::fs::remove_dir_all(&folder);
    let experiment = draw::draw(seed, schema).write(&folder);
    let (result, hash) = modes::one_hash(&experiment, &[], &folder, AT_MOST)?;
    let complaints = Case::read(&experiment).audit(&Evidence::read(&result));
    if complaints.is_empty() { Ok(hash) } else { Err(format!("the auditor complains:\n  {}", complaints.join("\n  "))) }
}

#[test]
fn drawn_experiments_run_alike_in_every_mode_and_pass_the_audit() {
    let schema = schema();
    let mut failed = Vec::new();
    for seed in seeds::cases() {
        match std::panic::catch_unwind(|| case(seed, &schema)) {
            Ok(Ok(hash)) => {
                println!("swarm {seed}: {hash}");
                let _ = std::fs::remove_dir_all(folder(seed));
            }
            Ok(Err(what)) => failed.push((seed, what)),
            Err(_) => failed.push((seed, "the test itself panicked; its message stands above".into())),
        }
    }
    for (seed, what) in &failed {
        let at = folder(*seed).join("experiment.toml");
        let toml = std::fs::read_to_string(&at).unwrap_or_default();
        println!("\n--- swarm {seed} failed: {what}\n--- {}\n{toml}--- repeat: {}", at.display(), seeds::repeat(*seed));
    }
    let first = failed.first().map_or("", |(_, what)| what.as_str());
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(failed.is_empty(), "swarm: seeds {seeds:?} failed, the first with: {first}");
}
