//! `trace info` as text of at most 80 columns, and as Markdown.
use crate::report::{self, Sheet, sparkline};
use baseload_core::types::ModelUse;
use baseload_core::types::numbers::{column, decimals, mean_count, percent, span, thousands, three_digits};
use baseload_trace::{ArrivalStats, PrefixCurve, Quantiles, TenantShare, TimeQuantiles, TraceStats};

/// Columns of a sparkline at most.
const COLUMNS: usize = 72;
/// Rows of the prefix table at most, the one without limit not counted.
const SIZES: usize = 10;

/// A part of the output: words and a drawing above a sheet, each where there is one.
#[derive(Default)]
struct Section {
    words: String,
    drawing: String,
    sheet: Option<Sheet>,
}

impl From<Sheet> for Section {
    fn from(sheet: Sheet) -> Section {
        Section { sheet: Some(sheet), ..Section::default() }
    }
}

/// The parts in their order.
fn sections(kind: &str, s: &TraceStats) -> Vec<Section> {
    let mut all = vec![facts(kind, s).into()];
    all.extend(s.arrivals.as_ref().map(rate));
    all.push(counts(s).into());
    all.extend(times(s).map(Section::from));
    all.extend(tenants(s).map(Section::from));
    all.extend(models(s).map(Section::from));
    all.extend(s.prefix.as_ref().map(prefix));
    all
}

/// For people.
pub fn table(kind: &str, s: &TraceStats) -> String {
    let part = |x: Section| {
        let words = if x.words.is_empty() { String::new() } else { report::wrapped(&x.words, report::WIDTH, 2) };
        let drawing = if x.drawing.is_empty() { String::new() } else { format!("{}\n", x.drawing.trim_end()) };
        format!("{words}{drawing}{}", x.sheet.map_or_else(String::new, |s| s.text()))
    };
    let mut out = sections(kind, s).into_iter().map(part).collect::<Vec<_>>().join("\n");
    if !s.notes.is_empty() {
        out.push('\n');
        s.notes.iter().for_each(|n| out.push_str(&report::wrapped(&format!("note: {n}"), report::WIDTH, 2)));
    }
    out
}

/// For pull requests.
pub fn markdown(kind: &str, s: &TraceStats) -> String {
    let part = |x: Section| {
        let words =
            if x.words.is_empty() { String::new() } else { format!("{}\n\n", report::markdown_prose(&x.words)) };
        let drawing = if x.drawing.is_empty() { String::new() } else { format!("`{}`\n\n", x.drawing) };
        format!("{words}{drawing}{}", x.sheet.map_or_else(String::new, |s| s.markdown()))
    };
    let parts: Vec<String> = sections(kind, s).into_iter().map(part).collect();
    let mut out = parts.iter().map(|p| p.trim_end()).collect::<Vec<_>>().join("\n\n");
    out.push('\n');
    s.notes.iter().for_each(|n| out.push_str(&format!("\n- {}", report::markdown_prose(n))));
    out
}

fn facts(kind: &str, s: &TraceStats) -> Sheet {
    let mut sheet = Sheet::new("", &["trace", "value"], 2);
    let mut fact = |name: &str, value: String| sheet.row(vec![name.into(), value]);
    fact("format", kind.into());
    fact("requests", thousands(s.count));
    match &s.arrivals {
        Some(a) => {
            fact("span", span(a.span_s));
            fact("rate", format!("{} requests/s", three_digits(a.rate_per_s)));
            fact("inter-arrival CV", decimals(a.gap_cv, 2));
            let indices =
                a.dispersion.iter().filter_map(|d| d.index.map(|i| format!("{} at {} s", decimals(i, 2), d.window_s)));
            let indices: Vec<String> = indices.collect();
            let too_short = || "unknown (under 10 windows of a second)".to_string();
            fact("index of dispersion", if indices.is_empty() { too_short() } else { indices.join(", ") });
        }
        None => fact("arrivals", "unknown (no common clock)".into()),
    }
    fact(
        "tenants",
        s.tenants.as_ref().map_or_else(
            || "unknown (none named)".into(),
            |t| format!("{}{}", thousands(t.count), if t.not_told_apart > 0 { " or more" } else { "" }),
        ),
    );
    fact(
        "sessions",
        s.sessions.as_ref().map_or_else(
            || "unknown (none named)".into(),
            |x| {
                let about = if x.sampled_one_in > 1 { "about " } else { "" };
                format!("{about}{}, with {} of requests", thousands(x.count), percent(x.share))
            },
        ),
    );
    for (name, n) in [
        ("rows left out", s.account.rows_left_out()),
        ("outputs of 0 tokens", s.zero_outputs),
        ("failed", s.failed),
        ("cancelled", s.cancelled),
        ("from a cache", s.from_cache),
        ("images", s.images),
    ] {
        if n > 0 {
            fact(name, thousands(n));
        }
    }
    if let Some(share) = s.measured_cached {
        fact("measured cached", format!("{} of prompt tokens", percent(share)));
    }
    fact(
        "prefix hits",
        match &s.prefix {
            None => "unknown (no identities)".into(),
            Some(curve) => format!("{} of prompt tokens in a cache without limit", percent(curve.unlimited)),
        },
    );
    sheet
}

/// The rate over time, drawn.
fn rate(a: &ArrivalStats) -> Section {
    let series = a.rate.coarser(COLUMNS);
    if series.per_s.len() < 2 {
        return Section { words: "Requests/s over time: too few requests to draw".into(), ..Section::default() };
    }
    let high = series.per_s.iter().copied().fold(0.0, f64::max);
    let low = series.per_s.iter().copied().fold(high, f64::min);
    let words = format!(
        "Requests/s over time, {} to {}; a column is {}",
        three_digits(low),
        three_digits(high),
        span(series.bin_s)
    );
    Section { words, drawing: sparkline(&series.per_s, high), sheet: None }
}

fn counts(s: &TraceStats) -> Sheet {
    let mut sheet = Sheet::new("", &["counts", "mean", "p50", "p90", "p99", "max"], 1);
    let mut row = |what: &str, q: &Quantiles| {
        let mut cells = vec![what.to_string(), mean_count(q.mean)];
        cells.extend([q.p50, q.p90, q.p99, q.max].map(|n| thousands(n.into())));
        sheet.row(cells);
    };
    row("prompt tokens", &s.prompt_tokens);
    row("output tokens", &s.output_tokens);
    s.sessions.iter().for_each(|x| row("requests a session", &x.depth));
    sheet
}

fn times(s: &TraceStats) -> Option<Sheet> {
    let think = s.sessions.as_ref().and_then(|x| x.think);
    let all = [("think time", think), ("measured TTFT", s.ttft), ("measured end to end", s.e2e)];
    let known: Vec<(&str, TimeQuantiles)> = all.into_iter().filter_map(|(name, t)| t.map(|t| (name, t))).collect();
    let mut sheet = Sheet::new("", &["times, s", "requests", "mean", "p50", "p90", "p99", "max"], 1);
    for (name, t) in &known {
        let mut cells = vec![name.to_string(), thousands(t.count)];
        cells.extend([t.mean_s, t.p50_s, t.p90_s, t.p99_s, t.max_s].map(column));
        sheet.row(cells);
    }
    (!known.is_empty()).then_some(sheet)
}

fn tenants(s: &TraceStats) -> Option<Sheet> {
    let stats = s.tenants.as_ref()?;
    let mut sheet = Sheet::new("", &["tenant", "requests", "of requests", "of tokens"], 1);
    let mut row = |name: String, t: &TenantShare| {
        sheet.row(vec![name, thousands(t.requests), percent(t.share), percent(t.token_share)]);
    };
    // The source's own names, where it has any.
    let named = |tenant: u32| match (tenant as usize).checked_sub(1).and_then(|i| s.account.tenants.get(i)) {
        Some(name) => format!("{tenant} {}", cut(name)),
        None => tenant.to_string(),
    };
    stats.top.iter().for_each(|t| row(named(t.tenant), t));
    if stats.rest.requests > 0 {
        row("all others".into(), &stats.rest);
    }
    Some(sheet)
}

/// Characters of a name from a source.
const NAME: usize = 32;
/// Rows of the table of models at most.
const MODELS: usize = 10;

/// A name from a source, at most as long as a column is wide; control characters are written out.
fn cut(name: &str) -> String {
    let shown: String = name
        .chars()
        .take(NAME)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if name.chars().nth(NAME).is_some() { format!("{shown}…") } else { shown }
}

/// What the source used each model for, and what it says that this cost.
fn models(s: &TraceStats) -> Option<Sheet> {
    let models = &s.account.models;
    let billed = s.account.cost_usd().is_some();
    let mut columns = vec!["model in the source", "requests", "prompt tokens", "output tokens"];
    columns.extend(billed.then_some("US$"));
    let mut sheet = Sheet::new("", &columns, 1);
    let mut row = |name: String, of: &[&ModelUse]| {
        let sum = |field: fn(&ModelUse) -> u64| thousands(of.iter().map(|m| field(m)).sum());
        let mut cells = vec![name, sum(|m| m.requests), sum(|m| m.prompt_tokens), sum(|m| m.output_tokens)];
        if billed {
            let cost = of.iter().filter_map(|m| m.cost_usd).reduce(|a, b| a + b);
            cells.push(cost.map_or_else(|| "not said".into(), |usd| decimals(usd, 4)));
        }
        sheet.row(cells);
    };
    models.iter().take(MODELS).for_each(|m| row(cut(&m.model), &[m]));
    if models.len() > MODELS {
        row("all others".into(), &models[MODELS..].iter().collect::<Vec<_>>());
    }
    if models.len() > 1 {
        row("all".into(), &models.iter().collect::<Vec<_>>());
    }
    (!models.is_empty()).then_some(sheet)
}

/// Prefix hits by cache size: drawn at every size, and in numbers at some.
fn prefix(curve: &PrefixCurve) -> Section {
    let estimate = match curve.sampled_one_in {
        1 => String::new(),
        n => format!(", an estimate from one block in {n}"),
    };
    let drawn = curve
        .points
        .last()
        .map_or_else(String::new, |last| format!("; drawn from 1 block to {}, doubling", thousands(last.blocks)));
    let words = format!(
        "Prefix hits by cache size: LRU, blocks of {} tokens, {} distinct{estimate}{drawn}",
        curve.block_tokens,
        thousands(curve.distinct_blocks)
    );
    let shares: Vec<f64> = curve.points.iter().map(|p| p.hit_share).collect();
    let drawing = sparkline(&shares, curve.unlimited);
    let mut sheet = Sheet::new("", &["cache, blocks", "tokens", "prompt tokens that it has"], 0);
    // From the first size that has a thousandth on, every one or every second or ..., counted from the last.
    let worth = curve.points.iter().filter(|p| p.hit_share >= 0.001).count();
    let every = worth.div_ceil(SIZES).max(1);
    let from = curve.points.len() - worth;
    let shown =
        curve.points.iter().enumerate().skip(from).filter(|(i, _)| (curve.points.len() - 1 - i).is_multiple_of(every));
    shown.for_each(|(_, p)| sheet.row(vec![thousands(p.blocks), thousands(p.tokens), percent(p.hit_share)]));
    sheet.row(vec!["no limit".into(), String::new(), percent(curve.unlimited)]);
    Section { words, drawing, sheet: Some(sheet) }
}
