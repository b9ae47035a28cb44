//! `baseload catalog`: the facts, with source and date.
use super::facts::CatalogArgs;
use super::{Exit, Format, catalog_model, printer};
use crate::report::Sheet;
use baseload_core::api::{Call, ProfileLaw};
use baseload_core::catalog::{ApiProfile, Catalog, Tier};
use baseload_core::types::numbers::{decimals, short_count};
use baseload_core::types::{Capability, SimTime, TokenPrice};
use std::path::PathBuf;

/// Print the facts this program carries, with source and date, or make a row of your own
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  baseload catalog gpus\n  baseload catalog apis --format json\n  baseload catalog model \
config.json --name my-70b > ours.toml\n\ndocs/catalogue.md says how to add your own model, GPU or API."
)]
pub struct Args {
    #[command(subcommand)]
    what: Command,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table", global = true)]
    format: Format,
    /// Facts of your own, laid over the catalog's; repeatable
    #[arg(long, value_name = "FILE", global = true)]
    catalog: Vec<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Table(What),
    Model(catalog_model::Args),
}

/// The tables of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Subcommand)]
enum What {
    /// Data sheets
    #[command(after_help = "Example:\n  baseload catalog gpus")]
    Gpus,
    /// Architectures
    #[command(after_help = "Example:\n  baseload catalog models --catalog ours.toml")]
    Models,
    /// Prices, tiers, prompt caches, latencies, limits, incidents, provisioned units
    #[command(after_help = "Example:\n  baseload catalog apis --format json")]
    Apis,
    /// API latency: profiles of measured calls, and medians that are published or assumed
    #[command(after_help = "Example:\n  baseload catalog latency")]
    Latency,
    /// Rents of GPUs
    #[command(after_help = "Example:\n  baseload catalog rents --format markdown")]
    Rents,
    /// People, power, space
    #[command(after_help = "Example:\n  baseload catalog people")]
    People,
}

/// Columns of an API's name, beyond which it is broken.
const NAME: usize = 29;

pub fn run(args: &Args) -> Result<(), Exit> {
    let what = match &args.what {
        Command::Table(what) => *what,
        Command::Model(model) => {
            return catalog_model::run(model, &CatalogArgs { files: args.catalog.clone() }.read()?.catalog);
        }
    };
    let c = &CatalogArgs { files: args.catalog.clone() }.read()?.catalog;
    if args.format == Format::Json {
        match what {
            What::Gpus => printer::json(&c.gpus)?,
            What::Models => printer::json(&c.models)?,
            What::Apis => printer::json(&serde_json::json!({
                "prices": c.api_prices, "latencies": c.api_latencies, "prompt_caches": c.prompt_caches,
                "capabilities": c.api_capabilities, "rate_limits": c.rate_limits,
                "limit_rules": c.limit_rules, "incidents": c.incidents, "provisioned": c.provisioned,
            }))?,
            What::Latency => printer::json(&serde_json::json!({
                "profiles": ApiProfile::embedded(), "latencies": c.api_latencies,
            }))?,
            What::Rents => printer::json(&c.rents)?,
            What::People => printer::json(&c.ops_costs)?,
        }
        return Ok(());
    }
    let show = if args.format == Format::Markdown { Sheet::markdown } else { Sheet::text };
    let texts: Vec<String> = sheets(c, what).iter().map(show).collect();
    printer::out(&texts.join("\n"));
    Ok(())
}

fn sheets(c: &Catalog, what: What) -> Vec<Sheet> {
    match what {
        What::Gpus => vec![gpus(c)],
        What::Models => vec![models(c)],
        What::Apis => vec![prices(c), tiers(c), caches(c), latencies(c), limits(c), incidents(c), provisioned(c)],
        What::Latency => vec![profiles(ApiProfile::embedded()), latencies(c)],
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
        cells.extend([m.params_total, m.params_active].map(|n| decimals(n as f64 / 1e9, 2)));
        let figures: [u64; 3] = [m.layers.into(), m.kv_bytes_per_token_bf16_all_layers, m.max_context.into()];
        cells.extend(figures.map(|n| n.to_string()));
        sheet.fact(cells, &m.date, &m.source);
    }
    sheet
}

fn prices(c: &Catalog) -> Sheet {
    let head = ["catalog =", "class", "in", "out", "cached", "write"];
    let title = "API list prices from the date on, US$ a million tokens; class: our judgement";
    let mut sheet = Sheet::new(title, &head, 2).narrow(NAME);
    for p in &c.api_prices {
        let class = c.api_capability(&p.name()).map_or("-", class_name).to_string();
        let prices = [Some(p.input), Some(p.output), p.cached_input, p.cache_write_5m].map(per_million);
        let mut cells = vec![p.name(), class];
        cells.extend(prices);
        sheet.fact(cells, p.valid_from.as_ref().unwrap_or(&p.date), &p.source);
    }
    sheet
}

/// Prices in and out of other tiers, and of long requests, of those that have any.
fn tiers(c: &Catalog) -> Sheet {
    let both = |pair: Option<(TokenPrice, TokenPrice)>| {
        pair.map_or_else(|| "-".into(), |(i, o)| format!("{}/{}", per_million(Some(i)), per_million(Some(o))))
    };
    let title = "Tiers: US$ a million tokens in/out, and of requests longer than so many tokens";
    let head = ["catalog =", "batch", "flex", "priority", "long", "above"];
    let mut sheet = Sheet::new(title, &head, 1).narrow(NAME);
    for p in &c.api_prices {
        let mut cells: Vec<String> =
            [Tier::Batch, Tier::Flex, Tier::Priority].map(|t| both(p.in_tier(t))).into_iter().collect();
        cells.push(both(p.long_input.zip(p.long_output)));
        cells.push(p.long_context_threshold_tokens.map_or_else(|| "-".into(), short_count));
        if cells.iter().any(|c| c != "-") {
            cells.insert(0, p.name());
            sheet.row(cells);
        }
    }
    sheet
}

fn caches(c: &Catalog) -> Sheet {
    let head = ["provider", "model", "used", "least", "step", "idle", "write"];
    let title = "Prompt caches: least tokens, steps of a hit, idle time, price of writing";
    let mut sheet = Sheet::new(title, &head, 3).narrow(NAME);
    for r in &c.prompt_caches {
        let names = if r.models.is_empty() { vec!["(others)".to_string()] } else { r.models.clone() };
        for model in names {
            let step = r.step_tokens.map_or_else(|| "block".into(), |n| n.to_string());
            let used = if r.unasked { "unasked" } else { "asked" };
            let minutes = |s: u64| format!("{}m", s / 60);
            let idle = [Some(r.ttl_s), r.long_ttl_s].into_iter().flatten().map(minutes).collect::<Vec<_>>().join(", ");
            let write = if r.priced_writes { "priced" } else { "free" };
            let mut cells = vec![r.provider.clone(), model, used.into(), r.min_tokens.to_string()];
            cells.extend([step, idle, write.into()]);
            let assumed = r.assumed.join(", ");
            let note = if assumed.is_empty() { String::new() } else { format!("; assumed: {assumed}") };
            sheet.fact(cells, &r.date, &format!("{}{note}", r.source));
        }
    }
    sheet
}

fn latencies(c: &Catalog) -> Sheet {
    let head = ["catalog =", "TTFT p50 s", "tokens/s", "p95/p50", "errors %"];
    let title = "API latencies, published or assumed: medians, spread of both, share of errors";
    let mut sheet = Sheet::new(title, &head, 1).narrow(NAME);
    for l in &c.api_latencies {
        let mut cells = vec![format!("{}/{}", l.provider, l.model)];
        cells.extend([l.ttft_p50_s, l.output_tokens_per_s, l.p95_over_p50].map(|f| f.to_string()));
        cells.push(decimals(l.error_rate * 100.0, 2));
        let note = l.note.as_ref().map_or_else(String::new, |n| format!("; {n}"));
        sheet.fact(cells, &l.date, &format!("{}{}{note}", assumed(l.unverified), l.source));
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
        cells.extend([law.ttft_quantile(&call, 0.5), law.ttft_quantile(&call, 0.99)].map(|s| decimals(s, 2)));
        cells.extend([law.e2e_quantile(&call, 0.5), law.e2e_quantile(&call, 0.99)].map(|s| decimals(s, 2)));
        sheet.fact(cells, &p.measured, &p.source);
    }
    sheet
}

fn limits(c: &Catalog) -> Sheet {
    let head = ["provider", "tier", "models", "calls", "in", "out", "both"];
    let title = "Published rate limits, as examples: calls and tokens a minute";
    let mut sheet = Sheet::new(title, &head, 3).narrow(16);
    for r in &c.rate_limits {
        let mut cells = vec![r.provider.clone(), r.tier.clone(), r.model_class.clone()];
        let figures = [r.rpm, r.input_tpm, r.output_tpm, r.combined_tpm];
        cells.extend(figures.map(|n| n.map_or_else(|| "-".into(), short_count)));
        sheet.fact(cells, &r.date, &r.source);
    }
    sheet
}

fn incidents(c: &Catalog) -> Sheet {
    let head = ["service", "any %", "weighted %", "gap h", "median", "lasts min", "p90"];
    let title = "Incidents of hosted services: availability, hours between, minutes (median)";
    let mut sheet = Sheet::new(title, &head, 1);
    for r in &c.incidents {
        let figures = [
            r.availability_any,
            r.availability_weighted,
            r.gap_mean_h,
            r.gap_median_h,
            r.duration_median_min,
            r.duration_p90_min,
        ];
        let mut cells = vec![r.service.clone()];
        cells.extend(figures.map(|f| f.to_string()));
        sheet.fact(cells, &r.date, &r.source);
    }
    sheet
}

fn provisioned(c: &Catalog) -> Sheet {
    let head = ["model", "input/min", "output weight", "at least", "step"];
    let mut sheet = Sheet::new("Provisioned units: input tokens a minute of one, smallest number", &head, 1);
    for r in &c.provisioned {
        let mut cells = vec![r.model.clone(), r.input_tpm_per_unit.to_string(), r.output_weight.to_string()];
        cells.extend([r.min_units, r.unit_step].map(|n| n.to_string()));
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
        sheet.fact(cells, &o.date, &format!("{}{}{note}", assumed(o.unverified), o.source));
    }
    sheet
}

/// What stands before the source of a row that nobody could check.
fn assumed(unverified: bool) -> &'static str {
    if unverified { "assumption: " } else { "" }
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
    use super::*;
    use crate::report::{WIDE, WIDTH};

    #[test]
    fn every_fact_fits_the_width_and_shows_its_date_and_source() {
        let c = Catalog::embedded();
        for what in [What::Gpus, What::Models, What::Apis, What::Latency, What::Rents, What::People] {
            for sheet in sheets(c, what) {
                for line in sheet.text().lines() {
                    let most = if what == What::Apis { WIDTH } else { WIDE };
                    assert!(line.chars().count() <= most, "{what:?}: {} columns: {line}", line.chars().count());
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
