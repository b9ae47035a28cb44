//! Whether a policy falls behind its arrivals, and by how much.
//!
//! In flight (requests that have arrived and not ended) is looked at where each tenth of the last half of the arrivals'
//! window ends. A policy is overloaded if a line through those ten points rises (its slope over the standard error, Student's t
//! with 8 degrees of freedom, is above 2.9: one in a hundred by chance) and if over 5 % of that half's arrivals were not
//! answered in it. A long drain or a queue at the end of a peak is neither.
//!
//! Must keep true: memory does not grow with requests (times are kept to 1/8192 of the longest); the same answer in
//! whatever order records come.
use super::super::verdict::summary::FallsBehind;
use baseload_core::types::SimTime;

/// Cells that times are counted in, at most.
const CELLS: usize = 8_192;
/// Width of a cell while the simulation is short enough for it, nanoseconds: about a millisecond.
const NARROWEST_NS: u64 = 1 << 20;
/// Points of the line.
const POINTS: u64 = 10;
/// Student's t from which the line rises.
const RISES: f64 = 2.9;
/// Share of the half's arrivals that must have been left unanswered.
const SHARE: f64 = 0.05;

/// Arrivals and ends of requests, by time.
#[derive(Debug, Clone)]
pub struct Backlog {
    width_ns: u64,
    /// Arrivals and ends in each cell.
    cells: Vec<[u32; 2]>,
}

impl Default for Backlog {
    fn default() -> Backlog {
        Backlog { width_ns: NARROWEST_NS, cells: Vec::new() }
    }
}

impl Backlog {
    /// A request arrived and ended at these times.
    pub fn request(&mut self, arrival: SimTime, ended: SimTime) {
        let last = ended.max(arrival);
        while last.0 / self.width_ns >= CELLS as u64 {
            self.width_ns *= 2;
            for i in 0..self.cells.len().div_ceil(2) {
                let other = self.cells.get(2 * i + 1).copied().unwrap_or_default();
                self.cells[i] = [0, 1].map(|k| self.cells[2 * i][k] + other[k]);
            }
            self.cells.truncate(self.cells.len().div_ceil(2));
        }
        for (k, at) in [arrival, ended].into_iter().enumerate() {
            let cell = (at.0 / self.width_ns) as usize;
            if self.cells.len() <= cell {
                self.cells.resize(cell + 1, [0; 2]);
            }
            self.cells[cell][k] += 1;
        }
    }

    /// Arrivals and ends before `at`, rounded down to a cell.
    fn before(&self, at: SimTime) -> [u64; 2] {
        let cell = ((at.0 / self.width_ns) as usize).min(self.cells.len());
        self.cells[..cell].iter().fold([0; 2], |sum, cell| [0, 1].map(|k| sum[k] + u64::from(cell[k])))
    }

    /// Whether what is in flight grew in the last half of a window with these ends, and by how much.
    pub fn falls_behind(&self, first: SimTime, last: SimTime) -> Option<FallsBehind> {
        let half = last.since(first).0 / 2;
        let start = last.0 - half;
        let at = |k: u64| self.before(SimTime(start + (u128::from(half) * u128::from(k) / u128::from(POINTS)) as u64));
        let points: Vec<f64> = (1..=POINTS).map(at).map(|[arrived, ended]| arrived as f64 - ended as f64).collect();
        let [before, after] = [at(0), at(POINTS)];
        let [arrived, ended] = [0, 1].map(|k| (after[k] - before[k]) as f64);
        let behind = rises(&points) && arrived - ended > SHARE * arrived;
        let per_s = |n: f64| n / SimTime(half).as_secs_f64();
        behind.then(|| FallsBehind { arrived_per_s: per_s(arrived), ended_per_s: per_s(ended) })
    }
}

/// Whether a line through evenly spaced points rises by more than chance.
fn rises(points: &[f64]) -> bool {
    let n = points.len() as f64;
    let mean = points.iter().sum::<f64>() / n;
    let at = |i: usize| i as f64 - (n - 1.0) / 2.0;
    let spread: f64 = (0..points.len()).map(|i| at(i) * at(i)).sum();
    let slope = points.iter().enumerate().map(|(i, y)| at(i) * (y - mean)).sum::<f64>() / spread;
    let off: f64 = points.iter().enumerate().map(|(i, y)| (y - mean - slope * at(i)).powi(2)).sum();
    slope > 0.0 && slope > RISES * (off / (n - 2.0) / spread).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(t: u64) -> SimTime {
        SimTime(t * 1_000_000)
    }

    /// `n` arrivals, 10 a second, each of which is under way for `stays` milliseconds.
    fn of(n: u64, stays: impl Fn(u64) -> u64) -> Option<FallsBehind> {
        let mut b = Backlog::default();
        (0..n).for_each(|i| b.request(ms(i * 100), ms(i * 100 + stays(i))));
        b.falls_behind(SimTime::ZERO, ms((n - 1) * 100))
    }

    #[test]
    fn who_answers_eight_of_ten_falls_behind_by_two_a_second() {
        let behind = of(6_000, |i| i * 25).unwrap();
        assert!((behind.arrived_per_s - 10.0).abs() < 0.1, "{behind:?}");
        assert!((behind.ended_per_s - 8.0).abs() < 0.1, "{behind:?}");
    }

    #[test]
    fn who_keeps_up_does_not_however_long_an_answer_takes() {
        assert_eq!(of(6_000, |_| 300), None);
        assert_eq!(of(6_000, |_| 60_000), None, "a minute each");
        assert_eq!(of(6_000, |i| 60_000 + (i % 7) * 100), None);
        assert_eq!(of(6_000, |i| if i < 3_000 { i * 25 } else { 75_000 }), None, "a queue that stopped growing");
        assert_eq!(of(6_000, |i| i), None, "one in a hundred");
        assert_eq!(of(2, |_| 900_000), None);
    }

    #[test]
    fn times_of_a_day_are_told_apart_as_well() {
        let (mut short, mut long) = (Backlog::default(), Backlog::default());
        for i in 0..6_000u64 {
            short.request(ms(i), ms(i * 5 / 4));
            long.request(ms(i * 14_400), ms(i * 18_000));
        }
        let of = |b: &Backlog, last| b.falls_behind(SimTime::ZERO, ms(last)).unwrap();
        let (short, long) = (of(&short, 5_999), of(&long, 5_999 * 14_400));
        let share = |b: FallsBehind| b.ended_per_s / b.arrived_per_s;
        assert!((share(short) - share(long)).abs() < 0.005, "{short:?} {long:?}");
    }

    proptest::proptest! {
        #[test]
        fn the_order_of_records_does_not_matter(
            mut lives in proptest::collection::vec((0u64..100_000, 0u64..10_000_000), 2..60),
        ) {
            let of = |lives: &[(u64, u64)]| {
                let mut b = Backlog::default();
                lives.iter().for_each(|(at, stays)| b.request(ms(*at), ms(at + stays)));
                (b.width_ns, b.cells)
            };
            let forward = of(&lives);
            lives.reverse();
            proptest::prop_assert_eq!(forward, of(&lives));
        }
    }
}
