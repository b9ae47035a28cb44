//! Walls as tests: who may import whom, what the packages below must not know, and that every file says what it is for.
//!
//! The edge table is the one in ARCHITECTURE.md; this file only reads it. That no package imports one above it, and that
//! the simulation has no terminal, no frames and no thread pool, is the compiler's: Cargo.toml says what each may name.
mod map;
mod source;

use map::Map;
use source::{code, group, imports, is_word, line_of, tests_start, words};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What the packages in `crates/` must not name: a word, or a word that starts a path (`fs::`).
const BANNED: [&str; 4] = ["Instant", "SystemTime", "fs::", "thread::"];
/// Crates that no package in `crates/` may depend on: files, terminals, threads and frames are the root's.
const ROOTS_CRATES: [&str; 8] =
    ["clap", "ctrlc", "indicatif", "polars", "polars-arrow", "polars-parquet", "rayon", "ureq"];
/// Where a lint may be switched off, and which: (file, lint).
const EXCEPTIONS: [(&str, &str); 4] = [
    ("src/calibrate/make.rs", "clippy::too_many_arguments"),
    ("src/cli/artefacts.rs", "clippy::disallowed_methods"),
    ("src/cli/perf.rs", "clippy::disallowed_methods"),
    ("src/experiment/breakeven/result.rs", "missing_docs"),
];

/// Modules between the package's root and this file, of a path within the package.
fn depth_of(path: &str) -> usize {
    let parts = path.split('/').count();
    if path.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// Imports of one source that its room's row does not have.
fn edges(map: &Map, package: usize, room: &str, code: &str, say: &mut dyn FnMut(usize, String)) {
    let may = map.rooms[room].may.as_ref();
    let allowed = |name: &str| name == room || name == "types" || may.is_none_or(|m| m.contains(name));
    for (p, other) in map.packages.iter().enumerate() {
        let root = if p == package { "crate" } else { other.name.as_str() };
        for (at, name) in imports(code, root) {
            let name = match &other.room {
                Some(_) if p == package => continue,
                Some(whole) => whole.clone(),
                None => name,
            };
            let elsewhere = map.rooms.get(&name).filter(|r| r.package != p);
            if let Some(elsewhere) = elsewhere {
                let name_of = &map.packages[elsewhere.package].name;
                say(line_of(code, at), format!("edge: `{root}::{name}` is of another package; write `{name_of}`"));
            } else if !allowed(&name) {
                say(
                    line_of(code, at),
                    format!(
                        "edge: `{room}` imports `{name}`, which its row in ARCHITECTURE.md does not have; either the code belongs elsewhere, or the row needs an argument"
                    ),
                );
            }
        }
    }
}

/// `super`s that leave the room, where the edge would not be seen.
fn supers(path: &str, room: &str, code: &str, tests: usize, say: &mut dyn FnMut(usize, String)) {
    for at in words(code, "super::").filter(|&i| !code[..i].ends_with("super::")) {
        let supers = code[at..].split("::").take_while(|s| *s == "super").count();
        let limit = depth_of(path) + usize::from(line_of(code, at) > tests && tests > 0);
        if supers >= limit {
            say(
                line_of(code, at),
                format!(
                    "edge: {supers} `super::` leave room `{room}`; write `crate::...`, so that this test sees the edge"
                ),
            );
        }
    }
}

/// Files, threads and clocks where none may be.
fn bans(room: &str, code: &str, tests: usize, say: &mut dyn FnMut(usize, String)) {
    let mut found: Vec<(usize, String)> = Vec::new();
    for word in BANNED {
        let whole = |at: &usize| word.ends_with("::") || !code[at + word.len()..].starts_with(is_word);
        found.extend(words(code, word).filter(whole).map(|at| (at, word.to_string())));
    }
    for name in ["fs", "thread"] {
        let std_name = format!("std::{name}");
        for at in words(code, "std::{") {
            if group(&code[at + "std::".len()..]).iter().any(|n| n == name) {
                found.push((at, std_name.clone()));
            }
        }
        for at in words(code, &std_name) {
            let rest = &code[at + std_name.len()..];
            if !rest.starts_with(is_word) && !rest.starts_with("::") {
                found.push((at, std_name.clone()));
            }
        }
    }
    for (at, name) in found {
        if line_of(code, at) < tests {
            say(
                line_of(code, at),
                format!(
                    "core: `{room}` names `{name}`; the packages below know no files, threads or host's clock, so that results repeat"
                ),
            );
        }
    }
}

/// Lints that are switched off: (position, lint).
fn switched_off(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for open in ["#[allow(", "#[expect(", "#![allow(", "#![expect("] {
        for (at, _) in code.match_indices(open) {
            let list = code[at + open.len()..].split([')', '=']).next().unwrap_or("");
            let lints = list.split(',').map(str::trim).filter(|l| !l.is_empty() && *l != "reason");
            found.extend(lints.map(|l| (at, l.to_string())));
        }
    }
    found
}

/// Every breach, as `file:line: rule: what; why`.
fn check(architecture: &str, files: &[(String, String)]) -> Vec<String> {
    let map = match Map::parse(architecture) {
        Ok(map) => map,
        Err(e) => return vec![format!("ARCHITECTURE.md:1: edge table: {e}")],
    };
    let mut breaches = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, text) in files {
        let mut say = |line: usize, what: String| breaches.push(format!("{path}:{line}: {what}"));
        if !text.trim_start().starts_with("//!") {
            say(
                1,
                "head comment: the file does not start with `//!`; a reader must learn its purpose in one line".into(),
            );
        }
        let Some(package) = map.package_of(path) else {
            say(1, "edge table: no package of ARCHITECTURE.md has this folder".into());
            continue;
        };
        let code = code(text);
        for (at, lint) in switched_off(&code) {
            if !EXCEPTIONS.contains(&(path.as_str(), lint.as_str())) {
                say(
                    line_of(&code, at),
                    format!(
                        "ban: `{lint}` is switched off here; tests/it/tidy.rs lists where one may be, with reasons in the attribute"
                    ),
                );
            }
        }
        let Some(room) = map.room_of(package, path) else { continue };
        let row = map.rooms.get(&room).filter(|r| r.package == package);
        if row.is_none() {
            say(
                1,
                format!(
                    "edge table: room `{room}` has no row in ARCHITECTURE.md for this package; a room without a place has no walls"
                ),
            );
            continue;
        }
        seen.insert(room.clone());
        let folder = &map.packages[package].folder;
        let tests = if path.ends_with("tests.rs") { 0 } else { tests_start(&code) };
        edges(&map, package, &room, &code, &mut say);
        if map.packages[package].room.is_none() {
            supers(&path[folder.len()..], &room, &code, tests, &mut say);
        }
        if folder.starts_with("crates/") {
            bans(&room, &code, tests, &mut say);
        }
    }
    for (room, row) in map.rooms.iter().filter(|(r, _)| !seen.contains(*r)) {
        breaches.push(format!(
            "ARCHITECTURE.md:1: edge table: `{room}` has no source in {}; the map shows only what is there",
            map.packages[row.package].folder
        ));
    }
    breaches
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder entry").path();
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All sources of the three packages: (path from the root, text).
fn sources() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in ["src", "crates/core/src", "crates/trace/src"] {
        collect(&root().join(folder), &mut paths);
    }
    paths.sort();
    let name = |p: &Path| p.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
    paths.iter().map(|p| (name(p), read(p))).collect()
}

#[test]
fn sources_keep_to_the_edge_table_and_the_bans() {
    let files = sources();
    assert!(files.len() > 300, "tidy found only {} sources: it looks in the wrong place", files.len());
    let breaches = check(&read(&root().join("ARCHITECTURE.md")), &files);
    assert!(breaches.is_empty(), "{} breach(es) of the walls:\n{}", breaches.len(), breaches.join("\n"));
    for (file, lint) in EXCEPTIONS {
        let text = &files.iter().find(|(path, _)| path == file).expect("a file with an exception is there").1;
        assert!(switched_off(&code(text)).iter().any(|(_, l)| l == lint), "{file} no longer needs `{lint}`");
    }
}

#[test]
fn the_packages_below_depend_on_nothing_of_the_root() {
    for package in ["core", "trace"] {
        let path = root().join("crates").join(package).join("Cargo.toml");
        let manifest: toml::Table = read(&path).parse().expect("a manifest is TOML");
        let named = manifest["dependencies"].as_table().expect("dependencies are a table");
        let wrong: Vec<&String> = named.keys().filter(|k| ROOTS_CRATES.contains(&k.as_str())).collect();
        assert!(
            wrong.is_empty(),
            "{}: {wrong:?} belong in the root package: files, terminals, threads",
            path.display()
        );
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{}: bans hold everywhere", path.display());
    }
}

const TABLE: &str = "text\n\n| room | lives here | may import |\n|---|---|---|\n\
    | **`crates/core/src/`** | package `b-core` | |\n| `types/` | nouns | nothing |\n| `kv/` | blocks | nothing |\n\
    | `sim/` | loop | kv |\n| **`crates/trace/src/`** | package `b-trace` | |\n| `trace` | files | types |\n\
    | **`src/`** | package `b` | |\n| `report/` | tables | kv, trace |\n| `cli/` | commands | all |\n\nmore\n";

/// Breaches of one file, the other rooms being present and clean.
fn breaches_of(path: &str, text: &str) -> Vec<String> {
    let clean = ["core/src/types/mod.rs", "core/src/kv/mod.rs", "core/src/sim/mod.rs", "trace/src/lib.rs"];
    let mut files: Vec<(String, String)> =
        clean.iter().map(|f| (format!("crates/{f}"), "//! A room.\n".into())).collect();
    files.extend(["report", "cli"].map(|r| (format!("src/{r}/mod.rs"), "//! A room.\n".into())));
    files.push((path.into(), text.into()));
    check(TABLE, &files)
}

#[track_caller]
fn only_breach(path: &str, text: &str, expected: &str) {
    let found = breaches_of(path, text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(expected), "{found:?}");
}

#[test]
fn tidy_passes_what_is_allowed() {
    let passes = |path: &str, text: &str| assert_eq!(breaches_of(path, text), Vec::<String>::new(), "{path}");
    passes(
        "crates/core/src/sim/world.rs",
        "//! Head.\nuse crate::types::SimTime;\nuse crate::{kv::Pool, types::{Usd, Run}};\n\
        // use crate::cli and std::fs in a comment\nuse super::x;\n",
    );
    passes("src/cli/run.rs", "//! Head.\nuse crate::report::T;\nuse b_core::{sim, types::Usd};\nuse std::fs;\n");
    passes("src/report/a.rs", "//! Head.\nuse b_core::kv::Pool;\nuse b_trace::{Format, open};\n");
    passes(
        "crates/trace/src/read/a.rs",
        "//! H.\nuse crate::write::A;\nuse super::super::spec;\nuse b_core::types::Usd;\n",
    );
    passes("src/main.rs", "//! Head.\nuse b::cli;\n");
    passes(
        "crates/core/src/kv/chain.rs",
        "//! Head.\n#[cfg(test)]\nmod tests {\n    use super::super::kv;\n    use std::fs;\n}\n",
    );
    passes(
        "src/cli/perf.rs",
        "//! H.\n#[expect(clippy::disallowed_methods, reason = \"measures (all)\")]\nfn f() {}\n",
    );
}

#[test]
fn tidy_can_fail() {
    let core = |file: &str, text: &str, expected: &str| {
        only_breach(&format!("crates/core/src/{file}"), text, &format!("crates/core/src/{file}:{expected}"));
    };
    core("kv/a.rs", "//! H.\nuse crate::sim::World;\n", "2: edge: `kv` imports `sim`");
    core("kv/a.rs", "//! H.\nuse crate::{\n    kv::A,\n    sim::B,\n};\n", "2: edge: `kv` imports `sim`");
    core("kv/a.rs", "//! H.\n#[cfg(test)]\nmod tests {\n    use crate::sim::B;\n}\n", "4: edge:");
    core("kv/a.rs", "//! H.\nuse super::super::sim::World;\n", "2: edge: 2 `super::`");
    core("kv/mod.rs", "//! H.\nuse super::sim::World;\n", "2: edge: 1 `super::`");
    core("kv/a.rs", "use crate::types::Usd;\n", "1: head comment:");
    core("new/a.rs", "//! H.\n", "1: edge table: room `new` has no row");
    core("cli/a.rs", "//! H.\n", "1: edge table: room `cli` has no row in ARCHITECTURE.md for this package");
    core("sim/a.rs", "//! H.\n\nuse std::time::Instant;\n", "3: core: `sim` names `Instant`");
    core("sim/a.rs", "//! H.\nuse std::fs;\n", "2: core: `sim` names `std::fs`");
    core("sim/a.rs", "//! H.\nlet x = std::fs::read(p);\n", "2: core: `sim` names `fs::`");
    core("sim/a.rs", "//! H.\nuse std::{fs, io};\n", "2: core: `sim` names `std::fs`");
    core("sim/a.rs", "//! H.\n#[cfg(test)]\nmod tests;\nuse std::thread;\n", "4: core:");
    core("sim/a.rs", "//! H.\n#[allow(dead_code)]\nfn f() {}\n", "2: ban: `dead_code`");
    only_breach(
        "crates/trace/src/a.rs",
        "//! H.\nuse b_core::kv::A;\n",
        "crates/trace/src/a.rs:2: edge: `trace` imports `kv`",
    );
    only_breach(
        "src/report/a.rs",
        "//! H.\nfn f() { b_core::sim::x() }\n",
        "src/report/a.rs:2: edge: `report` imports `sim`",
    );
    only_breach(
        "src/report/a.rs",
        "//! H.\nuse crate::kv::A;\n",
        "src/report/a.rs:2: edge: `crate::kv` is of another package",
    );
    only_breach("crates/more/src/a.rs", "//! H.\n", "crates/more/src/a.rs:1: edge table: no package");
}

#[test]
fn tidy_refuses_a_table_it_cannot_trust() {
    let refused = |rows: &str| Map::parse(&format!("| room | a | b |\n|---|---|---|\n{rows}")).unwrap_err();
    assert!(Map::parse("no table").is_err());
    assert!(refused("").contains("no rows"));
    assert!(refused("| `kv/` | x | nothing |\n").contains("in no package"));
    assert!(refused("| `src/` | nameless | |\n").contains("no package named"));
    let package = "| `src/` | package `b` | |\n";
    assert!(refused(&format!("{package}| `kv/` | x | sim |\n| `sim/` | x | nothing |\n")).contains("no row above"));
    assert!(refused(&format!("{package}| `kv/` | x | nothing |\n| `kv/` | x | nothing |\n")).contains("twice"));
    let ghost = check(TABLE, &[]);
    assert_eq!(ghost.len(), 6, "a row without sources is a breach: {ghost:?}");
}
