//! `calibrate` and `validate` as people run them: a profile of known coefficients comes back, what cannot be told or
//! must not be scored is refused, and the published recordings are met.
use crate::program::{Ended, command, data, end_of};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Seconds of the made-up machine: a step, a sequence, a context token, a chunk, a prefill token, a pair.
const TRUTH: [f64; 6] = [0.012, 0.000_5, 1.5e-6, 0.001, 0.000_35, 1.4e-7];

/// A recording of an engine with these step times: one request after the other prefills and decodes beside the others.
fn recording(name: &str, hidden: u32, requests: u32, prefills: bool) -> String {
    let mut out = format!(
        "{{\"kind\":\"run\",\"name\":\"{name}\",\"vllm\":\"0.32.0\",\"scheduling\":\"sync\",\"model\":{{\"hidden\":{hidden},\"layers\":8,\"heads\":8,\"kv_heads\":4,\"ffn\":1408,\"dtype\":\"float32\"}},\"engine\":{{\"max_model_len\":8192,\"max_num_seqs\":128,\"max_num_batched_tokens\":2048,\"enable_prefix_caching\":false,\"num_gpu_blocks\":4096,\"block_size\":32}}}}\n"
    );
    let prompt = |i: u32| 40 + 37 * i % 400;
    let mut steps = String::new();
    let mut now = 1.0;
    let mut ends = Vec::new();
    let mut step = |now: &mut f64, rows: &[(u32, u32, u32)]| {
        let mut f = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        for &(r, computed, tokens) in rows {
            let (c, t) = (f64::from(computed), f64::from(tokens));
            if tokens == 1 && computed >= prompt(r) {
                f[1] += 1.0;
                f[2] += c;
            } else {
                f[3] += 1.0;
                f[4] += t;
                f[5] += c * t + (2.0 * t * t / 3.0).floor();
            }
        }
        let lasts: f64 = f.iter().zip(TRUTH).map(|(a, b)| a * b).sum();
        let batch: Vec<String> = rows.iter().map(|(r, c, t)| format!("[\"r{r}\",{c},{t}]")).collect();
        let (start, end) = (*now, *now + lasts);
        writeln!(
            steps,
            "{{\"kind\":\"step\",\"start_s\":{start:.9},\"end_s\":{end:.9},\"batch\":[{}],\"preempted\":[]}}",
            batch.join(",")
        )
        .unwrap();
        *now = end;
    };
    let mut computed: Vec<u32> = Vec::new();
    for i in 0..requests {
        let decodes = |computed: &mut Vec<u32>| -> Vec<(u32, u32, u32)> {
            computed.iter_mut().enumerate().map(|(r, c)| (r as u32, std::mem::replace(c, *c + 1), 1)).collect()
        };
        let mut rows = decodes(&mut computed);
        if prefills {
            // Two chunks for every third prompt, so that chunks, tokens and pairs differ.
            let first = if i % 3 == 0 { prompt(i) / 2 } else { 0 };
            if first > 0 {
                step(&mut now, &[(i, 0, first)]);
            }
            rows.push((i, first, prompt(i) - first));
        } else {
            rows.push((i, prompt(i), 1));
        }
        step(&mut now, &rows);
        ends.push(now);
        computed.push(prompt(i) + u32::from(!prefills));
        step(&mut now, &decodes(&mut computed));
    }
    for (i, end) in ends.iter().enumerate() {
        let (p, last) = (prompt(i as u32), 2 * (requests - i as u32));
        writeln!(out, "{{\"kind\":\"request\",\"id\":\"r{i}\",\"arrival_s\":0.9,\"added_s\":1.0,\"prompt_len\":{p},\"output_len\":{last},\"first_token_s\":{end:.9},\"finish_s\":{now:.9},\"cached\":0,\"blocks\":[]}}").unwrap();
    }
    out + &steps
}

/// A folder with recordings `a`, `b`, `decode` (no prefill) and `other` (another model).
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, hidden, requests, prefills) in
        [("a", 512, 30, true), ("b", 512, 22, true), ("decode", 512, 30, false), ("other", 1024, 20, true)]
    {
        std::fs::write(dir.path().join(format!("{name}.jsonl")), recording(name, hidden, requests, prefills)).unwrap();
    }
    dir
}

fn run(dir: &Path, args: &[&str]) -> Ended {
    end_of(command().current_dir(dir).args(args))
}

#[track_caller]
fn refused(ended: &Ended, words: &[&str]) {
    let message = ended.message();
    assert_eq!(ended.code, 2, "a user's mistake is exit code 2: {}{message}", ended.stdout);
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[test]
fn a_fit_finds_the_coefficients_that_made_the_data() {
    let dir = folder();
    let fit = ["calibrate", "--kind", "engine-steps", "a.jsonl", "b.jsonl", "--out", "mine.toml"];
    let first = run(dir.path(), &fit).well();
    let text = std::fs::read_to_string(dir.path().join("mine.toml")).unwrap();
    let profile: toml::Table = text.parse().unwrap();
    let step = profile["step"].as_table().unwrap();
    let found = |key: &str| step[key].as_float().unwrap();
    for (got, want) in [
        (found("step_s"), TRUTH[0]),
        (found("sequence_s"), TRUTH[1]),
        (found("context_s_per_1000"), TRUTH[2] * 1e3),
        (found("prefill_s"), TRUTH[3]),
        (found("prefill_token_s"), TRUTH[4]),
        (found("prefill_pair_s_per_million"), TRUTH[5] * 1e6),
    ] {
        assert!((got / want - 1.0).abs() < 1e-3, "fitted {got}, made with {want}:\n{text}");
    }
    assert_eq!(profile["data"]["rows"].as_array().unwrap().len(), 2, "one hash a run");
    assert!(profile["name"].as_str() == Some("mine") && profile["held_back"].as_array().unwrap().len() >= 5, "{text}");
    let again = run(dir.path(), &fit).well();
    assert_eq!((first.stdout, &text), (again.stdout, &std::fs::read_to_string(dir.path().join("mine.toml")).unwrap()));
}

#[test]
fn what_was_fitted_is_not_scored_unawares() {
    let dir = folder();
    run(dir.path(), &["calibrate", "--kind", "engine-steps", "a.jsonl", "--out", "p.toml"]).well();
    let score = |more: &[&str]| {
        let base = ["validate", "--kind", "engine-steps", "--profile", "p.toml", "--format", "json"];
        run(dir.path(), &[&base[..], more].concat())
    };
    refused(&score(&["a.jsonl"]), &["profile p was fitted on a.jsonl", "--seen"]);
    let json = |ended: Ended| serde_json::from_str::<serde_json::Value>(&ended.well().stdout).unwrap();
    let seen = json(score(&["a.jsonl", "--seen"]));
    let fresh = json(score(&["b.jsonl"]));
    for scores in [&seen, &fresh] {
        let group = &scores["groups"][0];
        for metric in ["step_s", "ttft_p50_s", "e2e_p50_s", "e2e_s", "steps"] {
            let e = &group["metrics"][metric];
            assert!(e["median_ape"].is_f64() && e["p90_ape"].is_f64() && e["bias"].is_f64(), "{metric}: {scores}");
        }
        assert!(group["metrics"]["step_s"]["p90_ape"].as_f64() < Some(1e-3), "{scores}");
        assert_eq!(scores["kind"], "engine-steps");
        assert_eq!(scores["overall"]["n"], group["n"]);
    }
    refused(
        &score(&["other.jsonl"]),
        &["profile p is of h512-l8-a8-kv4-f1408 in float32 on cpu", "other.jsonl is of h1024"],
    );
}

#[test]
fn data_that_cannot_tell_a_coefficient_are_refused_by_its_name() {
    let dir = folder();
    let fit = |more: &[&str]| {
        let base = ["calibrate", "--kind", "engine-steps", "--out", "p.toml"];
        run(dir.path(), &[&base[..], more].concat())
    };
    refused(
        &fit(&["decode.jsonl"]),
        &["cannot identify prefill, prefill-token, prefill-pair", "never occurs", "--without prefill"],
    );
    assert!(!dir.path().join("p.toml").exists(), "no profile is left behind");
    let without = ["--without", "prefill", "--without", "prefill-token", "--without", "prefill-pair"];
    fit(&[&["decode.jsonl"][..], &without].concat()).well();
    let short: String = std::fs::read_to_string(dir.path().join("a.jsonl")).unwrap();
    let few: Vec<&str> = short
        .lines()
        .filter(|l| !l.contains("\"step\""))
        .chain(short.lines().filter(|l| l.contains("\"step\"")).take(4))
        .collect();
    std::fs::write(dir.path().join("few.jsonl"), few.join("\n")).unwrap();
    refused(&fit(&["few.jsonl"]), &["4 rows are fewer than the 6 coefficients"]);
    refused(&fit(&["a.jsonl", "a.jsonl"]), &["hold the same data"]);
    refused(&fit(&["a.jsonl", "other.jsonl"]), &["the files are of several models"]);
    refused(&fit(&["a.jsonl", "--without", "prefil"]), &["unknown coefficient `prefil`; did you mean `prefill`"]);
    refused(&fit(&["a.jsonl", "--engine", "max_num_seq=1"]), &["unknown engine setting `max_num_seq`"]);
    let table = run(dir.path(), &["calibrate", "--kind", "ml-energy", "a.jsonl", "--out", "p.toml"]);
    refused(&table, &["a profile is fitted from engine-steps"]);
    let rows = run(dir.path(), &["calibrate", "--kind", "inferencex", "a.jsonl", "--out", "p.toml"]);
    refused(&rows, &["a.jsonl:1: text stands beside a quoted field"]);
}

#[test]
fn a_profile_file_that_is_wrong_is_named() {
    let dir = folder();
    run(dir.path(), &["calibrate", "--kind", "engine-steps", "a.jsonl", "--out", "p.toml"]).well();
    let good = std::fs::read_to_string(dir.path().join("p.toml")).unwrap();
    let step = good.lines().find(|l| l.starts_with("step_s")).unwrap();
    for (text, words) in [
        (good.replace(step, "step_s = -1.0"), "step.step_s is -1; it must be a number from 0"),
        (good.replace(step, "step_s = nan"), "step.step_s is NaN"),
        (good.replace(step, "steps_s = 1.0"), "unknown field `steps_s`"),
        (good.replace("version = 1", "version = 2"), "this program reads profiles of version 1"),
    ] {
        std::fs::write(dir.path().join("bad.toml"), text).unwrap();
        let ended = run(dir.path(), &["validate", "--kind", "engine-steps", "b.jsonl", "--profile", "bad.toml"]);
        refused(&ended, &["bad.toml", words]);
    }
    let named = run(dir.path(), &["validate", "--kind", "engine-steps", "b.jsonl", "--profile", "cpu-vllm-0.23"]);
    refused(&named, &["unknown profile `cpu-vllm-0.23`; did you mean `cpu-vllm-0.32`?"]);
    let gpu = run(dir.path(), &["validate", "--kind", "engine-steps", "b.jsonl", "--profile", "h100-sxm"]);
    refused(&gpu, &["profile h100-sxm is of that GPU"]);
    let none = run(dir.path(), &["validate", "--kind", "engine-steps", "other.jsonl"]);
    refused(&none, &["no profile is of h1024-l8-a8-kv4-f1408 in float32"]);
}

#[test]
fn targets_that_are_missed_end_with_1_and_a_page_is_written() {
    let dir = folder();
    run(dir.path(), &["calibrate", "--kind", "engine-steps", "a.jsonl", "--out", "p.toml"]).well();
    std::fs::write(dir.path().join("met.toml"), "[each.step_s]\nmedian_ape = 0.05\n").unwrap();
    std::fs::write(dir.path().join("missed.toml"), "[overall.step_s]\nmedian_ape = 0.0\n").unwrap();
    let score = |more: &[&str]| {
        let base = ["validate", "--kind", "engine-steps", "b.jsonl", "--profile", "p.toml"];
        run(dir.path(), &[&base[..], more].concat())
    };
    score(&["--require", "met.toml", "--html", "page.html"]).well();
    let page = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    assert!(page.contains("<circle") && page.contains("class=\"lead\"") && !page.contains("<script"));
    let missed = score(&["--require", "missed.toml"]);
    assert_eq!(missed.code, 1, "{}", missed.stderr);
    assert!(missed.stderr.contains("missed: overall: step_s median_ape is "), "{}", missed.stderr);
}

#[test]
fn a_pool_takes_a_profile_of_its_own_model_only() {
    let dir = folder();
    let made = ["calibrate", "--kind", "engine-steps", "a.jsonl", "--out", "p.toml"];
    run(dir.path(), &made).well();
    let text = std::fs::read_to_string(dir.path().join("p.toml")).unwrap();
    let (model, gpu) = ("model = \"llama-3.1-8b\"", "gpu = \"l4\"");
    let ours = text.replace("model = \"h512-l8-a8-kv4-f1408\"", model).replace("gpu = \"cpu\"", gpu);
    std::fs::write(dir.path().join("ours.toml"), ours).unwrap();
    let root = crate::program::root().join("experiments/quickstart.toml");
    let out = dir.path().join("out");
    let with = |profile: &str| {
        let set = format!("pool.chat.profile={}", dir.path().join(profile).display());
        let mut c = command();
        c.arg("run").arg(&root).args(["--set", "trace.limit=300", "--set", &set, "--out"]).arg(&out);
        end_of(&mut c)
    };
    refused(
        &with("p.toml"),
        &["pool.chat.profile", "is of h512-l8-a8-kv4-f1408", "the pool is llama-3.1-8b on 1 x l4"],
    );
    with("ours.toml").well();
    let manifest = std::fs::read_to_string(out.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"role\": \"profile\""), "the profile determines the result: {manifest}");
}

fn files(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|n| folder.join(n)).collect()
}

fn scores(kind: &str, files: &[PathBuf], profile: Option<&Path>) -> serde_json::Value {
    let mut c = command();
    c.args(["validate", "--kind", kind, "--format", "json"]).args(files);
    if let Some(p) = profile {
        c.arg("--profile").arg(p);
    }
    serde_json::from_str(&end_of(&mut c).well().stdout).unwrap()
}

#[track_caller]
fn at_most(scores: &serde_json::Value, metric: &str, bound: f64) {
    for group in scores["groups"].as_array().unwrap() {
        let got = group["metrics"][metric]["median_ape"].as_f64().unwrap_or(f64::NAN);
        assert!(got <= bound, "{}: {metric} is off by {got:.3}, over {bound}", group["group"]);
    }
}

#[test]
fn each_recorded_engine_run_is_predicted_from_the_others() {
    let Some(folder) = data("each_recorded_engine_run_is_predicted_from_the_others") else { return };
    let folder = folder.join("calibration/vllm032_cpu");
    let all = ["busy", "light", "long", "offline", "shared"].map(|n| folder.join(format!("{n}.jsonl.gz")));
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("p.toml");
    for held in &all {
        let others = all.iter().filter(|f| *f != held);
        end_of(command().args(["calibrate", "--kind", "engine-steps", "--out"]).arg(&profile).args(others)).well();
        let scores = scores("engine-steps", std::slice::from_ref(held), Some(&profile));
        at_most(&scores, "e2e_s", 0.05);
        at_most(&scores, "ttft_p50_s", 0.10);
        at_most(&scores, "steps", 0.03);
    }
}

#[test]
fn a_real_server_is_predicted_from_two_of_its_loads() {
    let Some(folder) = data("a_real_server_is_predicted_from_two_of_its_loads") else { return };
    let folder = folder.join("calibration/vllm032_cpu_serve");
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("p.toml");
    let fitted = files(&folder, &["rate1.json.gz", "conc4.json.gz"]);
    end_of(command().args(["calibrate", "--kind", "vllm-bench-serve", "--out"]).arg(&profile).args(fitted)).well();
    let others = files(&folder, &["rate2.5.json.gz", "conc1.json.gz", "conc16.json.gz"]);
    let scores = scores("vllm-bench-serve", &others, Some(&profile));
    at_most(&scores, "ttft_p50_s", 0.12);
    at_most(&scores, "tpot_p50_s", 0.12);
    at_most(&scores, "ttft_p99_s", 0.25);
    at_most(&scores, "tpot_p99_s", 0.25);
}

#[test]
fn requests_of_vllm_023_are_predicted_from_two_of_four_rates() {
    let Some(folder) = data("requests_of_vllm_023_are_predicted_from_two_of_four_rates") else { return };
    let sweep = |rates: [u32; 2]| {
        rates.map(|r| folder.join(format!("calibration/vllm023_qwen3-14b_h100_sweep_rate_agg_{r}rps.csv.gz")))
    };
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("p.toml");
    let mut fit = command();
    fit.args(["calibrate", "--kind", "vllm-requests", "--gpu", "h100-sxm", "--out"]).arg(&profile).args(sweep([2, 6]));
    end_of(&mut fit).well();
    let scores = scores("vllm-requests", &sweep([4, 8]), Some(&profile));
    for (metric, bound) in [("ttft_p50_s", 0.05), ("ttft_p99_s", 0.15), ("e2e_p50_s", 0.03), ("e2e_p99_s", 0.08)] {
        at_most(&scores, metric, bound);
    }
}

#[test]
fn rows_of_many_models_are_predicted_by_the_catalogue() {
    let Some(folder) = data("rows_of_many_models_are_predicted_by_the_catalogue") else { return };
    for (kind, file, metric, median, p90) in [
        ("inferencex", "inferencex_silicon.csv", "ttft_s", 0.20, 0.45),
        ("inferencex", "inferencex_silicon.csv", "tpot_s", 0.08, 0.20),
        ("ml-energy", "ml_energy_llm.csv", "itl_p50_s", 0.10, 0.30),
        ("vllm-stages", "blis_training_stages.csv", "e2e_mean_s", 0.05, 0.10),
        ("vllm-stages", "blis_training_stages.csv", "ttft_mean_s", 0.10, 0.15),
    ] {
        let scores = scores(kind, &[folder.join("calibration").join(file)], None);
        let overall = |what: &str| scores["overall"]["metrics"][metric][what].as_f64().unwrap_or(f64::NAN);
        let (m, p) = (overall("median_ape"), overall("p90_ape"));
        assert!(m <= median && p <= p90, "{kind}: {metric} is off by {m:.3}, p90 {p:.3}; targets {median} and {p90}");
    }
}

#[test]
fn a_frontend_is_fitted_to_closed_loops_and_its_row_is_the_catalogues() {
    let Some(folder) = data("a_frontend_is_fitted_to_closed_loops_and_its_row_is_the_catalogues") else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("frontend.toml");
    let mut fit = command();
    fit.args(["calibrate", "--kind", "inferencex"]).arg(folder.join("calibration/inferencex_silicon.csv"));
    let printed = end_of(fit.arg("--out").arg(&out)).well().stdout;
    assert!(printed.contains("all folds") && printed.contains("no frontend"), "{printed}");
    let parse = |text: &str| text.parse::<toml::Table>().unwrap()["frontend"].as_array().unwrap()[0].clone();
    let fitted = parse(&std::fs::read_to_string(&out).unwrap());
    let shipped = crate::program::root().join("crates/core/src/catalog/data/step_times.toml");
    let shipped = parse(&std::fs::read_to_string(shipped).unwrap());
    for key in ["arrival_s", "arrival_s_per_1000_prompt_tokens", "error"] {
        let (got, want) = (fitted[key].as_float().unwrap(), shipped[key].as_float().unwrap());
        assert!(
            (got / want - 1.0).abs() < 0.01,
            "{key}: fitted {got}, shipped {want}: put the new row in the catalogue"
        );
    }
    assert_eq!(fitted["data_sha256"], shipped["data_sha256"]);
}

/// What issue 7 asks of a recorded fleet.
const FLEET_TARGETS: &str = "[each.cached_share]\np90_points = 4\n[each.ttft_mean_s]\np90_ape = 0.15\n\
    [each.e2e_mean_s]\np90_ape = 0.15\n[each.e2e_p90_s]\np90_ape = 0.25\n[order]\nagree = 1.0\n";

#[test]
fn a_recorded_fleet_is_predicted_from_its_arrivals() {
    let Some(folder) = data("a_recorded_fleet_is_predicted_from_its_arrivals") else { return };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("calibration/vllm032_cpu_fleet"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "gz"))
        .collect();
    files.sort();
    let dir = tempfile::tempdir().unwrap();
    let targets = dir.path().join("targets.toml");
    std::fs::write(&targets, FLEET_TARGETS).unwrap();
    let ended = end_of(
        command().args(["validate", "--kind", "fleet", "--format", "json", "--require"]).arg(&targets).args(&files),
    )
    .well();
    let scores: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(scores["groups"].as_array().map(Vec::len), Some(15));
    assert_eq!(scores["order"], serde_json::json!({"pairs": 32, "agree": 32}));
    assert!(scores["groups"][0]["points"]["cached_share"]["median"].is_number(), "shares are compared in points");
    let again = end_of(command().args(["validate", "--kind", "fleet", "--recorded-choices"]).args(&files));
    assert!(again.stdout.contains("the router's choices are the recording's"), "{}", again.stdout);
}

#[test]
fn a_fleet_that_does_not_read_and_flags_of_other_kinds_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fleet.jsonl");
    std::fs::write(&file, "{\"kind\":\"run\",\"name\":\"x\"}\n").unwrap();
    let refused = |args: &[&str], says: &str| {
        let ended = end_of(command().args(["validate", "--kind"]).args(args).arg(&file));
        assert!(ended.code == 2 && ended.message().contains(says), "{args:?}: {}", ended.stderr);
    };
    refused(&["fleet"], "fleet.jsonl:1: missing field `rate`");
    refused(&["fleet", "--set", "fleet.pods=8"], "--set: only --kind routing has a set-up");
    refused(&["engine-steps", "--recorded-choices"], "only files of fleet record them");
    std::fs::write(&file, "setup,section,policy,out_tok_s,ttft_p90_s,ttft_mean_s\nmine,QPS = 3,random,1,1,1\n")
        .unwrap();
    refused(&["routing"], "fleet.jsonl: no published set-up is of `mine`");
    refused(&["routing", "--profile", "cpu-vllm-0.32"], "leave --profile out");
}

#[test]
fn a_measured_fleet_of_four_policies_is_set_up_and_judged() {
    let Some(_) = data("a_measured_fleet_of_four_policies_is_set_up_and_judged") else { return };
    let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/published/llmd-37-capacity.toml");
    let ended = end_of(command().args(["validate", "--kind", "routing", "--format", "json"]).arg(&setup)).well();
    let scores: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(scores["groups"].as_array().map(Vec::len), Some(3 * 4 * 9));
    assert_eq!(scores["order"]["pairs"], 132);
    // docs/validation.md says which part of the verdict is missed, and why; this is what holds.
    let holds = |what: &str, of: &str| {
        let all = scores[what].as_array().unwrap().iter();
        let name = |v: &serde_json::Value| v["policy"].as_str().or(v["name"].as_str()).unwrap_or_default().to_owned();
        all.filter(|v| name(v).starts_with(of)).map(|v| v["agree"] == true).collect::<Vec<bool>>()
    };
    assert!(holds("collapse", "60 s").into_iter().all(|a| a), "{}", scores["collapse"]);
    assert!(holds("collapse", "120 s").into_iter().all(|a| a), "{}", scores["collapse"]);
    assert!(holds("ratios", "60 s").into_iter().all(|a| a), "{}", scores["ratios"]);
}
