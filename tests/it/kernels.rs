//! Kernel tables as people use them: fitted to a profile, interpolated in an experiment and in `validate`, refused where
//! they are of something else; and the published tables against the measurements they must meet.
use crate::program::{Ended, command, data, end_of, root};
use baseload::frames::{Column, write_table};
use std::path::{Path, PathBuf};

const H100: &str = "NVIDIA H100 80GB HBM3";

/// Writes a table: the same text in every row, sizes by row, and ms.
fn write(path: &Path, texts: &[(&str, &str)], sizes: &[(&str, Vec<i64>)], ms: &[f64]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let word = |(name, text): &(&str, &str)| Column::new(name, vec![*text; ms.len()]);
    let mut columns: Vec<Column> = texts.iter().map(word).collect();
    columns.extend(sizes.iter().map(|(name, v)| Column::new(name, v.clone())));
    columns.push(Column::new("latency", ms.to_vec()));
    write_table(path, columns).unwrap();
}

/// All combinations of sizes, the last one fastest.
fn grid(sides: &[&[i64]]) -> Vec<Vec<i64>> {
    sides.iter().fold(vec![Vec::new()], |rows, side| {
        rows.iter().flat_map(|row| side.iter().map(move |v| [row.as_slice(), &[*v]].concat())).collect()
    })
}

fn columns<'a>(names: &[&'a str], rows: &[Vec<i64>]) -> Vec<(&'a str, Vec<i64>)> {
    names.iter().enumerate().map(|(i, name)| (*name, rows.iter().map(|r| r[i]).collect())).collect()
}

/// Tables of a made-up H100 that reaches 0.8 of its bandwidth and computes so many TFLOPS.
fn tables(folder: &Path, tflops: f64) {
    let head = |op: &'static str| [("version", "0.24.0"), ("device", H100), ("op_name", op)];
    let bytes_ms = |bytes: f64| bytes / (3.35e12 * 0.8) * 1e3;
    let sides = [512, 2_048, 4_096, 6_144, 8_192, 14_336, 28_672, 65_536];
    let rows = grid(&[&[1, 8, 64, 512, 4_096, 16_384], &sides, &sides]);
    let product = |r: &Vec<i64>| {
        let [m, n, k] = [r[0], r[1], r[2]].map(|v| v as f64);
        0.004 + (2.0 * m * n * k / (tflops * 1e9)).hypot(bytes_ms(2.0 * (n * k + m * (n + k))))
    };
    let ms: Vec<f64> = rows.iter().map(product).collect();
    let texts = [&head("gemm")[..], &[("gemm_dtype", "bfloat16")]].concat();
    write(&folder.join("gemm/0.24.0/gemm_perf.parquet"), &texts, &columns(&["m", "n", "k"], &rows), &ms);
    let names = ["batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim", "step"];
    let formats = [("attn_dtype", "bfloat16"), ("kv_cache_dtype", "bfloat16")];
    let heads: &[i64] = &[8, 16, 32, 64];
    let lengths: &[i64] = &[1, 128, 1_024, 8_192, 32_768];
    let rows = grid(&[&[1, 8, 64, 512], &[1], heads, &[8], &[128], lengths]);
    let ms: Vec<f64> = rows.iter().map(|r| 0.012 + bytes_ms((r[0] * r[5] * 8 * 512) as f64)).collect();
    let texts = [&head("generation_attention")[..], &formats].concat();
    write(&folder.join("attention/generation.parquet"), &texts, &columns(&names, &rows), &ms);
    let rows = grid(&[&[1], &[64, 256, 1_024, 4_096, 16_384], heads, &[8], &[128], &[0]]);
    let pairs = |l: f64| l * (l + 1.0) / 2.0 + l * 300.0;
    let ms: Vec<f64> =
        rows.iter().map(|r| 0.012 + 512.0 * r[2] as f64 * pairs(r[1] as f64) / (tflops * 0.7e9)).collect();
    let texts = [&head("context_attention")[..], &formats].concat();
    write(&folder.join("attention/context.parquet"), &texts, &columns(&names, &rows), &ms);
}

fn calibrate(files: &[&Path], more: &[&str]) -> Ended {
    let mut c = command();
    c.args(["calibrate", "--kind", "kernels"]).args(files).args(more);
    end_of(&mut c)
}

/// Runs the quickstart on one H100, with a key of its pool set.
fn replay(out: &Path, key: &str, value: &Path) -> Ended {
    let set = format!("pool.chat.{key}={}", value.display());
    let mut c = command();
    c.arg("run").arg(root().join("experiments/quickstart.toml")).args(["--set", "trace.limit=300", "--set"]);
    c.args(["pool.chat.gpu=h100-sxm", "--set", &set, "--out"]).arg(out);
    end_of(&mut c)
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
fn tables_become_a_profile_that_says_its_numbers_its_errors_and_what_it_borrows() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (dir.path().join("h100"), dir.path().join("mine.toml"));
    tables(&folder, 700.0);
    let fit = || calibrate(&[&folder], &["--gpu", "h100-sxm", "--dtype", "bf16", "--out", out.to_str().unwrap()]);
    let first = fit().well();
    let text = std::fs::read_to_string(&out).unwrap();
    let row = text.parse::<toml::Table>().unwrap()["step_time"][0].clone();
    let number = |key: &str| row[key].as_float().unwrap();
    let peak = 989.4;
    for (key, want) in [
        ("linear_compute_share", 700.0 / peak * 0.86),
        ("memory_share", 0.8),
        ("linear_launch_us", 4.0),
        ("attention_compute_share", 490.0 / peak),
        ("attention_launch_us", 12.0),
    ] {
        assert!((number(key) / want - 1.0).abs() < 0.01, "{key} is {}, made with {want}", number(key));
    }
    assert_eq!((row.get("host_step_us"), row.get("link_share")), (None, None), "tables do not say it");
    assert_eq!(row["data_sha256"].as_array().unwrap().len(), 3, "a hash a file: {text}");
    assert!(text.contains("# products: ") && first.stdout.contains("held out, by shape"), "{text}{}", first.stdout);
    assert_eq!(first.stdout, fit().well().stdout, "the same tables give the same fit");

    let results = dir.path().join("out");
    let ran = replay(&results, "profile", &out).well();
    let says = format!("{}{}", ran.stdout, ran.stderr);
    let says: String = says.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(says.contains("says nothing of") && says.contains("host_step_us"), "what is borrowed is said: {says}");
    let manifest = std::fs::read_to_string(results.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"role\": \"profile\""), "{manifest}");
    let summary = |key: &str, value: &Path| {
        let at = tempfile::tempdir().unwrap();
        replay(&at.path().join("out"), key, value).well();
        std::fs::read_to_string(at.path().join("out/summary.json")).unwrap()
    };
    let slow = dir.path().join("slow.toml");
    std::fs::write(&slow, text.replace(&format!("memory_share = {}", number("memory_share")), "memory_share = 0.2"))
        .unwrap();
    assert_ne!(summary("profile", &out), summary("profile", &slow), "the numbers price the steps");
}

#[test]
fn tables_price_an_experiment_and_stand_in_its_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let (fast, slow) = (dir.path().join("fast"), dir.path().join("slow"));
    tables(&fast, 700.0);
    tables(&slow, 70.0);
    let run = |folder: &Path, out: &str| {
        let out = dir.path().join(out);
        replay(&out, "kernels", folder).well();
        let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
        (read("summary.json"), read("manifest.json"))
    };
    let (summary, manifest) = run(&fast, "a");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let inputs = manifest["inputs"].as_array().unwrap();
    let mut kernels: Vec<&str> =
        inputs.iter().filter(|i| i["role"] == "kernels").map(|i| i["file"].as_str().unwrap()).collect();
    kernels.sort_unstable();
    assert_eq!(kernels, ["attention/context.parquet", "attention/generation.parquet", "gemm/0.24.0/gemm_perf.parquet"]);
    assert!(inputs.iter().filter(|i| i["role"] == "kernels").all(|i| i["sha256"].as_str().unwrap().len() == 64));
    assert_eq!(summary, run(&fast, "b").0, "the same tables give the same bytes");
    assert_ne!(summary, run(&slow, "c").0, "a tenth of the operations a second is another result");
}

#[test]
fn tables_of_something_else_are_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (dir.path().join("h100"), dir.path().join("p.toml"));
    tables(&folder, 700.0);
    let fit = |more: &[&str]| calibrate(&[&folder], &[&["--out", out.to_str().unwrap()], more].concat());
    refused(&fit(&[]), &["--gpu: kernel tables are of a GPU; give one"]);
    refused(&fit(&["--gpu", "h100-smx"]), &["--gpu: unknown GPU `h100-smx`; did you mean `h100-sxm`?"]);
    refused(&fit(&["--gpu", "a100-80-sxm"]), &["measured on NVIDIA H100 80GB HBM3 (h100-sxm)", "this is a100-80-sxm"]);
    refused(&fit(&["--gpu", "h100-sxm", "--dtype", "fp8"]), &["no products or experts in fp8", "they have bfloat16"]);
    refused(&fit(&["--gpu", "h100-sxm", "--dtype", "fp9"]), &["--dtype: `fp9` is not known; known are bf16, fp8"]);
    refused(&fit(&["--gpu", "h100-sxm", "--model", "x"]), &["--model: kernel tables are of a GPU and a number format"]);
    let few = dir.path().join("few.parquet");
    let head = [("version", "1"), ("device", H100), ("op_name", "gemm"), ("gemm_dtype", "bfloat16")];
    let sizes = |m: Vec<i64>, n: Vec<i64>| [("m", m), ("n", n), ("k", vec![4_096; 3])];
    write(&few, &head, &sizes(vec![1, 2, 4], vec![4_096; 3]), &[0.01, 0.02, 0.03]);
    let h100 = ["--gpu", "h100-sxm", "--out", out.to_str().unwrap()];
    refused(&calibrate(&[&few], &h100), &["products: 3 usable rows cannot tell 3 numbers (linear_compute_share"]);
    write(&few, &head, &sizes(vec![1, 2, 4], vec![4_096; 3]), &[0.01, f64::NAN, 0.03]);
    refused(&calibrate(&[&few], &h100), &["few.parquet: row 2: latency is NaN; it must be a time above 0"]);
    write(&few, &head, &sizes(vec![1, 2, 4], vec![4_096; 3])[..2], &[0.01, 0.02, 0.03]);
    refused(&calibrate(&[&few], &h100), &["few.parquet: column `k` is missing; the file has version, device"]);
    let wide: Vec<i64> = (1..=40).map(|i| 1_024 * i).collect();
    let of_one_token = [("m", vec![1; 40]), ("n", vec![4_096; 40]), ("k", wide.clone())];
    let bytes = |k: &i64| 0.004 + (8_192 * k) as f64 / 2.68e9;
    write(&few, &head, &of_one_token, &wide.iter().map(bytes).collect::<Vec<_>>());
    refused(&calibrate(&[&few], &h100), &["products: linear_compute_share plays no part in the rows"]);
    let mut thousandth = grid(&[&[1, 64, 4_096], &[1_024, 4_096, 8_192, 14_336], &[1_024, 4_096, 8_192]]);
    thousandth.retain(|r| r[1] != r[2]);
    let seconds: Vec<f64> =
        thousandth.iter().map(|r| 1e-6 + (r[0] * r[1] * r[2] + 700 * r[1] * r[2]) as f64 / 4e14).collect();
    write(&few, &head, &columns(&["m", "n", "k"], &thousandth), &seconds);
    refused(
        &calibrate(&[&few], &h100),
        &["the tables say that ", " is not a share above 0 and up to 1.5; are their times in ms"],
    );
    assert!(!out.exists(), "no profile is left behind");

    let at = dir.path().join("out");
    let missing = replay(&at, "kernels", &dir.path().join("none"));
    refused(&missing, &["pool.chat.kernels: ", "none: No such file"]);
    write(&few, &head, &sizes(vec![1, 2, 4], vec![512; 3]), &[0.01, 0.02, 0.03]);
    refused(
        &replay(&at, "kernels", &few),
        &["pool.chat.kernels: ", "few.parquet: products: a layer has 14336 inputs, and the table has 4096 to 4096"],
    );
    fit(&["--gpu", "h100-sxm"]).well();
    let text = std::fs::read_to_string(&out).unwrap();
    std::fs::write(&out, text.replace("gpu = \"h100-sxm\"", "gpu = \"l4\"")).unwrap();
    refused(&replay(&at, "profile", &out), &["pool.chat.profile", "is of l4; this is h100-sxm"]);
    std::fs::write(&out, text.replace("dtype = \"bf16\"", "dtype = \"fp8\"")).unwrap();
    refused(&replay(&at, "profile", &out), &["is of weights in fp8; these are in bf16"]);
    let mut both = command();
    let sets = [format!("pool.chat.kernels={}", folder.display()), "pool.chat.profile=x".to_owned()];
    both.arg("run").arg(root().join("experiments/quickstart.toml"));
    sets.iter().for_each(|s| {
        both.args(["--set", s]);
    });
    refused(&end_of(&mut both), &["pool.chat.kernels: profile is given too; a pool has one step time"]);
    assert!(!at.exists(), "nothing is written");
}

fn validate(kind: &str, files: &[PathBuf], more: &[&str]) -> serde_json::Value {
    let mut c = command();
    c.args(["validate", "--kind", kind, "--format", "json"]).args(files).args(more);
    serde_json::from_str(&end_of(&mut c).well().stdout).unwrap()
}

#[track_caller]
fn median(scores: &serde_json::Value, metric: &str, most: f64) {
    let got = scores["overall"]["metrics"][metric]["median_ape"].as_f64().unwrap_or(f64::NAN);
    assert!(got <= most, "{metric} is off by {got:.3}, over {most}: {}", scores["notes"]);
}

#[test]
fn published_tables_of_an_h100_predict_its_engines() {
    let Some(folder) = data("published_tables_of_an_h100_predict_its_engines") else { return };
    let kernels = folder.join("kernels/h100_sxm");
    let runs: Vec<PathBuf> = [2, 4, 6, 8]
        .map(|r| folder.join(format!("calibration/vllm023_qwen3-14b_h100_sweep_rate_agg_{r}rps.csv.gz")))
        .to_vec();
    let tables = ["--kernels", kernels.to_str().unwrap()];
    let scores = validate("vllm-requests", &runs, &tables);
    median(&scores, "e2e_p50_s", 0.07);
    median(&scores, "ttft_p50_s", 0.12);
    let silicon = [folder.join("calibration/inferencex_silicon.csv")];
    let scores = validate("inferencex", &silicon, &tables);
    median(&scores, "tpot_s", 0.11);
    let notes = scores["notes"].to_string();
    assert!(notes.contains("gpt-oss-120b: the table model knows full attention"), "what is left out is said: {notes}");

    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("h100.toml");
    calibrate(&[&kernels], &["--gpu", "h100-sxm", "--out", out.to_str().unwrap()]).well();
    let scores = validate("vllm-requests", &runs, &["--profile", out.to_str().unwrap()]);
    median(&scores, "e2e_p50_s", 0.03);
    median(&scores, "ttft_p50_s", 0.05);
    let row = std::fs::read_to_string(&out).unwrap().parse::<toml::Table>().unwrap()["step_time"][0].clone();
    // What the catalogue says of this GPU, fitted by another program from the same tables.
    for (key, want, within) in
        [("memory_share", 0.876, 0.01), ("linear_launch_us", 3.7, 0.02), ("attention_row_tokens", 517.0, 0.02)]
    {
        let got = row[key].as_float().unwrap();
        assert!((got / want - 1.0).abs() < within, "{key} is {got}; experiments/calibration/fit.py says {want}");
    }
}

#[test]
fn published_tables_of_all_three_gpus_read() {
    let Some(folder) = data("published_tables_of_all_three_gpus_read") else { return };
    let dir = tempfile::tempdir().unwrap();
    for (name, gpu, dtypes) in [
        ("h100_sxm", "h100-sxm", &["bf16", "fp8", "fp8-block", "mxfp4"][..]),
        ("a100_sxm", "a100-80-sxm", &["bf16"]),
        ("l40s", "l40s", &["bf16", "fp8"]),
    ] {
        for dtype in dtypes {
            let out = dir.path().join(format!("{name}-{dtype}.toml"));
            let args = ["--gpu", gpu, "--dtype", dtype, "--out", out.to_str().unwrap()];
            calibrate(&[&folder.join("kernels").join(name)], &args).well();
        }
    }
}

#[test]
fn a_model_that_is_left_out_is_predicted_from_the_others_and_what_cannot_be_split_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rows = dir.path().join("rows.csv");
    let head = "concurrency,backend,model_path,system,precision,isl,osl,tp_size,silicon_ttft_ms,silicon_tpot_ms";
    std::fs::write(&rows, format!("{head}\n2,vllm,Qwen/Qwen3-32B,h100_sxm,,64,16,2.0,100,20\n")).unwrap();
    let split = |more: &[&str]| {
        let mut c = command();
        c.args(["validate", "--kind", "inferencex"]).arg(&rows).args(more);
        end_of(&mut c)
    };
    refused(&split(&["--folds", "5"]), &["--folds: it is 5; give 2 to 1, the number of groups"]);
    refused(&split(&["--leave-out", "each"]), &["without qwen3-32b no row is left to fit"]);
    refused(&split(&["--leave-out", "gpt-oss-120b"]), &["no row is of gpt-oss-120b; there are rows of qwen3-32b"]);
    refused(&split(&["--also", "runs.csv"]), &["--also: nothing is fitted without --folds or --leave-out"]);
    refused(&split(&["--folds", "5", "--profile", "h100-sxm"]), &["--folds <N>' cannot be used with '--profile"]);
    let mut other = command();
    other.args(["validate", "--kind", "ml-energy", "--folds", "5"]).arg(&rows);
    refused(&end_of(&mut other), &["--folds and --leave-out fit on rows of inferencex"]);
    tables(&dir.path().join("h100"), 700.0);
    let mut steps = command();
    steps.args(["validate", "--kind", "engine-steps"]).arg(&rows).arg("--kernels").arg(dir.path().join("h100"));
    refused(&end_of(&mut steps), &["kernel tables price kernels of a GPU of the catalogue", "give a profile of"]);

    let Some(folder) = data("a_model_that_is_left_out_is_predicted_from_the_others") else { return };
    let silicon = [folder.join("calibration/inferencex_silicon.csv")];
    // Its experts are priced by numbers of kernel tables alone.
    let scores = validate("inferencex", &silicon, &["--leave-out", "gpt-oss-120b"]);
    median(&scores, "tpot_s", 0.20);
    let groups = scores["groups"].as_array().unwrap();
    assert!(groups.iter().all(|g| g["group"].as_str().unwrap().starts_with("openai/gpt-oss-120b ")), "{scores}");
    assert!(scores["notes"].to_string().contains("mxfp4 expert_memory_share 0.610 (no row says it)"), "{scores}");
}
