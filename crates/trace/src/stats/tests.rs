//! The whole pass over entries made by hand and over published traces.
use super::*;
use crate::Held;
use baseload_core::types::TraceFault;
use baseload_core::types::{Measured, NO_SESSION};

fn of(entries: Vec<Entry>, clock: Clock) -> Result<TraceStats, TraceFault> {
    TraceStats::of(&mut Held::new(entries, clock, "made:3", vec!["made by hand".into()]), BLOCK_TOKENS)
}

fn entry(id: u64, at_s: i64, output: u32, status: Status) -> Entry {
    let measured = Measured { ttft_ns: Some(500_000_000), cached_tokens: Some(25), status, ..Measured::default() };
    Entry {
        id,
        at_ns: at_s * 1_000_000_000,
        prompt_tokens: 100,
        output_tokens: output,
        think_ns: (id > 0).then_some(2_000_000_000),
        session: id / 2,
        measured,
        ..Entry::blank()
    }
}

#[test]
fn what_replay_does_not_see_is_counted() {
    let entries = vec![
        entry(0, 10, 0, Status::Failed),
        entry(1, 11, 5, Status::Completed),
        entry(2, 11, 0, Status::Cancelled),
        Entry { session: NO_SESSION, ..entry(3, 14, 9, Status::FromCache) },
    ];
    let s = of(entries, Clock::Common).unwrap();
    assert_eq!((s.count, s.zero_outputs, s.failed, s.cancelled, s.from_cache), (4, 2, 1, 1, 1));
    let arrivals = s.arrivals.as_ref().unwrap();
    assert_eq!((arrivals.span_s, arrivals.rate_per_s), (4.0, 0.75));
    let sessions = s.sessions.as_ref().unwrap();
    assert_eq!((sessions.count, sessions.depth.max, sessions.share), (2, 2, 0.75));
    assert_eq!(sessions.think.unwrap().count, 3);
    assert_eq!((s.ttft.unwrap().count, s.e2e, s.measured_cached), (4, None, Some(0.25)));
    assert_eq!((s.prefix.as_ref(), s.tenants.as_ref(), s.unlimited_hit_share()), (None, None, None));
    assert_eq!(s.notes, ["made by hand"]);
}

#[test]
fn traces_without_common_time_have_no_rate_and_time_that_goes_back_is_placed() {
    let back = vec![entry(0, 10, 1, Status::Completed), entry(1, 9, 1, Status::Completed)];
    let error = of(back.clone(), Clock::Common).unwrap_err().to_string();
    assert!(error.starts_with("made:3: time goes back by 1 s"), "{error}");
    let s = of(back, Clock::Session).unwrap();
    assert!(s.arrivals.is_none() && s.notes[1].contains("no rate"), "{:?}", s.notes);
    assert!(of(vec![], Clock::Common).unwrap_err().to_string().contains("no requests"));
}
