//! One road from words to a replica: what `run` and `validate` make of equal words is equal, and an engine of an embedder's
//! own takes the same road.
use baseload::calibrate::MeasuredReplica;
use baseload::catalog::{Catalog, Gpu, MeasuredEngine, Model};
use baseload::engine::{
    Demand, EngineLimits, EngineMode, EngineRow, EngineSection, Engines, KvCapacity, Machine, Scheduler, StaticConfig,
    StaticScheduler,
};
use baseload::experiment::{Experiment, Settings};
use baseload::fleet::{ReplicaSpec, ReplicaType, StepTimeSource};
use baseload::memory::StepLimits;
use baseload::memory::WeightsDtype;
use baseload::types::{BatchShape, Fault, PrefillChunk, SimTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Traffic that nobody looks at.
const USERS: &str = "trace.users = { concurrency = 1, requests = 1, prompt_tokens = 1, output_tokens = 1 }\n";

/// An experiment of the pools in `text`.
fn experiment(text: &str, engines: &Engines) -> Result<Experiment, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.toml");
    std::fs::write(&path, format!("name = \"t\"\n{USERS}{text}\n[policy.own.round_robin]\n")).unwrap();
    let settings = Settings { engines: engines.clone(), ..Settings::default() };
    Experiment::load_with(&path, &settings).map_err(|faults| faults.to_string())
}

/// A pool of each engine.
fn pools(model: &Model, gpu: &Gpu, tensor_parallel: u32) -> String {
    Engines::embedded().rows().iter().fold(String::new(), |mut text, row| {
        let (name, model, gpu) = (row.name, &model.id, &gpu.id);
        _ = write!(
            text,
            "[pool.{name}]\nmodel = \"{model}\"\ngpu = \"{gpu}\"\ntensor_parallel = {tensor_parallel}\n\
             rent = {{ usd_per_gpu_hour = 1.0 }}\n[pool.{name}.engine.{name}]\n"
        );
        text
    })
}

/// The fewest GPUs of this kind that hold the model with every engine.
fn fewest(model: &Model, gpu: &Gpu) -> Option<u32> {
    let engines = Engines::embedded();
    let spec = |row: &EngineRow| {
        let section = toml::from_str(&format!("{} = {{}}", row.name)).unwrap();
        ReplicaSpec::new(&model.id, &gpu.id, engines.chosen(&section).unwrap())
    };
    let specs: Vec<ReplicaSpec> = engines.rows().iter().map(spec).collect();
    let fits = |tensor_parallel: &u32| {
        let on = |s: &ReplicaSpec| ReplicaSpec { tensor_parallel: *tensor_parallel, ..s.clone() };
        specs.iter().all(|s| on(s).resolve(Catalog::embedded()).is_ok())
    };
    [1, 2, 4, 8].into_iter().find(fits)
}

/// Step times at batches of all kinds: a row, many, a long context, a chunk of a prompt, both.
fn steps(replica: &ReplicaType) -> Vec<u128> {
    let chunk = [PrefillChunk { context: 300, tokens: 700 }];
    let shapes = [(1, 100, false), (64, 64_000, false), (256, 1_000_000, false), (0, 0, true), (33, 90_000, true)];
    let price = |(decode_rows, decode_ctx_sum, with_prefill): (u32, u64, bool)| {
        let prefill: &[PrefillChunk] = if with_prefill { &chunk } else { &[] };
        replica.step_time.batch(&BatchShape { prefill, decode_rows, decode_ctx_sum }).0
    };
    shapes.into_iter().map(price).collect()
}

#[test]
fn run_and_validate_build_the_same_replica_of_the_same_words() {
    let catalog = Catalog::embedded();
    let mut seen = 0;
    for (model, gpu) in catalog.models.iter().flat_map(|m| catalog.gpus.iter().map(move |g| (m, g))) {
        let Some(tensor_parallel) = fewest(model, gpu) else { continue };
        let run = experiment(&pools(model, gpu, tensor_parallel), &Engines::embedded()).unwrap();
        for pool in &run.pools {
            let engine = MeasuredEngine { name: pool.name.clone(), ..MeasuredEngine::default() };
            let measured = MeasuredReplica { tensor_parallel, ..MeasuredReplica::of(&model.id, &gpu.id, engine) };
            let validate = measured.resolve(catalog, StepTimeSource::Analytic).unwrap();
            let (a, b) = (&pool.replica, &validate);
            assert_eq!(a.title, b.title);
            let what = format!("{} by {}", a.title, pool.name);
            assert_eq!((&a.kv, &a.limits, &a.facts), (&b.kv, &b.limits, &b.facts), "one-road: {what}");
            assert_eq!((&a.plan, &a.engine, &a.warnings), (&b.plan, &b.engine, &b.warnings), "one-road: {what}");
            assert_eq!(steps(a), steps(b), "one-road: {what}");
            let idle = |r: &ReplicaType| r.start(EngineMode::default()).engine().load();
            assert_eq!(idle(a), idle(b), "one-road: {what}");
            seen += 1;
        }
    }
    assert!(seen > 300, "only {seen} replicas of the catalogue fit");
}

#[test]
fn a_model_with_groups_of_layers_has_the_blocks_of_an_engine_without_them_on_both_roads() {
    let pool = "[pool.own]\nmodel = \"gpt-oss-120b\"\ngpu = \"h100-sxm\"\ntensor_parallel = 4\n\
                weights_dtype = \"bf16\"\nrent = { usd_per_gpu_hour = 1.0 }";
    let run = experiment(pool, &Engines::embedded()).unwrap();
    let measured = MeasuredReplica {
        tensor_parallel: 4,
        weights: Some(WeightsDtype::Bf16),
        ..MeasuredReplica::of("gpt-oss-120b", "h100-sxm", MeasuredEngine::default())
    };
    let validate = measured.resolve(Catalog::embedded(), StepTimeSource::Analytic).unwrap();
    let plan = validate.plan.as_ref().unwrap();
    assert_eq!(run.pools[0].replica.kv.num_blocks, 57_185);
    assert_eq!((validate.kv.num_blocks, plan.num_blocks.div_ceil(2)), (57_185, 57_185), "two groups of layers");
}

/// A static batcher whose batches close at once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ToySection {
    /// Rows of a batch.
    rows: u32,
}

impl Default for ToySection {
    fn default() -> ToySection {
        ToySection { rows: 4 }
    }
}

impl EngineSection for ToySection {
    fn resolve(&mut self, _on: &Machine<'_>) -> Result<Vec<String>, Fault> {
        if self.rows == 0 { Err(Fault::at("rows", "it is 0").hint("it must be at least 1")) } else { Ok(Vec::new()) }
    }
    fn demand(&self) -> Demand {
        let limits = StepLimits { max_num_batched_tokens: 2_048, max_num_seqs: self.rows };
        Demand { limits, block_size: 32, concurrent_batches: 1, graphs: false, graph_memory: false }
    }
    fn limits(&self, kv: &KvCapacity) -> EngineLimits {
        let most_rows = self.rows.min(kv.num_blocks);
        let most_tokens = u64::from(most_rows) * u64::from(kv.max_model_len);
        EngineLimits { max_rows: self.rows, most_rows, most_tokens, cached_block: None, by_priority: false }
    }
    fn build(&self, kv: &KvCapacity, _mode: EngineMode) -> Box<dyn Scheduler> {
        Box::new(StaticScheduler::new(StaticConfig {
            max_batch: self.rows,
            timeout: SimTime::ZERO,
            max_model_len: kv.max_model_len,
            block_size: kv.block_size,
            num_blocks: kv.num_blocks,
        }))
    }
}

#[test]
fn an_engine_of_an_embedder_is_a_section_and_a_line() {
    let engines = Engines::embedded().with(EngineRow::of::<ToySection>("toy", "Batches that close at once."));
    let pool = |section: &str| {
        format!(
            "[pool.own]\nmodel = \"llama-3.1-8b\"\ngpu = \"h100-sxm\"\nrent = {{ usd_per_gpu_hour = 1.0 }}\n\
             [pool.own.engine.toy]\n{section}"
        )
    };
    let toy = experiment(&pool("rows = 7"), &engines).unwrap();
    let replica = &toy.pools[0].replica;
    assert_eq!((replica.engine.0, replica.limits.max_rows, replica.kv.block_size), ("toy", 7, 32));
    assert_eq!(
        replica.start(EngineMode::default()).engine().load().kv_total_blocks,
        replica.kv.num_blocks - 1,
        "one is the null block"
    );
    let says = |section: &str| experiment(&pool(section), &engines).err().unwrap();
    assert!(says("rows = 0").contains("pool.own.engine.toy.rows: it is 0; it must be at least 1"));
    assert!(says("row = 1").contains("did you mean `rows`?"));
    let unknown = experiment(&pool(""), &Engines::embedded()).err().unwrap();
    assert!(unknown.contains("pool.own.engine.toy: there is no such engine"), "{unknown}");
}
