//! A bucket of tokens that refills continuously, in exact integers (spec/apis.md 4.1).
//!
//! Must keep true: the level never falls below zero and never rises above the capacity; what is charged beyond the level is a
//! debt, which is paid before the level rises; nothing is let in while there is a debt. Hence charges less what was given back
//! over any window of length w add up to at most capacity + refill of w + the debt at its end.
use crate::types::SimTime;

/// A minute in nanoseconds.
pub(super) const MINUTE_NS: u64 = 60_000_000_000;
/// A day.
pub(super) const DAY_NS: u64 = 86_400_000_000_000;

/// Levels are counted in 1/`window` of a token, so that a nanosecond refills a whole number of them.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    /// Tokens that a window refills.
    rate: i128,
    /// Nanoseconds of that window.
    window: i128,
    /// Nanoseconds of refill that it holds.
    holds: i128,
    level: i128,
    debt: i128,
    at: SimTime,
}

impl TokenBucket {
    /// A full bucket at time zero that holds `rate` tokens and refills as many in `window`.
    pub fn new(rate: u64, window: SimTime) -> TokenBucket {
        TokenBucket::holding(rate, window, window)
    }
    /// A bucket that refills at `rate` a `window` and holds what `holds` refills, at least one token: a limit that is
    /// enforced over less than its window.
    pub fn holding(rate: u64, window: SimTime, holds: SimTime) -> TokenBucket {
        assert!(rate > 0 && window.0 > 0, "limits-positive: a limit of zero never admits anything");
        let mut bucket = TokenBucket {
            rate: rate.into(),
            window: window.0.into(),
            holds: holds.0.into(),
            level: 0,
            debt: 0,
            at: SimTime::ZERO,
        };
        bucket.level = bucket.capacity();
        bucket
    }
    fn capacity(&self) -> i128 {
        (self.rate * self.holds).max(self.window)
    }
    fn refill(&mut self, now: SimTime) {
        self.back(self.rate * i128::from(now.since(self.at).0));
        self.at = self.at.max(now);
    }
    fn back(&mut self, units: i128) {
        let paid = units.min(self.debt);
        self.debt -= paid;
        self.level = (self.level + units - paid).min(self.capacity());
    }
    fn units(&self, tokens: u64) -> i128 {
        i128::from(tokens) * self.window
    }
    /// Whether a cost of `tokens` is ever let in.
    pub fn fits(&self, tokens: u64) -> bool {
        self.units(tokens) <= self.capacity()
    }
    /// Time until `tokens` are there: zero if they are now. More than it holds counts as all that it holds; zero is there as
    /// soon as there is no debt.
    pub fn wait(&mut self, tokens: u64, now: SimTime) -> SimTime {
        self.refill(now);
        let short = self.units(tokens).min(self.capacity()) - self.level + self.debt;
        if short <= 0 {
            return SimTime::ZERO;
        }
        SimTime(((short + self.rate - 1) / self.rate).min(u64::MAX.into()) as u64)
    }
    /// Takes `tokens`, whether or not they are there.
    pub fn charge(&mut self, tokens: u64, now: SimTime) {
        self.refill(now);
        let units = self.units(tokens);
        let taken = units.min(self.level);
        self.level -= taken;
        self.debt += units - taken;
    }
    /// Takes what is there of `tokens`.
    pub fn drain(&mut self, tokens: u64, now: SimTime) {
        self.refill(now);
        self.level -= self.units(tokens).min(self.level);
    }
    /// Tokens that were charged and not used.
    pub fn give_back(&mut self, tokens: u64, now: SimTime) {
        self.refill(now);
        self.back(self.units(tokens));
    }
    /// From now on it refills `rate` a window and holds accordingly.
    pub fn set_rate(&mut self, rate: u64, now: SimTime) {
        assert!(rate > 0, "limits-positive: a limit of zero never admits anything");
        self.refill(now);
        self.rate = rate.into();
        self.level = self.level.min(self.capacity());
    }
    /// Whole tokens there, and whole tokens owed, rounded up.
    #[cfg(test)]
    pub(super) fn look(&mut self, now: SimTime) -> (i128, i128) {
        self.refill(now);
        assert!(0 <= self.level && self.level <= self.capacity() && 0 <= self.debt, "bucket: {self:?}");
        (self.level / self.window, (self.debt + self.window - 1) / self.window)
    }
}

/// A count that begins anew at midnight.
#[derive(Debug, Clone)]
pub struct DayCount {
    limit: u64,
    used: u64,
    day: u64,
    /// What the provider's clock shows when the simulation starts.
    offset: SimTime,
}

impl DayCount {
    /// Nothing used.
    pub fn new(limit: u64, offset: SimTime) -> DayCount {
        assert!(limit > 0, "limits-positive: a limit of zero never admits anything");
        DayCount { limit, used: 0, day: 0, offset }
    }
    /// Time until a request is there: zero if it is now, else until midnight.
    pub fn wait(&mut self, now: SimTime) -> SimTime {
        let clock = now.0.saturating_add(self.offset.0);
        if clock / DAY_NS > self.day {
            (self.day, self.used) = (clock / DAY_NS, 0);
        }
        if self.used < self.limit { SimTime::ZERO } else { SimTime(DAY_NS - clock % DAY_NS) }
    }
    /// A request.
    pub fn charge(&mut self) {
        self.used += 1;
    }
    /// From now on.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }
}

/// Sharp ramps are refused below the limit: the input tokens of a minute may be at most `times` those of the busiest of the
/// `over` minutes before, once they are above `above`. OpenAI's rule of thumb is 1.5 times in 15 minutes above a million
/// (spec/apis.md 4.1); how Anthropic does it is not published, so there the shape too is an assumption. What came before the
/// simulation is not known, so nothing is refused in its first `over` minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceleration {
    /// Times the busiest minute, millionths.
    pub times_ppm: u64,
    /// Minutes looked back, at least 1.
    pub over_minutes: u32,
    /// Input tokens a minute that are always let in.
    pub above: u64,
}

/// Input tokens by minute.
#[derive(Debug, Clone)]
pub struct Ramp {
    rule: Acceleration,
    /// By minute modulo length: the current one and those looked back at.
    minutes: Vec<u64>,
    minute: u64,
}

impl Ramp {
    /// Nothing sent yet.
    pub fn new(rule: Acceleration) -> Ramp {
        Ramp { rule, minutes: vec![0; rule.over_minutes as usize + 1], minute: 0 }
    }
    /// Time until `tokens` more are let in: zero if they are now, else until the next minute.
    pub fn wait(&mut self, tokens: u64, now: SimTime) -> SimTime {
        let (minute, kept) = (now.0 / MINUTE_NS, self.minutes.len() as u64);
        let passed = minute.saturating_sub(self.minute).min(kept);
        (0..passed).for_each(|i| self.minutes[((minute - i) % kept) as usize] = 0);
        self.minute = self.minute.max(minute);
        let here = (minute % kept) as usize;
        let others = self.minutes.iter().enumerate().filter(|(i, _)| *i != here).map(|(_, n)| *n);
        let busiest = u128::from(others.max().unwrap_or(0));
        let most = (busiest * u128::from(self.rule.times_ppm) / 1_000_000).max(self.rule.above.into());
        let sent = u128::from(self.minutes[here]) + u128::from(tokens);
        if sent <= most || minute < u64::from(self.rule.over_minutes) {
            return SimTime::ZERO;
        }
        SimTime(MINUTE_NS - now.0 % MINUTE_NS)
    }
    /// Counts tokens as sent at the instant of the last [`Ramp::wait`].
    pub fn charge(&mut self, tokens: u64) {
        let here = (self.minute % self.minutes.len() as u64) as usize;
        self.minutes[here] += tokens;
    }
}
