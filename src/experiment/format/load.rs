//! From text to an `ExperimentFile`: `extends`, `--set`, and errors that name the file, the line and the whole key.
use super::ExperimentFile;
use super::origin::{FileError, Origin, ReadFile, place};
use super::policy::read_all;
use baseload_core::catalog::keyed;
use baseload_core::gateway::Presets;
use std::io::ErrorKind;
use std::path::Path;

/// How deep `extends` may go.
const MAX_EXTENDS: usize = 8;

/// Loads a file, lays it over what it extends, applies `sets` (`path.to.key=value`).
///
/// # Errors
/// With file, line and key.
pub fn load(path: &Path, sets: &[String]) -> Result<ExperimentFile, FileError> {
    load_with(path, sets, &Presets::embedded())
}

/// The same with presets of the caller's own beside this program's.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, sets: &[String], presets: &Presets) -> Result<ExperimentFile, FileError> {
    let mut origin = Origin::default();
    let mut table = merged(path, None, &mut origin)?;
    for set in sets {
        let keys = apply_set(&mut table, set).map_err(FileError::Plain)?;
        origin.sets.push((set.clone(), keys));
    }
    policy_gateways(&mut table);
    let policies = read_all(table.get("policy"), presets);
    let read = keyed::read::<ExperimentFile>(toml::Value::Table(table));
    let mut faults = read.faults;
    faults.extend(policies.faults);
    let policy = policies.value.unwrap_or_default();
    match read.value.filter(|_| faults.is_empty()) {
        Some(file) => Ok(ExperimentFile { policy, origin, ..file }),
        None => Err(origin.located(faults)),
    }
}

/// The file's table laid over that of the file that it extends. `from` is the key that asked for it.
fn merged(path: &Path, from: Option<&str>, origin: &mut Origin) -> Result<toml::Table, FileError> {
    if origin.files.len() > MAX_EXTENDS || origin.files.iter().any(|f| f.path == path) {
        return Err(FileError::Plain(format!("{}: `extends` goes round in a circle", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(|e| match from {
        Some(extends) => {
            origin.fault(&format!("extends: {}: {e}; `{extends}` is relative to this file", path.display()))
        }
        None if e.kind() == ErrorKind::NotFound => {
            FileError::Plain(format!("{}: {e}; `baseload run` without a file lists experiments", path.display()))
        }
        None => FileError::Plain(format!("{}: {e}; an experiment is a TOML file", path.display())),
    })?;
    let read = ReadFile { path: path.to_path_buf(), text };
    let mut own: toml::Table = toml::from_str(&read.text)
        .map_err(|e: toml::de::Error| place(&read, e.span().unwrap_or(0..0), e.message(), None))?;
    origin.files.push(read);
    let base = match own.remove("extends") {
        None => return Ok(own),
        Some(toml::Value::String(base)) => base,
        Some(_) => return Err(origin.fault("extends: it is no text; write the path of the file to lay this one over")),
    };
    let mut table = merged(&path.parent().unwrap_or(Path::new("")).join(&base), Some(&base), origin)?;
    rebase(&mut table, Path::new(&base).parent().unwrap_or(Path::new("")));
    overlay(&mut table, own);
    Ok(table)
}

/// Paths of a base file are relative to the base; `folder` leads from the file that extends it to there. A profile may
/// be a name of the catalogue instead: those end in no `.toml`.
fn rebase(table: &mut toml::Table, folder: &Path) {
    let move_to = |table: &mut toml::Table, key: &str, fits: fn(&str) -> bool| {
        if let Some(toml::Value::String(path)) = table.get_mut(key).filter(|v| v.as_str().is_some_and(fits)) {
            *path = folder.join(&*path).display().to_string();
        }
    };
    if let Some(trace) = table.get_mut("trace").and_then(toml::Value::as_table_mut) {
        ["path", "generate", "arrivals", "columns"].iter().for_each(|key| move_to(trace, key, |_| true));
    }
    let files = table.get_mut("catalog").and_then(|c| c.get_mut("files")).and_then(toml::Value::as_array_mut);
    for file in files.into_iter().flatten() {
        if let toml::Value::String(path) = file {
            *path = folder.join(&*path).display().to_string();
        }
    }
    if let Some(quality) = table.get_mut("quality").and_then(toml::Value::as_table_mut) {
        move_to(quality, "table", |_| true);
    }
    let pools = table.get_mut("pool").and_then(toml::Value::as_table_mut);
    for pool in pools.into_iter().flat_map(|p| p.iter_mut()).filter_map(|(_, p)| p.as_table_mut()) {
        move_to(pool, "kernels", |_| true);
        move_to(pool, "profile", |named| named.ends_with(".toml"));
    }
    let endpoints = table.get_mut("endpoint").and_then(toml::Value::as_table_mut);
    for endpoint in endpoints.into_iter().flat_map(|e| e.iter_mut()).filter_map(|(_, e)| e.as_table_mut()) {
        move_to(endpoint, "latency", |named| named.ends_with(".toml"));
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

/// Applies one `path.to.key=value`, typed like TOML; a value that is no TOML is a string. Returns the path's keys.
fn apply_set(table: &mut toml::Table, set: &str) -> Result<Vec<String>, String> {
    let (path, value) = set.split_once('=').ok_or_else(|| format!("--set {set}: write path.to.key=value"))?;
    let keys = keys_of(path).ok_or_else(|| {
        format!(
            "--set {set}: `{}` is no path of keys; write it like TOML: path.to.key, quotes around a name with dots",
            path.trim()
        )
    })?;
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().filter(|t| t.len() == 1);
    let value = parsed.and_then(|mut t| t.remove("v")).unwrap_or_else(|| toml::Value::String(value.to_string()));
    let Some((last, tables)) = keys.split_last() else { return Err(format!("--set {set}: write path.to.key=value")) };
    let mut here = table;
    for key in tables {
        let next = here.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        here = next.as_table_mut().ok_or_else(|| format!("--set {set}: `{key}` is not a table"))?;
    }
    here.insert(last.clone(), value);
    Ok(keys)
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

    #[test]
    fn set_reaches_nested_keys_and_types_values() {
        let mut table: toml::Table = toml::from_str("[pool.chat]\nreplicas = 1").unwrap();
        let mut set = |text: &str| apply_set(&mut table, text);
        set("pool.chat.replicas=4").unwrap();
        set("slo.ttft=2s").unwrap();
        assert_eq!(set("gate.\"a.ttft_p99_s\".worse=5%").unwrap(), ["gate", "a.ttft_p99_s", "worse"]);
        assert!(set("seed").unwrap_err().contains("path.to.key=value"));
        assert!(set("pool.chat.replicas.x=1").unwrap_err().contains("not a table"));
        assert!(set("pool..x=1").unwrap_err().contains("no path of keys"));
        assert!(set("=1").unwrap_err().contains("no path of keys"));
        assert_eq!(table["pool"]["chat"]["replicas"].as_integer(), Some(4));
        assert_eq!(table["slo"]["ttft"].as_str(), Some("2s"));
        assert_eq!(table["gate"]["a.ttft_p99_s"]["worse"].as_str(), Some("5%"));
    }

    #[test]
    fn a_file_may_say_only_what_differs_from_its_base() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("sub");
        std::fs::create_dir(&sub).unwrap();
        let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
        write(
            &dir.path().join("base.toml"),
            "name = \"base\"\ncatalog.files = [\"o.toml\", \"sub/p.toml\"]\ntrace.generate = \"t.toml\"\n[pool.chat]\nmodel = \"m\"\ngpu = \"g\"\nrent = {}\n\
             kernels = \"k\"\nprofile = \"cpu-vllm-0.32\"\n[pool.own]\nmodel = \"m\"\ngpu = \"g\"\nrent = {}\n\
             profile = \"p.toml\"\n[endpoint.a]\ncatalog = \"c\"\nlatency = \"l.toml\"\n[endpoint.b]\ncatalog = \"c\"\n\
             latency = \"p/m\"\n",
        );
        let over = sub.join("over.toml");
        write(&over, "extends = \"../base.toml\"\n[pool.chat]\nreplicas = 3\n");
        let file = load(&over, &[]).unwrap();
        assert_eq!((file.name.as_str(), file.pool["chat"].replicas), ("base", 3));
        assert_eq!(file.trace.generate.as_deref(), Some("../t.toml"), "relative to the base, not to the overlay");
        assert_eq!(file.catalog.files, ["../o.toml", "../sub/p.toml"]);
        let paths = |pool: &str| [file.pool[pool].kernels.as_deref(), file.pool[pool].profile.as_deref()];
        assert_eq!(paths("chat"), [Some("../k"), Some("cpu-vllm-0.32")], "a name of the catalogue is no path");
        assert_eq!(paths("own"), [None, Some("../p.toml")]);
        let laws = ["a", "b"].map(|e| file.endpoint[e].latency.as_deref());
        assert_eq!(laws, [Some("../l.toml"), Some("p/m")], "as a profile of a pool");
        assert_eq!(file.origin.files.len(), 2);
        write(&over, "extends = \"../base.toml\"\n[pool.chat]\nreplicas = \"x\"\n");
        let says = load(&over, &[]).unwrap_err().to_string();
        assert!(says.contains("over.toml:3: pool.chat.replicas: it is the text"), "{says}");
        write(&over, "extends = \"none.toml\"\n");
        let says = load(&over, &[]).unwrap_err().to_string();
        assert!(says.contains("over.toml:1: extends: ") && says.contains("none.toml"), "{says}");
        write(&over, "extends = \"over.toml\"\n");
        assert!(load(&over, &[]).unwrap_err().to_string().contains("circle"));
    }
}
