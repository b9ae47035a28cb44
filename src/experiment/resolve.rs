//! From text to what a simulation is made of: names looked up, units parsed, memory planned, every fault named.
use super::file::{
    EndpointSection, ExperimentFile, PolicySection, PoolSection, PrefixAffinitySection, SchedulingPolicy, VllmSection,
};
use super::gate::{self, Tolerance};
use super::origin::FileError;
use crate::api::{CacheRule, EndpointSpec, Limits, LongContext, Price};
use crate::catalog::{Catalog, Profile, unknown};
use crate::engine::{Engine, EngineMode, QueuePolicy, StaticConfig, StaticScheduler, VllmConfig};
use crate::fleet::FailureModel;
use crate::gateway::{BackendFacts, Resilience, Routing};
use crate::latency::{Analytic, AnalyticOptions, Fitted, GraphSizes};
use crate::memory::{self, KvDtype, MemoryPlan, PlanOptions, StepLimits, WeightsDtype};
use crate::sim::{PoolSpec, WorldSpec};
use crate::types::{Capability, ClassSpec, Privacy, SimTime, StepTime, Usd, parse_duration};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A pool, resolved.
pub struct ResolvedPool {
    /// Name.
    pub name: String,
    /// GPUs of a replica.
    pub tensor_parallel: u32,
    /// Replicas where a policy does not say.
    pub replicas: u32,
    /// Rent of a GPU and hour.
    pub rent: Usd,
    /// Memory account.
    pub plan: MemoryPlan,
    /// `model on GPU`, for people.
    pub title: String,
    facts: BackendFacts,
    engine: EngineSpec,
    step_time: Arc<dyn StepTime>,
}

#[derive(Clone)]
enum EngineSpec {
    Vllm(VllmConfig),
    Static(StaticConfig),
}

/// An endpoint, resolved.
pub struct ResolvedEndpoint {
    /// Name.
    pub name: String,
    /// What a simulation needs.
    pub spec: EndpointSpec,
}

/// A policy, resolved: the fleet it keeps, what it may buy, how it picks.
pub struct ResolvedPolicy {
    /// Name.
    pub name: String,
    /// Pool index and replicas.
    pub pools: Vec<(usize, u32)>,
    /// Endpoint indices.
    pub endpoints: Vec<usize>,
    /// How it picks; endpoint numbers are positions in `endpoints`.
    pub routing: Routing,
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
    resilience: Resilience,
    scrape: (SimTime, SimTime),
    failures: Option<FailureModel>,
}

/// Resolves a file that lies at `path`.
///
/// # Errors
/// `FILE:LINE: key.path: what is wrong; what would be right`.
pub fn resolve(file: ExperimentFile, path: &Path) -> Result<Experiment, FileError> {
    let resolver = Resolver { file: &file, path, warnings: Vec::new(), dated: Vec::new() };
    resolver.all().map_err(|e| file.origin.fault(&e))
}

/// The profile run that sizes the memory of a static batcher, which has neither limit.
const STATIC_PROFILE_RUN: StepLimits = StepLimits { max_num_batched_tokens: 8_192, max_num_seqs: 256 };

/// The file with what was resolved in it.
fn echoed(file: &ExperimentFile, pools: &[ResolvedPool]) -> ExperimentFile {
    let mut file = file.clone();
    for (section, pool) in file.pool.values_mut().zip(pools) {
        if let EngineSpec::Vllm(config) = &pool.engine {
            let vllm = section.engine.vllm.get_or_insert_with(VllmSection::default);
            vllm.max_num_seqs = Some(config.max_num_seqs);
            vllm.max_num_batched_tokens = Some(config.max_num_batched_tokens);
        }
    }
    file
}

struct Resolver<'a> {
    file: &'a ExperimentFile,
    path: &'a Path,
    warnings: Vec<String>,
    dated: Vec<(String, String)>,
}

fn duration(key: &str, text: &str) -> Result<SimTime, String> {
    parse_duration(text).map_err(|e| format!("{key}: {e}"))
}

fn at_least_one(key: &str, value: u32) -> Result<u32, String> {
    if value == 0 { Err(format!("{key} is 0; it must be at least 1")) } else { Ok(value) }
}

fn share(key: &str, value: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(format!("{key} is {value}; it must lie between 0 and 1")) }
}

/// A pool for people; precisions where they are not the default.
fn title(p: &PoolSection) -> String {
    let mut title = format!("{} on {} x {}", p.model, p.tensor_parallel, p.gpu);
    if p.weights_dtype != WeightsDtype::default() {
        title.push_str(&format!(", {} weights", p.weights_dtype.name()));
    }
    if p.kv_dtype != KvDtype::default() {
        title.push_str(&format!(", {} KV cache", p.kv_dtype.name()));
    }
    title
}

/// What a source says after it has said that it is an assumption.
fn why(source: &str) -> &str {
    let rest = source.trim_start_matches("assumption, UNVERIFIED").trim_start_matches(':').trim();
    if rest.is_empty() { "nobody measured it" } else { rest }
}

impl Resolver<'_> {
    fn all(mut self) -> Result<Experiment, String> {
        let f = self.file;
        if f.version != 1 {
            return Err(format!("version is {}; this program reads version 1", f.version));
        }
        if f.name.is_empty() || !f.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err(format!("name is `{}`; it names a folder: letters, digits, `-`, `_`, `.`", f.name));
        }
        if f.replicates != 1 {
            return Err(format!("replicates is {}; only 1 is supported today", f.replicates));
        }
        let slo = self.slo()?;
        let classes = self.classes()?;
        let pools = f.pool.iter().map(|(n, p)| self.pool(n, p)).collect::<Result<Vec<_>, _>>()?;
        let endpoints = f.endpoint.iter().map(|(n, e)| self.endpoint(n, e)).collect::<Result<Vec<_>, _>>()?;
        if f.policy.is_empty() {
            return Err("no [policy.NAME]; an experiment compares at least one policy".into());
        }
        self.idle_priorities();
        let policies = f
            .policy
            .iter()
            .map(|(n, p)| self.policy(n, p, &pools, &endpoints, slo[0]))
            .collect::<Result<Vec<_>, _>>()?;
        let e = &f.economics;
        let catalog = Catalog::embedded();
        let mut yearly = |own: Option<f64>, key: &str| -> Result<Usd, String> {
            let row = catalog.ops(key).map_err(|e| e.to_string())?;
            if own.is_none() && row.source.contains("UNVERIFIED") {
                let typical = super::summary::thousands(row.typical as u64);
                self.warnings.push(format!("{key}: US$ {typical} a year is an assumption: {}", why(&row.source)));
            }
            Usd::from_number(own.unwrap_or(row.typical)).map_err(|e| format!("economics: {e}"))
        };
        let people_per_year = yearly(e.people_usd_per_year, super::PEOPLE_KEY)?;
        let on_call_per_year = yearly(e.on_call_usd_per_year, super::ON_CALL_KEY)?;
        if !(0.0..=1000.0).contains(&e.people_fte) {
            return Err(format!("economics.people_fte is {}; it must be a number from 0", e.people_fte));
        }
        let g = &f.gateway;
        let interval = duration("gateway.scrape.interval", &g.scrape.interval)?;
        if interval == SimTime::ZERO {
            return Err("gateway.scrape.interval is 0; it must be longer".into());
        }
        let scrape = (interval, duration("gateway.scrape.delay", &g.scrape.delay)?);
        let timeout = duration("gateway.timeout", &g.timeout)?;
        if timeout == SimTime::ZERO {
            return Err("gateway.timeout is 0; it must be longer".into());
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
            resilience: Resilience { timeout, retries: g.retries },
            failures: failures.transpose()?,
            warnings: self.warnings,
            dated_facts: self.dated,
            file: echoed(f, &pools),
            pools,
            endpoints,
            policies,
            classes,
            slo,
            gate,
            people_per_year,
            on_call_per_year,
            scrape,
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
                ClassSpec { name: name.clone(), privacy: class.privacy, needs: class.needs, priority: class.priority },
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

    /// Warns of priorities that no engine goes by.
    fn idle_priorities(&mut self) {
        let by_priority =
            |p: &PoolSection| p.engine.vllm.as_ref().is_some_and(|v| v.scheduling_policy == SchedulingPolicy::Priority);
        let given = self.file.class.iter().find(|(_, class)| class.priority != 0);
        if let Some((name, _)) = given.filter(|_| !self.file.pool.values().any(by_priority)) {
            self.warnings.push(format!(
                "class.{name}.priority changes nothing: no pool has engine.vllm.scheduling_policy = \"priority\""
            ));
        }
    }

    fn pool(&mut self, name: &str, p: &PoolSection) -> Result<ResolvedPool, String> {
        let key = |k: &str| format!("pool.{name}.{k}");
        let catalog = Catalog::embedded();
        let model = catalog.model(&p.model).map_err(|e| format!("{}: {e}", key("model")))?;
        let gpu = catalog.gpu(&p.gpu).map_err(|e| format!("{}: {e}", key("gpu")))?;
        at_least_one(&key("tensor_parallel"), p.tensor_parallel)?;
        share(&key("utilization"), p.utilization)?;
        let rent = match (&p.rent.usd_per_gpu_hour, &p.rent.provider, &p.rent.kind) {
            (Some(usd), None, None) => Usd::from_number(*usd).map_err(|e| format!("{}: {e}", key("rent")))?,
            (None, Some(provider), Some(kind)) => {
                let row = catalog.rent(&p.gpu, provider, kind).map_err(|e| format!("{}: {e}", key("rent")))?;
                self.dated.push((format!("rent of {} from {provider}", p.gpu), row.date.clone()));
                row.usd_per_gpu_hour
            }
            _ => return Err(format!("{}: give provider and kind, or usd_per_gpu_hour", key("rent"))),
        };
        if rent < Usd::ZERO {
            return Err(format!("{}: a rent below zero", key("rent")));
        }
        let max_model_len = p.max_model_len.unwrap_or(model.max_context).min(model.max_context);
        at_least_one(&key("max_model_len"), max_model_len)?;
        let (vllm, fixed) = (&p.engine.vllm, &p.engine.static_batch);
        if vllm.is_some() && fixed.is_some() {
            return Err(format!("{}: both vllm and static; one engine a pool", key("engine")));
        }
        let v = vllm.clone().unwrap_or_default();
        let limit = |k: &str, value: Option<u32>| value.map(|x| at_least_one(&key(k), x)).transpose();
        let mut limits = match fixed {
            Some(_) => STATIC_PROFILE_RUN,
            None => StepLimits::for_gpu(
                gpu,
                max_model_len,
                limit("engine.vllm.max_num_batched_tokens", v.max_num_batched_tokens)?,
                limit("engine.vllm.max_num_seqs", v.max_num_seqs)?,
            ),
        };
        if fixed.is_none() && !v.enable_chunked_prefill && limits.max_num_batched_tokens < max_model_len {
            if v.max_num_batched_tokens.is_some() {
                return Err(format!(
                    "{} is false, so max_num_batched_tokens must be at least the longest sequence, {max_model_len}; it is {}",
                    key("engine.vllm.enable_chunked_prefill"),
                    limits.max_num_batched_tokens
                ));
            }
            limits.max_num_batched_tokens = max_model_len;
        }
        if limits.max_num_batched_tokens < limits.max_num_seqs {
            self.warnings.push(format!(
                "{} = {} is less than max_num_seqs = {}; a real vLLM refuses to start with that",
                key("engine.vllm.max_num_batched_tokens"),
                limits.max_num_batched_tokens,
                limits.max_num_seqs
            ));
        }
        let block_size =
            at_least_one(&key("engine.block_size"), fixed.as_ref().map_or(v.block_size, |s| s.block_size))?;
        let options = PlanOptions {
            tensor_parallel: p.tensor_parallel,
            utilization: p.utilization,
            block_size,
            max_num_batched_tokens: Some(limits.max_num_batched_tokens),
            max_num_seqs: Some(limits.max_num_seqs),
            max_model_len: Some(max_model_len),
            concurrent_batches: if fixed.is_none() && v.async_scheduling { 2 } else { 1 },
            weights_dtype: p.weights_dtype,
            kv_dtype: p.kv_dtype,
        };
        let mut plan = memory::plan(model, gpu, &options).map_err(|e| format!("pool.{name}: {e}"))?;
        if let Some(blocks) = p.num_blocks {
            if blocks < 2 {
                return Err(format!("{} is {blocks}; one is the null block: at least 2", key("num_blocks")));
            }
            plan = plan.with_uniform_blocks(blocks.into());
        }
        // The engine knows no groups of layers; nor does a block of linear attention have the size that was asked for.
        let block_size = plan.block_size;
        let held = u32::try_from(plan.uniform_tokens()).unwrap_or(u32::MAX);
        if held < max_model_len && plan.groups > 1 {
            self.warnings.push(format!(
                "pool {name}: sequences end at {held} tokens, not {max_model_len}: the simulated engine keeps all \
                 layers of {} in full, windows too",
                model.id
            ));
        }
        let max_model_len = max_model_len.min(held);
        let num_blocks = u32::try_from(plan.uniform_blocks)
            .map_err(|_| format!("{}: {} blocks are too many", key("engine.block_size"), plan.uniform_blocks))?;
        let engine = match fixed {
            Some(s) => EngineSpec::Static(StaticConfig {
                max_batch: at_least_one(&key("engine.static.max_batch"), s.max_batch)?,
                timeout: duration(&key("engine.static.timeout"), &s.timeout)?,
                max_model_len,
                block_size,
                num_blocks,
            }),
            None => EngineSpec::Vllm(VllmConfig {
                block_size,
                num_blocks,
                max_num_seqs: limits.max_num_seqs,
                max_num_batched_tokens: limits.max_num_batched_tokens,
                max_model_len,
                prefix_caching: v.enable_prefix_caching,
                policy: match v.scheduling_policy {
                    SchedulingPolicy::Fcfs => QueuePolicy::Fcfs,
                    SchedulingPolicy::Priority => QueuePolicy::Priority,
                },
                chunked_prefill: v.enable_chunked_prefill,
                long_prefill_token_threshold: v.long_prefill_token_threshold,
                watermark: share(&key("engine.vllm.watermark"), v.watermark)?,
                reserve_full_isl: v.scheduler_reserve_full_isl,
                async_scheduling: v.async_scheduling,
                max_num_queued_reqs: v.max_num_queued_reqs,
            }),
        };
        // A static batcher is synchronous and, like the frameworks that have one, captures no graphs.
        let graph_sizes = match fixed {
            Some(_) => GraphSizes::default(),
            None => GraphSizes::new(limits.max_num_seqs, limits.max_num_batched_tokens, gpu.is_datacenter_blackwell()),
        };
        let async_scheduling = fixed.is_none() && v.async_scheduling;
        let options = AnalyticOptions {
            weights: p.weights_dtype.into(),
            kv_dtype_bytes: p.kv_dtype.bytes(),
            async_scheduling,
            graph_sizes,
            ..AnalyticOptions::default()
        };
        let analytic = Analytic::new(model, gpu, p.tensor_parallel, &options)
            .map_err(|e| format!("{}: {e}", key("tensor_parallel")))?;
        let step_time: Arc<dyn StepTime> = match &p.profile {
            Some(named) => {
                let folder = self.path.parent().unwrap_or(Path::new("."));
                let profile = profile_of(named, folder, p).map_err(|e| format!("{}: {e}", key("profile")))?;
                Arc::new(Fitted::new(&profile.step, 1.0))
            }
            None => Arc::new(analytic),
        };
        Ok(ResolvedPool {
            name: name.into(),
            tensor_parallel: p.tensor_parallel,
            replicas: p.replicas,
            rent,
            title: title(p),
            facts: BackendFacts { internal: true, capability: model.capability(), max_context_tokens: max_model_len },
            step_time,
            plan,
            engine,
        })
    }

    fn endpoint(&mut self, name: &str, e: &EndpointSection) -> Result<ResolvedEndpoint, String> {
        let catalog = Catalog::embedded();
        let key = format!("endpoint.{name}");
        let row = catalog.api(&e.catalog).map_err(|m| format!("{key}.catalog: {m}"))?;
        let known = catalog.api_latency(&e.catalog).ok();
        let own_ttft = e.ttft_p50.as_ref().map(|t| duration(&format!("{key}.ttft_p50"), t)).transpose()?;
        let missing = |what: &str| format!("{key}: no published {what} for {}; give {key}.{what}", e.catalog);
        let ttft_p50_s =
            own_ttft.map(SimTime::as_secs_f64).or(known.map(|k| k.ttft_p50_s)).ok_or_else(|| missing("ttft_p50"))?;
        let speed = e
            .output_tokens_per_s
            .or(known.map(|k| k.output_tokens_per_s))
            .ok_or_else(|| missing("output_tokens_per_s"))?;
        if !(speed.is_finite() && speed > 0.0) {
            return Err(format!("{key}.output_tokens_per_s is {speed}; it must be above 0"));
        }
        if ttft_p50_s <= 0.0 {
            return Err(format!("{key}.ttft_p50 is 0; it must be longer"));
        }
        if let Some(k) = known {
            if k.unverified {
                self.warnings.push(format!(
                    "endpoint {name} ({}): latency is an assumption: {}",
                    e.catalog,
                    why(&k.source)
                ));
            }
            self.dated.push((format!("latency of {}", e.catalog), k.date.clone()));
        }
        self.dated.push((format!("price of {}", e.catalog), row.date.clone()));
        let limit = |what: &str, value: Option<u64>| match value {
            Some(0) => Err(format!("{key}.limits.{what} is 0; leave the endpoint out, or give a limit above 0")),
            other => Ok(other),
        };
        let l = &e.limits;
        let spec = EndpointSpec {
            name: name.into(),
            ttft_p50_s,
            output_tokens_per_s: speed,
            p95_over_p50: known.map_or(3.0, |k| k.p95_over_p50),
            error_rate: share(
                &format!("{key}.error_rate"),
                e.error_rate.or(known.map(|k| k.error_rate)).unwrap_or(0.0),
            )?,
            price: Price {
                input: row.input,
                output: row.output,
                cached_input: row.cached_input,
                long_context: row.long_context_threshold_tokens.map(|threshold_tokens| LongContext {
                    threshold_tokens,
                    input: row.long_input.unwrap_or(row.input),
                    output: row.long_output.unwrap_or(row.output),
                    cached_input: row.long_cached_input.or(row.cached_input),
                }),
            },
            limits: Limits {
                requests_per_minute: limit("requests_per_minute", l.requests_per_minute)?,
                input_tokens_per_minute: limit("input_tokens_per_minute", l.input_tokens_per_minute)?,
                output_tokens_per_minute: limit("output_tokens_per_minute", l.output_tokens_per_minute)?,
            },
            // Only OpenAI caches without being asked (spec/apis.md 4.2).
            cache: (row.provider == "openai").then_some(CacheRule::OPENAI),
            capability: catalog.api_capability(&e.catalog).unwrap_or(Capability::Small),
            max_input_tokens: u32::try_from(row.max_input_tokens).unwrap_or(u32::MAX),
        };
        Ok(ResolvedEndpoint { name: name.into(), spec })
    }

    fn policy(
        &self,
        name: &str,
        p: &PolicySection,
        pools: &[ResolvedPool],
        endpoints: &[ResolvedEndpoint],
        ttft: Option<SimTime>,
    ) -> Result<ResolvedPolicy, String> {
        let key = format!("policy.{name}");
        let tables = [
            ("round_robin", p.round_robin.is_some()),
            ("least_outstanding", p.least_outstanding.is_some()),
            ("api_only", p.api_only.is_some()),
            ("self_hosted_only", p.self_hosted_only.is_some()),
            ("prefix_affinity", p.prefix_affinity.is_some()),
            ("overflow", p.overflow.is_some()),
            ("cost_aware", p.cost_aware.is_some()),
        ];
        let given: Vec<&str> = tables.iter().filter(|(_, on)| *on).map(|(n, _)| *n).collect();
        if given.len() > 1 {
            return Err(format!("{key}: {} are given; one routing table a policy", given.join(" and ")));
        }
        let pool_names = || pools.iter().map(|x| x.name.as_str());
        let endpoint_names = || endpoints.iter().map(|x| x.name.as_str());
        if let Some(wrong) = p.pools.keys().find(|k| !pool_names().any(|n| n == *k)) {
            return Err(format!("{key}.pools: {}", unknown("pool", wrong, pool_names(), "[pool.NAME]")));
        }
        let kept = |i: usize, pool: &ResolvedPool| {
            let replicas = p.pools.get(&pool.name).copied().unwrap_or(pool.replicas);
            (i, if p.api_only.is_some() { 0 } else { replicas })
        };
        let kept: Vec<(usize, u32)> = pools.iter().enumerate().map(|(i, pool)| kept(i, pool)).collect();
        let find = |at: &str, wanted: &str| {
            let found = endpoints.iter().position(|e| e.name == wanted);
            found.ok_or_else(|| {
                format!("{key}.{at}: {}", unknown("endpoint", wanted, endpoint_names(), "[endpoint.NAME]"))
            })
        };
        let bought: Vec<usize> = match &p.endpoints {
            _ if p.self_hosted_only.is_some() => Vec::new(),
            Some(names) => names.iter().map(|n| find("endpoints", n)).collect::<Result<_, _>>()?,
            None => (0..endpoints.len()).collect(),
        };
        let routing = match &p.overflow {
            Some(o) => {
                let to = find("overflow.to", &o.to)?;
                let to = bought
                    .iter()
                    .position(|e| *e == to)
                    .ok_or_else(|| format!("{key}.overflow.to: `{}` is not among {key}.endpoints", o.to))?;
                if !(o.waiting_per_replica.is_finite() && o.waiting_per_replica > 0.0) {
                    return Err(format!(
                        "{key}.overflow.waiting_per_replica is {}; it must be above 0",
                        o.waiting_per_replica
                    ));
                }
                Routing::Overflow {
                    to: to as u32,
                    waiting_per_replica_milli: (o.waiting_per_replica * 1e3).round() as u64,
                    kv_use_ppm: (share(&format!("{key}.overflow.kv_use"), o.kv_use)? * 1e6).round() as u64,
                    hysteresis_milli: (share(&format!("{key}.overflow.hysteresis"), o.hysteresis)? * 1e3).round()
                        as u64,
                }
            }
            None if p.prefix_affinity.is_some() => prefix_affinity(&key, p.prefix_affinity.as_ref())?,
            None if p.round_robin.is_some() => Routing::RoundRobin,
            None if p.cost_aware.is_some() => Routing::CostAware { ttft: ttft.unwrap_or(SimTime::NEVER) },
            None => Routing::LeastOutstanding,
        };
        if bought.is_empty() && kept.iter().all(|(_, replicas)| *replicas == 0) {
            return Err(format!(
                "{key}: no replicas and no endpoints; it may use no backend: give {key}.pools or {key}.endpoints"
            ));
        }
        Ok(ResolvedPolicy { name: name.into(), pools: kept, endpoints: bought, routing })
    }
}

/// Where a pool's profile lies, if it is a file and not a name of the catalogue.
pub(super) fn profile_file(named: &str, folder: &Path) -> Option<PathBuf> {
    let path = folder.join(named);
    (named.ends_with(".toml") || path.is_file()).then_some(path)
}

/// The profile that a pool names, if it is of what the pool is.
fn profile_of(named: &str, folder: &Path, p: &PoolSection) -> Result<Profile, String> {
    let profile = match profile_file(named, folder) {
        Some(path) => {
            let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            Profile::parse(&text, &path.display().to_string())?
        }
        None => Profile::named(named).map_err(|e| e.to_string())?.clone(),
    };
    if (&profile.model, &profile.gpu, profile.tensor_parallel) != (&p.model, &p.gpu, p.tensor_parallel) {
        let (of, pool) = (profile.of_what(), format!("{} on {} x {}", p.model, p.tensor_parallel, p.gpu));
        return Err(format!("profile {} is of {of}; the pool is {pool}: give a profile for that", profile.name));
    }
    Ok(profile)
}

fn prefix_affinity(key: &str, section: Option<&PrefixAffinitySection>) -> Result<Routing, String> {
    let p = section.cloned().unwrap_or_default();
    let key = |k: &str| format!("{key}.prefix_affinity.{k}");
    if !(p.balance_rel_threshold.is_finite() && p.balance_rel_threshold >= 1.0) {
        return Err(format!("{} is {}; it must be at least 1", key("balance_rel_threshold"), p.balance_rel_threshold));
    }
    Ok(Routing::PrefixAffinity {
        min_match_ppm: (share(&key("cache_threshold"), p.cache_threshold)? * 1e6).round() as u64,
        balance_abs: p.balance_abs_threshold,
        balance_rel_milli: (p.balance_rel_threshold * 1e3).round() as u64,
    })
}

impl Experiment {
    /// The world of one policy and replicate. `mode` changes how fast it is simulated, never what comes out.
    pub fn world(&self, policy: &ResolvedPolicy, replicate: u32, mode: EngineMode) -> WorldSpec {
        let pools = policy.pools.iter().map(|(i, replicas)| {
            let pool = &self.pools[*i];
            let engine = pool.engine.clone();
            PoolSpec {
                name: pool.name.clone(),
                replicas: *replicas,
                gpus_per_replica: pool.tensor_parallel,
                facts: pool.facts,
                engine: Box::new(move || match engine.clone() {
                    EngineSpec::Vllm(config) => Engine::vllm(config, mode),
                    EngineSpec::Static(config) => Engine::Static(StaticScheduler::new(config)),
                }),
                step_time: pool.step_time.clone(),
                assumed_prefill_tokens_per_s: self.file.gateway.assumed_prefill_tokens_per_s,
            }
        });
        WorldSpec {
            seed: self.file.seed,
            replicate,
            pools: pools.collect(),
            endpoints: policy.endpoints.iter().map(|e| self.endpoints[*e].spec.clone()).collect(),
            routing: policy.routing.clone(),
            resilience: self.resilience,
            scrape: self.scrape,
            classes: self.classes.clone(),
            failures: self.failures,
            slo: self.slo,
            sample_every: SimTime::from_secs(1),
        }
    }
    /// Names of the classes that a trace may use.
    pub fn class_names(&self) -> Vec<String> {
        self.classes.iter().map(|(c, _)| c.name.clone()).collect()
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
