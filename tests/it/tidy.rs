//! Walls as tests: who may import whom, what the core must not know, and that every file says what it is for.
//!
//! The edge table is the one in ARCHITECTURE.md; this file only reads it. Comments are ignored; string literals are not parsed.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rooms that know no file, thread, terminal, frame or host clock: they are the simulation itself.
const CORE: [&str; 13] = [
    "types",
    "random",
    "catalog",
    "memory",
    "latency",
    "kv",
    "engine",
    "api",
    "trace",
    "gateway",
    "fleet",
    "sim",
    "economics",
];
/// What the core must not name: a word, or a word that starts a path (`fs::`).
const BANNED: [&str; 7] = ["polars", "rayon", "indicatif", "Instant", "SystemTime", "fs::", "thread::"];

/// Room -> rooms it may import; `None` is "all".
type Edges = BTreeMap<String, Option<BTreeSet<String>>>;

/// Reads the table whose header starts with `| room |`.
fn edges(architecture: &str) -> Result<Edges, String> {
    let mut rows = architecture.lines().skip_while(|l| !l.starts_with("| room |"));
    if rows.next().is_none() {
        return Err("ARCHITECTURE.md has no table that starts with `| room |`".into());
    }
    let (mut edges, mut above) = (Edges::new(), BTreeSet::new());
    for row in rows.skip(1).take_while(|l| l.starts_with('|')) {
        let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [room, _, may] = cells[..] else { return Err(format!("not three cells: {row}")) };
        let room = room.trim_matches('`').trim_end_matches('/').to_string();
        let may = match may {
            "all" => None,
            "nothing" => Some(BTreeSet::new()),
            "all above" => Some(above.clone()),
            names => Some(names.split(',').map(|n| n.trim().trim_matches('`').to_string()).collect()),
        };
        for name in may.iter().flatten() {
            if !above.contains(name) {
                return Err(format!("`{room}` may import `{name}`, which is no row above it: imports go downwards"));
            }
        }
        above.insert(room.clone());
        if edges.insert(room.clone(), may).is_some() {
            return Err(format!("room `{room}` stands twice in the table"));
        }
    }
    if edges.is_empty() { Err("the room table has no rows".into()) } else { Ok(edges) }
}

/// `src/engine/vllm/admit.rs` -> `engine`; `None` for the crate's two roots.
fn room_of(path: &str) -> Option<&str> {
    let first = path.strip_prefix("src/")?.split('/').next()?;
    match first {
        "lib.rs" | "main.rs" => None,
        file => Some(file.trim_end_matches(".rs")),
    }
}

/// Modules between the crate's root and this file.
fn depth_of(path: &str) -> usize {
    let parts = path.split('/').count() - 1;
    if path.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// The text with line comments blanked; line numbers stay.
fn code(text: &str) -> String {
    text.lines().map(|l| l.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// First line (from 1) of the inline test module, or past the end.
fn tests_start(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let opens = |i: usize| lines[i + 1..].iter().find(|l| !l.is_empty()).is_some_and(|l| l.ends_with('{'));
    (0..lines.len()).find(|&i| lines[i] == "#[cfg(test)]" && opens(i)).map_or(usize::MAX, |i| i + 1)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Byte positions of `needle` that start a word.
fn words<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(needle).map(|(i, _)| i).filter(|&i| !text[..i].ends_with(is_word))
}

fn ident(text: &str) -> String {
    text.chars().take_while(|&c| is_word(c)).collect()
}

/// Names at the first level of `{a::b, c::{d}, e}`.
fn group(text: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0, Vec::new(), 1);
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            names.push(ident(text[start..i].trim_start()));
            start = i + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|n| !n.is_empty());
    names
}

/// Every breach, as `file:line: rule: what; why`.
fn check(architecture: &str, files: &[(String, String)]) -> Vec<String> {
    let edges = match edges(architecture) {
        Ok(edges) => edges,
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
        let Some(room) = room_of(path) else { continue };
        seen.insert(room.to_string());
        let Some(may) = edges.get(room) else {
            say(
                1,
                format!("edge table: room `{room}` has no row in ARCHITECTURE.md; a room without a place has no walls"),
            );
            continue;
        };
        let code = code(text);
        let line_of = |at: usize| code[..at].matches('\n').count() + 1;
        let tests = if path.ends_with("tests.rs") { 0 } else { tests_start(&code) };

        for at in words(&code, "crate::") {
            let rest = &code[at + "crate::".len()..];
            let names = if rest.starts_with('{') { group(rest) } else { vec![ident(rest)] };
            for name in names {
                let allowed = name == room || name == "types" || may.as_ref().is_none_or(|m| m.contains(&name));
                if !allowed {
                    say(
                        line_of(at),
                        format!(
                            "edge: `{room}` imports `{name}`, which its row in ARCHITECTURE.md does not have; either the code belongs elsewhere, or the row needs an argument"
                        ),
                    );
                }
            }
        }
        for at in words(&code, "super::").filter(|&i| !code[..i].ends_with("super::")) {
            let supers = code[at..].split("::").take_while(|s| *s == "super").count();
            let limit = depth_of(path) + usize::from(line_of(at) > tests && tests > 0);
            if supers >= limit {
                say(
                    line_of(at),
                    format!(
                        "edge: {supers} `super::` leave room `{room}`; write `crate::...`, so that this test sees the edge"
                    ),
                );
            }
        }
        if !CORE.contains(&room) {
            continue;
        }
        for word in BANNED {
            for at in words(&code, word) {
                let whole = word.ends_with("::") || !code[at + word.len()..].starts_with(is_word);
                if whole && line_of(at) < tests {
                    say(
                        line_of(at),
                        format!(
                            "core: `{room}` names `{word}`; from types to sim no room knows files, threads, frames or the host's clock, so that results repeat and the core builds alone"
                        ),
                    );
                }
            }
        }
        for (name, short) in [("fs", "std::{"), ("thread", "std::{")] {
            for at in words(&code, short) {
                if group(&code[at + "std::".len()..]).iter().any(|n| n == name) && line_of(at) < tests {
                    say(
                        line_of(at),
                        format!("core: `{room}` names `std::{name}`; from types to sim no room knows files or threads"),
                    );
                }
            }
        }
        for word in ["std::fs", "std::thread"] {
            for at in words(&code, word) {
                let rest = &code[at + word.len()..];
                if !rest.starts_with(is_word) && !rest.starts_with("::") && line_of(at) < tests {
                    say(
                        line_of(at),
                        format!("core: `{room}` names `{word}`; from types to sim no room knows files or threads"),
                    );
                }
            }
        }
    }
    for room in edges.keys().filter(|r| !seen.contains(*r)) {
        breaches.push(format!(
            "ARCHITECTURE.md:1: edge table: `{room}` has no source in src/; the map shows only what is there"
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

#[test]
fn sources_keep_to_the_edge_table_and_the_bans() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    paths.sort();
    assert!(paths.len() > 5, "tidy found only {} sources: it looks in the wrong place", paths.len());
    let read = |p: &Path| std::fs::read_to_string(p).unwrap_or_else(|e| panic!("{}: {e}", p.display()));
    let name = |p: &Path| p.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
    let files: Vec<(String, String)> = paths.iter().map(|p| (name(p), read(p))).collect();
    let breaches = check(&read(&root.join("ARCHITECTURE.md")), &files);
    assert!(breaches.is_empty(), "{} breach(es) of the walls:\n{}", breaches.len(), breaches.join("\n"));
}

const TABLE: &str = "text\n\n| room | lives here | may import |\n|---|---|---|\n| `types/` | nouns | nothing |\n\
    | `kv/` | blocks | nothing |\n| `sim/` | loop | kv |\n| `report/` | tables | all above |\n| `cli/` | commands | all |\n\nmore\n";

/// Breaches of one file, the other rooms being present and clean.
fn breaches_of(path: &str, text: &str) -> Vec<String> {
    let mut files: Vec<(String, String)> = ["types", "kv", "sim", "report", "cli"]
        .iter()
        .map(|r| (format!("src/{r}/mod.rs"), "//! A room.\n".to_string()))
        .collect();
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
    let good = "//! Head.\nuse crate::types::SimTime;\nuse crate::{kv::Pool, types::{Usd, Run}};\n\
        // use crate::cli and std::fs in a comment\nuse super::x;\n";
    assert_eq!(breaches_of("src/sim/world.rs", good), Vec::<String>::new());
    assert_eq!(breaches_of("src/cli/run.rs", "//! Head.\nuse crate::report::T;\nuse std::fs;\n"), Vec::<String>::new());
    assert_eq!(breaches_of("src/main.rs", "//! Head.\nuse baseload::cli;\n"), Vec::<String>::new());
    let in_tests = "//! Head.\n#[cfg(test)]\nmod tests {\n    use super::super::kv;\n    use std::fs;\n}\n";
    assert_eq!(breaches_of("src/kv/chain.rs", in_tests), Vec::<String>::new());
}

#[test]
fn tidy_can_fail() {
    only_breach("src/kv/a.rs", "//! H.\nuse crate::sim::World;\n", "src/kv/a.rs:2: edge: `kv` imports `sim`");
    only_breach(
        "src/sim/a.rs",
        "//! H.\nfn f() { crate::report::x() }\n",
        "src/sim/a.rs:2: edge: `sim` imports `report`",
    );
    only_breach(
        "src/kv/a.rs",
        "//! H.\nuse crate::{\n    kv::A,\n    sim::B,\n};\n",
        "src/kv/a.rs:2: edge: `kv` imports `sim`",
    );
    only_breach(
        "src/kv/a.rs",
        "//! H.\n#[cfg(test)]\nmod tests {\n    use crate::sim::B;\n}\n",
        "src/kv/a.rs:4: edge:",
    );
    only_breach("src/kv/a.rs", "//! H.\nuse super::super::sim::World;\n", "src/kv/a.rs:2: edge: 2 `super::`");
    only_breach("src/kv/mod.rs", "//! H.\nuse super::sim::World;\n", "src/kv/mod.rs:2: edge: 1 `super::`");
    only_breach("src/kv/a.rs", "use crate::types::Usd;\n", "src/kv/a.rs:1: head comment:");
    only_breach("src/new/a.rs", "//! H.\n", "src/new/a.rs:1: edge table: room `new` has no row");
    only_breach("src/sim/a.rs", "//! H.\n\nuse std::time::Instant;\n", "src/sim/a.rs:3: core: `sim` names `Instant`");
    only_breach("src/sim/a.rs", "//! H.\nuse std::fs;\n", "src/sim/a.rs:2: core: `sim` names `std::fs`");
    only_breach("src/sim/a.rs", "//! H.\nlet x = std::fs::read(p);\n", "src/sim/a.rs:2: core: `sim` names `fs::`");
    only_breach("src/sim/a.rs", "//! H.\nuse std::{fs, io};\n", "src/sim/a.rs:2: core: `sim` names `std::fs`");
    only_breach("src/sim/a.rs", "//! H.\n#[cfg(test)]\nmod tests;\nuse rayon::prelude::*;\n", "src/sim/a.rs:4: core:");
}

#[test]
fn tidy_refuses_a_table_it_cannot_trust() {
    assert!(edges("no table").is_err());
    assert!(edges("| room | a | b |\n|---|---|---|\n").is_err());
    assert!(edges("| room | a | b |\n|---|---|---|\n| `kv/` | x | sim |\n| `sim/` | x | nothing |\n").is_err());
    assert!(edges("| room | a | b |\n|---|---|---|\n| `kv/` | x | nothing |\n| `kv/` | x | nothing |\n").is_err());
    let ghost = check(TABLE, &[]);
    assert_eq!(ghost.len(), 5, "a row without sources is a breach: {ghost:?}");
}
