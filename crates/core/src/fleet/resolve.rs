//! The one road from words to a replica type: names looked up, the engine's settings resolved, memory planned, the step time
//! made.
use super::replica_type::{HourlyRent, ReplicaType};
use super::spec::{LongestSequence, RentSpec, ReplicaSpec};
use super::step_time;
use crate::catalog::{Catalog, Gpu, Model};
use crate::engine::{Demand, KvCapacity, Machine, ResolvedEngine};
use crate::latency::{AnalyticOptions, GraphSizes};
use crate::memory::{self, DoesNotFit, MemoryError, MemoryPlan, PlanOptions, gib};
use crate::types::{BackendFacts, Capability, Fault, Usd};
use std::sync::Arc;

/// KV blocks of a machine whose memory nobody knows, at most: as many as a cluster's host memory holds.
const MOST_BLOCKS: u32 = 1 << 30;

/// A model and a GPU of the catalogue.
type Known<'a> = (&'a Model, &'a Gpu);

/// An engine with its blocks on a machine.
struct Placed {
    engine: ResolvedEngine,
    options: PlanOptions,
    plan: Option<MemoryPlan>,
    kv: KvCapacity,
    warnings: Vec<String>,
}

/// Why an engine has no place.
enum Refusal {
    Fault(Fault),
    DoesNotFit(Box<DoesNotFit>),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::Fault(fault)
    }
}

impl ReplicaSpec {
    /// What these words make.
    ///
    /// # Errors
    /// At the key of the experiment's pool that says it: a name that the catalogue has not, a value that makes no sense, a
    /// model that does not fit (the hint says what would), a step time of something else.
    pub fn resolve(&self, catalog: &Catalog) -> Result<ReplicaType, Fault> {
        if self.tensor_parallel == 0 {
            return Err(Fault::at("tensor_parallel", "it is 0").hint("it must be at least 1"));
        }
        let on = self.known(catalog)?;
        let rent = self.rent.as_ref().map(|rent| self.hourly(catalog, rent)).transpose()?;
        let mut placed = self.placed(on).map_err(|refusal| match refusal {
            Refusal::Fault(fault) => fault,
            Refusal::DoesNotFit(short) => {
                let fault = Fault::new(short.to_string());
                on.map_or(fault.clone(), |(_, gpu)| fault.hint(self.what_would_fit(catalog, gpu)))
            }
        })?;
        let demand = placed.engine.demand();
        let options = self.analytic_options(&demand, on);
        let (step_time, note) = step_time::resolve(self, catalog, on, options)?;
        placed.warnings.extend(note);
        let capability = on.map_or(Capability::Small, |(model, _)| model.capability());
        let Placed { engine, options, plan, kv, warnings } = placed;
        Ok(ReplicaType {
            title: self.title(),
            gpus: self.tensor_parallel,
            plan,
            plan_options: options,
            kv,
            limits: engine.limits(&kv),
            facts: BackendFacts { internal: true, capability, max_context_tokens: kv.max_model_len, deferred: false },
            step_time,
            rent,
            engine: (engine.name, engine.section.clone()),
            warnings,
            build: Arc::new(move |mode| engine.build(&kv, mode)),
        })
    }

    /// Its rows of the catalogue; `None` for a machine that the catalogue has not and of which all that matters is said.
    fn known<'a>(&self, catalog: &'a Catalog) -> Result<Option<Known<'a>>, Fault> {
        match (catalog.model(&self.model), catalog.gpu(&self.gpu)) {
            (Ok(model), Ok(gpu)) => Ok(Some((model, gpu))),
            (model, gpu) => {
                let (key, e) =
                    model.err().map(|e| ("model", e)).or(gpu.err().map(|e| ("gpu", e))).expect("one of them");
                let fault = Fault::at(key, e.to_string());
                if !self.step_time.speaks_for_itself() {
                    return Err(fault);
                }
                if self.memory.num_blocks.is_none() || !matches!(self.memory.max_model_len, LongestSequence::Tokens(_))
                {
                    return Err(fault.hint("give num_blocks and max_model_len, which the catalogue would say"));
                }
                Ok(None)
            }
        }
    }

    fn hourly(&self, catalog: &Catalog, rent: &RentSpec) -> Result<HourlyRent, Fault> {
        let hourly = match rent {
            RentSpec::Own(usd) => HourlyRent { usd_per_gpu_hour: *usd, read: None },
            RentSpec::Of { provider, kind } => {
                let row = catalog.rent(&self.gpu, provider, kind).map_err(|e| Fault::at("rent", e.to_string()))?;
                let read = (format!("rent of {} from {provider}", self.gpu), row.date.clone());
                HourlyRent { usd_per_gpu_hour: row.usd_per_gpu_hour, read: Some(read) }
            }
        };
        if hourly.usd_per_gpu_hour < Usd::ZERO {
            return Err(Fault::at("rent", "it is below zero"));
        }
        Ok(hourly)
    }

    fn analytic_options(&self, demand: &Demand, on: Option<Known<'_>>) -> AnalyticOptions {
        let (limits, blackwell) = (demand.limits, on.is_some_and(|(_, gpu)| gpu.is_datacenter_blackwell()));
        let graph_sizes = if demand.graphs {
            GraphSizes::new(limits.max_num_seqs, limits.max_num_batched_tokens, blackwell)
        } else {
            GraphSizes::default()
        };
        AnalyticOptions {
            weights: self.formats.weights,
            kv_dtype_bytes: self.formats.kv.bytes(),
            expert_parallel: self.expert_parallel,
            async_scheduling: demand.concurrent_batches > 1,
            graph_sizes,
            ..AnalyticOptions::default()
        }
    }

    fn placed(&self, on: Option<Known<'_>>) -> Result<Placed, Refusal> {
        match (on, self.memory.max_model_len) {
            (Some(known), LongestSequence::Fitting) => match self.planned(known, known.0.max_context) {
                Err(Refusal::DoesNotFit(short)) if short.longest.is_some() => {
                    self.planned(known, short.longest.unwrap_or_default())
                }
                other => other,
            },
            (Some(known), LongestSequence::OfModel) => self.planned(known, known.0.max_context),
            (Some(known), LongestSequence::Tokens(longest)) => self.planned(known, longest),
            (None, LongestSequence::Tokens(longest)) => Ok(self.unplanned(longest)?),
            (None, _) => Err(Fault::at("max_model_len", "only the catalogue knows a model's context").into()),
        }
    }

    /// The engine's settings on a machine, and the options of its memory account.
    fn demanded(&self, gpu: Option<&Gpu>, longest: u32) -> Result<(ResolvedEngine, PlanOptions, Vec<String>), Fault> {
        if longest == 0 {
            return Err(Fault::at("max_model_len", "it is 0").hint("it must be at least 1"));
        }
        let (engine, warnings) = self.engine.resolve(&Machine { gpu, max_model_len: longest })?;
        let demand = engine.demand();
        let options = PlanOptions {
            tensor_parallel: self.tensor_parallel,
            utilization: self.memory.utilization,
            block_size: demand.block_size,
            max_num_batched_tokens: Some(demand.limits.max_num_batched_tokens),
            max_num_seqs: Some(demand.limits.max_num_seqs),
            max_model_len: Some(longest),
            concurrent_batches: demand.concurrent_batches,
            graphs: demand.graph_memory,
            weights_dtype: self.formats.weights.stored_as(),
            kv_dtype: self.formats.kv,
        };
        Ok((engine, options, warnings))
    }

    fn planned(&self, (model, gpu): Known<'_>, longest: u32) -> Result<Placed, Refusal> {
        let (engine, options, mut warnings) = self.demanded(Some(gpu), longest)?;
        let plan = match self.memory.num_blocks {
            Some(blocks) => {
                let account = memory::account(model, gpu, &options)?;
                let (plan, warning) = given(blocks, account)?;
                warnings.extend(warning);
                plan
            }
            None => memory::plan(model, gpu, &options).map_err(|e| match e {
                MemoryError::Options(fault) => Refusal::Fault(fault),
                MemoryError::DoesNotFit(short) => Refusal::DoesNotFit(short),
            })?,
        };
        // The engine knows no groups of layers; nor does a block of linear attention have the size that was asked for.
        let num_blocks = u32::try_from(plan.uniform_blocks).ok().filter(|n| *n <= MOST_BLOCKS).ok_or_else(|| {
            let what = format!("{} blocks of {} tokens are too many", plan.uniform_blocks, plan.block_size);
            Refusal::Fault(Fault::new(what).hint("give a larger block_size"))
        })?;
        let held = u32::try_from(plan.uniform_tokens()).unwrap_or(u32::MAX);
        warnings.extend(shortfall(model, &plan, longest, held));
        let kv = KvCapacity { block_size: plan.block_size, num_blocks, max_model_len: longest.min(held) };
        Ok(Placed { engine, options, plan: Some(plan), kv, warnings })
    }

    /// On a machine whose memory nobody knows.
    fn unplanned(&self, longest: u32) -> Result<Placed, Fault> {
        let (engine, options, warnings) = self.demanded(None, longest)?;
        let num_blocks = at_least_two(self.memory.num_blocks.unwrap_or_default())?;
        if num_blocks > MOST_BLOCKS {
            let hint = format!("it must be at most {MOST_BLOCKS}");
            return Err(Fault::at("num_blocks", format!("it is {num_blocks}")).hint(hint));
        }
        let kv = KvCapacity { block_size: options.block_size, num_blocks, max_model_len: longest };
        let held = u32::try_from(kv.tokens()).unwrap_or(u32::MAX);
        let kv = KvCapacity { max_model_len: longest.min(held), ..kv };
        Ok(Placed { engine, options, plan: None, kv, warnings })
    }

    /// What would fit instead of this on `gpu`, as the end of a sentence: other numbers of it, and the cheapest to rent.
    fn what_would_fit(&self, catalog: &Catalog, gpu: &Gpu) -> String {
        memory::advice(catalog, gpu, &|gpu, tensor_parallel| self.fits_on(catalog, gpu, tensor_parallel))
    }

    /// Whether the same words on another number of another GPU have a place.
    fn fits_on(&self, catalog: &Catalog, gpu: &Gpu, tensor_parallel: u32) -> bool {
        let there = ReplicaSpec { gpu: gpu.id.clone(), tensor_parallel, ..self.clone() };
        catalog.model(&self.model).is_ok_and(|model| there.placed(Some((model, gpu))).is_ok())
    }
}

fn at_least_two(blocks: u32) -> Result<u32, Fault> {
    if blocks < 2 {
        let what = format!("it is {blocks}, and one is the null block");
        return Err(Fault::at("num_blocks", what).hint("it must be at least 2"));
    }
    Ok(blocks)
}

/// The account with blocks that somebody gives, and what to say where it finds fewer.
fn given(blocks: u32, account: MemoryPlan) -> Result<(MemoryPlan, Option<String>), Fault> {
    at_least_two(blocks)?;
    let found = account.uniform_blocks;
    let position_bytes = u128::from(account.block_bytes) * u128::from(account.groups.max(1));
    let most = u128::from(account.per_gpu_total_bytes) / position_bytes.max(1);
    if u128::from(blocks) > most {
        let (size, gpu) = (account.block_size, gib(account.per_gpu_total_bytes));
        let what = format!("{blocks} blocks of {size} tokens take more than the {gpu:.2} GiB of a GPU");
        return Err(Fault::at("num_blocks", what).hint(format!("it must be at most {most}")));
    }
    let warning = (u64::from(blocks) > found)
        .then(|| format!("num_blocks = {blocks} is taken as it is given; the memory account finds room for {found}"));
    Ok((account.with_uniform_blocks(blocks.into()), warning))
}

/// What the simulated engine does not hold of what it should.
fn shortfall(model: &Model, plan: &MemoryPlan, longest: u32, held: u32) -> Option<String> {
    let id = &model.id;
    if plan.groups > 1 && plan.kv_tokens > plan.uniform_tokens() {
        let (real, here) = (plan.kv_tokens, plan.uniform_tokens());
        let ends =
            if held < longest { format!("sequences end at {held} tokens, not {longest}: ") } else { String::new() };
        let times = real as f64 / here.max(1) as f64;
        return Some(format!(
            "{ends}the simulated engine keeps all layers of {id} in full, windows too: it holds {here} tokens, where a \
             real one holds {real} in sequences of {longest}, {times:.1} times as many"
        ));
    }
    (held < longest).then(|| {
        format!("sequences end at {held} tokens, not {longest}: there are no more blocks; a real engine refuses to start with that")
    })
}
