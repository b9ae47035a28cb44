//! The cumulative rate of arrivals and its inverse: unit-rate renewal times go in, arrival times come out.
use super::spec::Arrivals;

/// A span with a linear rate. Seconds, requests a second, requests.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start_s: f64,
    len_s: f64,
    from: f64,
    to: f64,
    /// Expected requests before it.
    before: f64,
}

/// A piecewise-linear rate and where its integral has got to.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    segments: Vec<Segment>,
    at: usize,
}

impl Profile {
    pub(super) fn new(arrivals: &Arrivals) -> Profile {
        let mut cuts: Vec<u64> = vec![0];
        cuts.extend(arrivals.rate.iter().map(|p| p.at.0));
        cuts.extend(arrivals.bursts.iter().flat_map(|b| [b.at.0, (b.at + b.duration).0]));
        cuts.sort_unstable();
        cuts.dedup();
        let mut segments = Vec::new();
        let mut before = 0.0;
        for (i, &cut) in cuts.iter().enumerate() {
            let end = cuts.get(i + 1).copied();
            let times: f64 = arrivals
                .bursts
                .iter()
                .filter(|b| b.at.0 <= cut && cut < (b.at + b.duration).0)
                .map(|b| b.times)
                .product();
            let from = base(arrivals, cut) * times;
            let to = end.map_or(from, |e| base(arrivals, e) * times);
            let len_s = end.map_or(f64::INFINITY, |e| (e - cut) as f64 / 1e9);
            segments.push(Segment { start_s: cut as f64 / 1e9, len_s, from, to, before });
            if end.is_some() {
                before += (from + to) / 2.0 * len_s;
            }
        }
        Profile { segments, at: 0 }
    }

    /// Seconds at which `mass` requests are expected to have come; `mass` may not fall. `None`: never.
    pub(super) fn inverse(&mut self, mass: f64) -> Option<f64> {
        while self.segments.get(self.at + 1).is_some_and(|next| next.before <= mass) {
            self.at += 1;
        }
        let s = self.segments[self.at];
        let left = (mass - s.before).max(0.0);
        let slope = if s.len_s.is_finite() { (s.to - s.from) / s.len_s } else { 0.0 };
        let root = libm::sqrt((s.from * s.from + 2.0 * slope * left).max(0.0));
        if s.from + root <= 0.0 {
            return None;
        }
        Some(s.start_s + (2.0 * left / (s.from + root)).min(s.len_s))
    }
}

/// The rate without bursts at `ns`.
fn base(arrivals: &Arrivals, ns: u64) -> f64 {
    let points = &arrivals.rate;
    let after = points.partition_point(|p| p.at.0 <= ns);
    match (after.checked_sub(1).map(|i| points[i]), points.get(after)) {
        (None, next) => next.map_or(0.0, |p| p.per_s),
        (Some(last), None) => last.per_s,
        (Some(a), Some(b)) => a.per_s + (b.per_s - a.per_s) * ((ns - a.at.0) as f64 / (b.at.0 - a.at.0) as f64),
    }
}
