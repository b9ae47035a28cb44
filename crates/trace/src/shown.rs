//! Text that comes from a file, as people may see it.

/// Characters that are shown.
const SHOWN: usize = 80;

/// Text from a file as people may see it: control characters written out, cut to a line.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN).flat_map(|c| c.escape_debug()).collect();
    out = out.replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\");
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn control_characters_are_written_out_and_long_texts_cut() {
        assert_eq!(shown("a \"b\" \u{1b}[31m\n"), "a \"b\" \\u{1b}[31m\\n");
        assert_eq!(shown(&"x".repeat(100)), format!("{}…", "x".repeat(80)));
    }
}
