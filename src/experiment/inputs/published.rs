//! Published traces: what is known of each (`traces/manifest.toml`), where they lie, and whether a file is the one meant.
//!
//! Must hold: a file from the cache is used only after its hash was compared with the manifest's or, where the manifest
//! has none, with the one that the user trusted; a record beside the file says so.
use super::super::run::write_whole;
use super::hash;
use baseload_core::types::{Fault, TraceFault, check, nearest};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Variable that names the folder with published traces: the one that holds `traces/`.
pub const DATA_VARIABLE: &str = "BASELOAD_DATA";
/// Variable that names the folder of fetched traces; else `$XDG_CACHE_HOME/baseload`, else `~/.cache/baseload`.
pub const CACHE_VARIABLE: &str = "BASELOAD_CACHE";
/// What stands for a hash that nobody here has computed.
const UNVERIFIED: &str = "unverified";
/// The command that lists them.
pub const LISTING: &str = "baseload trace fetch --list";

/// A manifest of traces.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The traces, in the file's order.
    #[serde(rename = "trace")]
    pub traces: Vec<PublishedTrace>,
}

/// What is known of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTrace {
    /// Name of the trace in this program.
    pub name: String,
    /// What the trace is.
    pub about: String,
    /// What else to know.
    #[serde(default)]
    pub note: String,
    /// The format it is in.
    pub format: String,
    /// Name of the file below `$BASELOAD_DATA/traces` (a table of answers, `quality/...`: below `$BASELOAD_DATA`) and
    /// in the cache.
    pub file: String,
    /// Whether the trace is a folder, which is not fetched.
    #[serde(default)]
    pub folder: bool,
    /// Address of the file; empty where not known.
    pub url: String,
    /// The page that publishes it; empty where not known.
    pub page: String,
    /// Size of the file, bytes; only where we have hashed it.
    pub bytes: Option<u64>,
    /// SHA-256 of the file, or `unverified`.
    pub sha256: String,
    /// Licence of the trace.
    pub licence: String,
    /// Whom to cite.
    pub citation: String,
}

/// What is known of a file that was found right: the record beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Size of the file, bytes.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The trace that it is.
    pub name: String,
}

impl Published {
    /// The manifest that ships.
    pub fn shipped() -> Published {
        Published::parse(include_str!("../../../traces/manifest.toml"), "traces/manifest.toml")
            .expect("manifest-ships: a test reads traces/manifest.toml")
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// With its name, and the line where TOML says it.
    pub fn parse(text: &str, name: &str) -> Result<Published, TraceFault> {
        let all: Published = toml::from_str(text).map_err(|e| TraceFault::of(name, e))?;
        for (i, t) in all.traces.iter().enumerate() {
            let fault =
                |what: String, hint: &str| Err(TraceFault::of(name, format!("trace `{}`: {what}", t.name)).hint(hint));
            if let Err(wrong) = check::name("name", &t.name) {
                return Err(TraceFault::from(wrong).in_file(name));
            }
            if all.traces[..i].iter().any(|other| other.name == t.name) {
                return fault("its name stands twice".into(), "it may stand once");
            }
            let hex = t.sha256.len() == 64 && t.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if !hex && t.sha256 != UNVERIFIED {
                return fault(
                    format!("sha256 is `{}`", t.sha256),
                    &format!("it must be 64 hexadecimal digits or `{UNVERIFIED}`"),
                );
            }
            let inside = |part: std::path::Component| matches!(part, std::path::Component::Normal(_));
            if t.file.is_empty() || !Path::new(&t.file).components().all(inside) {
                return fault(format!("file is `{}`", t.file), "it must be a name inside the cache");
            }
            if !t.url.is_empty() && !t.url.starts_with("https://") && !t.url.starts_with("http://") {
                return fault(format!("url is `{}`", t.url), "it must be https:// or http://");
            }
        }
        Ok(all)
    }

    /// The trace of that name.
    ///
    /// # Errors
    /// Names the nearest, and what lists all.
    pub fn get(&self, name: &str) -> Result<&PublishedTrace, Fault> {
        self.traces.iter().find(|t| t.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.traces.iter().map(|t| t.name.as_str()).collect();
            let near = nearest(name, &known).map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            Fault::new(format!("unknown trace `{name}`")).hint(format!("{near}`{LISTING}` lists them"))
        })
    }
}

impl PublishedTrace {
    /// SHA-256 of the file, where we have hashed it.
    pub fn known_sha256(&self) -> Option<&str> {
        (self.sha256 != UNVERIFIED).then_some(self.sha256.as_str())
    }

    /// Folder of the file below `$BASELOAD_DATA`: `quality/` for a table of answers, `traces/` for all else.
    fn below(&self) -> &'static str {
        if self.file.starts_with("quality/") { "" } else { "traces/" }
    }

    /// Path of the file below `$BASELOAD_DATA`, if it is there.
    pub fn in_data(&self) -> Option<PathBuf> {
        let folder = std::env::var_os(DATA_VARIABLE).filter(|f| !f.is_empty())?;
        let path = PathBuf::from(folder).join(self.below()).join(&self.file);
        path.exists().then_some(path)
    }

    /// How to get it without this program, to be put at `path`.
    pub fn by_hand(&self, path: &Path) -> String {
        let what = if self.folder { "folder" } else { "file" };
        let from = if self.page.is_empty() { &self.citation } else { &self.page };
        let check = if self.folder { "" } else { "; the same command then checks it" };
        format!("download the {what} by hand from {from} and put it at {}{check}", path.display())
    }

    /// Hashes `path` and compares: with the manifest, else with what is on record for `place`, where it will lie.
    ///
    /// # Errors
    /// When it cannot be read or is another file.
    pub fn check(&self, path: &Path, place: &Path) -> Result<Checked, TraceFault> {
        let wrong = |what: String| TraceFault::of(path.display(), what);
        let (bytes, sha256) = hash(path).map_err(|e| wrong(e.to_string()))?;
        let trusted = record(place);
        let (want, whose) = match (self.known_sha256(), &trusted) {
            (Some(sha256), _) => (sha256, "the manifest's".to_string()),
            (None, Some(r)) => {
                (r.sha256.as_str(), format!("the one trusted before (in {})", record_path(place).display()))
            }
            (None, None) => return Ok(Checked::Unknown { bytes, sha256 }),
        };
        if sha256 != want {
            let size = self.bytes.map_or_else(String::new, |b| format!(" ({b} bytes)"));
            let what = format!("its sha256 is {sha256} ({bytes} bytes), {whose} is {want}{size}");
            return Err(wrong(what).hint("it is another file or was damaged"));
        }
        Ok(Checked::Right { bytes, sha256 })
    }
}

/// What a hash says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// The file is the one that is meant.
    Right {
        /// Size of the file, bytes.
        bytes: u64,
        /// SHA-256 of the file.
        sha256: String,
    },
    /// Nobody knows whether the file is the one that is meant: neither the manifest nor a record has a hash.
    Unknown {
        /// Size of the file, bytes.
        bytes: u64,
        /// SHA-256 of the file.
        sha256: String,
    },
}

/// The folder of fetched traces.
///
/// # Errors
/// When the machine names none.
pub fn cache_folder() -> Result<PathBuf, Fault> {
    cache_of(|name| std::env::var_os(name))
}

fn cache_of(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Fault> {
    let set = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set(CACHE_VARIABLE)
        .or_else(|| set("XDG_CACHE_HOME").map(|p| p.join("baseload")))
        .or_else(|| set("HOME").map(|p| p.join(".cache/baseload")))
        .ok_or_else(|| Fault::new("there is no folder for fetched traces").hint(format!("set {CACHE_VARIABLE}")))
}

/// Path of the record that is kept beside the file at `path`.
fn record_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".toml");
    name.into()
}

/// The record of the file at `path`.
pub fn record(path: &Path) -> Option<Record> {
    toml::from_str(&std::fs::read_to_string(record_path(path)).ok()?).ok()
}

/// Notes that the file at `path` is right.
///
/// # Errors
/// With the record's path.
pub fn write_record(path: &Path, record: &Record) -> Result<(), TraceFault> {
    let at = record_path(path);
    let text = toml::to_string(record).map_err(|e| TraceFault::of(at.display(), e))?;
    write_whole(&at, &text)
}

/// A published trace's file: below `$BASELOAD_DATA/traces` or that folder itself, else in the cache, checked once by `trace fetch`.
///
/// # Errors
/// How to get it.
pub fn find(name: &str) -> Result<PathBuf, Fault> {
    let shipped = Published::shipped();
    let trace = shipped.get(name)?;
    if let Some(path) = trace.in_data() {
        return Ok(path);
    }
    let path = cache_folder()?.join(&trace.file);
    if trace.folder && path.is_dir() {
        return Ok(path);
    }
    let Ok(file) = std::fs::metadata(&path) else {
        let what = "published data that is not part of this repository and not on this machine";
        let there = format!("{}{}", trace.below(), trace.file);
        return Err(Fault::new(format!("`{name}` is {what}")).hint(format!(
            "get it with `baseload trace fetch {name}`, or set {DATA_VARIABLE} to the folder that holds {there}"
        )));
    };
    let known = record(&path).filter(|r| r.bytes == file.len() && trace.known_sha256().is_none_or(|s| s == r.sha256));
    if known.is_none() {
        let fault = Fault::new(format!("{} has not been checked", path.display()));
        return Err(fault.hint(format!("`baseload trace fetch {name}` does")));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_that_ships_is_right_and_says_only_what_was_hashed() {
        let all = Published::shipped();
        assert!(all.traces.len() >= 20);
        for t in &all.traces {
            assert_eq!(t.bytes.is_some(), t.known_sha256().is_some(), "{}: size and hash are known together", t.name);
            assert!(!t.about.is_empty() && !t.licence.is_empty() && !t.citation.is_empty(), "{}", t.name);
            assert!(t.page.is_empty() || t.page.starts_with("https://"), "{}", t.name);
            // Where the data is, it is what the manifest says.
            if let (Some(path), Some(_)) = (t.in_data(), t.known_sha256()) {
                let checked = t.check(&path, &path).unwrap();
                assert!(matches!(checked, Checked::Right { bytes, .. } if Some(bytes) == t.bytes), "{}", t.name);
            }
        }
        assert!(all.get("azure-2023-conv").is_ok() && all.get("mooncake-conversation").is_ok());
        let error = all.get("azure-2023-con").unwrap_err().to_string();
        assert!(error.contains("`azure-2023-conv`") && error.contains("fetch --list"), "{error}");
    }

    #[test]
    fn every_published_trace_is_in_a_format_that_a_reader_has() {
        let text = include_str!("../../../traces/manifest.toml");
        for line in text.lines().filter_map(|line| line.strip_prefix("format = ")) {
            let named = baseload_trace::Readers::embedded().named(line.trim_matches('"'));
            assert!(named.is_ok(), "{line}: {}", named.err().unwrap());
        }
    }

    #[test]
    fn wrong_manifests_are_refused() {
        let text = include_str!("../../../traces/manifest.toml");
        for (from, to, says) in [
            ("sha256 = \"unverified\"", "sha256 = \"123\"", "64 hexadecimal"),
            ("file = \"azure-2023-code.csv\"", "file = \"../../etc/passwd\"", "inside the cache"),
            ("name = \"azure-2023-code\"", "name = \"azure-2023-conv\"", "twice"),
            ("url = \"\"", "url = \"ftp://x\"", "https://"),
            ("page = ", "pages = ", "unknown field"),
        ] {
            let error = Published::parse(&text.replacen(from, to, 1), "m.toml").unwrap_err().to_string();
            assert!(error.starts_with("m.toml") && error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_cache_is_where_the_nearest_variable_says() {
        let with = |set: &[(&str, &str)]| {
            cache_of(|name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)))
        };
        let all = [(CACHE_VARIABLE, "/c"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(with(&all).unwrap(), PathBuf::from("/c"));
        assert_eq!(with(&all[1..]).unwrap(), PathBuf::from("/x/baseload"));
        assert_eq!(with(&all[2..]).unwrap(), PathBuf::from("/h/.cache/baseload"));
        assert!(with(&[("HOME", "")]).unwrap_err().to_string().contains(CACHE_VARIABLE));
    }
}
