//! Text from outside made safe for a page and for Markdown: no markup, and nothing hidden.
use baseload_core::types::shown::visible;

/// Escapes text for HTML content and attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Escapes text and turns `` `name` `` into code.
pub(super) fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    let mark = |(i, part): (usize, &&str)| {
        if i % 2 == 1 { format!("<strong>{}</strong>", escape(part)) } else { escape(part) }
    };
    parts.iter().enumerate().map(mark).collect()
}

/// Escapes text for a cell of Markdown: what is a mark anywhere.
pub fn markdown_cell(text: &str) -> String {
    let line = visible(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(line.len());
    for (at, c) in line.char_indices() {
        let (before, after) = (line[..at].chars().next_back(), line[at + c.len_utf8()..].chars().next());
        let is_mark = match c {
            '*' | '`' | '<' | '[' | '\\' | '|' | '~' => true,
            // Inside of words, as in names of metrics, it is none.
            '_' => !(before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric)),
            '&' => after.is_some_and(|c| c.is_alphanumeric() || c == '#'),
            _ => false,
        };
        if is_mark {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Escapes text for a line of Markdown: what is a mark anywhere, or at a line's start.
pub fn markdown(text: &str) -> String {
    let cell = markdown_cell(text);
    let digits = cell.bytes().take_while(u8::is_ascii_digit).count();
    match cell.as_bytes().get(digits) {
        Some(b'.' | b')') if digits > 0 => format!("{}\\{}", &cell[..digits], &cell[digits..]),
        Some(b'#' | b'+' | b'-' | b'=' | b'>') if digits == 0 => format!("\\{cell}"),
        _ => cell,
    }
}

/// Escapes text for a line of Markdown and leaves `` `name` `` as code.
pub fn markdown_prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return markdown(text);
    }
    let mut out = String::new();
    for (i, part) in parts.iter().enumerate() {
        if i % 2 == 1 {
            out.push_str(&format!("`{}`", visible(part).replace('\n', " ")));
            continue;
        }
        // Spaces beside code stand between it and the words.
        let edge = |is: bool| if is { " " } else { "" };
        let words = if i == 0 { markdown(part) } else { markdown_cell(part) };
        let (start, end) = (i > 0 && part.starts_with(' '), i + 1 < parts.len() && part.ends_with(' '));
        out.push_str(edge(start));
        out.push_str(&words);
        out.push_str(edge(end && !words.is_empty()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_no_markup() {
        assert_eq!(escape("<b>\u{1b}[31m\u{202e}&"), "&lt;b&gt;\\u001b[31m\\u202e&amp;");
        assert_eq!(markdown("# a *b* _c_\n[x](y) <i> a|b &lt; `d`"), r"\# a \*b\* \_c\_ \[x](y) \<i> a\|b \&lt; \`d\`");
        assert_eq!(markdown_cell("own.ttft_p99_s & -5 %"), "own.ttft_p99_s & -5 %");
        assert_eq!((markdown("1. x").as_str(), markdown("- x").as_str()), (r"1\. x", r"\- x"));
        assert_eq!(markdown("\u{7}x\u{1b}[0m"), r"\\u0007x\\u001b\[0m");
        assert_eq!(markdown_prose("`a_b` is *the* cheapest: `c`"), r"`a_b` is \*the\* cheapest: `c`");
        assert_eq!(markdown_prose("an odd ` stays"), r"an odd \` stays");
    }
}
