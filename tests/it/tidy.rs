//! Walls as tests: who may import whom, what the packages below must not know, and that every file says what it is for.
//!
//! The edge table is the one in ARCHITECTURE.md; this file only reads it. That no package imports one above it, and that
//! the simulation has no terminal, no frames and no thread pool, is the compiler's: Cargo.toml says what each may name.
mod can_fail;
mod circles;
mod map;
mod panics;
mod source;

use map::Map;
use source::{code, group, imports, is_word, line_of, tests_start, words};
use std::collections::{BTreeMap, BTreeSet};
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

/// Where the catalogue of a command or an experiment starts; everybody else is passed one.
const WHERE_FACTS_START: &str = "src/experiment/inputs/catalog_files.rs";

/// Modules between the package's root and this file, of a path within the package.
fn depth_of(path: &str) -> usize {
    let parts = path.split('/').count();
    if path.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// Rooms that one source imports; those that its room's row does not have are said.
fn edges(map: &Map, package: usize, room: &str, code: &str, say: &mut dyn FnMut(usize, String)) -> BTreeSet<String> {
    let allowed = |name: &str| name == room || name == "types" || map.rooms[room].may.contains(name);
    let mut used = BTreeSet::new();
    for (p, other) in map.packages.iter().enumerate() {
        let root = if p == package { "crate" } else { other.name.as_str() };
        for (at, name) in imports(code, root) {
            let name = match &other.room {
                Some(_) if p == package => continue,
                Some(whole) => whole.clone(),
                None => map.macros.get(&name).cloned().unwrap_or(name),
            };
            used.insert(name.clone());
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
    used
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

/// The embedded catalogue, named where a catalogue is to be passed.
fn embedded(code: &str, tests: usize, say: &mut dyn FnMut(usize, String)) {
    for (at, _) in code.match_indices("Catalog::embedded()").filter(|(at, _)| line_of(code, *at) < tests) {
        say(
            line_of(code, at),
            format!(
                "facts: `Catalog::embedded()` outside {WHERE_FACTS_START}; take a `&Catalog`, which a user's files are laid over"
            ),
        );
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
    let mut map = match Map::parse(architecture) {
        Ok(map) => map,
        Err(e) => return vec![format!("ARCHITECTURE.md:1: edge table: {e}")],
    };
    files.iter().for_each(|(path, text)| map.note_macros(path, &code(text)));
    let mut breaches = Vec::new();
    // By room that is there, what it imports.
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
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
        let folder = &map.packages[package].folder;
        let tests = if path.ends_with("tests.rs") { 0 } else { tests_start(&code) };
        if path != WHERE_FACTS_START {
            embedded(&code, tests, &mut say);
        }
        seen.entry(room.clone()).or_default().extend(edges(&map, package, &room, &code, &mut say));
        if map.packages[package].room.is_none() {
            supers(&path[folder.len()..], &room, &code, tests, &mut say);
        }
        if folder.starts_with("crates/") {
            bans(&room, &code, tests, &mut say);
        }
    }
    for (room, row) in &map.rooms {
        let Some(used) = seen.get(room) else {
            breaches.push(format!(
                "ARCHITECTURE.md:1: edge table: `{room}` has no source in {}; the map shows only what is there",
                map.packages[row.package].folder
            ));
            continue;
        };
        for name in row.may.difference(used) {
            breaches.push(format!(
                "ARCHITECTURE.md:1: edge: `{room}` may import `{name}` and never does; a door that nobody uses is a wall, so strike it"
            ));
        }
    }
    for (file, way) in circles::circles(&map, files) {
        breaches.push(format!(
            "{file}:1: circle: {way}; move what they share into a file of its own, so that each can be read by itself"
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
fn what_may_panic_names_the_invariant_that_would_be_broken() {
    let files = sources();
    let alone = panics::tests_alone(&files);
    assert!(alone.len() > 20, "files of tests alone: {alone:?}");
    let mut breaches = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| !alone.contains(path)) {
        let code = code(text);
        let tests = tests_start(&code);
        for (at, what) in panics::nameless(&code).into_iter().filter(|(at, _)| line_of(&code, *at) < tests) {
            breaches.push(format!(
                "{path}:{}: {what}; write \"short-name: what holds\", and return a fault where a user's input decides it",
                line_of(&code, at)
            ));
        }
    }
    assert!(
        breaches.is_empty(),
        "{} place(s) that may panic without a reason:\n{}",
        breaches.len(),
        breaches.join("\n")
    );
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
