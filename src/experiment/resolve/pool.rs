//! A pool, resolved: its words as those of a replica, and the files that its step time is read from.
use super::*;
#[cfg(feature = "frames")]
use crate::calibrate::Kernels;
use crate::experiment::format::RentSection;
use baseload_core::catalog::{Profile, StepTimeFile};
use baseload_core::fleet::{Formats, LongestSequence, MemoryOptions, RentSpec, ReplicaSpec, StepTimeSource};
use baseload_core::types::{Fault, Faults, key};

impl Resolver<'_> {
    pub(super) fn pool(&mut self, name: &str, p: &PoolSection) -> Result<ResolvedPool, Faults> {
        let (spec, kernels) = self.words(p).map_err(|fault| fault.under(key!["pool", name]))?;
        let made = spec.resolve(self.catalog).and_then(|replica| {
            let files = kernels.map(|k| k.files(self.catalog, &spec, &replica)).transpose();
            Ok((replica, files.map_err(|e| Fault::at("kernels", e))?.unwrap_or_default()))
        });
        let (replica, kernel_files) = made.map_err(|fault| fault.under(key!["pool", name]))?;
        self.warnings.extend(replica.warnings.iter().map(|w| format!("pool {name}: {w}")));
        self.dated.extend(replica.rent.iter().filter_map(|rent| rent.read.clone()));
        Ok(ResolvedPool {
            name: name.into(),
            replicas: p.replicas,
            kernel_files,
            replica: Arc::new(replica),
            answers: None,
        })
    }

    /// The words of a pool's replicas, and the kernel tables that their step time is interpolated in.
    fn words(&self, p: &PoolSection) -> Result<(ReplicaSpec, Option<ReadKernels>), Fault> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut spec = replica_of(p, self.engines)?;
        let mut kernels = None;
        spec.step_time = match (&p.profile, &p.kernels) {
            (Some(_), Some(_)) => {
                return Err(Fault::at("kernels", "profile is given too; a pool has one step time"));
            }
            (Some(named), None) => profile_of(named, folder).map_err(|e| Fault::at("profile", e))?,
            (None, Some(path)) => {
                let read = kernels_of(&folder.join(path)).map_err(|e| Fault::at("kernels", e))?;
                kernels.insert(read).source()
            }
            (None, None) => StepTimeSource::Analytic,
        };
        Ok((spec, kernels))
    }
}

/// The words of a pool's replicas, but for its step time.
fn replica_of(p: &PoolSection, engines: &Engines) -> Result<ReplicaSpec, Fault> {
    let engine = engines.chosen(&p.engine.0).map_err(|fault| fault.under("engine"))?;
    Ok(ReplicaSpec {
        tensor_parallel: p.tensor_parallel,
        formats: Formats { weights: p.weights_dtype.map(Into::into), kv: p.kv_dtype },
        memory: MemoryOptions {
            utilization: p.utilization,
            max_model_len: p.max_model_len.map_or(LongestSequence::OfModel, LongestSequence::Tokens),
            num_blocks: p.num_blocks,
        },
        rent: Some(rent_of(&p.rent)?),
        ..ReplicaSpec::new(&p.model, &p.gpu, engine)
    })
}

fn rent_of(rent: &RentSection) -> Result<RentSpec, Fault> {
    match (&rent.usd_per_gpu_hour, &rent.provider, &rent.kind) {
        (Some(usd), None, None) => Usd::from_number(*usd).map(RentSpec::Own).map_err(|e| Fault::at("rent", e)),
        (None, Some(provider), Some(kind)) => Ok(RentSpec::Of { provider: provider.clone(), kind: kind.clone() }),
        _ => Err(Fault::at("rent", "give provider and kind, or usd_per_gpu_hour")),
    }
}

/// The step time of the profile or of the rows that a pool names.
fn profile_of(named: &str, folder: &Path) -> Result<StepTimeSource, String> {
    let Some(path) = profile_file(named, folder) else {
        let profile = Profile::named(named).map_err(|e| e.to_string())?;
        return Ok(StepTimeSource::Profile(Arc::new(profile.clone())));
    };
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let file = path.display().to_string();
    if StepTimeFile::is(&text) {
        return Ok(StepTimeSource::Rows(Arc::new((named.to_owned(), StepTimeFile::parse(&text, &file)?))));
    }
    Ok(StepTimeSource::Profile(Arc::new(Profile::parse(&text, &file)?)))
}

/// Kernel tables that were read at a path.
#[cfg(feature = "frames")]
struct ReadKernels {
    path: PathBuf,
    kernels: Arc<Kernels>,
}

#[cfg(feature = "frames")]
impl ReadKernels {
    fn source(&self) -> StepTimeSource {
        StepTimeSource::Kernels(self.kernels.clone())
    }

    /// The files that the step time of a replica rests on, named from the path.
    fn files(&self, catalog: &Catalog, spec: &ReplicaSpec, replica: &ReplicaType) -> Result<Vec<KernelInput>, String> {
        let gpu = catalog.gpu(&spec.gpu).map_err(|e| e.to_string())?;
        let chosen = self.kernels.chosen(catalog, gpu, replica.weights, spec.formats.kv)?;
        let mut files: Vec<KernelInput> = Vec::new();
        for taken in &chosen.taken {
            let file = &self.kernels.times().files[taken.file];
            let below = file.path.strip_prefix(&self.path).ok().filter(|b| !b.as_os_str().is_empty());
            let name = below.or_else(|| file.path.file_name().map(Path::new)).unwrap_or(&file.path);
            let input = KernelInput {
                file: name.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"),
                bytes: file.bytes,
                sha256: file.sha256.clone(),
            };
            if !files.contains(&input) {
                files.push(input);
            }
        }
        Ok(files)
    }
}

#[cfg(feature = "frames")]
fn kernels_of(path: &Path) -> Result<ReadKernels, String> {
    let times = crate::frames::read_kernels(&[path.to_path_buf()])?;
    Ok(ReadKernels { path: path.to_path_buf(), kernels: Arc::new(Kernels::new(times)) })
}

/// Nothing: tables are Parquet.
#[cfg(not(feature = "frames"))]
enum ReadKernels {}

#[cfg(not(feature = "frames"))]
impl ReadKernels {
    fn source(&self) -> StepTimeSource {
        match *self {}
    }
    fn files(&self, _: &Catalog, _: &ReplicaSpec, _: &ReplicaType) -> Result<Vec<KernelInput>, String> {
        match *self {}
    }
}

#[cfg(not(feature = "frames"))]
fn kernels_of(_path: &Path) -> Result<ReadKernels, String> {
    Err("this build cannot read Parquet: build with the feature `frames`".into())
}
