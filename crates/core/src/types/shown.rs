//! How texts from outside are shown: with nothing hidden in them, and no longer than what a reader takes in.
//!
//! Must keep true: what is written is ASCII that JSON and TOML read back in their quotes (`\u001b`), so that one function
//! serves terminals, pages and documents.
use std::borrow::Cow;

/// Characters of a quotation at most; the mark [`CUT`] stands for the rest.
pub const LONGEST_QUOTATION: usize = 80;
/// Characters of a message at most, key and hint not counted.
pub const LONGEST_MESSAGE: usize = 2_000;
/// What stands for characters that are not shown.
pub const CUT: char = '…';

/// Whether a character cannot be seen and does something all the same: moves the cursor, sets colours and titles, ends
/// lines, turns the direction of what follows.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// A hidden character as it is shown: `\u001b`.
fn written(c: char, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.push_str(&format!("\\u{unit:04x}"));
    }
}

/// `text` with its hidden characters written out; lines and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let shown = |c: char| matches!(c, '\n' | '\t') || !is_hidden(c);
    if text.chars().all(shown) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if shown(c) { out.push(c) } else { written(c, &mut out) }
    }
    Cow::Owned(out)
}

/// `text` in quotes as TOML reads them, with nothing hidden and at most [`LONGEST_QUOTATION`] characters of it.
pub fn in_quotes(text: &str) -> String {
    let mut out = String::from("\"");
    for c in quotation(text).chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_hidden(c) => written(c, &mut out),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The first [`LONGEST_QUOTATION`] characters of `text`, and a mark where there are more.
pub fn quotation(text: &str) -> Cow<'_, str> {
    cut(text, LONGEST_QUOTATION)
}

fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}{CUT}", &text[..at])),
    }
}

/// A message of our own words, such as a remedy with a command to copy: cut where it is longer than [`LONGEST_MESSAGE`] alone.
pub fn ended(message: &str) -> Cow<'_, str> {
    cut(message, LONGEST_MESSAGE)
}

/// A message whose quotations, in `` ` `` or `"`, have at most [`LONGEST_QUOTATION`] characters each, and the whole at most
/// [`LONGEST_MESSAGE`]: whoever writes a message need not think of how long a value can be.
pub fn bounded(message: &str) -> Cow<'_, str> {
    if message.len() <= LONGEST_QUOTATION {
        return Cow::Borrowed(message);
    }
    let mut out = String::new();
    let (mut open, mut inside, mut written, mut escaped) = (None, 0, 0, false);
    for c in message.chars() {
        let was_escaped = escaped;
        escaped = open == Some('"') && c == '\\' && !was_escaped;
        if open == Some(c) && !was_escaped {
            open = None;
        } else if open.is_some() {
            inside += 1;
            if inside == LONGEST_QUOTATION + 1 {
                out.push(CUT);
            }
            if inside > LONGEST_QUOTATION {
                continue;
            }
        } else if matches!(c, '`' | '"') {
            (open, inside) = (Some(c), 0);
        }
        out.push(c);
        written += 1;
        if written == LONGEST_MESSAGE {
            out.push(CUT);
            break;
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_written_out() {
        let title = "\u{1b}]0;owned\u{7}red\r";
        assert_eq!(visible(title), "\\u001b]0;owned\\u0007red\\u000d");
        assert_eq!(
            visible("a\u{9b}31m\u{7f} \u{202e}b\u{2066} \u{e0041}"),
            "a\\u009b31m\\u007f \\u202eb\\u2066 \\udb40\\udc41"
        );
        for plain in ["a\tb\nc", "größer 数据 é — … 👩\u{200d}💻"] {
            assert!(matches!(visible(plain), Cow::Borrowed(same) if same == plain), "{plain}");
        }
        let read: toml::Table = format!("a = {}", in_quotes("\u{1b}\"\\\u{9b}")).parse().unwrap();
        assert_eq!(read["a"].as_str(), Some("\u{1b}\"\\\u{9b}"), "TOML reads it back");
    }

    #[test]
    fn quotations_and_messages_end() {
        let long = "y".repeat(10_000);
        let cut = format!("{}{CUT}", "y".repeat(80));
        assert_eq!(quotation(&long), cut);
        assert_eq!(bounded(&format!("unknown key `{long}` here")), format!("unknown key `{cut}` here"));
        assert_eq!(
            bounded(&format!("it is {:?}!", format!("a\"{long}"))),
            format!("it is \"a\\\"{}{CUT}\"!", "y".repeat(77))
        );
        assert_eq!(bounded(&format!("it is `{long}")), format!("it is `{cut}"));
        let many = "`a` ".repeat(5_000);
        assert_eq!(bounded(&many).chars().count(), LONGEST_MESSAGE + 1);
        let words =
            "a hint of some length that quotes `one` thing and \"another\", and has nothing that is too long at all";
        assert_eq!(bounded(words), words);
    }
}
