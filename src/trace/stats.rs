//! What a trace looks like, in one pass over a source that does not wait for outcomes.
use crate::types::{ContentId, Source};
use rustc_hash::{FxHashSet, FxHasher};
use serde::Serialize;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// A summary of a trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceStats {
    /// Requests.
    pub count: u64,
    /// First arrival to last, s.
    pub span_s: f64,
    /// Gaps a second: (count - 1) / span; 0 where all arrive at once.
    pub rate_per_s: f64,
    /// Standard deviation of the gaps by their mean; 1 for Poisson, 0 where there are none.
    pub gap_cv: f64,
    /// Prompt tokens.
    pub prompt_tokens: Quantiles,
    /// Output tokens.
    pub output_tokens: Quantiles,
    /// Share of all prompt tokens that lie in leading named runs which an earlier prompt began with too, counted in
    /// whole runs. `None` where nothing is named.
    pub shared_prefix: Option<f64>,
}

/// Exact quantiles (nearest rank) of token counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: u32,
    /// 90th percentile.
    pub p90: u32,
    /// 99th percentile.
    pub p99: u32,
    /// Largest.
    pub max: u32,
}

impl TraceStats {
    /// Reads the source to its end. Memory grows with distinct lengths and distinct prefixes only.
    ///
    /// # Errors
    /// The source's own, or that it has no requests.
    pub fn of(source: &mut dyn Source) -> Result<TraceStats, String> {
        let (mut prompts, mut outputs) = (BTreeMap::new(), BTreeMap::new());
        let mut seen: FxHashSet<u64> = FxHashSet::default();
        let (mut shared, mut all, mut any_named) = (0u64, 0u64, false);
        let mut arrivals: Option<(u64, u64)> = None;
        // Welford's running mean and sum of squares of the gaps, ns.
        let (mut count, mut mean, mut squares) = (0u64, 0.0, 0.0);
        while source.peek()?.is_some() {
            let request = source.next();
            let at = request.arrival.0;
            let (first, last) = arrivals.unwrap_or((at, at));
            if count > 0 {
                let gap = (at - last) as f64;
                let delta = gap - mean;
                mean += delta / count as f64;
                squares += delta * (gap - mean);
            }
            arrivals = Some((first, at));
            count += 1;
            *prompts.entry(request.prompt_tokens).or_insert(0u64) += 1;
            *outputs.entry(request.output_tokens).or_insert(0u64) += 1;
            all += u64::from(request.prompt_tokens);
            let (mut prefix, mut still) = (0u64, true);
            for run in request.content.runs().iter().take_while(|r| matches!(r.id, ContentId::Named(_))) {
                any_named = true;
                let mut hasher = FxHasher::default();
                (prefix, run).hash(&mut hasher);
                prefix = hasher.finish();
                still &= !seen.insert(prefix);
                shared += if still { u64::from(run.len) } else { 0 };
            }
        }
        let (first, last) = arrivals.ok_or("the source has no requests; it needs at least one")?;
        let span_s = (last - first) as f64 / 1e9;
        let gaps = (count - 1) as f64;
        Ok(TraceStats {
            count,
            span_s,
            rate_per_s: if span_s > 0.0 { gaps / span_s } else { 0.0 },
            gap_cv: if mean > 0.0 { libm::sqrt(squares / gaps) / mean } else { 0.0 },
            prompt_tokens: quantiles(&prompts, count),
            output_tokens: quantiles(&outputs, count),
            shared_prefix: any_named.then(|| shared as f64 / all as f64),
        })
    }
}

pub(super) fn quantiles(counts: &BTreeMap<u32, u64>, n: u64) -> Quantiles {
    let sum: u128 = counts.iter().map(|(&v, &c)| u128::from(v) * u128::from(c)).sum();
    let at = |percent: u64| {
        let rank = (n * percent).div_ceil(100).max(1);
        let mut below = 0;
        let found = counts.iter().find(|&(_, &c)| {
            below += c;
            below >= rank
        });
        found.map_or(0, |(&v, _)| v)
    };
    Quantiles { mean: sum as f64 / n as f64, p50: at(50), p90: at(90), p99: at(99), max: at(100) }
}
