//! The items of a text: its lines, or the JSON objects in it, whichever way the text has them.
use super::elements::Elements;
use super::lines::Lines;
use crate::head::Head;
use crate::keys;
use crate::unopened::Unopened;
use baseload_core::types::TraceFault;

/// Where items come from.
pub(super) enum Items {
    /// Lines; blank ones are passed over.
    Lines(Lines),
    /// Elements of a JSON list, objects on however many lines, or what they wrap.
    Elements(Elements),
}

impl Items {
    /// The items of a text, as its beginning says.
    ///
    /// # Errors
    /// What is no text.
    pub(super) fn open(trace: &mut Unopened<'_>) -> Result<Items, TraceFault> {
        let text = trace.text()?;
        if is_lines(trace.head) {
            return Ok(Items::Lines(Lines::new(text, trace.name)));
        }
        Ok(Items::Elements(Elements::new(text, trace.name, trace.head.wrapper())))
    }

    /// Moves to the next item, `false` at the end; one that is `quoted` goes on in the next line inside quotes.
    pub(super) fn advance(&mut self, quoted: bool) -> Result<bool, TraceFault> {
        match self {
            Items::Lines(lines) if quoted => lines.advance_quoted(),
            Items::Lines(lines) => lines.advance(),
            Items::Elements(elements) => elements.advance(),
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Items::Lines(lines) => lines.text(),
            Items::Elements(elements) => elements.text(),
        }
    }

    /// The line that the item last read starts on.
    pub(super) fn line(&self) -> u64 {
        match self {
            Items::Lines(lines) => lines.line(),
            Items::Elements(elements) => elements.first_line(),
        }
    }

    pub(super) fn place(&self) -> String {
        match self {
            Items::Lines(lines) => lines.place(),
            Items::Elements(elements) => elements.place(),
        }
    }

    pub(super) fn fault(&self, what: impl Into<TraceFault>) -> TraceFault {
        match self {
            Items::Lines(lines) => lines.fault(what),
            Items::Elements(elements) => elements.fault(what),
        }
    }

    /// What stands beside lists that objects wrap: keys and JSON.
    pub(super) fn beside(&self) -> &[(String, String)] {
        match self {
            Items::Lines(_) => &[],
            Items::Elements(elements) => elements.beside(),
        }
    }
}

/// Whether a text is read line by line: it is no JSON, or each line is an object (the first may be torn).
fn is_lines(head: &Head<'_>) -> bool {
    let text = head.text();
    if !head.is_object() {
        return !head.is_json();
    }
    if head.wrapper().is_some() {
        return false;
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let whole = |line: &str| keys::length(line) == Some(line.len());
    match (lines.next(), lines.next()) {
        (Some(first), _) if whole(first) => true,
        // Two objects on one line are no line each.
        (Some(first), _) if keys::length(first).is_some() => false,
        (Some(_), Some(second)) => second.starts_with('{') && whole(second),
        _ => true,
    }
}

/// `text` with `null` for the bare words that Python writes for what is no number, outside quotes; `None` where there are none.
pub(super) fn without_bare_words(text: &str) -> Option<String> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return None;
    }
    let (mut out, mut rest, mut quoted) = (String::with_capacity(text.len()), text, false);
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|w| !quoted && rest.starts_with(w));
        let taken = match word {
            Some(word) => {
                out.push_str("null");
                word.len()
            }
            // What is escaped closes no quote.
            None if c == '\\' && quoted => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            None => c.len_utf8(),
        };
        if word.is_none() {
            quoted ^= c == '"';
            out.push_str(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    (out != text).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_lines_where_each_is_an_object() {
        for (text, lines) in [
            ("a,b\n1,2", true),
            ("{\"a\":1}\n{\"a\":2}", true),
            ("{\"a\":1", true),
            ("{\"a\":\n{\"a\":2}\n", true),
            ("[{\"a\":1}]", false),
            ("{\n\"a\":1\n}", false),
            ("{\"a\":1}{\"a\":2}\n", false),
            ("{\"data\":[{\"a\":1}]}", false),
            ("{\"data\":[1]}", true),
        ] {
            assert_eq!(is_lines(&Head::new("t", text.as_bytes())), lines, "{text}");
        }
    }

    #[test]
    fn bare_words_become_null_and_quoted_ones_stay() {
        let text = r#"{"a":NaN,"b":-Infinity,"c":[Infinity],"NaN \" NaN":"é NaN"}"#;
        let want = r#"{"a":null,"b":null,"c":[null],"NaN \" NaN":"é NaN"}"#;
        assert_eq!(without_bare_words(text).as_deref(), Some(want));
        assert_eq!(without_bare_words("{\"a\":\"NaN\"}"), None);
    }
}
