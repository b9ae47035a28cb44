//! More or fewer customers with the same day: the same window, the same shape in time, another number of requests.
//!
//! `times` = w + s, w whole. Every request comes w times, and a share s of them once more; so above 1 the trace lies w
//! times over itself, and below 1 it is thinned. The share is drawn evenly over time: of each stretch that is to leave
//! [`KEPT_A_STRETCH`] requests, so many are drawn without putting back, and what is left over goes to the next; whole
//! sessions are drawn where there are some. A burst that lasts longer than a stretch stays where it is and as high, relative
//! to the mean, as it was. Gaps do not keep their coefficient of variation, as `scale_rate` does it: customers who know
//! nothing of each other make traffic steadier when there are more of them, and thinned traffic nears a Poisson process.
//!
//! Copies are new requests of new sessions, so what is private stays so; content that the trace names (a system prompt) they
//! share.
use super::copies::{Due, as_copy};
use super::{StageKey, Volume};
use baseload_core::types::TraceFault;
use baseload_core::types::numbers::percent_whole;
use baseload_core::types::{Clock, ContentId, Entries, Entry, NO_SESSION};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Requests that a stretch is to leave of the share that is drawn.
const KEPT_A_STRETCH: f64 = 16.0;
/// Requests of a stretch at most.
const LONGEST: f64 = 4_096.0;
/// Share of a trace's prompt tokens that it names from which a note is made.
const MOSTLY_NAMED: f64 = 0.5;

/// Entries of another volume.
pub(super) struct Volumed {
    inner: Box<dyn Entries>,
    stage_key: StageKey,
    /// Copies of every request.
    whole: u64,
    /// Share of which there is one more.
    part: f64,
    /// How late each copy is, ns.
    shifts: Vec<i64>,
    origin_ns: Option<i64>,
    /// Part of a request that the share is owed.
    owed: f64,
    stretch: Vec<Entry>,
    due: BinaryHeap<Reverse<Due>>,
    /// The last time read.
    read_to: i64,
    made: u64,
    dry: bool,
    /// Prompt tokens, and those of them that the trace names.
    tokens: [u64; 2],
}

impl Volumed {
    pub(super) fn over(inner: Box<dyn Entries>, what: &Volume, stage_key: StageKey) -> Box<dyn Entries> {
        if what.times == 1.0 {
            return inner;
        }
        let whole = what.times.floor();
        let late = |round: u64| match round {
            0 => 0,
            _ => (stage_key.uniform("trace.volume.shift", round) * what.shift.0 as f64) as i64,
        };
        Box::new(Volumed {
            origin_ns: (inner.clock() == Clock::Zero).then_some(0),
            inner,
            stage_key,
            whole: whole as u64,
            part: what.times - whole,
            shifts: (0..=whole as u64).map(late).collect(),
            owed: 0.0,
            stretch: Vec::new(),
            due: BinaryHeap::new(),
            read_to: 0,
            made: 0,
            dry: false,
            tokens: [0; 2],
        })
    }

    /// Reads the next stretch and makes its copies due.
    fn fill(&mut self) -> Result<(), TraceFault> {
        let most = if self.part > 0.0 { (KEPT_A_STRETCH / self.part).min(LONGEST).ceil() as usize } else { 1 };
        self.stretch.clear();
        while self.stretch.len() < most {
            let mut entry = Entry::blank();
            if !self.inner.next(&mut entry)? {
                self.dry = true;
                break;
            }
            entry.at_ns -= *self.origin_ns.get_or_insert(entry.at_ns);
            self.read_to = entry.at_ns;
            self.tokens[0] += u64::from(entry.prompt_tokens);
            let named = entry.content.iter().filter(|run| matches!(run.id, ContentId::Named(_)));
            self.tokens[1] += named.map(|run| u64::from(run.len)).sum::<u64>();
            self.stretch.push(entry);
        }
        let mut left = self.stretch.iter().filter(|e| e.session == NO_SESSION).count();
        let wanted = left as f64 * self.part + self.owed;
        let mut wanting = wanted.floor() as usize;
        self.owed = wanted - wanting as f64;
        for entry in std::mem::take(&mut self.stretch) {
            let once_more = if entry.session != NO_SESSION {
                self.stage_key.uniform("trace.volume.session", entry.session) < self.part
            } else {
                // Selection sampling: each set of that size is as likely as any other.
                let taken = self.stage_key.uniform("trace.volume", entry.id) * (left as f64) < wanting as f64;
                left -= 1;
                wanting -= usize::from(taken);
                taken
            };
            for round in 0..self.whole + u64::from(once_more) {
                let mut copy = entry.clone();
                as_copy(&mut copy, round, self.stage_key.stage.into(), true);
                copy.at_ns += self.shifts[round as usize];
                self.made += 1;
                self.due.push(Reverse(Due(copy.at_ns, self.made, copy)));
            }
        }
        Ok(())
    }
}

impl Entries for Volumed {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        // No copy is earlier than its request: what is due up to the last time read is next.
        while !self.dry && self.due.peek().is_none_or(|Reverse(d)| d.0 > self.read_to) {
            self.fill()?;
        }
        Ok(entry.become_next(self.due.pop().map(|Reverse(d)| d.2)))
    }
    fn clock(&self) -> Clock {
        Clock::Zero
    }
    fn place(&self) -> String {
        self.inner.place()
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = self.inner.notes();
        let named = self.tokens[1] as f64 / self.tokens[0].max(1) as f64;
        if self.whole > 0 && named > MOSTLY_NAMED {
            notes.push(format!(
                "volume: {} of prompt tokens are content that the trace names, which copies share: prefix caches \
                 hit more than with as many customers of their own",
                percent_whole(named)
            ));
        }
        notes
    }
    fn total(&self) -> Option<u64> {
        (self.part == 0.0).then(|| self.inner.total().map(|n| n * self.whole)).flatten()
    }
}
