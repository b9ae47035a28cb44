//! A user's mistake as it is shown: its words, the lines of its file with the place underlined, and what would help.
//!
//! Must keep true: no line of words is wider than [`WIDTH`], and they break at spaces only, so that paths and names can be
//! copied; of a line of a file at most [`EXCERPT`] columns are shown; nothing in any of them is hidden.
use baseload_core::types::shown::{CUT, visible};
use std::fmt::Write;
use std::io::IsTerminal;
use std::ops::Range;

/// Columns of the words.
const WIDTH: usize = 78;

/// Columns of a file's line.
const EXCERPT: usize = 120;
/// Columns before a place that stay where its line is cut.
const BEFORE: usize = 40;

/// A user's mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// The place in a file, if the mistake has one.
    pub excerpt: Option<Excerpt>,
    /// What would help, where that is known.
    pub help: Option<String>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The file's name.
    pub name: String,
    /// All that it holds.
    pub text: String,
    /// The place, in bytes.
    pub span: Range<usize>,
}

impl Mistake {
    /// A mistake that is said in words alone.
    pub fn plain(message: impl Into<String>) -> Mistake {
        Mistake { message: message.into(), excerpt: None, help: None }
    }

    /// A fault whose place is in no file that is shown: its remedy is the help.
    pub fn of(message: impl Into<String>, hint: Option<String>) -> Mistake {
        Mistake { help: hint, ..Mistake::plain(message) }
    }

    /// For stderr, coloured where that is a terminal that wants colours.
    pub fn shown(&self) -> String {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        self.drawn(if wanted && std::io::stderr().is_terminal() { &Paint::COLOURS } else { &Paint::NONE })
    }

    fn drawn(&self, paint: &Paint) -> String {
        let Paint { fault, place, help, end } = paint;
        let mut out = words(&self.message, &format!("  {fault}×{end} "), &format!("  {fault}│{end} "), 4);
        if let Some(excerpt) = &self.excerpt {
            excerpt.draw(&mut out, place, end);
        }
        if let Some(text) = &self.help {
            out.push_str(&words(text, &format!("  {help}help:{end} "), &" ".repeat(8), 8));
        }
        out
    }
}

/// Escape sequences of what stands out.
struct Paint {
    fault: &'static str,
    place: &'static str,
    help: &'static str,
    end: &'static str,
}

impl Paint {
    const NONE: Paint = Paint { fault: "", place: "", help: "", end: "" };
    const COLOURS: Paint = Paint { fault: "\x1b[31m", place: "\x1b[35m", help: "\x1b[36m", end: "\x1b[0m" };
}

/// `text` broken at spaces, with what stands before its first line and before the others, `indent` columns each.
fn words(text: &str, first: &str, others: &str, indent: usize) -> String {
    let (mut out, mut before) = (String::new(), first);
    for paragraph in visible(text).lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH {
                out.push_str(&format!("{before}{}\n", line.trim_end()));
                (line, before) = (String::new(), others);
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        out.push_str(&format!("{before}{}\n", line.trim_end()));
        before = others;
    }
    out
}

impl Excerpt {
    /// The line of the place between its neighbours. A place of several lines is underlined on its first.
    fn draw(&self, out: &mut String, colour: &str, end: &str) {
        let lines: Vec<&str> = self.text.lines().collect();
        let start = self.span.start.min(self.text.len());
        let at = self.text.as_bytes()[..start].iter().filter(|b| **b == b'\n').count();
        let begin = self.text[..start].rfind('\n').map_or(0, |i| i + 1);
        let column = self.text[begin..start].chars().count();
        let marked = self.text.get(start..self.span.end).and_then(|t| t.lines().next()).map_or(1, |t| shown(t).len());
        let last = (at + 1).min(lines.len().saturating_sub(1)).max(at);
        let digits = (last + 1).to_string().len();
        let gutter = " ".repeat(digits + 2);
        let left = shown(&self.text[begin..start]).len();
        // All three lines are cut at one column, so that they stay below each other.
        let from = if left + marked.max(1) <= EXCERPT { 0 } else { left.saturating_sub(BEFORE) };
        let _ = writeln!(out, "{gutter}╭─[{}:{}:{}]", visible(&self.name), at + 1, column + 1);
        for number in at.saturating_sub(1)..=last {
            let text = part(&shown(lines.get(number).copied().unwrap_or("")), from);
            let _ = writeln!(out, " {:>digits$} │ {text}", number + 1);
            if number == at {
                let before = " ".repeat(left - from);
                let marked = marked.max(1).min(EXCERPT - (left - from));
                let half = marked / 2;
                let (left, right) = ("─".repeat(half), "─".repeat(marked - half - 1));
                let _ = writeln!(out, "{gutter}· {before}{colour}{left}┬{right}{end}");
                let _ = writeln!(out, "{gutter}· {before}{}{colour}╰── here{end}", " ".repeat(half));
            }
        }
        let _ = writeln!(out, "{gutter}╰────");
    }
}

/// The characters of a line as they are shown: a tab is four spaces, and what is hidden is written out.
fn shown(line: &str) -> Vec<char> {
    visible(line).chars().flat_map(|c| if c == '\t' { vec![' '; 4] } else { vec![c] }).collect()
}

/// At most [`EXCERPT`] columns of a line, with a mark in the first and last of them where there is more.
fn part(line: &[char], from: usize) -> String {
    let until = line.len().min(from + EXCERPT);
    let mut part = line.get(from..until).unwrap_or(&[]).to_vec();
    if let Some(first) = part.first_mut().filter(|_| from > 0) {
        *first = CUT;
    }
    if let Some(last) = part.last_mut().filter(|_| until < line.len()) {
        *last = CUT;
    }
    part.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, at: &str) -> String {
        let start = text.find(at).unwrap();
        let excerpt = Excerpt { name: "e.toml".into(), text: text.into(), span: start..start + at.len() };
        Mistake { message: "no".into(), excerpt: Some(excerpt), help: Some("do".into()) }.drawn(&Paint::NONE)
    }

    #[test]
    fn the_place_is_underlined_between_its_neighbours() {
        let want = "  × no\n   ╭─[e.toml:2:5]\n 1 │ a = 1\n 2 │ b = \"two\"\n   ·     ──┬──\n   ·       ╰── here\n 3 │ c = 3\n   ╰────\n  help: do\n";
        assert_eq!(drawn("a = 1\nb = \"two\"\nc = 3\nd = 4\n", "\"two\""), want);
        let first = drawn("a = 1\nb = 2\n", "a");
        assert!(
            first.contains("   ╭─[e.toml:1:1]\n 1 │ a = 1\n   · ┬\n   · ╰── here\n 2 │ b = 2\n   ╰────"),
            "{first}"
        );
        let last = drawn("a = 1\n\tb = 2", "b = 2");
        assert!(
            last.contains("╭─[e.toml:2:2]\n 1 │ a = 1\n 2 │     b = 2\n   ·     ──┬──\n   ·       ╰── here\n   ╰────"),
            "{last}"
        );
        let long = drawn("a = [\n  1,\n]\nb = 2\n", "a = [\n  1,\n]");
        assert!(long.contains(" 1 │ a = [\n   · ──┬──\n   ·   ╰── here\n 2 │   1,\n   ╰────"), "{long}");
        let end = Excerpt { name: "e.toml".into(), text: "a = 1\n".into(), span: 6..7 };
        let shown = Mistake { message: "no".into(), excerpt: Some(end), help: None }.drawn(&Paint::NONE);
        assert!(shown.contains("╭─[e.toml:2:1]\n 1 │ a = 1\n 2 │ \n   · ┬\n"), "{shown}");
        let numbers =
            drawn(&"x = 1\n".repeat(9).replacen("x = 1", "y = 2", 1).repeat(2).replacen("y = 2", "x = 1", 1), "y");
        assert!(numbers.contains("    ╭─[e.toml:10:1]\n  9 │ x = 1\n 10 │ y = 2\n    · ┬\n"), "{numbers}");
    }

    #[test]
    fn a_long_line_is_shown_around_its_place_and_nothing_in_it_is_hidden() {
        let text = format!("a = 1\nb = \"{}\"\nc = 3\n", "y".repeat(10_000_000));
        let shown = drawn(&text, &format!("b = \"{}\"", "y".repeat(10_000_000)));
        let (left, right) = ("─".repeat(EXCERPT / 2), "─".repeat(EXCERPT / 2 - 1));
        let want = format!("\n 2 │ b = \"{}…\n   · {left}┬{right}\n", "y".repeat(EXCERPT - 6));
        assert!(shown.contains(&want) && shown.len() < 2_000, "{} bytes: {:.500}", shown.len(), shown);
        let far = drawn(&format!("{}bad{}", "x".repeat(500), "z".repeat(500)), "bad");
        let (x, z) = ("x".repeat(BEFORE - 1), "z".repeat(EXCERPT - BEFORE - 4));
        let want = format!("[e.toml:1:501]\n 1 │ …{x}bad{z}…\n   · {}─┬─\n", " ".repeat(BEFORE));
        assert!(far.contains(&want), "{far}");
        let escape = drawn("a = \"\u{1b}[2J\u{9b}1m\" # \u{202e}\n", "\u{9b}");
        let line = r#" 1 │ a = "\u001b[2J\u009b1m" # \u202e"#;
        assert!(escape.contains(&format!("{line}\n   · {}───┬──\n", " ".repeat(14))), "{escape}");
    }

    #[test]
    fn words_break_at_spaces_only() {
        let path = "a-very-long/path-that-nobody/should/break-at-its-hyphens/or-slashes/for-it-must-be-copied.toml";
        let message = format!("{} {path} and a little more", "word ".repeat(14).trim_end());
        let shown = Mistake::plain(message).drawn(&Paint::NONE);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], format!("  × {}", "word ".repeat(14).trim_end()));
        assert_eq!(lines[1..], [format!("  │ {path}"), "  │ and a little more".into()]);
        let two = Mistake::plain("one\ntwo").drawn(&Paint::COLOURS);
        assert_eq!(two, "  \x1b[31m×\x1b[0m one\n  \x1b[31m│\x1b[0m two\n");
    }
}
