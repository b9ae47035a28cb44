//! What two traces are compared by, in one pass each.
//!
//! The prefix-hit ratio is that of `trace info`'s cache without limit: the share of all prompt tokens that a cache in blocks of
//! [`BLOCK_TOKENS`] serves which holds every prompt sent before and nothing else (no answers).
//! Must hold: memory grows with distinct lengths, distinct runs of text and sessions only.
use super::stats::{BLOCK_TOKENS, Counts, Quantiles};
use super::trie::{Hit, Prefixes};
use baseload_core::types::TraceFault;
use baseload_core::types::{Clock, Entries, Entry, NO_SESSION, served_prefix};
use rustc_hash::FxHashMap;
use serde::Serialize;

/// What a trace looks like to `trace compare` and to what is fitted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Requests.
    pub requests: u64,
    /// (requests - 1) / (last arrival - first arrival), 1/s; `None` where the trace does not say when sessions start.
    pub rate_per_s: Option<f64>,
    /// Standard deviation of the gaps between arrivals by their mean; `None` where the trace does not say when sessions start.
    pub gap_cv: Option<f64>,
    /// Prompt tokens.
    pub prompt_tokens: Quantiles,
    /// Output tokens, 0 counted as it stands.
    pub output_tokens: Quantiles,
    /// Infinite-cache prefix-hit ratio; `None` where no text is named.
    pub hit_ratio: Option<f64>,
    /// Sessions, where there are any.
    pub sessions: Option<SessionFigures>,
}

/// What sessions look like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionFigures {
    /// Number of sessions.
    pub count: u64,
    /// Requests of each.
    pub depth: Quantiles,
    /// Milliseconds from the start of a request to its session's next.
    pub gap_ms: Quantiles,
}

/// Gathers figures.
#[derive(Default)]
pub struct Gather {
    requests: u64,
    prompts: Counts,
    outputs: Counts,
    prompt_total: u128,
    seen: Prefixes,
    named: bool,
    hit: u64,
    first_ns: i64,
    last_ns: i64,
    mean: f64,
    squares: f64,
    sessions: FxHashMap<u64, (u32, i64)>,
    gaps: Counts,
}

impl Gather {
    /// Adds the next entry; returns what earlier prompts have of its prompt, token by token.
    pub fn add(&mut self, entry: &Entry) -> Hit {
        if self.requests == 0 {
            self.first_ns = entry.at_ns;
        } else {
            let gap = (entry.at_ns - self.last_ns) as f64;
            let delta = gap - self.mean;
            self.mean += delta / self.requests as f64;
            self.squares += delta * (gap - self.mean);
        }
        self.last_ns = entry.at_ns;
        self.requests += 1;
        self.prompts.add(entry.prompt_tokens);
        self.outputs.add(entry.output_tokens);
        self.prompt_total += u128::from(entry.prompt_tokens);
        self.named |= !entry.content.is_empty();
        let hit = self.seen.insert(entry);
        self.hit += u64::from(served_prefix(hit.tokens, entry.prompt_tokens, BLOCK_TOKENS));
        if entry.session != NO_SESSION {
            let (turns, last) = self.sessions.entry(entry.session).or_insert((0, entry.at_ns));
            if *turns > 0 {
                let gap_ms = (entry.at_ns - *last).max(0) / 1_000_000;
                self.gaps.add(u32::try_from(gap_ms).unwrap_or(u32::MAX));
            }
            *turns += 1;
            *last = entry.at_ns;
        }
        hit
    }

    /// The figures of what came; `clock` is the trace's.
    ///
    /// # Errors
    /// When nothing came.
    pub fn figures(&self, clock: Clock) -> Result<Figures, TraceFault> {
        if self.requests == 0 {
            return Err(TraceFault::no_requests());
        }
        let timed = matches!(clock, Clock::Common | Clock::Zero);
        let (gaps, span_s) = (self.requests - 1, (self.last_ns - self.first_ns) as f64 / 1e9);
        let mut depths = Counts::default();
        self.sessions.values().for_each(|(turns, _)| depths.add(*turns));
        let sessions = self.sessions.len() as u64;
        Ok(Figures {
            requests: self.requests,
            rate_per_s: timed.then(|| if span_s > 0.0 { gaps as f64 / span_s } else { 0.0 }),
            gap_cv: timed.then(
                || {
                    if self.mean > 0.0 { libm::sqrt(self.squares / gaps as f64) / self.mean } else { 0.0 }
                },
            ),
            prompt_tokens: self.prompts.quantiles(),
            output_tokens: self.outputs.quantiles(),
            hit_ratio: self.named.then(|| self.hit as f64 / self.prompt_total as f64),
            sessions: (sessions > 0).then(|| SessionFigures {
                count: sessions,
                depth: depths.quantiles(),
                gap_ms: self.gaps.quantiles(),
            }),
        })
    }
}

impl Figures {
    /// Reads `entries` to their end.
    ///
    /// # Errors
    /// The reader's, or that there are none.
    pub fn of(entries: &mut dyn Entries) -> Result<Figures, TraceFault> {
        Figures::first(entries, u64::MAX)
    }

    /// Reads the first `most` entries.
    ///
    /// # Errors
    /// As [`Figures::of`].
    pub fn first(entries: &mut dyn Entries, most: u64) -> Result<Figures, TraceFault> {
        let (mut gather, mut entry) = (Gather::default(), Entry::blank());
        while gather.requests < most && entries.next(&mut entry)? {
            gather.add(&entry);
        }
        gather.figures(entries.clock())
    }
}

/// What a difference is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Per cent of the first.
    Percent,
    /// Percentage points.
    Points,
}

/// What a difference may be at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How far rates may differ, per cent of the first trace's.
    pub rate: f64,
    /// How far the CVs of inter-arrival times may differ, per cent of the first trace's.
    pub cv: f64,
    /// How far each p50, p90 and p99 of prompt and output tokens may differ, per cent of the first trace's.
    pub tokens: f64,
    /// How far hit ratios may differ, percentage points.
    pub hit: f64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { rate: 2.0, cv: 10.0, tokens: 5.0, hit: 2.0 }
    }
}

/// A figure of both traces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// What the figure is of.
    pub name: &'static str,
    /// The figure of the first trace; `None`: the trace does not say.
    pub a: Option<f64>,
    /// The figure of the second trace; `None`: the trace does not say.
    pub b: Option<f64>,
    /// How the difference is given.
    pub unit: Unit,
    /// What the difference may be at most; `None`: it is shown only.
    pub limit: Option<f64>,
    /// Digits after the point.
    pub digits: usize,
}

impl Row {
    /// The difference, where both say.
    pub fn difference(&self) -> Option<f64> {
        let (a, b) = (self.a?, self.b?);
        Some(match self.unit {
            Unit::Percent if a == b => 0.0,
            Unit::Percent => (b - a) / a.abs() * 100.0,
            Unit::Points => b - a,
        })
    }
    /// Whether it is within its limit. What only one of the two says is not; what neither says is.
    pub fn holds(&self) -> bool {
        let Some(limit) = self.limit else { return true };
        match (self.a, self.b) {
            (None, None) => true,
            _ => self.difference().is_some_and(|d| d.abs() <= limit),
        }
    }
}

/// Figures of both traces side by side, those with a limit first.
pub fn rows(a: &Figures, b: &Figures, limits: &Limits) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |name, f: &dyn Fn(&Figures) -> Option<f64>, unit, limit, digits| {
        rows.push(Row { name, a: f(a), b: f(b), unit, limit, digits });
    };
    // Where one trace does not say when sessions start, there is no rate to compare.
    let timed = a.rate_per_s.is_some() && b.rate_per_s.is_some();
    row("rate, requests/s", &|f| f.rate_per_s.filter(|_| timed), Unit::Percent, Some(limits.rate), 4);
    row("inter-arrival CV", &|f| f.gap_cv.filter(|_| timed), Unit::Percent, Some(limits.cv), 3);
    let tokens = [
        ("prompt tokens p50", true, 50),
        ("prompt tokens p90", true, 90),
        ("prompt tokens p99", true, 99),
        ("output tokens p50", false, 50),
        ("output tokens p90", false, 90),
        ("output tokens p99", false, 99),
    ];
    for (name, prompt, percent) in tokens {
        let of = move |f: &Figures| {
            let q = if prompt { &f.prompt_tokens } else { &f.output_tokens };
            Some(f64::from(match percent {
                50 => q.p50,
                90 => q.p90,
                _ => q.p99,
            }))
        };
        row(name, &of, Unit::Percent, Some(limits.tokens), 0);
    }
    row("prefix hits, %", &|f| f.hit_ratio.map(|h| h * 100.0), Unit::Points, Some(limits.hit), 2);
    row("requests", &|f| Some(f.requests as f64), Unit::Percent, None, 0);
    row("prompt tokens mean", &|f| Some(f.prompt_tokens.mean), Unit::Percent, None, 1);
    row("output tokens mean", &|f| Some(f.output_tokens.mean), Unit::Percent, None, 1);
    if a.sessions.is_some() || b.sessions.is_some() {
        let session = |f: &Figures, of: &dyn Fn(&SessionFigures) -> f64| f.sessions.as_ref().map(of);
        row("sessions", &|f| session(f, &|s| s.count as f64), Unit::Percent, None, 0);
        row("session depth mean", &|f| session(f, &|s| s.depth.mean), Unit::Percent, None, 2);
        row("session depth p50", &|f| session(f, &|s| s.depth.p50.into()), Unit::Percent, None, 0);
        row("session depth p90", &|f| session(f, &|s| s.depth.p90.into()), Unit::Percent, None, 0);
        row("gap in session p50, ms", &|f| session(f, &|s| s.gap_ms.p50.into()), Unit::Percent, None, 0);
        row("gap in session p90, ms", &|f| session(f, &|s| s.gap_ms.p90.into()), Unit::Percent, None, 0);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use baseload_core::types::{ContentId, Run};

    fn entry(at_s: i64, prompt: u32, runs: &[(u64, u32, u32)]) -> Entry {
        let content = runs.iter().map(|&(id, start, len)| Run { id: ContentId::Named(id), start, len }).collect();
        Entry { at_ns: at_s * 1_000_000_000, prompt_tokens: prompt, output_tokens: 1, content, ..Entry::blank() }
    }

    #[test]
    fn figures_are_those_of_a_trace_worked_out_by_hand() {
        let mut gather = Gather::default();
        let hits = [
            gather.add(&entry(0, 100, &[(1, 0, 60), (2, 0, 20)])),
            gather.add(&entry(1, 100, &[(1, 0, 60), (3, 0, 40)])),
            gather.add(&entry(1, 50, &[(1, 0, 50)])),
            gather.add(&entry(4, 110, &[(1, 0, 30), (1, 30, 30), (2, 0, 20), (9, 0, 30)])),
        ];
        assert_eq!(hits.map(|h| (h.tokens, h.back)), [(0, 0), (60, 1), (50, 1), (80, 3)]);
        let f = gather.figures(Clock::Common).unwrap();
        assert_eq!((f.rate_per_s, f.hit_ratio), (Some(0.75), Some((48.0 + 48.0 + 80.0) / 360.0)));
        // Gaps 1, 0, 3: mean 4/3, variance (1 + 0 + 9) / 3 - 16/9 = 14/9.
        assert!((f.gap_cv.unwrap() - libm::sqrt(14.0 / 9.0) / (4.0 / 3.0)).abs() < 1e-12);
        assert_eq!(gather.figures(Clock::Session).unwrap().rate_per_s, None);
    }

    #[test]
    fn a_row_holds_within_its_limit_only() {
        let row = |a, b, unit| Row { name: "x", a, b, unit, limit: Some(5.0), digits: 0 };
        assert!(row(Some(100.0), Some(105.0), Unit::Percent).holds());
        assert!(!row(Some(100.0), Some(94.0), Unit::Percent).holds());
        assert!(row(None, None, Unit::Points).holds() && !row(Some(1.0), None, Unit::Points).holds());
        assert!(!row(Some(0.0), Some(1.0), Unit::Percent).holds());
    }
}
