//! Tests of resolution: defaults that depend on hardware, and keys that reach the engine.
use super::*;

const FILE: &str = r#"
name = "t"
[trace]
users = { concurrency = 1, requests = 1, prompt_tokens = 1, output_tokens = 1 }
[class.batch]
share = 0.5
priority = 3
[pool.chat]
model = "llama-3.1-8b"
gpu = "h100-sxm"
rent = { usd_per_gpu_hour = 2.0 }
[policy.own.round_robin]
"#;

fn loaded(sets: &[&str]) -> Result<Experiment, FileFaults> {
    load_text(FILE, sets)
}

/// The experiment of a text.
pub(super) fn load_text(text: &str, sets: &[&str]) -> Result<Experiment, FileFaults> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, text).unwrap();
    let settings = Settings { sets: sets.iter().map(|s| (*s).to_owned()).collect(), ..Settings::default() };
    Experiment::load_with(&path, &settings)
}

/// What is echoed of an experiment.
fn echo(exp: &Experiment) -> String {
    toml::to_string(&exp.echo).unwrap()
}

/// What the pool's engine was resolved to: its section.
fn engine(sets: &[&str]) -> toml::Table {
    loaded(sets).unwrap().pools[0].replica.engine.1.clone()
}

#[test]
fn limits_come_from_the_gpu_unless_given_and_are_echoed() {
    for (sets, tokens, seqs) in [
        (&["pool.chat.gpu=h100-sxm"][..], 8_192, 1_024),
        (&["pool.chat.gpu=b200-sxm"], 16_384, 1_024),
        (&["pool.chat.gpu=a100-80-sxm"], 2_048, 256),
        (&["pool.chat.gpu=l40s", "pool.chat.engine.vllm.max_num_batched_tokens=100"], 100, 100),
        (&["pool.chat.engine.vllm.max_num_seqs=7"], 8_192, 7),
        (&["pool.chat.max_model_len=4"], 4_096, 1_024),
    ] {
        let exp = loaded(sets).unwrap();
        let limits = exp.pools[0].replica.limits;
        assert_eq!((limits.most_tokens, limits.max_rows), (tokens, seqs), "hardware-defaults: {sets:?}");
        let echoed = &exp.echo.0.pool["chat"].engine.0["vllm"];
        let echoed = ["max_num_batched_tokens", "max_num_seqs"].map(|key| echoed[key].as_integer());
        assert_eq!(echoed, [Some(tokens as i64), Some(seqs.into())], "what is echoed is what runs: {sets:?}");
        assert!(echo(&exp).contains(&format!("max_num_seqs = {seqs}")));
    }
    let e = loaded(&["pool.chat.engine.vllm.max_num_seqs=0"]).err().unwrap().to_string();
    assert!(e.contains("pool.chat.engine.vllm.max_num_seqs: it is 0; it must be at least 1"), "{e}");
    let both = ["pool.chat.engine.vllm.max_num_seqs=64", "pool.chat.engine.vllm.max_num_batched_tokens=32"];
    let warnings = loaded(&both).unwrap().warnings;
    assert!(warnings.iter().any(|w| w.contains("refuses to start")), "{warnings:?}");
}

#[test]
fn an_echoed_file_resolves_to_itself() {
    let once = loaded(&[]).unwrap();
    let twice = load_text(&echo(&once), &[]).unwrap();
    assert_eq!(echo(&once), echo(&twice));
}

#[test]
fn engine_keys_reach_the_engine() {
    let plain = engine(&[]);
    assert_eq!((plain["async_scheduling"].as_bool(), plain["scheduling_policy"].as_str()), (Some(true), Some("fcfs")));
    assert_eq!(engine(&["pool.chat.engine.vllm.async_scheduling=false"])["async_scheduling"].as_bool(), Some(false));
    let by_priority = loaded(&["pool.chat.engine.vllm.scheduling_policy=priority"]).unwrap();
    assert!(by_priority.pools[0].replica.limits.by_priority);
    assert_eq!(engine(&["pool.chat.engine.vllm.profile=vllm-0.32"]), plain);
    for (set, wanted) in [
        ("pool.chat.engine.vllm.profile=vllm-0.23", "did you mean `vllm-0.32`"),
        ("pool.chat.engine.vllm.scheduling_policy=prio", "did you mean `priority`"),
        ("pool.chat.engine.vllm.async_schedulling=true", "did you mean `async_scheduling`"),
        ("pool.chat.engine.vlm.async_scheduling=true", "did you mean `vllm`"),
        ("pool.chat.engine.vllm=3", "it must be a table"),
    ] {
        let e = loaded(&[set]).err().unwrap().to_string();
        assert!(e.contains(wanted), "{e}");
    }
}

#[test]
fn step_times_know_the_mode_and_the_graphs() {
    let step = |sets: &[&str], rows| loaded(sets).unwrap().pools[0].replica.step_time.decode(rows, 10_000).base_fs;
    let sync = "pool.chat.engine.vllm.async_scheduling=false";
    assert!(step(&[sync], 8) > step(&[], 8), "a synchronous engine adds the host's path");
    let few = "pool.chat.engine.vllm.max_num_seqs=257";
    assert!(step(&[sync, few], 257) < step(&[sync], 257), "257 rows run as 257 where that is the limit, else as 272");
    let fixed = step(&["pool.chat.engine.static.max_batch=32"], 8);
    assert!(fixed > step(&[], 8), "a static batcher is synchronous");
}

#[test]
fn classes_carry_a_priority_and_an_idle_one_is_warned_of() {
    let exp = loaded(&[]).unwrap();
    let priorities: Vec<i32> = exp.classes.iter().map(|(c, _)| c.priority).collect();
    assert_eq!(priorities, [3, 0]);
    let idle = |e: &Experiment| e.warnings.iter().any(|w| w.starts_with("class.batch.priority changes nothing"));
    assert!(idle(&exp), "{:?}", exp.warnings);
    assert!(!idle(&loaded(&["pool.chat.engine.vllm.scheduling_policy=priority"]).unwrap()));
}

#[test]
fn precisions_reach_memory_and_step_time() {
    let pool = |sets: &[&str]| loaded(sets).unwrap().pools.remove(0);
    let plain = pool(&[]);
    let small = pool(&["pool.chat.weights_dtype=fp8", "pool.chat.kv_dtype=fp8"]);
    let [of_plain, of_small] = [&plain, &small].map(|p| p.replica.plan.clone().unwrap());
    assert_eq!(of_plain.kv_bytes_per_token, 2 * of_small.kv_bytes_per_token);
    assert!(of_small.weights_bytes < of_plain.weights_bytes && of_small.kv_tokens > 2 * of_plain.kv_tokens);
    let step = |p: &ResolvedPool, ctx: u64| {
        let law = p.replica.step_time.decode(64, ctx);
        law.base_fs + law.per_ctx_fs * ctx
    };
    assert!(step(&small, 0) < step(&plain, 0), "weights are half as much to read");
    assert!(step(&small, 64_000) - step(&small, 0) < step(&plain, 64_000) - step(&plain, 0), "and so is the cache");
    assert_eq!(small.replica.title, "llama-3.1-8b on 1 x h100-sxm, fp8 weights, fp8 KV cache");
    let e = loaded(&["pool.chat.kv_dtype=int4"]).err().unwrap().to_string();
    assert!(e.contains("pool.chat.kv_dtype: unknown value `int4`") && e.contains("bf16, fp8"), "{e}");
}

#[test]
fn what_a_pool_does_not_hold_is_warned_of_by_its_name() {
    let gemma = ["pool.chat.model=gemma-3-27b", "pool.chat.max_model_len=131072"];
    let warnings = loaded(&gemma).unwrap().warnings;
    assert!(warnings.iter().any(|w| w.starts_with("pool chat: ") && w.contains("windows too")), "{warnings:?}");
    let linear = ["pool.chat.model=qwen3.5-35b-a3b", "pool.chat.gpu=b200-sxm", "pool.chat.kv_dtype=fp8"];
    let kv = loaded(&linear).unwrap().pools[0].replica.kv;
    assert_eq!(kv.block_size, 2_096, "a block holds the state of linear attention");
    let e = loaded(&["pool.chat.num_blocks=4294967295"]).err().unwrap().to_string();
    assert!(e.contains("pool.chat.num_blocks: it is 4294967295; it must be a whole number from 0 to 10000000"), "{e}");
}

#[test]
fn a_policy_lays_its_gateway_over_that_of_all() {
    let exp = loaded(&[
        "gateway.timeout=30s",
        "gateway.retry.preset=litellm",
        "policy.own.gateway.hedge.after=2s",
        "policy.plain.least_outstanding={}",
    ])
    .unwrap();
    let [own, plain] = [&exp.policies[0], &exp.policies[1]].map(|p| &p.gateway.resilience);
    assert_eq!((own.timeout, plain.timeout), (SimTime::from_secs(30), SimTime::from_secs(30)));
    assert!(own.retry.at_once_elsewhere && plain.retry.at_once_elsewhere);
    assert!(own.hedge.is_some() && plain.hedge.is_none());
    let echoed = exp.echo.0.policy["own"].own.gateway.as_ref().unwrap();
    assert_eq!((echoed.timeout.as_str(), echoed.retries), ("30s", Some(2)), "what is echoed is what runs");
    let sglang = loaded(&["gateway.retry.preset=sglang"]).unwrap();
    assert_eq!(sglang.policies[0].gateway.resilience.retry.retries, 4, "a preset's number of retries");
    let given = loaded(&["gateway.retry.preset=sglang", "gateway.retries=1"]).unwrap();
    assert_eq!(given.policies[0].gateway.resilience.retry.retries, 1);
    assert_eq!(echo(&exp), echo(&load_text(&echo(&exp), &[]).unwrap()));
}

#[test]
fn faults_of_the_gateway_name_their_key_and_what_would_be_right() {
    let second = "pool.big={model=\"llama-3.1-70b\", gpu=\"h200-sxm\", tensor_parallel=2, rent={usd_per_gpu_hour=3.0}}";
    for (sets, wanted) in [
        (
            &["gateway.fallback.chains={chat=[\"chat\"]}"][..],
            "gateway.fallback.chains.chat: `chat` falls back to itself",
        ),
        (&["gateway.fallback.chains={chat=[\"bigg\"]}"], "did you mean `big`"),
        (&["gateway.fallback.chains={chat=[]}"], "gateway.fallback.chains.chat: it is empty"),
        (&["gateway.retry.preset=litelm"], "did you mean `litellm`"),
        (&["gateway.try_timeout=0s"], "gateway.try_timeout: it is 0"),
        (&["gateway.hedge={}"], "give after, such as"),
        (&["gateway.hedge.quantile=95"], "gateway.hedge.quantile: it is 95; it must be a number from 0 to 1"),
        (&["gateway.retry.backoff.jitter={less=0.1, plus=\"1s\"}"], "give one of less, around, plus"),
        (&["gateway.retry.retry_after={}"], "gateway.retry.retry_after: 0 are given"),
        (&["gateway.admission={}"], "give saturation or max_in_flight"),
        (&["gateway.concurrency.chat=0"], "gateway.concurrency.chat: it is 0; it must be at least 1"),
        (&["policy.own.gateway.breaker.failures=0"], "policy.own.gateway.breaker.failures: it is 0"),
        (&["policy.own.cascade={stages=[\"chat\"], accept=[]}"], "give at least two stages"),
        (
            &["policy.own.cascade={stages=[\"chat\",\"big\"], accept=[0.5]}", "policy.own.pools={big=0}"],
            "the policy has no `big`",
        ),
        (&["class.batch.tolerates=0s"], "class.batch.tolerates: it is 0"),
    ] {
        let sets: Vec<&str> = [second].iter().chain(sets).copied().collect();
        let says = loaded(&sets).err().unwrap_or_else(|| panic!("{sets:?} resolved")).to_string();
        assert!(says.contains(wanted), "{sets:?}: {says}");
    }
}
