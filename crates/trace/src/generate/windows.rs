//! Arrivals in measured windows: a rate or a number of requests in each, and how irregular the gaps are.
//!
//! With numbers of requests a window has exactly its number. Its n gaps are drawn, stretched to fill the window, and turned by a
//! uniform part of the last one, which lies across the window's edges; for exponential gaps this is a Poisson process that is
//! known to have n arrivals. Stretched Gamma gaps of shape a have CV^2 = (n - 1) / (n a + 1) (Dirichlet), solved for a.
//! Must hold: one window is held.
use super::super::spec::at_share;
use super::gaps::{Draws, Gap};
use crate::{Family, Windows};
use baseload_core::random::{Even, dist};
use std::collections::VecDeque;

/// Measured gaps in a row that cover their law evenly, at most.
const EVENLY_MOST: u64 = 65_536;

/// A window with a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RateWindow {
    /// Start, s.
    pub start_s: f64,
    /// Requests a second.
    pub per_s: f64,
    /// Law of the gaps, in units of the mean gap.
    pub gap: Gap,
}

/// Draws arrivals of one kind or the other.
pub(super) enum WindowTimes {
    Counts(Counts),
    Rates(Rates),
}

impl WindowTimes {
    /// Follows a checked specification.
    pub fn new(windows: &Windows, draws: Draws) -> WindowTimes {
        if windows.requests.is_empty() {
            let width_s = windows.width.0 as f64 / 1e9;
            let of = |(i, &per_s): (usize, &f64)| {
                let cv = windows.cv.get(i).copied().unwrap_or(1.0).max(0.01);
                let gap = match windows.family {
                    Family::Gamma => Gap::Gamma { shape: 1.0 / (cv * cv) },
                    Family::Weibull => Gap::weibull(dist::weibull_shape(cv)),
                };
                RateWindow { start_s: i as f64 * width_s, per_s, gap }
            };
            let all = windows.per_s.iter().enumerate().map(of).collect();
            return WindowTimes::rates(all, windows.per_s.len() as f64 * width_s, draws);
        }
        WindowTimes::Counts(Counts {
            windows: windows.clone(),
            draws,
            window: 0,
            made: 0,
            ready: VecDeque::new(),
            gaps: Vec::new(),
            even: draws.even(windows.requests.iter().sum::<u64>().clamp(1, EVENLY_MOST)),
        })
    }

    /// Windows with rates, in order, until `end_s`.
    pub fn rates(windows: Vec<RateWindow>, end_s: f64, draws: Draws) -> WindowTimes {
        WindowTimes::Rates(Rates { windows, end_s, draws, window: 0, made: 0, now_s: 0.0 })
    }

    /// The next arrival, s.
    pub fn next_s(&mut self) -> Option<f64> {
        match self {
            WindowTimes::Counts(counts) => counts.next_s(),
            WindowTimes::Rates(rates) => rates.next_s(),
        }
    }
}

/// Windows with numbers of requests.
pub(super) struct Counts {
    windows: Windows,
    draws: Draws,
    window: usize,
    made: u64,
    ready: VecDeque<f64>,
    gaps: Vec<f64>,
    /// Ranks of measured gaps.
    even: Even,
}

impl Counts {
    fn next_s(&mut self) -> Option<f64> {
        while self.ready.is_empty() {
            if self.window >= self.windows.requests.len() {
                return None;
            }
            self.fill();
            self.window += 1;
        }
        self.ready.pop_front()
    }

    fn fill(&mut self) {
        let n = self.windows.requests[self.window];
        if n == 0 {
            return;
        }
        let width_s = self.windows.width.0 as f64 / 1e9;
        let start_s = self.window as f64 * width_s;
        let (first, last) = (self.window == 0, self.window + 1 == self.windows.requests.len());
        // Both ends are fixed: a gap less than there are requests.
        let gaps = if first && last { n - 1 } else { n };
        let cv = self.windows.cv.get(self.window).copied().unwrap_or(1.0);
        let gap = conditioned(self.windows.family, cv, gaps);
        self.gaps.clear();
        let (made, measured) = (self.made, &self.windows.gaps);
        if measured.is_empty() {
            self.gaps.extend((0..gaps).map(|i| gap.draw(&mut self.draws.gap(made + i))));
        } else {
            self.gaps.extend((0..gaps).map(|i| at_share(measured, self.even.at(made + i))));
        }
        self.made += n;
        let sum: f64 = self.gaps.iter().sum();
        let stretch = if sum > 0.0 { width_s / sum } else { 0.0 };
        let turn = match (first, last) {
            (true, _) => 0.0,
            (_, true) => 1.0,
            _ => dist::uniform01(&mut self.draws.other(self.window as u64)),
        };
        let across = if first && last { 0.0 } else { self.gaps.last().copied().unwrap_or(0.0) * stretch * turn };
        let mut at = across;
        self.ready.push_back(start_s + at.min(width_s));
        for gap in &self.gaps[..(n - 1) as usize] {
            at += gap * stretch;
            self.ready.push_back(start_s + at.min(width_s));
        }
    }
}

/// The law whose `n` draws, stretched to a given sum, have this CV.
fn conditioned(family: Family, cv: f64, n: u64) -> Gap {
    let n = n as f64;
    let cv2 = (cv * cv).max(1e-6);
    let shape = (((n - 1.0) / cv2 - 1.0) / n).clamp(0.005, 1e6);
    match family {
        Family::Gamma => Gap::Gamma { shape },
        Family::Weibull => Gap::weibull(dist::weibull_shape(libm::sqrt(1.0 / shape).clamp(0.01, 14.0))),
    }
}

/// Windows with rates: gaps in units of the mean gap, walked through the windows' rates.
pub(super) struct Rates {
    windows: Vec<RateWindow>,
    end_s: f64,
    draws: Draws,
    window: usize,
    made: u64,
    now_s: f64,
}

impl Rates {
    fn next_s(&mut self) -> Option<f64> {
        // A gap's law is that of the window in which it begins, or of the next one that has requests.
        while self.windows.get(self.window)?.per_s <= 0.0 {
            self.advance();
        }
        let mut left = self.windows[self.window].gap.draw(&mut self.draws.gap(self.made));
        self.made += 1;
        loop {
            let rate = self.windows.get(self.window)?.per_s;
            let fits = rate * (self.end_of(self.window) - self.now_s);
            if rate > 0.0 && left < fits {
                self.now_s += left / rate;
                return Some(self.now_s);
            }
            left -= fits;
            self.advance();
        }
    }

    fn end_of(&self, window: usize) -> f64 {
        self.windows.get(window + 1).map_or(self.end_s, |w| w.start_s)
    }

    fn advance(&mut self) {
        self.now_s = self.end_of(self.window);
        self.window += 1;
    }
}
