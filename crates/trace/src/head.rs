//! The beginning of a trace, as far as its format is recognised by it.
use super::keys;
use super::shown::shown;
use std::borrow::Cow;
use std::cell::OnceCell;

/// What is looked at to recognise a trace: its first bytes, or that it is a folder.
pub struct Head<'a> {
    name: &'a str,
    folder: bool,
    bytes: &'a [u8],
    text: Cow<'a, str>,
    /// What it begins with, once somebody asked.
    objects: OnceCell<Objects>,
}

/// Keys of a first object, and the key that wraps rows with the keys of the first of them.
type Objects = (Option<Vec<String>>, Option<(&'static str, Vec<String>)>);

/// Keys under which APIs and exports put their lists of rows.
const WRAPPERS: [&str; 4] = ["data", "result", "spans", "logs"];

fn has_all(there: Option<&[String]>, keys: &[&str]) -> bool {
    there.is_some_and(|there| keys.iter().all(|key| there.iter().any(|k| k == key)))
}

impl<'a> Head<'a> {
    /// The head of a file or text that begins with `bytes`; messages call it `name`.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Head<'a> {
        Head { name, folder: false, bytes, text: String::from_utf8_lossy(bytes), objects: OnceCell::new() }
    }

    /// The head of a folder, which messages call `name`.
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

    /// Whether it begins with JSON: an object or a list.
    pub fn is_json(&self) -> bool {
        self.text().starts_with(['{', '['])
    }

    /// Whether it begins with a JSON object.
    pub fn is_object(&self) -> bool {
        self.text().starts_with('{')
    }

    /// Whether it begins with JSON, and its first object (in a list or not) has all of these keys. What is cut off or goes on
    /// in other lines is understood as far as it goes.
    pub fn has_keys(&self, keys: &[&str]) -> bool {
        has_all(self.objects().0.as_deref(), keys)
    }

    /// Whether its rows have all of these keys: its first object, or the first in the list that wraps them (`data`,
    /// `result`, `spans`, ...).
    pub fn has_rows(&self, keys: &[&str]) -> bool {
        self.has_keys(keys) || has_all(self.objects().1.as_ref().map(|w| w.1.as_slice()), keys)
    }

    /// Whether the value of a key of its first object begins so.
    pub fn value_starts(&self, key: &str, with: &str) -> bool {
        let text = self.text();
        let first = keys::first_of_list(text).unwrap_or(text);
        keys::of_object(first).into_iter().any(|(k, value)| k == key && value.starts_with(with))
    }

    /// The key of its first object whose list holds its rows, where there is one.
    pub fn wrapper(&self) -> Option<&'static str> {
        self.objects().1.as_ref().map(|w| w.0)
    }

    /// Whether a key of this name stands anywhere in it.
    pub fn names(&self, key: &str) -> bool {
        self.text.contains(&format!("\"{key}\""))
    }

    /// Names of its rows' fields, as far as they are told: a few, cut to what can be shown.
    pub fn fields(&self) -> Vec<String> {
        const MOST: usize = 16;
        let objects = self.objects();
        let rows = objects.1.as_ref().map(|w| &w.1).or(objects.0.as_ref());
        let all: Vec<String> = match rows {
            Some(keys) => keys.clone(),
            None if self.line().contains(',') => self.columns().map(str::to_owned).collect(),
            None => Vec::new(),
        };
        let more = (all.len() > MOST).then(|| format!("{} more", all.len() - MOST));
        all.into_iter().take(MOST).map(|name| shown(&name)).chain(more).collect()
    }

    /// Keys of its first object, and of the first row in the list that wraps rows.
    fn objects(&self) -> &Objects {
        self.objects.get_or_init(|| {
            let text = self.text();
            let first = keys::first_of_list(text).unwrap_or(text);
            if !first.starts_with('{') {
                return (None, None);
            }
            let own = |keys: &[keys::Key<'_>]| keys.iter().map(|k| k.0.to_owned()).collect::<Vec<_>>();
            let all = keys::of_object(first);
            let wrapped = WRAPPERS.into_iter().find_map(|wrapper| {
                let (_, list) = all.iter().find(|k| k.0 == wrapper)?;
                Some((wrapper, own(&keys::of_object(keys::first_of_list(list)?))))
            });
            (Some(own(&all)), wrapped.filter(|_| text.starts_with('{')))
        })
    }

    /// Whether the first line is a CSV header that has all of these columns.
    pub fn has_columns(&self, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.columns().any(|c| c.trim_matches('"') == *column))
    }

    /// Whether the first line names all of these columns, in upper or lower case.
    pub fn has_columns_in_any_case(&self, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.columns().any(|c| c.eq_ignore_ascii_case(column)))
    }

    /// Fields of the first line, unless it is JSON.
    fn columns(&self) -> impl Iterator<Item = &str> {
        let line = if self.is_json() { "" } else { self.line() };
        line.split(',').map(str::trim)
    }
}
