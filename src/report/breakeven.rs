//! A break-even in words and numbers: tables, crossings, what the naive line left out; plain text of at most 80 columns.
//!
//! May import: experiment. Must keep true: no line is wider than [`WIDTH`] for names up to 16 characters; what is said in
//! words is said once, for terminal and page.
use super::breakeven_chart::chart;
use super::prose::{WIDTH, wrapped};
use super::sheet::Sheet;
use crate::experiment::breakeven::{BreakEven, GapRow, Kind, LinePoint, Point};
use baseload_core::types::numbers::{
    percent_down, thousands, three_digits, usd_cents, usd_narrow, usd_wide, volume, volume_about,
};

/// A part of the gap, as tables have it: two lines of a head, and the value.
pub(super) type Part = (&'static str, &'static str, fn(&GapRow) -> f64);

/// Parts of the gap, in the order of tables.
pub(super) const PARTS: [Part; 9] = [
    ("naive", "", |g| g.naive),
    ("KV", "packing", |g| g.packing),
    ("prompts", "", |g| g.prompts),
    ("idle", "", |g| g.idle),
    ("head-", "room", |g| g.headroom),
    ("bought", "", |g| g.bought),
    ("people", "", |g| g.people),
    ("on-call", "", |g| g.on_call),
    ("own", "line", |g| g.total),
];

/// What the parts mean, a line each.
pub(super) const PART_WORDS: [(&str, &str); 7] = [
    ("naive", "rent an hour / output tokens an hour of full batches, for every output token"),
    ("KV packing", "batches hold what the KV cache holds, not max_num_seqs"),
    ("prompts", "prompts are computed too (without what prefix caches had)"),
    ("idle", "GPU hours that the busiest five minutes need and mean load does not"),
    ("headroom", "the rest of the GPUs: latency, shorter bursts, whole replicas"),
    ("bought", "what own GPUs may not serve, as billed, less its naive price"),
    ("people, on-call", "the experiment's [economics]"),
];

/// Goodput in per cent; a dagger where it misses the target.
pub(super) fn good(p: &LinePoint) -> String {
    format!("{}{}", percent_down(p.goodput_share), if p.meets_slo { "" } else { "†" })
}

/// Renders a break-even for a terminal (no colours, so that stdout compares byte for byte).
pub fn breakeven_terminal(b: &BreakEven) -> String {
    let mut out = wrapped(&head(b), WIDTH, 0);
    out.push('\n');
    push_lines(&mut out, b);
    out.push('\n');
    out.push_str(&chart(b));
    out.push('\n');
    for line in sentences(b) {
        out.push_str(&wrapped(&line, WIDTH, 2));
    }
    if b.points.iter().any(|p| p.gap.is_some()) {
        out.push('\n');
        push_gap(&mut out, b);
    }
    for warning in &b.warnings {
        out.push('\n');
        out.push_str(wrapped(&format!("warning: {warning}"), WIDTH, 2).trim_end());
    }
    out
}

/// What was compared.
pub(super) fn head(b: &BreakEven) -> String {
    let lines: Vec<String> = b.lines.iter().map(|l| format!("{} `{}`", l.kind.title(), l.policy)).collect();
    format!(
        "{} requests at x1, {} a second: {}; each own fleet with the fewest replicas that meet the SLO for {} % of \
         requests",
        thousands(b.requests),
        three_digits(b.requests_per_s),
        lines.join(", "),
        percent_down(b.target)
    )
}

/// A ruled table of figures: whole dollars, thousands of them where those are too wide.
fn fitting(title: &str, head: &[String], rows: impl Fn(fn(f64) -> String) -> Vec<Vec<String>>) -> Sheet {
    let sheet = |usd: fn(f64) -> String| {
        let mut sheet = Sheet::new(title, head, 0).ruled();
        rows(usd).into_iter().for_each(|row| sheet.row(row));
        sheet
    };
    let whole = sheet(usd_wide);
    if whole.fits() { whole } else { sheet(usd_narrow) }
}

fn push_lines(out: &mut String, b: &BreakEven) {
    let mut heads = vec!["volume".to_owned(), "req\n/s".to_owned()];
    for l in &b.lines {
        let name = match l.kind {
            Kind::Api => "all-API",
            Kind::Own => "own",
            Kind::Hybrid => "hybrid",
        };
        if l.kind == Kind::Api {
            heads.push(format!("{name}\n$/mo"));
        } else {
            heads.extend([format!("{name}\nn"), "\n$/mo".to_owned()]);
        }
        heads.push("good\n%".into());
    }
    heads.extend(b.naive.own_usd_per_month.map(|_| "naive\n$/mo".to_owned()));
    let row = |p: &Point, usd: fn(f64) -> String| {
        let mut row = vec![volume(p.volume), three_digits(p.requests_per_s)];
        for (l, line) in b.lines.iter().zip(&p.lines) {
            if l.kind != Kind::Api {
                row.push(line.replicas().to_string());
            }
            row.extend([usd(line.usd_per_month), good(line)]);
        }
        row.extend(p.naive_own_usd_per_month.map(usd));
        row
    };
    let sheet = fitting("", &heads, |usd| b.points.iter().map(|p| row(p, usd)).collect());
    out.push_str(&sheet.text());
    out.push_str("n: replicas; good: requests that met the SLO\n");
    if b.points.iter().any(|p| p.lines.iter().any(|l| !l.meets_slo)) {
        out.push_str(&format!("† misses the SLO: good under {} %, or a queue that grows\n", percent_down(b.target)));
    }
}

fn push_gap(out: &mut String, b: &BreakEven) {
    let head = PARTS.iter().map(|(first, second, _)| format!("{first}\n{second}"));
    let head: Vec<String> = std::iter::once("volume".to_owned()).chain(head).collect();
    let row = |p: &Point, usd: fn(f64) -> String| {
        let gap = p.gap.as_ref()?;
        let parts = PARTS.iter().map(|(_, _, get)| usd(get(gap)));
        Some(std::iter::once(volume(p.volume)).chain(parts).collect::<Vec<String>>())
    };
    let title = "What the naive line leaves out, $ a month; all parts add up to the own line";
    out.push_str(&fitting(title, &head, |usd| b.points.iter().filter_map(|p| row(p, usd)).collect()).text());
    for (part, words) in PART_WORDS {
        out.push_str(&wrapped(&format!("{part}: {words}"), WIDTH, 2));
    }
}

fn name(b: &BreakEven, kind: Kind) -> String {
    b.lines.iter().find(|l| l.kind == kind).map_or_else(|| kind.title().to_owned(), |l| format!("`{}`", l.policy))
}

/// The result in words: crossings of each pair, lines that miss the SLO, and what a price a token says.
pub(super) fn sentences(b: &BreakEven) -> Vec<String> {
    let mut out = Vec::new();
    for (i, first) in b.lines.iter().enumerate() {
        for (j, second) in b.lines.iter().enumerate().skip(i + 1) {
            out.push(pair(b, [(i, first.kind), (j, second.kind)]));
        }
    }
    for (i, line) in b.lines.iter().enumerate() {
        out.extend(misses(b, i, line.kind));
    }
    out.extend(naive(b));
    out
}

fn pair(b: &BreakEven, [(i, first), (j, second)]: [(usize, Kind); 2]) -> String {
    let of_pair = |k: Kind| k == first || k == second;
    let found: Vec<_> = b.crossings.iter().filter(|c| of_pair(c.below) && of_pair(c.above)).collect();
    let (a, z) = (name(b, first), name(b, second));
    let [low, high] = [b.points.first(), b.points.last()];
    if found.is_empty() {
        let (Some(low), Some(high)) = (low, high) else { return String::new() };
        let usd = |p: &Point, at: usize| p.lines[at].usd_per_month;
        let less = |x: usize, y: usize| b.points.iter().filter(|p| p.lines[x].costs_less_than(&p.lines[y])).count();
        let (cheap, dear, at, other) = if less(i, j) >= less(j, i) { (&a, &z, i, j) } else { (&z, &a, j, i) };
        let all = b.points.len();
        let where_less = match less(at, other) {
            0 => format!("they cost the same at each of the {all} volumes"),
            n if n == all => format!("{cheap} costs less at each of the {all} volumes"),
            n => format!("{cheap} costs less at {n} of the {all} volumes and the same at the others"),
        };
        return format!(
            "{a} and {z} do not cross between {} and {}: {where_less} (at {} US$ {} a month against {} of {dear}).",
            volume(low.volume),
            volume(high.volume),
            volume(high.volume),
            usd_wide(usd(high, at)),
            usd_wide(usd(high, other))
        );
    }
    let all: Vec<String> = found
        .iter()
        .map(|c| {
            format!(
                "{} becomes the cheaper one at {} ({} requests a second; US$ {} a month against {}{})",
                name(b, c.above),
                volume_about(c.volume),
                three_digits(c.requests_per_s),
                usd_wide(c.usd_per_month[1]),
                usd_wide(c.usd_per_month[0]),
                if c.both_meet_slo { "" } else { "; not both meet the SLO" }
            )
        })
        .collect();
    let stairs = if found.len() > 1 {
        format!(" An own fleet's cost is a staircase, so there are {} crossings.", found.len())
    } else {
        String::new()
    };
    format!("{a} and {z}: {}.{stairs}", all.join("; "))
}

fn misses(b: &BreakEven, at: usize, kind: Kind) -> Option<String> {
    let missing: Vec<&Point> = b.points.iter().filter(|p| !p.lines[at].meets_slo).collect();
    let (first, last) = (missing.first()?, missing.last()?);
    let shares = || missing.iter().map(|p| p.lines[at].goodput_share);
    let (least, most) = (shares().fold(1.0, f64::min), shares().fold(0.0, f64::max));
    let goodput = if percent_down(least) == percent_down(most) {
        format!("{} %", percent_down(least))
    } else {
        format!("{} to {} %", percent_down(least), percent_down(most))
    };
    let places = if missing.len() == b.points.len() {
        "at every volume".to_owned()
    } else if missing.len() == 1 {
        format!("at {}", volume(first.volume))
    } else {
        format!(
            "at {} of {} volumes from {} to {}",
            missing.len(),
            b.points.len(),
            volume(first.volume),
            volume(last.volume)
        )
    };
    let why = if kind == Kind::Own { ", whatever its size" } else { "" };
    Some(format!(
        "{} misses the SLO {places}{why} ({goodput} good): its cost is not that of the same service.",
        name(b, kind)
    ))
}

fn naive(b: &BreakEven) -> Option<String> {
    let n = &b.naive;
    let (usd, full, held) =
        (n.own_usd_per_million_output_tokens?, n.full_batch_tokens_per_s?, n.kv_limited_tokens_per_s?);
    let mut text = format!(
        "Naive: the own fleet of the file gives {} output tokens a second in full batches ({} in those that its KV cache \
         holds), so that a million output tokens cost US$ {}",
        thousands(full.round() as u64),
        thousands(held.round() as u64),
        usd_cents(usd)
    );
    match (&n.endpoint, n.api_usd_per_month, n.own_usd_per_month) {
        (Some(endpoint), Some(api), Some(own)) => {
            let cheaper = if own < api { "less" } else { "more" };
            text.push_str(&format!(
                "; US$ {} a month at x1, {cheaper} than the {} of the list prices of `{endpoint}`, at any volume. Both are \
                 straight lines: a price a token has no break-even.",
                usd_wide(own),
                usd_wide(api)
            ));
        }
        _ => text.push('.'),
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_too_wide_by_its_heads_has_thousands_from_a_million_on() {
        let row = |usd: fn(f64) -> String| vec![vec!["x1".into(), usd(999_999.0), usd(1_234_567.0), usd(12_345_678.0)]];
        let heads = |first: usize| ["h".repeat(first), "a".into(), "b".into(), "c".into()];
        let shown = |first: usize| fitting("", &heads(first), row).text();
        assert!(shown(54).ends_with("x1 999,999 1,234,567 12,346k\n"), "54, 8, 10 and 8 columns: {}", shown(54));
        assert!(shown(55).ends_with("x1 999,999 1,235k 12,346k\n"), "{}", shown(55));
    }
}
