//! At most so many requests under way, whatever the schedule says: `max_concurrency` of load generators.
//!
//! A request whose time has come while as many are under way waits at its client, which is no time that anybody measures: its
//! arrival is when an earlier one has ended. Must keep true: requests keep their order; arrivals never go back.
use baseload_core::types::{Outcome, Request, SimTime, Source, TraceFault};

/// See the module head.
pub struct Capped {
    inner: Box<dyn Source>,
    most: u32,
    under_way: u32,
    /// When the last one ended, or the last one left.
    not_before: SimTime,
}

impl Capped {
    /// `inner` with at most `most` requests under way, at least one.
    pub fn new(inner: Box<dyn Source>, most: u32) -> Capped {
        Capped { inner, most: most.max(1), under_way: 0, not_before: SimTime::ZERO }
    }
}

impl Source for Capped {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        if self.under_way >= self.most {
            return Ok(None);
        }
        Ok(self.inner.peek()?.map(|at| at.max(self.not_before)))
    }

    fn next(&mut self) -> Request {
        let mut request = self.inner.next();
        request.arrival = request.arrival.max(self.not_before);
        self.not_before = request.arrival;
        self.under_way += 1;
        request
    }

    fn finished(&mut self, session: u64, at: SimTime, outcome: Outcome) {
        self.under_way = self.under_way.saturating_sub(1);
        self.not_before = self.not_before.max(at);
        self.inner.finished(session, at, outcome);
    }

    fn total(&self) -> Option<u64> {
        self.inner.total()
    }

    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GenerateSpec, Generator, SourceOptions};

    #[test]
    fn who_is_due_waits_for_an_end() {
        let text =
            "requests = 4\narrivals.bench = { rate = inf }\nprompt = { constant = 8 }\noutput = { constant = 8 }\n";
        let options = SourceOptions { max_concurrency: Some(2), ..SourceOptions::default() };
        let spec = GenerateSpec::parse(text, "g.toml").unwrap();
        let entries = Generator::new(&spec, &options).unwrap();
        let mut source = crate::play(Box::new(entries), &options).unwrap();
        assert!(source.heeds_outcomes(), "no reading ahead knows when they leave");
        let s = SimTime::from_secs;
        assert_eq!((source.peek().unwrap(), source.next().index), (Some(s(0)), 0));
        assert_eq!((source.peek().unwrap(), source.next().index), (Some(s(0)), 1));
        assert_eq!(source.peek().unwrap(), None, "two are under way");
        source.finished(0, s(7), Outcome::Completed);
        assert_eq!(source.peek().unwrap(), Some(s(7)));
        assert_eq!((source.next().arrival, source.peek().unwrap()), (s(7), None));
        source.finished(1, s(9), Outcome::Failed);
        assert_eq!((source.peek().unwrap(), source.next().index, source.peek().unwrap()), (Some(s(9)), 3, None));
    }
}
