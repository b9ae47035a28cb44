//! The cumulative rate of arrivals and its inverse: unit-rate renewal times go in, arrival times come out.
use crate::Arrivals;

/// A span with a linear rate. Seconds, requests a second, requests.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start_s: f64,
    len_s: f64,
    from: f64,
    to: f64,
    /// Expected requests before it.
    before: f64,
    /// When the segment ends, ns; `None`: it has no end.
    end: Option<u64>,
}

/// A piecewise-linear rate and where its integral has got to. Segments are made as they are reached.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    arrivals: Arrivals,
    segment: Segment,
}

/// Segments without a request after which a rate is taken to have ended (a period has at least one request's worth).
const IDLE_MOST: u32 = 1_000_000;

impl Profile {
    pub(super) fn new(arrivals: &Arrivals) -> Profile {
        let segment = segment(arrivals, 0, 0.0);
        Profile { arrivals: arrivals.clone(), segment }
    }

    /// Seconds at which `mass` requests are expected to have come; `mass` may not fall. `None`: never.
    pub(super) fn inverse(&mut self, mass: f64) -> Option<f64> {
        let mut idle = 0;
        while let Some(end) = self.segment.end {
            let before = self.segment.before + (self.segment.from + self.segment.to) / 2.0 * self.segment.len_s;
            if before > mass {
                break;
            }
            self.segment = segment(&self.arrivals, end, before);
            idle += 1;
            if idle > IDLE_MOST {
                return None;
            }
        }
        let s = &self.segment;
        let left = (mass - s.before).max(0.0);
        let slope = if s.len_s.is_finite() { (s.to - s.from) / s.len_s } else { 0.0 };
        let root = libm::sqrt((s.from * s.from + 2.0 * slope * left).max(0.0));
        if s.from + root <= 0.0 {
            return None;
        }
        Some(s.start_s + (2.0 * left / (s.from + root)).min(s.len_s))
    }
}

/// The segment that begins at `cut` ns.
fn segment(arrivals: &Arrivals, cut: u64, before: f64) -> Segment {
    let end = next_cut(arrivals, cut);
    let times: f64 =
        arrivals.bursts.iter().filter(|b| b.at.0 <= cut && cut < (b.at + b.duration).0).map(|b| b.times).product();
    let times = times * day(arrivals, cut);
    let from = base(arrivals, cut) * times;
    let to = match end {
        Some(end) if !arrivals.steps => base(arrivals, end) * times,
        _ => from,
    };
    let len_s = end.map_or(f64::INFINITY, |e| (e - cut) as f64 / 1e9);
    Segment { start_s: cut as f64 / 1e9, len_s, from, to, before, end }
}

/// The first instant after `cut` at which the rate has a corner or a jump.
fn next_cut(arrivals: &Arrivals, cut: u64) -> Option<u64> {
    let bursts = arrivals.bursts.iter().flat_map(|b| [b.at.0, (b.at + b.duration).0]);
    let single = |ns: u64| (ns > cut).then_some(ns);
    let corners = arrivals.rate.iter().map(|p| p.at.0);
    let from_bursts = bursts.filter_map(single).min();
    let from_rate = match arrivals.period {
        None => corners.filter_map(single).min(),
        Some(period) => {
            let (start, inside) = (cut - cut % period.0, cut % period.0);
            let next = corners.filter(|&c| c > inside).min().unwrap_or(period.0);
            start.checked_add(next)
        }
    };
    [from_bursts, from_rate].into_iter().flatten().min()
}

/// What the day that holds `ns` multiplies the rate by.
fn day(arrivals: &Arrivals, ns: u64) -> f64 {
    match arrivals.period {
        Some(period) if !arrivals.days.is_empty() => arrivals.days[(ns / period.0) as usize % arrivals.days.len()],
        _ => 1.0,
    }
}

/// The rate without bursts at `ns`.
fn base(arrivals: &Arrivals, ns: u64) -> f64 {
    let points = &arrivals.rate;
    let ns = arrivals.period.map_or(ns, |p| ns % p.0);
    let after = points.partition_point(|p| p.at.0 <= ns);
    let (last, next) = (after.checked_sub(1).map(|i| points[i]), points.get(after));
    if arrivals.steps {
        let before_first = if arrivals.period.is_some() { points.last() } else { next };
        return last.or(before_first.copied()).map_or(0.0, |p| p.per_s);
    }
    if let Some(period) = arrivals.period {
        // Around the end of the period, from the last corner to the first.
        let (first, end) = (points[0], points[points.len() - 1]);
        let (from, to, at) = match (last, next) {
            (Some(a), Some(b)) => ((a.at.0, a.per_s), (b.at.0, b.per_s), ns),
            (Some(_), None) => ((end.at.0, end.per_s), (first.at.0 + period.0, first.per_s), ns),
            (None, _) => ((end.at.0, end.per_s), (first.at.0 + period.0, first.per_s), ns + period.0),
        };
        return from.1 + (to.1 - from.1) * ((at - from.0) as f64 / (to.0 - from.0) as f64);
    }
    match (last, next) {
        (None, next) => next.map_or(0.0, |p| p.per_s),
        (Some(last), None) => last.per_s,
        (Some(a), Some(b)) => a.per_s + (b.per_s - a.per_s) * ((ns - a.at.0) as f64 / (b.at.0 - a.at.0) as f64),
    }
}
