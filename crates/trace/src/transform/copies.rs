//! A trace several times: over itself, over another one, or after itself.
use super::rescale::{copy_of, fresh_session};
use super::{Repeat, StageKey, Superpose, renumber};
use crate::Unplayable;
use crate::sort::collect;
use baseload_core::random::mix;
use baseload_core::types::{Clock, Entries, Entry};
use baseload_core::types::{Fault, TraceFault};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Marks the stage of a repetition in new numbers.
const REPEATED: u64 = u64::MAX;

/// Gives `entry` the identity of copy `round`, 0 being the entry itself.
pub(super) fn as_copy(entry: &mut Entry, round: u64, stage: u64, same_content: bool) {
    if round == 0 {
        return;
    }
    let salt = mix(round ^ (stage << 32));
    renumber(entry, |id| copy_of(id, round, stage), |name| if same_content { name } else { mix(name ^ salt) });
    entry.session = fresh_session(entry.session, round, stage);
}

/// Waits for its time, in the order of coming.
pub(super) struct Due(pub i64, pub u64, pub Entry);

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// `inner` as many times over itself as asked, and over `other`.
///
/// # Errors
/// Another trace that has no arrivals.
pub(super) fn superposed(
    inner: Box<dyn Entries>,
    what: &Superpose,
    other: Option<Box<dyn Entries>>,
    stage_key: StageKey,
) -> Result<Box<dyn Entries>, Unplayable> {
    let shift = |round: u64| match round {
        0 => 0,
        _ => (stage_key.uniform("trace.superpose", round) * what.shift.0 as f64) as i64,
    };
    let copied: Box<dyn Entries> = match what.copies {
        1 => inner,
        copies => Box::new(Copied {
            origin_ns: (inner.clock() == Clock::Zero).then_some(0),
            inner,
            shifts: (0..u64::from(copies)).map(shift).collect(),
            stage: stage_key.stage.into(),
            same_content: what.same_content,
            due: BinaryHeap::new(),
            made: 0,
            dry: false,
        }),
    };
    let Some(other) = other else { return Ok(copied) };
    if !matches!(other.clock(), Clock::Common | Clock::Zero) {
        let fault = Fault::at("with", "that trace does not say when its requests arrive");
        return Err(fault.hint("give one that does").into());
    }
    let stage = u64::from(stage_key.stage);
    Ok(Box::new(Merged { sides: [MergedTrace::new(copied), MergedTrace::new(other)], stage, last: 0 }))
}

/// Copies of a trace, each late by its shift. Holds what arrives within the longest one.
struct Copied {
    inner: Box<dyn Entries>,
    shifts: Vec<i64>,
    stage: u64,
    same_content: bool,
    origin_ns: Option<i64>,
    due: BinaryHeap<Reverse<Due>>,
    made: u64,
    dry: bool,
}

impl Entries for Copied {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        // The trace is read until nothing that is yet to come can be earlier than what is due.
        let mut read_to = None;
        while !self.dry && (read_to.is_none() || self.due.peek().is_none_or(|Reverse(d)| Some(d.0) > read_to)) {
            let mut next = Entry::blank();
            if !self.inner.next(&mut next)? {
                self.dry = true;
                break;
            }
            next.at_ns -= *self.origin_ns.get_or_insert(next.at_ns);
            read_to = Some(next.at_ns);
            for (round, shift) in self.shifts.iter().enumerate() {
                let mut copy = next.clone();
                as_copy(&mut copy, round as u64, self.stage, self.same_content);
                copy.at_ns += shift;
                self.made += 1;
                self.due.push(Reverse(Due(copy.at_ns, self.made, copy)));
            }
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
        self.inner.notes()
    }
    fn total(&self) -> Option<u64> {
        self.inner.total().map(|n| n * self.shifts.len() as u64)
    }
}

/// One of two traces that are merged.
struct MergedTrace {
    entries: Box<dyn Entries>,
    origin_ns: Option<i64>,
    ahead: Option<Entry>,
    dry: bool,
}

impl MergedTrace {
    fn new(entries: Box<dyn Entries>) -> MergedTrace {
        let origin_ns = (entries.clock() == Clock::Zero).then_some(0);
        MergedTrace { entries, origin_ns, ahead: None, dry: false }
    }

    fn peek(&mut self) -> Result<Option<i64>, TraceFault> {
        if self.ahead.is_none() && !self.dry {
            let mut entry = Entry::blank();
            if self.entries.next(&mut entry)? {
                entry.at_ns -= *self.origin_ns.get_or_insert(entry.at_ns);
                self.ahead = Some(entry);
            } else {
                self.dry = true;
            }
        }
        Ok(self.ahead.as_ref().map(|e| e.at_ns))
    }
}

/// Two traces from their starts; the first comes first where both have a request.
struct Merged {
    sides: [MergedTrace; 2],
    stage: u64,
    last: usize,
}

impl Entries for Merged {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        self.last = match (self.sides[0].peek()?, self.sides[1].peek()?) {
            (None, None) => return Ok(false),
            (Some(a), Some(b)) => usize::from(b < a),
            (None, Some(_)) => 1,
            (Some(_), None) => 0,
        };
        *entry = self.sides[self.last].ahead.take().expect("merge-peeked: the side that is taken has one");
        if self.last == 1 {
            as_copy(entry, 1, self.stage | 1 << 31, false);
        }
        Ok(true)
    }
    fn clock(&self) -> Clock {
        Clock::Zero
    }
    fn place(&self) -> String {
        self.sides[self.last].entries.place()
    }
    fn notes(&self) -> Vec<String> {
        self.sides.iter().flat_map(|s| s.entries.notes()).collect()
    }
}

/// A trace after itself. A round is as long as the trace and one mean gap.
pub(super) struct Repeated {
    inner: Box<dyn Entries>,
    what: Repeat,
    all: Vec<Entry>,
    round_ns: i64,
    made: u64,
    read: bool,
}

impl Repeated {
    pub(super) fn new(inner: Box<dyn Entries>, what: Repeat) -> Repeated {
        Repeated { inner, what, all: Vec::new(), round_ns: 0, made: 0, read: false }
    }
}

impl Entries for Repeated {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        if !self.read {
            self.read = true;
            let origin = (self.inner.clock() == Clock::Zero).then_some(0);
            self.all = collect(&mut *self.inner)?;
            let origin = origin.or(self.all.first().map(|e| e.at_ns)).unwrap_or(0);
            self.all.iter_mut().for_each(|e| e.at_ns -= origin);
            let span = self.all.last().map_or(0, |e| e.at_ns);
            let gaps = (self.all.len() as i64 - 1).max(1);
            // A trace of one instant is repeated every second.
            self.round_ns = if span > 0 { span + span / gaps } else { 1_000_000_000 };
        }
        if self.all.is_empty() || self.what.requests.is_some_and(|most| self.made >= most) {
            return Ok(false);
        }
        let (round, place) = (self.made / self.all.len() as u64, (self.made % self.all.len() as u64) as usize);
        let late = i64::try_from(round).ok().and_then(|r| r.checked_mul(self.round_ns));
        let at = late.and_then(|late| late.checked_add(self.all[place].at_ns));
        let Some(at) = at.filter(|at| self.what.duration.is_none_or(|end| (*at as u64) < end.0)) else {
            return Ok(false);
        };
        entry.clone_from(&self.all[place]);
        as_copy(entry, round, REPEATED, self.what.same_content);
        entry.at_ns = at;
        self.made += 1;
        Ok(true)
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
    fn total(&self) -> Option<u64> {
        self.what.requests.filter(|_| self.what.duration.is_none())
    }
}
