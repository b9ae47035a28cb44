//! From text to what a simulation is made of: names looked up, units parsed, memory planned, every fault named.
use super::format::{
    BatchSection, CacheName, DurationText, EndpointSection, EngineSection, ExperimentFile, FileError, PolicySection,
    PoolSection,
};
use super::inputs::{KernelInput, OwnFacts, read_catalog};
use super::verdict::gate::{self, Tolerance};
use baseload_core::api::{
    CacheKind, CacheRule, CacheWrite, EndpointSpec, Latency, Limits, LogNormal, Price, Priced, ProfileLaw, Reasoning,
    Rules, Service, Turnaround,
};
use baseload_core::catalog::{ApiLatency, ApiPrice, ApiProfile, Catalog, PromptCacheRow, Tier, age_days, unknown};
use baseload_core::engine::{EngineMode, Engines};
use baseload_core::fleet::{FailureModel, ReplicaType};
use baseload_core::gateway::{Answers, Known, Resilience, Routing, ScrapeSection};
use baseload_core::sim::{PoolSpec, WorldSpec};
use baseload_core::types::{Capability, ClassSpec, Faults, PlaceMap, Privacy, SimTime, Usd, parse_duration};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod endpoint;
mod gateway;
mod limits;
mod outages;
mod policy;
mod pool;
mod quality;

pub use quality::QualityInput;

pub use limits::Hourly;
mod price;

/// A pool, resolved.
pub struct ResolvedPool {
    /// Name.
    pub name: String,
    /// What each of its replicas is.
    pub replica: Arc<ReplicaType>,
    /// Replicas where a policy does not say.
    pub replicas: u32,
    /// How good its answers are, where given.
    pub answers: Option<Arc<Answers>>,
    /// Kernel tables that its step time is interpolated in.
    pub(super) kernel_files: Vec<KernelInput>,
}

impl ResolvedPool {
    /// Rent of a GPU and hour.
    pub fn rent(&self) -> Usd {
        self.replica.rent.as_ref().map_or(Usd::ZERO, |rent| rent.usd_per_gpu_hour)
    }
}

/// An endpoint, resolved.
pub struct ResolvedEndpoint {
    /// Name.
    pub name: String,
    /// What a simulation needs.
    pub spec: EndpointSpec,
    /// What is paid for it by the hour, used or not.
    pub hourly: Option<limits::Hourly>,
    /// How good its answers are, where given.
    pub answers: Option<Arc<Answers>>,
    /// The row of the catalogue, or of a price file, that its price is from.
    pub(super) row: ApiPrice,
}

/// A policy, resolved: the fleet it keeps, what it may buy, how it picks.
#[derive(Clone)]
pub struct ResolvedPolicy {
    /// Name.
    pub name: String,
    /// Pool index and replicas.
    pub pools: Vec<(usize, u32)>,
    /// Endpoint indices.
    pub endpoints: Vec<usize>,
    /// How it picks; endpoint numbers are positions in `endpoints`.
    pub routing: Routing,
    /// How old engine signals are for it, where it or its preset says.
    scrape: Option<(SimTime, SimTime)>,
    gateway: gateway::ResolvedGateway,
}

/// An experiment, ready to run.
pub struct Experiment {
    /// As written, with defaults, those that depend on a GPU included.
    pub file: ExperimentFile,
    /// Where it lies; relative paths start there.
    pub folder: PathBuf,
    /// Pools in file order.
    pub pools: Vec<ResolvedPool>,
    /// Endpoints in file order.
    pub endpoints: Vec<ResolvedEndpoint>,
    /// Policies in file order.
    pub policies: Vec<ResolvedPolicy>,
    /// Classes and shares in millionths; the last one is the rest.
    pub classes: Vec<(ClassSpec, u32)>,
    /// TTFT, TPOT, E2E.
    pub slo: [Option<SimTime>; 3],
    /// The table of measured answers, if there is one.
    pub quality: Option<QualityInput>,
    /// What the gate holds.
    pub gate: Vec<(String, Tolerance)>,
    /// Loaded cost of a full-time equivalent, a year.
    pub people_per_year: Usd,
    /// Full-time equivalents, thousandths.
    pub people_fte_thousandths: u32,
    /// On-call, a year.
    pub on_call_per_year: Usd,
    /// Assumptions that nobody verified, in words.
    pub warnings: Vec<String>,
    /// Facts used that have a date: what and when.
    pub dated_facts: Vec<(String, String)>,
    /// The facts that it was resolved against.
    pub catalog: Catalog,
    /// The catalogue files that were laid over the embedded facts.
    pub(super) catalog_files: Vec<KernelInput>,
    failures: Option<FailureModel>,
}

/// Resolves a file that lies at `path`.
///
/// # Errors
/// `FILE:LINE: key.path: what is wrong; what would be right`.
pub fn resolve(file: ExperimentFile, path: &Path) -> Result<Experiment, FileError> {
    resolve_with(file, path, &[])
}

/// The same with more catalogue files than the experiment names.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_with(file: ExperimentFile, path: &Path, more: &[PathBuf]) -> Result<Experiment, FileError> {
    resolve_among(file, path, more, &Engines::embedded())
}

/// The same with engines of the caller's own beside this program's.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_among(
    file: ExperimentFile,
    path: &Path,
    more: &[PathBuf],
    engines: &Engines,
) -> Result<Experiment, FileError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let files: Vec<PathBuf> = file.catalog.files.iter().map(|f| folder.join(f)).chain(more.iter().cloned()).collect();
    let OwnFacts { catalog, notes, files } = read_catalog(&files)?;
    let resolver = Resolver { file: &file, path, catalog: &catalog, engines, warnings: notes, dated: Vec::new() };
    let resolved = resolver.all().map_err(|wrong| match wrong {
        Wrong::Said(message) => file.origin.fault(&message),
        Wrong::Faults(faults) => file.origin.located(faults),
    })?;
    Ok(Experiment { catalog_files: files, catalog, ..resolved })
}

/// The file with what was resolved in it.
fn echoed(file: &ExperimentFile, pools: &[ResolvedPool], date: Option<String>) -> ExperimentFile {
    let mut file = file.clone();
    file.date = date;
    for gateway in file.policy.values_mut().filter_map(|p| p.own.gateway.as_mut()).chain([&mut file.gateway]) {
        gateway.retries = Some(gateway::retries_of(gateway));
    }
    for (section, pool) in file.pool.values_mut().zip(pools) {
        let (name, resolved) = &pool.replica.engine;
        section.weights_dtype = Some(pool.replica.weights.into());
        section.engine = EngineSection::of(name, resolved.clone());
    }
    file
}

/// What is wrong: said in words, its key in front, or typed.
enum Wrong {
    Said(String),
    Faults(Faults),
}

impl From<String> for Wrong {
    fn from(message: String) -> Wrong {
        Wrong::Said(message)
    }
}
impl From<&str> for Wrong {
    fn from(message: &str) -> Wrong {
        Wrong::Said(message.into())
    }
}
impl From<Faults> for Wrong {
    fn from(faults: Faults) -> Wrong {
        Wrong::Faults(faults)
    }
}

struct Resolver<'a> {
    file: &'a ExperimentFile,
    path: &'a Path,
    /// The catalogue, with prices of the user's own where there are.
    catalog: &'a Catalog,
    /// Engines that pools may name.
    engines: &'a Engines,
    warnings: Vec<String>,
    dated: Vec<(String, String)>,
}

fn duration(key: &str, text: &str) -> Result<SimTime, String> {
    parse_duration(text).map_err(|e| format!("{key}: {e}"))
}

fn scrape(key: &str, s: &ScrapeSection) -> Result<(SimTime, SimTime), String> {
    let interval = duration(&format!("{key}.interval"), &s.interval)?;
    if interval == SimTime::ZERO {
        return Err(format!("{key}.interval is 0; it must be longer"));
    }
    Ok((interval, duration(&format!("{key}.delay"), &s.delay)?))
}

fn at_least_one(key: &str, value: u32) -> Result<u32, String> {
    if value == 0 { Err(format!("{key} is 0; it must be at least 1")) } else { Ok(value) }
}

fn share(key: &str, value: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(format!("{key} is {value}; it must lie between 0 and 1")) }
}

/// What a source says after it has said that it is an assumption.
fn why(source: &str) -> &str {
    let rest = source.trim_start_matches("assumption, UNVERIFIED").trim_start_matches(':').trim();
    if rest.is_empty() { "nobody measured it" } else { rest }
}

impl Resolver<'_> {
    fn all(mut self) -> Result<Experiment, Wrong> {
        let f = self.file;
        if f.version != 1 {
            return Err(Wrong::Said(format!("version is {}; this program reads version 1", f.version)));
        }
        if f.name.is_empty() || !f.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err(Wrong::Said(format!(
                "name is `{}`; it names a folder: letters, digits, `-`, `_`, `.`",
                f.name
            )));
        }
        if f.replicates != 1 {
            return Err(Wrong::Said(format!("replicates is {}; only 1 is supported today", f.replicates)));
        }
        let slo = self.slo()?;
        let classes = self.classes()?;
        let mut pools = f.pool.iter().map(|(n, p)| self.pool(n, p)).collect::<Result<Vec<_>, _>>()?;
        let date = self.date()?;
        let mut endpoints = f
            .endpoint
            .iter()
            .map(|(n, e)| self.endpoint(n, e, date.as_deref().unwrap_or_default()))
            .collect::<Result<Vec<_>, _>>()?;
        self.accounts(&mut endpoints)?;
        self.outages(&mut endpoints)?;
        if f.policy.is_empty() {
            return Err("no [policy.NAME]; an experiment compares at least one policy".into());
        }
        let quality = self.quality(&mut pools, &mut endpoints)?;
        self.idle_priorities(&pools);
        let known = Known {
            pools: pools.iter().map(|p| p.name.clone()).collect(),
            classes: classes.iter().map(|(c, _)| c.name.clone()).collect(),
            slo_ttft: slo[0],
            ..Known::default()
        };
        let policies = f
            .policy
            .iter()
            .map(|(n, p)| self.policy(n, p, &pools, &endpoints, &known))
            .collect::<Result<Vec<_>, _>>()?;
        let e = &f.economics;
        let mut yearly = |own: Option<f64>, key: &str| -> Result<Usd, String> {
            let row = self.catalog.ops(key).map_err(|e| e.to_string())?;
            if own.is_none() && row.source.contains("UNVERIFIED") {
                let typical = super::verdict::summary::thousands(row.typical as u64);
                self.warnings.push(format!("{key}: US$ {typical} a year is an assumption: {}", why(&row.source)));
            }
            Usd::from_number(own.unwrap_or(row.typical)).map_err(|e| format!("economics: {e}"))
        };
        let people_per_year = yearly(e.people_usd_per_year, super::PEOPLE_KEY)?;
        let on_call_per_year = yearly(e.on_call_usd_per_year, super::ON_CALL_KEY)?;
        if !(0.0..=1000.0).contains(&e.people_fte) {
            let message = format!("economics.people_fte is {}; it must be a number from 0", e.people_fte);
            return Err(message.into());
        }
        let failures = f.failures.as_ref().map(|x| -> Result<FailureModel, String> {
            if !(x.per_gpu_hour.is_finite() && x.per_gpu_hour >= 0.0) {
                return Err(format!("failures.per_gpu_hour is {}; it must be a number from 0", x.per_gpu_hour));
            }
            Ok(FailureModel {
                per_gpu_hour: x.per_gpu_hour,
                detection: duration("failures.detection", &x.detection)?,
                recovery: duration("failures.recovery", &x.recovery)?,
            })
        });
        let gate = f
            .gate
            .iter()
            .map(|(k, r)| {
                let known = gate::check_name(k, f.policy.keys().map(String::as_str));
                let rule = known.and_then(|()| r.tolerance()).map(|t| (k.clone(), t));
                rule.map_err(|e| format!("gate.\"{k}\": {e}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Experiment {
            folder: self.path.parent().unwrap_or(Path::new(".")).to_path_buf(),
            people_fte_thousandths: (e.people_fte * 1000.0).round() as u32,
            failures: failures.transpose()?,
            warnings: self.warnings,
            dated_facts: self.dated,
            file: echoed(f, &pools, date),
            catalog_files: Vec::new(),
            catalog: Catalog::default(),
            pools,
            endpoints,
            policies,
            classes,
            slo,
            quality,
            gate,
            people_per_year,
            on_call_per_year,
        })
    }

    fn slo(&self) -> Result<[Option<SimTime>; 3], String> {
        let s = &self.file.slo;
        let mut out = [None; 3];
        for (slot, (key, text)) in
            out.iter_mut().zip([("slo.ttft", &s.ttft), ("slo.tpot", &s.tpot), ("slo.e2e", &s.e2e)])
        {
            if let Some(text) = text {
                let value = duration(key, text)?;
                if value == SimTime::ZERO {
                    return Err(format!(
                        "{key} is 0; nothing meets it: leave the key out, or give a duration such as \"2s\""
                    ));
                }
                *slot = Some(value);
            }
        }
        Ok(out)
    }

    fn classes(&self) -> Result<Vec<(ClassSpec, u32)>, String> {
        let mut out = Vec::new();
        let mut total = 0;
        for (name, class) in &self.file.class {
            let ppm = (share(&format!("class.{name}.share"), class.share)? * 1e6).round() as u32;
            total += ppm;
            out.push((
                ClassSpec {
                    name: name.clone(),
                    privacy: class.privacy,
                    needs: class.needs,
                    priority: class.priority,
                    tolerates: self.tolerates(name, class.tolerates.as_ref())?,
                },
                ppm,
            ));
        }
        let rest = 1_000_000u32
            .checked_sub(total)
            .ok_or_else(|| format!("the shares of all classes add up to {}; at most 1", f64::from(total) / 1e6))?;
        let plain = ClassSpec { privacy: Privacy::Any, needs: Capability::Small, ..ClassSpec::default() };
        out.push((ClassSpec { name: "default".into(), ..plain }, rest));
        Ok(out)
    }

    fn tolerates(&self, class: &str, text: Option<&DurationText>) -> Result<Option<SimTime>, String> {
        let key = format!("class.{class}.tolerates");
        match text.map(|t| duration(&key, t)).transpose()? {
            Some(SimTime::ZERO) => Err(format!("{key} is 0; leave it out, or give a duration such as \"6h\"")),
            other => Ok(other),
        }
    }

    /// Warns of priorities that nobody goes by.
    fn idle_priorities(&mut self, pools: &[ResolvedPool]) {
        let given = self.file.class.iter().find(|(_, class)| class.priority != 0);
        let gateways = self.file.policy.values().filter_map(|p| p.own.gateway.as_ref()).chain([&self.file.gateway]);
        let admits = gateways.filter_map(|g| g.admission.as_ref()).any(|a| a.shed_above.is_some() || a.queue.is_some());
        let by_priority = pools.iter().any(|pool| pool.replica.limits.by_priority);
        if let Some((name, _)) = given.filter(|_| !admits && !by_priority) {
            self.warnings.push(format!(
                "class.{name}.priority changes nothing: no pool's engine goes by it (scheduling_policy = \"priority\")"
            ));
        }
    }
}

/// Where a pool's profile lies, if it is a file and not a name of the catalogue.
pub(super) fn profile_file(named: &str, folder: &Path) -> Option<PathBuf> {
    let path = folder.join(named);
    (named.ends_with(".toml") || path.is_file()).then_some(path)
}

impl Experiment {
    /// The world of one policy and replicate. `mode` changes how fast it is simulated, never what comes out.
    pub fn world(&self, policy: &ResolvedPolicy, replicate: u32, mode: EngineMode) -> WorldSpec {
        let pools = policy.pools.iter().map(|(i, replicas)| {
            let pool = &self.pools[*i];
            PoolSpec {
                name: pool.name.clone(),
                replicas: *replicas,
                replica: pool.replica.clone(),
                mode,
                assumed_prefill_tokens_per_s: policy.gateway.assumed_prefill_tokens_per_s,
            }
        });
        WorldSpec {
            seed: self.file.seed,
            replicate,
            pools: pools.collect(),
            endpoints: policy.endpoints.iter().map(|e| self.endpoints[*e].spec.clone()).collect(),
            routing: policy.routing.clone(),
            resilience: policy.gateway.resilience.clone(),
            scrape: policy.scrape.unwrap_or(policy.gateway.scrape),
            kv_event_delay: policy.gateway.kv_event_delay,
            classes: self.classes.clone(),
            failures: self.failures,
            slo: self.slo,
            sample_every: SimTime::from_secs(1),
            answers: self.answers(policy),
        }
    }
    /// How good the answers of a policy's pools and endpoints are, where known.
    fn answers(&self, policy: &ResolvedPolicy) -> PlaceMap<Option<Arc<Answers>>> {
        PlaceMap {
            pools: policy.pools.iter().map(|(i, _)| self.pools[*i].answers.clone()).collect(),
            endpoints: policy.endpoints.iter().map(|e| self.endpoints[*e].answers.clone()).collect(),
            ..PlaceMap::default()
        }
    }
    /// Names of the classes that a trace may use.
    pub fn class_names(&self) -> Vec<String> {
        self.classes.iter().map(|(c, _)| c.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod outages_tests;
