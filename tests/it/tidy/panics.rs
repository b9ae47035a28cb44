//! Where the sources may panic: only where an invariant would be broken, and by its name.
use super::source::is_word;
use std::collections::BTreeSet;

/// Files that are compiled for tests alone: `#[cfg(test)] mod name;` says so, as do the names of files and folders of tests.
pub fn tests_alone(files: &[(String, String)]) -> BTreeSet<String> {
    let mut alone: BTreeSet<String> = BTreeSet::new();
    for (path, text) in files {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let stem = path.trim_end_matches("/mod.rs").trim_end_matches("/lib.rs").trim_end_matches(".rs");
        for (at, _) in text.match_indices("#[cfg(test)]\n") {
            let item = text[at..].lines().skip(1).find(|l| !l.trim_start().starts_with("#["));
            let module = item.and_then(|l| l.trim().rsplit(' ').next()).and_then(|name| name.strip_suffix(';'));
            let Some(name) = module else { continue };
            alone.extend([format!("{folder}/{name}"), format!("{stem}/{name}")]);
        }
    }
    let is_alone = |path: &str| {
        let stem = path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.ends_with("tests.rs")
            || stem.match_indices('/').map(|(at, _)| &stem[..at]).chain([stem]).any(|part| alone.contains(part))
    };
    files.iter().map(|(path, _)| path).filter(|path| is_alone(path)).cloned().collect()
}

/// Panics that say no invariant: (position, what is wrong).
pub fn nameless(code: &str) -> Vec<(usize, &'static str)> {
    let mut found: Vec<(usize, &str)> =
        code.match_indices(".unwrap()").map(|(at, _)| (at, "`unwrap()` says nothing")).collect();
    for (call, what) in [
        (".expect(", "`expect` without the invariant's name"),
        ("panic!(", "`panic!` without the invariant's name"),
        ("unreachable!(", "`unreachable!` without the invariant's name"),
    ] {
        let said = code.match_indices(call).map(|(at, _)| at).filter(|at| call.starts_with('.') || starts(code, *at));
        found.extend(said.filter(|at| !is_named(&code[at + call.len()..])).map(|at| (at, what)));
    }
    found
}

fn starts(code: &str, at: usize) -> bool {
    !code[..at].ends_with(is_word)
}

/// Whether a text begins with `"short-name: `, as the names in ARCHITECTURE.md are written.
fn is_named(text: &str) -> bool {
    let Some(said) = text.trim_start().strip_prefix('"') else { return false };
    let name = said.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-').count();
    name > 0 && said[name..].starts_with(": ")
}

#[test]
fn panics_are_found_and_names_are_known() {
    let of = |code: &str| nameless(code).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!(of("a.unwrap();"), [1]);
    assert_eq!(of("a.expect(\"it is there\"); b.expect(why)"), [1, 26]);
    assert_eq!(of("a\n    .expect(\n        \"nothing-lost: it is there\",\n    )"), Vec::<usize>::new());
    assert_eq!(of("panic!(\"{x}\"); unreachable!(); unreachable!(\"agenda: no\")"), [0, 15]);
    assert_eq!(of("a.unwrap_or(1); a.expect_err(\"x\"); my_panic!(1)"), Vec::<usize>::new());
}

#[test]
fn files_of_tests_are_known() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let files = [
        file("src/a/mod.rs", "#[cfg(test)]\nmod b;\n#[cfg(test)]\n#[path = \"x_tests.rs\"]\nmod tests;\nmod d;\n"),
        file("src/a/b/mod.rs", "mod c;\n"),
        file("src/a/b/c.rs", ""),
        file("src/a/x_tests.rs", ""),
        file("src/a/d.rs", "#[cfg(test)]\nmod tests {\n}\n"),
    ];
    let alone = tests_alone(&files);
    assert_eq!(alone.iter().collect::<Vec<_>>(), ["src/a/b/c.rs", "src/a/b/mod.rs", "src/a/x_tests.rs"]);
}
