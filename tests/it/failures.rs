//! Bad input: each fault is a message with its place and remedy, exit code 2, and no result folder.
use assert_cmd::Command;
use std::path::Path;

fn quickstart_with(sets: &[&str]) -> (i32, String, bool) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("r");
    let mut command = Command::cargo_bin("baseload").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["run", "experiments/quickstart.toml", "--out"]).arg(&out);
    for set in sets {
        command.args(["--set", set]);
    }
    let result = command.output().unwrap();
    (
        result.status.code().unwrap(),
        String::from_utf8(result.stderr).unwrap(),
        dir.path().read_dir().unwrap().next().is_some(),
    )
}

#[track_caller]
fn refused(sets: &[&str], words: &[&str]) {
    let (code, message, wrote) = quickstart_with(sets);
    let flat: String = message.split_whitespace().filter(|w| *w != "│").collect::<Vec<_>>().join(" ");
    assert_eq!(code, 2, "{message}");
    assert!(!wrote, "a folder was left: {message}");
    for word in words {
        assert!(flat.contains(word), "`{word}` is not in: {flat}");
    }
}

#[test]
fn wrong_names_suggest_the_nearest() {
    refused(&["pool.chat.gpu=l40"], &["pool.chat.gpu", "did you mean `l4"]);
    refused(&["pool.chat.model=llama-3.1-8"], &["pool.chat.model", "did you mean `llama-3.1-8b`"]);
    refused(&["endpoint.gpt-4o.catalog=openai/gpt4o"], &["endpoint.gpt-4o.catalog", "did you mean `openai/gpt-4o`"]);
    refused(&["pool.chat.replica=2"], &["unknown field `replica`", "did you mean `replicas`"]);
    refused(&["policy.overflow.pools={chats=1}"], &["policy.overflow.pools", "did you mean `chat`"]);
}

#[test]
fn impossible_values_say_what_would_be_right() {
    refused(&["slo.ttft=0s"], &["slo.ttft is 0", "leave the key out"]);
    refused(&["seed=x"], &["invalid type", "u64"]);
    refused(&["pool.chat.model=llama-3.1-70b"], &["does not fit", "GiB a GPU short", "would fit"]);
    refused(&["policy.api-only.endpoints=[]"], &["policy.api-only", "may use no backend"]);
    refused(&["class.private.share=1.5"], &["class.private.share", "between 0 and 1"]);
    refused(&["trace.generate=../traces/none.toml"], &["trace.generate", "none.toml"]);
}

fn run(args: &[&str]) -> (i32, String) {
    let result =
        Command::cargo_bin("baseload").unwrap().current_dir(env!("CARGO_MANIFEST_DIR")).args(args).output().unwrap();
    let flat = String::from_utf8(result.stderr).unwrap();
    (result.status.code().unwrap(), flat.split_whitespace().filter(|w| *w != "│").collect::<Vec<_>>().join(" "))
}

#[test]
fn bad_arguments_and_files_exit_with_two() {
    let (code, message) = run(&["run", "experiments/quickstart.toml", "--jobs", "0"]);
    assert!(code == 2 && message.contains("--jobs 0"), "{message}");
    let (code, message) = run(&["run", "no-such.toml"]);
    assert!(code == 2 && message.contains("no-such.toml"), "{message}");
    let (code, message) = run(&["run", "experiments/quickstart.toml", "--out", "/proc/none/r"]);
    assert!(code == 2 && message.contains("--out"), "{message}");
}

#[test]
fn a_typo_in_the_file_points_at_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("typo.toml");
    std::fs::write(&path, "version = 1\n[pool.chat]\nmodle = \"x\"\n").unwrap();
    let (code, message) = run(&["run", path.to_str().unwrap()]);
    assert!(code == 2 && message.contains(":3: pool.chat.modle: unknown field `modle`"), "{message}");
    assert!(message.contains("did you mean `model`"), "{message}");
}

fn trace(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    let (code, message) = run(&["trace", "info", path.to_str().unwrap()]);
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("t.csv"), "{message}");
    message
}

#[test]
fn bad_traces_name_the_line() {
    const HEAD: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    let row = "2023-11-16 18:15:46.6805900,374,44\n";
    assert!(trace(&format!("{HEAD}{row}2023-11-16 18:15:47")).contains(":3"));
    assert!(trace(&format!("{HEAD}2023-11-16 18:15:46.0,-5,44\n")).contains(":2"));
    assert!(trace(&format!("{HEAD}{row}2023-11-16 18:15:40.0,5,44\n")).contains(":3"));
    trace(HEAD);
    trace("");
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/README.md").is_file());
}
