//! From text to an `ExperimentFile`: `extends`, `--set`, and errors that point at the line.
use super::file::ExperimentFile;
use crate::catalog::nearest;
use miette::{NamedSource, SourceSpan};
use std::path::{Path, PathBuf};

/// A fault of the experiment file, with the place in it.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum FileError {
    /// At a place in a file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    At(Box<Place>),
    /// Anywhere else.
    #[error("{0}")]
    Plain(String),
}

/// A fault at a place in a file.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{message}")]
pub struct Place {
    /// What is wrong and what would be right.
    message: String,
    /// The file.
    #[source_code]
    source_code: NamedSource<String>,
    /// The place.
    #[label("here")]
    span: SourceSpan,
    /// The nearest known name, where there is one.
    #[help]
    hint: Option<String>,
}

/// How deep `extends` may go.
const MAX_EXTENDS: u32 = 8;

/// Loads a file, lays it over what it extends, applies `sets` (`path.to.key=value`).
///
/// # Errors
/// With file, line and key.
pub fn load(path: &Path, sets: &[String]) -> Result<ExperimentFile, FileError> {
    let mut table = merged(path, 0)?;
    for set in sets {
        apply_set(&mut table, set).map_err(FileError::Plain)?;
    }
    toml::Value::Table(table).try_into::<ExperimentFile>().map_err(|e| {
        let from_set = if sets.is_empty() { String::new() } else { " (after --set)".into() };
        FileError::Plain(format!("{}{from_set}: {}{}", path.display(), e.message(), suggest(e.message())))
    })
}

fn merged(path: &Path, depth: u32) -> Result<toml::Table, FileError> {
    if depth > MAX_EXTENDS {
        return Err(FileError::Plain(format!("{}: `extends` goes round in a circle", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(|e| {
        FileError::Plain(format!("{}: {e}; `baseload run` without a file lists experiments", path.display()))
    })?;
    // Typed first, for errors that point at the line; then as a table, to be merged.
    let typed: ExperimentFile = toml::from_str(&text).map_err(|e| at(path, &text, &e))?;
    let own: toml::Table = toml::from_str(&text).map_err(|e| at(path, &text, &e))?;
    match typed.extends {
        None => Ok(own),
        Some(base) => {
            let base: PathBuf = path.parent().unwrap_or(Path::new(".")).join(base);
            let mut table = merged(&base, depth + 1)?;
            overlay(&mut table, own);
            table.remove("extends");
            Ok(table)
        }
    }
}

fn overlay(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => overlay(inner, value),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn at(path: &Path, text: &str, error: &toml::de::Error) -> FileError {
    let span = error.span().unwrap_or(0..0);
    let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
    let key = key_path(text, span.start);
    FileError::At(Box::new(Place {
        message: format!("{}:{line}: {key}{}", path.display(), error.message()),
        source_code: NamedSource::new(path.display().to_string(), text.to_string()),
        span: (span.start, span.len().max(1)).into(),
        hint: Some(suggest(error.message())).filter(|s| !s.is_empty()).map(|s| s.trim_start_matches("; ").to_string()),
    }))
}

/// The table that a place lies in, as `[table] `, from the last header above it.
fn key_path(text: &str, at: usize) -> String {
    let above = &text[..at.min(text.len())];
    let header = above.lines().rev().map(str::trim).find(|l| l.starts_with('['));
    let line_start = above.rfind('\n').map_or(0, |i| i + 1);
    let key = text[line_start..].lines().next().unwrap_or("").split('=').next().unwrap_or("").trim();
    match header {
        Some(h) if !key.starts_with('[') => format!("{}.{key}: ", h.trim_matches(['[', ']'])),
        _ => String::new(),
    }
}

/// `; did you mean ...?` from serde's own list of names.
fn suggest(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(got) = quoted.next() else { return String::new() };
    if !message.starts_with("unknown") {
        return String::new();
    }
    let known: Vec<&str> = quoted.collect();
    nearest(got, &known).map_or_else(String::new, |n| format!("; did you mean `{n}`?"))
}

/// Applies one `path.to.key=value`; the value is typed like TOML, bare words are strings.
fn apply_set(table: &mut toml::Table, set: &str) -> Result<(), String> {
    let (path, value) = set.split_once('=').ok_or_else(|| format!("--set {set}: write path.to.key=value"))?;
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_string()));
    let keys: Vec<&str> = path.trim().split('.').collect();
    if keys.iter().any(|k| k.is_empty()) {
        return Err(format!("--set {set}: a key of `{path}` is empty"));
    }
    let mut here = table;
    for key in &keys[..keys.len() - 1] {
        let next = here.entry(key.to_string()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        here = next.as_table_mut().ok_or_else(|| format!("--set {set}: `{key}` is not a table"))?;
    }
    here.insert(keys[keys.len() - 1].to_string(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_reaches_nested_keys_and_types_values() {
        let mut table: toml::Table = toml::from_str("[pool.chat]\nreplicas = 1").unwrap();
        apply_set(&mut table, "pool.chat.replicas=4").unwrap();
        apply_set(&mut table, "slo.ttft=2s").unwrap();
        assert_eq!(table["pool"]["chat"]["replicas"].as_integer(), Some(4));
        assert_eq!(table["slo"]["ttft"].as_str(), Some("2s"));
        assert!(apply_set(&mut table, "seed").unwrap_err().contains("path.to.key=value"));
        assert!(apply_set(&mut table, "pool.chat.replicas.x=1").unwrap_err().contains("not a table"));
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        let message = "unknown field `replicsa`, expected one of `model`, `replicas`";
        assert_eq!(suggest(message), "; did you mean `replicas`?");
        assert_eq!(suggest("invalid type: string \"x\", expected u32"), "");
    }
}
