//! Who asks: tenants and sessions, in bounded memory; and measured times.
use super::marks::{Marks, mix};
use super::tokens::{Counts, Quantiles};
use baseload_core::types::{Entry, NO_SESSION};
use hdrhistogram::Histogram;
use rustc_hash::FxHashMap;
use serde::Serialize;

/// Tenants that are told apart; those that come later are counted as one.
const MOST_TENANTS: usize = 1_000_000;
/// Sessions that are all followed; of more, a share chosen by their numbers' hash.
const MOST_SESSIONS: usize = 4_000_000;
/// Tenants that are named.
const TOP: usize = 10;

/// Who the requests are from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TenantStats {
    /// Tenants; a lower bound where `not_told_apart` is above 0.
    pub count: u64,
    /// The ten with most requests, most first.
    pub top: Vec<TenantShare>,
    /// All others.
    pub rest: TenantShare,
    /// Requests of tenants that came after the first million, which are counted in `rest` only.
    pub not_told_apart: u64,
}

/// A tenant's part of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct TenantShare {
    /// Number of the tenant in the trace; 0 for the rest.
    pub tenant: u32,
    /// Requests of the tenant.
    pub requests: u64,
    /// Requests of the tenant as a share of all requests, 0 to 1.
    pub share: f64,
    /// Prompt and output tokens of the tenant as a share of the trace's, 0 to 1.
    pub token_share: f64,
}

/// How requests form sessions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionStats {
    /// Sessions. An estimate where sampled.
    pub count: u64,
    /// One session in so many was followed; 1 where all were.
    pub sampled_one_in: u64,
    /// Share of all requests that are in a session, 0 to 1.
    pub share: f64,
    /// Requests of a session.
    pub depth: Quantiles,
    /// Time between what a request waited for and its start, where the trace has it.
    pub think: Option<TimeQuantiles>,
}

/// Quantiles of measured times, right to 0.1 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TimeQuantiles {
    /// Times.
    pub count: u64,
    /// Mean, s.
    pub mean_s: f64,
    /// Median, s.
    pub p50_s: f64,
    /// 90th percentile, s.
    pub p90_s: f64,
    /// 99th percentile, s.
    pub p99_s: f64,
    /// Longest, s.
    pub max_s: f64,
}

/// Counts requests and tokens of tenants.
#[derive(Default)]
pub(super) struct Tenants {
    each: FxHashMap<u32, (u64, u64)>,
    late: (u64, u64),
}

impl Tenants {
    pub(super) fn add(&mut self, entry: &Entry) {
        let tokens = u64::from(entry.prompt_tokens) + u64::from(entry.output_tokens);
        let full = self.each.len() >= MOST_TENANTS;
        let sum = match self.each.get_mut(&entry.tenant) {
            Some(sum) => sum,
            None if full => &mut self.late,
            None => self.each.entry(entry.tenant).or_default(),
        };
        sum.0 += 1;
        sum.1 += tokens;
    }

    /// `None` where the trace knows no tenants: all are number 0.
    pub(super) fn stats(&self) -> Option<TenantStats> {
        if self.each.keys().all(|t| *t == 0) {
            return None;
        }
        let mut all: Vec<(u32, (u64, u64))> = self.each.iter().map(|(t, s)| (*t, *s)).collect();
        all.sort_unstable_by_key(|(tenant, (requests, _))| (std::cmp::Reverse(*requests), *tenant));
        let sums = |part: &[(u32, (u64, u64))]| part.iter().fold((0, 0), |a, (_, s)| (a.0 + s.0, a.1 + s.1));
        let (mut total, mut rest) = (sums(&all), sums(&all[TOP.min(all.len())..]));
        for sum in [&mut total, &mut rest] {
            *sum = (sum.0 + self.late.0, sum.1 + self.late.1);
        }
        let share = |tenant, (requests, tokens): (u64, u64)| TenantShare {
            tenant,
            requests,
            share: requests as f64 / total.0 as f64,
            token_share: tokens as f64 / total.1.max(1) as f64,
        };
        Some(TenantStats {
            count: all.len() as u64,
            top: all.iter().take(TOP).map(|(t, s)| share(*t, *s)).collect(),
            rest: share(0, rest),
            not_told_apart: self.late.0,
        })
    }
}

/// Counts the requests of each session.
pub(super) struct Sessions {
    depths: Marks,
    limit: usize,
    halvings: u32,
    requests: u64,
    think: Times,
}

impl Sessions {
    pub(super) fn new() -> Sessions {
        Sessions { depths: Marks::new(), limit: MOST_SESSIONS, halvings: 0, requests: 0, think: Times::new() }
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        entry.think_ns.into_iter().for_each(|ns| self.think.add(ns));
        if entry.session == NO_SESSION {
            return;
        }
        self.requests += 1;
        let hash = mix(entry.session.wrapping_add(0x9e37_79b9_7f4a_7c15));
        if hash & ((1 << self.halvings) - 1) == 0 {
            *self.depths.note(hash, 0).0 += 1;
        }
        while self.depths.len() > self.limit {
            self.halvings += 1;
            let skip = (1u64 << self.halvings) - 1;
            self.depths.retain(|hash, _| hash & skip == 0);
        }
    }

    /// `None` where no request is in a session.
    pub(super) fn stats(&mut self, requests: u64) -> Option<SessionStats> {
        let mut depths = Counts::default();
        self.depths.values_mut().for_each(|depth| depths.add(*depth));
        (self.requests > 0).then(|| SessionStats {
            count: (self.depths.len() as u64) << self.halvings,
            sampled_one_in: 1 << self.halvings,
            share: self.requests as f64 / requests as f64,
            depth: depths.quantiles(),
            think: self.think.quantiles(),
        })
    }
}

/// Times by their size, each within 0.1 %.
pub(super) struct Times {
    histogram: Histogram<u64>,
    sum_ns: u128,
    max_ns: u64,
}

impl Times {
    pub(super) fn new() -> Times {
        let histogram = Histogram::new(3).expect("histogram: 3 digits are between 0 and 5");
        Times { histogram, sum_ns: 0, max_ns: 0 }
    }

    pub(super) fn add(&mut self, ns: u64) {
        // It grows to what it is given, up to a quarter of 2^63: 73 years.
        self.histogram.record(ns.min(1 << 61)).expect("histogram: it grows by itself to 2^61");
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// `None` where there are none.
    pub(super) fn quantiles(&self) -> Option<TimeQuantiles> {
        let count = self.histogram.len();
        let at = |q: f64| self.histogram.value_at_quantile(q).min(self.max_ns) as f64 / 1e9;
        (count > 0).then(|| TimeQuantiles {
            count,
            mean_s: self.sum_ns as f64 / count as f64 / 1e9,
            p50_s: at(0.5),
            p90_s: at(0.9),
            p99_s: at(0.99),
            max_s: self.max_ns as f64 / 1e9,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tenant: u32, session: u64) -> Entry {
        Entry { tenant, session, prompt_tokens: 10 * tenant, output_tokens: 0, ..Entry::blank() }
    }

    #[test]
    fn tenants_are_ranked_and_the_rest_is_one() {
        let mut tenants = Tenants::default();
        (1..=12).flat_map(|t| (0..t).map(move |_| t)).for_each(|t| tenants.add(&entry(t, 0)));
        let stats = tenants.stats().unwrap();
        assert_eq!((stats.count, stats.top.len(), stats.top[0].tenant, stats.rest.requests), (12, 10, 12, 3));
        assert_eq!(stats.top[0].share, 12.0 / 78.0);
        assert_eq!(stats.rest.token_share, (1.0 + 4.0) / 650.0);
        let mut unknown = Tenants::default();
        unknown.add(&entry(0, 0));
        assert_eq!(unknown.stats(), None);
    }

    #[test]
    fn sessions_beyond_the_limit_are_sampled_and_whole() {
        let mut sessions = Sessions { limit: 1_000, ..Sessions::new() };
        // Session n has 1 + n % 4 requests; they come interleaved.
        for round in 0..4 {
            (0..20_000).filter(|n| n % 4 >= round).for_each(|n| sessions.add(&entry(1, n)));
        }
        sessions.add(&entry(1, NO_SESSION));
        let stats = sessions.stats(50_001).unwrap();
        assert!(stats.sampled_one_in >= 16 && (18_000..22_000).contains(&stats.count), "{stats:?}");
        assert_eq!((stats.depth.p50, stats.depth.max), (2, 4));
        assert!((stats.depth.mean - 2.5).abs() < 0.1 && stats.share < 1.0);
    }

    #[test]
    fn times_are_right_to_a_thousandth() {
        let mut times = Times::new();
        assert_eq!(times.quantiles(), None);
        (1..=1000u64).for_each(|ms| times.add(ms * 1_000_000));
        times.add(u64::MAX);
        let q = times.quantiles().unwrap();
        assert_eq!(q.count, 1001);
        assert!((q.p50_s - 0.501).abs() < 0.001 && (q.p90_s - 0.901).abs() < 0.001, "{q:?}");
        assert_eq!(q.max_s, u64::MAX as f64 / 1e9);
    }
}
