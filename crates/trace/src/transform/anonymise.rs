//! Numbers instead of identities: what a trace names is renamed in order of appearance, so that nothing can be joined
//! with another data set by name. Lengths and times remain; they can be made coarser. Holds a number a name.
use super::Anonymise;
use super::mapped::mapped_from_first;
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
pub(super) fn anonymised(inner: Box<dyn Entries>, what: Anonymise) -> Box<dyn Entries> {
    let mut origin_ns = matches!(inner.clock(), Clock::Zero | Clock::Session).then_some(0);
    let (mut requests, mut sessions, mut content) = (Names::default(), Names::default(), Names::default());
    let mut tenants = Names(FxHashMap::from_iter([(0, 0)]));
    let change = move |entry: &mut Entry| {
        entry.at_ns -= *origin_ns.get_or_insert(entry.at_ns);
        if let Some(unit) = what.time {
            entry.at_ns -= entry.at_ns.rem_euclid((unit.0 as i64).max(1));
        }
        entry.id = requests.of(entry.id);
        if entry.session != NO_SESSION {
            entry.session = sessions.of(entry.session);
        }
        entry.tenant = tenants.of(entry.tenant.into()) as u32;
        for run in &mut entry.content {
            run.id = match run.id {
                ContentId::Named(n) => ContentId::Named(content.of(n)),
                ContentId::Output(n) => ContentId::Output(requests.of(n)),
                ContentId::Private(n) => ContentId::Private(requests.of(n)),
            };
        }
        for tokens in [&mut entry.prompt_tokens, &mut entry.output_tokens, &mut entry.max_output_tokens] {
            // 0 stays what it is: an empty answer, an unknown limit.
            *tokens = tokens.checked_next_multiple_of(what.tokens).unwrap_or(u32::MAX);
        }
        Ok(())
    };
    mapped_from_first(inner, Box::new(change))
}
