//! The beginning of a trace, as far as its format is recognised by it.
use serde_json::Value;
use std::borrow::Cow;
use std::cell::OnceCell;

/// What is looked at to recognise a trace: its first bytes, or that it is a folder.
pub struct Head<'a> {
    name: &'a str,
    folder: bool,
    bytes: &'a [u8],
    text: Cow<'a, str>,
    /// The first line as JSON, once somebody asked; `None` where it is none.
    first: OnceCell<Option<Value>>,
}

impl<'a> Head<'a> {
    /// Of a file or text that begins with `bytes`. `name` is its name for messages.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Head<'a> {
        Head { name, folder: false, bytes, text: String::from_utf8_lossy(bytes), first: OnceCell::new() }
    }

    /// Of a folder.
    pub fn of_folder(name: &'a str) -> Head<'a> {
        Head { folder: true, ..Head::new(name, &[]) }
    }

    /// Whether the trace is a folder, which has no text.
    pub fn is_folder(&self) -> bool {
        self.folder
    }

    /// Whether the file's name ends so, and there is a file. Content tells formats better where it can.
    pub fn is_named(&self, ending: &str) -> bool {
        !self.folder && self.name.ends_with(ending)
    }

    /// Whether its first bytes are these.
    pub fn starts_with(&self, magic: &[u8]) -> bool {
        self.bytes.starts_with(magic)
    }

    /// The text, without a byte order mark and white space around.
    pub fn text(&self) -> &str {
        self.text.trim_start_matches('\u{feff}').trim()
    }

    /// The first line of the text, untrimmed at its end.
    pub fn line(&self) -> &str {
        self.text.trim_start_matches('\u{feff}').trim_start().lines().next().unwrap_or("")
    }

    /// Whether it begins with a JSON object.
    pub fn is_object(&self) -> bool {
        self.text().starts_with('{')
    }

    /// Whether it begins with a JSON array and names `key` somewhere.
    pub fn is_array_with(&self, key: &str) -> bool {
        self.text().starts_with('[') && self.names(key)
    }

    /// Whether it begins with a JSON object that has all of these keys. A first line that is torn, or goes on in the next, is
    /// searched for them.
    pub fn has_keys(&self, keys: &[&str]) -> bool {
        let object = || serde_json::from_str(self.line().trim()).ok();
        self.is_object()
            && keys.iter().all(|key| match self.first.get_or_init(object) {
                Some(object) => object.get(key).is_some(),
                None => self.names(key),
            })
    }

    /// Whether the first line is a CSV header that has all of these columns.
    pub fn has_columns(&self, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.columns().any(|c| c.trim_matches('"') == *column))
    }

    /// The same, whatever their case.
    pub fn has_columns_in_any_case(&self, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.columns().any(|c| c.eq_ignore_ascii_case(column)))
    }

    /// Fields of the first line, unless it is JSON.
    fn columns(&self) -> impl Iterator<Item = &str> {
        let line = if self.is_object() { "" } else { self.line() };
        line.split(',').map(str::trim)
    }

    fn names(&self, key: &str) -> bool {
        self.text.contains(&format!("\"{key}\""))
    }
}
