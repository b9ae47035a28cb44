//! Numbers at their bounds and beyond: each number of the experiment file is refused at its key when it is out of bounds, and
//! simulated without a panic when it is the least or the largest that there may be.
use baseload::catalog::Bounds;
use baseload::experiment::format::ExperimentFile;
use baseload::experiment::{Experiment, Settings};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// A pool, two endpoints and two policies, so that most keys have something to stand at.
const BASE: &str = "name = \"t\"\n[trace]\ngenerate = \"g.toml\"\nlimit = 12\n[class.hard]\nshare = 0.1\n[slo]\nttft = \"2s\"\n\
    [pool.chat]\nmodel = \"llama-3.1-8b\"\ngpu = \"l4\"\nrent = { usd_per_gpu_hour = 1.0 }\nmax_model_len = 8192\n\
    [endpoint.haiku]\ncatalog = \"anthropic/claude-haiku-4-5\"\n[endpoint.gpt]\ncatalog = \"openai/gpt-4o\"\n\
    [policy.over]\npools = { chat = 1 }\n[policy.over.overflow]\nto = \"haiku\"\nwaiting_per_replica = 4\n[policy.plain]\n";
const GENERATOR: &str = "requests = 40\narrivals.rate = [{ at = \"0s\", per_s = 4.0 }]\nprompt = { constant = 300 }\n\
    output = { constant = 20 }\n";

/// A number of the schema: how a `--set` gives it `$`, and its bounds.
struct Number {
    set: String,
    min: f64,
    max: f64,
    whole: bool,
}

/// Every number below `schema`. `path` leads there; `open` and `close` are what stands around it inside of a list.
fn numbers(root: &Value, schema: &Value, path: &str, around: [&str; 2], depth: usize, into: &mut Vec<Number>) {
    if depth > 9 {
        return;
    }
    let mut go = |schema: &Value, path: &str, around: [&str; 2]| numbers(root, schema, path, around, depth + 1, into);
    if let Some(name) = schema["$ref"].as_str() {
        return go(root.pointer(&name[1..]).expect("the schema has what it refers to"), path, around);
    }
    for inner in ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|of| schema[of].as_array()).flatten() {
        go(inner, path, around);
    }
    let [open, close] = around;
    let in_list = !open.is_empty();
    let below = |key: &str| match in_list {
        // Inside of a list tables are written inline.
        true => (path.to_owned(), format!("{open}{{ {key} = "), format!(" }}{close}")),
        false => (if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }, String::new(), String::new()),
    };
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let (path, open, close) = below(key);
        go(inner, &path, [&open, &close]);
    }
    if schema["additionalProperties"].is_object() {
        let name = match path {
            "pool" | "policy.over.pools" => "chat",
            "endpoint" => "haiku",
            "policy" => "over",
            "outages" => "anthropic",
            _ if path.ends_with("scorers") => "queue",
            _ if path.ends_with("weights") => "haiku",
            _ => "hard",
        };
        let (path, open, close) = below(name);
        go(&schema["additionalProperties"], &path, [&open, &close]);
    }
    if schema["items"].is_object() {
        go(&schema["items"], path, [&format!("{open}["), &format!("]{close}")]);
    }
    let kinds = schema["type"].to_string();
    if let (true, Some(min), Some(max)) =
        (kinds.contains("integer") || kinds.contains("number"), schema["minimum"].as_f64(), schema["maximum"].as_f64())
    {
        into.push(Number { set: format!("{path}={open}${close}"), min, max, whole: !kinds.contains("number") });
    }
}

fn all() -> Vec<Number> {
    let schema = schemars::schema_for!(ExperimentFile).to_value();
    let mut all = Vec::new();
    numbers(&schema, &schema, "", ["", ""], 0, &mut all);
    all
}

impl Number {
    fn at(&self, x: f64) -> String {
        self.set.replace('$', &if self.whole { format!("{x:.0}") } else { format!("{x:?}") })
    }
}

fn load(dir: &Path, set: &str) -> Result<Experiment, String> {
    let settings = Settings { sets: vec![set.to_owned()], ..Settings::default() };
    Experiment::load_with(&dir.join("e.toml"), &settings).map_err(|faults| faults.to_string())
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("e.toml"), BASE).unwrap();
    std::fs::write(dir.path().join("g.toml"), GENERATOR).unwrap();
    dir
}

#[test]
fn every_number_of_the_schema_has_a_smallest_and_a_largest_value() {
    assert_eq!(Bounds::of::<ExperimentFile>().lacking(), Vec::<String>::new());
    assert!(all().len() > 130, "the walk below reaches them: {}", all().len());
}

#[test]
fn a_number_beyond_its_bounds_is_refused_at_its_key() {
    let dir = folder();
    for number in all() {
        for x in [number.max * 2.0 + 7.0, number.min - number.min.abs() - 3.0] {
            if number.whole && x.abs() >= 9e18 {
                continue; // no number of TOML
            }
            let set = number.at(x);
            let said = load(dir.path(), &set).err().unwrap_or_else(|| panic!("--set {set} is taken"));
            assert!(said.contains(&format!("--set {set}")) && said.contains("; it must be a "), "{set}: {said}");
        }
    }
}

#[test]
fn no_number_within_its_bounds_makes_the_program_panic() {
    let dir = folder();
    let (mut ran, mut panicked) = (0, Vec::new());
    for number in all() {
        for x in [number.min, number.max] {
            let set = number.at(x);
            let run = AssertUnwindSafe(|| load(dir.path(), &set).is_ok_and(|exp| exp.run().is_ok()));
            match catch_unwind(run) {
                Ok(whole) => ran += usize::from(whole),
                Err(_) => panicked.push(set),
            }
        }
    }
    assert_eq!(panicked, Vec::<String>::new());
    assert!(ran > 90, "most bounds make an experiment that runs: {ran}");
}

/// What settings multiply is bounded together, not only one by one.
#[test]
fn more_replicas_than_memory_holds_are_refused_and_many_pools_are_not() {
    let dir = folder();
    let pool = |i: usize| {
        format!(
            "[pool.p{i}]\nmodel = \"llama-3.1-8b\"\ngpu = \"l4\"\nrent = {{ usd_per_gpu_hour = 1.0 }}\nmax_model_len = 8192\n"
        )
    };
    let many = |replicas: u32| {
        let pools: String = (0..63).map(|i| pool(i) + &format!("replicas = {replicas}\n")).collect();
        std::fs::write(dir.path().join("e.toml"), BASE.replace("[policy.over]", &format!("{pools}[policy.over]")))
            .unwrap();
        Experiment::load(&dir.path().join("e.toml"))
    };
    let summary = many(1).unwrap().run().unwrap();
    assert_eq!((summary.policies[0].pools.len(), summary.policies[0].completed), (64, 12));
    let said = many(10_000).err().expect("630,001 are refused").to_string();
    assert!(said.contains("pools: 630,001 replicas in all; a policy keeps 50,000 at most"), "{said}");
    let one_more = format!("{}{}", std::fs::read_to_string(dir.path().join("e.toml")).unwrap(), pool(99));
    std::fs::write(dir.path().join("e.toml"), one_more).unwrap();
    let said = Experiment::load(&dir.path().join("e.toml")).err().expect("65 pools are refused").to_string();
    assert!(said.contains("pool: it has 65 pools; an experiment has 64 at most"), "{said}");
}
