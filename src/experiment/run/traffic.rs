//! What a run's simulations replay: one decoded trace that they share, or each its own reading of the files.
use super::super::inputs::{TraceOrigin, find};
use super::super::resolve::{Experiment, TraceKind};
use super::{RunError, nothing_comes};
use baseload_core::types::{Fault, Request, SimTime, Source, TraceFault};
use baseload_trace::{SharedTrace, Unplayable};
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
        let mut alone = origin.open(&exp.class_names(), &exp.trace.options).map_err(|why| exp.unplayable(why))?;
        if alone.peek()?.is_none() {
            return Err(exp.located(nothing_comes()).into());
        }
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
    pub(super) fn source(&self, exp: &Experiment) -> Result<Box<dyn Source>, RunError> {
        match &self.shared {
            Some(shared) => Ok(Box::new(shared.source())),
            None => {
                let opened = self.origin.open(&exp.class_names(), &exp.trace.options);
                opened.map_err(|why| exp.unplayable(why))
            }
        }
    }
}

impl Experiment {
    /// Opens the trace and reads as much of it as a run's first refusals need. A published trace that is not here is no
    /// fault yet: who only looks at an experiment need not have fetched it.
    ///
    /// # Errors
    /// What a run would refuse before its simulations.
    pub fn probe_trace(&self) -> Result<(), RunError> {
        match find(&self.trace) {
            Err(_) if matches!(self.trace.kind, TraceKind::Published(_)) => Ok(()),
            Err(faults) => Err(self.located(faults.under("trace")).into()),
            Ok(origin) => probe(self, &origin),
        }
    }

    /// Why the trace cannot be played, at its place.
    pub(in super::super) fn unplayable(&self, why: Unplayable) -> RunError {
        match why {
            Unplayable::Asked(fault) => self.located(fault.under("trace")).into(),
            Unplayable::Unread(fault) => fault.into(),
        }
    }

    /// The fault of calls that cost something and take no time: what was spent in no time says nothing of a month.
    pub(super) fn no_time(&self) -> Fault {
        let what = "all requests arrive and are answered at one instant, so that what endpoints cost cannot be scaled to a month";
        Fault::at("trace", what).hint("give requests that arrive at two instants at least")
    }
}

/// Refuses a trace that cannot be played, and one without requests.
fn probe(exp: &Experiment, origin: &TraceOrigin) -> Result<(), RunError> {
    let mut source = origin.open(&exp.class_names(), &exp.trace.options).map_err(|why| exp.unplayable(why))?;
    match source.peek()? {
        Some(_) => Ok(()),
        None => Err(exp.located(nothing_comes()).into()),
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
