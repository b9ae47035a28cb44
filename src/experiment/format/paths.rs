//! The keys of an experiment whose values are paths: one list for whoever lays a file over another, opens files or hashes them.
//!
//! Must keep true: every key that the schema says to be relative to the file is in [`PATHS`] (a test walks the schema).
use super::super::whole_text::irregular;
use baseload_core::types::{Fault, Faults, KeyPath, Segment};
use std::path::{Path, PathBuf};

/// A key whose value is a path.
#[derive(Debug, Clone, Copy)]
pub struct PathKey {
    /// What the manifest calls the file.
    pub role: &'static str,
    /// Segments of the key; `*` stands for every name of a table and every element of a list.
    pub key: &'static [&'static str],
    /// Whether a value is a path and not a name.
    pub is_path: fn(&str) -> bool,
}

const fn always(role: &'static str, key: &'static [&'static str]) -> PathKey {
    PathKey { role, key, is_path: |_| true }
}

/// A profile is a file where its name ends so, else a name of the catalogue.
const fn profile(role: &'static str, key: &'static [&'static str]) -> PathKey {
    PathKey { role, key, is_path: |named| named.ends_with(".toml") }
}

/// All keys that name a path.
pub const PATHS: &[PathKey] = &[
    always("catalog", &["catalog", "files", "*"]),
    always("trace", &["trace", "path"]),
    always("columns", &["trace", "columns"]),
    always("generator", &["trace", "generate"]),
    always("arrivals", &["trace", "arrivals"]),
    always("trace", &["trace", "transform", "*", "superpose", "with"]),
    always("quality", &["quality", "table"]),
    profile("profile", &["pool", "*", "profile"]),
    always("kernels", &["pool", "*", "kernels"]),
    profile("latency", &["endpoint", "*", "latency"]),
];

/// Calls `found` with every path of an experiment's table, in the order of [`PATHS`].
pub fn each_path(table: &mut toml::Table, mut found: impl FnMut(&PathKey, KeyPath, &mut String)) {
    let mut whole = toml::Value::Table(std::mem::take(table));
    for path_key in PATHS {
        descend(&mut whole, path_key.key, KeyPath::default(), &mut |at, path| {
            if (path_key.is_path)(path) {
                found(path_key, at, path);
            }
        });
    }
    if let toml::Value::Table(inner) = whole {
        *table = inner;
    }
}

fn descend(value: &mut toml::Value, key: &[&str], at: KeyPath, found: &mut dyn FnMut(KeyPath, &mut String)) {
    match (key.split_first(), value) {
        (None, toml::Value::String(path)) => found(at, path),
        (Some((&"*", rest)), toml::Value::Table(table)) => {
            table.iter_mut().for_each(|(name, value)| descend(value, rest, at.clone().then(name.as_str()), found));
        }
        (Some((&"*", rest)), toml::Value::Array(list)) => {
            list.iter_mut().enumerate().for_each(|(i, value)| descend(value, rest, at.clone().then(i), found));
        }
        (Some((name, rest)), toml::Value::Table(table)) => {
            if let Some(value) = table.get_mut(*name) {
                descend(value, rest, at.then(*name), found);
            }
        }
        _ => {}
    }
}

/// A path as an experiment names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPath {
    /// What the manifest calls the file.
    pub role: &'static str,
    /// The key that names it.
    pub key: KeyPath,
    /// Path of the file, made relative to where the program runs.
    pub path: PathBuf,
}

/// The paths that an experiment names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths(Vec<NamedPath>);

impl Paths {
    /// Paths that a table names which lies in `folder`.
    pub fn of(table: &mut toml::Table, folder: &Path) -> Paths {
        let mut all = Vec::new();
        each_path(table, |path_key, key, path| {
            all.push(NamedPath { role: path_key.role, key, path: folder.join(&*path) });
        });
        Paths(all)
    }

    /// Nothing, where each is a file or a folder, or is not there, of which others say more.
    ///
    /// # Errors
    /// At their keys: pipes and devices.
    pub fn regular(&self) -> Result<(), Faults> {
        let wrong = |named: &NamedPath| {
            let fault =
                Fault::at(named.key.clone(), format!("{} is {}", named.path.display(), irregular(&named.path)?));
            Some(fault.hint("a run opens it more than once: write it to a file, and give that"))
        };
        self.0.iter().filter_map(wrong).collect::<Faults>().finish(())
    }

    /// Path of the file that `key` names; none where its value is a name of the catalogue.
    pub fn at(&self, key: &KeyPath) -> Option<&Path> {
        self.0.iter().find(|named| named.key == *key).map(|named| named.path.as_path())
    }

    /// Paths whose keys begin with these names.
    pub fn below<'a>(&'a self, names: &'a [&'a str]) -> impl Iterator<Item = &'a NamedPath> {
        let starts = move |named: &&NamedPath| {
            let segments = named.key.segments();
            let is = |(segment, name): (&Segment, &&str)| matches!(segment, Segment::Name(n) if n == name);
            segments.len() >= names.len() && segments.iter().zip(names).all(is)
        };
        self.0.iter().filter(starts)
    }

    /// All paths.
    pub fn iter(&self) -> impl Iterator<Item = &NamedPath> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ExperimentFile;
    use super::*;
    use baseload_core::types::key;

    /// Keys of the schema whose words say that they are paths, `*` for names and elements.
    fn said_to_be_paths() -> Vec<Vec<String>> {
        let schema = serde_json::to_value(schemars::schema_for!(ExperimentFile)).unwrap();
        let mut found = Vec::new();
        walk(&schema, &schema, &mut Vec::new(), &mut found);
        found
    }

    fn walk(root: &serde_json::Value, here: &serde_json::Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        if at.len() > 6 {
            return;
        }
        if let Some(name) = here["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")) {
            walk(root, &root["$defs"][name], at, found);
        }
        let says = here["description"].as_str().unwrap_or_default().replace('\n', " ");
        let is_text = here["type"] == "string" || here["type"].as_array().is_some_and(|t| t.contains(&"string".into()));
        if says.contains("relative to this") || says.contains("relative to the experiment file") {
            let each = (here["items"]["type"] == "string").then(|| at.iter().cloned().chain(["*".into()]).collect());
            found.extend(is_text.then(|| at.clone()).or(each));
        }
        for choice in ["anyOf", "oneOf"] {
            here[choice].as_array().into_iter().flatten().for_each(|inner| walk(root, inner, at, found));
        }
        let mut inside = |name: &str, inner: &serde_json::Value| {
            at.push(name.into());
            walk(root, inner, at, found);
            at.pop();
        };
        here["properties"].as_object().into_iter().flatten().for_each(|(name, inner)| inside(name, inner));
        for each in ["additionalProperties", "items"] {
            if here[each].is_object() {
                inside("*", &here[each]);
            }
        }
    }

    #[test]
    fn every_key_that_the_schema_calls_a_path_is_in_the_list() {
        let mut said = said_to_be_paths();
        said.sort();
        said.dedup();
        // What a file extends is resolved before there is a table.
        said.retain(|key| key != &["extends"]);
        let mut listed: Vec<Vec<String>> =
            PATHS.iter().map(|p| p.key.iter().map(ToString::to_string).collect()).collect();
        listed.sort();
        assert_eq!(said, listed);
    }

    #[test]
    fn paths_are_found_at_their_keys() {
        let text = "trace.transform = [{ thin = {} }, { superpose = { with = \"b.csv\" } }]\n\
            [pool.a]\nprofile = \"x.toml\"\n[pool.b]\nprofile = \"cpu\"\n";
        let mut table: toml::Table = toml::from_str(text).unwrap();
        let paths = Paths::of(&mut table, Path::new("f"));
        assert_eq!(table, toml::from_str::<toml::Table>(text).unwrap(), "the table stays");
        let at = |key: KeyPath| paths.at(&key).map(|p| p.display().to_string());
        assert_eq!(at(key!["trace", "transform", 1, "superpose", "with"]).as_deref(), Some("f/b.csv"));
        assert_eq!(at(key!["pool", "a", "profile"]).as_deref(), Some("f/x.toml"));
        assert_eq!(at(key!["pool", "b", "profile"]), None, "a name of the catalogue");
        assert_eq!(paths.below(&["pool"]).count(), 1);
    }
}
