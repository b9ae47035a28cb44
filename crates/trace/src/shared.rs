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
    /// Reads all of `source`; nothing if its requests take more than `most_bytes`, or if it heeds outcomes, which no reading
    /// ahead of the simulation knows.
    ///
    /// # Errors
    /// The source's.
    pub fn decoded(source: &mut dyn Source, most_bytes: usize) -> Result<Option<SharedTrace>, TraceFault> {
        if source.heeds_outcomes() {
            return Ok(None);
        }
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
    fn heeds_outcomes(&self) -> bool {
        false
    }
    fn total(&self) -> Option<u64> {
        Some(self.trace.requests.len() as u64)
    }
    fn notes(&self) -> Vec<String> {
        self.trace.notes.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClosedLoop, ClosedLoopSpec, SourceOptions};

    #[test]
    fn users_who_wait_for_answers_are_not_read_ahead() {
        let text = "users = 2\nrequests = 5\nprompt = { median = 9, sigma = 0, max = 9 }\noutput = { median = 5, sigma = 0, max = 5 }\n";
        let spec: ClosedLoopSpec = toml::from_str(text).unwrap();
        let mut users = ClosedLoop::new(&spec, &SourceOptions::default()).unwrap();
        assert!(SharedTrace::decoded(&mut users, usize::MAX).unwrap().is_none(), "two of five would be all it knows");
        assert_eq!(users.next().index, 0, "nothing was taken of it");
    }
}
