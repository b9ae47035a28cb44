//! Benchmarks are finite: what is counted a second is over the time to the last answer, whatever arrivals were like, and only
//! arrivals that go on can overload anything.
use baseload::experiment::Experiment;
use baseload::experiment::summary::{PolicySummary, Summary};

const GATEWAY: &str = "[gateway]\ntimeout = \"3600s\"\nretries = 0\n";

fn run(experiment: &str, generator: &str) -> Summary {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("g.toml"), generator).unwrap();
    std::fs::write(dir.path().join("e.toml"), experiment).unwrap();
    Experiment::load(&dir.path().join("e.toml")).unwrap_or_else(|e| panic!("{e}")).run().unwrap()
}

fn one(experiment: &str, generator: &str) -> (PolicySummary, String) {
    let mut summary = run(experiment, generator);
    (summary.policies.remove(0), summary.verdict)
}

#[track_caller]
fn near(value: f64, right: f64) {
    assert!((value / right - 1.0).abs() < 0.01, "{value} for {right}");
}

/// `vllm bench serve --request-rate inf` of 100 prompts at one A100.
#[test]
fn a_burst_has_a_throughput_and_a_price() {
    let text = format!(
        "name = \"burst\"\n[trace]\ngenerate = \"g.toml\"\n[pool.chat]\nmodel = \"qwen2.5-7b\"\ngpu = \"a100-80-sxm\"\nnum_blocks = 29053\n\
         max_model_len = 16384\nrent = {{ usd_per_gpu_hour = 2.0 }}\n[pool.chat.engine.vllm]\nmax_num_seqs = 256\n\
         max_num_batched_tokens = 2048\nasync_scheduling = false\n{GATEWAY}[policy.rr]\npools = {{ chat = 1 }}\n[policy.rr.round_robin]\n"
    );
    let generator =
        "requests = 100\narrivals.bench = { rate = inf }\nprompt = { constant = 1024 }\noutput = { constant = 1024 }\n";
    let (p, verdict) = one(&text, generator);
    assert_eq!((p.completed, p.overloaded, p.burst), (100, false, true));
    near(p.served_s, 32.07);
    near(p.requests_per_s, 3.12);
    near(p.output_tokens_per_s, 3_193.0);
    assert_eq!(p.billed_s, p.served_s);
    // 32 s of the month's 13,710 US$ over 204,800 tokens.
    let month = 730.0 * 3600.0;
    near(p.usd_per_million_tokens.unwrap(), p.total_usd_per_month * p.served_s / month / 0.204_8);
    assert!(verdict.starts_with("`rr` is the only policy that completes 99 %"), "{verdict}");
    let summary = run(
        &format!(
            "name = \"b\"\n[trace]\ngenerate = \"g.toml\"\n[endpoint.a]\ncatalog = \"openai/gpt-4o\"\n{GATEWAY}[policy.buy]\n[policy.buy.api_only]\n"
        ),
        generator,
    );
    let bought = &summary.policies[0];
    let said =
        "buy: all requests came before a typical one could be answered, so a month's API spend is scaled from the ";
    assert!(summary.warnings.iter().any(|w| w.starts_with(said)), "{:?}", summary.warnings);
    // 100 x 1,024 tokens at 2.50 and 10 US$ a million, in the time to the last answer.
    near(bought.api_usd_per_month, 1.28 * month / bought.served_s);
    near(bought.usd_per_million_tokens.unwrap(), 6.25);
}

/// InferenceX's and vLLM's usual protocol: ten times as many prompts as users.
#[test]
fn a_closed_loop_counts_to_its_last_answer_and_is_never_overloaded() {
    let text = format!(
        "name = \"k1\"\n[trace]\ngenerate = \"g.toml\"\n[trace.users]\nconcurrency = 10\n[pool.chat]\nmodel = \"qwen3-14b\"\ngpu = \"l40s\"\n\
         rent = {{ usd_per_gpu_hour = 1.0 }}\n{GATEWAY}[policy.rr]\npools = {{ chat = 1 }}\n[policy.rr.round_robin]\n"
    );
    let generator = "requests = 100\narrivals.bench = { rate = inf }\nprompt = { median = 110, sigma = 1.19, max = 1024 }\n\
                     output = { median = 120, sigma = 1.04, max = 1024 }\n";
    let (p, _) = one(&text, generator);
    near(p.requests_per_s, 0.887);
    near(p.output_tokens_per_s, 189.0);
    assert!(!p.overloaded);
    // A load generator's cap of ten over requests that are all due at once is the same as ten users who do not think.
    let capped = text.replace("[trace.users]\nconcurrency = 10\n", "max_concurrency = 10\n");
    let (c, _) = one(&capped, generator);
    assert_eq!((c.requests_per_s, c.ttft_p99_s, c.overloaded), (p.requests_per_s, p.ttft_p99_s, false));
    let all = text.replace("concurrency = 10", "concurrency = 100");
    let (p, _) = one(&all, generator);
    assert_eq!(p.completed, 100, "as many users as requests");
    assert!(p.requests_per_s > 0.5, "{}", p.requests_per_s);
}

const STEADY: &str = "duration = \"20m\"\narrivals.rate = [{ at = \"0s\", per_s = RATE }]\nprompt = { constant = 500 }\n\
                      output = { constant = 200 }\n";

fn l4(more: &str) -> String {
    format!(
        "name = \"l4\"\n[trace]\ngenerate = \"g.toml\"\n{more}[slo]\nttft = \"2s\"\n[pool.chat]\nmodel = \"llama-3.1-8b\"\ngpu = \"l4\"\n\
         rent = {{ usd_per_gpu_hour = 1.0 }}\nmax_model_len = 8192\n{GATEWAY}[policy.own]\npools = {{ chat = 1 }}\n"
    )
}

#[test]
fn who_gets_more_than_it_answers_is_overloaded_and_by_how_much_is_said() {
    let summary = run(&l4(""), &STEADY.replace("RATE", "4.0"));
    let p = &summary.policies[0];
    let behind = p.falls_behind.expect("4 requests/s are too much for an L4");
    assert!(
        p.overloaded && behind.arrived_per_s > 3.5 && behind.ended_per_s < 0.95 * behind.arrived_per_s,
        "{behind:?}"
    );
    let said = summary.warnings.iter().find(|w| w.starts_with("own is overloaded: of ")).expect("a warning says so");
    assert!(said.contains("requests/s in the last half of the arrivals it ended"), "{said}");
    let (p, _) = one(&l4(""), &STEADY.replace("RATE", "0.5"));
    assert!(!p.overloaded && p.falls_behind.is_none());
}

#[test]
fn an_endpoint_without_limits_is_never_overloaded() {
    let text = format!(
        "name = \"api\"\n[trace]\ngenerate = \"g.toml\"\n[endpoint.slow]\ncatalog = \"openai/gpt-4o\"\noutput_tokens_per_s = 2.0\n\
         {GATEWAY}[policy.buy]\n[policy.buy.api_only]\n"
    );
    let (p, _) = one(&text, &STEADY.replace("RATE", "4.0").replace("20m", "3m"));
    assert!(!p.overloaded && p.e2e_p50_s.unwrap() > 60.0, "{:?}", p.e2e_p50_s);
}

#[test]
fn warm_up_requests_are_simulated_and_counted_nowhere() {
    let steady = STEADY.replace("RATE", "1.0");
    let (all, _) = one(&l4(""), &steady);
    let (p, _) = one(&l4("warmup_requests = 100\n"), &steady);
    assert_eq!(p.requests + 100, all.requests);
    assert_eq!(p.output_tokens, 200 * p.completed);
    assert!(p.served_s < all.served_s - 60.0, "{} {}", p.served_s, all.served_s);
    let (last, _) = one(&l4(&format!("warmup_requests = {}\n", all.requests - 1)), &steady);
    near(last.served_s, last.e2e_p50_s.unwrap());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("g.toml"),
        "requests = 5\narrivals.bench = { rate = 1.0 }\nprompt = { constant = 9 }\noutput = { constant = 9 }\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("e.toml"), l4("warmup_requests = 5\n")).unwrap();
    let said = Experiment::load(&dir.path().join("e.toml")).unwrap().run().unwrap_err().to_string();
    assert!(said.contains("e.toml:4: trace.warmup_requests: it is 5, and the trace has 5 requests"), "{said}");
}

/// Of four prompts two are longer than the pool takes: the line under the tables says so, with the limit.
#[test]
fn who_is_turned_away_for_a_length_hears_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("t.csv"),
        "arrival_s,prompt_tokens,output_tokens\n0,100,50\n1,9000,50\n2,8192,50\n90,100,50\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("e.toml"), l4("").replace("generate = \"g.toml\"", "path = \"t.csv\"")).unwrap();
    let summary = Experiment::load(&dir.path().join("e.toml")).unwrap_or_else(|e| panic!("{e}")).run().unwrap();
    assert_eq!(summary.policies[0].outcomes, [("too_long".to_owned(), 2)]);
    let text = baseload::report::terminal(&summary).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("own did not complete 2: longer than what the place takes (max_model_len 8,192)"), "{text}");
}

/// LiteLLM's usual configuration: each model falls back to the other.
#[test]
fn chains_that_name_each_other_end_after_five_hops() {
    let text = "name = \"loop\"\n[trace]\ngenerate = \"g.toml\"\n[gateway]\nretries = 0\nfallback = { chains = { a = [\"b\"], b = [\"a\"] } }\n\
         [endpoint.a]\ncatalog = \"openai/gpt-4o\"\n[endpoint.b]\ncatalog = \"anthropic/claude-haiku-4-5\"\n\
         [outages.openai]\nschedule = [{ at = \"0s\", duration = \"2h\", fails = 1.0 }]\n\
         [outages.anthropic]\nschedule = [{ at = \"0s\", duration = \"2h\", fails = 1.0 }]\n[policy.p]\n[policy.p.api_only]\n";
    let (p, _) = one(
        text,
        "requests = 20\narrivals.bench = { rate = 2.0 }\nprompt = { constant = 90 }\noutput = { constant = 9 }\n",
    );
    assert_eq!((p.failed, p.fallbacks), (20, 100));
}
