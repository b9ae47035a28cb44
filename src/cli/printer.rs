//! The one place that writes to the terminal. A closed pipe (`| head`) ends the program quietly.
use std::io::Write;

/// To stdout, with a line's end.
pub fn out(text: &str) {
    if writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n')).is_err() {
        std::process::exit(0);
    }
}

/// To stderr.
pub fn error(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end_matches('\n'));
}

/// A pretty JSON document to stdout.
pub fn json(value: &impl serde::Serialize) -> Result<(), String> {
    out(&serde_json::to_string_pretty(value).map_err(|e| e.to_string())?);
    Ok(())
}
