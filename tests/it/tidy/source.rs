//! A source as text: comments go, paths are found. String literals are not parsed.

/// The text with line comments blanked; line numbers stay.
pub fn code(text: &str) -> String {
    text.lines().map(|l| l.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The line of a byte position, from 1.
pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// First line (from 1) of the inline test module, or past the end.
pub fn tests_start(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let opens = |i: usize| lines[i + 1..].iter().find(|l| !l.is_empty()).is_some_and(|l| l.ends_with('{'));
    (0..lines.len()).find(|&i| lines[i] == "#[cfg(test)]" && opens(i)).map_or(usize::MAX, |i| i + 1)
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Byte positions of `needle` that start a word.
pub fn words<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(needle).map(|(i, _)| i).filter(|&i| !text[..i].ends_with(is_word))
}

/// The word that the text starts with; empty where it starts with none.
pub fn ident(text: &str) -> String {
    text.chars().take_while(|&c| is_word(c)).collect()
}

/// Names at the first level of `{a::b, c::{d}, e}`.
pub fn group(text: &str) -> Vec<String> {
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

/// What follows `root::` at every place where the code says it: (position, first name).
pub fn imports(code: &str, root: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(code, root).filter(|&at| !code[..at].ends_with("::")) {
        let Some(rest) = code[at + root.len()..].strip_prefix("::") else { continue };
        let names = if rest.starts_with('{') { group(rest) } else { vec![ident(rest)] };
        found.extend(names.into_iter().map(|name| (at, name)));
    }
    found
}

/// One name that a `use` brings in.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// Whether others may import it from here.
    pub public: bool,
    /// `[super, kv, Pool]`; the last is `*` for all.
    pub path: Vec<String>,
    /// What it is called here.
    pub name: String,
}

/// Names of `a::{b, c::{self, d as e}, f::*}` as (path, name).
fn tree(prefix: &[String], text: &str, public: bool, out: &mut Vec<Import>) {
    let text = text.trim();
    let (head, rest) = match text.find('{') {
        Some(at) => {
            (text[..at].trim_end().trim_end_matches("::"), Some(&text[at + 1..text.rfind('}').unwrap_or(at + 1)]))
        }
        None => (text, None),
    };
    let (head, alias) = head.split_once(" as ").map_or((head, None), |(h, a)| (h, Some(a.trim().to_string())));
    let names = head.split("::").map(str::trim).filter(|n| !n.is_empty()).map(String::from);
    let mut path: Vec<String> = prefix.iter().cloned().chain(names).collect();
    let Some(rest) = rest else {
        if path.last().is_some_and(|n| n == "self") && path.len() > 1 {
            path.pop();
        }
        let Some(last) = path.last().cloned() else { return };
        out.push(Import { public, path, name: alias.unwrap_or(last) });
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (i, c) in rest.char_indices().chain([(rest.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                tree(&path, &rest[start..i], public, out);
                start = i + 1;
            }
            _ => {}
        }
    }
}

/// The `use`s of a code without comments, and the code without them.
pub fn split_uses(code: &str) -> (Vec<Import>, String) {
    let (mut imports, mut body, mut from) = (Vec::new(), String::new(), 0);
    for at in words(code, "use ").collect::<Vec<_>>() {
        let visibility = code[code[..at].rfind('\n').map_or(0, |i| i + 1)..at].trim();
        let Some(end) = code[at..].find(';').filter(|_| at >= from) else { continue };
        let said = &code[at + "use ".len()..at + end];
        let path = |c: char| is_word(c) || c.is_whitespace() || ":{},*".contains(c);
        if !(visibility.is_empty() || visibility.starts_with("pub")) || !said.chars().all(path) {
            continue;
        }
        tree(&[], said, !visibility.is_empty(), &mut imports);
        body.push_str(&code[from..at]);
        from = at + end + 1;
    }
    body.push_str(&code[from..]);
    (imports, body)
}

/// Every path of the code, as its names: `a::b::C`, and words that stand alone.
pub fn chains(code: &str) -> Vec<Vec<String>> {
    let (mut chains, mut rest, mut inside) = (Vec::new(), code, false);
    while let Some(at) = rest.find(is_word) {
        // A field or a method (`x.name`) is no path; two dots are a range.
        inside |= rest[..at].ends_with('.') && !rest[..at].ends_with("..");
        rest = &rest[at..];
        let mut chain = Vec::new();
        loop {
            let name = ident(rest);
            rest = &rest[name.len()..];
            chain.push(name);
            match rest.strip_prefix("::") {
                Some(next) if next.starts_with(is_word) => rest = next,
                _ => break,
            }
        }
        if !inside {
            chains.push(chain);
        }
        inside = false;
    }
    chains
}

/// Modules in files of their own that only tests see: `#[cfg(test)] mod properties;`.
pub fn declared_for_tests(code: &str) -> Vec<String> {
    let mut lines = code.lines().map(str::trim).filter(|l| !l.is_empty());
    let mut names = Vec::new();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            let declared = lines.find(|l| !l.starts_with("#[")).unwrap_or("");
            let name = declared.trim_end_matches(';').rsplit("mod ").next().unwrap_or("");
            if declared.ends_with(';') && declared.contains("mod ") {
                names.push(name.to_string());
            }
        }
    }
    names
}
