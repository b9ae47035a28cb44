//! Arrivals for traces that have none, or others than the recorded ones. Holds the whole trace.
//!
//! What arrives is a session, or a request that has none. A session's later requests keep their distance from its first;
//! sessions that start within another one (a trace of [`Clock::Session`] has them at times above 0) start with it.
use super::sort::{Held, collect};
use super::{ArrivalTimes, Arrivals, SourceOptions};
use baseload_core::types::TraceFault;
use baseload_core::types::{Clock, Entries, NO_SESSION};
use rustc_hash::FxHashMap;

/// Reads `entries` to their end and gives them arrivals. When those end first, so does the trace.
///
/// # Errors
/// The reader's.
pub fn retimed(
    mut entries: Box<dyn Entries>,
    arrivals: &Arrivals,
    options: &SourceOptions,
) -> Result<Held, TraceFault> {
    let all = collect(&mut *entries)?;
    let clock = entries.clock();
    let mut times = ArrivalTimes::new(arrivals, options, "trace.arrival");
    // By session: what is added to its times; `None` where its arrival never comes.
    let mut starts: FxHashMap<u64, Option<i64>> = FxHashMap::default();
    let mut host = None;
    let mut timed = Vec::with_capacity(all.len());
    for mut entry in all {
        let known = if entry.session == NO_SESSION { None } else { starts.get(&entry.session).copied() };
        let shift = known.unwrap_or_else(|| {
            let within = clock == Clock::Session && entry.at_ns > 0;
            let shift = if within { host } else { times.next_ns().map(|at| at - entry.at_ns) };
            host = shift;
            if entry.session != NO_SESSION {
                starts.insert(entry.session, shift);
            }
            shift
        });
        let Some(shift) = shift else { continue };
        entry.at_ns = entry.at_ns.saturating_add(shift);
        timed.push(entry);
    }
    timed.sort_by_key(|e| e.at_ns);
    let mut notes = entries.notes();
    notes.push("arrivals are drawn, not recorded".into());
    Ok(Held::new(timed, Clock::Zero, &entries.place(), notes))
}
