//! Mistakes that once had no place or a wrong reason: each names the file, the line, the key, why and what would be right,
//! and is found before the run.
use crate::program::{Ended, command, end_of};
use std::path::Path;

const GENERATOR: &str = "requests = 40\narrivals = { rate = [{ at = \"0s\", per_s = 2 }] }\nprompt = { constant = 300 }\n\
                         output = { constant = 20 }\n";
const ROWS: &str = "arrival_s,prompt_tokens,output_tokens\n0,512,40\n1,8,120\n2,64,9\n";

/// An experiment whose `[trace]` begins in line 2, with a policy that owns and one that buys.
fn experiment(trace: &str) -> String {
    format!(
        "name = \"t\"\n{trace}\n[pool.p]\nmodel = \"llama-3.1-8b\"\ngpu = \"l4\"\nrent = {{ usd_per_gpu_hour = 2 }}\n\
         max_model_len = 32768\n[endpoint.haiku]\ncatalog = \"anthropic/claude-haiku-4-5\"\n[policy.own]\npools = {{ p = 1 }}\n\
         [policy.own.least_outstanding]\n[policy.buy]\nendpoints = [\"haiku\"]\n[policy.buy.api_only]\n"
    )
}

fn run_in(dir: &Path, text: &str, more: &[&str]) -> Ended {
    std::fs::write(dir.join("e.toml"), text).unwrap();
    let mut program = command();
    program.current_dir(dir).args(["run", "e.toml", "--quiet", "--no-records", "--out", "out"]).args(more);
    end_of(&mut program)
}

/// Refused with each of `words`, in a run and in a dry run alike, and nothing written.
#[track_caller]
fn refused(trace: &str, more: &[&str], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("gen.toml", GENERATOR),
        ("t.csv", ROWS),
        ("untimed.csv", "prompt_tokens,output_tokens\n5,5\n6,6\n"),
        ("q.csv", "small,large\n0,1\n1,1\n0,1\n"),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let text = experiment(trace);
    let [run, dry] = [run_in(dir.path(), &text, more), run_in(dir.path(), &text, &[more, &["--dry-run"]].concat())];
    for (how, ended) in [("run", &run), ("dry run", &dry)] {
        let message = ended.message();
        assert_eq!(ended.code, 2, "{how} of {trace}: {message}");
        for word in words {
            assert!(message.contains(word), "{how} of {trace}: `{word}` is not in {message}");
        }
        assert!(message.contains("; "), "{how} of {trace} names no remedy: {message}");
    }
    assert_eq!(run.message(), dry.message(), "{trace}");
    assert!(!dir.path().join("out").exists(), "{trace} left a folder");
}

#[test]
fn each_mistake_of_a_trace_has_its_place_before_the_run() {
    refused("", &[], &["e.toml: trace: it says not where requests come from; give exactly one of source, path"]);
    let dir = tempfile::tempdir().unwrap();
    let none = run_in(dir.path(), &experiment(""), &[]).message();
    assert!(!none.contains("rate_scale"), "{none}");
    let of_file = "[trace]\npath = \"t.csv\"";
    let lines = |more: &str| format!("{of_file}\n{more}");
    refused(
        of_file,
        &["--set", "trace.sessions={}"],
        &["e.toml: --set trace.sessions={}: trace.sessions: the trace has no sessions; leave it out"],
    );
    refused(&lines("[trace.sessions]"), &[], &["e.toml:4: trace.sessions: the trace has no sessions"]);
    refused(
        "[trace]\npath = \"untimed.csv\"",
        &[],
        &["e.toml:3: trace.path: the trace does not say when its requests arrive; give trace.arrivals_per_s"],
    );
    refused(
        "[trace]\npath = \"untimed.csv\"\ntransform = [{ spike = { at = \"1m\", duration = \"1m\", times = 2 } }]",
        &[],
        &["e.toml:4: trace.transform[0].spike: the trace does not say when its requests arrive, which this needs"],
    );
    refused(
        &lines(
            "transform = [\n  { thin = { share = 0.5 } },\n  { spike = { at = \"1m\", duration = \"1m\", times = 9e5 } },\n]",
        ),
        &[],
        &["e.toml:6: trace.transform[1].spike.times: it is 900000.0; it must be a number from 0 to 1000"],
    );
    refused(
        &lines("transform = [{ superpose = { with = \"none.csv\" } }]"),
        &[],
        &["e.toml:4: trace.transform[0].superpose.with: ", "none.csv"],
    );
    refused(
        &lines("rate_scale = 2\n[trace.users]\nconcurrency = 2"),
        &[],
        &["e.toml:4: trace.rate_scale: a closed loop has no rate of its own; leave it out"],
    );
    refused(
        &lines("transform = [{ slice = { skip = 9 } }]"),
        &[],
        &["the slice has no requests; the trace is shorter"],
    );
}

#[test]
fn times_beyond_every_clock_are_refused_not_lost() {
    let lines = |more: &str| format!("[trace]\npath = \"t.csv\"\n{more}");
    for scale in ["1e-12", "0", "inf", "1e9"] {
        let words = ["e.toml:4: trace.rate_scale: it is ", "it must be a number from 0.000001 to 1000000"];
        refused(&lines(&format!("rate_scale = {scale}")), &[], &words);
    }
    // Here the scale is sound, and the trace too long for it.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.csv"), "arrival_s,prompt_tokens,output_tokens\n0,5,5\n9000,5,5\n").unwrap();
    for more in ["rate_scale = 0.000001", "transform = [{ scale_time = { times = 1e5 } }]"] {
        let ended = run_in(dir.path(), &experiment(&lines(more)), &[]);
        let message = ended.message();
        assert_eq!(ended.code, 2, "{message}");
        assert!(
            message.contains("t.csv:3: it would arrive ") && message.contains("years after the first"),
            "{message}"
        );
        assert!(message.contains("; a trace lasts ten years at most: give a greater rate_scale"), "{message}");
    }
}

/// One request, or as many users as requests, is a burst, which has a throughput and a month of its own.
#[test]
fn arrivals_at_one_instant_are_simulated_where_a_policy_must_buy_too() {
    for trace in [
        "[trace]\npath = \"t.csv\"\nlimit = 1",
        "[trace]\nusers = { concurrency = 3, requests = 3, prompt_tokens = 9, output_tokens = 9 }",
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("t.csv"), ROWS).unwrap();
        run_in(dir.path(), &experiment(trace), &[]).well();
    }
}

#[test]
fn rows_of_a_table_are_not_looked_up_by_numbers_that_a_transform_gave() {
    let table = "[quality]\ntable = \"q.csv\"\nrepeat = true\n[endpoint.judged]\ncatalog = \"anthropic/claude-haiku-4-5\"\n\
                 quality = { column = \"large\" }";
    for (transform, refuses) in [
        ("superpose = { copies = 2 }", true),
        ("repeat = { requests = 9 }", true),
        ("volume = { times = 2 }", true),
        ("anonymise = {}", true),
        ("slice = { skip = 1 }", false),
        ("thin = { share = 0.9 }", false),
    ] {
        let trace = format!("[trace]\npath = \"t.csv\"\ntransform = [{{ {transform} }}]\n{table}");
        let name = transform.split(' ').next().unwrap();
        let words =
            format!("e.toml:4: trace.transform[0].{name}: it gives requests new numbers, and a row of the table");
        if refuses {
            refused(&trace, &[], &[&words, "; leave it out, write the changed trace with `baseload trace transform`"]);
        } else {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("t.csv"), ROWS).unwrap();
            std::fs::write(dir.path().join("q.csv"), "small,large\n0,1\n1,1\n0,1\n").unwrap();
            run_in(dir.path(), &experiment(&trace), &["--dry-run"]).well();
        }
    }
}

/// What is wrong with `baseload memory` of a model on an L4 with these options.
fn memory(more: &[&str]) -> String {
    let mut program = command();
    let ended = end_of(program.args(["memory", "--model", "llama-3.1-8b", "--gpu", "l4"]).args(more));
    assert_eq!(ended.code, 2, "{more:?}: {}{}", ended.stdout, ended.stderr);
    ended.message()
}

#[test]
fn memory_names_what_was_written_and_refuses_what_contradicts_it() {
    for (more, words) in [
        (&["--engine", "num_gpu_blocks=1"][..], "--engine num_gpu_blocks: "),
        (&["--engine", "max_model_len=999999999"], "--engine max_model_len: "),
        (&["--max-model-len", "999999999"], "--max-model-len: "),
        (&["--engine", "block_size=0"], "--engine"),
        (&["--block-size", "0"], "--block-size: "),
        (&["--tp", "3"], "--tp: "),
        (&["--utilization", "1.5"], "--utilization: "),
        (
            &["--block-size", "16", "--engine", "block_size=32"],
            "--block-size: --engine block_size says it too; give one",
        ),
        (&["--max-num-seqs", "8", "--engine", "max_num_seqs=9"], "--max-num-seqs: --engine max_num_seqs says it too"),
        (
            &["--max-model-len", "9000", "--engine", "max_model_len=8000"],
            "--max-model-len: --engine max_model_len says",
        ),
        (
            &["--utilization", "0.8", "--engine", "num_gpu_blocks=900"],
            "--utilization: --engine num_gpu_blocks says how many blocks there are, whatever the share; give one of them",
        ),
        (
            &["--engine", "max_num_seqs=8", "--engine", "max_num_seqs=9"],
            "--engine: max_num_seqs is given twice; give it",
        ),
    ] {
        let says = memory(more);
        assert!(says.contains(words), "{more:?}: `{words}` is not in {says}");
        assert!(!says.contains("--num-blocks"), "{more:?}: there is no such option: {says}");
    }
    for one in ["--tp=2", "--utilization=0.5", "--context=9", "--engine=max_num_seqs=8", "--kv-dtype=fp8"] {
        let ended = end_of(command().args(["memory", "--check", one]));
        assert!(ended.code == 2 && ended.stderr.contains("cannot be used with"), "{one}: {}", ended.stderr);
    }
    let help = end_of(command().args(["memory", "--help"])).well().stdout;
    assert!(help.contains(&format!("[default: {}]", baseload_core::memory::UTILIZATION)), "{help}");
}

/// The literal that begins behind the quote at `from`, and where it ends.
fn literal(text: &str, from: usize) -> &str {
    let mut escaped = false;
    let end = text[from..].find(|c: char| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    &text[from..from + end.unwrap_or(0)]
}

/// A remedy is the hint of a fault, never a part of what is wrong, so that it has its line wherever it is shown.
#[test]
fn faults_of_traces_keep_their_remedy_apart() {
    let mut folders = vec![crate::program::root().join("crates/trace/src")];
    let (mut looked_at, mut wrong) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "read" {
                folders.push(path);
                continue;
            }
            if !name.ends_with(".rs") || name.contains("tests") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for opening in ["wrong!(", "TraceFault::new(", "Fault::new(", "fail(", "fault(", "Err("] {
                for (at, _) in code.match_indices(opening) {
                    let rest = code[at + opening.len()..].trim_start();
                    if rest.starts_with('"') {
                        looked_at += 1;
                        let what = literal(rest, 1);
                        wrong.extend(what.contains("; ").then(|| format!("{}: {what}", path.display())));
                    }
                }
            }
        }
    }
    assert!(looked_at > 60, "{looked_at} literals: the search is broken");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
