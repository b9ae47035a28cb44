//! `baseload catalog`: the facts, with source and date.
use super::{Exit, Format, printer};
use crate::catalog::Catalog;
use comfy_table::{ContentArrangement, Table, presets};

/// Print the facts this program carries, with source and date
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload catalog gpus\n  baseload catalog apis --format json")]
pub struct Args {
    /// Which facts
    what: What,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Data sheets
    Gpus,
    /// Architectures
    Models,
    /// Prices and latencies
    Apis,
    /// Rents of GPUs
    Rents,
    /// People, power, space
    People,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let c = Catalog::embedded();
    if args.format == Format::Json {
        match args.what {
            What::Gpus => printer::json(&c.gpus)?,
            What::Models => printer::json(&c.models)?,
            What::Apis => printer::json(&serde_json::json!({
                "prices": c.api_prices, "latencies": c.api_latencies,
                "rate_limits": c.rate_limits,
            }))?,
            What::Rents => printer::json(&c.rents)?,
            What::People => printer::json(&c.ops_costs)?,
        }
        return Ok(());
    }
    let (header, rows) = table(c, args.what);
    let mut table = Table::new();
    let preset = if args.format == Format::Markdown { presets::ASCII_MARKDOWN } else { presets::NOTHING };
    table.load_style(preset).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    table.add_rows(rows);
    printer::out(&table.to_string());
    Ok(())
}

fn table(c: &Catalog, what: What) -> (Vec<&'static str>, Vec<Vec<String>>) {
    match what {
        What::Gpus => (
            vec!["id", "memory GiB", "GB/s", "BF16 TFLOPS", "link GB/s", "source"],
            c.gpus
                .iter()
                .map(|g| {
                    let figures =
                        [g.memory_total_gib, g.mem_bw_gbps, g.bf16_tflops_dense, g.scale_up_gbps_unidirectional];
                    let mut row = vec![g.id.clone()];
                    row.extend(figures.map(|f| f.to_string()));
                    row.push(g.source.clone());
                    row
                })
                .collect(),
        ),
        What::Models => (
            vec!["id", "parameters", "active", "layers", "attention", "KV bytes/token", "context", "source"],
            c.models
                .iter()
                .map(|m| {
                    let figures = [m.params_total, m.params_active, m.layers.into()];
                    let mut row = vec![m.id.clone()];
                    row.extend(figures.map(|f| f.to_string()));
                    row.push(m.attention.clone());
                    row.extend(
                        [m.kv_bytes_per_token_bf16_all_layers, m.max_context.into()].map(|f: u64| f.to_string()),
                    );
                    row.push(m.source.clone());
                    row
                })
                .collect(),
        ),
        What::Apis => (
            vec!["id", "input $/M", "output $/M", "cached $/M", "TTFT p50 s", "tok/s", "date", "latency source"],
            c.api_prices
                .iter()
                .map(|p| {
                    let latency = c.api_latency(&format!("{}/{}", p.provider, p.model)).ok();
                    let or_dash = |v: Option<f64>| v.map_or_else(|| "-".into(), |v| v.to_string());
                    vec![
                        format!("{}/{}", p.provider, p.model),
                        usd_per_million(p.input),
                        usd_per_million(p.output),
                        p.cached_input.map_or_else(|| "-".into(), usd_per_million),
                        or_dash(latency.map(|l| l.ttft_p50_s)),
                        or_dash(latency.map(|l| l.output_tokens_per_s)),
                        p.date.clone(),
                        latency.map_or_else(|| "-".into(), |l| l.source.clone()),
                    ]
                })
                .collect(),
        ),
        What::Rents => (
            vec!["gpu", "provider", "kind", "$/GPU-hour", "date", "source"],
            c.rents
                .iter()
                .map(|r| {
                    let price = r.usd_per_gpu_hour.as_f64().to_string();
                    vec![r.gpu.clone(), r.provider.clone(), r.kind.clone(), price, r.date.clone(), r.source.clone()]
                })
                .collect(),
        ),
        What::People => (
            vec!["key", "low", "typical", "high", "unit", "date", "source"],
            c.ops_costs
                .iter()
                .map(|o| {
                    let mut row = vec![o.key.clone()];
                    row.extend([o.low, o.typical, o.high].map(|f| f.to_string()));
                    row.extend([o.unit.clone(), o.date.clone(), o.source.clone()]);
                    row
                })
                .collect(),
        ),
    }
}

/// A price in US dollars a million tokens.
fn usd_per_million(price: crate::types::TokenPrice) -> String {
    (price.0 as f64 / 1e6).to_string()
}
