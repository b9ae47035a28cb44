//! Arrivals for traces that have none, or others than the recorded ones. Holds the whole trace.
//!
//! What arrives is a session, or a request that has none. A session's later requests keep their distance from its first. In
//! a trace of [`Clock::Session`] one that starts above 0 is within the last one before it that starts at 0, and starts with
//! it; where there is none before it, it has an arrival of its own.
//!
//! Must hold: all that is read is replayed, or the notes say what is not and why.
use super::sort::Held;
use super::{ArrivalTimes, Arrivals, SourceOptions};
use baseload_core::types::TraceFault;
use baseload_core::types::{Clock, Entries, Entry, NO_SESSION};
use rustc_hash::FxHashMap;

/// All entries; a session's must be in order where nothing but its own clock orders them.
fn collected(entries: &mut dyn Entries) -> Result<Vec<Entry>, TraceFault> {
    let by_session = entries.clock() == Clock::Session;
    let mut last: FxHashMap<u64, i64> = FxHashMap::default();
    let (mut all, mut entry) = (Vec::new(), Entry::blank());
    while entries.next(&mut entry)? {
        if by_session && entry.session != NO_SESSION {
            let before = last.insert(entry.session, entry.at_ns).unwrap_or(i64::MIN);
            if entry.at_ns < before {
                let back = (i128::from(before) - i128::from(entry.at_ns)) as f64 / 1e9;
                let what = format!("{}: session {} goes back by {back} s", entries.place(), entry.session);
                return Err(TraceFault::new(what).hint("a session's requests must be in order"));
            }
        }
        all.push(std::mem::replace(&mut entry, Entry::blank()));
    }
    Ok(all)
}

/// Reads `entries` to their end and gives them arrivals. When those end first, so does the trace.
///
/// # Errors
/// The reader's.
pub fn retimed(
    mut entries: Box<dyn Entries>,
    arrivals: &Arrivals,
    options: &SourceOptions,
) -> Result<Held, TraceFault> {
    let all = collected(&mut *entries)?;
    let clock = entries.clock();
    let mut times = ArrivalTimes::new(arrivals, options, "trace.arrival");
    // By session: what is added to its times; `None` where its arrival never comes.
    let mut starts: FxHashMap<u64, Option<i64>> = FxHashMap::default();
    // Of the last session that started at 0.
    let mut host: Option<Option<i64>> = None;
    let mut unreached = 0u64;
    let mut timed = Vec::with_capacity(all.len());
    for mut entry in all {
        let known = if entry.session == NO_SESSION { None } else { starts.get(&entry.session).copied() };
        let shift = known.unwrap_or_else(|| {
            let within = clock == Clock::Session && entry.session != NO_SESSION && entry.at_ns > 0;
            let shift = match host {
                Some(shift) if within => shift,
                _ => times.next_ns().map(|at| at - entry.at_ns),
            };
            if !within {
                host = Some(shift);
            }
            if entry.session != NO_SESSION {
                starts.insert(entry.session, shift);
            }
            shift
        });
        let Some(shift) = shift else {
            unreached += 1;
            continue;
        };
        entry.at_ns = entry.at_ns.saturating_add(shift);
        timed.push(entry);
    }
    timed.sort_by_key(|e| e.at_ns);
    let mut notes = entries.notes();
    notes.push("arrivals are drawn, not recorded".into());
    if unreached > 0 {
        notes.push(format!("{unreached} requests are not replayed: the arrivals end before theirs"));
    }
    Ok(Held::new(timed, Clock::Zero, &entries.place(), notes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Process;

    fn entry(id: u64, session: u64, at_s: i64) -> Entry {
        Entry { id, session, at_ns: at_s * 1_000_000_000, prompt_tokens: 5, output_tokens: 1, ..Entry::blank() }
    }

    fn played(all: Vec<Entry>) -> Result<Vec<Entry>, TraceFault> {
        let held = Held::new(all, Clock::Session, "t:1", Vec::new());
        let arrivals = Arrivals::constant_rate(Process::Poisson, 2.0);
        crate::collect(&mut retimed(Box::new(held), &arrivals, &SourceOptions::default())?)
    }

    /// Sessions whose clocks do not begin at 0 were once dropped without a word where none that does stood before them.
    #[test]
    fn sessions_that_begin_within_no_other_arrive_by_themselves() {
        let all: Vec<Entry> = [(0, 5), (0, 10), (1, 5), (1, 20), (2, 0), (2, 3), (3, 4), (3, 6)]
            .into_iter()
            .enumerate()
            .map(|(id, (session, at))| entry(id as u64, session, at))
            .collect();
        let out = played(all.clone()).unwrap();
        assert_eq!(out.len(), all.len(), "all of it is replayed");
        let at = |id: u64| out.iter().find(|e| e.id == id).map(|e| e.at_ns).unwrap();
        assert_eq!((at(1) - at(0), at(3) - at(2)), (5_000_000_000, 15_000_000_000), "a session keeps its distances");
        assert_ne!(at(0), at(2), "each has an arrival of its own");
        // The last begins 4 s into the one before it.
        assert_eq!(at(6) - at(4), 4_000_000_000);
    }

    #[test]
    fn what_validate_faults_is_no_run() {
        let error = played(vec![entry(0, 0, 5), entry(1, 0, 4)]).unwrap_err().to_string();
        assert!(error.contains("session 0 goes back by 1 s"), "{error}");
    }
}
