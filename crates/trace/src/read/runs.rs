//! Runs of load tests that list their requests in arrays, one for each figure: what `vllm bench serve` and SGLang's
//! `bench_serving` save.
use super::calls::{Calls, Of};
use super::parse::{count, seconds_ns};
use baseload_core::types::{Entry, Measured, Status, TraceFault, wrong};

/// The arrays of one run, in the order of its requests.
#[derive(Default)]
pub(super) struct Run {
    pub(super) inputs: Vec<i64>,
    pub(super) outputs: Vec<i64>,
    /// To the first token, s.
    pub(super) ttfts: Vec<f64>,
    /// Gaps between tokens, s.
    pub(super) itls: Option<Vec<Vec<f64>>>,
    /// Starts on a monotonic clock, s.
    pub(super) starts: Option<Vec<f64>>,
    /// Whole times, s.
    pub(super) latencies: Option<Vec<f64>>,
    /// Empty where there was none.
    pub(super) errors: Option<Vec<Option<String>>>,
    pub(super) cached: Option<Vec<i64>>,
    pub(super) model: Option<String>,
}

/// Requests of runs that follow one another.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) read: u64,
    /// When the last run ended, ns from the first one's start.
    end_ns: i64,
    /// Whether some run does not say when its requests started.
    pub(super) untimed: bool,
    pub(super) failed: u64,
}

impl Run {
    /// Refuses arrays of different lengths.
    fn check(&self) -> Result<(), TraceFault> {
        let (by, n) = match &self.starts {
            Some(starts) => ("start_times", starts.len()),
            None => ("ttfts", self.ttfts.len()),
        };
        let others = [
            ("input_lens", Some(self.inputs.len())),
            ("output_lens", Some(self.outputs.len())),
            ("ttfts", Some(self.ttfts.len())),
            ("itls", self.itls.as_ref().map(Vec::len)),
            ("latencies", self.latencies.as_ref().map(Vec::len)),
            ("errors", self.errors.as_ref().map(Vec::len)),
            ("cached_tokens", self.cached.as_ref().map(Vec::len)),
        ];
        match others.into_iter().find(|(_, m)| m.is_some_and(|m| m != n)) {
            Some((key, m)) => {
                Err(wrong!("{key} has {} values but {by} {n}; they must have the same", m.unwrap_or_default()))
            }
            None if n == 0 => Err("the run has no requests; it needs at least one".into()),
            None => Ok(()),
        }
    }

    /// Request `i` of the run, whose clock began at `origin_s` and whose first request starts at `start_ns`.
    fn entry(&self, i: usize, origin_s: f64, start_ns: i64) -> Result<Entry, TraceFault> {
        let mut entry = Entry { at_ns: start_ns, ..Entry::blank() };
        if let Some(starts) = &self.starts {
            let since_first = seconds_ns(starts[i] - origin_s, "start_times less the earliest")?;
            entry.at_ns = start_ns.checked_add(since_first).ok_or("its start is more than 290 years from the first")?;
        }
        entry.prompt_tokens = count(self.inputs[i], "input_lens")?;
        entry.output_tokens = count(self.outputs[i], "output_lens")?;
        let failed = match &self.errors {
            Some(errors) => errors[i].as_deref().is_some_and(|e| !e.is_empty()),
            None => self.ttfts[i] == 0.0 && self.outputs[i] == 0,
        };
        entry.measured.status = if failed { Status::Failed } else { Status::Completed };
        if failed {
            return Ok(entry);
        }
        let ns = |s: f64, key: &str| seconds_ns(s, key).map(|ns| ns as u64);
        let e2e = match (&self.latencies, &self.itls) {
            (Some(latencies), _) => Some(ns(latencies[i], "latencies")?),
            (None, Some(itls)) => Some(ns(self.ttfts[i] + itls[i].iter().sum::<f64>(), "ttfts and itls")?),
            (None, None) => None,
        };
        let cached = self.cached.as_ref().map(|c| count(c[i], "cached_tokens")).transpose()?;
        let ttft_ns = Some(ns(self.ttfts[i], "ttfts")?);
        entry.measured = Measured { ttft_ns, e2e_ns: e2e, cached_tokens: cached, ..Measured::default() };
        Ok(entry)
    }
}

impl Runs {
    /// Adds the requests of a run, behind the runs so far.
    ///
    /// # Errors
    /// What is wrong with the run; none of it is added then.
    pub(super) fn add(&mut self, run: &Run, calls: &mut Calls) -> Result<(), TraceFault> {
        run.check()?;
        let origin = run.starts.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let entries: Result<Vec<Entry>, TraceFault> = (0..run.ttfts.len())
            .map(|i| run.entry(i, origin, self.end_ns).map_err(|e| e.of_part(format!("request {i}"))))
            .collect();
        let entries = entries?;
        let end = |e: &Entry| e.at_ns.saturating_add(e.measured.e2e_ns.unwrap_or(0) as i64);
        let ended = entries.iter().map(end).max().unwrap_or(0);
        self.untimed |= run.starts.is_none();
        self.read += 1;
        self.end_ns = self.end_ns.max(ended);
        let of = Of { model: run.model.clone(), ..Of::default() };
        for (i, entry) in entries.into_iter().enumerate() {
            if entry.prompt_tokens == 0 {
                calls.leave_out(super::tally::NO_PROMPT);
                continue;
            }
            self.failed += u64::from(entry.measured.status == Status::Failed);
            calls.push(entry, &of).map_err(|e| e.of_part(format!("request {i}")))?;
        }
        Ok(())
    }

    /// What people should know of the runs.
    pub(super) fn notes(&self) -> Vec<String> {
        let many = (self.read > 1).then(|| format!("{} runs, which stand one behind the other", self.read));
        let untimed = self.untimed.then(|| {
            "it does not say when its requests started: the experiment says how they arrive, or replays a closed loop".into()
        });
        many.into_iter().chain(untimed).collect()
    }
}
