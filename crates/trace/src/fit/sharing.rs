//! Sessions, and how much of their prompts requests share.
use super::lengths::{COARSE, Detail, FINE, describe, fractions, quantiles, rounded};
use super::{Measured, Seen, talks};
use crate::{LengthSpec, Reuse, ReuseBin, Sessions, TurnLength};
use baseload_core::types::Clock;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Bins of prompt lengths, at most, and requests in one, at least.
const BINS: usize = 10;
const IN_BIN: usize = 40;
/// Requests that are remembered, at most.
const HISTORY: u32 = 16_384;

/// The request before in its session, and the request's turn from 1; `None` outside of sessions.
fn turns(seen: &[Seen]) -> Vec<(u32, Option<usize>)> {
    let mut last: FxHashMap<u64, (u32, usize)> = FxHashMap::default();
    let turn = |(i, s): (usize, &Seen)| {
        if !talks(s) {
            return (1, None);
        }
        let before = last.get(&s.session).copied();
        let turn = before.map_or(1, |b| b.0 + 1);
        last.insert(s.session, (turn, i));
        (turn, before.map(|b| b.1))
    };
    seen.iter().enumerate().map(turn).collect()
}

/// What hits are multiples of: the greatest common divisor of those that end inside a prompt.
fn block_of(seen: &[Seen]) -> u32 {
    let gcd = |mut a: u32, mut b: u32| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    seen.iter().filter(|s| s.hit > 0 && s.hit < s.prompt).fold(0, |g, s| gcd(s.hit, g)).max(1)
}

/// Whether a request repeats all of the one before it in its session, as far as it is long enough.
fn extends(s: &Seen, before: &Seen, block: u32) -> bool {
    let most = before.prompt.min(s.prompt);
    s.hit >= most - most % block
}

/// Sessions of a trace that has some.
pub(super) fn sessions(trace: &Measured) -> Sessions {
    let seen = &trace.seen;
    let turns = turns(seen);
    let block = block_of(seen);
    let mut depth: FxHashMap<u64, u32> = FxHashMap::default();
    let mut alone = 0u64;
    for s in seen {
        if talks(s) {
            *depth.entry(s.session).or_insert(0) += 1;
        } else {
            alone += 1;
        }
    }
    let count = depth.len() as u64 + alone;
    let mut depths: Vec<u32> = depth.into_values().collect();
    depths.extend((0..alone).map(|_| 1));
    let later: Vec<(&Seen, &Seen)> = seen.iter().zip(&turns).filter_map(|(s, t)| Some((s, &seen[t.1?]))).collect();
    let share = |f: &dyn Fn(&Seen, &Seen) -> bool| {
        later.iter().filter(|(s, before)| f(s, before)).count() as f64 / later.len().max(1) as f64
    };
    let shrinks = share(&|s, before| f64::from(s.prompt) < 0.98 * f64::from(before.prompt));
    let extend = if trace.figures.hit_ratio.is_some() { share(&|s, before| extends(s, before, block)) } else { 0.0 };
    let ms = |ns: u64| u32::try_from(ns / 1_000_000).unwrap_or(u32::MAX);
    let gaps = later.iter().map(|(s, before)| ms((s.at_ns - before.at_ns).max(0) as u64));
    let thinks: Vec<u32> = later.iter().filter_map(|(s, _)| s.think_ns.map(ms)).collect();
    Sessions {
        turns: describe(depths.into_iter(), FINE),
        count: Some(count),
        concurrent: matches!(trace.clock, Clock::Common | Clock::Zero).then(|| waiting(seen, &turns)),
        gap_ms: Some(describe(gaps, COARSE)),
        think_ms: (!thinks.is_empty()).then(|| describe(thinks.into_iter(), COARSE)),
        answer_ms_per_token: 20.0,
        grow: None,
        reset: 0.0,
        branch: 0.0,
        most_prompt_tokens: None,
        repeat_answers: false,
        by_turn: by_turn(seen, &turns),
        redraw: rounded((2.0 * shrinks).min(1.0), 4),
        extend: rounded(extend, 4),
        across: false,
    }
}

/// Sessions that wait for their next turn when a request comes, on average.
fn waiting(seen: &[Seen], turns: &[(u32, Option<usize>)]) -> f64 {
    let mut more = vec![false; seen.len()];
    turns.iter().filter_map(|t| t.1).for_each(|before| more[before] = true);
    let (mut now, mut sum) = (0u64, 0u64);
    for (turn, more) in turns.iter().zip(more) {
        sum += now;
        now -= u64::from(turn.1.is_some());
        now += u64::from(more);
    }
    rounded(sum as f64 / seen.len().max(1) as f64, 3)
}

/// Prompt tokens by turn, in ever wider groups of turns.
fn by_turn(seen: &[Seen], turns: &[(u32, Option<usize>)]) -> Vec<TurnLength> {
    let mut groups: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
    for (s, (turn, _)) in seen.iter().zip(turns) {
        // Groups grow by half: 1, 2, 3, 4-5, 6-8, ...
        let group =
            if *turn <= 3 { *turn } else { 3 + (libm::log(f64::from(*turn) / 3.0) / libm::log(1.5)) as u32 + 1 };
        groups.entry(group).or_default().push((*turn, s.prompt));
    }
    let mut out: Vec<TurnLength> = Vec::new();
    let mut pending: Vec<(u32, u32)> = Vec::new();
    let groups: Vec<Vec<(u32, u32)>> = groups.into_values().collect();
    for (i, group) in groups.iter().enumerate() {
        pending.extend(group);
        let left: usize = groups[i + 1..].iter().map(Vec::len).sum();
        if out.is_empty() || i + 1 == groups.len() || pending.len() >= 20 && left >= 20 {
            let mean = pending.iter().map(|p| u64::from(p.0)).sum::<u64>() / pending.len() as u64;
            let least = out.last().map_or(1, |t| t.turn + 1);
            let turn = if out.is_empty() { 1 } else { (mean as u32).max(least) };
            out.push(TurnLength { turn, quantiles: quantiles(pending.iter().map(|p| p.1), COARSE) });
            pending.clear();
        }
    }
    out
}

/// What prompts reuse; `None` where they reuse nothing.
pub(super) fn reuse(trace: &Measured, sessions: Option<&mut Sessions>) -> Option<Reuse> {
    let seen = &trace.seen;
    let turns = turns(seen);
    let block = block_of(seen);
    if seen.iter().all(|s| s.hit == 0) {
        return None;
    }
    let tails = seen.iter().any(|s| s.hit == s.prompt && s.prompt % block != 0);
    let mut across = false;
    let in_sessions = sessions.is_some();
    if let Some(sessions) = sessions {
        let first = || seen.iter().zip(&turns).filter(|(_, t)| t.1.is_none()).map(|(s, _)| s);
        let all: u64 = first().map(|s| u64::from(s.prompt)).sum();
        let hit: u64 = first().map(|s| u64::from(s.hit)).sum();
        across = trace.clock != Clock::Session && hit * 200 > all;
        sessions.across = across;
    }
    // Those whose reuse is not that of a turn that extends the one before.
    let free: Vec<&Seen> = seen
        .iter()
        .zip(&turns)
        .filter(|(s, t)| match t.1 {
            Some(before) => !extends(s, &seen[before], block),
            None => across || !in_sessions,
        })
        .map(|(s, _)| s)
        .collect();
    if free.is_empty() {
        let none = ReuseBin { up_to: u32::MAX, none: 1.0, base: 0.0, fraction: Vec::new() };
        return Some(Reuse { block, tails, base_tokens: 0, history: 1, distance: Vec::new(), bins: vec![none] });
    }
    let base = if across || !in_sessions { base_tokens(&free) } else { 0 };
    let backs: Vec<u32> =
        free.iter().filter(|s| s.hit > 0 && s.hit != base).map(|s| u32::try_from(s.back).unwrap_or(u32::MAX)).collect();
    let history = backs.iter().copied().max().unwrap_or(1).clamp(64, HISTORY);
    let distance = if backs.is_empty() {
        Vec::new()
    } else {
        quantiles(backs.into_iter().map(|b| b.min(HISTORY)), Detail { points: 16, error: 0.2 })
    };
    Some(Reuse { block, tails, base_tokens: base, history, distance, bins: bins(&free, base) })
}

/// The beginning that is reused alone by more requests than any other, where these are not few.
fn base_tokens(free: &[&Seen]) -> u32 {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for s in free.iter().filter(|s| s.hit > 0 && s.hit < s.prompt) {
        *counts.entry(s.hit).or_insert(0) += 1;
    }
    let most = counts.into_iter().max_by_key(|c| (c.1, std::cmp::Reverse(c.0)));
    most.filter(|m| m.1 * 20 >= free.len()).map_or(0, |m| m.0)
}

/// Bins of prompt lengths with about as many requests each.
fn bins(free: &[&Seen], base: u32) -> Vec<ReuseBin> {
    let mut sorted: Vec<&Seen> = free.to_vec();
    sorted.sort_by_key(|s| s.prompt);
    let bins = (sorted.len() / IN_BIN).clamp(1, BINS);
    let mut out: Vec<ReuseBin> = Vec::new();
    let mut from = 0;
    for i in 0..bins {
        let mut to = (sorted.len() * (i + 1) / bins).max(from);
        while to < sorted.len() && to > 0 && sorted[to].prompt == sorted[to - 1].prompt {
            to += 1;
        }
        if to <= from {
            continue;
        }
        let part = &sorted[from..to];
        let share = |n: usize| rounded(n as f64 / part.len() as f64, 4);
        let none = part.iter().filter(|s| s.hit == 0).count();
        let on_base = part.iter().filter(|s| base > 0 && s.hit == base).count();
        let others: Vec<f64> = part
            .iter()
            .filter(|s| s.hit > 0 && (base == 0 || s.hit != base))
            .map(|s| f64::from(s.hit) / f64::from(s.prompt))
            .collect();
        let fraction =
            if others.is_empty() { Vec::new() } else { fractions(others, Detail { points: 16, error: 0.02 }) };
        let (mut none, on_base) = (share(none), share(on_base));
        if fraction.is_empty() {
            none = rounded(1.0 - on_base, 4);
        }
        let up_to = if i + 1 == bins { u32::MAX } else { part[part.len() - 1].prompt };
        out.push(ReuseBin { up_to, none, base: on_base, fraction });
        from = to;
    }
    if let Some(last) = out.last_mut() {
        last.up_to = u32::MAX;
    }
    out
}

/// `spec` with everything that is reused made more (`power` under 1) or less (above 1).
pub(super) fn turned(spec: &Reuse, power: f64) -> Reuse {
    let to = |x: f64| libm::pow(x, power);
    let bin = |b: &ReuseBin| {
        if b.fraction.is_empty() {
            return b.clone();
        }
        let some = 1.0 - b.none;
        let none = rounded(1.0 - to(some), 4).min(1.0 - b.base).max(0.0);
        let fraction = b.fraction.iter().map(|f| (f.0, rounded(to(f.1), 4))).collect();
        ReuseBin { none: rounded(none, 4), fraction, ..b.clone() }
    };
    Reuse { bins: spec.bins.iter().map(bin).collect(), ..spec.clone() }
}

/// Quantile points with every value taken through `map`, order kept.
pub(super) fn mapped(points: &[(f64, u32)], map: impl Fn(u32) -> u32) -> Vec<(f64, u32)> {
    let mut least = 0;
    points
        .iter()
        .map(|&(share, v)| {
            least = map(v).max(least);
            (share, least)
        })
        .collect()
}

/// A law with every value taken through `map`.
pub(super) fn mapped_length(length: &LengthSpec, map: impl Fn(u32) -> u32) -> LengthSpec {
    LengthSpec { quantiles: mapped(&length.quantiles, map), ..length.clone() }
}
