//! A user's own facts, as the program takes them: files of an experiment and `--catalog`, names at Hugging Face, rows from a
//! config.json; and the page that shows how.
use crate::program::{Ended, command, end_of, root};
use std::path::Path;

const GPU: &str = "[[gpu]]\nid = \"mine\"\nmemory_total_gib = 93\nmem_bw_gbps = 3900\nlike = \"h100-sxm\"\n";
const CSV: &str = "arrival_s,prompt_tokens,output_tokens\n0,512,40\n1,8,120\n";

fn experiment(top: &str, model: &str, gpu: &str, pool: &str) -> String {
    format!(
        "name = \"t\"\n{top}\n[trace]\npath = \"t.csv\"\n[pool.p]\nmodel = \"{model}\"\ngpu = \"{gpu}\"\n\
         rent = {{ usd_per_gpu_hour = 2 }}\n{pool}\n[policy.own]\n[policy.own.least_outstanding]\n"
    )
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in [("t.csv", CSV)].iter().chain(files) {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn run_in(dir: &Path, args: &[&str]) -> Ended {
    end_of(command().current_dir(dir).args(args))
}

/// Runs `e.toml` of these files; its summary and its manifest.
fn run(files: &[(&str, &str)], experiment: &str, more: &[&str]) -> (serde_json::Value, serde_json::Value) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    let mut args = vec!["run", experiment, "--quiet", "--no-records", "--out", "r"];
    args.extend(more);
    run_in(dir.path(), &args).well();
    let read = |name: &str| {
        let text = std::fs::read_to_string(dir.path().join("r").join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    (read("summary.json"), read("manifest.json"))
}

#[track_caller]
fn refused(files: &[(&str, &str)], args: &[&str], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    let ended = run_in(dir.path(), args);
    let message = ended.message();
    assert_eq!(ended.code, 2, "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[track_caller]
fn warned(summary: &serde_json::Value, words: &str) {
    let all = summary["warnings"].as_array().unwrap();
    assert!(all.iter().any(|w| w.as_str().unwrap().contains(words)), "`{words}` is not in {all:#?}");
}

/// The blocks of a page that are written as `kind`.
fn blocks<'a>(page: &'a str, kind: &str) -> Vec<&'a str> {
    let fence = format!("```{kind}\n");
    page.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_example_of_the_page_runs_and_says_what_it_took() {
    let page = std::fs::read_to_string(root().join("docs/catalogue.md")).unwrap();
    let [ours, experiment] = blocks(&page, "toml")[..] else { panic!("the page has two files") };
    let files = [("ours.toml", ours), ("own-facts.toml", experiment), ("my-trace.csv", CSV)];
    let (s, m) = run(&files, "own-facts.toml", &[]);
    for words in [
        "ours.toml:17: gpu h100-nvl: borrowed from h100-sxm, whose they are: bf16_tflops_dense, fp8_tflops_dense",
        "ops_cost ml_infra_engineer_loaded_us differs from the catalogue's, and counts: ",
        "pool chat: `acme/Support-8B-Instruct-FP8` is taken for support-8b with weights in fp8",
    ] {
        warned(&s, words);
    }
    assert_eq!(s["policies"].as_array().unwrap().len(), 2);
    assert!(s["policies"].as_array().unwrap().iter().all(|p| p["completed"] == 2), "{}", s["policies"]);
    let input = m["inputs"].as_array().unwrap().iter().find(|i| i["role"] == "catalog").unwrap();
    assert_eq!((input["file"].as_str(), input["bytes"].as_u64()), (Some("ours.toml"), Some(ours.len() as u64)));
    let fact = |kind: &str| m["facts"].as_array().unwrap().iter().find(|f| f["kind"] == kind).unwrap().clone();
    assert_eq!((fact("gpu")["name"].as_str(), fact("model")["name"].as_str()), (Some("h100-nvl"), Some("support-8b")));
    assert_eq!(fact("api price")["source"], "contract of November");
    assert_eq!(fact("rent")["source"], "ours.toml");
    assert_eq!(m["experiment"]["pool"]["chat"]["weights_dtype"], "fp8");
    // And every command of the page.
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &files);
    let lines: Vec<&str> = blocks(&page, "sh").iter().flat_map(|b| b.lines()).collect();
    assert!(lines.len() >= 3, "{lines:?}");
    for line in lines {
        let args: Vec<&str> = line.split_whitespace().skip(1).collect();
        run_in(dir.path(), &args).well();
    }
}

#[test]
fn files_follow_the_experiment_that_names_them() {
    let base = experiment("[catalog]\nfiles = [\"../facts/ours.toml\"]", "llama-3.1-8b", "mine", "");
    let over = "extends = \"../base/e.toml\"\ntrace.path = \"../t.csv\"\n[slo]\nttft = \"9s\"\n";
    let files = [("base/e.toml", base.as_str()), ("deep/over.toml", over), ("facts/ours.toml", GPU)];
    let (s, m) = run(&files, "deep/over.toml", &[]);
    warned(&s, "ours.toml:1: gpu mine: borrowed from h100-sxm");
    assert!(m["facts"].as_array().unwrap().iter().any(|f| f["kind"] == "gpu" && f["name"] == "mine"), "{}", m["facts"]);
    assert_eq!(m["inputs"].as_array().unwrap().iter().filter(|i| i["role"] == "catalog").count(), 1);
}

#[test]
fn rows_that_contradict_are_said_between_files_refused() {
    let text = experiment("", "llama-3.1-8b", "h100-sxm", "");
    let slow = "[[gpu]]\nid = \"h100-sxm\"\nlike = \"h200-sxm\"\nmemory_total_gib = 79.11\nmem_bw_gbps = 3000\n";
    let (s, _) = run(&[("e.toml", &text), ("a.toml", slow)], "e.toml", &["--catalog", "a.toml"]);
    warned(&s, "a.toml:1: gpu h100-sxm differs from the catalogue's, and counts: ");
    let other = slow.replace("3000", "3100");
    let args = ["run", "e.toml", "--catalog", "a.toml", "--catalog", "b.toml"];
    refused(
        &[("e.toml", &text), ("a.toml", slow), ("b.toml", &other)],
        &args,
        &["b.toml:1: gpu[0]: `h100-sxm` is defined otherwise in a.toml:1: mem_bw_gbps is 3100.0 here and 3000.0 there"],
    );
    refused(
        &[("e.toml", &text), ("a.toml", "# ours\n\n[[gpu]]\nid = \"mine\"\nlike = \"h100-sxm\"\nmem_bw_gbsp = 3\n")],
        &["run", "e.toml", "--catalog", "a.toml"],
        &[
            "a.toml:6: gpu[0].mem_bw_gbsp: unknown key `mem_bw_gbsp`; did you mean `mem_bw_gbps`?",
            "a.toml:3: gpu[0]: memory_total_gib is missing (Memory that the runtime reports, GiB",
        ],
    );
    refused(&[("e.toml", &text)], &["run", "e.toml", "--catalog", "no.toml"], &["no.toml: ", "a catalog file is TOML"]);
    let lone = GPU.replace(
        "like = \"h100-sxm\"",
        "bf16_tflops_dense = 900\nscale_up_gbps_unidirectional = 300\nscale_up_domain_gpus = 1",
    );
    let text = experiment("", "llama-3.1-8b", "mine", "");
    refused(
        &[("e.toml", &text), ("a.toml", &lone)],
        &["run", "e.toml", "--catalog", "a.toml"],
        &["e.toml:7: pool.p.gpu: no step times of mine are known; give it `like = \"GPU\"`"],
    );
}

#[test]
fn names_at_hugging_face_run_in_their_format() {
    let of = |model: &str, pool: &str| run(&[("e.toml", &experiment("", model, "NVIDIA H100", pool))], "e.toml", &[]);
    let weights = |m: &serde_json::Value| m["experiment"]["pool"]["p"]["weights_dtype"].clone();
    let (s, m) = of("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8", "");
    assert_eq!(weights(&m), "fp8");
    warned(&s, "pool p: `RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8` is taken for llama-3.1-8b with weights in fp8");
    warned(&s, "pool p: GPU `NVIDIA H100` is taken for h100-sxm");
    // Who looks before a run is told the same.
    let dir = tempfile::tempdir().unwrap();
    let named = experiment("", "RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8", "NVIDIA H100", "");
    write(dir.path(), &[("e.toml", &named)]);
    let dry = run_in(dir.path(), &["run", "e.toml", "--dry-run"]).well().stdout;
    let one_line = dry.lines().map(|line| line.trim_start_matches(['#', ' '])).collect::<Vec<_>>().join(" ");
    for warning in s["warnings"].as_array().unwrap().iter().filter_map(|w| w.as_str()).filter(|w| w.contains("taken")) {
        assert!(one_line.contains(&format!("warning: {warning}")), "{warning} is not in {dry}");
    }
    let blocks = |s: &serde_json::Value| s["policies"][0]["pools"][0]["blocks"].as_u64().unwrap();
    // What the pool says counts more than what the name says.
    let (wide, m) = of("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8", "weights_dtype = \"bf16\"");
    assert_eq!(weights(&m), "bf16");
    assert!(blocks(&s) > blocks(&wide), "smaller weights leave more room: {} {}", blocks(&s), blocks(&wide));
    let bad = |model: &str| experiment("", model, "h100-sxm", "");
    refused(
        &[("e.toml", &bad("meta-llama/Llama-3.1-8B-Instrukt"))],
        &["run", "e.toml"],
        &["e.toml:6: pool.p.model: unknown model `meta-llama/Llama-3.1-8B-Instrukt`", "did you mean `llama-3.1-8b`?"],
    );
    refused(
        &[("e.toml", &bad("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8"))],
        &["run", "e.toml"],
        &[
            "e.toml:6: pool.p.model: ",
            "has weights in int8, which is not modelled",
            "give weights_dtype, one of bf16, fp8, fp8-block, mxfp4, int4",
        ],
    );
    let memory = |args: &[&str]| end_of(command().arg("memory").args(args)).well();
    let ended = memory(&["--model", "qwen/qwen3-32b-fp8", "--gpu", "H100", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((plan["model"].as_str(), plan["weights_dtype"].as_str()), (Some("qwen3-32b"), Some("fp8-block")));
    let notes = plan["notes"].to_string();
    assert!(notes.contains("`qwen/qwen3-32b-fp8` is taken for qwen3-32b with weights in fp8-block"), "{notes}");
}

const CONFIG: &str = r#"{"architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 2048, "intermediate_size": 6144,
    "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151936,
    "max_position_embeddings": 40960, "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768,
    "quantization_config": {"quant_method": "awq", "bits": 4}, "num_sinks": 4}"#;

#[test]
fn a_config_becomes_a_file_that_every_command_takes() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("config.json", CONFIG), ("e.toml", &experiment("", "my-30b", "h100-sxm", ""))]);
    let file = run_in(dir.path(), &["catalog", "model", "config.json", "--name", "my-30b"]).well().stdout;
    assert!(file.contains("# not read, though it may change the shape: num_sinks\n"), "{file}");
    std::fs::write(dir.path().join("ours.toml"), &file).unwrap();
    let own = ["--catalog", "ours.toml"];
    let with = |args: &[&str]| run_in(dir.path(), &[args, &own[..]].concat()).well();
    let json = |ended: Ended| serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap();
    let plan = |model: &str| {
        json(with(&["memory", "--model", model, "--gpu", "h100-sxm", "--weights-dtype", "int4", "--format", "json"]))
    };
    assert_eq!(plan("my-30b")["blocks"], plan("qwen3-30b-a3b")["blocks"]);
    let models = json(with(&["catalog", "models", "--format", "json"]));
    let row = models.as_array().unwrap().iter().find(|m| m["id"] == "my-30b").unwrap();
    assert_eq!((row["params_total"].as_u64(), row["weights"].as_str()), (Some(30_532_110_336), Some("int4")));
    let s = json(with(&["run", "e.toml", "--quiet", "--no-records", "--out", "r", "--format", "json"]));
    let manifest = std::fs::read_to_string(dir.path().join("r/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["experiment"]["pool"]["p"]["weights_dtype"], "int4");
    warned(&s, "pool p: weights are in int4, as the row of my-30b says");
    let args = ["catalog", "model", "config.json", "--name", "x"];
    refused(
        &[("config.json", &CONFIG.replace("Qwen3Moe", "Jamba"))],
        &args,
        &["config.json: architectures: architecture `JambaForCausalLM` is not known", "[[model]] row by hand"],
    );
    refused(
        &[("config.json", &CONFIG.replace("\"vocab_size\": 151936,", "").replace("4096", "-4096"))],
        &args,
        &["config.json: vocab_size: is missing; this architecture needs it", "max_position_embeddings: is -40960"],
    );
    refused(&[], &args, &["config.json: ", "give the config.json that lies beside a model's weights"]);
}

/// Every command that reads the catalogue takes `--catalog FILE`, refuses a wrong one with its place, and goes by a right one.
#[test]
fn every_command_that_reads_the_catalogue_goes_by_a_file_of_ones_own() {
    let text = experiment("", "ours-8b", "mine", "");
    let model = "[[model]]\nid = \"ours-8b\"\nlayers = 32\nhidden = 4096\nheads = 32\nkv_heads = 8\nffn = 14336\n\
                 vocab = 128256\nmax_context = 8192\n";
    let price = "[[api_price]]\nprovider = \"us\"\nmodel = \"ours-api\"\ninput = 1\noutput = 2\n\
                 max_input_tokens = 9000\nmax_output_tokens = 900\n[[api_latency]]\nprovider = \"us\"\nmodel = \"ours-api\"\nttft_p50_s = 0.5\n\
                 output_tokens_per_s = 60\np95_over_p50 = 2\nerror_rate = 0\nunverified = true\n";
    let more = "[[gpu_price]]\ngpu = \"mine\"\nprovider = \"Us\"\nkind = \"owned\"\nusd_per_gpu_hour = 1\n\
                [[ops_cost]]\nkey = \"ours_cake\"\ntypical = 3\nunit = \"USD/year\"\n";
    let own = format!("{GPU}{model}{price}{more}");
    let config = r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
        "max_position_embeddings": 8192}"#;
    let two = text.replace("[policy.own]", "[endpoint.api]\ncatalog = \"us/ours-api\"\n[policy.own]\npools = { p = 1 }\n[policy.buy]\nendpoints = [\"api\"]\n[policy.buy.api_only]\n[policy.mixed]");
    let two = two
        .replace("[policy.own.least", "[policy.mixed.least")
        .replace("pools = { p = 1 }\n", "pools = { p = 1 }\n[policy.own.least_outstanding]\n");
    let files = [
        ("e.toml", text.as_str()),
        ("two.toml", two.as_str()),
        ("config.json", config),
        ("ours.toml", own.as_str()),
        ("bad.toml", "\n[[gpu]]\nid = \"mine\"\nlike = \"h100-sxm\"\nmemory_total_gib = -1\nmem_bw_gbps = 3900\n"),
    ];
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &files);
    // The command, and a word of its output that only the file says.
    let commands: [(&[&str], &str); 11] = [
        (&["run", "e.toml", "--dry-run"], "ours-8b on 1 x mine"),
        (&["run", "two.toml", "--no-records", "--out", "r"], "mixed"),
        (&["catalog", "gpus"], "mine"),
        (&["catalog", "models"], "ours-8b"),
        (&["catalog", "apis"], "ours-api"),
        (&["catalog", "latency"], "us/ours-api"),
        (&["catalog", "rents"], "mine"),
        (&["catalog", "people"], "ours_cake"),
        (&["catalog", "model", "config.json", "--name", "ours-8b"], "ours-8b"),
        (&["memory", "--model", "ours-8b", "--gpu", "mine"], "ours-8b"),
        (&["memory", "--check"], "planned"),
    ];
    for (command, word) in commands {
        let with = |file: &str| run_in(dir.path(), &[command, &["--catalog", file]].concat());
        let good = with("ours.toml");
        assert!(good.code == 0 && good.stdout.contains(word), "{command:?}: {}{}", good.stdout, good.stderr);
        let bad = with("bad.toml").message();
        assert!(bad.contains("bad.toml:5: gpu[0].memory_total_gib: is -1; it must be above 0"), "{command:?}: {bad}");
    }
    let said = run_in(dir.path(), &["catalog", "model", "config.json", "--name", "ours-8b", "--catalog", "ours.toml"]);
    assert!(said.stderr.contains("`ours-8b` is a name of the catalogue's"), "{}", said.stderr);
    let latency =
        run_in(dir.path(), &["catalog", "latency", "--format", "json", "--catalog", "ours.toml"]).well().stdout;
    let latency: serde_json::Value = serde_json::from_str(&latency).unwrap();
    assert!(latency["profiles"].as_array().is_some_and(|all| !all.is_empty()), "{latency}");
    assert!(latency["latencies"].as_array().unwrap().iter().any(|l| l["model"] == "ours-api"), "{latency}");
    // Those that need more than an experiment refuse the file before they look for it.
    for command in [
        &["breakeven", "e.toml"][..],
        &["gate", "--experiment", "e.toml", "--baseline", "none.json", "--candidate", "r"],
        &["validate", "--kind", "engine-steps", "none.jsonl", "--profile", "none.toml"],
        &["calibrate", "--kind", "engine-steps", "none.jsonl", "--out", "x.toml"],
        &["calibrate", "api", "none.csv", "--out", "x.toml"],
    ] {
        let ended = run_in(dir.path(), &[command, &["--catalog", "bad.toml"]].concat());
        assert!(ended.code == 2 && ended.message().contains("bad.toml:5: gpu[0]"), "{command:?}: {}", ended.stderr);
    }
}

/// Every kind of row that a run may rest on is among the facts of its manifest.
#[test]
fn the_manifest_lists_each_row_that_a_run_rests_on() {
    let text = "name = \"t\"\n[trace]\npath = \"t.csv\"\n[pool.p]\nmodel = \"llama-3.1-8b\"\ngpu = \"h100-sxm\"\n\
                weights_dtype = \"fp8\"\nrent = { provider = \"AWS\", kind = \"on-demand\" }\n\
                [endpoint.a]\ncatalog = \"anthropic/claude-sonnet-4-6\"\ncache = \"auto\"\n\
                limits = { tier = \"anthropic/T2/Haiku 4.5\" }\n\
                [endpoint.b]\ncatalog = \"openai/gpt-4o\"\nlimits = { requests_per_minute = 900 }\n\
                [endpoint.c]\ncatalog = \"anthropic/claude-haiku-4-5\"\nlatency = \"anthropic/claude-sonnet-4\"\n\
                latency_of_another_model = true\n\
                [outages.openai]\ndrawn = \"openai-api\"\n[policy.own]\n[policy.own.least_outstanding]\n";
    let (_, m) = run(&[("e.toml", text)], "e.toml", &[]);
    let facts = m["facts"].as_array().unwrap();
    for (kind, name) in [
        ("gpu", "h100-sxm"),
        ("model", "llama-3.1-8b"),
        ("step time", "h100-sxm in bf16"),
        ("step time", "h100-sxm in fp8"),
        ("rent", "h100-sxm, AWS, on-demand"),
        ("api price", "anthropic/claude-sonnet-4-6"),
        ("api latency", "openai/gpt-4o"),
        ("api capability", "openai/gpt-4o"),
        ("latency profile", "anthropic/claude-sonnet-4"),
        ("prompt cache", "anthropic/claude-sonnet-4-6"),
        ("rate limits", "anthropic/T2/Haiku 4.5"),
        ("limit rules", "anthropic"),
        ("limit rules", "openai"),
        ("incidents", "openai-api"),
        ("people", "ml_infra_engineer_loaded_us"),
        ("people", "on_call_stipend_us"),
    ] {
        let found = facts.iter().find(|f| f["kind"] == kind && f["name"] == name);
        let fact = found.unwrap_or_else(|| panic!("no {kind} {name} in {facts:#?}"));
        assert!(["date", "source"].iter().all(|key| fact[key].as_str().is_some_and(|s| !s.is_empty())), "{fact}");
    }
}

/// An assumption is one by its row's key, whatever the words of its source.
#[test]
fn an_assumption_is_said_of_a_row_by_its_key_alone() {
    let row = "[[ops_cost]]\nkey = \"on_call_stipend_us\"\ntypical = 9000\nunit = \"USD/year\"\n";
    let text = experiment("", "llama-3.1-8b", "h100-sxm", "");
    let warnings = |more: &str| {
        let files = [("e.toml", text.as_str()), ("a.toml", &format!("{row}{more}"))];
        let (s, _) = run(&files, "e.toml", &["--catalog", "a.toml"]);
        s["warnings"].to_string()
    };
    let words = "on_call_stipend_us: US$ 9,000 a year is an assumption: ";
    assert!(!warnings("source = \"an assumption, UNVERIFIED\"\n").contains("is an assumption"));
    assert!(warnings("unverified = true\nsource = \"our guess\"\n").contains(&format!("{words}our guess")));
    let embedded = run(&[("e.toml", &text)], "e.toml", &[]).0["warnings"].to_string();
    assert!(
        embedded.contains("on_call_stipend_us: US$ 12,000 a year is an assumption: nobody measured it"),
        "{embedded}"
    );
}
