//! From text to what a simulation is made of: names looked up, units parsed, memory planned, every fault named.
use super::format::{
    BatchSection, CacheName, EndpointSection, EngineSection, ExperimentFile, FileFaults, Origin, Paths, PolicySection,
    PoolSection, Text, load,
};
use super::inputs::{KernelInput, OwnFacts, find, read_catalog};
use super::verdict::gate::Tolerance;
use super::whole_text::{LONGEST_TOML, read_text};
use baseload_core::api::{
    CacheKind, CacheRule, CacheWrite, EndpointSpec, Latency, Limits, LogNormal, Price, Priced, ProfileLaw, Reasoning,
    Rules, Service, Turnaround,
};
use baseload_core::catalog::{ApiPrice, ApiProfile, Catalog, CatalogError, Profile, PromptCacheRow, Tier, age_days};
use baseload_core::engine::{EngineMode, Engines};
use baseload_core::fleet::{FailureModel, ReplicaType};
use baseload_core::gateway::{Answers, Presets, Resilience, Routing, ScrapeSection};
use baseload_core::sim::{PoolSpec, WorldSpec};
use baseload_core::types::check::{self, above_0, at_least_1, duration, from_0, in_range, longer_than_0, share};
use baseload_core::types::{
    Capability, ClassSpec, Fault, Faults, KeyPath, PlaceMap, Privacy, Segment, SimTime, TraceFault, Usd, key,
};
use baseload_trace::Readers;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod costs;
mod endpoint;
mod facts;
mod gateway;
mod limits;
mod offers;
mod outages;
mod policy;
mod pool;
mod quality;
mod trace;
mod traffic;

pub use facts::Fact;
use facts::facts;
use offers::{AllAnswers, Offers};
pub use quality::QualityInput;
pub use trace::{ArrivalSpec, TraceKind, TraceSpec};

pub use limits::Hourly;
mod price;

/// A pool, resolved.
pub struct ResolvedPool {
    /// Name of the pool.
    pub name: String,
    /// What each of its replicas is.
    pub replica: Arc<ReplicaType>,
    /// Replicas where a policy does not say.
    pub replicas: u32,
    /// How good its answers are, where given.
    pub answers: Option<Arc<Answers>>,
    /// Whether its steps last as rows of the catalogue say, at least where a file of the user's own does not.
    by_catalog_steps: bool,
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
    /// Name of the endpoint.
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
    /// Name of the policy.
    pub name: String,
    /// Pool index and replicas.
    pub pools: Vec<(usize, u32)>,
    /// Endpoint indices.
    pub endpoints: Vec<usize>,
    /// How the policy routes; endpoint numbers are positions in `endpoints`.
    pub routing: Routing,
    /// How old engine signals are for it, where it or its preset says.
    scrape: Option<(SimTime, SimTime)>,
    gateway: gateway::ResolvedGateway,
}

/// An experiment, ready to run.
pub struct Experiment {
    /// Name of the experiment; the result folder is named by it, too.
    pub name: String,
    /// The question that the experiment answers.
    pub question: String,
    /// Seed of every random stream.
    pub seed: u64,
    /// Replicates of every policy.
    pub replicates: u32,
    /// Where requests come from.
    pub trace: TraceSpec,
    /// What was written, for people: with defaults, those that depend on a GPU included.
    pub echo: Echo,
    /// The files that it was read from, for messages and for the manifest's hashes.
    pub(super) origin: Origin,
    /// The files that it names.
    pub(super) paths: Paths,
    /// Rows of the catalogue that it rests on.
    pub(super) facts: Vec<Fact>,
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
    gateway: gateway::ResolvedGateway,
}

/// What experiments are resolved against, beside what they say themselves.
#[derive(Clone)]
pub struct Settings {
    /// `path.to.key=value`s that stand in place of what files say.
    pub sets: Vec<String>,
    /// Catalogue files, laid over those that an experiment names.
    pub catalogs: Vec<PathBuf>,
    /// Presets that policies may name.
    pub presets: Presets,
    /// Engines that pools may name.
    pub engines: Engines,
    /// Readers that traces are opened by.
    pub readers: Readers,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            sets: Vec::new(),
            catalogs: Vec::new(),
            presets: Presets::embedded(),
            engines: Engines::embedded(),
            readers: Readers::embedded(),
        }
    }
}

impl Experiment {
    /// The experiment of a file.
    ///
    /// # Errors
    /// All that is wrong with it, each `FILE:LINE: key.path: what is wrong; what would be right`.
    pub fn load(path: &Path) -> Result<Experiment, FileFaults> {
        Experiment::load_with(path, &Settings::default())
    }

    /// Loads an experiment with keys set, more facts, or presets, engines and readers of the caller's own.
    ///
    /// # Errors
    /// As [`Experiment::load`].
    pub fn load_with(path: &Path, settings: &Settings) -> Result<Experiment, FileFaults> {
        resolve(load(path, &settings.sets, &settings.presets)?, settings)
    }
}

/// Resolves a text against the embedded facts, the files that it names, and the settings' facts, engines and readers.
///
/// # Errors
/// All that is wrong with the text by itself and in what it means.
pub fn resolve(text: Text, settings: &Settings) -> Result<Experiment, FileFaults> {
    let own = text.paths.below(&["catalog", "files"]).map(|named| named.path.clone());
    let files: Vec<PathBuf> = own.chain(settings.catalogs.iter().cloned()).collect();
    let OwnFacts { catalog, notes, files } = read_catalog(&files).map_err(|faults| match text.clone().whole() {
        Ok(_) => faults,
        Err(of_text) => of_text.and(faults),
    })?;
    let resolver = Resolver {
        file: &text.file,
        folder: &text.folder,
        paths: &text.paths,
        catalog: &catalog,
        engines: &settings.engines,
        readers: &settings.readers,
        warnings: notes,
        dated: Vec::new(),
    };
    let resolved = resolver.all(&text).map_err(|faults| text.origin.located(faults))?;
    Ok(Experiment { catalog_files: files, catalog, origin: text.origin, paths: text.paths, ..resolved })
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
        section.weights_dtype = Some(pool.replica.weights);
        section.engine = EngineSection::of(name, resolved.clone());
    }
    file
}

struct Resolver<'a> {
    file: &'a ExperimentFile,
    /// Folder that relative paths start from.
    folder: &'a Path,
    paths: &'a Paths,
    /// The catalogue, with rows of the user's own where there are.
    catalog: &'a Catalog,
    /// Engines that pools may name.
    engines: &'a Engines,
    /// Readers that traces are opened by.
    readers: &'a Readers,
    warnings: Vec<String>,
    dated: Vec<(String, String)>,
}

/// A look-up that found nothing, for the name at `key`.
fn of_catalog(key: impl Into<KeyPath>, error: CatalogError) -> Fault {
    Fault::from(error).under(key)
}

/// How old engine signals are. Keys of faults are counted from `scrape`.
fn scrape(s: &ScrapeSection) -> Result<(SimTime, SimTime), Faults> {
    let mut faults = Faults::default();
    let interval = faults.or(SimTime::ZERO, longer_than_0("interval", &s.interval));
    let delay = faults.or(SimTime::ZERO, duration("delay", &s.delay));
    faults.finish((interval, delay))
}

/// Pools of an experiment at most: what a policy looks at is a set of so many bits.
const MOST_POOLS: usize = 64;

/// What is wrong with an experiment's first lines.
fn head(f: &ExperimentFile) -> Faults {
    let mut faults = Faults::default();
    if f.version != 1 {
        faults.push(Fault::at("version", format!("it is {}", f.version)).hint("this program reads version 1"));
    }
    faults.extend(check::name("name", &f.name).err().filter(|_| f.name.len() > check::LONGEST_NAME));
    if f.name.is_empty() || !f.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        let hint = "it names a folder: letters, digits, `-`, `_`, `.`";
        faults.push(Fault::at("name", format!("it is `{}`", f.name)).hint(hint));
    }
    if f.replicates != 1 {
        faults.push(Fault::at("replicates", format!("it is {}", f.replicates)).hint("only 1 is supported today"));
    }
    if f.pool.len() > MOST_POOLS {
        let what = format!("it has {} pools", f.pool.len());
        faults.push(Fault::at("pool", what).hint(format!("an experiment has {MOST_POOLS} at most")));
    }
    faults
}

/// The faults, those of the text first, without later ones of a value or a whole table that the text has a fault in: a key
/// that is misspelt is missing too, and who hears of the one need not hear of the other.
fn without_consequences(faults: Faults, of_text: &Faults) -> Faults {
    let told = |f: &Fault| of_text.iter().any(|said| said.key.segments().starts_with(f.key.segments()));
    let keep = |(i, f): &(usize, Fault)| *i < of_text.len() || f.key.is_empty() || !told(f);
    faults.into_iter().enumerate().filter(keep).map(|(_, fault)| fault).collect()
}

impl Resolver<'_> {
    /// All values, or all faults: those of the text, and of what could be read of it.
    fn all(mut self, text: &Text) -> Result<Experiment, Faults> {
        let f = self.file;
        let mut faults = text.faults.clone();
        faults.extend(head(f));
        let slo = faults.or_default(self.slo().map_err(|faults| faults.under("slo")));
        let classes = faults.or_default(self.classes());
        let trace = faults.take(self.trace().map_err(|faults| faults.under("trace")));
        let missing = trace.as_ref().and_then(|trace| find(trace).err()).unwrap_or_default().under("trace");
        let mut pools = Vec::new();
        for (name, p) in &f.pool {
            let pool = self.pool(name, p).map_err(|faults| faults.under(key!["pool", name]));
            pools.push(faults.take(pool));
        }
        let date = faults.or_default(self.date());
        let mut endpoints = Vec::new();
        for (name, e) in &f.endpoint {
            let endpoint = self.endpoint(name, e, date.as_deref().unwrap_or_default());
            endpoints.push(faults.take(endpoint.map_err(|faults| faults.under(key!["endpoint", name]))));
        }
        if endpoints.iter().all(Option::is_some) {
            let mut whole: Vec<ResolvedEndpoint> = endpoints.into_iter().flatten().collect();
            faults.take(self.accounts(&mut whole));
            endpoints = whole.into_iter().map(Some).collect();
        }
        faults.take(self.outages(&mut endpoints));
        let (quality, answers) = self.quality(&mut faults);
        self.idle_priorities(&pools);
        let offers = Offers::new(text, &classes, slo[0], answers);
        let gateway = faults.take(self.own_gateway(&offers).map_err(|faults| faults.under("gateway")));
        if offers.policies.is_empty() {
            let fault = Fault::new("there is no [policy.NAME]");
            faults.push(fault.hint("an experiment compares at least one policy"));
        }
        let mut policies = Vec::new();
        for (name, p) in &f.policy {
            let policy = self.policy(name, p, &offers).map_err(|faults| faults.under(key!["policy", name]));
            policies.extend(faults.take(policy));
        }
        let people = faults.or_default(self.people().map_err(|faults| faults.under("economics")));
        let failures = faults.or_default(self.failures().map_err(|faults| faults.under("failures")));
        let gate = faults.or_default(self.gate(&offers.policies).map_err(|faults| faults.under("gate")));
        let (Some(trace), Some(gateway)) = (trace, gateway.filter(|_| faults.is_empty())) else {
            // Who has to mend something hears at once of files that a run would miss.
            faults.extend(missing);
            return Err(without_consequences(faults, &text.faults));
        };
        let mut pools: Vec<ResolvedPool> = pools.into_iter().flatten().collect();
        let mut endpoints: Vec<ResolvedEndpoint> = endpoints.into_iter().flatten().collect();
        pools.iter_mut().zip(offers.answers.pools).for_each(|(pool, answers)| pool.answers = answers);
        endpoints.iter_mut().zip(offers.answers.endpoints).for_each(|(e, answers)| e.answers = answers);
        Ok(Experiment {
            name: f.name.clone(),
            question: f.question.clone(),
            seed: f.seed,
            replicates: f.replicates,
            trace,
            gateway,
            people_fte_thousandths: people.fte_thousandths,
            people_per_year: people.per_year,
            on_call_per_year: people.on_call_per_year,
            failures,
            facts: facts(f, self.catalog, &pools, &endpoints),
            warnings: self.warnings,
            dated_facts: self.dated,
            echo: Echo(echoed(f, &pools, date)),
            origin: Origin::default(),
            paths: Paths::default(),
            catalog_files: Vec::new(),
            catalog: Catalog::default(),
            pools,
            endpoints,
            policies,
            classes,
            slo,
            quality,
            gate,
        })
    }
}

/// An experiment as it was written, with every default: to be printed, never to be asked.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Echo(ExperimentFile);

impl Experiment {
    /// Faults at their places in its files.
    pub fn located(&self, faults: impl Into<Faults>) -> FileFaults {
        self.origin.located(faults.into())
    }
    /// Whether some provider of the experiment has incidents.
    pub fn has_outages(&self) -> bool {
        self.endpoints.iter().any(|e| e.spec.outages.is_some() || !e.spec.squeezes.is_empty())
    }
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
            seed: self.seed,
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
