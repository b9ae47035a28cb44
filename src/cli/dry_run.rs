//! `baseload run --dry-run`: the resolved experiment and each pool's memory account.
use super::{Exit, Format, printer};
use crate::experiment::{Experiment, ResolvedPool};
use crate::report::{self, Sheet};
use baseload_core::types::numbers::{in_gib, thousands};

/// Columns of a line behind its `# `.
const WIDTH: usize = report::WIDTH - 2;

pub fn run(exp: &Experiment, format: Format) -> Result<(), Exit> {
    exp.probe_trace()?;
    if format == Format::Json {
        let pools: serde_json::Map<String, serde_json::Value> =
            exp.pools.iter().map(|p| (p.name.clone(), serde_json::json!(p.replica.plan))).collect();
        let document = serde_json::json!({ "experiment": exp.echo, "memory": pools, "warnings": exp.warnings });
        return Ok(printer::json(&document)?);
    }
    let resolved = printer::toml_text(&exp.echo)?;
    let warnings = exp.warnings.iter().map(|warning| report::wrapped(&format!("warning: {warning}"), WIDTH, 2));
    let memory: Vec<String> = exp.pools.iter().map(account).chain(warnings).collect();
    if format == Format::Markdown {
        let (toml, text) = (resolved.trim_end(), memory.join("\n"));
        // A fence that no text inside can close.
        let longest = toml.split(|c| c != '`').chain(text.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        printer::out(&format!("{fence}toml\n{toml}\n{fence}\n\n{fence}text\n{text}\n{fence}"));
    } else {
        printer::out(&resolved);
        // Comments, so that the whole of it is an experiment file again.
        for line in memory.iter().flat_map(|pool| pool.lines()) {
            printer::out(&format!("# {line}"));
        }
    }
    Ok(())
}

/// How a pool's memory is divided, part by part: one replica, each of its GPUs; and the blocks that are simulated.
fn account(pool: &ResolvedPool) -> String {
    let (replica, kv) = (&pool.replica, &pool.replica.kv);
    let mut parts = Sheet::new(format!("pool {}: {}, GiB a GPU", pool.name, replica.title), &["", ""], 1);
    for (what, bytes) in replica.plan.iter().flat_map(|p| {
        [
            ("GPU", p.per_gpu_total_bytes),
            ("budget", p.budget_bytes),
            ("weights", p.weights_bytes),
            ("activations", p.activations_bytes),
            ("CUDA graphs", p.cuda_graphs_bytes),
            ("other", p.other_bytes),
            ("KV cache", p.kv_pool_bytes),
        ]
    }) {
        parts.row(vec![format!("  {what}"), in_gib(bytes)]);
    }
    let mut out = parts.text();
    out.push_str(&format!(
        "  {} blocks of {} tokens = {} tokens = {} sequences of 8k",
        thousands(kv.num_blocks.into()),
        kv.block_size,
        thousands(kv.tokens()),
        kv.tokens() / 8_192
    ));
    out
}
