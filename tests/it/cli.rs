//! Snapshots of what people see: help, tables, messages of every subcommand, at 80 columns.
//!
//! A changed snapshot is news: look at it, then accept it with `INSTA_UPDATE=always cargo test --test it cli::`.
use crate::program::{Ended, baseload, command, end_of, root};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Compares with `tests/snapshots/NAME.snap`.
#[track_caller]
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text.trim_end()));
}

/// No line of `text` needs more than `columns`, but those that hold a path of this test.
#[track_caller]
fn fits(text: &str, columns: usize) {
    for line in text.lines().filter(|line| !line.contains(env!("CARGO_TARGET_TMPDIR"))) {
        let width = line.chars().count();
        assert!(width <= columns, "{width} columns, over the {columns} of a terminal: {line}");
    }
}

/// A folder of this test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What stands on the terminal without what differs from machine to machine and from day to day.
fn lasting(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut dropping = false;
    for line in text.lines() {
        dropping = line.starts_with("warning: facts more than") || (dropping && line.starts_with("  "));
        if !dropping {
            kept.push(line);
        }
    }
    kept.join("\n").replace(env!("CARGO_TARGET_TMPDIR"), "TMP")
}

const SMALL: [&str; 5] = ["experiments/quickstart.toml", "--set", "trace.limit=2000", "--jobs", "2"];

/// A small result, made once, and what the program printed about it.
fn small() -> &'static (PathBuf, Ended) {
    static ONCE: OnceLock<(PathBuf, Ended)> = OnceLock::new();
    ONCE.get_or_init(|| {
        let out = folder("cli-small").join("result");
        let ended = end_of(command().arg("run").args(SMALL).arg("--out").arg(&out)).well();
        (out, ended)
    })
}

fn small_again(more: &[&str]) -> Ended {
    let out = folder(&format!("cli-{}", more.join("-").replace('-', ""))).join("result");
    end_of(command().arg("run").args(SMALL).arg("--out").arg(out).args(more)).well()
}

#[test]
fn every_subcommand_has_help_with_an_example() {
    let mut all = String::new();
    let mut count = 0;
    let mut due = vec![Vec::new()];
    while let Some(words) = due.pop() {
        let help = end_of(command().args(&words).arg("--help")).well().stdout;
        let name = ["baseload", &words.join(" ")].join(" ");
        assert!(help.contains("Example") && help.contains("\n  baseload "), "{name} --help has no example:\n{help}");
        fits(&help, 80);
        all.push_str(&format!("$ {} --help\n{help}\n", name.trim_end()));
        count += 1;
        due.extend(commands_of(&help).into_iter().rev().map(|below| [&words[..], &[below]].concat()));
    }
    assert!(count > 25, "the help names only {count} commands");
    snapshot("help", &all);
}

/// The commands that a help lists.
fn commands_of(help: &str) -> Vec<String> {
    let list = help.split_once("\nCommands:\n").map_or("", |(_, below)| below.split("\n\n").next().unwrap_or(""));
    let named = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let names = list.lines().filter(named).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn run_prints_two_tables_a_verdict_and_the_next_command() {
    let ended = &small().1;
    fits(&ended.stdout, 80);
    assert_eq!(ended.stderr, "", "no progress where nobody watches");
    snapshot("run", &lasting(&ended.stdout));
    let quiet = small_again(&["--quiet"]).stdout;
    assert!(ended.stdout.contains(&quiet), "--quiet prints the result and nothing else:\n{quiet}");
    assert!(!quiet.contains("Results:") && !quiet.contains("warning:"), "{quiet}");
}

#[test]
fn run_prints_markdown_and_json() {
    snapshot("run_markdown", &small_again(&["--format", "markdown"]).stdout);
    let printed = small_again(&["--format", "json"]).stdout;
    let written = std::fs::read_to_string(small().0.join("summary.json")).unwrap();
    assert_eq!(printed, written, "--format json prints summary.json");
}

#[test]
fn a_result_folder_has_all_that_it_should() {
    let out = &small().0;
    for name in ["summary.json", "manifest.json", "perf.json", "run.json", "report.html"] {
        assert!(out.join(name).is_file(), "{name} is missing");
    }
    for kind in ["requests", "attempts", "series"] {
        assert!(out.join(kind).join("policy=overflow/replicate=0/part.parquet").is_file(), "{kind} is missing");
    }
    let bare = folder("cli-bare").join("result");
    end_of(command().arg("run").args(SMALL).args(["--no-records", "--quiet", "--out"]).arg(&bare)).well();
    assert!(bare.join("summary.json").is_file() && !bare.join("requests").exists());
}

#[test]
fn dry_run_shows_the_experiment_and_the_memory() {
    let table = baseload(&["run", "experiments/quickstart.toml", "--dry-run"]).well().stdout;
    fits(&table, 80);
    snapshot("dry_run", &table);
    let again = folder("cli-dry").join("again.toml");
    std::fs::write(&again, table.replace("../traces", &root().join("traces").display().to_string())).unwrap();
    let twice = end_of(command().args(["run", "--dry-run"]).arg(&again)).well().stdout;
    assert_eq!(twice.replace(&root().join("traces").display().to_string(), "../traces"), table, "a file that repeats");
    let json = baseload(&["run", "experiments/quickstart.toml", "--dry-run", "--format", "json"]).well().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["experiment"]["slo"]["ttft"], "2s");
    assert!(json["memory"]["chat"]["num_blocks"].as_u64() > Some(1000), "{}", json["memory"]);
    let markdown = baseload(&["run", "experiments/quickstart.toml", "--dry-run", "--format", "markdown"]).well().stdout;
    assert!(markdown.starts_with("```toml\n") && markdown.matches("```").count() == 4, "{markdown}");
}

#[test]
fn run_without_a_file_lists_the_experiments() {
    let list = baseload(&["run"]).well().stdout;
    fits(&list, 80);
    snapshot("list", &list);
    let empty = folder("cli-empty");
    let none = end_of(command().current_dir(&empty).arg("run"));
    assert!(none.code == 2 && none.message().contains("give the file"), "{}", none.stderr);
    std::fs::write(empty.join("broken.toml"), "[policy.a]\nnonsense = 1\n").unwrap();
    let broken = end_of(command().current_dir(&empty).arg("run")).well().stdout;
    assert!(broken.contains("does not load: ") && broken.contains("broken.toml:2: policy.a.nonsense"), "{broken}");
}

#[test]
fn the_gate_passes_the_same_and_refuses_the_worse() {
    let (out, _) = small();
    let folder = folder("cli-gate");
    let text = std::fs::read_to_string(out.join("summary.json")).unwrap();
    let baseline = folder.join("baseline.json");
    std::fs::write(&baseline, &text).unwrap();
    let gate = || end_of(command().arg("gate").arg("--baseline").arg(&baseline).arg("--candidate").arg(out));
    let same = gate().well().stdout;
    assert!(same.starts_with("**Gate passed**") && same.contains("unchanged"), "{same}");
    let mut better: serde_json::Value = serde_json::from_str(&text).unwrap();
    for policy in better["policies"].as_array_mut().unwrap().iter_mut().filter(|p| p["name"] == "overflow") {
        policy["ttft_p99_s"] = 0.125.into();
    }
    std::fs::write(&baseline, better.to_string()).unwrap();
    let worse = gate();
    assert_eq!(worse.code, 1, "{}{}", worse.stdout, worse.stderr);
    assert!(worse.stdout.starts_with("**Gate failed**: 1 of 4"), "{}", worse.stdout);
    snapshot("gate_failed", &worse.stdout);
    let out = folder.join("result");
    let run = end_of(command().arg("run").args(SMALL).arg("--out").arg(&out).arg("--baseline").arg(&baseline));
    assert_eq!(run.code, 1, "run --baseline is the same gate: {}", run.stderr);
    assert!(run.stdout.contains(worse.stdout.trim_end()) && out.join("summary.json").is_file(), "{}", run.stdout);

    let update = || end_of(command().arg("baseline").arg("update").arg(&baseline).arg(&out)).well().stdout;
    let first = update();
    assert!(first.contains("overflow.ttft_p99_s: 0.125 -> ") && first.contains("1 change\n"), "{first}");
    let kept: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&baseline).unwrap()).unwrap();
    let mut whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    for policy in whole["policies"].as_array_mut().unwrap() {
        assert!(policy.as_object_mut().unwrap().remove("timeline").is_some());
    }
    assert!(kept == whole, "the baseline is the summary but for what users saw over time");
    assert!(update().ends_with(": 0 changes\n"));
}

#[test]
fn policies_are_listed_and_expand_to_parts_that_run() {
    let mut all = String::new();
    for line in ["policies", "policies show llmd_default", "policies show slo_cheapest", "policies fields"] {
        let printed = end_of(command().args(line.split(' '))).well().stdout;
        fits(&printed, 80);
        all.push_str(&format!("$ baseload {line}\n{printed}\n"));
    }
    snapshot("policies", &all);
    // An expansion in an experiment gives what its preset gives.
    let folder = folder("cli-policies");
    let quickstart = std::fs::read_to_string(root().join("experiments/quickstart.toml")).unwrap();
    let quickstart = quickstart.replace("../traces", &root().join("traces").display().to_string());
    let head = &quickstart[..quickstart.find("[policy.").expect("quickstart has policies")];
    for name in ["overflow", "sglang_cache_aware", "llmd_default"] {
        let parts = end_of(command().args(["policies", "show", name])).well().stdout.replace("frontier", "haiku");
        let options = if name == "overflow" { "to = \"haiku\"" } else { "" };
        let mut summaries = Vec::new();
        for (file, policy) in [("parts", parts), ("preset", format!("[policy.mine]\n{name} = {{ {options} }}\n"))] {
            let path = folder.join(format!("{name}-{file}.toml"));
            std::fs::write(&path, format!("{head}{policy}")).unwrap();
            let out = folder.join(format!("{name}-{file}"));
            let run = ["--quiet", "--no-records", "--set", "trace.limit=1500", "--out"];
            end_of(command().arg("run").arg(&path).args(run).arg(&out)).well();
            summaries.push(std::fs::read_to_string(out.join("summary.json")).unwrap());
        }
        assert_eq!(summaries[0], summaries[1], "{name}");
    }
}

#[test]
fn messages_show_the_place_and_the_remedy() {
    let folder = folder("cli-messages");
    let quickstart = std::fs::read_to_string(root().join("experiments/quickstart.toml")).unwrap();
    let quickstart = quickstart.replace("../traces", &root().join("traces").display().to_string());
    let write = |name: &str, from: &str, to: &str| {
        assert!(quickstart.contains(from), "{from}");
        std::fs::write(folder.join(name), quickstart.replacen(from, to, 1)).unwrap();
    };
    write("typo.toml", "max_model_len", "max_model_length");
    write("type.toml", "seed = 1", "seed = \"one\"");
    write("name.toml", "haiku-4-5", "haiku-4.5");
    write("size.toml", "llama-3.1-8b", "llama-3.1-70b");
    write("good.toml", "seed = 1", "seed = 2");
    let rule = "[policy.mine]\nrules = [\n  { when = \"request.promt_tokens > 8000\", to = \"haiku\" },\n]\n[policy.";
    write("rule.toml", "[policy.", rule);
    write("kind.toml", "[policy.", &rule.replace("promt_tokens > 8000", "private > 1"));
    write("parse.toml", "[policy.", &rule.replace("promt_tokens > 8000", "tenant >"));
    write("place.toml", "[policy.", &rule.replace("promt", "prompt").replace("haiku", "hiaku"));
    write("weights.toml", "[policy.", "[policy.mine]\nscorers = { queue = 0 }\n[policy.");
    std::fs::write(folder.join("torn.csv"), "arrival_s,prompt_tokens,output_tokens\n0,5,5\n1,5\n").unwrap();
    let mut all = String::new();
    for line in [
        "run typo.toml",
        "run type.toml",
        "run name.toml",
        "run size.toml",
        "run good.toml --set slo.ttft=0s",
        "run good.toml --jobs 0",
        "run none.toml",
        "run rule.toml",
        "run kind.toml",
        "run parse.toml",
        "run place.toml",
        "run weights.toml",
        "policies show llmd",
        "trace info torn.csv --strict",
        "catalog gpu",
    ] {
        let ended = end_of(command().current_dir(&folder).args(line.split(' ')));
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{line}");
        // Numbered lines are the file's own text.
        let ours: Vec<&str> = ended.stderr.lines().filter(|l| !l.trim_start().starts_with(char::is_numeric)).collect();
        fits(&ours.join("\n"), 80);
        all.push_str(&format!("$ baseload {line}\n{}\n", ended.stderr));
    }
    snapshot("messages", &all);
}

const OWN_CSV: &str = "arrival_s,prompt_tokens,output_tokens\n0,512,40\n0.877,8,1200\n2,100,7\n";
const OWN_JSONL: &str = "{\"arrival_s\":0,\"prompt_tokens\":900,\"output_tokens\":60,\"content\":[[17,0,512]]}\n\
    {\"arrival_s\":1.5,\"prompt_tokens\":600,\"output_tokens\":6,\"content\":[[17,0,512]]}\n";
const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n\
    2023-11-16 18:15:50.9951690,396,109\n";
const MOONCAKE: &str = "{\"timestamp\":0,\"input_length\":600,\"output_length\":5,\"hash_ids\":[1,2]}\n\
    {\"timestamp\":3000,\"input_length\":512,\"output_length\":9,\"hash_ids\":[1]}\n";

#[test]
fn trace_info_reads_every_format() {
    let folder = folder("cli-traces");
    let mut all = String::new();
    let samples = [("own.csv", OWN_CSV), ("own.jsonl", OWN_JSONL), ("azure.csv", AZURE), ("mooncake.jsonl", MOONCAKE)];
    for (name, text) in samples {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let info = |more: &[&str]| end_of(command().args(["trace", "info"]).arg(&path).args(more)).well().stdout;
        let table = info(&[]);
        fits(&table, 80);
        all.push_str(&format!("$ baseload trace info {name}\n{table}\n"));
        let json: serde_json::Value = serde_json::from_str(&info(&["--format", "json"])).unwrap();
        let rows = text.lines().count() - usize::from(name.ends_with("csv"));
        assert_eq!(json["stats"]["count"].as_u64(), Some(rows as u64), "{name}");
        // A byte order mark and Windows line ends are no part of a trace; nor does gzip change it.
        std::fs::write(&path, format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
        assert_eq!(info(&[]), table, "{name} with a byte order mark and CRLF");
        if name == "own.csv" {
            all.push_str(&format!(
                "$ baseload trace info {name} --format markdown\n{}\n",
                info(&["--format", "markdown"])
            ));
        }
    }
    snapshot("trace_info", &all);
    let spec = baseload(&["trace", "info", "traces/support-desk.toml"]).well().stdout;
    assert!(spec.contains("seed 1") && spec.contains("19,751"), "{spec}");
    fits(&spec, 80);
    let rates = spec.lines().find(|l| l.contains('█')).unwrap();
    assert!((50..=72).contains(&rates.chars().count()), "{rates}");
    let page = folder.join("page.html");
    let said = end_of(command().args(["trace", "info", "traces/support-desk.toml", "--html"]).arg(&page)).well().stdout;
    assert!(said.starts_with(spec.trim_end()) && std::fs::read_to_string(&page).unwrap().contains("</html>"), "{said}");
    let own = folder.join("own.csv");
    let info = |more: &[&str]| end_of(command().args(["trace", "info"]).arg(&own).args(more));
    assert!(info(&["--input-format", "mooncake"]).message().contains("own.csv:1: "), "the format that is said is read");
    assert!(info(&["--input-format", "nonsense"]).stderr.contains("known are azure"));
    std::fs::write(&own, "arrival_s,prompt_tokens,output_tokens\n5,10,1\n2,10,1\n").unwrap();
    let unsorted = info(&[]).message();
    assert!(unsorted.contains("own.csv:3: time goes back by 3 s") && unsorted.contains("--sort"), "{unsorted}");
    assert!(info(&["--sort"]).well().stdout.contains("3.00 s"));
}

#[test]
fn the_list_of_published_traces_fits_a_terminal() {
    let mut command = command();
    command.env_remove("BASELOAD_DATA").env("BASELOAD_CACHE", folder("cli-fetch"));
    let list = end_of(command.args(["trace", "fetch", "--list"])).well().stdout;
    fits(&list, 80);
    snapshot("trace_list", &list);
}

#[test]
fn the_catalogue_prints_every_kind_of_fact() {
    let mut all = String::new();
    for what in ["gpus", "models", "apis", "rents", "people"] {
        let table = baseload(&["catalog", what]).well().stdout;
        fits(&table, 100);
        let head: Vec<&str> = table.lines().take(4).collect();
        all.push_str(&format!("$ baseload catalog {what}\n{}\n\n", head.join("\n")));
        let markdown = baseload(&["catalog", what, "--format", "markdown"]).well().stdout;
        assert!(markdown.contains("| date") && markdown.contains("| source"), "{what}: {markdown}");
        let json = baseload(&["catalog", what, "--format", "json"]).well().stdout;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let rows: Vec<&serde_json::Value> = match &json {
            serde_json::Value::Array(rows) => rows.iter().collect(),
            tables => {
                ["prices", "latencies", "rate_limits"].iter().flat_map(|t| tables[t].as_array().unwrap()).collect()
            }
        };
        assert!(!rows.is_empty());
        for row in rows {
            let has = |key: &str| row[key].as_str().is_some_and(|text| !text.is_empty());
            assert!(has("date") && has("source"), "a fact of {what} without date or source: {row}");
        }
    }
    snapshot("catalog", &all);
}

#[test]
fn memory_draws_the_stack_and_says_what_follows() {
    let cases: [&[&str]; 5] = [
        &["--model", "llama-3.1-70b", "--gpu", "h100-sxm", "--tp", "4", "--context", "8192", "--concurrency", "60"],
        &["--model", "gemma-3-27b", "--gpu", "h100-sxm", "--weights-dtype", "fp8", "--kv-dtype", "fp8"],
        &["--model", "deepseek-v3", "--gpu", "h200-sxm", "--tp", "8", "--weights-dtype", "fp8", "--max-num-seqs", "64"],
        &["--model", "qwen3.5-35b-a3b", "--gpu", "b200-sxm", "--format", "markdown"],
        &["--check"],
    ];
    let mut all = String::new();
    for words in cases {
        let shown = end_of(command().arg("memory").args(words)).well().stdout;
        if !words.contains(&"markdown") {
            // The sources below the table have the width of the catalogue's.
            fits(&shown, if words == ["--check"] { 100 } else { 80 });
        }
        all.push_str(&format!("$ baseload memory {}\n{shown}\n", words.join(" ")));
    }
    snapshot("memory", &all);
}

#[test]
fn memory_as_json_adds_up() {
    let words = ["memory", "--model", "qwen3-14b", "--gpu", "h100-sxm", "--concurrency", "40", "--format", "json"];
    let json: serde_json::Value = serde_json::from_str(&baseload(&words).well().stdout).unwrap();
    let stack = json["per_gpu_gib"].as_object().unwrap();
    let total = stack["total"].as_f64().unwrap();
    let parts: f64 = stack.iter().filter(|(k, _)| *k != "total").map(|(_, v)| v.as_f64().unwrap()).sum();
    assert!((parts - total).abs() < 1e-9 && stack.len() == 7, "{stack:?}");
    let number = |key: &str| json[key].as_u64().unwrap();
    assert_eq!((number("kv_bytes_per_token"), number("block_size")), (163_840, 16));
    assert!((number("blocks") as f64 / 18_038.0 - 1.0).abs() < 0.05, "what vLLM 0.23 reported: {}", json["blocks"]);
    assert_eq!(number("kv_tokens"), (number("blocks") - 1) * 16);
    assert!(number("weights_only_kv_tokens") > number("kv_tokens"));
    assert_eq!(number("preemption_starts_at"), number("sequences") + 1);
    assert_eq!(json["at_concurrency"]["fits"], false);
    let check: serde_json::Value =
        serde_json::from_str(&baseload(&["memory", "--check", "--format", "json"]).well().stdout).unwrap();
    for row in check.as_array().unwrap() {
        assert!(row["off"].as_f64().unwrap().abs() < 0.05, "within 5 % of what was reported: {row}");
    }
}

#[test]
fn the_committed_schema_is_current_and_documents_every_key() {
    let printed = baseload(&["schema"]).well().stdout;
    let path = root().join("schema/experiment.schema.json");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(printed, committed, "the schema is old: baseload schema > schema/experiment.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    // Tables of which one key is given; their own text says which holds without any.
    let choices = ["EngineSection", "PolicySection", "RentSection", "TraceSection"];
    let mut seen = 0;
    let tables = schema["$defs"].as_object().unwrap().iter().map(|(name, table)| (name.as_str(), table));
    for (name, table) in tables.chain([("the experiment", &schema)]) {
        let Some(keys) = table["properties"].as_object() else { continue };
        assert_eq!(table["additionalProperties"], false, "{name} would take an unknown key");
        let required: Vec<&str> =
            table["required"].as_array().map_or_else(Vec::new, |r| r.iter().filter_map(|k| k.as_str()).collect());
        for (key, value) in keys {
            seen += 1;
            assert!(value["description"].is_string(), "{name}.{key} has no description");
            let words: Vec<&str> = value["description"].as_str().unwrap().split_whitespace().collect();
            let absent = choices.contains(&name) || words.join(" ").contains("unless given");
            let stated = value.get("default").is_some() || required.contains(&key.as_str()) || absent;
            assert!(stated, "{name}.{key} is not required and does not say what holds without it");
        }
    }
    assert!(seen > 60, "only {seen} keys");
}
