//! Hedging (Dean and Barroso, The Tail at Scale, 2013; spec/routers.md 3.10): a second copy goes to another backend when the
//! first token is late; the first to answer wins, the other is cancelled. Late is a fixed time, or a quantile of the TTFTs
//! that this gateway has measured.
use crate::numeric::rank;
use crate::types::SimTime;
use std::collections::VecDeque;

/// When a second copy is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    /// After this; with a quantile, until enough was measured. Nothing is hedged before that if `None`.
    pub after: Option<SimTime>,
    /// After this quantile of the last measured TTFTs, millionths.
    pub quantile_ppm: Option<u32>,
}

/// The last TTFTs, from sending to first token, of all backends.
#[derive(Debug, Clone, Default)]
pub struct LearnedTtft {
    last: VecDeque<SimTime>,
    sorted: Vec<SimTime>,
    stale: bool,
}

impl LearnedTtft {
    /// Answers remembered.
    pub const WINDOW: usize = 256;
    /// Answers needed before the quantile is used.
    pub const ENOUGH: usize = 16;

    /// One measured TTFT.
    pub fn learn(&mut self, ttft: SimTime) {
        if self.last.len() == Self::WINDOW {
            self.last.pop_front();
        }
        self.last.push_back(ttft);
        self.stale = true;
    }

    /// How long to wait for the first token before the second copy; `None` if none is sent.
    pub fn late(&mut self, rule: &Hedge) -> Option<SimTime> {
        let Some(ppm) = rule.quantile_ppm.filter(|_| self.last.len() >= Self::ENOUGH) else { return rule.after };
        if self.stale {
            self.sorted.clear();
            self.sorted.extend(&self.last);
            self.sorted.sort_unstable();
            self.stale = false;
        }
        Some(self.sorted[rank(self.sorted.len() as u64, ppm) as usize - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_is_the_fixed_time_until_enough_was_measured_and_then_the_quantile() {
        let s = SimTime::from_secs;
        let rule = Hedge { after: Some(s(2)), quantile_ppm: Some(950_000) };
        let mut ttft = LearnedTtft::default();
        (1..16).for_each(|i| ttft.learn(s(i)));
        assert_eq!(ttft.late(&rule), Some(s(2)));
        (16..=20).for_each(|i| ttft.learn(s(i)));
        assert_eq!(ttft.late(&rule), Some(s(19)), "p95 of 1 to 20");
        (0..300).for_each(|_| ttft.learn(s(7)));
        assert_eq!(ttft.late(&rule), Some(s(7)), "old ones are forgotten");
        assert_eq!(ttft.late(&Hedge { after: None, ..rule }), Some(s(7)));
        assert_eq!(LearnedTtft::default().late(&Hedge { after: None, ..rule }), None);
        assert_eq!(ttft.late(&Hedge { quantile_ppm: None, ..rule }), Some(s(2)));
    }
}
