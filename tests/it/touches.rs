//! What it takes to add something: ARCHITECTURE.md's table "Where to add" gives a number of files and of lines, and each number
//! is counted here.
//!
//! Engines, presets and readers are counted in `tests/toys`, a program that adds one of each and runs them; what has no toy is
//! counted in the sources. A file's own `mod` line, without which Rust does not find it, is no touch.
use crate::program::root;
use std::collections::BTreeMap;
use std::path::Path;

/// New files, and lines in files that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Touches {
    files: usize,
    lines: usize,
}

type Count = fn() -> Touches;

/// What is counted, by the first words of the table's rows.
const COUNTED: [(&str, Count); 7] = [
    ("a trace reader", || toy("toy_reader")),
    ("a preset", || toy("toy_preset")),
    ("an engine", || toy("toy_engine")),
    ("an endpoint behaviour", endpoint_behaviour),
    ("a catalog fact", catalog_fact),
    ("a chart", chart),
    ("a key to set from outside", key),
];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Sources below a folder, by path from the root, without tests.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(root().join(&folder)).unwrap() {
            let path = file.unwrap().path();
            let name = format!("{folder}/{}", path.file_name().unwrap().to_string_lossy());
            if path.is_dir() {
                folders.push(name);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && !name.contains("/tests/") {
                let text = read(&name);
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                found.insert(name, code.to_owned());
            }
        }
    }
    found
}

/// All of Baseload's.
fn baseload() -> BTreeMap<String, String> {
    ["src", "crates/core/src", "crates/trace/src"].into_iter().flat_map(sources).collect()
}

/// Lines with `word`, but comments and a file's `mod`.
fn lines_with<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.lines().map(str::trim).filter(move |line| {
        let whole = |(at, _): (usize, &str)| {
            !line[..at].ends_with(is_of_word) && !line[at + word.len()..].starts_with(is_of_word)
        };
        !line.starts_with("//") && !line.ends_with(&format!("mod {word};")) && line.match_indices(word).any(whole)
    })
}

/// A toy's file or folder, and the lines elsewhere in its program that name it.
fn toy(name: &str) -> Touches {
    let sources = sources("tests/toys/src");
    let own = |path: &str| path.starts_with(&format!("tests/toys/src/{name}"));
    let (mine, others): (Vec<_>, Vec<_>) = sources.iter().partition(|(path, _)| own(path));
    assert!(!mine.is_empty(), "tests/toys has no {name}");
    let lines = others.iter().flat_map(|(_, text)| lines_with(text, name)).count();
    for (path, text) in baseload() {
        assert_eq!(lines_with(&text, name).count(), 0, "{path} knows {name}; only its program may");
    }
    Touches { files: mine.len(), lines }
}

/// A behaviour with a file in `api/`: its field in `EndpointSpec`, its key in `[endpoint.NAME]`, and where the one is made of
/// the other.
fn endpoint_behaviour() -> Touches {
    let of = |path: &str, from: &str, to: &str| {
        let text = read(path);
        let body = text.split_once(from).unwrap_or_else(|| panic!("{path} has no `{from}`")).1;
        body.split_once(to).unwrap().0.to_owned()
    };
    let spec = of("crates/core/src/api/endpoint.rs", "pub struct EndpointSpec {", "\n}");
    let keys = of("src/experiment/format/endpoint.rs", "pub struct EndpointSection {", "\n}");
    let filled = of("src/experiment/resolve/endpoint.rs", "let spec = EndpointSpec {", "\n        };");
    let built = |line: &&str| {
        line.contains("EndpointSpec {") && !["struct", "impl", "->"].iter().any(|other| line.contains(other))
    };
    let places: usize = baseload().into_values().map(|text| text.lines().filter(built).count()).sum();
    assert_eq!(places, 1, "an endpoint is made in one place of the program");
    let each = ["prompt_cache", "limits", "latency", "price"].map(|file| {
        let there = |path: String| root().join("crates/core/src/api").join(path).exists();
        let field = file.trim_start_matches("prompt_");
        let declared = format!("pub {field}: ");
        let is_filled = |line: &&str| [format!("{field},"), format!("{field}: ")].iter().any(|f| line.starts_with(f));
        Touches {
            files: usize::from(there(format!("{file}.rs")) || there(format!("{file}/mod.rs"))),
            lines: spec.lines().chain(keys.lines()).filter(|line| line.trim().starts_with(&declared)).count()
                + filled.lines().map(str::trim).filter(is_filled).count(),
        }
    });
    assert!(each.iter().all(|one| *one == each[0]), "{each:?}");
    each[0]
}

/// A user's row: no file of the program, a table of theirs. That it is used is said by the toys' rent.
fn catalog_fact() -> Touches {
    let lines = read("tests/toys/toy_row.toml").lines().filter(|line| line.starts_with("[[")).count();
    let knowing = baseload().into_iter().filter(|(_, text)| text.contains("\"toys\"")).map(|(path, _)| path);
    assert_eq!(knowing.collect::<Vec<_>>(), Vec::<String>::new(), "a row is known by nobody but who names it");
    Touches { files: 0, lines }
}

/// A chart of the report: the function that draws it, in a file, and the lines elsewhere that name it.
fn chart() -> Touches {
    let report = sources("src/report");
    let list = &report["src/report/chart_list.rs"];
    let rows: Vec<&str> = list.lines().filter(|line| line.trim().starts_with("Chart::new(")).collect();
    assert!(rows.len() > 3, "the report's charts are listed in chart_list.rs");
    let drawers = rows.iter().map(|row| {
        let row = row.trim_end_matches("),").trim_end_matches(')');
        let said = row.split([' ', '(']).rfind(|part| part.contains("::") && !part.starts_with("Chart"));
        said.unwrap_or_else(|| panic!("no function in {row}")).split_once("::").unwrap()
    });
    let each: Vec<Touches> = drawers
        .map(|(file, function)| {
            let path = format!("src/report/{file}.rs");
            let defined = report[&path].contains(&format!("fn {function}("));
            let others = report.iter().filter(|(other, _)| **other != path);
            let named = format!("{file}::{function}");
            Touches {
                files: usize::from(defined),
                lines: others.flat_map(|(_, text)| lines_with(text, &named)).count(),
            }
        })
        .collect();
    assert!(each.iter().all(|one| *one == each[0]), "{each:?}");
    each[0]
}

/// Keys of the toys are set from outside in their tests; nothing in Baseload says their names.
fn key() -> Touches {
    let tests = read("tests/toys/tests/toys.rs");
    let keys = ["toy_preset.longer_than", "engine.toy.queue"];
    assert!(keys.iter().all(|key| tests.contains(&format!("{key}="))), "the toys' tests set their keys");
    let lines = baseload().into_values().map(|text| lines_with(&text, "longer_than").count()).sum();
    Touches { files: 0, lines }
}

/// Rows of the table under "Where to add" that have numbers.
fn table(text: &str) -> BTreeMap<String, Touches> {
    let (_, part) = text.split_once("\n## Where to add\n").expect("ARCHITECTURE.md says where to add");
    let part = part.split("\n## ").next().unwrap_or_default();
    let mut rows = part.lines().filter(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{line}");
        cells
    });
    assert_eq!(rows.next().map(|head| head[1..3].to_vec()), Some(vec!["files", "lines"]), "the table gives numbers");
    let number = |text: &str| text.parse::<usize>().ok();
    rows.filter_map(|c| Some((c[0].to_owned(), Touches { files: number(c[1])?, lines: number(c[2])? }))).collect()
}

#[test]
fn architecture_says_how_many_touches_it_takes() {
    let said = table(&read("ARCHITECTURE.md"));
    let counted: BTreeMap<String, Touches> =
        COUNTED.into_iter().map(|(what, count)| (what.to_owned(), count())).collect();
    assert_eq!(said, counted, "ARCHITECTURE.md's numbers (left) against what is counted (right)");
}

/// A row of a registry is named in the list alone: another list of names would be a touch more.
#[test]
fn rows_of_registries_stand_in_one_list() {
    let sources = baseload();
    for (list, rows) in [
        ("crates/core/src/engine/embedded.rs", "::ROW"),
        ("crates/core/src/gateway/presets/mod.rs", "::PRESETS"),
        ("crates/trace/src/embedded.rs", "::FORMAT"),
    ] {
        let named = sources[list].split(|c: char| !(c.is_alphanumeric() || "_:".contains(c)));
        let named: Vec<&str> = named.filter(|word| word.ends_with(rows)).collect();
        assert!(named.len() > 1, "{list} lists rows");
        for row in named {
            let room = Path::new(list).parent().unwrap().to_string_lossy().into_owned();
            let elsewhere = sources.iter().filter(|(path, _)| path.starts_with(&room) && *path != list);
            let elsewhere: Vec<&str> = elsewhere
                .flat_map(|(_, text)| lines_with(text, row))
                // Three rows of our own schema and of column maps are named in Rust by who writes them.
                .filter(|line| !line.starts_with("pub use"))
                .collect();
            assert_eq!(elsewhere, Vec::<&str>::new(), "{row} is named outside {list}");
        }
    }
}

/// Names of published formats stand in their reader's file alone, and in the list of what can be written.
#[test]
fn no_list_of_formats_is_written_by_hand() {
    let mine = baseload::trace::Readers::embedded();
    let published = mine.rows().iter().filter(|row| row.tried != baseload::trace::Tried::Own && !row.drawn);
    for row in published {
        let quoted = format!("\"{}\"", row.name);
        let places = ["crates/trace/src", "src/cli/trace", "src/frames"].into_iter().flat_map(sources);
        let places: Vec<String> = places
            .filter(|(path, text)| text.contains(&quoted) && !path.ends_with("write/mod.rs"))
            .map(|p| p.0)
            .collect();
        assert_eq!(places.len(), 1, "{} is named in {places:?}", row.name);
    }
}
