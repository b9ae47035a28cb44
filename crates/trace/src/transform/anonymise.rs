//! Numbers instead of identities: what a trace names is renamed in order of appearance, so that nothing can be joined
//! with another data set by name. Lengths and times remain; they can be made coarser. Holds a number a name.
use super::Anonymise;
use baseload_core::types::TraceFault;
use baseload_core::types::{Clock, ContentId, Entries, Entry, NO_SESSION};
use rustc_hash::FxHashMap;

/// New numbers in order of appearance.
#[derive(Default)]
struct Names(FxHashMap<u64, u64>);

impl Names {
    fn of(&mut self, name: u64) -> u64 {
        let next = self.0.len() as u64;
        *self.0.entry(name).or_insert(next)
    }
}

/// A trace without identities of its own.
pub(super) struct Anonymised {
    inner: Box<dyn Entries>,
    what: Anonymise,
    requests: Names,
    sessions: Names,
    tenants: Names,
    content: Names,
    origin_ns: Option<i64>,
}

impl Anonymised {
    pub(super) fn new(inner: Box<dyn Entries>, what: Anonymise) -> Anonymised {
        let origin_ns = matches!(inner.clock(), Clock::Zero | Clock::Session).then_some(0);
        Anonymised {
            inner,
            what,
            requests: Names::default(),
            sessions: Names::default(),
            tenants: Names(FxHashMap::from_iter([(0, 0)])),
            content: Names::default(),
            origin_ns,
        }
    }
}

impl Entries for Anonymised {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        if !self.inner.next(entry)? {
            return Ok(false);
        }
        entry.at_ns -= *self.origin_ns.get_or_insert(entry.at_ns);
        if let Some(unit) = self.what.time {
            entry.at_ns -= entry.at_ns.rem_euclid((unit.0 as i64).max(1));
        }
        entry.id = self.requests.of(entry.id);
        if entry.session != NO_SESSION {
            entry.session = self.sessions.of(entry.session);
        }
        entry.tenant = self.tenants.of(entry.tenant.into()) as u32;
        for run in &mut entry.content {
            run.id = match run.id {
                ContentId::Named(n) => ContentId::Named(self.content.of(n)),
                ContentId::Output(n) => ContentId::Output(self.requests.of(n)),
                ContentId::Private(n) => ContentId::Private(self.requests.of(n)),
            };
        }
        for tokens in [&mut entry.prompt_tokens, &mut entry.output_tokens, &mut entry.max_output_tokens] {
            // 0 stays what it is: an empty answer, an unknown limit.
            *tokens = tokens.checked_next_multiple_of(self.what.tokens).unwrap_or(u32::MAX);
        }
        Ok(true)
    }
    fn clock(&self) -> Clock {
        match self.inner.clock() {
            Clock::Common => Clock::Zero,
            other => other,
        }
    }
    fn place(&self) -> String {
        self.inner.place()
    }
    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }
    fn total(&self) -> Option<u64> {
        self.inner.total()
    }
}
