//! Which stretch of time a policy's figures are over.
//!
//! Load generators count from the first arrival to the last answer, so that no throughput exceeds what the hardware did; a
//! month's spend follows the arrivals, which the trace stands for, not how long a policy took to answer them. Where nothing
//! can be told from the arrivals' window, the answers' counts for both. Must keep true: every stretch begins at the first
//! arrival and holds the arrivals' window.
use baseload_core::sim::SimStats;
use baseload_core::types::SimTime;

/// How often the median of the least E2E goes into a window in which a queue that grows says something.
const TELLS: u64 = 10;

/// Stretches of one simulation, from its first arrival on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// To the last arrival.
    pub arrivals: SimTime,
    /// To the last answer: what is counted a second is over it.
    pub served: SimTime,
    /// To the last answer of work that may not wait, where there is any: batch tiers answer a day later while the fleet goes on
    /// with the next day. Dollars a million tokens are over it.
    pub in_haste: SimTime,
    /// What the arrivals came in: users who wait for answers.
    closed: bool,
    /// Whether the arrivals are one burst: all are there before a typical one could be answered, so that their window is under
    /// the median of the least E2E.
    pub burst: bool,
    /// Whether the window is under ten times that.
    short: bool,
}

impl Window {
    /// The window of a simulation that ended with `stats`. `closed`: arrivals waited for answers; `least_e2e_s`: the median
    /// of what each request takes at least, where it is known.
    pub fn of(stats: &SimStats, closed: bool, least_e2e_s: Option<f64>) -> Window {
        let arrivals = stats.last_arrival.since(stats.first_arrival);
        let to = |end: SimTime| end.max(stats.last_arrival).since(stats.first_arrival);
        let in_haste = if stats.ended_in_haste == SimTime::ZERO { stats.ended } else { stats.ended_in_haste };
        let least = SimTime((least_e2e_s.unwrap_or(0.0) * 1e9) as u64);
        let burst = arrivals == SimTime::ZERO || arrivals < least;
        let short = burst || arrivals.0 < least.0.saturating_mul(TELLS);
        Window { arrivals, served: to(stats.ended), in_haste: to(in_haste), closed, burst, short }
    }

    /// What a month's spend is scaled from.
    pub fn billed(&self) -> SimTime {
        if self.closed || self.burst { self.in_haste } else { self.arrivals }
    }

    /// Whether a queue that grows in it says anything: not where users wait for answers, nor in a window of a few answers.
    pub fn shows_overload(&self) -> bool {
        !self.closed && !self.short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> SimTime {
        SimTime::from_secs(seconds)
    }

    fn stats(arrivals: [u64; 2], ended: u64, in_haste: u64) -> SimStats {
        SimStats {
            first_arrival: s(arrivals[0]),
            last_arrival: s(arrivals[1]),
            ended: s(ended),
            ended_in_haste: s(in_haste),
            ..SimStats::default()
        }
    }

    #[test]
    fn what_is_counted_is_over_the_answers_and_a_month_over_the_arrivals() {
        let hour = Window::of(&stats([10, 3610], 3700, 3700), false, Some(8.0));
        assert_eq!((hour.arrivals, hour.served, hour.billed()), (s(3600), s(3690), s(3600)));
        assert!(hour.shows_overload() && !hour.burst);
        let users = Window::of(&stats([0, 100], 113, 113), true, Some(8.0));
        assert_eq!((users.served, users.billed(), users.shows_overload()), (s(113), s(113), false));
    }

    #[test]
    fn a_burst_has_no_window_of_its_own() {
        let at_once = Window::of(&stats([5, 5], 37, 37), false, None);
        assert_eq!((at_once.billed(), at_once.burst), (s(32), true));
        let just = |least| Window::of(&stats([0, 80], 90, 90), false, Some(least)).billed();
        assert_eq!((just(80.0), just(80.01)), (s(80), s(90)));
        let few = Window::of(&stats([0, 79], 300, 300), false, Some(8.0));
        assert_eq!(
            (few.shows_overload(), few.burst, few.billed()),
            (false, false, s(79)),
            "a month follows the arrivals"
        );
    }

    #[test]
    fn work_that_may_wait_a_day_makes_no_window_a_day_long() {
        let w = Window::of(&stats([0, 3600], 90_000, 3_620), false, Some(8.0));
        assert_eq!((w.served, w.in_haste, w.billed()), (s(90_000), s(3_620), s(3_600)));
        let all_may_wait = Window::of(&stats([0, 0], 90_000, 0), false, Some(8.0));
        assert_eq!(all_may_wait.in_haste, s(90_000));
        let turned_away = Window::of(&stats([0, 60], 50, 50), false, Some(1.0));
        assert_eq!(turned_away.served, s(60), "the last arrivals were refused at once");
    }
}
