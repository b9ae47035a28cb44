//! Entries left out, or moved in time as a whole.
use super::mapped::mapped_from_first;
use super::{Slice, StageKey, Thin, ThinBy};
use baseload_core::types::{Clock, Entries, Entry, NO_SESSION};
use baseload_core::types::{TraceFault, wrong};

/// A part of a trace.
pub(super) struct Sliced {
    inner: Box<dyn Entries>,
    what: Slice,
    origin_ns: Option<i64>,
    skipped: u64,
    taken: u64,
    done: bool,
}

impl Sliced {
    pub(super) fn new(inner: Box<dyn Entries>, what: Slice) -> Sliced {
        let origin_ns = (inner.clock() == Clock::Zero).then_some(0);
        Sliced { inner, what, origin_ns, skipped: 0, taken: 0, done: false }
    }
}

impl Entries for Sliced {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        while !self.done && self.what.take.is_none_or(|most| self.taken < most) && self.inner.next(entry)? {
            let origin = *self.origin_ns.get_or_insert(entry.at_ns);
            // What comes before the origin is out of order; it goes on for the replay to refuse.
            let since = entry.at_ns.saturating_sub(origin).max(0) as u64;
            if self.what.to.is_some_and(|to| since >= to.0) {
                self.done = true;
                break;
            }
            if self.what.from.is_some_and(|from| since < from.0) {
                continue;
            }
            if self.what.skip.is_some_and(|skip| self.skipped < skip) {
                self.skipped += 1;
                continue;
            }
            self.taken += 1;
            return Ok(true);
        }
        if self.taken == 0 {
            return Err(wrong!("{}: the slice has no requests", self.inner.place())
                .hint("the trace is shorter, or a filter left none"));
        }
        Ok(false)
    }
    fn clock(&self) -> Clock {
        match self.inner.clock() {
            // A slice from later on starts with its first request.
            Clock::Zero if self.what.from.is_some() || self.what.skip.is_some() => Clock::Common,
            other => other,
        }
    }
    fn place(&self) -> String {
        self.inner.place()
    }
    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }
}

/// A share of the requests, sessions or tenants.
pub(super) struct Thinned {
    inner: Box<dyn Entries>,
    share: f64,
    by: ThinBy,
    stage_key: StageKey,
}

impl Thinned {
    pub(super) fn new(inner: Box<dyn Entries>, what: &Thin, stage_key: StageKey) -> Thinned {
        Thinned { inner, share: what.share, by: what.by, stage_key }
    }
}

impl Entries for Thinned {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        while self.inner.next(entry)? {
            let key = match self.by {
                ThinBy::Session if entry.session != NO_SESSION => entry.session,
                ThinBy::Tenant => entry.tenant.into(),
                _ => entry.id,
            };
            if self.stage_key.uniform("trace.thin", key) < self.share {
                return Ok(true);
            }
        }
        Ok(false)
    }
    fn clock(&self) -> Clock {
        self.inner.clock()
    }
    fn place(&self) -> String {
        self.inner.place()
    }
    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }
}

/// All times multiplied; think times are the client's own and stay.
pub(super) fn stretched(inner: Box<dyn Entries>, times: f64) -> Box<dyn Entries> {
    let mut origin_ns = (inner.clock() == Clock::Zero).then_some(0);
    let change = move |entry: &mut Entry| {
        let origin = *origin_ns.get_or_insert(entry.at_ns);
        let since = (entry.at_ns - origin) as f64 * times;
        if since >= 9e18 {
            return Err(wrong!("scaled, it arrives over 285 years after the first"));
        }
        entry.at_ns = since.round() as i64;
        Ok(())
    };
    mapped_from_first(inner, Box::new(change))
}
