//! `vllm bench serve --save-result --save-detailed` (vLLM 0.32): one JSON object with arrays in request order.
//!
//! Arrivals are `start_times`, a monotonic clock in seconds, less the earliest; entries go out in order of start. What was
//! measured is kept. `itls` and `generated_texts` are passed over. Read from vllm032_cpu_serve, 2026-11.
use super::Reader;
use super::parse::{checked, count, seconds_ns, zero_outputs};
use crate::registry::{Format, Tried};
use baseload_core::types::TraceFault;
use baseload_core::types::{Entries, Entry, Measured, Status};
use serde::Deserialize;

/// Row of `vllm bench`'s format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "vllm-bench-serve",
    looks_like: "JSON object with ttfts, itls",
    tried: Tried::On("vLLM 0.32"),
    recognises: |head| {
        head.has_keys(&["ttfts", "itls"]) || head.has_keys(&["num_prompts", "request_rate", "burstiness"])
    },
    open: |mut trace| Ok(Box::new(VllmBench::new(trace.text()?, trace.name))),
    example: r#"{"num_prompts":2,"request_rate":"inf","burstiness":1.0,"max_concurrency":4,"completed":2,"failed":0,
"input_lens":[10,20],"output_lens":[5,7],"ttfts":[0.5,0.25],"itls":[[0.1],[]],"start_times":[100.5,100.0],"errors":["",""]}"#,
    ..Format::PLAIN
};

#[derive(Deserialize)]
struct Result_ {
    max_concurrency: Option<u64>,
    completed: Option<u64>,
    failed: Option<u64>,
    input_lens: Option<Vec<i64>>,
    output_lens: Option<Vec<i64>>,
    start_times: Option<Vec<f64>>,
    ttfts: Option<Vec<f64>>,
    latencies: Option<Vec<f64>>,
    errors: Option<Vec<Option<String>>>,
}

/// A result's requests; the object is read whole when first asked.
pub(super) struct VllmBench {
    reader: Option<Reader>,
    name: String,
    ready: std::vec::IntoIter<Entry>,
    total: usize,
    users: Option<u64>,
    failed: u64,
    empty: u64,
}

impl VllmBench {
    pub(super) fn new(reader: Reader, name: &str) -> VllmBench {
        VllmBench {
            reader: Some(reader),
            name: name.into(),
            ready: Vec::new().into_iter(),
            total: 0,
            users: None,
            failed: 0,
            empty: 0,
        }
    }

    fn read(&mut self, mut reader: Reader) -> Result<Vec<Entry>, TraceFault> {
        let fault = |line: usize, what: String| TraceFault::of(&self.name, what).on_line(line.max(1) as u64);
        skip_mark(&mut reader).map_err(|e| TraceFault::unreadable(e).on_line(1).in_file(&self.name))?;
        let result: Result_ = serde_json::from_reader(reader)
            .map_err(|e| fault(e.line(), format!("{e}; it must be the JSON object that `vllm bench serve` saves")))?;
        let (Some(starts), Some(inputs), Some(outputs), Some(ttfts)) =
            (result.start_times, result.input_lens, result.output_lens, result.ttfts)
        else {
            return Err(fault(
                1,
                "it has no start_times, input_lens, output_lens or ttfts; save it with --save-detailed".into(),
            ));
        };
        let n = starts.len();
        let others = [
            ("input_lens", Some(inputs.len())),
            ("output_lens", Some(outputs.len())),
            ("ttfts", Some(ttfts.len())),
            ("latencies", result.latencies.as_ref().map(Vec::len)),
            ("errors", result.errors.as_ref().map(Vec::len)),
        ];
        if let Some((key, Some(m))) = others.iter().find(|(_, m)| m.is_some_and(|m| m != n)) {
            return Err(fault(1, format!("{key} has {m} values but start_times {n}; they must have the same")));
        }
        if n == 0 {
            return Err(fault(1, "the result has no requests; it needs at least one".into()));
        }
        let first = starts.iter().copied().fold(f64::INFINITY, f64::min);
        let mut entries = Vec::with_capacity(n);
        let (mut failed, mut empty) = (0, 0);
        for i in 0..n {
            let error = result.errors.as_ref().and_then(|e| e[i].as_deref()).unwrap_or("");
            let mut make = || -> Result<Entry, TraceFault> {
                let mut entry = Entry { id: i as u64, ..Entry::blank() };
                entry.at_ns = seconds_ns(starts[i] - first, "start_times less the earliest")?;
                entry.prompt_tokens = count(inputs[i], "input_lens")?;
                entry.output_tokens = count(outputs[i], "output_lens")?;
                let ns = |s: f64, key: &str| seconds_ns(s, key).map(|ns| ns as u64);
                let (ttft, e2e) = (ns(ttfts[i], "ttfts")?, result.latencies.as_ref().map(|l| ns(l[i], "latencies")));
                failed += u64::from(!error.is_empty());
                empty += u64::from(error.is_empty() && entry.output_tokens == 0);
                entry.measured = if error.is_empty() {
                    Measured { ttft_ns: Some(ttft), e2e_ns: e2e.transpose()?, ..Measured::default() }
                } else {
                    Measured { status: Status::Failed, ..Measured::default() }
                };
                checked(&entry)?;
                Ok(entry)
            };
            entries.push(make().map_err(|e| fault(1, format!("request {i}: {e}")))?);
        }
        if let (Some(completed), Some(said)) = (result.completed, result.failed)
            && (completed + said != n as u64 || result.errors.is_some() && said != failed)
        {
            let what =
                format!("it says {completed} completed and {said} failed, but has {n} requests and {failed} errors");
            return Err(fault(1, format!("{what}; they must agree")));
        }
        entries.sort_by_key(|e| e.at_ns);
        (self.users, self.failed, self.empty, self.total) = (result.max_concurrency, failed, empty, n);
        Ok(entries)
    }
}

/// Passes over a byte order mark.
fn skip_mark(reader: &mut Reader) -> std::io::Result<()> {
    let marked = reader.fill_buf()?.starts_with(b"\xef\xbb\xbf");
    reader.consume(if marked { 3 } else { 0 });
    Ok(())
}

impl Entries for VllmBench {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        if let Some(reader) = self.reader.take() {
            self.ready = self.read(reader)?.into_iter();
        }
        Ok(entry.become_next(self.ready.next()))
    }
    fn place(&self) -> String {
        format!("{}:1", self.name)
    }
    fn notes(&self) -> Vec<String> {
        let users = self.users.map(|n| {
            format!("it was measured with at most {n} requests under way: a closed loop of {n} users repeats it better")
        });
        let failed = (self.failed > 0).then(|| format!("{} requests failed; they are kept, as failed", self.failed));
        users.into_iter().chain(failed).chain(zero_outputs(self.empty)).collect()
    }
    fn total(&self) -> Option<u64> {
        (self.total > 0).then_some(self.total as u64)
    }
}
