//! `baseload memory`: what a GPU's memory goes to, how many sequences fit, and what would fit where it does not.
use super::facts::CatalogArgs;
use super::fault::Mistake;
use super::sheet::Sheet;
use super::{Exit, Format, memory_text, printer};
use baseload_core::catalog::{Catalog, Gpu, Model};
use baseload_core::latency::WeightDtype;
use baseload_core::memory::{self, KvDtype, MemoryError, MemoryPlan, PlanOptions, WeightsDtype, gib};
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
    #[arg(long, value_enum)]
    weights_dtype: Option<Weights>,
    /// How keys and values are cached
    #[arg(long, value_enum, default_value = "bf16")]
    kv_dtype: Kv,
    /// Longest sequence, tokens [default: the model's longest context]
    #[arg(long, value_name = "TOKENS")]
    max_model_len: Option<u32>,
    /// Share of a GPU's memory that the engine may use
    #[arg(long, value_name = "SHARE", default_value_t = 0.92)]
    utilization: f64,
    /// Tokens of a KV block
    #[arg(long, value_name = "TOKENS", default_value_t = 16)]
    block_size: u32,
    /// Sequences in a step [default: vLLM's for the GPU]
    #[arg(long, value_name = "N")]
    max_num_seqs: Option<u32>,
    /// Tokens in a step [default: vLLM's for the GPU]
    #[arg(long, value_name = "TOKENS")]
    max_num_batched_tokens: Option<u32>,
    /// Tokens of a sequence, prompt and output [default: 8192, or the longest]
    #[arg(long, value_name = "TOKENS")]
    context: Option<u32>,
    /// Sequences of that context at once
    #[arg(long, value_name = "N")]
    concurrency: Option<u64>,
    /// Compare with the KV caches that real engines reported
    #[arg(long, conflicts_with_all = ["model", "gpu"])]
    check: bool,
    #[command(flatten)]
    catalog: CatalogArgs,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Names of [`WeightsDtype`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Weights {
    Bf16,
    Fp8,
    Int4,
}

/// Names of [`KvDtype`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kv {
    Bf16,
    Fp8,
}

/// A plan and what was asked of it.
pub(super) struct Account<'a> {
    pub model: &'a Model,
    pub gpu: &'a Gpu,
    pub options: PlanOptions,
    pub plan: MemoryPlan,
    /// Tokens of a sequence.
    pub context: u32,
    /// Sequences at once, where somebody asked.
    pub concurrency: Option<u64>,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let catalog = &args.catalog.read()?.catalog;
    if args.check {
        return check(catalog, args.format);
    }
    let (model, weights_dtype) = model_of(catalog, args)?;
    let gpu = catalog.gpu(args.gpu.as_deref().unwrap_or_default()).map_err(|e| format!("--gpu: {e}"))?;
    let options = PlanOptions {
        tensor_parallel: args.tp,
        utilization: args.utilization,
        block_size: args.block_size,
        max_num_batched_tokens: args.max_num_batched_tokens,
        max_num_seqs: args.max_num_seqs,
        max_model_len: args.max_model_len,
        weights_dtype,
        kv_dtype: match args.kv_dtype {
            Kv::Bf16 => KvDtype::Bf16,
            Kv::Fp8 => KvDtype::Fp8,
        },
        ..PlanOptions::default()
    };
    let longest = options.longest(model);
    let context = args.context.unwrap_or(longest.min(8_192));
    if context == 0 || context > longest {
        return Err(format!("--context {context}: a sequence has 1 to {longest} tokens (--max-model-len)").into());
    }
    if args.concurrency == Some(0) {
        return Err("--concurrency 0: it must be at least 1".to_owned().into());
    }
    let plan = memory::plan(catalog, model, gpu, &options).map_err(refusal)?;
    let account = Account { model, gpu, options, plan, context, concurrency: args.concurrency };
    match args.format {
        Format::Json => printer::json(&document(&account))?,
        Format::Table => printer::out(&memory_text::terminal(&account)),
        Format::Markdown => printer::out(&memory_text::markdown(&account)),
    }
    Ok(())
}

/// The model, and how its weights are stored: as the option says, else as its name or its row.
fn model_of<'a>(catalog: &'a Catalog, args: &Args) -> Result<(&'a Model, WeightsDtype), Exit> {
    let name = args.model.as_deref().unwrap_or_default();
    let named = catalog.model_named(name).map_err(|e| format!("--model: {e}"))?;
    if let Some(note) = named.note(name) {
        printer::error(&format!("warning: {note}"));
    }
    let weights = match (args.weights_dtype, named.weights) {
        (Some(Weights::Bf16), _) | (None, None) => WeightsDtype::Bf16,
        (Some(Weights::Fp8), _) => WeightsDtype::Fp8,
        (Some(Weights::Int4), _) => WeightsDtype::Int4,
        (None, Some(format)) => WeightDtype::parse(format).map(WeightsDtype::from).ok_or_else(|| {
            format!("--model: weights in {format} are not modelled; give --weights-dtype bf16, fp8 or int4")
        })?,
    };
    Ok((named.row, weights))
}

/// A refusal in the words of this command's options; what would fit is its help.
fn refusal(error: MemoryError) -> Exit {
    match error {
        MemoryError::DoesNotFit(short) => {
            let mistake = Mistake { message: short.complaint(), excerpt: None, help: Some(short.advice.clone()) };
            Exit::Mistake(Box::new(mistake))
        }
        MemoryError::Options(text) => text.into(),
    }
}

/// The parts of a GPU's memory in the order in which they are stacked: key, name, bytes.
pub(super) fn parts(plan: &MemoryPlan) -> [(&'static str, &'static str, u64); 6] {
    [
        ("weights", "weights", plan.weights_bytes),
        ("activations", "activations", plan.activations_bytes),
        ("cuda_graphs", "CUDA graphs", plan.cuda_graphs_bytes),
        ("nccl_and_other", "NCCL and other", plan.other_bytes),
        ("kv_pool", "KV pool", plan.kv_pool_bytes),
        ("unused", "unused", plan.unused_bytes),
    ]
}

/// Everything, for programs.
fn document(a: &Account<'_>) -> serde_json::Value {
    let (p, o) = (&a.plan, &a.options);
    let mut stack = serde_json::Map::new();
    stack.insert("total".into(), json!(gib(p.per_gpu_total_bytes)));
    stack.extend(parts(p).map(|(key, _, bytes)| (key.to_owned(), json!(gib(bytes)))));
    let mut document = json!({
        "model": a.model.id,
        "gpu": a.gpu.id,
        "tensor_parallel": o.tensor_parallel,
        "weights_dtype": o.weights_dtype,
        "kv_dtype": o.kv_dtype,
        "utilization": o.utilization,
        "max_model_len": p.max_model_len,
        "max_num_seqs": p.max_num_seqs,
        "max_num_batched_tokens": p.max_num_batched_tokens,
        "per_gpu_gib": stack,
        "weights_kept_bf16_gib": gib(p.weights_kept_bf16_bytes),
        "kv_bytes_per_token": p.kv_bytes_per_token,
        "block_size": p.block_size,
        "block_bytes": p.block_bytes,
        "kv_groups": p.groups,
        "blocks": p.num_blocks,
        "usable_blocks": p.usable_blocks(),
        "kv_tokens": p.kv_tokens,
        "weights_only_kv_tokens": p.weights_only_kv_tokens,
        "context": a.context,
        "sequences": p.sequences_of(a.context),
        "preemption_starts_at": p.preempts_at(a.context),
        "weights_only_sequences": p.weights_only_kv_tokens / u64::from(a.context),
        "assumptions": memory::assumptions(a.model, a.gpu, o),
    });
    if let Some(n) = a.concurrency {
        let needed = p.blocks_of(n, a.context);
        document["at_concurrency"] = json!({
            "concurrency": n,
            "blocks": needed,
            "kv_share": needed as f64 / p.usable_blocks().max(1) as f64,
            "fits": n <= p.sequences_of(a.context),
        });
    }
    document
}

/// Plans against what engines reported.
fn check(catalog: &Catalog, format: Format) -> Result<(), Exit> {
    let head = ["model", "GPUs", "share", "planned", "reported", "off %"];
    let title = "Tokens of KV, null block included: planned, and as real engines reported them.\n\
                 share: of memory that the engine was given; ? where the source does not say";
    let mut sheet = Sheet::new(title, &head, 2);
    let mut rows = Vec::new();
    for row in &catalog.measured_pools {
        let model = catalog.model(&row.model).map_err(|e| e.to_string())?;
        let gpu = catalog.gpu(&row.gpu).map_err(|e| e.to_string())?;
        let options = PlanOptions {
            tensor_parallel: row.tensor_parallel,
            utilization: row.utilization,
            block_size: row.block_size,
            max_num_batched_tokens: row.max_num_batched_tokens,
            max_model_len: row.max_model_len,
            ..PlanOptions::default()
        };
        let plan = memory::plan(catalog, model, gpu, &options).map_err(|e| e.to_string())?;
        let planned = plan.num_blocks * u64::from(plan.block_size);
        let off = planned as f64 / row.kv_tokens as f64 - 1.0;
        let guess = if row.utilization_known { "" } else { "?" };
        let note = row.note.as_ref().map_or_else(String::new, |n| format!("; {n}"));
        let cells = vec![
            row.model.clone(),
            format!("{} x {}", row.tensor_parallel, row.gpu),
            format!("{guess}{:.2}", row.utilization),
            planned.to_string(),
            row.kv_tokens.to_string(),
            format!("{:+.2}", off * 100.0),
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
