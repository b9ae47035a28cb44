//! A pool, resolved: its words as those of a replica, and the files that its step time is read from.
use super::*;
#[cfg(feature = "frames")]
use crate::calibrate::Kernels;
use crate::experiment::format::RentSection;
use baseload_core::catalog::StepTimeFile;
use baseload_core::fleet::{Formats, LongestSequence, MemoryOptions, RentSpec, ReplicaSpec, StepTimeSource};

impl Resolver<'_> {
    /// A pool. Keys of faults are counted from its table.
    pub(super) fn pool(&mut self, name: &str, p: &PoolSection) -> Result<ResolvedPool, Faults> {
        let (spec, kernels) = self.words(name, p)?;
        let replica = spec.resolve(self.catalog)?;
        let files = kernels.map(|k| k.files(self.catalog, &spec, &replica)).transpose();
        let kernel_files = files.map_err(|e| Fault::from(e).under("kernels"))?.unwrap_or_default();
        self.warnings.extend(replica.warnings.iter().map(|w| format!("pool {name}: {w}")));
        self.dated.extend(replica.rent.iter().filter_map(|rent| rent.read.clone()));
        Ok(ResolvedPool {
            name: name.into(),
            replicas: p.replicas,
            by_catalog_steps: !matches!(spec.step_time, StepTimeSource::Profile(_) | StepTimeSource::Coefficients(..)),
            kernel_files,
            replica: Arc::new(replica),
            answers: None,
        })
    }

    /// The words of a pool's replicas, and the kernel tables that their step time is interpolated in.
    fn words(&self, name: &str, p: &PoolSection) -> Result<(ReplicaSpec, Option<ReadKernels>), Faults> {
        let mut faults = Faults::default();
        let engine = faults.take(self.engines.chosen(&p.engine.0).map_err(|fault| fault.under("engine")));
        let rent = faults.take(rent_of(&p.rent).map_err(|fault| fault.under("rent")));
        let step_time = faults.take(self.step_time(name, p));
        let (Some(engine), Some(rent), Some((step_time, kernels))) = (engine, rent, step_time) else {
            faults.take(self.catalog.model_named(&p.model).map_err(|e| of_catalog("model", e)));
            faults.take(self.catalog.gpu(&p.gpu).map_err(|e| of_catalog("gpu", e)));
            return Err(faults);
        };
        let spec = ReplicaSpec {
            tensor_parallel: p.tensor_parallel,
            formats: Formats { weights: p.weights_dtype, kv: p.kv_dtype },
            memory: MemoryOptions {
                utilization: p.utilization,
                max_model_len: p.max_model_len.map_or(LongestSequence::OfModel, LongestSequence::Tokens),
                num_blocks: p.num_blocks,
                measured: false,
            },
            rent: Some(rent),
            step_time,
            ..ReplicaSpec::new(&p.model, &p.gpu, engine)
        };
        faults.finish((spec, kernels))
    }

    /// Where a pool's step time comes from.
    fn step_time(&self, name: &str, p: &PoolSection) -> Result<(StepTimeSource, Option<ReadKernels>), Fault> {
        let path = |key: &str| self.paths.at(&key!["pool", name, key]);
        match (&p.profile, path("kernels")) {
            (Some(_), Some(_)) => Err(Fault::at("kernels", "profile is given too").hint("a pool has one step time")),
            (Some(named), None) => {
                let source = match path("profile") {
                    Some(path) => profile_in(named, path).map_err(|e| Fault::from(e).under("profile")),
                    None => Profile::named(named)
                        .map(|profile| StepTimeSource::Profile(Arc::new(profile.clone())))
                        .map_err(|e| of_catalog("profile", e)),
                };
                Ok((source?, None))
            }
            (None, Some(path)) => {
                let read = kernels_of(path).map_err(|e| Fault::from(e).under("kernels"))?;
                Ok((read.source(), Some(read)))
            }
            (None, None) => Ok((StepTimeSource::Analytic, None)),
        }
    }
}

fn rent_of(rent: &RentSection) -> Result<RentSpec, Fault> {
    match (&rent.usd_per_gpu_hour, &rent.provider, &rent.kind) {
        (Some(usd), None, None) => {
            Usd::from_number(*usd).map(RentSpec::Own).map_err(|fault| fault.under("usd_per_gpu_hour"))
        }
        (None, Some(provider), Some(kind)) => Ok(RentSpec::Of { provider: provider.clone(), kind: kind.clone() }),
        _ => {
            let fault = Fault::new("it says not, or twice, what a GPU costs");
            Err(fault.hint("give provider and kind, or usd_per_gpu_hour"))
        }
    }
}

/// The step time of the profile or of the rows in a file.
fn profile_in(named: &str, path: &Path) -> Result<StepTimeSource, TraceFault> {
    let file = path.display().to_string();
    let text = read_text(path, LONGEST_TOML)?;
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
    fn files(
        &self,
        catalog: &Catalog,
        spec: &ReplicaSpec,
        replica: &ReplicaType,
    ) -> Result<Vec<KernelInput>, TraceFault> {
        let gpu = catalog.gpu(&spec.gpu).map_err(|e| TraceFault::new(e.to_string()))?;
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
fn kernels_of(path: &Path) -> Result<ReadKernels, TraceFault> {
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
    fn files(&self, _: &Catalog, _: &ReplicaSpec, _: &ReplicaType) -> Result<Vec<KernelInput>, TraceFault> {
        match *self {}
    }
}

#[cfg(not(feature = "frames"))]
fn kernels_of(path: &Path) -> Result<ReadKernels, TraceFault> {
    let fault = TraceFault::of(path.display(), "this build reads no Parquet");
    Err(fault.hint("build it with the feature `frames`"))
}
