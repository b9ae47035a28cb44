//! Describes a trace by a generator's specification, so that its statistics can be shared without its rows.
//!
//! What is measured: requests and the CV of their gaps in windows; quantiles of prompt and output tokens (by turn where there
//! are sessions) and their rank correlation; how much of a prompt earlier prompts have, by its length, and how far back;
//! turns of sessions and pauses between them. Then the specification is drawn, measured like the trace, and what is off
//! is corrected (`calibrate`): deterministic, with the seed of the options.
//! Must hold: no id, no row and no time of a single request goes into a specification, only counts of windows and quantiles.
use baseload_core::types::{TraceFault, wrong};
mod arrivals;
mod calibrate;
mod lengths;
mod sharing;
mod write;

use super::compare::{Figures, Gather};
use super::{Arrivals, GenerateSpec, Joint, Process, SourceOptions};
use baseload_core::types::{Clock, Entries, Entry, NO_SESSION};
#[cfg(test)]
pub(super) use lengths::rank_correlation;
pub use write::to_toml;

/// Sessions that start a second where a trace does not say when they start; a user sets it.
pub const SESSION_STARTS_PER_S: f64 = 0.05;

/// What is kept of a request until the specification stands.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at_ns: i64,
    session: u64,
    prompt: u32,
    output: u32,
    /// Leading tokens that earlier prompts have, and how many requests ago.
    hit: u32,
    back: u64,
    think_ns: Option<u64>,
}

/// A trace and what it looks like.
struct Measured {
    seen: Vec<Seen>,
    clock: Clock,
    figures: Figures,
}

/// A specification and how near it comes.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// What generates a look-alike.
    pub spec: GenerateSpec,
    /// The trace.
    pub trace: Figures,
    /// What the specification generates with the options' seed.
    pub generated: Figures,
}

/// Fits a specification to `entries`, which must be in order of time.
///
/// # Errors
/// The reader's; time that goes back; that there are no requests.
pub fn fit(entries: &mut dyn Entries, options: &SourceOptions) -> Result<Fitted, TraceFault> {
    options.check()?;
    let (mut gather, mut entry, mut seen) = (Gather::default(), Entry::blank(), Vec::<Seen>::new());
    let clock = entries.clock();
    let timed = matches!(clock, Clock::Common | Clock::Zero);
    while options.limit.is_none_or(|most| (seen.len() as u64) < most) && entries.next(&mut entry)? {
        if timed && seen.last().is_some_and(|last| last.at_ns > entry.at_ns) {
            return Err(wrong!("{}: time goes back", entries.place())
                .hint("requests must be in order of arrival (--sort puts them in order)"));
        }
        let hit = gather.add(&entry);
        seen.push(Seen {
            at_ns: entry.at_ns,
            session: entry.session,
            prompt: entry.prompt_tokens,
            output: entry.output_tokens,
            hit: hit.tokens,
            back: hit.back,
            think_ns: entry.think_ns,
        });
    }
    let trace = Measured { figures: gather.figures(clock)?, seen, clock };
    let draws = SourceOptions { seed: options.seed, ..SourceOptions::default() };
    let spec = describe(&trace, &draws);
    let (spec, generated) = calibrate::calibrate(&trace, spec, &draws)?;
    Ok(Fitted { spec, trace: trace.figures, generated })
}

/// The specification as measured, before anything is corrected.
fn describe(trace: &Measured, options: &SourceOptions) -> GenerateSpec {
    let requests = trace.seen.len() as u64;
    let timed = matches!(trace.clock, Clock::Common | Clock::Zero);
    let mut spec = GenerateSpec {
        requests: Some(requests),
        arrivals: if timed {
            arrivals::fit(trace, options)
        } else {
            Arrivals::constant_rate(Process::Poisson, SESSION_STARTS_PER_S)
        },
        output: lengths::describe(trace.seen.iter().map(|s| s.output), lengths::FINE),
        ..GenerateSpec::default()
    };
    let correlation = lengths::rank_correlation(trace.seen.iter().map(|s| (s.prompt, s.output)));
    if correlation.abs() >= 0.02 {
        spec.joint = Some(Joint { rank_correlation: lengths::rounded(correlation, 3) });
    }
    let talks = trace.figures.sessions.as_ref().is_some_and(|s| s.depth.max > 1);
    if talks {
        spec.sessions = Some(sharing::sessions(trace));
    } else {
        spec.prompt = lengths::describe(trace.seen.iter().map(|s| s.prompt), lengths::FINE);
    }
    if trace.figures.hit_ratio.is_some() {
        spec.reuse = sharing::reuse(trace, spec.sessions.as_mut());
    }
    spec
}

/// Whether a request belongs to a session.
fn talks(seen: &Seen) -> bool {
    seen.session != NO_SESSION
}

#[cfg(test)]
mod tests;
