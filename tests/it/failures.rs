//! Bad input: each fault is a message with file, line, whole key and remedy, exit code 2, and no result folder.
//!
//! One test a sentence of the rule, one line an input. Ctrl-C is in `interrupt.rs`.
use crate::program::{Ended, baseload, command, end_of};
use std::path::Path;

/// The smallest experiment: one endpoint, one policy, the trace `t.csv` beside it.
const SMALLEST: &str = "name = \"t\"\n[trace]\npath = \"t.csv\"\n[slo]\nttft = \"2s\"\n[endpoint.a]\n\
    catalog = \"openai/gpt-4o\"\n[policy.buy]\n[policy.buy.api_only]\n";
const TRACE: &str = "arrival_s,prompt_tokens,output_tokens\n0,512,40\n1,8,120\n";

/// Runs an experiment with a trace in a folder of its own.
fn run_in(dir: &Path, experiment: &str, trace: &str, more: &[&str]) -> Ended {
    std::fs::write(dir.join("e.toml"), experiment).unwrap();
    std::fs::write(dir.join("t.csv"), trace).unwrap();
    end_of(command().current_dir(dir).args(["run", "e.toml", "--out", "result"]).args(more))
}

/// The experiment is refused: exit code 2, all `words` in the message, no folder left.
#[track_caller]
fn refused(experiment: &str, trace: &str, more: &[&str], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let ended = run_in(dir.path(), experiment, trace, more);
    let message = ended.message();
    assert_eq!(ended.code, 2, "a user's mistake is exit code 2, so that scripts can tell: {message}");
    for word in words {
        assert!(message.contains(word), "a message says where and what to do; `{word}` is not in: {message}");
    }
    let left = dir.path().read_dir().unwrap().count();
    assert_eq!(left, 2, "a run that fails leaves no folder that could pass for a result: {message}");
}

/// The smallest experiment with one text in place of another.
#[track_caller]
fn edited(from: &str, to: &str, words: &[&str]) {
    assert!(SMALLEST.contains(from), "{from}");
    refused(&SMALLEST.replace(from, to), TRACE, &[], words);
}

/// The quickstart with `--set`s.
#[track_caller]
fn set(sets: &[&str], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("r");
    let ended = end_of(
        command()
            .args(["run", "experiments/quickstart.toml", "--out"])
            .arg(&out)
            .args(sets.iter().flat_map(|s| ["--set", s])),
    );
    let message = ended.message();
    assert_eq!(ended.code, 2, "{message}");
    assert!(message.contains("experiments/quickstart.toml"), "the file is not named: {message}");
    assert!(dir.path().read_dir().unwrap().next().is_none(), "a folder was left: {message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[test]
fn the_smallest_experiment_runs() {
    let dir = tempfile::tempdir().unwrap();
    run_in(dir.path(), SMALLEST, TRACE, &["--quiet"]).well();
    assert!(dir.path().join("result/summary.json").is_file());
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest() {
    edited("catalog =", "catalogue =", &["e.toml:7: endpoint.a.catalogue: unknown key", "did you mean `catalog`?"]);
    edited("path =", "pth =", &["e.toml:3: trace.pth: unknown key", "did you mean `path`?"]);
    edited("[slo]", "[sl]", &["e.toml:4: sl: unknown key", "did you mean `slo`?"]);
    edited("buy.api_only]", "buy.api_onl]", &["e.toml:9: policy.buy.api_onl: unknown key", "did you mean `api_only`?"]);
    set(&["pool.chat.replica=2"], &["--set pool.chat.replica=2", "unknown key `replica`", "did you mean `replicas`?"]);
}

#[test]
fn a_wrong_type_names_its_line() {
    edited("name = \"t\"", "name = 7", &["e.toml:1: name: it is 7", "it must be a text"]);
    edited("ttft = \"2s\"", "ttft = 2", &["e.toml:5: slo.ttft: it is 2", "it must be a text"]);
    edited("ttft = \"2s\"", "ttft = \"2\"", &["e.toml:5: slo.ttft: `2` is not a duration", "\"250ms\""]);
    edited("ttft = \"2s\"", "ttft = \"2s", &["e.toml:5"]);
    edited("catalog = \"openai/gpt-4o\"", "", &["e.toml:6: endpoint.a: `catalog` is missing"]);
    set(&["seed=x"], &["--set seed=x: seed: it is the text \"x\"", "it must be a whole number from 0"]);
    set(&["pool.chat={}"], &["--set pool.chat={}: pool.chat: `model` is missing"]);
    set(&["class.private.privacy=secret"], &["class.private.privacy", "unknown value `secret`", "internal-only"]);
}

#[test]
fn a_missing_file_is_named_with_the_key_that_asked_for_it() {
    let none = baseload(&["run", "no-such.toml"]);
    assert!(none.code == 2 && none.message().contains("no-such.toml: "), "{}", none.stderr);
    assert!(none.message().contains("`baseload run` without a file lists experiments"), "{}", none.stderr);
    edited("t.csv", "u.csv", &["e.toml:3: trace.path: u.csv is not there", "relative to the experiment file"]);
    edited("path = \"t.csv\"", "generate = \"g.toml\"", &["e.toml:3: trace.generate: g.toml is not a file"]);
    edited(
        "path = \"t.csv\"",
        "source = \"azure\"",
        &["e.toml:3: trace.source: unknown trace `azure`", "azure-2023-conv"],
    );
    edited(
        "path = \"t.csv\"",
        "",
        &["e.toml:2: trace: it says not where", "give exactly one of source, path, generate, users"],
    );
    edited("name = \"t\"", "extends = \"b.toml\"", &["e.toml:1: extends: b.toml: No such file"]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("e.toml"), SMALLEST.replace("path = \"t.csv\"", "source = \"azure-2023-conv\""))
        .unwrap();
    let ended = end_of(command().current_dir(dir.path()).env_remove("BASELOAD_DATA").args(["run", "e.toml"]));
    assert!(ended.code == 2 && ended.message().contains("set BASELOAD_DATA to the folder"), "{}", ended.stderr);
}

#[test]
fn an_unknown_name_suggests_the_nearest() {
    edited(
        "openai/gpt-4o",
        "openai/gpt4o",
        &["e.toml:7: endpoint.a.catalog: unknown API", "did you mean `openai/gpt-4o`?"],
    );
    edited(
        "[policy.buy]",
        "[policy.buy]\nendpoints = [\"b\"]",
        &["e.toml:9: policy.buy.endpoints[0]: unknown endpoint `b`"],
    );
    edited("[policy.buy]", "[policy.buy]\npools = { c = 1 }", &["e.toml:9: policy.buy.pools.c: unknown pool `c`"]);
    set(&["pool.chat.gpu=l40"], &["pool.chat.gpu: unknown GPU `l40`", "did you mean `l4"]);
    set(&["pool.chat.model=llama-3.1-8"], &["pool.chat.model: unknown model", "did you mean `llama-3.1-8b`?"]);
    set(&["policy.overflow.pools={chats=1}"], &["policy.overflow.pools", "did you mean `chat`?"]);
    set(&["policy.overflow.overflow.to=haik"], &["policy.overflow.overflow.to", "did you mean `haiku`?"]);
    set(&["pool.chat.rent.provider=AWX"], &["pool.chat.rent", "did you mean `l4, AWS, on-demand`?"]);
    set(&["gate.\"overflow.ttft_p98_s\".worse=5%"], &["gate.\"overflow.ttft_p98_s\"", "did you mean `ttft_p9"]);
    set(&["gate.\"overflo.ttft_p99_s\".worse=5%"], &["gate.\"overflo.ttft_p99_s\"", "did you mean `overflow`?"]);
}

/// Unknown keys, wrong types, unknown names, values out of range: one run says them all, each once and at its line.
#[test]
fn many_faults_are_said_in_one_go() {
    const MANY: &str = "name = \"t\"\nsed = 3\n[trace]\nusers = { concurrency = 0, requests = 9, prompt_tokens = 1, \
        output_tokens = \"x\" }\n[slo]\nttft = \"2\"\n[pool.chat]\nmodel = \"llama-3.1-8b\"\ngpu = \"l4\"\nreplica = 2\n\
        [endpoint.a]\ncatalog = \"openai/gpt-4\"\nerror_rate = 2\n[policy.one]\npools = { chats = 1 }\n\
        [policy.one.round_robin]\n[policy.two]\nrules = [{ when = \"request.promt_tokens > 8000\", to = \"b\" }]\n\
        [policy.three.overflow]\nto = 4\n";
    let dir = tempfile::tempdir().unwrap();
    let ended = run_in(dir.path(), MANY, TRACE, &[]);
    let message = ended.message();
    assert_eq!(ended.code, 2, "{message}");
    let faults: Vec<&str> = message.split("e.toml:").skip(1).collect();
    let wanted = [
        "2: sed: unknown key `sed`; did you mean `seed`?",
        "4: trace.users.concurrency: it is 0; it must be at least 1",
        "4: trace.users.output_tokens: it is the text \"x\"; it must be a whole number from 0",
        "6: slo.ttft: `2` is not a duration: it has no unit",
        "7: pool.chat: `rent` is missing",
        "10: pool.chat.replica: unknown key `replica`; did you mean `replicas`?",
        "12: endpoint.a.catalog: unknown API `openai/gpt-4`; did you mean `openai/gpt-4o`?",
        "13: endpoint.a.error_rate: it is 2; it must be a number from 0 to 1",
        "15: policy.one.pools.chats: unknown pool `chats`; did you mean `chat`?",
        "18: policy.two.rules[0].when: unknown field of request `promt_tokens`; did you mean `prompt_tokens`?",
        "18: policy.two.rules[0].to: unknown place of this policy `b`; did you mean `a`?",
        "20: policy.three.overflow.to: it is 4; it must be a text",
    ];
    assert_eq!(faults.len(), wanted.len(), "{message}");
    for (fault, wanted) in faults.iter().zip(wanted) {
        assert!(fault.starts_with(wanted), "`{wanted}` is not: {fault}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 2, "no folder is left");
}

#[test]
fn an_impossible_value_says_what_would_be_right() {
    edited("ttft = \"2s\"", "ttft = \"0s\"", &["e.toml:5: slo.ttft: it is 0", "leave the key out"]);
    edited("[policy.buy]", "[policy.buy]\nendpoints = []", &["e.toml:8: policy.buy: ", "may use no backend"]);
    edited("[slo]", "limit = 0\n[slo]", &["e.toml:4: trace.limit: it is 0", "at least 1"]);
    edited(
        "[slo]",
        "rate_scale = 0.0\n[slo]",
        &["e.toml:4: trace.rate_scale: it is 0", "it must be a number from 0.000001"],
    );
    edited("name = \"t\"", "name = \"a/b\"", &["e.toml:1: name: it is `a/b`", "it names a folder"]);
    set(&["pool.chat.model=llama-3.1-70b"], &["pool.chat: ", "does not fit", "GiB a GPU short", "would fit"]);
    set(&["class.private.share=1.5"], &["class.private.share: it is 1.5; it must be a number from 0 to 1"]);
    set(&["policy.api-only.round_robin={}"], &["policy.api-only.", "a policy has one preset"]);
    set(&["gateway.timeout=0s"], &["gateway.timeout: it is 0"]);
    set(
        &["pool.chat.engine.vllm.max_num_seqs=0"],
        &["pool.chat.engine.vllm.max_num_seqs: it is 0; it must be at least 1"],
    );
}

#[test]
fn memory_refuses_what_cannot_be_and_says_what_would() {
    let says = |words: &str| {
        let ended = end_of(command().arg("memory").args(words.split(' ')));
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{words}: {}", ended.stderr);
        ended.message()
    };
    let cases: [(&str, &[&str]); 14] = [
        ("--model llama-3.1-8 --gpu l4", &["--model: unknown model `llama-3.1-8`; did you mean `llama-3.1-8b`?"]),
        ("--model llama-3.1-8b --gpu h100-sx", &["--gpu: unknown GPU `h100-sx`; did you mean `h100-sxm`?"]),
        ("--model llama-3.1-8b --gpu h100-sxm --tp 0", &["--tp: it is 0", "it must be at least 1"]),
        ("--model llama-3.1-8b --gpu h100-sxm --tp 3", &["--tp: 3 does not divide the 32 heads", "1, 2, 4, 8 would"]),
        (
            "--model llama-3.1-405b --gpu h100-sxm --tp 16",
            &["--tp: it is 16", "it must be at most 8, the GPUs that h100-sxm links"],
        ),
        ("--model llama-3.1-8b --gpu h100-sxm --utilization 1.2", &["--utilization: it is 1.2", "a share above 0"]),
        ("--model llama-3.1-8b --gpu h100-sxm --utilization NaN", &["--utilization: it is NaN", "a share above 0"]),
        ("--model llama-3.1-8b --gpu h100-sxm --block-size 0", &["--block-size: it is 0", "it must be at least 1"]),
        (
            "--model llama-3.1-8b --gpu h100-sxm --max-model-len 200000",
            &["--max-model-len: it is 200000", "at most 131072, the context of llama-3.1-8b"],
        ),
        (
            "--model llama-3.1-8b --gpu h100-sxm --context 200000",
            &["--context: it is 200000; a sequence has 1 to 131072"],
        ),
        ("--model llama-3.1-8b --gpu h100-sxm --concurrency 0", &["--concurrency: it is 0; it must be at least 1"]),
        ("--model llama-3.1-8b --gpu l4", &["11.97 GiB a GPU short", "max_model_len = 33024 would fit"]),
        (
            "--model llama-3.1-70b --gpu h100-sxm",
            &[
                "102.10 GiB a GPU short for 131.42 GiB of weights",
                "tensor_parallel = 4 would fit",
                "2 x mi300x at US$ 3.70",
                "2026",
            ],
        ),
        (
            "--model kimi-k2 --gpu l4 --utilization 0.05",
            &["GiB a GPU short", "no GPU of the catalogue would fit it; lower max_model_len"],
        ),
    ];
    for (words, wanted) in cases {
        let message = says(words);
        for word in wanted {
            assert!(message.contains(word), "{words}: `{word}` is not in: {message}");
        }
    }
    assert!(says("--model llama-3.1-8b").contains("--gpu <GPU>"));
}

#[test]
fn a_bad_set_says_how_to_write_one() {
    let says = |set: &str| {
        let ended = baseload(&["run", "experiments/quickstart.toml", "--dry-run", "--set", set]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        ended.message()
    };
    assert!(says("seed").contains("--set seed: it has no value; write path.to.key=value"));
    assert!(says("pool.chat.gpu.x=1").contains("`gpu` is not a table"));
    assert!(says("pool..x=1").contains("is no path of keys"));
}

#[test]
fn a_bad_trace_names_its_line_and_leaves_no_folder() {
    const HEAD: &str = "arrival_s,prompt_tokens,output_tokens\n";
    let cases = [
        (format!("{HEAD}1,2"), "t.csv:2: the line is torn"),
        (format!("{HEAD}0,-5,1\n"), "t.csv:2: prompt_tokens is -5, a negative number; it must be at least 1"),
        (format!("{HEAD}5,1,1\n1,1,1\n"), "t.csv:3: time goes back by 4 s"),
        (format!("{HEAD}0,1,1,1\n"), "t.csv:2: the line is torn: 4 fields"),
        (format!("{HEAD}0,many,1\n"), "t.csv:2: prompt_tokens is `many`"),
        (HEAD.to_string(), "the trace has no requests; it needs at least one"),
        (String::new(), "t.csv:1: the trace is empty"),
        ("\n\n".to_string(), "t.csv:1: the trace is empty"),
        ("a,b\n1,2\n".to_string(), "t.csv:1: this is no trace format that is known"),
        ("{\"arrival_s\":0}\n".to_string(), "t.csv:1: the line is torn or wrong"),
    ];
    for (trace, says) in &cases {
        for more in [&[][..], &["--quiet"]] {
            refused(SMALLEST, trace, more, &[says]);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, trace).unwrap();
        let info = end_of(command().args(["trace", "info"]).arg(&path));
        assert!(info.code == 2 && info.message().contains(says), "trace info says the same: {}", info.stderr);
    }
}

/// A download that broke off: the bytes end in the middle of the compressed stream.
#[test]
fn a_torn_gzip_is_said_with_its_line() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all(b"arrival_s,prompt_tokens,output_tokens\n").unwrap();
    // Lengths that do not compress to nothing, so that half of the bytes is half of the rows.
    for i in 0..2000u32 {
        writeln!(zip, "{i},{},{}", i.wrapping_mul(2_654_435_761) % 4000 + 1, i.wrapping_mul(40_503) % 900 + 1).unwrap();
    }
    let bytes = zip.finish().unwrap();
    let path = dir.path().join("t.csv.gz");
    std::fs::write(&path, &bytes).unwrap();
    end_of(command().args(["trace", "info"]).arg(&path)).well();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let ended = end_of(command().args(["trace", "info"]).arg(&path));
    let line = ended.message().split("t.csv.gz:").nth(1).and_then(|m| m.split(':').next()?.parse::<u32>().ok());
    assert!(ended.code == 2 && line.is_some_and(|l| l > 100), "{}", ended.stderr);
    assert!(ended.message().contains("cannot be read"), "{}", ended.stderr);
}

#[test]
fn a_bad_generator_names_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let spec = |text: &str| {
        std::fs::write(dir.path().join("g.toml"), text).unwrap();
        let ended =
            run_in(dir.path(), &SMALLEST.replace("path = \"t.csv\"", "generate = \"g.toml\""), TRACE, &["--quiet"]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert_eq!(dir.path().read_dir().unwrap().count(), 3, "experiment, trace and generator");
        ended.message()
    };
    let good =
        "requests = 5\nprompt = { median = 9, sigma = 0, max = 9 }\noutput = { median = 9, sigma = 0, max = 9 }\n";
    let says = spec(&format!("{good}[arrivals]\nrate = [{{ at = \"0s\", per_s = 0 }}]\n"));
    assert!(says.contains("e.toml:3: trace.generate: g.toml:5: `rate` is 0 throughout"), "{says}");
    let says = spec(&format!("{good}[arrivals]\nrates = []\n"));
    assert!(says.contains("g.toml:5: unknown field `rates`"), "{says}");
    let says =
        spec(&format!("duration = \"1s\"\n{}[arrivals]\nrate = [{{ at = \"0s\", per_s = 1e-9 }}]\n", &good[13..]));
    assert!(says.contains("e.toml:2: trace: it yields no requests"), "{says}");
}

#[test]
fn bad_arguments_say_what_to_give() {
    let says = |args: &[&str]| {
        let ended = baseload(args);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        ended.message()
    };
    assert!(says(&["run", "experiments/quickstart.toml", "--jobs", "0"]).contains("--jobs: it is 0; at least 1"));
    assert!(says(&["run", "experiments/quickstart.toml", "--jobs", "x"]).contains("invalid value 'x'"));
    assert!(says(&["run", "experiments/quickstart.toml", "--format", "yaml"]).contains("markdown"));
    assert!(says(&["rum"]).contains("'run'"));
    assert!(says(&["catalog", "gpu"]).contains("gpus"));
    assert!(says(&["trace", "info", "none.csv"]).contains("none.csv: No such file"));
    let gate = ["gate", "--baseline", "Cargo.toml", "--candidate", "experiments"];
    assert!(says(&gate).contains("Cargo.toml:1: ") && says(&gate).contains("a baseline is a summary.json"));
    assert!(says(&["run", "experiments"]).contains("experiments: it is a folder"));
    let seed = ["run", "experiments/quickstart.toml", "--seed", "18446744073709551615"];
    assert!(says(&seed).contains("a seed is at most 9223372036854775807"));
    let run = ["run", "experiments/quickstart.toml", "--baseline", "none.json"];
    assert!(says(&run).contains("none.json: No such file"));
}

#[test]
fn an_output_folder_that_cannot_be_is_refused() {
    let says = |out: &Path| {
        let ended = end_of(command().args(["run", "experiments/quickstart.toml", "--out"]).arg(out));
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        ended.message()
    };
    assert!(says(Path::new("/proc/none/r")).contains("give a folder you may write to with --out"));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine.txt"), "keep").unwrap();
    assert!(says(dir.path()).contains("it is not a result folder; give another --out"));
    assert!(says(&dir.path().join("mine.txt")).contains("mine.txt: it exists"));
    assert!(says(&dir.path().join("mine.txt/r")).contains("give a folder you may write to with --out"));
    assert_eq!(
        std::fs::read_to_string(dir.path().join("mine.txt")).unwrap(),
        "keep",
        "what is not ours is never touched"
    );
}

/// A file-size limit stands in for a full disk: writes fail in the middle of the run.
#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_leaves_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let program = command().get_program().to_os_string();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]).arg(program);
    shell.args(["run", "experiments/quickstart.toml", "--quiet", "--set", "trace.limit=2000", "--out"]);
    let output = shell.arg(dir.path().join("r")).current_dir(crate::program::root()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("part.parquet") && message.contains("File too large"), "{message}");
    assert!(dir.path().read_dir().unwrap().next().is_none(), "a half-written folder was left: {message}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_stdout_that_cannot_be_written_is_no_success() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut program = std::process::Command::new(command().get_program());
    let output = program.args(["catalog", "gpus"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "a gate that could not print must not pass");
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "{output:?}");
}
