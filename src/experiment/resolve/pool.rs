//! A pool, resolved: its GPU and rent, what fits its memory, its engine and how long its steps take.
use super::*;

impl Resolver<'_> {
    pub(super) fn pool(&mut self, name: &str, p: &PoolSection) -> Result<ResolvedPool, String> {
        let key = |k: &str| format!("pool.{name}.{k}");
        let catalog = self.catalog;
        let named = catalog.model_named(&p.model).map_err(|e| format!("{}: {e}", key("model")))?;
        let (model, gpu) = (named.row, catalog.gpu(&p.gpu).map_err(|e| format!("{}: {e}", key("gpu")))?);
        let weights = self.weights(name, p, &named)?;
        if gpu.id != p.gpu {
            self.warnings.push(format!("pool {name}: GPU `{}` is taken for {}", p.gpu, gpu.id));
        }
        at_least_one(&key("tensor_parallel"), p.tensor_parallel)?;
        share(&key("utilization"), p.utilization)?;
        let rent = match (&p.rent.usd_per_gpu_hour, &p.rent.provider, &p.rent.kind) {
            (Some(usd), None, None) => Usd::from_number(*usd).map_err(|e| format!("{}: {e}", key("rent")))?,
            (None, Some(provider), Some(kind)) => {
                let row = catalog.rent(&gpu.id, provider, kind).map_err(|e| format!("{}: {e}", key("rent")))?;
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
            weights_dtype: weights.into(),
            kv_dtype: p.kv_dtype,
        };
        let mut plan = memory::plan(catalog, model, gpu, &options).map_err(|e| format!("pool.{name}: {e}"))?;
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
            weights,
            kv_dtype_bytes: p.kv_dtype.bytes(),
            async_scheduling,
            graph_sizes,
            ..AnalyticOptions::default()
        };
        let analytic = Analytic::new(catalog, model, gpu, p.tensor_parallel, &options)
            .map_err(|e| format!("{}: {e}", key("tensor_parallel")))?;
        let folder = self.folder;
        let mut kernel_files = Vec::new();
        let step_time: Arc<dyn StepTime> = match (&p.profile, &p.kernels) {
            (Some(_), Some(_)) => {
                return Err(format!("{}: profile is given too; a pool has one step time", key("kernels")));
            }
            (Some(named), None) => {
                let (step_time, note) = step_time_of(catalog, named, folder, p, (model, gpu), options)
                    .map_err(|e| format!("{}: {e}", key("profile")))?;
                self.warnings.extend(note.map(|n| format!("pool {name}: {n}")));
                step_time
            }
            (None, Some(path)) => {
                let (table, files) = table_of(catalog, &folder.join(path), p, (model, gpu), &options)
                    .map_err(|e| format!("{}: {e}", key("kernels")))?;
                kernel_files = files;
                Arc::new(table)
            }
            (None, None) => Arc::new(analytic),
        };
        Ok(ResolvedPool {
            name: name.into(),
            tensor_parallel: p.tensor_parallel,
            replicas: p.replicas,
            rent,
            title: title(p, (model, gpu), weights.into()),
            weights_dtype: weights.into(),
            facts: BackendFacts {
                internal: true,
                capability: model.capability(),
                max_context_tokens: max_model_len,
                deferred: false,
            },
            step_time,
            kernel_files,
            answers: None,
            plan,
            engine,
        })
    }
}

impl Resolver<'_> {
    /// How a pool's weights are stored: as it says, else as the model's name or row says, else in 16 bits.
    fn weights(&mut self, name: &str, p: &PoolSection, named: &NamedModel<'_>) -> Result<WeightDtype, String> {
        self.warnings.extend(named.note(&p.model).map(|note| format!("pool {name}: {note}")));
        if let Some(said) = p.weights_dtype {
            return Ok(said.into());
        }
        let Some(format) = named.weights else { return Ok(WeightDtype::Bf16) };
        if named.own_name {
            self.warnings.push(format!("pool {name}: weights are in {format}, as the row of {} says", named.row.id));
        }
        WeightDtype::parse(format).ok_or_else(|| {
            let known = WeightsDtype::ALL.map(WeightsDtype::name).join(", ");
            format!(
                "pool.{name}.model: `{}` has weights in {format}, which is not modelled; give pool.{name}.weights_dtype, \
                 one of {known}",
                p.model
            )
        })
    }
}

/// The step time of the profile that a pool names, if it is of what the pool is; and a note of what it borrows.
fn step_time_of(
    catalog: &Catalog,
    named: &str,
    folder: &Path,
    p: &PoolSection,
    (model, gpu): (&Model, &Gpu),
    options: AnalyticOptions,
) -> Result<(Arc<dyn StepTime>, Option<String>), String> {
    let profile = match profile_file(named, folder) {
        Some(path) => {
            let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            if StepTimeFile::is(&text) {
                let rows = StepTimeFile::parse(&text, &path.display().to_string())?;
                let (curves, note) = calibrate::curves(catalog, named, &rows, gpu, options.weights)?;
                let options = AnalyticOptions { curves: Some(curves), ..options };
                let step_time =
                    Analytic::new(catalog, model, gpu, p.tensor_parallel, &options).map_err(|e| e.to_string())?;
                return Ok((Arc::new(step_time), note));
            }
            Profile::parse(&text, &path.display().to_string())?
        }
        None => Profile::named(named).map_err(|e| e.to_string())?.clone(),
    };
    if (&profile.model, &profile.gpu, profile.tensor_parallel) != (&model.id, &gpu.id, p.tensor_parallel) {
        let (of, pool) = (profile.of_what(), format!("{} on {} x {}", model.id, p.tensor_parallel, gpu.id));
        return Err(format!("profile {} is of {of}; the pool is {pool}: give a profile for that", profile.name));
    }
    Ok((Arc::new(Fitted::new(&profile.step, 1.0)), None))
}

/// The step time interpolated in the kernel tables at `path`, and the files that it rests on, named from there.
#[cfg(feature = "frames")]
fn table_of(
    catalog: &Catalog,
    path: &Path,
    p: &PoolSection,
    (model, gpu): (&Model, &Gpu),
    options: &AnalyticOptions,
) -> Result<(Table, Vec<KernelInput>), String> {
    let times = crate::frames::read_kernels(&[path.to_path_buf()])?;
    let chosen = calibrate::choose_kernels(catalog, &times, gpu, options.weights, p.kv_dtype)?;
    let table = Table::new(catalog, model, gpu, p.tensor_parallel, &chosen.tables, options)
        .map_err(|e| format!("{}: {e}", path.display()))?;
    let mut files: Vec<KernelInput> = Vec::new();
    for taken in &chosen.taken {
        let file = &times.files[taken.file];
        let below = file.path.strip_prefix(path).ok().filter(|b| !b.as_os_str().is_empty());
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
    Ok((table, files))
}

#[cfg(not(feature = "frames"))]
fn table_of(
    _catalog: &Catalog,
    _path: &Path,
    _p: &PoolSection,
    _of: (&Model, &Gpu),
    _options: &AnalyticOptions,
) -> Result<(Table, Vec<KernelInput>), String> {
    Err("this build cannot read Parquet: build with the feature `frames`".into())
}
