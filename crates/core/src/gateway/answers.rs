//! Whether a model's answer to a request is above the bar, and how that drifts where a provider changes a model silently.
//!
//! May import `types`, `random`. What decides or judges holds these by `Arc`; a `RequestView` has nothing of them, so no
//! policy can read an outcome by mistake: only a predictor of stated quality and the policy that is named oracle do.
//! Must keep true: an outcome depends on the seed, the model, the request and its arrival alone, so that all policies meet
//! the same answers; a share that falls takes answers away and brings none, and the other way round.
use crate::random::{self, StreamFamily, StreamKey, dist, stream};
use crate::types::SimTime;
use std::sync::Arc;

/// Seconds of a year of 365.25 days, in which rates of change are given.
const YEAR_S: f64 = 31_557_600.0;
/// Changes are drawn for so many years; later than that a model stays what it is.
const YEARS: f64 = 10.0;

/// Where outcomes come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcomes {
    /// This share of answers is above the bar, 0 to 1; which ones, is drawn for each request.
    Share(f64),
    /// Measured outcomes: one a request, by the request's index in the trace.
    Rows {
        /// The outcomes, at least one.
        rows: Arc<[bool]>,
        /// Whether the rows start again after the last; else later requests have none.
        repeat: bool,
    },
}

impl Outcomes {
    /// The share above the bar, 0 to 1.
    pub fn share(&self) -> f64 {
        match self {
            Outcomes::Share(share) => *share,
            Outcomes::Rows { rows, .. } => rows.iter().filter(|good| **good).count() as f64 / rows.len() as f64,
        }
    }
    /// The measured outcome of a request; `None` where it has no row, or where outcomes are drawn.
    fn row(&self, request: u64) -> Option<bool> {
        let Outcomes::Rows { rows, repeat } = self else { return None };
        let at = if *repeat { request % rows.len() as u64 } else { request };
        usize::try_from(at).ok().and_then(|at| rows.get(at).copied())
    }
}

/// How models that are not pinned change: at the dates of a Poisson process, by normal steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Changes a year.
    pub changes_per_year: f64,
    /// Standard deviation of a step of the share above the bar; its mean is 0.
    pub step_sd: f64,
}

/// The answers of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    outcomes: Outcomes,
    /// The share at the start.
    start: f64,
    luck: StreamFamily,
    /// From when on the share is another, in order.
    levels: Vec<(SimTime, f64)>,
}

impl Answers {
    /// Answers of the model with this name: equal names, equal luck.
    pub fn new(model: &str, outcomes: Outcomes, seed: u64, replicate: u32) -> Answers {
        let luck = StreamKey { seed, replicate, name: "quality" }.family().of(random::fnv1a(model.as_bytes()));
        Answers { start: outcomes.share(), outcomes, luck, levels: Vec::new() }
    }

    /// These answers of an alias that is not pinned, so that their share above the bar drifts. The `k`-th change (its
    /// distance from the one before, and its step) is drawn from number `k` of the stream `drift/MODEL`.
    pub fn drifting(mut self, model: &str, drift: Drift, seed: u64, replicate: u32) -> Answers {
        let name = format!("drift/{model}");
        let (mut at_s, mut level) = (0.0, self.start);
        for k in 0.. {
            let mut draws = stream(seed, replicate, &name, k, 0);
            at_s += dist::exponential(&mut draws, YEAR_S / drift.changes_per_year);
            if at_s > YEARS * YEAR_S {
                break;
            }
            level = dist::normal(&mut draws, level, drift.step_sd).clamp(0.0, 1.0);
            self.levels.push((SimTime::from_secs_f64(at_s), level));
        }
        self
    }

    /// The share above the bar at the start, 0 to 1.
    pub fn share(&self) -> f64 {
        self.start
    }

    /// The share above the bar at an instant, 0 to 1.
    pub fn share_at(&self, at: SimTime) -> f64 {
        let passed = self.levels.partition_point(|(from, _)| *from <= at);
        passed.checked_sub(1).map_or(self.start, |last| self.levels[last].1)
    }

    /// Rows that there are for requests, where they end.
    pub fn rows(&self) -> Option<u64> {
        match &self.outcomes {
            Outcomes::Rows { rows, repeat: false } => Some(rows.len() as u64),
            _ => None,
        }
    }

    /// Whether the answer to a request is above the bar, by the version of the model at the request's arrival. `None` where
    /// it has no row.
    pub fn above_bar(&self, request: u64, arrival: SimTime) -> Option<bool> {
        let luck = || dist::uniform01(&mut self.luck.at(request, 0));
        let share = if self.levels.is_empty() { self.start } else { self.share_at(arrival) };
        if let Outcomes::Share(_) = self.outcomes {
            return Some(luck() < share);
        }
        let good = self.outcomes.row(request)?;
        // A table says what each answer was at the start: so many of the right ones turn, or of the wrong ones.
        Some(match good {
            _ if share == self.start => good,
            true if share < self.start => luck() < share / self.start,
            false if share > self.start => luck() < (share - self.start) / (1.0 - self.start),
            _ => good,
        })
    }
}

/// Two models, of which a request needs the strong one where that is right and the weak one is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Answers of the weak model, which serves what does not need the strong one.
    pub weak: Arc<Answers>,
    /// Answers of the strong model, the dear one.
    pub strong: Arc<Answers>,
}

impl Pair {
    /// Whether a request needs the strong model; not, where it has no row.
    pub fn needs_strong(&self, request: u64, arrival: SimTime) -> bool {
        let above = |answers: &Answers| answers.above_bar(request, arrival);
        above(&self.weak) == Some(false) && above(&self.strong) == Some(true)
    }
    /// The share of requests that do, at the start.
    pub fn share(&self) -> f64 {
        match (&self.weak.outcomes, &self.strong.outcomes) {
            (Outcomes::Rows { rows: weak, .. }, Outcomes::Rows { rows: strong, .. }) => {
                let n = weak.len().min(strong.len());
                weak.iter().zip(strong.iter()).filter(|(weak, strong)| !**weak && **strong).count() as f64 / n as f64
            }
            // One model's draw says nothing of the other's, so their shares multiply.
            _ => (1.0 - self.weak.share()) * self.strong.share(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: u64 = 20_000;

    fn share_of(answers: &Answers, at: SimTime) -> f64 {
        (0..N).filter(|i| answers.above_bar(*i, at) == Some(true)).count() as f64 / N as f64
    }
    fn measured(share: f64) -> Outcomes {
        Outcomes::Rows { rows: (0..N).map(|i| (i as f64) < share * N as f64).collect(), repeat: false }
    }

    #[test]
    fn a_share_is_drawn_by_request_and_model_alone() {
        let of = |model, share, seed| Answers::new(model, Outcomes::Share(share), seed, 0);
        let (low, high, other) = (of("m", 0.6, 1), of("m", 0.7, 1), of("n", 0.6, 1));
        assert!((share_of(&low, SimTime::ZERO) - 0.6).abs() < 0.015);
        let all = |a: &Answers| (0..N).map(|i| a.above_bar(i, SimTime::ZERO).unwrap()).collect::<Vec<bool>>();
        assert!(all(&low).iter().zip(all(&high)).all(|(low, high)| !low || high), "a better model is right there, too");
        assert!(all(&low) != all(&other) && all(&low) != all(&of("m", 0.6, 2)) && all(&low) == all(&of("m", 0.6, 1)));
        let both = all(&low).iter().zip(all(&other)).filter(|(a, b)| **a && *b).count() as f64 / N as f64;
        assert!((both - 0.36).abs() < 0.015, "models are drawn apart: {both}");
    }

    #[test]
    fn rows_are_as_measured_and_end_or_start_again() {
        let rows: Arc<[bool]> = [true, false, true].into();
        let of = |repeat| Answers::new("m", Outcomes::Rows { rows: rows.clone(), repeat }, 1, 0);
        let all = |a: &Answers| (0..5).map(|i| a.above_bar(i, SimTime(7))).collect::<Vec<_>>();
        assert_eq!(all(&of(false)), [Some(true), Some(false), Some(true), None, None]);
        assert_eq!(all(&of(true)), [true, false, true, true, false].map(Some));
        assert_eq!((of(false).rows(), of(true).rows()), (Some(3), None));
    }

    #[test]
    fn an_alias_moves_at_drawn_dates_and_a_pinned_model_never() {
        let drift = Drift { changes_per_year: 400.0, step_sd: 0.05 };
        for outcomes in [Outcomes::Share(0.7), measured(0.7)] {
            let pinned = Answers::new("m", outcomes.clone(), 1, 0);
            let alias = pinned.clone().drifting("m", drift, 1, 0);
            let n = alias.levels.len() as f64;
            assert!((n / YEARS / 400.0 - 1.0).abs() < 0.05, "Poisson of 4,000: {n}");
            let steps = alias.levels.windows(2).map(|w| w[1].1 - w[0].1);
            let inside = steps.filter(|s| *s != 0.0).map(|s| s * s).sum::<f64>() / (n - 1.0);
            assert!((0.03..0.052).contains(&libm::sqrt(inside)), "0.05, less at the ends: {inside}");
            let (mut worst, mut best) = (1.0f64, 0.0f64);
            for day in 0..60 {
                let at = SimTime::from_secs(day * 86_400);
                let level = alias.share_at(at);
                (worst, best) = (worst.min(level), best.max(level));
                assert!((share_of(&alias, at) - level).abs() < 0.015, "{level}: {}", share_of(&alias, at));
                for i in (0..N).step_by(37) {
                    let (was, is) = (pinned.above_bar(i, at).unwrap(), alias.above_bar(i, at).unwrap());
                    assert!(was == is || is == (level > 0.7), "what a model loses it does not gain elsewhere");
                }
            }
            assert!(worst < 0.65 && best > 0.7, "it moved: {worst} to {best}");
            assert_eq!(alias.above_bar(3, SimTime::ZERO), pinned.above_bar(3, SimTime::ZERO));
            assert!(pinned.share_at(SimTime::from_secs(1 << 30)) == 0.7);
        }
        let of = |model| Answers::new(model, Outcomes::Share(0.7), 1, 0).drifting(model, drift, 1, 0).levels;
        assert!(of("m") != of("n") && of("m") == of("m"));
        let twice = Drift { changes_per_year: 800.0, ..drift };
        let fast = Answers::new("m", Outcomes::Share(0.7), 1, 0).drifting("m", twice, 1, 0).levels;
        assert!((fast[9].0.as_secs_f64() * 2.0 - of("m")[9].0.as_secs_f64()).abs() < 1e-6, "the same changes, sooner");
        assert_eq!(fast[9].1, of("m")[9].1);
    }

    #[test]
    fn a_pair_needs_the_strong_model_where_only_that_is_right() {
        let of = |name, rows: [bool; 4]| {
            Arc::new(Answers::new(name, Outcomes::Rows { rows: rows.into(), repeat: false }, 1, 0))
        };
        let pair = Pair { weak: of("w", [true, false, false, true]), strong: of("s", [true, true, false, false]) };
        let needs: Vec<bool> = (0..5).map(|i| pair.needs_strong(i, SimTime::ZERO)).collect();
        assert_eq!(needs, [false, true, false, false, false]);
        assert_eq!(pair.share(), 0.25);
        let drawn = |name, share| Arc::new(Answers::new(name, Outcomes::Share(share), 1, 0));
        let pair = Pair { weak: drawn("w", 0.7), strong: drawn("s", 0.9) };
        let n = (0..N).filter(|i| pair.needs_strong(*i, SimTime::ZERO)).count() as f64;
        assert!((pair.share() - 0.27).abs() < 1e-12 && (n / N as f64 - 0.27).abs() < 0.015);
    }
}
