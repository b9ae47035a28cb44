//! Recordings of a JSON value a line.
use super::hash::Hasher;
use baseload_core::types::TraceFault;
use serde::de::DeserializeOwned;
use std::io::BufRead;

/// Gives each line of `text` to `take` and returns the hash of them all. `form` says what a line is, for whoever has others.
///
/// # Errors
/// With file and line: what is no such value, what `take` refuses.
pub fn read<T: DeserializeOwned>(
    text: impl BufRead,
    name: &str,
    form: &str,
    mut take: impl FnMut(T) -> Result<(), TraceFault>,
) -> Result<String, TraceFault> {
    let mut hasher = Hasher::default();
    for (line, number) in text.lines().zip(1..) {
        let one = || {
            let line = line.map_err(TraceFault::unreadable)?;
            if line.trim().is_empty() {
                return Ok(());
            }
            hasher.line(line.trim());
            let wrong = |e: serde_json::Error| TraceFault::new(e.to_string()).hint(form);
            take(serde_json::from_str(&line).map_err(wrong)?)
        };
        one().map_err(|fault: TraceFault| fault.in_file(name).on_line(number))?;
    }
    Ok(hasher.finish())
}
