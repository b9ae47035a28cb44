//! What a run's simulations replay: one decoded trace that they share, or each its own reading of the files.
use super::super::inputs::{TraceOrigin, find};
use super::super::resolve::{Experiment, ResolvedPolicy, TraceKind};
use super::{RunError, nothing_comes};
use baseload_core::api::Price;
use baseload_core::types::{Fault, Request, SimTime, Source, TraceFault, key};
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
        if exp.policies.iter().any(|policy| exp.must_buy(policy)) {
            probe(exp, &origin)?;
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

    /// The fault of arrivals at one instant where endpoints are paid by the token: what was spent in no time says nothing of a
    /// month. The key is that of what left so few, where that is known.
    pub(super) fn one_instant(&self) -> Fault {
        let key = match (&self.trace.kind, self.trace.options.limit) {
            (_, Some(_)) => key!["trace", "limit"],
            (kind, None) => key!["trace", kind.key()],
        };
        let what = "all requests arrive at one instant, so that what endpoints cost cannot be scaled to a month";
        let hint = match self.trace.is_closed() {
            true => "give more requests than users, so that some arrive later",
            false => "give requests that arrive at two instants at least: a greater limit, or another trace",
        };
        Fault::at(key, what).hint(hint)
    }

    /// Whether a policy must buy by the token: it has nothing of its own, and no units by the hour.
    fn must_buy(&self, policy: &ResolvedPolicy) -> bool {
        let owns = policy.pools.iter().any(|(_, replicas)| *replicas > 0);
        let paid = |e: &usize| self.endpoints[*e].spec.price != Price::default();
        !owns && !policy.endpoints.is_empty() && policy.endpoints.iter().all(paid)
    }
}

/// Reads to the second instant at which requests arrive, and refuses a trace without requests, or without that instant where
/// some policy needs it.
fn probe(exp: &Experiment, origin: &TraceOrigin) -> Result<(), RunError> {
    let mut source = origin.open(&exp.class_names(), &exp.trace.options).map_err(|why| exp.unplayable(why))?;
    let Some(first) = source.peek()? else { return Err(exp.located(nothing_comes()).into()) };
    if !exp.policies.iter().any(|policy| exp.must_buy(policy)) {
        return Ok(());
    }
    let mut came = 0;
    while source.peek()? == Some(first) {
        source.next();
        came += 1;
    }
    // Later requests of a closed loop wait for answers.
    let more = source.peek()?.is_some() || source.heeds_outcomes() && source.total().is_none_or(|total| came < total);
    if more { Ok(()) } else { Err(exp.located(exp.one_instant()).into()) }
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
