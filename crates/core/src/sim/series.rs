//! Rows of the series: the state at fixed instants, taken late but exactly.
use super::world::World;
use crate::types::{RecordSink, SeriesRow, SimTime};

/// Emits rows until it is told that time has passed.
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

    /// Emits rows for the instants before `due`: between events nothing changes but what backends can tell, so a late
    /// sample is an exact one.
    pub fn until<S: RecordSink>(&mut self, due: SimTime, world: &mut World<'_, S>) {
        while self.next < due {
            let row = world.series_row(self.next);
            world.sink.series(&row);
            self.rows += 1;
            self.next += self.every;
            if self.rows == SeriesRow::MOST {
                self.every = SimTime(self.every.0 * 2);
                self.rows /= 2;
            }
        }
    }
}

impl<S: RecordSink> World<'_, S> {
    fn series_row(&self, at: SimTime) -> SeriesRow {
        let mut row = SeriesRow {
            at,
            waiting: 0,
            running: 0,
            kv_used_blocks: 0,
            kv_total_blocks: 0,
            replicas: 0,
            api_in_flight: self.bought.iter().map(|b| b.endpoint.in_flight()).sum(),
            api_spend: self.bought.iter().map(|b| b.endpoint.spend()).sum(),
        };
        for replica in self.replicas.iter().filter(|r| r.up) {
            let load = replica.engine.observe(at + SimTime(1));
            row.waiting += load.waiting;
            row.running += load.running;
            row.kv_used_blocks += u64::from(load.kv_used_blocks);
            row.kv_total_blocks += u64::from(load.kv_total_blocks);
            row.replicas += 1;
        }
        row
    }
}
