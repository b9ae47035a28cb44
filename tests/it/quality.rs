//! Quality served: RouteLLM's table to the digit, silent drift, and what is refused.
use crate::program::{Ended, command, data, end_of, root};
use serde_json::Value;
use std::path::Path;

/// Runs an experiment with files beside it; its summary, if it ended well.
fn run(experiment: &str, table: &str, more: &[&str]) -> (Ended, Option<Value>) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("e.toml"), experiment).unwrap();
    std::fs::write(dir.path().join("t.csv"), TRACE).unwrap();
    std::fs::write(dir.path().join("q.csv"), table).unwrap();
    let mut run = command();
    run.current_dir(dir.path()).args(["run", "e.toml", "--quiet", "--out", "result"]).args(more);
    let ended = end_of(&mut run);
    let summary = std::fs::read_to_string(dir.path().join("result/summary.json")).ok();
    if ended.code != 0 {
        assert_eq!(dir.path().read_dir().unwrap().count(), 3, "a run that fails leaves nothing: {}", ended.stderr);
    }
    (ended, summary.map(|s| serde_json::from_str(&s).unwrap()))
}

fn policy<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let all = summary["policies"].as_array().unwrap();
    all.iter().find(|p| p["name"] == name).unwrap_or_else(|| panic!("no policy {name}"))
}

fn served(summary: &Value, name: &str) -> Option<f64> {
    policy(summary, name).get("quality_served").and_then(Value::as_f64)
}

const TRACE: &str = "arrival_s,prompt_tokens,output_tokens\n0,512,40\n1,8,120\n2,8,9\n3,8,9\n";
const TABLE: &str = "subject,weak,strong\na,1,1\na,0,1\na,0,0\na,1,0\n";
/// Two models, weak and strong, of a table.
const TWO: &str = r#"
name = "t"
[trace]
path = "t.csv"
[quality]
table = "q.csv"
[endpoint.weak]
catalog = "deepinfra/meta-llama/Meta-Llama-3.1-8B-Instruct"
error_rate = 0.0
quality = { column = "weak" }
[endpoint.strong]
catalog = "openai/gpt-4o"
error_rate = 0.0
quality = { column = "strong" }
[policy.weak]
endpoints = ["weak"]
api_only = {}
[policy.strong]
endpoints = ["strong"]
api_only = {}
[policy.oracle]
oracle_quality = { to = "strong" }
[policy.predicted]
route_llm_threshold = { to = "strong", strong_share = 0.5, predictor = { auc = 0.7 } }
"#;

#[test]
fn outcomes_of_a_table_are_served_by_the_place_that_answers() {
    let (ended, summary) = run(TWO, TABLE, &[]);
    let summary = summary.unwrap_or_else(|| panic!("{}", ended.stderr));
    assert_eq!([served(&summary, "weak"), served(&summary, "strong")], [Some(0.5), Some(0.5)]);
    assert_eq!(served(&summary, "oracle"), Some(0.75), "right where any of the two is");
    let dollars = |name: &str| policy(&summary, name)["total_usd_per_month"].as_f64().unwrap();
    assert!(dollars("weak") < dollars("oracle") && dollars("oracle") < dollars("strong"));
    let (_, none) = run(&TWO.replace("quality = { column = \"weak\" }\n", "").replace("[policy.oracle]\noracle_quality = { to = \"strong\" }\n[policy.predicted]\nroute_llm_threshold = { to = \"strong\", strong_share = 0.5, predictor = { auc = 0.7 } }\n", "[policy.both]\n"), TABLE, &[]);
    let none = none.unwrap();
    assert_eq!(
        (served(&none, "weak"), served(&none, "strong")),
        (None, Some(0.5)),
        "what is not known is absent, not 0"
    );
    let warnings = none["warnings"].to_string();
    assert!(warnings.contains("policy both: the quality of weak is not given"), "{warnings}");
}

#[test]
fn a_shorter_table_is_refused_or_begins_again() {
    let short = "subject,weak,strong\na,1,1\na,0,1\n";
    let (ended, _) = run(TWO, short, &[]);
    let message = ended.message();
    assert_eq!(ended.code, 2, "{message}");
    for word in ["e.toml:6: quality.table: the table has 2 rows", "trace.limit = 2", "quality.repeat = true"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    let (_, again) = run(TWO, short, &["--set", "quality.repeat=true"]);
    let again = again.unwrap();
    assert_eq!([served(&again, "weak"), served(&again, "strong")], [Some(0.5), Some(1.0)]);
    assert!(run(TWO, short, &["--set", "trace.limit=2"]).1.is_some());
}

#[test]
fn wrong_qualities_name_file_line_and_key() {
    let edited = |from: &str, to: &str, words: &[&str]| {
        assert!(TWO.contains(from), "{from}");
        let (ended, _) = run(&TWO.replacen(from, to, 1), TABLE, &[]);
        let message = ended.message();
        assert_eq!(ended.code, 2, "{to}: {message}");
        for word in words {
            assert!(message.contains(word), "{to}: `{word}` is not in: {message}");
        }
    };
    let line = "quality = { column = \"weak\" }";
    edited(
        line,
        "quality = { column = \"wake\" }",
        &["e.toml:10: endpoint.weak.quality.column", "`wake`", "did you mean `weak`?"],
    );
    edited(line, "quality = { share = 1.5 }", &["e.toml:10: endpoint.weak.quality.share: it is 1.5", "from 0 to 1"]);
    edited(line, "quality = {}", &["endpoint.weak.quality: it says nothing", "give share or column"]);
    edited(
        line,
        "quality = { share = 0.5, column = \"weak\" }",
        &["endpoint.weak.quality: share and column are given", "give one"],
    );
    edited(line, "quality = { column = \"subject\" }", &["quality.table: ", "q.csv:2: subject is `a`; it must be 1"]);
    edited("[quality]\ntable = \"q.csv\"\n", "", &["e.toml:8: endpoint.weak.quality.column: there is no [quality]"]);
    edited("table = \"q.csv\"", "table = \"none.csv\"", &["e.toml:6: quality.table: ", "none.csv"]);
    edited(
        "table = \"q.csv\"",
        "source = \"routellm-mmlo\"",
        &["e.toml:6: quality.source: ", "did you mean `routellm-mmlu`"],
    );
    edited("table = \"q.csv\"", "", &["quality: it says not which table", "give exactly one of source and table"]);
    edited(
        "auc = 0.7",
        "auc = 1.0",
        &["policy.predicted.route_llm_threshold.predictor.auc: it is 1", "oracle_quality"],
    );
    edited("auc = 0.7", "auc = 0.3", &["predictor.auc: it is 0.3", "it must lie from 0.5"]);
    edited("{ to = \"strong\" }", "{ to = \"cheapest\" }", &["policy.oracle.oracle_quality.to: it is \"cheapest\""]);
    edited(
        "{ to = \"strong\" }",
        "{ to = \"strong\", weak = \"wek\" }",
        &["oracle_quality.weak: ", "did you mean `weak`"],
    );
    edited(
        "error_rate = 0.0",
        "price = { input_usd_per_million = -1.0, output_usd_per_million = 1.0 }",
        &["e.toml:9: endpoint.weak.price.input_usd_per_million: it is -1"],
    );
    edited("[policy.weak]", "[drift]\nchanges_per_year = 0.0\n[policy.weak]", &["drift.changes_per_year: it is 0"]);
    edited("[policy.weak]", "[drift]\nstep_sd = 2.0\n[policy.weak]", &["drift.step_sd: it is 2"]);
}

/// The records say of each request whether its answer, by whoever gave it, was above the bar.
#[cfg(feature = "frames")]
#[test]
fn records_hold_each_outcome() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("e.toml", TWO), ("t.csv", TRACE), ("q.csv", TABLE)] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    end_of(command().current_dir(dir.path()).args(["run", "e.toml", "--quiet", "--out", "result"])).well();
    for (policy, above, backends) in [
        ("weak", [true, false, false, true], ["weak"; 4]),
        ("oracle", [true, true, false, true], ["weak", "strong", "weak", "weak"]),
    ] {
        let path = dir.path().join(format!("result/requests/policy={policy}/replicate=0/part.parquet"));
        let table = baseload::frames::TableFile::open(&path).unwrap();
        let column = |name: &str| table.whole_column(name).unwrap();
        let index: Vec<u64> = column("index").whole().unwrap().into_iter().flatten().collect();
        let said: Vec<Option<bool>> = column("above_bar").flags().unwrap();
        let by: Vec<String> = column("backend").texts().unwrap().into_iter().flatten().collect();
        assert_eq!((index.len(), said.len(), by.len()), (4, 4, 4));
        for ((i, said), by) in index.into_iter().zip(said).zip(by) {
            assert_eq!((said, by.as_str()), (Some(above[i as usize]), backends[i as usize]), "{policy} {i}");
        }
    }
}

/// An alias and the same model pinned, a request a minute over ten days.
const DRIFT: &str = r#"
name = "t"
[trace]
path = "t.csv"
[drift]
changes_per_year = 365.0
step_sd = 0.1
[endpoint.pinned]
catalog = "openai/gpt-4o"
quality = { share = 0.8 }
[endpoint.alias]
catalog = "openai/gpt-4o"
quality = { share = 0.8 }
pinned = false
[policy.pinned]
endpoints = ["pinned"]
api_only = {}
[policy.alias]
endpoints = ["alias"]
api_only = {}
"#;

#[test]
fn an_alias_drifts_silently_and_a_pinned_model_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..14_400).map(|i| format!("{},8,2\n", i * 60)).collect();
    std::fs::write(dir.path().join("t.csv"), format!("arrival_s,prompt_tokens,output_tokens\n{rows}")).unwrap();
    std::fs::write(dir.path().join("e.toml"), DRIFT).unwrap();
    let summary_of = |sets: &[&str], out: &str| -> Value {
        let mut run = command();
        run.current_dir(dir.path()).args(["run", "e.toml", "--quiet", "--out", out]);
        end_of(run.args(sets.iter().flat_map(|s| ["--set", s]))).well();
        serde_json::from_str(&std::fs::read_to_string(dir.path().join(out).join("summary.json")).unwrap()).unwrap()
    };
    let moved = summary_of(&[], "moved");
    let (pinned, alias) = (served(&moved, "pinned").unwrap(), served(&moved, "alias").unwrap());
    assert!((pinned - 0.8).abs() < 0.015, "{pinned}");
    assert!((alias - pinned).abs() > 0.02, "ten changes of 0.1 each move it: {alias} against {pinned}");
    let still = summary_of(&["drift.changes_per_year=0.001"], "still");
    assert_eq!(served(&still, "pinned"), Some(pinned));
    assert_eq!(served(&still, "alias"), Some(pinned), "before the first change they are one model, answer by answer");
    let cost = |s: &Value, name| policy(s, name)["total_usd_per_month"].as_f64().unwrap();
    assert_eq!(cost(&moved, "alias").to_bits(), cost(&still, "alias").to_bits(), "silent: nothing else moves");
    let idle = summary_of(&["endpoint.alias.pinned=true"], "idle");
    assert!(idle["warnings"].to_string().contains("drift changes nothing"), "{}", idle["warnings"]);
    assert_eq!(served(&idle, "alias"), Some(pinned));
}

/// RouteLLM's published answers: 68.1 % and 80.6 %, exact from the table.
#[test]
fn routellm_on_mmlu_gives_the_published_ends_and_the_curve_between() {
    let Some(folder) = data("routellm_on_mmlu") else { return };
    let table = std::fs::read_to_string(folder.join("quality/routellm_mmlu.csv")).unwrap();
    let rows: Vec<(bool, bool)> = table
        .lines()
        .skip(1)
        .map(|l| {
            let fields: Vec<&str> = l.trim_end().split(',').collect();
            (fields[3] == "1", fields[4] == "1")
        })
        .collect();
    let n = rows.len() as f64;
    let share = |good: fn(&(bool, bool)) -> bool| rows.iter().filter(|r| good(r)).count() as f64 / n;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("r");
    let mut run = command();
    run.args(["run", "experiments/published/routellm-mmlu.toml", "--quiet", "--out"]).arg(&out);
    end_of(&mut run).well();
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let summary: Value = serde_json::from_str(&read("summary.json")).unwrap();
    for p in summary["policies"].as_array().unwrap() {
        assert_eq!(p["completed"].as_u64(), Some(14_042), "{}", p["name"]);
    }
    let q = |name: &str| served(&summary, name).unwrap();
    let usd = |name: &str| policy(&summary, name)["total_usd_per_month"].as_f64().unwrap();
    assert_eq!((q("weak-only"), q("strong-only")), (share(|r| r.0), share(|r| r.1)));
    assert_eq!(
        (format!("{:.3}", q("weak-only")), format!("{:.3}", q("strong-only"))),
        ("0.681".into(), "0.806".into())
    );
    assert_eq!(q("oracle"), share(|r| r.0 || r.1), "nobody is right where none of the two is");
    for (name, strong) in [("random-20", 0.2), ("random-50", 0.5), ("random-80", 0.8)] {
        let line = q("weak-only") + strong * (q("strong-only") - q("weak-only"));
        assert!((q(name) - line).abs() < 0.01, "{name} lies on the line between the ends: {} for {line}", q(name));
    }
    for (low, mid, high) in [("random-20", "auc70-20", "auc90-20"), ("random-50", "auc70-50", "auc90-50")] {
        assert!(q(low) + 0.01 < q(mid) && q(mid) + 0.01 < q(high), "{low} {} {} {}", q(low), q(mid), q(high));
        let (most, least) = (usd(low).max(usd(mid)).max(usd(high)), usd(low).min(usd(mid)).min(usd(high)));
        assert!(most / least < 1.06, "a predictor spends its share, whatever its quality: {least} to {most}");
        assert!(q(high) < q("oracle"), "never-beaten");
    }
    assert!(usd("oracle") < usd("random-50") && usd("weak-only") < usd("random-20"));
    let page = read("report.html");
    assert!(page.contains("Cost against quality") && page.contains("<th>quality<small>%</small></th>"));
    let manifest: Value = serde_json::from_str(&read("manifest.json")).unwrap();
    let roles: Vec<&str> = manifest["inputs"].as_array().unwrap().iter().map(|i| i["role"].as_str().unwrap()).collect();
    assert!(roles.contains(&"quality") && roles.contains(&"columns"), "{roles:?}");
    let here = Path::new("experiments/published/routellm-mmlu.toml");
    assert!(root().join(here).is_file());
}
