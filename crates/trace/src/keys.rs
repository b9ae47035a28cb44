//! The keys of a JSON object whose text may be cut off: what recognises a format, and finds the list that wraps its rows.

/// A key and the text that begins with its value.
pub(super) type Key<'a> = (&'a str, &'a str);

/// Where the value that starts `text` ends, or its end where it is cut off; `true` if it is whole.
fn value(text: &str) -> (usize, bool) {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => {
                quoted = !quoted;
                if !quoted && depth == 0 {
                    return (i + 1, true);
                }
            }
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return (i, true),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return (i + 1, true);
                }
            }
            b',' if depth == 0 => return (i, true),
            _ => {}
        }
    }
    (text.len(), false)
}

/// Bytes of the object or list that starts `text`; `None` where it is cut off.
pub(super) fn length(text: &str) -> Option<usize> {
    let (end, whole) = value(text);
    whole.then_some(end)
}

/// The keys of the object that starts `text`, as far as it goes. Keys with escapes are as they are written.
pub(super) fn of_object(text: &str) -> Vec<Key<'_>> {
    let mut keys = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else { return keys };
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let (end, whole) = if rest.starts_with('"') { value(rest) } else { (0, false) };
        if !whole {
            return keys;
        }
        let key = &rest[1..end - 1];
        let Some(behind) = rest[end..].trim_start().strip_prefix(':') else { return keys };
        let behind = behind.trim_start();
        keys.push((key, behind));
        rest = &behind[value(behind).0..];
    }
}

/// The first object of the list that starts `text`.
pub(super) fn first_of_list(text: &str) -> Option<&str> {
    let first = text.strip_prefix('[')?.trim_start();
    // Some exports wrap a list in a list.
    let first = first.strip_prefix('[').map_or(first, str::trim_start);
    first.starts_with('{').then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&str> {
        of_object(text).into_iter().map(|k| k.0).collect()
    }

    #[test]
    fn only_keys_of_the_object_itself_are_found_however_it_is_cut() {
        let text = r#"{"a": {"x": [1, "}"]}, "b" : "c\",\"d", "e":[{"f":1}], "g": -1.5e3, "h":null}"#;
        assert_eq!(names(text), ["a", "b", "e", "g", "h"]);
        for cut in 0..text.len() {
            let all = names(&text[..cut]);
            assert!(["a", "b", "e", "g", "h"].starts_with(&all), "{cut}: {all:?}");
        }
        assert_eq!(length(text), Some(text.len()));
        assert_eq!((length("{\"a\":1"), length("{}{}"), length("[]x")), (None, Some(2), Some(2)));
        assert_eq!(first_of_list("[ [ {\"a\":1}]]").map(names), Some(vec!["a"]));
        assert_eq!(first_of_list("[1]"), None);
    }
}
