//! The one road from words to a replica type: names looked up, the engine's settings resolved, memory planned, the step time
//! made.
use super::catalogued::Catalogued;
use super::replica_type::{HourlyRent, ReplicaType};
use super::spec::{LongestSequence, RentSpec, ReplicaSpec};
use super::step_time;
use crate::catalog::{Catalog, Model};
use crate::engine::{Demand, KvCapacity, Machine, ResolvedEngine};
use crate::latency::{AnalyticOptions, GraphSizes};
use crate::memory::{self, DoesNotFit, KvDtype, MemoryError, MemoryPlan, PlanOptions, WeightsDtype};
use crate::types::numbers::{decimals, in_gib};
use crate::types::{BackendFacts, Capability, Fault, Usd, check};
use std::sync::Arc;

/// KV blocks of a machine whose memory nobody knows, at most: as many as a cluster's host memory holds.
const MOST_BLOCKS: u32 = 1 << 30;

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
        check::at_least_1("tensor_parallel", self.tensor_parallel)?;
        let (on, taken_for) = self.known(catalog)?;
        let rent = self.rent.as_ref().map(|rent| self.hourly(catalog, rent)).transpose()?;
        let placed = self.placed(on).map_err(|refusal| match (refusal, on) {
            (Refusal::Fault(fault), _) => fault,
            (Refusal::DoesNotFit(short), None) => Fault::new(short.to_string()),
            (Refusal::DoesNotFit(short), Some(known)) => {
                Fault::new(short.to_string()).hint(self.what_would_fit(catalog, known))
            }
        })?;
        let Placed { engine, options, plan, kv, warnings } = placed;
        let analytic = self.analytic_options(&engine.demand(), on);
        let (step_time, borrowed) = step_time::resolve(self, catalog, on, analytic)?;
        Ok(ReplicaType {
            title: self.title(on),
            gpus: self.tensor_parallel,
            weights: self.weights(on),
            plan,
            plan_options: options,
            kv,
            limits: engine.limits(&kv),
            facts: BackendFacts {
                internal: true,
                capability: on.map_or(Capability::Small, |known| known.model.capability()),
                max_context_tokens: kv.max_model_len,
                deferred: false,
            },
            step_time,
            rent,
            engine: (engine.name, engine.section.clone()),
            warnings: taken_for.into_iter().chain(warnings).chain(borrowed).collect(),
            build: Arc::new(move |mode| engine.build(&kv, mode)),
        })
    }

    /// Catalogue rows of the model and the GPU, and what their names were taken for. No rows for a machine that the
    /// catalogue lacks where the words say all that matters of it.
    fn known<'a>(&self, catalog: &'a Catalog) -> Result<(Option<Catalogued<'a>>, Vec<String>), Fault> {
        let (named, gpu) = match (catalog.model_named(&self.model), catalog.gpu(&self.gpu)) {
            (Ok(named), Ok(gpu)) => (named, gpu),
            (model, gpu) => {
                let of_gpu = gpu.err().map(|e| Fault::at("gpu", e.to_string()));
                let fault = model.err().map(|e| Fault::at("model", e.to_string())).or(of_gpu);
                let all_said =
                    self.memory.num_blocks.is_some() && matches!(self.memory.max_model_len, LongestSequence::Tokens(_));
                return match fault {
                    Some(fault) if !self.step_time.speaks_for_itself() => Err(fault),
                    Some(fault) if !all_said => {
                        Err(fault.hint("give num_blocks and max_model_len, which the catalogue would say"))
                    }
                    _ => Ok((None, Vec::new())),
                };
            }
        };
        let mut taken_for = Vec::from_iter(named.note(&self.model));
        let weights = match (self.formats.weights, named.weights) {
            (Some(said), _) => said,
            (None, None) => WeightsDtype::Bf16,
            (None, Some(format)) => {
                if named.own_name {
                    taken_for.push(format!("weights are in {format}, as the row of {} says", named.row.id));
                }
                WeightsDtype::parse(format).ok_or_else(|| {
                    let known = WeightsDtype::ALL.map(WeightsDtype::name).join(", ");
                    Fault::at("model", format!("`{}` has weights in {format}, which is not modelled", self.model))
                        .hint(format!("give weights_dtype, one of {known}"))
                })?
            }
        };
        if gpu.id != self.gpu {
            taken_for.push(format!("GPU `{}` is taken for {}", self.gpu, gpu.id));
        }
        Ok((Some(Catalogued { model: named.row, gpu, weights }), taken_for))
    }

    /// How its weights are stored.
    fn weights(&self, on: Option<Catalogued<'_>>) -> WeightsDtype {
        on.map_or(self.formats.weights.unwrap_or_default(), |known| known.weights)
    }

    /// What the replica is, for people; formats where they are not the default.
    fn title(&self, on: Option<Catalogued<'_>>) -> String {
        let (model, gpu) = on.map_or((&self.model, &self.gpu), |known| (&known.model.id, &known.gpu.id));
        let mut title = format!("{model} on {} x {gpu}", self.tensor_parallel);
        let (weights, kv) = (self.weights(on), self.formats.kv);
        if weights != WeightsDtype::default() {
            title.push_str(&format!(", {} weights", weights.name()));
        }
        if kv != KvDtype::default() {
            title.push_str(&format!(", {} KV cache", kv.name()));
        }
        title
    }

    fn hourly(&self, catalog: &Catalog, rent: &RentSpec) -> Result<HourlyRent, Fault> {
        let hourly = match rent {
            RentSpec::Own(usd) => HourlyRent { usd_per_gpu_hour: *usd, read: None },
            RentSpec::Of { provider, kind } => {
                let gpu = catalog.gpu(&self.gpu).map_or_else(|_| self.gpu.clone(), |gpu| gpu.id.clone());
                let row = catalog.rent(&gpu, provider, kind).map_err(|e| Fault::at("rent", e.to_string()))?;
                let read = (format!("rent of {} from {provider}", self.gpu), row.date.clone());
                HourlyRent { usd_per_gpu_hour: row.usd_per_gpu_hour, read: Some(read) }
            }
        };
        if hourly.usd_per_gpu_hour < Usd::ZERO {
            return Err(Fault::at("rent", "it is below zero"));
        }
        Ok(hourly)
    }

    fn analytic_options(&self, demand: &Demand, on: Option<Catalogued<'_>>) -> AnalyticOptions {
        let (limits, blackwell) = (demand.limits, on.is_some_and(|known| known.gpu.is_datacenter_blackwell()));
        let graph_sizes = if demand.graphs {
            GraphSizes::new(limits.max_num_seqs, limits.max_num_batched_tokens, blackwell)
        } else {
            GraphSizes::default()
        };
        AnalyticOptions {
            weights: self.weights(on),
            kv_dtype_bytes: self.formats.kv.bytes(),
            expert_parallel: self.expert_parallel,
            async_scheduling: demand.concurrent_batches > 1,
            graph_sizes,
            ..AnalyticOptions::default()
        }
    }

    fn placed(&self, on: Option<Catalogued<'_>>) -> Result<Placed, Refusal> {
        match (on, self.memory.max_model_len) {
            (Some(known), LongestSequence::Fitting) => match self.planned(known, known.model.max_context) {
                Err(Refusal::DoesNotFit(short)) if short.longest.is_some() => {
                    self.planned(known, short.longest.unwrap_or_default())
                }
                other => other,
            },
            (Some(known), LongestSequence::OfModel) => self.planned(known, known.model.max_context),
            (Some(known), LongestSequence::Tokens(longest)) => self.planned(known, longest),
            (None, LongestSequence::Tokens(longest)) => Ok(self.unplanned(longest)?),
            (None, _) => Err(Fault::at("max_model_len", "only the catalogue knows a model's context").into()),
        }
    }

    /// The engine's settings on a machine, and the options of its memory account.
    fn demanded(
        &self,
        on: Option<Catalogued<'_>>,
        longest: u32,
    ) -> Result<(ResolvedEngine, PlanOptions, Vec<String>), Fault> {
        check::at_least_1("max_model_len", longest)?;
        let machine = Machine { gpu: on.map(|known| known.gpu), max_model_len: longest };
        let (engine, warnings) = self.engine.resolve(&machine)?;
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
            weights_dtype: self.weights(on),
            kv_dtype: self.formats.kv,
        };
        Ok((engine, options, warnings))
    }

    fn planned(&self, known: Catalogued<'_>, longest: u32) -> Result<Placed, Refusal> {
        let Catalogued { model, gpu, .. } = known;
        let (engine, mut options, mut warnings) = self.demanded(Some(known), longest)?;
        if self.memory.measured {
            options.max_model_len = Some(longest.min(model.max_context));
        }
        let plan = match self.memory.num_blocks {
            Some(blocks) => {
                let account = memory::account(model, gpu, &options)?;
                if !self.memory.measured {
                    within_gpu(blocks, &account)?;
                }
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
        // What was shortened until it fits is what is wanted of a machine that holds no more.
        let is_shortened = self.memory.max_model_len == LongestSequence::Fitting && longest < model.max_context;
        let wanted = if is_shortened { longest.min(held) } else { longest };
        warnings.extend(shortfall(model, &plan, wanted, held));
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

    /// What would fit instead, as the end of a sentence: other numbers of the GPU, and the cheapest to rent.
    fn what_would_fit(&self, catalog: &Catalog, known: Catalogued<'_>) -> String {
        memory::advice(catalog, known.gpu, &|gpu, tensor_parallel| {
            let there = ReplicaSpec { gpu: gpu.id.clone(), tensor_parallel, ..self.clone() };
            there.placed(Some(Catalogued { gpu, ..known })).is_ok()
        })
    }
}

fn at_least_two(blocks: u32) -> Result<u32, Fault> {
    if blocks < 2 {
        let what = format!("it is {blocks}, and one is the null block");
        return Err(Fault::at("num_blocks", what).hint("it must be at least 2"));
    }
    Ok(blocks)
}

/// Refuses blocks that alone take more than a GPU has.
fn within_gpu(blocks: u32, account: &MemoryPlan) -> Result<(), Fault> {
    let position_bytes = u128::from(account.block_bytes) * u128::from(account.groups.max(1));
    let most = u128::from(account.per_gpu_total_bytes) / position_bytes.max(1);
    if u128::from(blocks) <= most {
        return Ok(());
    }
    let (size, gpu) = (account.block_size, in_gib(account.per_gpu_total_bytes));
    let what = format!("{blocks} blocks of {size} tokens take more than the {gpu} GiB of a GPU");
    Err(Fault::at("num_blocks", what).hint(format!("it must be at most {most}")))
}

/// The account with blocks that somebody gives, and what to say where it finds fewer.
fn given(blocks: u32, account: MemoryPlan) -> Result<(MemoryPlan, Option<String>), Fault> {
    at_least_two(blocks)?;
    let found = account.uniform_blocks;
    let warning = (u64::from(blocks) > found)
        .then(|| {
            format!(
                "num_blocks = {blocks} is taken as it is given; the memory account finds room for {found}, with which fewer \
                 sequences run at a time and more prefixes are evicted than here"
            )
        });
    Ok((account.with_uniform_blocks(blocks.into()), warning))
}

/// What the simulated engine does not hold of what it should.
fn shortfall(model: &Model, plan: &MemoryPlan, longest: u32, held: u32) -> Option<String> {
    let id = &model.id;
    let (real, here) = (plan.tokens_decoding(longest), plan.uniform_tokens());
    // Whole blocks of a group are lost here and there; that much is not worth a word.
    if real.saturating_mul(20) > here.saturating_mul(21) {
        let ends =
            if held < longest { format!("sequences end at {held} tokens, not {longest}: ") } else { String::new() };
        let times = decimals(real as f64 / here.max(1) as f64, 1);
        return Some(format!(
            "{ends}the simulated engine keeps all layers of {id} in full, windows too: it holds {here} tokens, where a \
             real one holds {real} in sequences of {longest} that decode, {times} times as many, and so waits and preempts less where KV \
             cache is short"
        ));
    }
    (held < longest).then(|| {
        format!("sequences end at {held} tokens, not {longest}: there are no more blocks; a real engine refuses to start with that")
    })
}
