//! Rows of the series: the state at fixed instants, taken late but exactly.
use super::WorldEffect;
use super::fleet::Fleet;
use super::market::Market;
use crate::types::{SeriesRow, SimTime};

/// Makes rows when it is told that time has passed.
#[derive(Debug)]
pub struct Sampler {
    every: SimTime,
    next: SimTime,
    rows: u32,
}

impl Sampler {
    /// A row every `every`, from the first instant.
    pub fn new(every: SimTime) -> Sampler {
        Sampler { every, next: SimTime::ZERO, rows: 0 }
    }

    /// Whether there are rows to make before `due`.
    pub fn is_due(&self, due: SimTime) -> bool {
        self.next < due
    }

    /// Makes the rows for the instants before `due`: between events nothing changes but what backends can tell, so a late
    /// sample is an exact one.
    pub fn until(&mut self, due: SimTime, fleet: &Fleet, market: &Market, told: &mut Vec<WorldEffect>) {
        while self.next < due {
            told.push(WorldEffect::Series(row(self.next, fleet, market)));
            self.rows += 1;
            self.next += self.every;
            if self.rows == SeriesRow::MOST {
                self.every = SimTime(self.every.0 * 2);
                self.rows /= 2;
            }
        }
    }
}

fn row(at: SimTime, fleet: &Fleet, market: &Market) -> SeriesRow {
    let mut row = SeriesRow {
        at,
        waiting: 0,
        running: 0,
        kv_used_blocks: 0,
        kv_total_blocks: 0,
        replicas: 0,
        api_in_flight: market.in_flight(),
        api_spend: market.spend(),
    };
    for load in fleet.loads(at) {
        row.waiting += load.waiting;
        row.running += load.running;
        row.kv_used_blocks += u64::from(load.kv_used_blocks);
        row.kv_total_blocks += u64::from(load.kv_total_blocks);
        row.replicas += 1;
    }
    row
}
