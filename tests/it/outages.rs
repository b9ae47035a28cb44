//! What bought APIs do when they refuse or fail, through whole runs.
use crate::program::{baseload, command, end_of, root};
use serde_json::Value;
use std::path::Path;

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A policy of a summary, and how often requests ended for a cause.
fn policy<'a>(summary: &'a Value, name: &str) -> &'a Value {
    summary["policies"].as_array().unwrap().iter().find(|p| p["name"] == name).unwrap()
}
fn ended(policy: &Value, cause: &str) -> u64 {
    let outcomes = policy["outcomes"].as_array().unwrap();
    outcomes.iter().find(|o| o[0] == cause).map_or(0, |o| o[1].as_u64().unwrap())
}

#[test]
fn a_provider_that_is_half_down_is_what_policies_make_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| {
        let out = dir.path().join(name);
        let mut program = command();
        let experiment = root().join("experiments/provider-down.toml");
        program.arg("run").arg(experiment).args(["--quiet", "--no-records", "--out"]).arg(&out).args(more);
        end_of(&mut program).well();
        read(&out.join("summary.json"))
    };
    let both = run("both", &[]);
    let requests = both["requests"].as_u64().unwrap();
    let (alone, retries) = (policy(&both, "api-only"), policy(&both, "retries"));
    assert!(ended(alone, "overloaded") > requests / 5 && ended(alone, "rate_limited") > requests / 50, "{alone}");
    // One of two tries fails: of three, an eighth does.
    let left = ended(retries, "overloaded") as f64 / ended(alone, "overloaded") as f64;
    assert!((0.2..0.3).contains(&left), "{left} of the failures are left after two retries, not a quarter");
    let failed = |name: &str| policy(&both, name)["failed"].as_u64().unwrap();
    assert!(failed("api-only") > failed("retries") && failed("retries") > 10 * failed("fallback"));
    let good = |name: &str| policy(&both, name)["goodput_share"].as_f64().unwrap();
    assert!(good("breaker") > good("fallback") && good("fallback") > good("api-only"));
    // Nobody meets a limit before the squeeze, and nobody is overloaded outside the outage.
    let squeeze = "outages.anthropic.schedule=[{ at = \"6h\", duration = \"1h\", limits_times = 0.1 }]";
    let squeezed = run("squeezed", &["--set", squeeze]);
    let alone = policy(&squeezed, "api-only");
    assert!(ended(alone, "overloaded") == 0 && ended(alone, "rate_limited") > requests / 50, "{alone}");
    let later = "outages.anthropic.schedule=[{ at = \"9h\", duration = \"1h\", limits_times = 0.1, fails = 1.0 }]";
    let alone = run("later", &["--set", later]);
    let alone = policy(&alone, "api-only");
    assert_eq!((ended(alone, "overloaded"), ended(alone, "rate_limited")), (0, 0), "{alone}");
}

const UNITS: &str = r#"
name = "units"
[trace.users]
concurrency = 40
requests = 2000
prompt_tokens = 1500
output_tokens = 100
[endpoint.ptu]
catalog = "openai/gpt-4o"
provisioned = { units = 15, usd_per_unit_hour = 1.5 }
[endpoint.spill]
catalog = "openai/gpt-4o"
account = "tokens"
limits = { tier = "openai/Tier 5" }
errors = { overloaded = 0.05 }
[outages.openai]
drawn = "openai-api"
[policy.spill]
api_only = {}
[policy.spill.gateway]
fallback = { chains = { ptu = ["spill"] } }
retries = 0
"#;

#[test]
fn provisioned_units_are_paid_by_the_hour_and_what_they_refuse_by_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("units.toml");
    std::fs::write(&path, UNITS).unwrap();
    let out = dir.path().join("out");
    let (path, out_text) = (path.to_str().unwrap(), out.to_str().unwrap());
    baseload(&["run", path, "--quiet", "--no-records", "--out", out_text]).well();
    let summary = read(&out.join("summary.json"));
    let spill = policy(&summary, "spill");
    let line = |name: &str| {
        let bill = spill["bill"].as_array().unwrap();
        bill.iter().find(|l| l["name"] == name).map(|l| l["usd_per_month"].as_f64().unwrap())
    };
    assert_eq!(line("provisioned ptu"), Some(15.0 * 1.5 * 730.0));
    assert_eq!(line("endpoint ptu"), None, "its tokens are not billed");
    let bought = line("endpoint spill").expect("what the units refuse is bought by the token");
    assert_eq!(spill["api_usd_per_month"].as_f64(), Some(15.0 * 1.5 * 730.0 + bought));
    assert!(spill["fallbacks"].as_u64() > Some(200), "{spill}");
    assert!(ended(spill, "overloaded") > 0, "{spill}");
    // What is paid by the hour no policy saves: the bound has it, too.
    assert!(spill["oracle"]["cost_usd_per_month"].as_f64() >= Some(15.0 * 1.5 * 730.0), "{spill}");
    let manifest = read(&out.join("manifest.json"));
    let facts: Vec<&str> = manifest["facts"].as_array().unwrap().iter().map(|f| f["kind"].as_str().unwrap()).collect();
    assert!(["rate limits", "provisioned", "incidents"].iter().all(|kind| facts.contains(kind)), "{facts:?}");
}
