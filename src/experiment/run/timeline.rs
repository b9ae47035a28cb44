//! What users saw, minute by minute: requests by the minute of their arrival, money by the minute in which it was spent.
//!
//! May import: types, summary. Must keep true: at most [`MOST`] rows whatever the length of the trace (rows are joined in
//! pairs when it runs longer), the same rows however the simulation is run; counts add up to the summary's.
use super::super::verdict::summary::{TimelineRow, TimelineSummary};
use baseload_core::types::{Outcome, RequestRecord, SimTime, Usd};
use hdrhistogram::Histogram;

/// Rows at most.
pub const MOST: usize = 720;
/// A row's length while the trace is short enough for it.
const SHORTEST: SimTime = SimTime::from_secs(60);
/// Longest TTFT told apart, microseconds: 12 days.
const LONGEST_US: u64 = 1 << 40;

#[derive(Debug, Default)]
struct Row {
    arrived: u64,
    good: u64,
    completed: u64,
    spend: Usd,
    /// Times to first token of completed requests, microseconds; two digits are enough for a chart. `None` until one
    /// completed.
    ttft: Option<Box<Histogram<u32>>>,
}

impl Row {
    fn join(&mut self, other: Row) {
        self.arrived += other.arrived;
        self.good += other.good;
        self.completed += other.completed;
        self.spend += other.spend;
        match (&mut self.ttft, other.ttft) {
            (Some(own), Some(other)) => own.add(*other).expect("timeline: rows have the same bounds"),
            (own @ None, other) => *own = other,
            (Some(_), None) => {}
        }
    }
}

/// See the module head.
#[derive(Debug)]
pub struct Timeline {
    every: SimTime,
    rows: Vec<Row>,
}

impl Default for Timeline {
    fn default() -> Timeline {
        Timeline { every: SHORTEST, rows: Vec::new() }
    }
}

impl Timeline {
    fn row(&mut self, at: SimTime) -> &mut Row {
        while (at.0 / self.every.0) as usize >= MOST {
            self.every = SimTime(self.every.0 * 2);
            let mut joined: Vec<Row> = Vec::with_capacity(MOST / 2);
            for (i, row) in self.rows.drain(..).enumerate() {
                match joined.last_mut().filter(|_| i % 2 == 1) {
                    Some(last) => last.join(row),
                    None => joined.push(row),
                }
            }
            self.rows = joined;
        }
        let i = (at.0 / self.every.0) as usize;
        if self.rows.len() <= i {
            self.rows.resize_with(i + 1, Row::default);
        }
        &mut self.rows[i]
    }

    /// A request ended.
    pub fn request(&mut self, record: &RequestRecord) {
        let row = self.row(record.arrival);
        row.arrived += 1;
        row.good += u64::from(record.met_slo);
        if record.outcome == Outcome::Completed {
            row.completed += 1;
            let new = || Box::new(Histogram::new_with_bounds(1, LONGEST_US, 2).expect("timeline: bounds are in range"));
            let ttft_us = record.ttft.map_or(0, |t| t.0 / 1_000);
            row.ttft.get_or_insert_with(new).saturating_record(ttft_us.max(1));
        }
    }

    /// Money was spent on an attempt that ended at `at`.
    pub fn spent(&mut self, at: SimTime, cost: Usd) {
        if cost != Usd::ZERO {
            self.row(at).spend += cost;
        }
    }

    /// The rows up to the last one in which a request arrived or money was spent.
    pub fn summary(&self) -> TimelineSummary {
        let of = |row: &Row| TimelineRow {
            arrived: row.arrived,
            completed: row.completed,
            good: row.good,
            ttft_p90_s: row.ttft.as_ref().map(|h| h.value_at_quantile(0.9) as f64 / 1e6),
            api_usd: row.spend.as_f64(),
        };
        TimelineSummary { row_s: self.every.as_secs_f64(), rows: self.rows.iter().map(of).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baseload_core::types::OutcomeCause;

    fn record(at_s: u64, outcome: Outcome, ttft_ms: u64) -> RequestRecord {
        let ttft = (outcome == Outcome::Completed).then_some(SimTime(ttft_ms * 1_000_000));
        let met_slo = ttft.is_some_and(|t| t < SimTime::from_secs(1));
        let e2e = SimTime::from_secs(9);
        RequestRecord {
            index: 0,
            arrival: SimTime::from_secs(at_s),
            class: 0,
            tenant: 0,
            session: 0,
            prompt_tokens: 10,
            output_tokens: 10,
            max_output_tokens: 10,
            outcome,
            cause: OutcomeCause::None,
            backend: None,
            attempts: 1,
            ttft,
            e2e,
            ended: SimTime::from_secs(at_s) + e2e,
            cached_tokens: 0,
            shareable_tokens: 0,
            preemptions: 0,
            cost: Usd::ZERO,
            met_slo,
            above_bar: None,
        }
    }

    #[test]
    fn requests_count_where_they_arrive_and_money_where_it_is_spent() {
        let mut t = Timeline::default();
        t.request(&record(10, Outcome::Completed, 200));
        t.request(&record(59, Outcome::Completed, 5_000));
        t.request(&record(60, Outcome::Failed, 0));
        t.spent(SimTime::from_secs(130), Usd::parse("0.25").unwrap());
        let s = t.summary();
        let counts: Vec<[u64; 3]> = s.rows.iter().map(|r| [r.arrived, r.completed, r.good]).collect();
        assert_eq!((s.row_s, counts), (60.0, vec![[2, 2, 1], [1, 0, 0], [0, 0, 0]]));
        let p90 = s.rows[0].ttft_p90_s.unwrap();
        assert!((p90 / 5.0 - 1.0).abs() < 0.01, "{p90}");
        assert_eq!(s.rows.iter().map(|r| r.api_usd).collect::<Vec<_>>(), [0.0, 0.0, 0.25]);
    }

    proptest::proptest! {
        #[test]
        fn a_long_trace_has_few_rows_and_loses_nothing(
            seconds in proptest::collection::vec((0u64..2_000_000, 0u64..3_000), 1..300),
        ) {
            let (mut forward, mut backward) = (Timeline::default(), Timeline::default());
            let one = |t: &mut Timeline, &(at, ms): &(u64, u64)| t.request(&record(at, Outcome::Completed, ms));
            seconds.iter().for_each(|s| one(&mut forward, s));
            seconds.iter().rev().for_each(|s| one(&mut backward, s));
            let s = forward.summary();
            proptest::prop_assert_eq!(&s, &backward.summary());
            proptest::prop_assert!(s.rows.len() <= MOST);
            let total = s.rows.iter().map(|r| r.arrived).sum::<u64>();
            proptest::prop_assert_eq!(total, seconds.len() as u64);
            let last = seconds.iter().map(|s| s.0).max().unwrap();
            proptest::prop_assert_eq!(s.rows.len(), (last as f64 / s.row_s) as usize + 1);
        }
    }
}
