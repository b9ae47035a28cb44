//! Whole experiments drawn from seeds: every mode gives one hash, and the auditor finds nothing to complain of.
//!
//! `BASELOAD_SWARM_SEED` and `BASELOAD_SWARM_CASES` choose the cases. A case that fails leaves its folder behind and
//! prints its seed, its experiment and the command that repeats it.
use crate::support::auditor::{Case, Evidence};
use crate::support::{draw, modes, seeds};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No drawn case needs more in a debug build on a busy machine; what does makes no progress.
const AT_MOST: Duration = Duration::from_secs(60);

/// Failed cases after which the others are not run: each may take as long as `AT_MOST`.
const ENOUGH: usize = 5;

fn schema() -> String {
    let output = modes::binary().arg("schema").output().expect("`baseload schema` runs");
    String::from_utf8(output.stdout).expect("a schema is text")
}

fn folder(seed: u64) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("swarm-{seed}"))
}

/// How often each thing happened, over all cases.
type Tally = BTreeMap<String, u64>;

fn count(tally: &mut Tally, evidence: &Evidence) {
    let mut add = |what: &str, n: u64| *tally.entry(what.into()).or_default() += n;
    for policy in &evidence.policies {
        for r in &policy.requests {
            add(&format!("requests {}", r.outcome), 1);
            add("requests that met the SLO", r.met_slo.into());
        }
        for a in &policy.attempts {
            let at = if a.replica.is_some() { "own" } else { "bought" };
            add(&format!("attempts {at} {}{}{}", a.outcome, if a.cause.is_empty() { "" } else { " " }, a.cause), 1);
            add(&format!("attempts {at} with cached tokens"), (a.cached_tokens > 0).into());
            add(&format!("attempts {at} stopped between tokens"), (a.cause == "timeout" && a.output_tokens > 0).into());
            add("preemptions", a.preemptions.into());
        }
        add("replica failures", policy.summary["replica_failures"].as_u64().unwrap_or(0));
    }
}

/// What the swarm is for. Cases that never meet one of these say nothing about it.
const MUST_HAPPEN: [&str; 22] = [
    "requests rejected",
    "requests that met the SLO",
    "attempts own completed",
    "attempts own failed queue_full",
    "attempts own failed replica_lost",
    "attempts own failed too_long",
    "attempts own timed_out timeout",
    "attempts own with cached tokens",
    "attempts own stopped between tokens",
    "attempts bought completed",
    "attempts bought failed rate_limited",
    "attempts bought failed server_error",
    "attempts bought with cached tokens",
    "attempts bought stopped between tokens",
    "attempts bought timed_out try_timeout",
    "attempts bought cancelled hedged",
    "attempts own cancelled client_gone",
    "attempts own cancelled hedged",
    "attempts own completed not_accepted",
    "attempts own timed_out try_timeout",
    "preemptions",
    "replica failures",
];

/// Draws, runs in every mode, audits. The words of what went wrong, and the hash where nothing did.
fn case(seed: u64, schema: &str, tally: &mut Tally) -> Result<String, String> {
    let folder = folder(seed);
    let _ = std::fs::remove_dir_all(&folder);
    let experiment = draw::draw(seed, schema).write(&folder);
    let (result, hash) = modes::one_hash(&experiment, &[], &folder, AT_MOST)?;
    let evidence = Evidence::read(&result);
    count(tally, &evidence);
    let complaints = Case::read(&experiment).audit(&evidence);
    if complaints.is_empty() { Ok(hash) } else { Err(format!("the auditor complains:\n  {}", complaints.join("\n  "))) }
}

#[test]
fn drawn_experiments_run_alike_in_every_mode_and_pass_the_audit() {
    let schema = schema();
    let (mut failed, mut tally) = (Vec::new(), Tally::new());
    let cases = seeds::cases();
    for seed in cases.clone() {
        if failed.len() == ENOUGH {
            println!("swarm: {ENOUGH} cases failed; those from seed {seed} on were not run");
            break;
        }
        match std::panic::catch_unwind(AssertUnwindSafe(|| case(seed, &schema, &mut tally))) {
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
    println!("swarm: {tally:#?}");
    let first = failed.first().map_or("", |(_, what)| what.as_str());
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(failed.is_empty(), "swarm: seeds {seeds:?} failed, the first with: {first}");
    // A few chosen cases need not meet everything; as many as CI draws must.
    if cases.end - cases.start >= seeds::DEFAULT_CASES {
        let never: Vec<&&str> = MUST_HAPPEN.iter().filter(|w| tally.get(**w).is_none_or(|n| *n == 0)).collect();
        assert!(never.is_empty(), "swarm: in {cases:?} these never happened: {never:?}");
    }
}

/// By hand: `BASELOAD_AUDIT=experiment.toml cargo test --test it audits_one`.
#[test]
fn audits_one_experiment_by_hand() {
    let Some(experiment) = std::env::var_os("BASELOAD_AUDIT").map(PathBuf::from) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (result, _) = modes::one_hash(&experiment, &[], dir.path(), AT_MOST).unwrap();
    let complaints = Case::read(&experiment).audit(&Evidence::read(&result));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
