//! A trace that is decoded once and replayed by several simulations.
use baseload_core::types::{Outcome, Request, SimTime, Source, TraceFault};
use std::sync::Arc;

/// The requests of an open loop, in order.
#[derive(Debug, Clone)]
pub struct SharedTrace {
    requests: Arc<[Request]>,
    notes: Arc<[String]>,
}

impl SharedTrace {
    /// Reads all of `source`, whose requests leave whatever becomes of them; nothing if they take more than `most_bytes`.
    ///
    /// # Errors
    /// The source's.
    pub fn decoded(source: &mut dyn Source, most_bytes: usize) -> Result<Option<SharedTrace>, TraceFault> {
        let (mut requests, mut bytes) = (Vec::new(), 0);
        while source.peek()?.is_some() {
            let request = source.next();
            bytes += size_of::<Request>() + request.content.heap_bytes();
            if bytes > most_bytes {
                return Ok(None);
            }
            requests.push(request);
        }
        Ok(Some(SharedTrace { requests: requests.into(), notes: source.notes().into() }))
    }

    /// How many requests.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// A source of its own for one simulation.
    pub fn source(&self) -> SharedReplay {
        SharedReplay { trace: self.clone(), next: 0 }
    }
}

/// One simulation's way through a [`SharedTrace`].
#[derive(Debug)]
pub struct SharedReplay {
    trace: SharedTrace,
    next: usize,
}

impl Source for SharedReplay {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        Ok(self.trace.requests.get(self.next).map(|r| r.arrival))
    }
    fn next(&mut self) -> Request {
        self.next += 1;
        self.trace.requests[self.next - 1].clone()
    }
    fn finished(&mut self, _session: u64, _at: SimTime, _outcome: Outcome) {}
    fn total(&self) -> Option<u64> {
        Some(self.trace.requests.len() as u64)
    }
    fn notes(&self) -> Vec<String> {
        self.trace.notes.to_vec()
    }
}
