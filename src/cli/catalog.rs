//! `baseload catalog`: the facts, with source and date.
use super::sheet::Sheet;
use super::{Exit, Format, printer};
use crate::api::{Call, ProfileLaw};
use crate::catalog::{ApiProfile, Catalog};
use crate::types::{Capability, SimTime, TokenPrice};

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
    /// Prices, latencies, rate limits
    Apis,
    /// Profiles of measured API latency
    Latency,
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
                "capabilities": c.api_capabilities, "rate_limits": c.rate_limits,
            }))?,
            What::Latency => printer::json(&ApiProfile::embedded())?,
            What::Rents => printer::json(&c.rents)?,
            What::People => printer::json(&c.ops_costs)?,
        }
        return Ok(());
    }
    let show = if args.format == Format::Markdown { Sheet::markdown } else { Sheet::text };
    let texts: Vec<String> = sheets(c, args.what).iter().map(show).collect();
    printer::out(&texts.join("\n"));
    Ok(())
}

fn sheets(c: &Catalog, what: What) -> Vec<Sheet> {
    match what {
        What::Gpus => vec![gpus(c)],
        What::Models => vec![models(c)],
        What::Apis => vec![prices(c), latencies(c), limits(c)],
        What::Latency => vec![profiles(ApiProfile::embedded())],
        What::Rents => vec![rents(c)],
        What::People => vec![people(c)],
    }
}

fn gpus(c: &Catalog) -> Sheet {
    let head = ["id", "memory GiB", "GB/s", "BF16 TFLOPS", "link GB/s"];
    let mut sheet = Sheet::new("GPUs: memory that the runtime reports; dense peaks; links in one direction", &head, 1);
    for g in &c.gpus {
        let figures = [g.memory_total_gib, g.mem_bw_gbps, g.bf16_tflops_dense, g.scale_up_gbps_unidirectional];
        let mut cells = vec![g.id.clone()];
        cells.extend(figures.map(|f| f.to_string()));
        sheet.fact(cells, &g.date, &g.source);
    }
    sheet
}

fn models(c: &Catalog) -> Sheet {
    let head = ["id", "attention", "B params", "active", "layers", "KV B/token", "context"];
    let mut sheet =
        Sheet::new("Open-weight models: parameters in billions; KV bytes a token at BF16, all layers", &head, 2);
    for m in &c.models {
        let mut cells = vec![m.id.clone(), m.attention.clone()];
        cells.extend([m.params_total, m.params_active].map(|n| format!("{:.2}", n as f64 / 1e9)));
        let figures: [u64; 3] = [m.layers.into(), m.kv_bytes_per_token_bf16_all_layers, m.max_context.into()];
        cells.extend(figures.map(|n| n.to_string()));
        sheet.fact(cells, &m.date, &m.source);
    }
    sheet
}

fn prices(c: &Catalog) -> Sheet {
    let head = ["catalog =", "class", "in", "out", "cached"];
    let title = "API list prices: US$ a million tokens; the class of the model is our judgement";
    let mut sheet = Sheet::new(title, &head, 2);
    for p in &c.api_prices {
        let name = format!("{}/{}", p.provider, p.model);
        let class = c.api_capability(&name).map_or("-", class_name).to_string();
        let prices = [Some(p.input), Some(p.output), p.cached_input].map(per_million);
        let mut cells = vec![name, class];
        cells.extend(prices);
        sheet.fact(cells, &p.date, &p.source);
    }
    sheet
}

fn latencies(c: &Catalog) -> Sheet {
    let head = ["catalog =", "TTFT p50 s", "tokens/s", "p95/p50", "errors %"];
    let title = "API latencies, where published or assumed: medians, the spread of both, share of errors";
    let mut sheet = Sheet::new(title, &head, 1);
    for l in &c.api_latencies {
        let mut cells = vec![format!("{}/{}", l.provider, l.model)];
        cells.extend([l.ttft_p50_s, l.output_tokens_per_s, l.p95_over_p50].map(|f| f.to_string()));
        cells.push(format!("{:.2}", l.error_rate * 100.0));
        let note = l.note.as_ref().map_or_else(String::new, |n| format!("; {n}"));
        sheet.fact(cells, &l.date, &format!("{}{note}", l.source));
    }
    sheet
}

/// Times are those of the median call that was measured.
fn profiles(all: &[ApiProfile]) -> Sheet {
    let head = ["latency =", "calls", "in/out tokens", "TTFT p50", "p99 s", "E2E p50", "p99 s"];
    let title = "Measured API latency: times of the median call; the date is that of the calls";
    let mut sheet = Sheet::new(title, &head, 1);
    for p in all {
        let law = ProfileLaw::new(p, SimTime::ZERO);
        let d = &p.data;
        let call =
            Call { prompt: d.prompt_tokens, cached: d.cached_tokens, output: d.output_tokens, at: SimTime::ZERO };
        let mut cells = vec![p.name.clone(), d.calls.to_string(), format!("{}/{}", d.prompt_tokens, d.output_tokens)];
        cells.extend([law.ttft_quantile(&call, 0.5), law.ttft_quantile(&call, 0.99)].map(|s| format!("{s:.2}")));
        cells.extend([law.e2e_quantile(&call, 0.5), law.e2e_quantile(&call, 0.99)].map(|s| format!("{s:.2}")));
        sheet.fact(cells, &p.measured, &p.source);
    }
    sheet
}

fn limits(c: &Catalog) -> Sheet {
    let head = ["provider", "tier", "models", "requests", "in", "out", "both"];
    let mut sheet = Sheet::new("Published rate limits, as examples: requests and tokens a minute", &head, 3);
    for r in &c.rate_limits {
        let mut cells = vec![r.provider.clone(), r.tier.clone(), r.model_class.clone()];
        let figures = [r.rpm, r.input_tpm, r.output_tpm, r.combined_tpm];
        cells.extend(figures.map(|n| n.map_or_else(|| "-".into(), |n| n.to_string())));
        sheet.fact(cells, &r.date, &r.source);
    }
    sheet
}

fn rents(c: &Catalog) -> Sheet {
    let mut sheet = Sheet::new("Rents of GPUs: US$ a GPU and hour", &["gpu", "provider", "kind", "$/GPU-h"], 3);
    for r in &c.rents {
        let cells = vec![r.gpu.clone(), r.provider.clone(), r.kind.clone(), r.usd_per_gpu_hour.as_f64().to_string()];
        sheet.fact(cells, &r.date, &r.source);
    }
    sheet
}

fn people(c: &Catalog) -> Sheet {
    let mut sheet = Sheet::new("People, power and space", &["key", "unit", "low", "typical", "high"], 2);
    for o in &c.ops_costs {
        let mut cells = vec![o.key.clone(), o.unit.clone()];
        cells.extend([o.low, o.typical, o.high].map(|f| f.to_string()));
        let note = o.notes.as_ref().map_or_else(String::new, |n| format!("; {n}"));
        sheet.fact(cells, &o.date, &format!("{}{note}", o.source));
    }
    sheet
}

fn class_name(class: Capability) -> &'static str {
    match class {
        Capability::Small => "small",
        Capability::Mid => "mid",
        Capability::Frontier => "frontier",
    }
}

/// A price in US dollars a million tokens.
fn per_million(price: Option<TokenPrice>) -> String {
    price.map_or_else(|| "-".into(), |p| (p.0 as f64 / 1e6).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::sheet::WIDTH;
    use super::*;

    #[test]
    fn every_fact_fits_the_width_and_shows_its_date_and_source() {
        let c = Catalog::embedded();
        for what in [What::Gpus, What::Models, What::Apis, What::Latency, What::Rents, What::People] {
            for sheet in sheets(c, what) {
                for line in sheet.text().lines() {
                    assert!(line.chars().count() <= WIDTH, "{what:?}: {} columns: {line}", line.chars().count());
                }
            }
        }
        let (text, full) = (rents(c).text(), rents(c).markdown());
        for r in &c.rents {
            assert!(!r.source.is_empty() && !r.date.is_empty(), "{r:?}");
            assert!(full.lines().any(|l| l.contains(&r.date) && l.contains(&r.source)), "{r:?}");
        }
        let lambda = text.lines().find(|l| l.contains("Lambda")).unwrap();
        let number = lambda.split_whitespace().last().unwrap();
        let note = text.lines().find(|l| l.trim_start().starts_with(&format!("{number} "))).unwrap();
        assert!(c.rents.iter().any(|r| r.provider == "Lambda" && note.ends_with(&r.source)), "{note}");
    }
}
