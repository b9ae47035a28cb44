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
    for at in words(code, root) {
        let Some(rest) = code[at + root.len()..].strip_prefix("::") else { continue };
        let names = if rest.starts_with('{') { group(rest) } else { vec![ident(rest)] };
        found.extend(names.into_iter().map(|name| (at, name)));
    }
    found
}
