//! Trace readers through the whole program: every row of the registry is in help, schema and documentation, and what is no text is
//! recognised on a disk too. `crates/trace/src/registry_tests.rs` has the laws of rows by themselves.
use crate::program::{command, end_of, root};
use baseload::experiment::open_trace;
use baseload::trace::{Readers, SourceOptions, Tried, collect};

fn help(words: &[&str]) -> String {
    let text = end_of(command().args(["trace"]).args(words).arg("--help")).well().stdout;
    // Help is wrapped; a name has no space, so that it is whole in a line.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_row_is_in_help_schema_and_documentation() {
    let (rows, names) = (Readers::embedded().rows().to_vec(), Readers::embedded().names());
    for command in ["info", "convert", "transform", "validate"] {
        let said = help(&[command]);
        assert!(said.contains(&format!("instead of what its content says: {names}")), "trace {command}: {said}");
    }
    let schema = std::fs::read_to_string(root().join("schema/experiment.schema.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let listed = schema["$defs"]["TraceSection"]["properties"]["input_format"]["enum"].as_array().unwrap();
    let listed: Vec<&str> = listed.iter().filter_map(|name| name.as_str()).collect();
    assert_eq!(listed.join(", "), names);
    let page = std::fs::read_to_string(root().join("traces/README.md")).unwrap();
    let (_, table) = page.split_once("| `--input-format` | what | tried on the original | what to know |").unwrap();
    let table = table.split("\n\n").next().unwrap().lines().skip(2).map(|line| line.split('|').collect::<Vec<_>>());
    let documented: Vec<(&str, &str)> =
        table.flat_map(|cells| cells[1].split(',').map(move |name| (name.trim(), cells[3].trim()))).collect();
    let expected: Vec<(String, &str)> = rows
        .iter()
        .map(|row| {
            let tried = match row.tried {
                Tried::On(what) => what,
                Tried::Nothing => "no",
                Tried::Own => "ours",
            };
            (format!("`{}`", row.name), tried)
        })
        .collect();
    assert_eq!(documented, expected.iter().map(|(name, tried)| (name.as_str(), *tried)).collect::<Vec<_>>());
    let validate = help(&["validate"]);
    let untried = Readers::embedded().untried();
    assert!(untried.iter().all(|name| validate.split("Readers of").nth(1).unwrap().contains(name)), "{validate}");
}

#[test]
fn rows_without_an_example_are_recognised_on_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let clients = dir.path().join("clients");
    std::fs::create_dir(&clients).unwrap();
    std::fs::write(clients.join("chunk-0-trace.csv"), "0,2.0,1.0,Gamma,1.0,0.5\n600,0,0,,0,0\n").unwrap();
    let lengths = "{\"0\": {\"input_tokens\": \"{45: 1.0}\", \"output_tokens\": \"{3: 1.0}\"}}";
    std::fs::write(clients.join("chunk-0-dataset.json"), lengths).unwrap();
    std::fs::write(dir.path().join("pool.toml"), "requests = 5\nservegen.path = \"clients\"\n").unwrap();
    std::fs::write(dir.path().join("own.csv"), "arrival_s,prompt_tokens,output_tokens\n0,5,5\n").unwrap();
    end_of(command().current_dir(dir.path()).args(["trace", "convert", "own.csv", "own.parquet"])).well();
    for (file, format) in [
        ("clients", "servegen"),
        ("pool.toml", "generator"),
        ("own.parquet", "baseload-parquet"),
        ("own.csv", "baseload-csv"),
    ] {
        let options = SourceOptions::default();
        let mut opened =
            open_trace(&dir.path().join(file), None, &[], &options).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(opened.format.name, format, "{file}");
        assert!(!collect(&mut *opened.entries).unwrap().is_empty(), "{file}");
    }
    // A reader that is named is taken at its word.
    let named = Readers::embedded().named("azure").unwrap();
    let says = |file: &str| {
        let opened = open_trace(&dir.path().join(file), Some(named), &[], &SourceOptions::default());
        opened.and_then(|mut o| collect(&mut *o.entries)).unwrap_err().to_string()
    };
    assert!(says("clients").ends_with("clients:1: it is a folder; it must be a file"), "{}", says("clients"));
    assert!(says("own.csv").contains("own.csv:1: the header is wrong"), "{}", says("own.csv"));
}
