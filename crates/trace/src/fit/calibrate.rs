//! Draws a specification, measures it like the trace, and corrects what is off.
//!
//! Two corrections, both deterministic: lengths that depend on sessions are taken through the map from the quantiles that come
//! out to those that are wanted; what is reused is raised to a power found by bisection, and where that cannot reach the
//! trace's hit ratio, sessions keep their rank longer.
use super::sharing::{mapped, mapped_length, turned};
use super::{Measured, lengths::rounded};
use crate::compare::{Figures, Gather, Limits, Unit, rows};
use crate::{GenerateSpec, Generator, SourceOptions};
use baseload_core::types::TraceFault;
use baseload_core::types::{Entries, Entry};

/// An error of the hit ratio that is good enough.
const GOOD: f64 = 0.001;
/// Rounds of correcting lengths.
const ROUNDS: usize = 8;
/// An error of token quantiles, per cent, that is good enough.
const GOOD_TOKENS: f64 = 0.5;
/// An error above which outputs had better not hang together with prompts, per cent.
const UNJOINED: f64 = 3.0;

/// What is drawn of a specification.
struct Drawn {
    figures: Figures,
    prompts: Vec<u32>,
    outputs: Vec<u32>,
}

fn draw(spec: &GenerateSpec, options: &SourceOptions) -> Result<Drawn, TraceFault> {
    let mut generator = Generator::new(spec, options)?;
    let (mut gather, mut entry) = (Gather::default(), Entry::blank());
    let (mut prompts, mut outputs) = (Vec::new(), Vec::new());
    while generator.next(&mut entry)? {
        gather.add(&entry);
        prompts.push(entry.prompt_tokens);
        outputs.push(entry.output_tokens);
    }
    prompts.sort_unstable();
    outputs.sort_unstable();
    Ok(Drawn { figures: gather.figures(generator.clock())?, prompts, outputs })
}

/// The specification, corrected, and what it gives.
pub(super) fn calibrate(
    trace: &Measured,
    mut spec: GenerateSpec,
    options: &SourceOptions,
) -> Result<(GenerateSpec, Figures), TraceFault> {
    let mut prompts: Vec<u32> = trace.seen.iter().map(|s| s.prompt).collect();
    let mut outputs: Vec<u32> = trace.seen.iter().map(|s| s.output).collect();
    prompts.sort_unstable();
    outputs.sort_unstable();
    lengths(&mut spec, trace, (&prompts, &outputs), options)?;
    if let Some(wanted) = trace.figures.hit_ratio {
        for _ in 0..5 {
            let (found, error) = correct_hits(&spec, wanted, options)?;
            spec = found;
            let Some(sessions) = spec.sessions.as_mut().filter(|s| error < -5.0 * GOOD && s.redraw > 0.0) else {
                break;
            };
            // Too few hits however much is reused: prompts must not change so often.
            sessions.redraw = rounded(sessions.redraw / 2.0, 5);
            lengths(&mut spec, trace, (&prompts, &outputs), options)?;
        }
    }
    let figures = draw(&spec, options)?.figures;
    Ok((spec, figures))
}

/// Corrects lengths where they depend on sessions, or on each other, round by round; the best round stays.
fn lengths(
    spec: &mut GenerateSpec,
    trace: &Measured,
    (prompts, outputs): (&[u32], &[u32]),
    options: &SourceOptions,
) -> Result<(), TraceFault> {
    if spec.sessions.is_none() && spec.joint.is_none() {
        return Ok(());
    }
    let measured = spec.output.clone();
    let mut best: Option<(f64, GenerateSpec)> = None;
    for round in 0..=ROUNDS {
        let drawn = draw(spec, options)?;
        let error = token_error(trace, &drawn.figures);
        if best.as_ref().is_none_or(|b| error < b.0) {
            best = Some((error, spec.clone()));
        }
        if error < GOOD_TOKENS || round == ROUNDS {
            break;
        }
        correct_lengths(spec, &drawn, prompts, outputs);
    }
    let Some((error, found)) = best else { return Ok(()) };
    *spec = found;
    if error > UNJOINED && spec.joint.is_some() {
        // Few requests: outputs that go with prompts cannot also be even. The quantiles come first.
        let alone = GenerateSpec { joint: None, output: measured, ..spec.clone() };
        if token_error(trace, &draw(&alone, options)?.figures) < error {
            *spec = alone;
        }
    }
    Ok(())
}

/// The largest error of a p50, p90 or p99 of tokens, per cent.
fn token_error(trace: &Measured, drawn: &Figures) -> f64 {
    let rows = rows(&trace.figures, drawn, &Limits::default());
    let tokens = rows.iter().filter(|r| r.unit == Unit::Percent && r.name.contains("tokens p"));
    tokens.filter_map(|r| r.difference()).fold(0.0, |most, d| f64::max(most, d.abs()))
}

/// Takes lengths through the map from what comes out to what is wanted.
fn correct_lengths(spec: &mut GenerateSpec, drawn: &Drawn, prompts: &[u32], outputs: &[u32]) {
    if let Some(sessions) = &mut spec.sessions {
        for turn in &mut sessions.by_turn {
            turn.quantiles = mapped(&turn.quantiles, |v| moved(v, &drawn.prompts, prompts));
        }
    }
    spec.output = mapped_length(&spec.output, |v| moved(v, &drawn.outputs, outputs));
}

/// The value that has in `wanted` the rank that `v` has in `drawn`; both sorted. Beyond what was drawn, and where ranks say little,
/// it stays.
fn moved(v: u32, drawn: &[u32], wanted: &[u32]) -> u32 {
    let below = drawn.partition_point(|&d| d < v);
    let upto = drawn.partition_point(|&d| d <= v);
    if upto == 0 || below == drawn.len() || wanted.is_empty() {
        return v;
    }
    // Against both neighbours' values, so that a value between two that were drawn is moved between their images.
    let image = |rank: f64| {
        let place = rank * wanted.len() as f64 - 0.5;
        let low = (place.floor().max(0.0) as usize).min(wanted.len() - 1);
        let high = (low + 1).min(wanted.len() - 1);
        let part = (place - low as f64).clamp(0.0, 1.0);
        f64::from(wanted[low]) + (f64::from(wanted[high]) - f64::from(wanted[low])) * part
    };
    image((below + upto) as f64 / 2.0 / drawn.len() as f64).round() as u32
}

/// The specification with what is reused raised to the power that gives the wanted hit ratio, and by how much it still is off.
fn correct_hits(spec: &GenerateSpec, wanted: f64, options: &SourceOptions) -> Result<(GenerateSpec, f64), TraceFault> {
    let with = |power: f64| {
        let mut spec = spec.clone();
        spec.reuse = spec.reuse.as_ref().map(|r| turned(r, power));
        if let Some(sessions) = &mut spec.sessions {
            sessions.extend = rounded(libm::pow(sessions.extend, power), 5);
        }
        spec
    };
    let (mut low, mut high) = (1.0 / 64.0, 64.0);
    let mut best: Option<(GenerateSpec, f64)> = None;
    for step in 0..12 {
        let power = if step == 0 { 1.0 } else { libm::sqrt(low * high) };
        let tried = with(power);
        let error = draw(&tried, options)?.figures.hit_ratio.unwrap_or(0.0) - wanted;
        if best.as_ref().is_none_or(|b| error.abs() < b.1.abs()) {
            best = Some((tried, error));
        }
        if error.abs() <= GOOD {
            break;
        }
        if error > 0.0 { low = power } else { high = power }
    }
    Ok(best.unwrap_or_else(|| (spec.clone(), 0.0)))
}
