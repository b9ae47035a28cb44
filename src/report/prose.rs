//! Words in lines of a width: wrapped, and cut.
//!
//! May import: nothing. Must keep true: widths are counted in characters, each of width one.

/// Columns that a terminal has at least.
pub const WIDTH: usize = 80;

/// Columns of a text of one line.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// `text` wrapped at words to `columns`, continuation lines indented; leading spaces stay.
pub fn wrapped(text: &str, columns: usize, indent: usize) -> String {
    let lead = text.len() - text.trim_start().len();
    let mut out = " ".repeat(lead);
    let mut at = lead;
    let mut first = true;
    for word in text.split_whitespace() {
        if !first && at + 1 + width(word) > columns {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            at = indent;
        } else if !first {
            out.push(' ');
            at += 1;
        }
        first = false;
        out.push_str(word);
        at += width(word);
    }
    out.push('\n');
    out
}

/// `text` in lines of at most `most` columns, where there is a `/` or a space to break at.
pub(super) fn broken(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut line = 0;
    for part in text.split_inclusive(['/', ' ']) {
        let long = width(part.trim_end());
        if line > 0 && line + long > most {
            out.truncate(out.trim_end().len());
            out.push('\n');
            line = 0;
        }
        out.push_str(part);
        line += width(part);
    }
    out
}

/// A text of one line in at most `most` columns; a dagger at its end survives the cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let tail = if text.ends_with('†') { "…†" } else { "…" };
    let kept: String = text.chars().take(most.saturating_sub(width(tail))).collect();
    format!("{kept}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_broken_and_cut_at_columns() {
        assert_eq!(wrapped("  one two three", 9, 4), "  one two\n    three\n");
        assert_eq!(broken("together/meta-llama/Llama-3.3-70B", 20), "together/meta-llama/\nLlama-3.3-70B");
        assert_eq!(broken("Tier 1 (old scheme)", 16), "Tier 1 (old\nscheme)");
        assert_eq!((broken("unbreakable", 4), broken("a/b", 9)), ("unbreakable".into(), "a/b".into()));
        assert_eq!((cut("abcdef", 4), cut("abcdef†", 4), cut("abc", 3)), ("abc…".into(), "ab…†".into(), "abc".into()));
    }
}
