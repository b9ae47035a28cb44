//! `baseload memory`: what a GPU's memory goes to, how many sequences fit, and what would fit where it does not.
use super::facts::CatalogArgs;
use super::fault::Mistake;
use super::memory_account::Account;
use super::{Exit, Format, engine_settings, memory_text, printer};
use crate::calibrate::MeasuredReplica;
use crate::report::Sheet;
use baseload_core::catalog::{Catalog, MeasuredEngine};
use baseload_core::fleet::{Formats, LongestSequence, MemoryOptions, ReplicaSpec, StepTimeSource};
use baseload_core::memory::{KvDtype, UTILIZATION, WeightsDtype};
use baseload_core::types::numbers;
use baseload_core::types::{Fault, Faults, Segment};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

/// Account for a GPU's memory: weights, activations, KV blocks, and the sequences that fit
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  baseload memory --model llama-3.1-70b --gpu h100-sxm --tp 4\n  baseload memory \
--model qwen3-14b --gpu l40s --weights-dtype fp8 \\\n    --context 4096 --concurrency 64\n  baseload memory --check    # \
against what real engines reported")]
pub struct Args {
    /// Model, by its name in `baseload catalog models`
    #[arg(long, required_unless_present = "check")]
    model: Option<String>,
    /// GPU, by its name in `baseload catalog gpus`
    #[arg(long, required_unless_present = "check")]
    gpu: Option<String>,
    /// GPUs of a replica (tensor parallelism)
    #[arg(long, value_name = "N", default_value_t = 1)]
    tp: u32,
    /// How the layers' weights are stored; embeddings, head, norms and routers stay BF16
    ///
    /// As the model's name or row says, else bf16, unless given.
    #[arg(long, value_parser = of_names(&WeightsDtype::ALL, WeightsDtype::name))]
    weights_dtype: Option<WeightsDtype>,
    /// How keys and values are cached
    #[arg(long, value_parser = of_names(&KvDtype::ALL, KvDtype::name), default_value = "bf16")]
    kv_dtype: KvDtype,
    /// Longest sequence, tokens [default: the model's longest context]
    #[arg(long, value_name = "TOKENS")]
    max_model_len: Option<u32>,
    /// Share of a GPU's memory that the engine may use [default: 0.92]
    #[arg(long, value_name = "SHARE")]
    utilization: Option<f64>,
    #[arg(long, value_name = "KEY=VALUE", help = engine_settings::help("A setting of the engine"))]
    engine: Vec<String>,
    /// Tokens of a KV block; short for --engine block_size=TOKENS [default: the engine's]
    #[arg(long, value_name = "TOKENS")]
    block_size: Option<u32>,
    /// Sequences in a step; short for --engine max_num_seqs=N [default: the engine's for the GPU]
    #[arg(long, value_name = "N")]
    max_num_seqs: Option<u32>,
    /// Tokens in a step; short for --engine max_num_batched_tokens=TOKENS [default: the engine's for the GPU]
    #[arg(long, value_name = "TOKENS")]
    max_num_batched_tokens: Option<u32>,
    /// Tokens of a sequence, prompt and output [default: 8192, or the longest]
    #[arg(long, value_name = "TOKENS")]
    context: Option<u32>,
    /// Sequences of that context at once
    #[arg(long, value_name = "N")]
    concurrency: Option<u64>,
    /// Compare with the KV caches that real engines reported
    #[arg(long, conflicts_with_all = OF_ONE_REPLICA)]
    check: bool,
    #[command(flatten)]
    catalog: CatalogArgs,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Options that say what one replica is; `--check` takes its replicas from the catalogue.
const OF_ONE_REPLICA: [&str; 13] = [
    "model",
    "gpu",
    "tp",
    "weights_dtype",
    "kv_dtype",
    "max_model_len",
    "utilization",
    "engine",
    "block_size",
    "max_num_seqs",
    "max_num_batched_tokens",
    "context",
    "concurrency",
];

/// Takes the names of `all`, which the help lists.
fn of_names<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let names = PossibleValuesParser::new(all.iter().map(|one| name(*one)));
    names.map(move |said| *all.iter().find(|one| name(**one) == said).expect("clap-names: only names are let through"))
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let catalog = &args.catalog.read()?.catalog;
    if args.check {
        return check(catalog, args.format);
    }
    let model =
        catalog.model(args.model.as_deref().unwrap_or_default()).map_err(|e| Fault::from(e).under("--model"))?;
    let gpu = catalog.gpu(args.gpu.as_deref().unwrap_or_default()).map_err(|e| Fault::from(e).under("--gpu"))?;
    let said = engine_settings::parse(&args.engine)?;
    contradictions(args, &said)?;
    let replica = spec(catalog, args, said).and_then(|spec| spec.resolve(catalog));
    let replica = replica.map_err(|fault| refusal(fault, args))?;
    let Some(plan) = &replica.plan else {
        return Err(Fault::at("--gpu", "memory is known of GPUs of the catalogue").into());
    };
    let longest = plan.max_model_len;
    let context = args.context.unwrap_or(longest.min(8_192));
    if context == 0 || context > longest {
        let fault = Fault::at("--context", format!("it is {context}"));
        return Err(fault.hint(format!("a sequence has 1 to {longest} tokens (--max-model-len)")).into());
    }
    if args.concurrency == Some(0) {
        return Err(Fault::at("--concurrency", "it is 0").hint("it must be at least 1").into());
    }
    let (options, notes) = (&replica.plan_options, &replica.warnings);
    let account = Account { model, gpu, options, plan, context, concurrency: args.concurrency, notes };
    match args.format {
        Format::Json => printer::json(&account.document())?,
        Format::Table => printer::out(&memory_text::terminal(&account)),
        Format::Markdown => printer::out(&memory_text::markdown(&account)),
    }
    Ok(())
}

/// Refuses what is said twice, or of what else is said leaves no use for.
fn contradictions(args: &Args, said: &MeasuredEngine) -> Result<(), Faults> {
    let mut faults = Faults::default();
    let setting = |key: &str| said.settings.contains_key(key);
    let twice = [
        ("--block-size", "block_size", args.block_size.is_some() && setting("block_size")),
        ("--max-num-seqs", "max_num_seqs", args.max_num_seqs.is_some() && setting("max_num_seqs")),
        (
            "--max-num-batched-tokens",
            "max_num_batched_tokens",
            args.max_num_batched_tokens.is_some() && setting("max_num_batched_tokens"),
        ),
        ("--max-model-len", "max_model_len", args.max_model_len.is_some() && said.max_model_len.is_some()),
    ];
    for (option, key, _) in twice.into_iter().filter(|(.., both)| *both) {
        faults.push(Fault::at(option, format!("--engine {key} says it too")).hint("give one of them"));
    }
    if args.utilization.is_some() && said.num_gpu_blocks.is_some() {
        let fault =
            Fault::at("--utilization", "--engine num_gpu_blocks says how many blocks there are, whatever the share");
        faults.push(fault.hint("give one of them"));
    }
    faults.finish(())
}

/// The words of the options; `said` is what `--engine` says.
fn spec(catalog: &Catalog, args: &Args, said: MeasuredEngine) -> Result<ReplicaSpec, Fault> {
    let said = said
        .with("block_size", args.block_size)
        .with("max_num_seqs", args.max_num_seqs)
        .with("max_num_batched_tokens", args.max_num_batched_tokens);
    let measured = MeasuredReplica {
        tensor_parallel: args.tp,
        weights: args.weights_dtype,
        utilization: args.utilization.unwrap_or(UTILIZATION),
        ..MeasuredReplica::of(args.model.as_deref().unwrap_or_default(), args.gpu.as_deref().unwrap_or_default(), said)
    };
    let spec = measured.spec(catalog, StepTimeSource::Analytic)?;
    let longest = args.max_model_len.or(measured.engine.max_model_len);
    let max_model_len = longest.map_or(LongestSequence::OfModel, LongestSequence::Tokens);
    Ok(ReplicaSpec {
        formats: Formats { kv: args.kv_dtype, ..spec.formats },
        memory: MemoryOptions { max_model_len, measured: false, ..spec.memory },
        ..spec
    })
}

/// A refusal in the words that the user wrote: the option, or the setting of `--engine`; what would be right is its help.
fn refusal(fault: Fault, args: &Args) -> Exit {
    let by_option = |key: &str| match key {
        "block_size" => args.block_size.is_some(),
        "max_num_seqs" => args.max_num_seqs.is_some(),
        "max_num_batched_tokens" => args.max_num_batched_tokens.is_some(),
        "max_model_len" => args.max_model_len.is_some() || args.engine.is_empty(),
        key => OF_ONE_REPLICA.contains(&key),
    };
    let option = |key: &str| match key {
        "tensor_parallel" => "--tp".to_owned(),
        "weights" => "--weights-dtype".to_owned(),
        "num_blocks" => "--engine num_gpu_blocks".to_owned(),
        key if by_option(key) => format!("--{}", key.replace('_', "-")),
        key => format!("--engine {key}"),
    };
    let shown = match fault.key.segments() {
        [] => String::new(),
        [Segment::Name(key)] => format!("{}: ", option(key)),
        // A setting stands in the section of its engine.
        [Segment::Name(engine), .., Segment::Name(key)] if engine == "engine" && by_option(key) => {
            format!("{}: ", option(key))
        }
        [Segment::Name(engine), .., Segment::Name(key)] if engine == "engine" => format!("--engine {key}: "),
        _ => format!("{}: ", fault.key),
    };
    Exit::Mistake(Box::new(Mistake::of(format!("{shown}{}", fault.what), fault.hint)))
}

/// Plans against what engines reported.
fn check(catalog: &Catalog, format: Format) -> Result<(), Exit> {
    let head = ["model", "GPUs", "share", "planned", "reported", "off %"];
    let title = "Tokens of KV, null block included: planned, and as real engines reported them.\n\
                 share: of memory that the engine was given; ? where the source does not say";
    let mut sheet = Sheet::new(title, &head, 2);
    let mut rows = Vec::new();
    for row in &catalog.measured_pools {
        let engine = MeasuredEngine { max_model_len: row.max_model_len, ..MeasuredEngine::default() }
            .with("block_size", Some(row.block_size))
            .with("max_num_batched_tokens", row.max_num_batched_tokens);
        let replica = MeasuredReplica {
            tensor_parallel: row.tensor_parallel,
            utilization: row.utilization,
            ..MeasuredReplica::of(&row.model, &row.gpu, engine)
        };
        let replica = replica.resolve(catalog, StepTimeSource::Analytic)?;
        let Some(plan) = &replica.plan else { continue };
        let planned = plan.num_blocks * u64::from(plan.block_size);
        let off = planned as f64 / row.kv_tokens as f64 - 1.0;
        let guess = if row.utilization_known { "" } else { "?" };
        let note = row.note.as_ref().map_or_else(String::new, |n| format!("; {n}"));
        let cells = vec![
            row.model.clone(),
            format!("{} x {}", row.tensor_parallel, row.gpu),
            format!("{guess}{}", numbers::decimals(row.utilization, 2)),
            planned.to_string(),
            row.kv_tokens.to_string(),
            numbers::signed(off * 100.0),
        ];
        sheet.fact(cells, &row.date, &format!("{}: {}{note}", row.engine, row.source));
        rows.push(json!({ "row": row, "planned_kv_tokens": planned, "planned_blocks": plan.num_blocks, "off": off }));
    }
    match format {
        Format::Json => printer::json(&rows)?,
        Format::Table => printer::out(&sheet.text()),
        Format::Markdown => printer::out(&sheet.markdown()),
    }
    Ok(())
}
