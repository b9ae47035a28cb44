//! Arrivals as numbers of requests in windows, with the CV of the gaps inside each.
//!
//! The number of windows is chosen, and all CVs are multiplied by one number, so that what is drawn has the trace's CV.
use super::Measured;
use super::lengths::{self, Detail, rounded};
use crate::{ArrivalTimes, Arrivals, Bench, Family, SourceOptions, Windows};
use baseload_core::types::SimTime;

/// Windows at most: what rates tell of their owner is to stay coarse.
const MOST_WINDOWS: u64 = 400;
/// Requests in a window, on average, in the order in which they are tried.
const PER_WINDOW: [u64; 5] = [64, 256, 24, 1024, 12];
/// Fewer requests than this are few.
const FEW: u64 = 5_000;
/// An error of the CV that is good enough.
const GOOD: f64 = 0.01;

/// Fits windows to a trace whose times count from one origin.
pub(super) fn fit(trace: &Measured, options: &SourceOptions) -> Arrivals {
    let seen = &trace.seen;
    let n = seen.len() as u64;
    let (first, last) = (seen[0].at_ns, seen[seen.len() - 1].at_ns);
    let span = (last - first) as u64;
    if span == 0 {
        let bench = Bench { requests: Some(n), rate: Some(f64::INFINITY), burstiness: 1.0, ramp: None };
        return Arrivals { bench: Some(Box::new(bench)), ..Arrivals::default() };
    }
    let resolution = resolution(seen.iter().map(|s| s.at_ns - first));
    let wanted = trace.figures.gap_cv.unwrap_or(1.0);
    let mut best: Option<(f64, Arrivals)> = None;
    for per_window in PER_WINDOW {
        let windows = (n / per_window).clamp(1, MOST_WINDOWS);
        let measured = windows_of(trace, span, windows);
        let mut found = scaled(measured.clone(), resolution, wanted, options);
        if n < FEW && found.0.is_finite() {
            // So few gaps that another seed has another CV: as measured they are even.
            let gaps = bent(&as_measured(trace, measured, resolution), wanted, options);
            if gaps.0 <= 3.0 * GOOD {
                found = gaps;
            }
        }
        if best.as_ref().is_none_or(|b| found.0 < b.0) {
            best = Some(found);
        }
        if best.as_ref().is_some_and(|b| b.0 <= GOOD) {
            break;
        }
    }
    best.map_or_else(Arrivals::default, |b| b.1)
}

/// The windows as measured.
fn windows_of(trace: &Measured, span: u64, windows: u64) -> Windows {
    let first = trace.seen[0].at_ns;
    let width = span.div_ceil(windows);
    let place = |at: i64| (((at - first) as u64 / width).min(windows - 1)) as usize;
    let mut requests = vec![0u64; windows as usize];
    // Of the gaps inside a window: how many, their sum, the sum of their squares.
    let mut gaps = vec![(0u64, 0.0, 0.0); windows as usize];
    for (i, s) in trace.seen.iter().enumerate() {
        let at = place(s.at_ns);
        requests[at] += 1;
        if i > 0 && place(trace.seen[i - 1].at_ns) == at {
            let gap = (s.at_ns - trace.seen[i - 1].at_ns) as f64;
            let (count, sum, squares) = gaps[at];
            gaps[at] = (count + 1, sum + gap, squares + gap * gap);
        }
    }
    let cv = |&(count, sum, squares): &(u64, f64, f64)| {
        if count < 3 || sum <= 0.0 {
            return 1.0;
        }
        let mean = sum / count as f64;
        rounded(libm::sqrt((squares / count as f64 - mean * mean).max(0.0)) / mean, 3)
    };
    let cv = gaps.iter().map(cv).collect();
    Windows { width: SimTime(width), requests, per_s: Vec::new(), cv, family: Family::Gamma, gaps: Vec::new() }
}

/// Windows with gaps as measured.
fn as_measured(trace: &Measured, windows: Windows, resolution: Option<SimTime>) -> Arrivals {
    let first = trace.seen[0].at_ns;
    let place = |at: i64| (((at - first) as u64 / windows.width.0) as usize).min(windows.requests.len() - 1);
    let ratio = |w: &[super::Seen]| {
        let at = place(w[0].at_ns);
        (w[1].at_ns - w[0].at_ns) as f64 * windows.requests[at] as f64 / windows.width.0 as f64
    };
    let ratios = lengths::ratios(trace.seen.windows(2).map(ratio).collect(), Detail { points: 40, error: 0.03 });
    let windows = Windows { cv: Vec::new(), gaps: ratios, ..windows };
    Arrivals { windows: Some(Box::new(windows)), resolution, ..Arrivals::default() }
}

/// Measured gaps raised to the power that gives the wanted CV of all gaps, and how far off it is: windows add to it.
fn bent(measured: &Arrivals, wanted: f64, options: &SourceOptions) -> (f64, Arrivals) {
    let with = |power: f64| {
        let mut arrivals = measured.clone();
        if let Some(windows) = &mut arrivals.windows {
            windows.gaps.iter_mut().for_each(|g| g.1 = rounded(libm::pow(g.1, power), 4));
        }
        arrivals
    };
    let (mut low, mut high) = (0.25, 4.0);
    let mut best = (f64::INFINITY, measured.clone());
    for step in 0..10 {
        let power = if step == 0 { 1.0 } else { libm::sqrt(low * high) };
        let arrivals = with(power);
        let error = (cv_of(&arrivals, options) - wanted) / wanted.max(1e-9);
        if error.abs() < best.0 {
            best = (error.abs(), arrivals);
        }
        if error.abs() <= GOOD / 2.0 {
            break;
        }
        if error < 0.0 { low = power } else { high = power }
    }
    best
}

/// All CVs multiplied by the number that gives the wanted CV of all gaps, and how far off it is.
fn scaled(measured: Windows, resolution: Option<SimTime>, wanted: f64, options: &SourceOptions) -> (f64, Arrivals) {
    let with = |times: f64| {
        let cv = measured.cv.iter().map(|cv| rounded((cv * times).clamp(0.0, 100.0), 3)).collect();
        Arrivals { windows: Some(Box::new(Windows { cv, ..measured.clone() })), resolution, ..Arrivals::default() }
    };
    let off = |arrivals: &Arrivals| (cv_of(arrivals, options) - wanted) / wanted.max(1e-9);
    let (mut low, mut high) = (0.25, 4.0);
    let mut best: Option<(f64, Arrivals)> = None;
    for step in 0..10 {
        let times = if step == 0 { 1.0 } else { libm::sqrt(low * high) };
        let arrivals = with(times);
        let error = off(&arrivals);
        if best.as_ref().is_none_or(|b| error.abs() < b.0) {
            best = Some((error.abs(), arrivals));
        }
        if error.abs() <= GOOD / 2.0 {
            break;
        }
        if error < 0.0 { low = times } else { high = times }
    }
    best.unwrap_or((f64::INFINITY, Arrivals::default()))
}

/// The CV of the gaps that are drawn.
fn cv_of(arrivals: &Arrivals, options: &SourceOptions) -> f64 {
    let mut times = ArrivalTimes::new(arrivals, options, "generate.arrival");
    let (mut last, mut count, mut sum, mut squares) = (None, 0.0, 0.0, 0.0);
    while let Some(at) = times.next_ns() {
        if let Some(last) = last {
            let gap = (at - last) as f64;
            (count, sum, squares) = (count + 1.0, sum + gap, squares + gap * gap);
        }
        last = Some(at);
    }
    let mean: f64 = sum / f64::max(count, 1.0);
    if mean > 0.0 { libm::sqrt((squares / count - mean * mean).max(0.0)) / mean } else { 0.0 }
}

/// The tick of the trace's clock, where it is one that shows: all times are multiples of it.
fn resolution(times: impl Iterator<Item = i64> + Clone) -> Option<SimTime> {
    let ticks = [1_000_000_000, 500_000_000, 100_000_000, 50_000_000, 10_000_000];
    ticks.into_iter().find(|tick| times.clone().all(|t| t % tick == 0)).map(|tick| SimTime(tick as u64))
}
