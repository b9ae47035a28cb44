//! A sink that ends the whole run at the first record that cannot be written: what would come after it is lost anyway.
use super::Collector;
use baseload_core::types::{AttemptRecord, GapRun, RecordSink, RequestRecord, SeriesRow};
use std::sync::atomic::{AtomicBool, Ordering};

/// A collector and the flag that stops all simulations.
pub(super) struct Halting<'a> {
    pub collector: &'a mut Collector,
    pub stop: &'a AtomicBool,
}

impl Halting<'_> {
    fn look(&self) {
        if self.collector.fault.is_some() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl RecordSink for Halting<'_> {
    fn attempt(&mut self, record: &AttemptRecord) {
        self.collector.attempt(record);
        self.look();
    }
    fn request(&mut self, record: &RequestRecord) {
        self.collector.request(record);
        self.look();
    }
    fn gaps(&mut self, run: &GapRun) {
        self.collector.gaps(run);
    }
    fn wants_series(&self) -> bool {
        self.collector.wants_series()
    }
    fn series(&mut self, row: &SeriesRow) {
        self.collector.series(row);
    }
}
