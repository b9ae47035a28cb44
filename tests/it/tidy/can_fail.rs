//! The walls on sources made by hand: each rule passes what it should, and fails where it should.
use super::check;
use super::map::Map;

const TABLE: &str = "text\n\n| room | lives here | may import |\n|---|---|---|\n\
    | **`crates/core/src/`** | package `b-core` | |\n| `types/` | nouns | nothing |\n| `kv/` | blocks | nothing |\n\
    | `sim/` | loop | kv |\n| **`crates/trace/src/`** | package `b-trace` | |\n| `trace` | files | nothing |\n\
    | **`src/`** | package `b` | |\n| `report/` | tables | kv, trace |\n| `cli/` | commands | sim, report |\n\nmore\n";

/// Sources that use every edge of the table and break nothing.
const CLEAN: [(&str, &str); 6] = [
    ("crates/core/src/types/mod.rs", ""),
    ("crates/core/src/kv/mod.rs", "use crate::types::Usd;\n"),
    ("crates/core/src/sim/mod.rs", "use crate::{kv::Pool, types};\n"),
    ("crates/trace/src/lib.rs", "use b_core::types::Usd;\n"),
    ("src/report/mod.rs", "use b_core::kv::Pool;\nuse b_trace::{Format, open};\n"),
    ("src/cli/mod.rs", "use b_core::sim;\nfn f() { crate::report::table() }\n"),
];

/// Breaches of these files beside the clean ones.
fn breaches_of(files: &[(&str, &str)]) -> Vec<String> {
    let clean = CLEAN.iter().map(|(path, code)| (path.to_string(), format!("//! A room.\n{code}")));
    let files = clean.chain(files.iter().map(|(path, text)| (path.to_string(), text.to_string()))).collect::<Vec<_>>();
    check(TABLE, &files)
}

#[track_caller]
fn only_breach(path: &str, text: &str, expected: &str) {
    let found = breaches_of(&[(path, text)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(expected), "{found:?}");
}

#[test]
fn tidy_passes_what_is_allowed() {
    let passes = |path: &str, text: &str| assert_eq!(breaches_of(&[(path, text)]), Vec::<String>::new(), "{path}");
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
fn tidy_knows_whose_macro_stands_at_the_root() {
    let writes = |room: &str| format!("crates/core/src/{room}/a.rs");
    let code = "//! H.\n#[macro_export]\nmacro_rules! tell {\n    () => {};\n}\n";
    let uses = ("crates/core/src/kv/b.rs", "//! H.\nuse crate::tell;\n");
    assert_eq!(breaches_of(&[(&writes("types"), code), uses]), Vec::<String>::new());
    let found = breaches_of(&[(&writes("sim"), code), uses]);
    assert!(found.len() == 1 && found[0].contains("`kv` imports `sim`"), "{found:?}");
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
    core("sim/a.rs", "//! H.\nfn f() { Catalog::embedded() }\n", "2: facts: `Catalog::embedded()` outside");
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

#[test]
fn tidy_finds_an_edge_that_nobody_uses() {
    let mut files: Vec<(String, String)> =
        CLEAN.iter().map(|(path, code)| (path.to_string(), format!("//! A room.\n{code}"))).collect();
    assert_eq!(check(TABLE, &files), Vec::<String>::new());
    files[2].1 = "//! A room.\n// use crate::kv::Pool;\n".into();
    let found = check(TABLE, &files);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("ARCHITECTURE.md:1: edge: `sim` may import `kv` and never does"), "{found:?}");
}

#[test]
fn tidy_finds_circles_within_a_room() {
    let of = |files: &[(&str, &str)]| {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(path, code)| (format!("crates/core/src/kv/{path}"), format!("//! H.\n{code}")))
            .collect();
        breaches_of(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>())
    };
    let none = |files: &[(&str, &str)]| assert_eq!(of(files), Vec::<String>::new(), "{files:?}");
    let one = |files: &[(&str, &str)], way: &str| {
        let found = of(files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(way), "{found:?}");
    };
    let a = ("a.rs", "use super::b::B;\npub struct A;\n");
    one(
        &[a, ("b.rs", "pub struct B;\nfn f() { super::a::g() }\n")],
        "a.rs:1: circle: needs crates/core/src/kv/b.rs (super::b::B), which needs crates/core/src/kv/a.rs (super::a::g);",
    );
    // By what the room hands on, by a name of its own, and round three corners.
    one(
        &[a, ("b.rs", "use super::c::A as C;\n"), ("c.rs", "pub use super::a::{self, A};\n")],
        "needs crates/core/src/kv/b.rs",
    );
    one(
        &[a, ("b.rs", "use crate::kv::c;\nfn f() { c::g() }\n"), ("c.rs", "use super::{a::A, d::*};\n"), ("d.rs", "")],
        "c.rs (crate::kv::c)",
    );
    // A folder and its files are one; tests, comments and names handed on are no needs.
    none(&[
        a,
        ("b/mod.rs", "mod c;\nuse c::C;\npub struct B;\n"),
        ("b/c.rs", "use super::B;\nuse super::super::kv;\n"),
    ]);
    none(&[a, ("b.rs", "// super::a::A\n#[cfg(test)]\nmod tests {\n    use super::super::a::A;\n}\n")]);
    none(&[
        a,
        ("b.rs", "#[cfg(test)]\nmod laws;\n"),
        ("b/laws.rs", "use crate::kv::a::A;\n"),
        ("b_tests.rs", "use super::a::A;\n"),
    ]);
    none(&[a, ("b.rs", "pub use super::a::A;\n")]);
    one(&[a, ("b.rs", "pub use super::a::A;\nfn f(a: A) {}\n")], "which needs crates/core/src/kv/a.rs (super::a::A)");
}
