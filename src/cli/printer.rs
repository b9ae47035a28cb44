//! The one place that writes to the terminal, and where what came from outside loses its power over it: control characters
//! are written out, in documents as their own formats read them back.
//!
//! A closed pipe (`| head`) ends the program quietly with 141, as SIGPIPE would: never with 0, which a gate would pass
//! for. Any other fault of stdout, such as a full disk, is said and ends it with 2.
use baseload_core::types::Fault;
use baseload_core::types::shown::visible;
use std::io::{ErrorKind, Write};

/// To stdout, with a line's end.
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", visible(text.trim_end_matches('\n'))).and_then(|()| stdout.flush());
    if let Err(e) = written {
        if e.kind() == ErrorKind::BrokenPipe {
            std::process::exit(141);
        }
        error(&format!("stdout: {e}; what was to be printed is lost"));
        std::process::exit(2);
    }
}

/// To stderr.
pub fn error(text: &str) {
    drawn(&visible(text));
}

/// To stderr as it is, for what was made visible before it was coloured.
pub fn drawn(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end_matches('\n'));
}

/// A pretty JSON document to stdout.
pub fn json(value: &impl serde::Serialize) -> Result<(), Fault> {
    out(&json_text(value)?);
    Ok(())
}

/// A value as a pretty JSON document.
pub fn json_text(value: &impl serde::Serialize) -> Result<String, Fault> {
    let text = serde_json::to_string_pretty(value);
    // What serde leaves as it is stands in strings alone, where the escape means the same character.
    let text = text.map(|text| visible(&text).into_owned());
    text.map_err(|e| Fault::new(format!("this cannot be written as JSON: {e}")))
}

/// A value as a TOML document.
pub fn toml_text(value: &impl serde::Serialize) -> Result<String, Fault> {
    toml::to_string(value).map_err(|e| Fault::new(format!("this cannot be written as TOML: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_hide_nothing_and_are_read_back_as_they_were() {
        let text = "a\u{1b}[31m\u{9b}\u{7f}\u{202e}\n\tb\u{2028}";
        let json = json_text(&[text]).unwrap();
        assert!(json.contains("\\u001b[31m\\u009b\\u007f\\u202e\\n\\tb\\u2028"), "{json}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [text]);
    }
}
