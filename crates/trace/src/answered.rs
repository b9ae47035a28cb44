//! A trace without the requests that failed in its source: one switch for all formats, whatever they call a failure.
use baseload_core::types::{Account, Clock, Entries, Entry, Status, TraceFault};

/// Entries of `inner` that did not fail.
pub struct Answered {
    inner: Box<dyn Entries>,
    failed: u64,
    /// Whether any did not fail.
    any: bool,
}

impl Answered {
    /// Leaves out what failed, and says how many that were.
    pub fn new(inner: Box<dyn Entries>) -> Answered {
        Answered { inner, failed: 0, any: false }
    }
}

impl Entries for Answered {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        while self.inner.next(entry)? {
            if entry.measured.status != Status::Failed {
                self.any = true;
                return Ok(true);
            }
            self.failed += 1;
        }
        if self.failed > 0 && !self.any {
            let what = format!("{}: all {} requests failed in the source", self.inner.place(), self.failed);
            return Err(TraceFault::new(what).hint("trace.replay_failed = true replays them"));
        }
        Ok(false)
    }
    fn clock(&self) -> Clock {
        self.inner.clock()
    }
    fn place(&self) -> String {
        self.inner.place()
    }
    fn account(&self) -> Account {
        self.inner.account()
    }
    fn notes(&self) -> Vec<String> {
        let failed = (self.failed > 0).then(|| {
            format!(
                "{} requests failed in the source and are not replayed; trace.replay_failed = true replays them",
                self.failed
            )
        });
        self.inner.notes().into_iter().chain(failed).collect()
    }
    fn total(&self) -> Option<u64> {
        self.inner.total()
    }
    fn names_private_text(&self) -> bool {
        self.inner.names_private_text()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Held, SourceOptions, play};
    use baseload_core::types::{Clock, Entry, Measured, Status};

    #[test]
    fn what_failed_is_replayed_only_where_that_is_asked_for() {
        let entry = |(id, status): (usize, &Status)| Entry {
            id: id as u64,
            at_ns: id as i64,
            prompt_tokens: 5,
            measured: Measured { status: *status, ..Measured::default() },
            ..Entry::blank()
        };
        let failed = vec![entry((0, &Status::Failed))];
        let held = Held::new(failed, Clock::Common, "t:1", Vec::new());
        let error = play(Box::new(held), &SourceOptions::default()).unwrap().peek().unwrap_err().to_string();
        assert_eq!(error, "t:1: all 1 requests failed in the source; trace.replay_failed = true replays them");
        let replayed = |replay_failed: bool| {
            let all = Status::ALL.iter().enumerate().map(entry).collect();
            let options = SourceOptions { replay_failed, ..SourceOptions::default() };
            let held = Held::new(all, Clock::Common, "t", Vec::new());
            let mut source = play(Box::new(held), &options).unwrap();
            let mut ids = Vec::new();
            while source.peek().unwrap().is_some() {
                ids.push(source.next().index);
            }
            (ids, source.notes())
        };
        let (ids, notes) = replayed(false);
        assert_eq!(ids, [0, 2, 3]);
        assert!(notes[0].starts_with("1 requests failed in the source and are not replayed"), "{notes:?}");
        assert_eq!(replayed(true), (vec![0, 1, 2, 3], vec![]));
    }
}
