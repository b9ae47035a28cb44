//! When requests come: rate over time, how uneven the gaps are, how uneven counts are in windows. Memory does not grow.
use baseload_core::types::{TraceFault, wrong};
use serde::Serialize;

/// Windows of the index of dispersion, s.
const WINDOWS_S: [u64; 3] = [1, 10, 60];
/// Bins that the rate is counted in at most; when they are full, two and two become one.
const MOST_BINS: usize = 4096;
/// Width of a bin at first, ns.
const FIRST_BIN_NS: u64 = 1_000_000;
/// Points of the rate over time that are given away at most.
const POINTS: u64 = 240;
/// Requests that a point of the rate has in the mean at least: fewer draw luck, not a rate.
const EACH: u64 = 8;
/// Windows that an index of dispersion needs.
const LEAST_WINDOWS: u64 = 10;

/// When requests come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArrivalStats {
    /// First arrival to last, s.
    pub span_s: f64,
    /// Gaps a second: (count - 1) / span; 0 where all arrive at once.
    pub rate_per_s: f64,
    /// Standard deviation of the gaps by their mean; 1 for Poisson, 0 where there are none.
    pub gap_cv: f64,
    /// Index of dispersion of counts, for windows of 1, 10 and 60 s.
    pub dispersion: Vec<Dispersion>,
    /// Rate over time.
    pub rate: RateSeries,
}

/// How uneven the counts of requests in windows of time are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dispersion {
    /// The windows' width, s.
    pub window_s: u64,
    /// Whole windows from the first arrival on.
    pub windows: u64,
    /// Variance of the counts by their mean; 1 for Poisson at any width, above for bursts. `None` under 10 windows.
    pub index: Option<f64>,
}

/// Requests a second in equal bins of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RateSeries {
    /// A bin's width, s.
    pub bin_s: f64,
    /// Requests a second in each bin from the first arrival on: at most 240, and one for 8 requests.
    pub per_s: Vec<f64>,
}

impl RateSeries {
    /// At most `most` bins, each the mean of as many of these.
    pub fn coarser(&self, most: usize) -> RateSeries {
        let group = self.per_s.len().div_ceil(most.max(1)).max(1);
        let mean = |bins: &[f64]| bins.iter().sum::<f64>() / bins.len() as f64;
        RateSeries { bin_s: self.bin_s * group as f64, per_s: self.per_s.chunks(group).map(mean).collect() }
    }
}

/// Takes arrivals in order.
pub(super) struct Arrivals {
    first_ns: i64,
    last_ns: u64,
    count: u64,
    /// Welford's running mean and sum of squares of the gaps, ns.
    gap_mean: f64,
    gap_squares: f64,
    windows: [Windows; 3],
    bin_ns: u64,
    bins: Vec<u64>,
}

/// Exact sums of counts of whole windows.
#[derive(Clone, Copy)]
struct Windows {
    width_ns: u64,
    /// Requests in the window that is open.
    open: u64,
    closed: u64,
    sum: u64,
    squares: u128,
}

impl Arrivals {
    pub(super) fn new() -> Arrivals {
        let window = |s: u64| Windows { width_ns: s * 1_000_000_000, open: 0, closed: 0, sum: 0, squares: 0 };
        Arrivals {
            first_ns: 0,
            last_ns: 0,
            count: 0,
            gap_mean: 0.0,
            gap_squares: 0.0,
            windows: WINDOWS_S.map(window),
            bin_ns: FIRST_BIN_NS,
            bins: Vec::new(),
        }
    }

    /// The next arrival, on any clock.
    ///
    /// # Errors
    /// When it goes back, by how much.
    pub(super) fn add(&mut self, at_ns: i64) -> Result<(), TraceFault> {
        if self.count == 0 {
            self.first_ns = at_ns;
        }
        let since = i128::from(at_ns) - i128::from(self.first_ns);
        if since < i128::from(self.last_ns) {
            let back = (i128::from(self.last_ns) - since) as f64 / 1e9;
            return Err(wrong!("time goes back by {back} s from the request before")
                .hint("requests must be in order of arrival, or give --sort"));
        }
        let at = since as u64;
        if self.count > 0 {
            let gap = (at - self.last_ns) as f64;
            let delta = gap - self.gap_mean;
            self.gap_mean += delta / self.count as f64;
            self.gap_squares += delta * (gap - self.gap_mean);
        }
        self.count += 1;
        self.last_ns = at;
        self.windows.iter_mut().for_each(|w| w.add(at));
        while at / self.bin_ns >= MOST_BINS as u64 {
            self.bins = self.bins.chunks(2).map(|two| two.iter().sum()).collect();
            self.bin_ns *= 2;
        }
        let bin = (at / self.bin_ns) as usize;
        if bin >= self.bins.len() {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] += 1;
        Ok(())
    }

    pub(super) fn stats(&self) -> ArrivalStats {
        let span_s = self.last_ns as f64 / 1e9;
        let gaps = self.count.saturating_sub(1) as f64;
        ArrivalStats {
            span_s,
            rate_per_s: if span_s > 0.0 { gaps / span_s } else { 0.0 },
            gap_cv: if self.gap_mean > 0.0 { libm::sqrt(self.gap_squares / gaps) / self.gap_mean } else { 0.0 },
            dispersion: self.windows.iter().map(|w| w.dispersion(self.last_ns)).collect(),
            rate: self.rate(),
        }
    }

    fn rate(&self) -> RateSeries {
        let points = (self.count / EACH).clamp(1, POINTS) as usize;
        let group = self.bins.len().div_ceil(points).max(1);
        let width_ns = self.bin_ns * group as u64;
        let bin_s = width_ns as f64 / 1e9;
        let mut counts: Vec<u64> = self.bins.chunks(group).map(|g| g.iter().sum()).collect();
        // The last bin is covered up to the last arrival only; a sliver would show a rate that never was.
        let covered = (self.last_ns - (counts.len().max(1) as u64 - 1) * width_ns) as f64 / width_ns as f64;
        let mut covered_s = bin_s;
        if counts.len() > 1 {
            if covered < 0.5 {
                counts.pop();
            } else {
                covered_s = bin_s * covered;
            }
        } else if covered > 0.0 {
            covered_s = bin_s * covered;
        }
        let last = counts.len().saturating_sub(1);
        let per_s = |(i, n): (usize, &u64)| *n as f64 / if i == last { covered_s } else { bin_s };
        RateSeries { bin_s, per_s: counts.iter().enumerate().map(per_s).collect() }
    }
}

impl Windows {
    fn add(&mut self, at: u64) {
        self.close(at);
        self.open += 1;
    }

    /// Closes the windows that end at `at` or before.
    fn close(&mut self, at: u64) {
        let window = at / self.width_ns;
        if window > self.closed {
            self.sum += self.open;
            self.squares += u128::from(self.open) * u128::from(self.open);
            // Those between hold nothing.
            self.closed = window;
            self.open = 0;
        }
    }

    fn dispersion(&self, last_ns: u64) -> Dispersion {
        let mut done = *self;
        done.close(last_ns);
        let n = done.closed;
        let index = (n >= LEAST_WINDOWS && done.sum > 0).then(|| {
            let (n, sum) = (n as f64, done.sum as f64);
            // n * squares - sum^2, exactly, before anything is rounded.
            let spread = u128::from(done.closed) * done.squares - u128::from(done.sum) * u128::from(done.sum);
            spread as f64 / (n * (n - 1.0)) / (sum / n)
        });
        Dispersion { window_s: self.width_ns / 1_000_000_000, windows: n, index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000_000;

    fn stats(times: &[i64]) -> ArrivalStats {
        let mut arrivals = Arrivals::new();
        times.iter().for_each(|t| arrivals.add(*t).unwrap());
        arrivals.stats()
    }

    #[test]
    fn equal_gaps_have_no_spread_and_bursts_have_a_known_one() {
        let even: Vec<i64> = (0..=120).map(|i| i * S / 2).collect();
        let s = stats(&even);
        assert_eq!((s.span_s, s.rate_per_s, s.gap_cv), (60.0, 2.0, 0.0));
        assert_eq!(s.dispersion[0], Dispersion { window_s: 1, windows: 60, index: Some(0.0) });
        assert_eq!((s.dispersion[1].windows, s.dispersion[2].index), (6, None));
        assert!(s.rate.coarser(10).per_s.iter().all(|r| (1.9..2.2).contains(r)), "{:?}", s.rate);
        // Four at once each second one: counts 4, 0, 4, 0, ... of 20 whole windows: mean 2, variance 20 * 4 / 19.
        let bursts: Vec<i64> = (0..=10).flat_map(|i| [i * 2 * S; 4]).collect();
        let index = stats(&bursts).dispersion[0].index.unwrap();
        assert!((index - 80.0 / 19.0 / 2.0).abs() < 1e-12, "{index}");
        assert!(Arrivals::new().add(i64::MIN).is_ok());
    }

    #[test]
    fn time_that_goes_back_is_refused() {
        let mut arrivals = Arrivals::new();
        arrivals.add(5 * S).unwrap();
        let error = arrivals.add(4 * S).unwrap_err().to_string();
        assert!(error.contains("back by 1 s") && error.contains("--sort"), "{error}");
    }

    proptest! {
        #[test]
        fn windows_and_bins_are_those_of_a_plain_count(
            mut times in prop::collection::vec(0i64..400 * S, 1..200), origin in -5 * S..5 * S
        ) {
            times.sort_unstable();
            let moved: Vec<i64> = times.iter().map(|t| t + origin).collect();
            let s = stats(&moved);
            let since: Vec<i64> = times.iter().map(|t| t - times[0]).collect();
            let last = *since.last().unwrap();
            for d in &s.dispersion {
                let width = d.window_s as i64 * S;
                let whole = last / width;
                prop_assert_eq!(d.windows as i64, whole);
                if whole < 10 {
                    prop_assert_eq!(d.index, None);
                    continue;
                }
                let counts: Vec<f64> =
                    (0..whole).map(|w| since.iter().filter(|t| **t / width == w).count() as f64).collect();
                let mean = counts.iter().sum::<f64>() / whole as f64;
                let variance = counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / (whole - 1) as f64;
                prop_assert!((d.index.unwrap() - variance / mean).abs() < 1e-9);
            }
            prop_assert!(s.rate.per_s.len() <= 240);
            if s.rate.per_s.len() > 2 {
                let width = (s.rate.bin_s * 1e9).round() as i64;
                let n = since.iter().filter(|t| **t / width == 1).count();
                prop_assert!((s.rate.per_s[1] - n as f64 / s.rate.bin_s).abs() < 1e-9);
            }
        }
    }
}
