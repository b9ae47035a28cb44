//! Policies through the whole program: with one backend they are all the same, and a private request never leaves.
use crate::program::{command, end_of};
use std::fmt::Write;
use std::path::Path;

/// Presets without needed options, and parts of somebody's own.
const ALL: [&str; 20] = [
    "round_robin = {}",
    "random = {}",
    "least_outstanding = {}",
    "power_of_two = {}",
    "session_hash = {}",
    "least_kv = {}",
    "self_hosted_only = {}",
    "sglang_cache_aware = {}",
    "prefix_affinity = {}",
    "production_stack_session = {}",
    "production_stack_prefix = {}",
    "llmd_default = {}",
    "dynamo_kv = {}",
    "litellm_simple_shuffle = {}",
    "litellm_least_busy = {}",
    "litellm_latency = {}",
    "litellm_usage_v2 = {}",
    "vllm_dp = {}",
    "slo_cheapest = {}",
    "scorers = { queue = 1, prefix = 2, session = 0.5 }\npicker = \"weighted_random\"",
];
/// Those that buy.
const BUYING: [&str; 6] = [
    "api_only = {}",
    "overflow = { to = \"a\", waiting_per_replica = 0.1 }",
    "baseload_split = { requests_per_s = 0.5 }",
    "time_of_day = { from = \"0s\", until = \"23h\" }",
    "budget_paced = { usd_per_day = 1000, waiting_per_replica = 0.1 }",
    "route_llm_threshold = { to = \"a\", strong_share = 0.5 }",
];

fn trace() -> String {
    let mut text = "arrival_s,prompt_tokens,output_tokens,session\n".to_string();
    for i in 0..300u64 {
        let session = if i % 3 == 0 { String::new() } else { (i % 7).to_string() };
        let _ = writeln!(text, "{}.{:03},{},{},{session}", i / 10, i % 10 * 97, 50 + i * 37 % 900, 1 + i * 13 % 60);
    }
    text
}

fn run(dir: &Path, backends: &str, policies: &[&str]) -> serde_json::Value {
    let mut toml = format!("name = \"p\"\n[trace]\npath = \"t.csv\"\n[slo]\nttft = \"300ms\"\n{backends}");
    for (i, policy) in policies.iter().enumerate() {
        let _ = writeln!(toml, "[policy.p{i}]\n{policy}");
    }
    std::fs::write(dir.join("e.toml"), toml).unwrap();
    std::fs::write(dir.join("t.csv"), trace()).unwrap();
    end_of(command().current_dir(dir).args(["run", "e.toml", "--quiet", "--out", "out"])).well();
    serde_json::from_str(&std::fs::read_to_string(dir.join("out/summary.json")).unwrap()).unwrap()
}

const POOL: &str = "[pool.own]\nmodel = \"llama-3.1-8b\"\ngpu = \"l4\"\nmax_model_len = 8192\nREPLICASrent = { usd_per_gpu_hour = 1 }\n";

#[test]
fn with_one_backend_all_policies_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let summary = run(dir.path(), &POOL.replace("REPLICAS", ""), &ALL);
    let mut seen = Vec::new();
    for policy in summary["policies"].as_array().unwrap() {
        let mut policy = policy.clone();
        policy.as_object_mut().unwrap().remove("name");
        seen.push(policy.to_string());
    }
    assert_eq!(seen.len(), ALL.len());
    for (policy, seen_of) in ALL.iter().zip(&seen) {
        assert_eq!(seen_of, &seen[0], "{policy} differs from {} on one replica", ALL[0]);
    }
}

#[test]
fn a_private_request_never_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let backends = format!(
        "[class.private]\nshare = 1.0\nprivacy = \"internal-only\"\n{POOL}[endpoint.a]\ncatalog = \"openai/gpt-4o\"\n"
    )
    .replace("REPLICAS", "replicas = 2\n");
    let rules = "rules = [{ when = \"request.private\", to = \"a\" }, { to = \"any\" }]\nscorers = { price = 1, outstanding = 2 }";
    let policies: Vec<&str> = ALL.into_iter().chain(BUYING).chain([rules]).collect();
    let summary = run(dir.path(), &backends, &policies);
    for (text, policy) in policies.iter().zip(summary["policies"].as_array().unwrap()) {
        let api = &policy["api_usd_per_month"];
        assert!(api.as_f64().is_some_and(|usd| usd == 0.0) || api.as_str() == Some("0"), "{text}: {api}");
        let completed = policy["completed"].as_u64().unwrap();
        // Without replicas of its own there is nowhere to go.
        assert_eq!(completed, if text.starts_with("api_only") { 0 } else { 300 }, "{text}");
    }
}

/// The first request keeps a replica busy; the second one shares its prompt and finds it there only if it is known.
#[test]
fn a_precise_index_knows_what_kv_events_have_told_by_then() {
    let dir = tempfile::tempdir().unwrap();
    let line = |at_ms: u64, output: u64, own: u64| {
        let hashes = format!("[1,2,3,{own}]");
        format!("{{\"timestamp\":{at_ms},\"input_length\":2048,\"output_length\":{output},\"hash_ids\":{hashes}}}\n")
    };
    std::fs::write(dir.path().join("t.jsonl"), line(0, 900, 10) + &line(6_000, 5, 11)).unwrap();
    let policy = |name: &str, delay: &str| {
        format!(
            "[policy.{name}]\nscorers = {{ cached_prefix = 3, outstanding = 1 }}\n\
             [policy.{name}.gateway]\nkv_event_delay = \"{delay}\"\n"
        )
    };
    let pool = POOL.replace("REPLICAS", "replicas = 2\n");
    let policies = policy("at-once", "0s") + &policy("in-time", "2s") + &policy("late", "10s");
    let toml = format!("name = \"kv\"\n[trace]\npath = \"t.jsonl\"\n{pool}{policies}");
    std::fs::write(dir.path().join("e.toml"), toml).unwrap();
    end_of(command().current_dir(dir.path()).args(["run", "e.toml", "--quiet", "--out", "out"])).well();
    let text = std::fs::read_to_string(dir.path().join("out/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    let shares: Vec<f64> =
        (summary["policies"].as_array().unwrap().iter()).map(|p| p["cached_prompt_share"].as_f64().unwrap()).collect();
    let expected = 3.0 * 512.0 / 4096.0;
    // The whole prompt is computed, and announced, by the step that begins at 0 s.
    assert_eq!(shares, [expected, expected, 0.0]);
}
