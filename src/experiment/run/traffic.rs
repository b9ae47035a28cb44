//! What a run's simulations replay: one decoded trace that they share, or each its own reading of the files.
use super::super::inputs::{TraceOrigin, find};
use super::super::resolve::Experiment;
use super::RunError;
use baseload_core::types::{Request, SimTime, Source, TraceFault};
use baseload_trace::SharedTrace;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of decoded requests that are shared at most; longer traces are read by each simulation, so that memory stays flat.
const MOST_SHARED: usize = 64 << 20;

/// The trace of a run.
pub struct Traffic {
    origin: TraceOrigin,
    shared: Option<SharedTrace>,
    total: Option<u64>,
}

impl Traffic {
    /// The trace of an experiment. Where several simulations replay it as it is, it is decoded here, unless it is long or has
    /// users who wait for their answers, which each simulation gives at its own times.
    ///
    /// # Errors
    /// What is not there; the reader's; an interruption.
    pub fn of(exp: &Experiment, stop: &AtomicBool) -> Result<Traffic, RunError> {
        let origin = find(&exp.trace).map_err(|faults| exp.located(faults.under("trace")))?;
        let mut alone = origin.open(&exp.class_names(), &exp.trace.options)?;
        let is_shared = exp.policies.len() > 1;
        let total = alone.total();
        let shared = match is_shared {
            true => SharedTrace::decoded(&mut Stoppable { source: alone.as_mut(), stop }, MOST_SHARED)?,
            false => None,
        };
        if stop.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        let total = shared.as_ref().map(|shared| shared.len() as u64).or(total);
        Ok(Traffic { origin, shared, total })
    }

    /// Requests of each simulation, where that is known before they run.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// A source for one simulation.
    ///
    /// # Errors
    /// The reader's.
    pub(super) fn source(&self, exp: &Experiment) -> Result<Box<dyn Source>, TraceFault> {
        match &self.shared {
            Some(shared) => Ok(Box::new(shared.source())),
            None => self.origin.open(&exp.class_names(), &exp.trace.options),
        }
    }
}

/// A source that ends when it is told to.
struct Stoppable<'a> {
    source: &'a mut dyn Source,
    stop: &'a AtomicBool,
}

impl Source for Stoppable<'_> {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        if self.stop.load(Ordering::Relaxed) { Ok(None) } else { self.source.peek() }
    }
    fn next(&mut self) -> Request {
        self.source.next()
    }
    fn finished(&mut self, session: u64, at: SimTime, outcome: baseload_core::types::Outcome) {
        self.source.finished(session, at, outcome);
    }
    fn heeds_outcomes(&self) -> bool {
        self.source.heeds_outcomes()
    }
    fn total(&self) -> Option<u64> {
        self.source.total()
    }
    fn notes(&self) -> Vec<String> {
        self.source.notes()
    }
}
