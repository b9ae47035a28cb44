//! `manifest.json`: all that determines a result, and nothing else. Inputs by hash, the experiment with every default,
//! seeds, version, features, and the facts of the catalogue that it rests on, with their dates.
//!
//! May import: the catalogue. Must keep true: the same inputs give the same bytes wherever they lie and whoever runs
//! them (hence file names, not paths); `experiment` reads back as an `ExperimentFile` (`baseload gate` does).
use super::super::format::ExperimentFile;
use super::super::inputs::{hash, hex};
use super::super::resolve::{Experiment, profile_file};
use super::super::{ON_CALL_KEY, PEOPLE_KEY};
use super::trace_of;
use baseload_core::catalog::Profile;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Version of `manifest.json`.
pub const FORMAT: u32 = 1;

/// What determines a result.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// Format version, [`FORMAT`].
    pub format: u32,
    /// Version of the program.
    pub baseload_version: &'static str,
    /// Cargo features that it was built with.
    pub features: Vec<&'static str>,
    /// Seed of every random stream.
    pub seed: u64,
    /// Replicates of every policy, numbered from 0.
    pub replicates: u32,
    /// Files that were read.
    pub inputs: Vec<Input>,
    /// Facts of the catalogue that were used.
    pub facts: Vec<Fact>,
    /// The experiment as it was run: `extends` and `--set` applied, defaults filled in.
    pub experiment: ExperimentFile,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// `experiment`, `base` (what it extends), `generator`, `trace`, `quality`, `profile`, `catalog`, `latency` or `kernels`.
    pub role: &'static str,
    /// Its name, without folders; of kernel tables from the folder that a pool names.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes as they lie there, compressed or not.
    pub sha256: String,
}

/// A fact that was used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fact {
    /// `gpu`, `model`, `profile`, `rent`, `api price`, `api latency`, `rate limits`, `provisioned`, `incidents` or `people`.
    pub kind: &'static str,
    /// Its name in `baseload catalog`.
    pub name: String,
    /// When it was read.
    pub date: String,
    /// Where.
    pub source: String,
}

impl Manifest {
    /// The manifest of an experiment; reads its trace file once for the hash.
    ///
    /// # Errors
    /// With the file.
    pub fn of(exp: &Experiment) -> Result<Manifest, String> {
        Ok(Manifest {
            format: FORMAT,
            baseload_version: env!("CARGO_PKG_VERSION"),
            features: if cfg!(feature = "frames") { vec!["frames"] } else { Vec::new() },
            seed: exp.file.seed,
            replicates: exp.file.replicates,
            inputs: inputs(exp)?,
            facts: facts(exp),
            experiment: exp.file.clone(),
        })
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn inputs(exp: &Experiment) -> Result<Vec<Input>, String> {
    let mut out: Vec<Input> = Vec::new();
    for (i, file) in exp.file.origin.files.iter().enumerate() {
        out.push(Input {
            role: if i == 0 { "experiment" } else { "base" },
            file: name_of(&file.path),
            bytes: file.text.len() as u64,
            sha256: hex(&Sha256::digest(file.text.as_bytes())),
        });
    }
    let (origin, _) = trace_of(exp)?;
    for (role, path) in origin.files()? {
        let (bytes, sha256) = hash(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        out.push(Input { role, file: name_of(&path), bytes, sha256 });
    }
    if let Some(quality) = &exp.quality {
        let (bytes, sha256) = hash(&quality.path).map_err(|e| format!("{}: {e}", quality.path.display()))?;
        out.push(Input { role: "quality", file: name_of(&quality.path), bytes, sha256 });
    }
    for pool in exp.file.pool.values() {
        if let Some(path) = pool.profile.as_deref().and_then(|named| profile_file(named, &exp.folder)) {
            let (bytes, sha256) = hash(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            out.push(Input { role: "profile", file: name_of(&path), bytes, sha256 });
        }
    }
    for own in &exp.catalog_files {
        out.push(Input { role: "catalog", file: own.file.clone(), bytes: own.bytes, sha256: own.sha256.clone() });
    }
    for endpoint in exp.file.endpoint.values() {
        if let Some(path) = endpoint.latency.as_deref().and_then(|named| profile_file(named, &exp.folder)) {
            let (bytes, sha256) = hash(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let input = Input { role: "latency", file: name_of(&path), bytes, sha256 };
            if !out.contains(&input) {
                out.push(input);
            }
        }
    }
    for k in exp.pools.iter().flat_map(|p| &p.kernel_files) {
        let input = Input { role: "kernels", file: k.file.clone(), bytes: k.bytes, sha256: k.sha256.clone() };
        if !out.contains(&input) {
            out.push(input);
        }
    }
    Ok(out)
}

/// The rows of the catalogue that the experiment names, each once, in order of kind and name.
fn facts(exp: &Experiment) -> Vec<Fact> {
    let (c, file) = (&exp.catalog, &exp.file);
    let mut out = Vec::new();
    let mut add = |kind, name: String, row: Option<(&String, &String)>| {
        out.extend(row.map(|(date, source)| Fact { kind, name, date: date.clone(), source: source.clone() }));
    };
    for pool in file.pool.values() {
        let (gpu, model) = (c.gpu(&pool.gpu).ok(), c.model(&pool.model).ok());
        let gpu_id = gpu.map_or(&pool.gpu, |r| &r.id);
        add("gpu", gpu_id.clone(), gpu.map(|r| (&r.date, &r.source)));
        add("model", model.map_or(&pool.model, |r| &r.id).clone(), model.map(|r| (&r.date, &r.source)));
        if let Some(profile) = pool.profile.as_deref().and_then(|p| Profile::named(p).ok()) {
            add("profile", profile.name.clone(), Some((&profile.date, &profile.source)));
        }
        if let (Some(provider), Some(kind)) = (&pool.rent.provider, &pool.rent.kind) {
            let row = c.rent(gpu_id, provider, kind).ok();
            add("rent", format!("{gpu_id}, {provider}, {kind}"), row.map(|r| (&r.date, &r.source)));
        }
    }
    for (endpoint, resolved) in file.endpoint.values().zip(&exp.endpoints) {
        let (name, row) = (&endpoint.catalog, &resolved.row);
        add("api price", name.clone(), Some((&row.date, &row.source)).filter(|_| endpoint.price.is_none()));
        add("api latency", name.clone(), c.api_latency(name).ok().map(|r| (&r.date, &r.source)));
        if let Some(tier) = endpoint.limits.as_ref().and_then(|l| l.tier.as_ref()) {
            add("rate limits", tier.clone(), c.rate_limit(tier).ok().map(|r| (&r.date, &r.source)));
        }
        if let Some(p) = &endpoint.provisioned {
            let model = name.rsplit('/').next().unwrap_or(name);
            let row = c.provisioned(model).ok().filter(|_| p.input_tokens_per_minute.is_none());
            add("provisioned", model.into(), row.map(|r| (&r.date, &r.source)));
        }
    }
    for service in file.outages.values().filter_map(|o| o.drawn.as_ref()) {
        add("incidents", service.clone(), c.incidents(service).ok().map(|r| (&r.date, &r.source)));
    }
    let own = [(PEOPLE_KEY, file.economics.people_usd_per_year), (ON_CALL_KEY, file.economics.on_call_usd_per_year)];
    for (key, _) in own.into_iter().filter(|(_, own)| own.is_none()) {
        add("people", key.into(), c.ops(key).ok().map(|r| (&r.date, &r.source)));
    }
    out.sort();
    out.dedup();
    out
}
