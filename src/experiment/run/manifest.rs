//! `manifest.json`: all that determines a result, and nothing else. Inputs by hash, the experiment with every default,
//! seeds, version, features, and the facts of the catalogue that it rests on, with their dates.
//!
//! May import: the catalogue. Must keep true: the same inputs give the same bytes wherever they lie and whoever runs
//! them (hence file names, not paths); `experiment` reads back as an experiment file (`baseload gate` takes its rules from there).
use super::super::format::FileFaults;
use super::super::inputs::{KernelInput, TraceOrigin, find, hash, hex};
use super::super::resolve::{Echo, Experiment, Fact};
use baseload_core::types::TraceFault;
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
    pub experiment: Echo,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// `experiment`, `base` (what it extends), `generator`, `trace`, `quality`, `profile`, `catalog`, `latency` or `kernels`.
    pub role: &'static str,
    /// Name of the file, without folders; of kernel tables the path from the folder that a pool names.
    pub file: String,
    /// Size of the file, bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes as they lie there, compressed or not.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of an experiment; reads its trace file once for the hash.
    ///
    /// # Errors
    /// A file that cannot be read; a trace that is not there.
    pub fn of(exp: &Experiment) -> Result<Manifest, FileFaults> {
        let origin = find(&exp.trace).map_err(|faults| exp.located(faults.under("trace")))?;
        Ok(Manifest {
            format: FORMAT,
            baseload_version: env!("CARGO_PKG_VERSION"),
            features: if cfg!(feature = "frames") { vec!["frames"] } else { Vec::new() },
            seed: exp.seed,
            replicates: exp.replicates,
            inputs: inputs(exp, &origin).map_err(FileFaults::plain)?,
            facts: exp.facts.clone(),
            experiment: exp.echo.clone(),
        })
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn inputs(exp: &Experiment, origin: &TraceOrigin) -> Result<Vec<Input>, TraceFault> {
    let mut all = Inputs::default();
    for (i, file) in exp.origin.files.iter().enumerate() {
        all.add(Input {
            role: if i == 0 { "experiment" } else { "base" },
            file: name_of(&file.path),
            bytes: file.text.len() as u64,
            sha256: hex(&Sha256::digest(file.text.as_bytes())),
        });
    }
    for (role, path) in origin.files()? {
        all.read(role, &path)?;
    }
    exp.quality.iter().try_for_each(|quality| all.read("quality", &quality.path))?;
    let named = |role: &'static str| exp.paths.iter().filter(move |named| named.role == role);
    named("profile").try_for_each(|named| all.read(named.role, &named.path))?;
    exp.catalog_files.iter().for_each(|own| all.add_known("catalog", own));
    named("latency").try_for_each(|named| all.read(named.role, &named.path))?;
    exp.pools.iter().flat_map(|p| &p.kernel_files).for_each(|file| all.add_known("kernels", file));
    Ok(all.0)
}

/// Files, each once.
#[derive(Default)]
struct Inputs(Vec<Input>);

impl Inputs {
    fn add(&mut self, input: Input) {
        if !self.0.contains(&input) {
            self.0.push(input);
        }
    }
    fn add_known(&mut self, role: &'static str, known: &KernelInput) {
        self.add(Input { role, file: known.file.clone(), bytes: known.bytes, sha256: known.sha256.clone() });
    }
    fn read(&mut self, role: &'static str, path: &Path) -> Result<(), TraceFault> {
        let (bytes, sha256) = hash(path).map_err(|e| TraceFault::of(path.display(), e))?;
        self.add(Input { role, file: name_of(path), bytes, sha256 });
        Ok(())
    }
}
