//! The one place that writes to the terminal.
//!
//! A closed pipe (`| head`) ends the program quietly with 141, as SIGPIPE would: never with 0, which a gate would pass
//! for. Any other fault of stdout, such as a full disk, is said and ends it with 2.
use baseload_core::types::Fault;
use std::io::{ErrorKind, Write};

/// To stdout, with a line's end.
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
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
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end_matches('\n'));
}

/// A pretty JSON document to stdout.
pub fn json(value: &impl serde::Serialize) -> Result<(), Fault> {
    out(&json_text(value)?);
    Ok(())
}

/// A value as a pretty JSON document.
pub fn json_text(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string_pretty(value).map_err(|e| Fault::new(format!("this cannot be written as JSON: {e}")))
}

/// A value as a TOML document.
pub fn toml_text(value: &impl serde::Serialize) -> Result<String, Fault> {
    toml::to_string(value).map_err(|e| Fault::new(format!("this cannot be written as TOML: {e}")))
}
