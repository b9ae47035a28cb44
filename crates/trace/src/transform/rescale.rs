//! More or fewer requests a second, with the bursts that there were.
//!
//! Requests are taken in windows, so many in a row that about [`WINDOW`] remain. A window of n requests that is to have k gets k of its own
//! gaps (a run of them that starts at a drawn place), stretched together to the window's length; so the
//! coefficient of variation of the gaps stays, and the rate follows that of the window. The k requests are those at the
//! ends of these gaps; a request that comes again is a new one. What is left of k over whole requests goes on to the next
//! window.
use super::{Diurnal, Spike, StageKey, renumber};
use baseload_core::random::mix;
use baseload_core::types::{Clock, Entries, Entry};
use baseload_core::types::{TraceFault, wrong};
use std::collections::VecDeque;

/// Requests that a window is to yield: few enough to follow a rate; enough that their gaps, stretched to the window's
/// length, lose little of their variance (gaps of coefficient of variation c lose about a share c^2 / k of it).
const WINDOW: f64 = 512.0;
/// Requests in a window at most, however few of them remain.
const LONGEST: f64 = 16_384.0;
/// Windows in a curve's period at least.
const WINDOWS_A_PERIOD: i64 = 96;
/// New numbers start here; those of traces stay below.
const COPY_BIT: u32 = 44;

/// How the factor changes over time, ns from the start.
enum Curve {
    Constant(f64),
    /// From, to, factor between.
    Spike(i64, i64, f64),
    /// Amplitude, peak, period.
    Diurnal(f64, i64, i64),
}

impl Curve {
    fn at(&self, ns: i64) -> f64 {
        match *self {
            Curve::Constant(times) => times,
            Curve::Spike(from, to, times) => {
                if (from..to).contains(&ns) {
                    times
                } else {
                    1.0
                }
            }
            Curve::Diurnal(amplitude, peak, period) => {
                let turn = (ns - peak).rem_euclid(period) as f64 / period as f64;
                1.0 + amplitude * libm::cos(2.0 * std::f64::consts::PI * turn)
            }
        }
    }

    /// The first instant after `ns` that a window may not reach over.
    fn edge(&self, ns: i64) -> i64 {
        match *self {
            Curve::Constant(_) => i64::MAX,
            Curve::Spike(from, to, _) => [from, to].into_iter().find(|&edge| edge > ns).unwrap_or(i64::MAX),
            Curve::Diurnal(_, _, period) => {
                let width = (period / WINDOWS_A_PERIOD).max(1);
                (ns / width + 1) * width
            }
        }
    }
}

/// Entries at another rate.
pub(super) struct Rescaled {
    inner: Box<dyn Entries>,
    curve: Curve,
    stage_key: StageKey,
    origin_ns: Option<i64>,
    /// Where the last window ended, ns from the start.
    from_ns: i64,
    /// Share of a request that is owed.
    owed: f64,
    windows: u64,
    ahead: Option<Entry>,
    window: Vec<Entry>,
    ready: VecDeque<Entry>,
    dry: bool,
}

impl Rescaled {
    pub(super) fn constant(inner: Box<dyn Entries>, times: f64, stage_key: StageKey) -> Box<dyn Entries> {
        Rescaled::over(inner, Curve::Constant(times), stage_key)
    }

    pub(super) fn spike(inner: Box<dyn Entries>, what: &Spike, stage_key: StageKey) -> Box<dyn Entries> {
        let from = what.at.0 as i64;
        Rescaled::over(inner, Curve::Spike(from, from.saturating_add(what.duration.0 as i64), what.times), stage_key)
    }

    pub(super) fn diurnal(inner: Box<dyn Entries>, what: &Diurnal, stage_key: StageKey) -> Box<dyn Entries> {
        let curve = Curve::Diurnal(what.amplitude, what.peak_at.0 as i64, what.period.0 as i64);
        Rescaled::over(inner, curve, stage_key)
    }

    fn over(inner: Box<dyn Entries>, curve: Curve, stage_key: StageKey) -> Box<dyn Entries> {
        let origin_ns = (inner.clock() == Clock::Zero).then_some(0);
        Box::new(Rescaled {
            inner,
            curve,
            stage_key,
            origin_ns,
            from_ns: 0,
            owed: 0.0,
            windows: 0,
            ahead: None,
            window: Vec::new(),
            ready: VecDeque::new(),
            dry: false,
        })
    }

    /// Next entry of the inner trace, its time from the start.
    fn pull(&mut self) -> Result<Option<Entry>, TraceFault> {
        if let Some(entry) = self.ahead.take() {
            return Ok(Some(entry));
        }
        let mut entry = Entry::blank();
        if !self.inner.next(&mut entry)? {
            return Ok(None);
        }
        let origin = *self.origin_ns.get_or_insert(entry.at_ns);
        entry.at_ns -= origin;
        Ok(Some(entry))
    }

    fn fill(&mut self) -> Result<(), TraceFault> {
        self.window.clear();
        let mut edge = self.curve.edge(self.from_ns);
        let mut last = self.from_ns;
        let factor = self.curve.at(self.from_ns).clamp(WINDOW / LONGEST, 1.0);
        while (self.window.len() as f64) < WINDOW / factor {
            let Some(entry) = self.pull()? else {
                self.dry = true;
                break;
            };
            if entry.at_ns < last {
                return Err(wrong!(
                    "{}: time goes back by {} s from the request before",
                    self.inner.place(),
                    (last - entry.at_ns) as f64 / 1e9
                )
                .hint("requests must be in order of arrival"));
            }
            if entry.at_ns >= edge && !self.window.is_empty() {
                self.ahead = Some(entry);
                break;
            }
            while entry.at_ns >= edge {
                self.from_ns = edge;
                edge = self.curve.edge(edge);
            }
            last = entry.at_ns;
            self.window.push(entry);
        }
        self.emit(last);
        self.from_ns = last;
        Ok(())
    }

    /// Makes of the window what it is to be.
    fn emit(&mut self, end_ns: i64) {
        let n = self.window.len();
        if n == 0 {
            return;
        }
        let start = self.from_ns;
        let factor = self.curve.at(self.window[n / 2].at_ns);
        self.windows += 1;
        if factor == 1.0 && self.owed == 0.0 {
            self.ready.extend(self.window.drain(..));
            return;
        }
        let wanted = n as f64 * factor + self.owed;
        let k = wanted.floor() as usize;
        self.owed = wanted - k as f64;
        if k == 0 {
            return;
        }
        // Fewer: a run of requests with their gaps. More: all in order, again and again, the gaps going round.
        let places = if k <= n { n - k + 1 } else { n };
        let first = (self.stage_key.uniform("trace.rescale", self.windows) * places as f64) as usize;
        let gap = |j: usize| {
            let i = (first + j) % n;
            let before = if i == 0 { start } else { self.window[i - 1].at_ns };
            i128::from(self.window[i].at_ns - before)
        };
        let total: i128 = (0..k).map(gap).sum();
        let length = i128::from(end_ns - start);
        let mut sum = 0i128;
        for j in 0..k {
            let i = if k <= n { first + j } else { j % n };
            sum += gap(j);
            // All at one instant: they stay there.
            let at = if total == 0 { i128::from(end_ns) } else { i128::from(start) + sum * length / total };
            let mut entry = self.window[i].clone();
            let round = (j / n) as u64;
            if round > 0 {
                let stage = u64::from(self.stage_key.stage + 1);
                let new = |id: u64| if id == self.window[i].id { copy_of(id, round, stage) } else { id };
                renumber(&mut entry, new, |name| name);
                entry.session = fresh_session(entry.session, round, stage);
            }
            entry.at_ns = at as i64;
            self.ready.push_back(entry);
        }
    }
}

/// A number for copy `round` of request `id`, apart from all numbers of the trace itself.
pub(super) fn copy_of(id: u64, round: u64, stage: u64) -> u64 {
    (1 << 63) | (mix(mix(id ^ (round << COPY_BIT)) ^ stage) >> 1)
}

/// A session for a copy: the same for all requests of the session in this round.
pub(super) fn fresh_session(session: u64, round: u64, stage: u64) -> u64 {
    if session == baseload_core::types::NO_SESSION { session } else { copy_of(session, round, stage) >> 1 }
}

impl Entries for Rescaled {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        while self.ready.is_empty() && !self.dry {
            self.fill()?;
        }
        Ok(entry.become_next(self.ready.pop_front()))
    }
    fn clock(&self) -> Clock {
        Clock::Zero
    }
    fn place(&self) -> String {
        self.inner.place()
    }
    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }
}
