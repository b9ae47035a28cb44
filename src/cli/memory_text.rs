//! What `baseload memory` shows people: the stack as bars of at most 80 columns, and what follows from it in words.
use super::memory_account::{Account, parts};
use crate::report::{Sheet, WIDTH, markdown_prose, wrapped};
use baseload_core::memory::assumptions;
use baseload_core::types::numbers::{self, decimals, in_gib, thousands};

/// Columns of the bars.
const BAR: u64 = 43;
/// A cell, filled by one to eight eighths.
const EIGHTHS: [&str; 8] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/// For a terminal.
pub(super) fn terminal(a: &Account<'_>) -> String {
    let total = a.plan.per_gpu_total_bytes;
    let mut out = wrapped(&title(a), WIDTH, 2);
    let mut stack = Sheet::new("", &[""; 4], 1).left(3);
    let gib = |bytes| format!("{} GiB", in_gib(bytes));
    let mut below = 0;
    for (_, name, bytes) in parts(a.plan) {
        let share = numbers::percent(share(bytes, total));
        stack.row(vec![name.into(), gib(bytes), share, bar(below, bytes, total)]);
        below += bytes;
    }
    stack.row(vec!["one GPU".into(), gib(total), String::new(), String::new()]);
    out.push_str(&format!("{}\n", stack.text()));
    for line in findings(a) {
        out.push_str(&wrapped(&line, WIDTH, 2));
    }
    for line in a.notes {
        out.push_str(&wrapped(&format!("In `baseload run`: {line}."), WIDTH, 2));
    }
    out.push('\n');
    for line in assumptions(a.model, a.gpu, a.options) {
        out.push_str(&wrapped(&format!("Assumed: {line}."), WIDTH, 2));
    }
    out
}

/// For a pull request.
pub(super) fn markdown(a: &Account<'_>) -> String {
    let total = a.plan.per_gpu_total_bytes;
    let mut stack = Sheet::new("", &["one GPU", "GiB", "share"], 1);
    for (_, name, bytes) in parts(a.plan).into_iter().chain([("", "total", total)]) {
        stack.row(vec![name.into(), in_gib(bytes), numbers::percent(share(bytes, total))]);
    }
    let mut out = format!("**{}**\n\n{}\n", title(a), stack.markdown());
    for line in findings(a) {
        out.push_str(&format!("- {line}\n"));
    }
    for line in a.notes {
        out.push_str(&format!("- In `baseload run`: {}.\n", markdown_prose(line)));
    }
    for line in assumptions(a.model, a.gpu, a.options) {
        out.push_str(&format!("- Assumed: {line}.\n"));
    }
    out
}

fn title(a: &Account<'_>) -> String {
    let o = a.options;
    let (weights, kv) = (o.weights_dtype.name().to_uppercase(), o.kv_dtype.name().to_uppercase());
    format!("{} on {} x {}, {weights} weights, {kv} KV cache", a.model.id, o.tensor_parallel, a.gpu.id)
}

fn share(bytes: u64, total: u64) -> f64 {
    bytes as f64 / total as f64
}

/// A part of the stack: as long as its share to an eighth of a column, and never nothing; it begins in the column where
/// the part below it ends.
fn bar(below: u64, bytes: u64, total: u64) -> String {
    let scaled = |n: u64, columns: u64| u128::from(n) * u128::from(columns) / u128::from(total);
    let from = scaled(below, BAR) as usize;
    let eighths = (scaled(bytes, 16 * BAR) as usize).div_ceil(2).max(1);
    let rest = eighths.checked_rem(8).filter(|r| *r > 0).map_or("", |r| EIGHTHS[r - 1]);
    format!("{}{}{rest}", " ".repeat(from), EIGHTHS[7].repeat(eighths / 8))
}

/// What follows, a sentence a line.
fn findings(a: &Account<'_>) -> Vec<String> {
    let (p, context) = (a.plan, a.context);
    let n = thousands;
    let mut out = Vec::new();
    let groups = match p.groups {
        1 => String::new(),
        groups => format!(" in {groups} groups of layers"),
    };
    out.push(format!(
        "KV cache: {} bytes a token on each GPU{groups}; {} blocks of {} tokens, one of them the null block: {} tokens{}.",
        n(p.kv_bytes_per_token),
        n(p.num_blocks),
        p.block_size,
        n(p.kv_tokens),
        if p.groups == 1 { String::new() } else { format!(" in sequences of {}", n(p.max_model_len.into())) }
    ));
    let held = p.sequences_of(context);
    let preemption = match p.preempts_at(context) {
        Some(first) => format!("with {} the engine preempts", n(first)),
        None => format!("the engine runs at most {} (max_num_seqs), so none is preempted", p.max_num_seqs),
    };
    out.push(format!("At {} tokens a sequence: {} fit at once; {preemption}.", n(context.into()), n(held)));
    if let Some(wanted) = a.concurrency {
        let needed = p.blocks_of(wanted, context);
        let share = numbers::percent_whole(needed as f64 / p.usable_blocks().max(1) as f64);
        let verdict = match wanted.saturating_sub(held) {
            0 => "they fit".to_owned(),
            over => format!("{} too many", n(over)),
        };
        out.push(format!(
            "{} at once would take {} blocks, {share} of those there are: {verdict}.",
            n(wanted),
            n(needed)
        ));
    }
    let promised = p.weights_only_kv_tokens;
    let times = promised as f64 / p.kv_tokens.max(1) as f64;
    let windows = if a.model.window == 0 { "" } else { ", every layer kept in full" };
    out.push(format!(
        "Sizing by weights alone would promise {} tokens, {} such sequences{windows}: {} times what there is.",
        n(promised),
        n(promised / u64::from(context)),
        decimals(times, 2)
    ));
    if a.options.weights_dtype != baseload_core::memory::WeightsDtype::Bf16 {
        out.push(format!("Of the weights, {} GiB stay BF16.", in_gib(p.weights_kept_bf16_bytes)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_shares_and_stack() {
        let parts = [400, 3, 1, 1, 495, 100];
        let mut below = 0;
        for bytes in parts {
            let drawn = bar(below, bytes, 1_000);
            let from = drawn.chars().take_while(|c| *c == ' ').count() as u64;
            assert_eq!(from, below * BAR / 1_000, "a bar begins where the one below ends: {drawn}");
            assert!(drawn.chars().count() as u64 <= BAR + 1 && !drawn.trim().is_empty(), "{drawn}");
            below += bytes;
        }
        assert_eq!(bar(0, 500, 1_000), format!("{}▌", "█".repeat(21)), "half of 43 columns");
        assert_eq!(bar(0, 1, 1_000), "▏");
    }
}
