//! Ctrl-C in the middle: exit code 130, a message, and no folder.
#![cfg(unix)]
use crate::program::command;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// More requests than any machine replays within the test's patience.
const SPEC: &str = "requests = 500000000\nprompt = { median = 900, sigma = 0.5, max = 4000 }\n\
    output = { median = 200, sigma = 0.5, max = 2000 }\n[arrivals]\nrate = [{ at = \"0s\", per_s = 20 }]\n";
const EXPERIMENT: &str = "name = \"t\"\n[trace]\ngenerate = \"g.toml\"\n[pool.chat]\nmodel = \"llama-3.1-8b\"\n\
    gpu = \"h100-sxm\"\nrent = { usd_per_gpu_hour = 2 }\n[endpoint.a]\ncatalog = \"openai/gpt-4o\"\n\
    [policy.own]\n[policy.own.least_outstanding]\n[policy.buy]\n[policy.buy.api_only]\n";
/// Twentieths of a second that anything may take here.
const PATIENCE: u32 = 1200;

fn start(dir: &Path) -> Child {
    std::fs::write(dir.join("g.toml"), SPEC).unwrap();
    std::fs::write(dir.join("e.toml"), EXPERIMENT).unwrap();
    let mut program = Command::new(command().get_program());
    program.current_dir(dir).args(["run", "e.toml", "--out", "result", "--jobs", "2"]);
    program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until `done`, asking twenty times a second.
#[track_caller]
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} did not come in {} s", PATIENCE / 20);
}

#[test]
fn ctrl_c_ends_a_run_with_130_and_leaves_nothing() {
    for signal in ["-INT", "-TERM"] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = start(dir.path());
        let records = "requests/policy=own/replicate=0/part.parquet";
        let partial = |name: &str| name.starts_with(".result.") && name.ends_with(".partial");
        let entries = || dir.path().read_dir().unwrap().flatten();
        wait("the partial folder", || {
            entries().any(|e| partial(&e.file_name().to_string_lossy()) && e.path().join(records).is_file())
        });
        let kill = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        wait("the program's end", || child.try_wait().unwrap().is_some());
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal}: {message}");
        assert!(message.contains("interrupted; nothing was written"), "{message}");
        let left: Vec<_> = dir.path().read_dir().unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(left.len(), 2, "only the two inputs are left: {left:?}");
    }
}
