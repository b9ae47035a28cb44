//! From text to an `ExperimentFile`: `extends`, `--set`, and all that is wrong with the text.
use super::super::whole_text::{LONGEST_TOML, irregular, read_text};
use super::ExperimentFile;
use super::origin::{FileFaults, Origin, ReadFile};
use super::paths::{Paths, each_path};
use super::policy::read_all;
use baseload_core::catalog::keyed;
use baseload_core::gateway::Presets;
use baseload_core::types::shown::quotation;
use baseload_core::types::{Fault, Faults, KeyPath, Segment, TraceFault, check, key};
use std::path::{Path, PathBuf};

/// Files that an experiment may be laid over, one over the other.
const MAX_EXTENDS: usize = 16;

/// An experiment as it is written: the struct as far as the text makes one, and what is wrong with the rest.
#[derive(Debug, Clone)]
pub struct Text {
    /// What could be read.
    pub file: ExperimentFile,
    /// What could not.
    pub faults: Faults,
    /// The files that it was read from, for messages and for the manifest's hashes.
    pub origin: Origin,
    /// The files that it names.
    pub paths: Paths,
    /// Folder that relative paths start from.
    pub folder: PathBuf,
    /// Keys that were left out for a fault.
    left_out: Vec<KeyPath>,
}

impl Text {
    /// The text, if nothing is wrong with it by itself.
    ///
    /// # Errors
    /// All faults.
    pub fn whole(self) -> Result<Text, FileFaults> {
        if self.faults.is_empty() { Ok(self) } else { Err(self.origin.located(self.faults)) }
    }

    /// Names of the tables `[TABLE.NAME]` that were left out for a fault: nobody is told that they are unknown.
    pub fn lost<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a str> {
        self.left_out.iter().filter_map(move |key| match key.segments() {
            [Segment::Name(of), Segment::Name(name)] if of == table => Some(name.as_str()),
            _ => None,
        })
    }
}

/// Loads a file, lays it over what it extends, applies `sets` (`path.to.key=value`). Policies may have these presets.
///
/// # Errors
/// A file that cannot be opened or is no TOML, and a `--set` that cannot be applied. All else that is wrong is in the text.
pub fn load(path: &Path, sets: &[String], presets: &Presets) -> Result<Text, FileFaults> {
    let mut origin = Origin::default();
    let mut table = merged(path, None, &mut origin)?;
    for set in sets {
        let keys = apply_set(&mut table, set).map_err(FileFaults::plain)?;
        origin.sets.push((set.clone(), keys));
    }
    policy_gateways(&mut table);
    let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
    let paths = Paths::of(&mut table, &folder);
    // Before anything is opened: a pipe would wait for somebody, and nothing that comes only once can be read by every policy.
    paths.regular().map_err(|faults| origin.located(faults))?;
    // Policies are read by the registry of presets; what is no table of them is left to be refused as such.
    let policy = if table.get("policy").is_some_and(toml::Value::is_table) { table.remove("policy") } else { None };
    let policies = read_all(policy.as_ref(), presets);
    let read = keyed::read::<ExperimentFile>(toml::Value::Table(table));
    let (mut faults, mut left_out) = (read.faults, read.left_out);
    faults.extend(policies.faults);
    left_out.extend(policies.left_out);
    match read.value {
        Some(file) => {
            let file = ExperimentFile { policy: policies.value.unwrap_or_default(), ..file };
            faults.extend(names(&file));
            Ok(Text { file, faults, origin, paths, folder, left_out })
        }
        None => Err(origin.located(faults)),
    }
}

/// The file's table laid over that of the file that it extends. `from` is the key that asked for it.
fn merged(path: &Path, from: Option<&str>, origin: &mut Origin) -> Result<toml::Table, FileFaults> {
    let same = |f: &ReadFile| {
        f.path == path || f.path.canonicalize().ok().is_some_and(|a| path.canonicalize().is_ok_and(|b| a == b))
    };
    if origin.files.iter().any(same) {
        let fault = TraceFault::of(path.display(), "`extends` goes round in a circle");
        return Err(FileFaults::plain(fault.hint("leave one of them out")));
    }
    if origin.files.len() > MAX_EXTENDS {
        let fault = TraceFault::of(path.display(), format!("`extends` is more than {MAX_EXTENDS} files deep"));
        return Err(FileFaults::plain(fault.hint("lay fewer files over each other")));
    }
    let found = match (from, irregular(path)) {
        (Some(_), Some(kind)) => Err(TraceFault::of(path.display(), format!("it is {kind}"))),
        _ => read_text(path, LONGEST_TOML),
    };
    let text = found.map_err(|fault| match from {
        Some(extends) => {
            let fault = Fault::from(fault.hint(format!("`{extends}` is relative to this file")));
            origin.located(fault.under("extends").into())
        }
        None if !path.exists() => FileFaults::plain(fault.hint("`baseload run` without a file lists experiments")),
        None => FileFaults::plain(fault.hint("an experiment is a TOML file")),
    })?;
    let read = ReadFile { path: path.to_path_buf(), text: text.into() };
    let mut own: toml::Table = toml::from_str(&read.text)
        .map_err(|e: toml::de::Error| read.fault(e.span().unwrap_or(0..0), Fault::new(e.message())))?;
    origin.files.push(read);
    let base = match own.remove("extends") {
        None => return Ok(own),
        Some(toml::Value::String(base)) => base,
        Some(_) => {
            let fault = Fault::at("extends", "it is no text");
            return Err(origin.located(fault.hint("write the path of the file to lay this one over").into()));
        }
    };
    let mut table = merged(&path.parent().unwrap_or(Path::new("")).join(&base), Some(&base), origin)?;
    // Paths of a base are relative to the base; this leads from the file that extends it to there.
    let folder = Path::new(&base).parent().unwrap_or(Path::new(""));
    each_path(&mut table, |_, _, path| *path = folder.join(&*path).display().to_string());
    overlay(&mut table, own);
    Ok(table)
}

/// What is wrong with the names that a file gives.
fn names(file: &ExperimentFile) -> Faults {
    let name = |table: &'static str| move |name: &String| check::name(key![table, name], name).err();
    let mut faults = Faults::default();
    faults.extend(file.class.keys().filter_map(name("class")));
    faults.extend(file.pool.keys().filter_map(name("pool")));
    faults.extend(file.endpoint.keys().filter_map(name("endpoint")));
    faults.extend(file.policy.keys().filter_map(name("policy")));
    faults
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

/// Lays `[policy.NAME.gateway]` over `[gateway]`, so that each is whole.
fn policy_gateways(table: &mut toml::Table) {
    let base = table.get("gateway").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let policies = table.get_mut("policy").and_then(toml::Value::as_table_mut);
    for policy in policies.into_iter().flat_map(|p| p.iter_mut()).filter_map(|(_, p)| p.as_table_mut()) {
        if let Some(toml::Value::Table(own)) = policy.get_mut("gateway") {
            let own = std::mem::replace(own, base.clone());
            if let Some(toml::Value::Table(whole)) = policy.get_mut("gateway") {
                overlay(whole, own);
            }
        }
    }
}

/// Applies one `path.to.key=value`, typed like TOML; a value that is no TOML is a string. Returns the path.
fn apply_set(table: &mut toml::Table, set: &str) -> Result<KeyPath, Fault> {
    const FORM: &str = "write path.to.key=value";
    let wrong = |what: &str, hint: &str| Fault::new(format!("--set {}: {what}", quotation(set))).hint(hint);
    let (path, value) = at_equals(set).ok_or_else(|| wrong("it has no value", FORM))?;
    let keys = keys_of(path).ok_or_else(|| {
        let how = "write it like TOML: path.to.key, quotes around a name with dots";
        wrong(&format!("`{}` is no path of keys", path.trim()), how)
    })?;
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().filter(|t| t.len() == 1);
    let value = parsed.and_then(|mut t| t.remove("v")).unwrap_or_else(|| toml::Value::String(value.to_string()));
    let Some((last, tables)) = keys.split_last() else { return Err(wrong("it has no key", FORM)) };
    let mut here = table;
    for key in tables {
        let next = here.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        here = next.as_table_mut().ok_or_else(|| wrong(&format!("`{key}` is not a table"), "give a key of a table"))?;
    }
    here.insert(last.clone(), value);
    Ok(keys.into_iter().map(Segment::from).collect::<Vec<_>>().into())
}

/// The path and the value of `path=value`: a name in quotes may have a `=` of its own.
fn at_equals(set: &str) -> Option<(&str, &str)> {
    let (mut open, mut escaped) = (None, false);
    for (at, c) in set.char_indices() {
        match open {
            None if c == '=' => return Some((&set[..at], &set[at + 1..])),
            None if matches!(c, '"' | '\'') => open = Some(c),
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(quote) if c == quote => open = None,
            _ => {}
        }
    }
    None
}

/// The keys of a dotted path, which may be quoted as in TOML.
fn keys_of(path: &str) -> Option<Vec<String>> {
    let mut table: toml::Table = toml::from_str(&format!("{path} = 0")).ok()?;
    let mut keys = Vec::new();
    loop {
        if table.len() != 1 {
            return None;
        }
        let (key, value) = table.into_iter().next()?;
        keys.push(key);
        match value {
            toml::Value::Table(inner) => table = inner,
            _ => return Some(keys),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baseload_core::types::key;

    fn load_plain(path: &Path) -> Result<Text, FileFaults> {
        load(path, &[], &Presets::embedded())?.whole()
    }

    #[test]
    fn set_reaches_nested_keys_and_types_values() {
        let mut table: toml::Table = toml::from_str("[pool.chat]\nreplicas = 1").unwrap();
        let mut set = |text: &str| apply_set(&mut table, text);
        set("pool.chat.replicas=4").unwrap();
        set("slo.ttft=2s").unwrap();
        assert_eq!(set("gate.\"a.ttft_p99_s\".worse=5%"), Ok(key!["gate", "a.ttft_p99_s", "worse"]));
        assert_eq!(set("policy.\"a=b\".'c=\".d'.e = 1"), Ok(key!["policy", "a=b", "c=\".d", "e"]));
        assert!(set("seed").unwrap_err().to_string().contains("path.to.key=value"));
        assert!(set("pool.chat.replicas.x=1").unwrap_err().what.contains("not a table"));
        assert!(set("pool..x=1").unwrap_err().what.contains("no path of keys"));
        assert!(set("=1").unwrap_err().what.contains("no path of keys"));
        assert_eq!(table["pool"]["chat"]["replicas"].as_integer(), Some(4));
        assert_eq!(table["slo"]["ttft"].as_str(), Some("2s"));
        assert_eq!(table["gate"]["a.ttft_p99_s"]["worse"].as_str(), Some("5%"));
    }

    #[test]
    fn a_file_may_say_only_what_differs_from_its_base() {
        let dir = tempfile::tempdir().unwrap();
        let (base, over) = (dir.path().join("base.toml"), dir.path().join("over.toml"));
        let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
        write(&base, "name = \"base\"\n[pool.chat]\nmodel = \"m\"\ngpu = \"g\"\nrent = {}\n");
        write(&over, "extends = \"base.toml\"\n[pool.chat]\nreplicas = 3\n");
        let text = load_plain(&over).unwrap();
        assert_eq!((text.file.name.as_str(), text.file.pool["chat"].replicas), ("base", 3));
        assert_eq!(text.origin.files.len(), 2);
        write(&over, "extends = \"base.toml\"\n[pool.chat]\nreplicas = \"x\"\n");
        let says = load_plain(&over).unwrap_err().to_string();
        assert!(says.contains("over.toml:3: pool.chat.replicas: it is the text \"x\""), "{says}");
        write(&over, "extends = \"none.toml\"\n");
        let says = load_plain(&over).unwrap_err().to_string();
        assert!(says.contains("over.toml:1: extends: ") && says.contains("none.toml"), "{says}");
        write(&over, "extends = \"over.toml\"\n");
        assert!(load_plain(&over).unwrap_err().to_string().contains("circle"));
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        write(&over, "extends = \"sub/../over.toml\"\n");
        assert!(load_plain(&over).unwrap_err().to_string().contains("circle"), "however it is written");
    }

    #[test]
    fn a_long_chain_is_no_circle() {
        let dir = tempfile::tempdir().unwrap();
        let link = |i: usize| dir.path().join(format!("{i}.toml"));
        std::fs::write(link(0), "name = \"base\"\n").unwrap();
        for i in 1..=MAX_EXTENDS + 1 {
            std::fs::write(link(i), format!("extends = \"{}.toml\"\nseed = {i}\n", i - 1)).unwrap();
        }
        let text = load_plain(&link(9)).unwrap();
        assert_eq!((text.file.name.as_str(), text.file.seed), ("base", 9));
        load_plain(&link(MAX_EXTENDS)).unwrap();
        let says = load_plain(&link(MAX_EXTENDS + 1)).unwrap_err().to_string();
        assert!(
            says.ends_with("0.toml: `extends` is more than 16 files deep; lay fewer files over each other"),
            "{says}"
        );
    }

    #[test]
    fn a_name_that_is_none_is_said_at_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.toml");
        let text =
            "name = \"n\"\n[policy.\"/../../../escaped\"]\napi_only = {}\n[class.\"a\\u001b[31m\"]\nshare = 0.5\n";
        std::fs::write(&path, text).unwrap();
        let says = load_plain(&path).unwrap_err().to_string();
        let lines: Vec<&str> = says.lines().map(|line| line.rsplit_once("e.toml:").unwrap().1).collect();
        assert_eq!(
            lines,
            [
                "2: policy.\"/../../../escaped\": the name has a `/` or `\\`; a name is no path: write `-` or `.` for it",
                "4: class.\"a\\u001b[31m\": the name has a character that cannot be seen, U+001B; leave it out",
            ]
        );
    }

    /// A base with every path that there can be, and an overlay in another folder: each path leads to the same file.
    #[test]
    fn an_overlay_in_another_folder_keeps_every_path() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        let pool = "model = \"m\"\ngpu = \"g\"\nrent = {}";
        let text = format!(
            "name = \"base\"\ncatalog.files = [\"o.toml\"]\n[trace]\npath = \"t.csv\"\ngenerate = \"g.toml\"\narrivals = \"a.toml\"\n\
             columns = \"c.toml\"\ntransform = [{{ superpose = {{ with = \"s.csv\" }} }}]\n[quality]\ntable = \"q.csv\"\n\
             [pool.a]\n{pool}\nprofile = \"p.toml\"\nkernels = \"k\"\n[pool.b]\n{pool}\nprofile = \"cpu-vllm-0.32\"\n\
             [endpoint.a]\ncatalog = \"c\"\nlatency = \"l.toml\"\n[endpoint.b]\ncatalog = \"c\"\nlatency = \"p/m\"\n"
        );
        let (base, over) = (dir.path().join("base.toml"), dir.path().join("sub/over.toml"));
        std::fs::write(&base, text).unwrap();
        std::fs::write(&over, "extends = \"../base.toml\"\n").unwrap();
        let (of_base, of_over) = (load_plain(&base).unwrap(), load_plain(&over).unwrap());
        let roles: Vec<&str> = of_base.paths.iter().map(|named| named.role).collect();
        let all: Vec<&str> = super::super::paths::PATHS.iter().map(|key| key.role).collect();
        assert_eq!(roles, all, "the base has each");
        for (a, b) in of_base.paths.iter().zip(of_over.paths.iter()) {
            let there = dir.path().join("sub/..").join(a.path.file_name().unwrap());
            assert_eq!((&a.key, &there), (&b.key, &b.path));
        }
        assert_eq!(of_over.paths.iter().count(), all.len());
        let names = [&of_over.file.pool["b"].profile, &of_over.file.endpoint["b"].latency];
        assert_eq!(names.map(|n| n.as_deref()), [Some("cpu-vllm-0.32"), Some("p/m")], "names are no paths");
    }
}
