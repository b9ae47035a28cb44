//! What the repository shows works: every experiment runs, and so does every command of README.md and of `--help`.
use crate::program::{command, data, end_of, root};
use std::path::{Path, PathBuf};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The experiments of the repository.
fn experiments() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("experiments")).unwrap();
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    found.sort();
    assert!(found.len() >= 4, "{found:?}");
    found
}

#[test]
fn every_experiment_runs() {
    let dir = tempfile::tempdir().unwrap();
    for path in experiments() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed: toml::Table = toml::from_str(&text).unwrap();
        if parsed["trace"].get("source").is_some() && data(&name).is_none() {
            continue;
        }
        assert_eq!(parsed["name"].as_str(), Some(name.as_str()), "an experiment is named as its file is");
        assert!(parsed["question"].as_str().is_some_and(|q| q.ends_with('?')), "{name}: the question asks something");
        let out = dir.path().join(&name);
        let mut run = command();
        run.arg("run").arg(&path).args(["--set", "trace.limit=300", "--quiet", "--out"]).arg(&out);
        end_of(&mut run).well();
        let summary: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(out.join("summary.json")).unwrap()).unwrap();
        let policies = summary["policies"].as_array().unwrap();
        assert_eq!(policies.len(), parsed["policy"].as_table().unwrap().len(), "{name}");
        for policy in policies {
            let sum: u64 =
                ["completed", "rejected", "failed", "cancelled"].iter().map(|k| policy[k].as_u64().unwrap()).sum();
            assert_eq!(sum, 300, "{name}: nothing is lost: {policy}");
            assert!(policy["completed"].as_u64() > Some(0), "{name}: a policy that completes nothing shows nothing");
        }
    }
}

/// A copy of what the commands name, in which they may write.
fn playground(at: &Path) {
    for folder in ["experiments", "experiments/baselines", "tests/golden", "traces"] {
        std::fs::create_dir_all(at.join(folder)).unwrap();
        for entry in std::fs::read_dir(root().join(folder)).unwrap().flatten().filter(|e| e.path().is_file()) {
            std::fs::copy(entry.path(), at.join(folder).join(entry.file_name())).unwrap();
        }
    }
    let trace = "arrival_s,prompt_tokens,output_tokens\n0,512,40\n1,8,120\n";
    std::fs::write(at.join("my-trace.csv"), trace).unwrap();
    let config = r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 8192, "intermediate_size": 28672,
        "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256,
        "max_position_embeddings": 131072}"#;
    std::fs::write(at.join("config.json"), config).unwrap();
}

/// Runs one command line as it stands; runs of anything but the plain quickstart are cut to their first requests.
fn execute(line: &str, at: &Path) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let args = match words[..] {
        ["baseload", ref args @ ..] => args.to_vec(),
        ["cargo", "run", "--release", "--", ref args @ ..] => args.to_vec(),
        ["cargo", "test"] => return,
        _ => panic!("`{line}` is neither baseload nor cargo; teach tests/it/examples.rs to try it"),
    };
    let mut program = command();
    program.current_dir(at).args(&args);
    let plain = args.contains(&"experiments/quickstart.toml") && !args.contains(&"--set");
    if args[0] == "run" && args.len() > 1 && !plain {
        program.args(["--set", "trace.limit=300"]);
    }
    let ended = end_of(&mut program);
    assert_eq!(ended.code, 0, "`{line}` fails:\n{}{}", ended.stdout, ended.stderr);
}

#[test]
fn every_command_of_the_readme_works() {
    let readme = read("README.md");
    let dir = tempfile::tempdir().unwrap();
    playground(dir.path());
    let mut tried = 0;
    for block in readme.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for line in block.lines().map(|l| l.split('#').next().unwrap().trim()).filter(|l| !l.is_empty()) {
            execute(line, dir.path());
            tried += 1;
        }
    }
    assert!(tried >= 8, "only {tried} commands in README.md");
    let result = dir.path().join("results/quickstart");
    for name in ["report.html", "summary.json", "requests", "attempts"] {
        assert!(result.join(name).exists(), "README says that the first command leaves {name}");
    }
}

#[test]
fn every_example_of_help_works() {
    let dir = tempfile::tempdir().unwrap();
    playground(dir.path());
    execute("baseload run experiments/quickstart.toml", dir.path());
    let mut tried = 0;
    for words in ["", "run", "gate", "baseline", "baseline update", "trace", "trace info", "catalog", "schema"] {
        let help = end_of(command().args(words.split_whitespace()).arg("--help")).well().stdout;
        let examples = help.split("Example").nth(1).unwrap().replace("\\\n", " ");
        for line in examples.lines().map(str::trim).filter(|l| l.starts_with("baseload ")) {
            execute(line.split(['#', '>']).next().unwrap().trim(), dir.path());
            tried += 1;
        }
    }
    assert!(tried >= 9, "only {tried} examples");
}

#[test]
fn links_of_the_docs_lead_to_files() {
    let mut seen = 0;
    for doc in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "traces/README.md"] {
        for target in read(doc).split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if !target.contains("://") {
                seen += 1;
                let path = root().join(doc).parent().unwrap().join(target.split('#').next().unwrap());
                assert!(path.exists(), "{doc} links to {target}, which is not there");
            }
        }
    }
    assert!(seen > 0);
}
