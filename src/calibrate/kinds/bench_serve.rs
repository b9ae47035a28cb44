//! `vllm-bench-serve`: a result of `vllm bench serve --save-result --save-detailed`, one JSON object a file.
//!
//! Source: vLLM 0.32.0, benchmarks/serve.py (results in data/calibration/vllm032_cpu_serve, read 2026-11-24).
//! Protocol: with `max_concurrency` a closed loop of that many in flight in the order of sending, else the recorded
//! starts. Requests that failed are left out.
use super::super::hash;
use super::super::trial::{Loop, Sent};
use super::requests::RequestRun;
use baseload_core::catalog::MeasuredEngine;
use baseload_core::types::{SimTime, TraceFault};
use serde::Deserialize;
use std::io::BufRead;

#[derive(Deserialize)]
struct Result_ {
    #[serde(default)]
    model_id: String,
    max_concurrency: Option<u32>,
    input_lens: Vec<u32>,
    output_lens: Vec<u32>,
    start_times: Vec<f64>,
    ttfts: Vec<f64>,
    itls: Vec<Vec<f64>>,
    latencies: Option<Vec<f64>>,
    #[serde(default)]
    errors: Vec<String>,
}

/// Reads a result.
///
/// # Errors
/// With the key that is missing or of another length, or the request whose durations are wrong.
pub fn read(mut text: impl BufRead, name: &str) -> Result<RequestRun, TraceFault> {
    let mut all = String::new();
    text.read_to_string(&mut all).map_err(|e| TraceFault::unreadable(e).in_file(name))?;
    let r: Result_ = serde_json::from_str(&all).map_err(|e| {
        let fault = TraceFault::of(name, &e).on_line(e.line() as u64);
        fault.hint("wanted is a file of `vllm bench serve --save-result --save-detailed`")
    })?;
    let n = r.input_lens.len();
    let lengths = [
        ("output_lens", r.output_lens.len()),
        ("start_times", r.start_times.len()),
        ("ttfts", r.ttfts.len()),
        ("itls", r.itls.len()),
        ("latencies", r.latencies.as_ref().map_or(n, Vec::len)),
        ("errors", if r.errors.is_empty() { n } else { r.errors.len() }),
    ];
    if let Some((key, len)) = lengths.iter().find(|(_, len)| *len != n) {
        let what = format!("`{key}` has {len} values and `input_lens` {n}");
        return Err(TraceFault::of(name, what).hint("each request has one of each"));
    }
    let mut order: Vec<usize> = (0..n).filter(|&i| r.errors.get(i).is_none_or(String::is_empty)).collect();
    order.sort_by(|&a, &b| r.start_times[a].total_cmp(&r.start_times[b]));
    let Some(&first) = order.first() else {
        return Err(TraceFault::of(name, "no request that succeeded").hint("it needs at least one"));
    };
    let start = r.start_times[first];
    let (mut requests, mut measured) = (Vec::new(), Vec::new());
    for &i in &order {
        let latency = r.latencies.as_ref().map_or_else(|| r.ttfts[i] + r.itls[i].iter().sum::<f64>(), |l| l[i]);
        if !(r.ttfts[i] > 0.0 && latency >= r.ttfts[i] && latency.is_finite()) {
            let what = format!("request {i}: ttft {} s and latency {latency} s", r.ttfts[i]);
            return Err(TraceFault::of(name, what).hint("they must rise from 0"));
        }
        if r.input_lens[i] == 0 || r.output_lens[i] == 0 {
            let what = format!("request {i}: input_lens is {} and output_lens {}", r.input_lens[i], r.output_lens[i]);
            return Err(TraceFault::of(name, what).hint("each must be at least 1"));
        }
        let at = SimTime::from_secs_f64(r.start_times[i] - start);
        requests.push(Sent { at, prompt: r.input_lens[i], output: r.output_lens[i], content: None });
        measured.push((r.ttfts[i], latency));
    }
    Ok(RequestRun {
        name: name.to_owned(),
        model: r.model_id,
        engine: MeasuredEngine { name: "vllm".into(), ..MeasuredEngine::default() },
        tensor_parallel: None,
        requests,
        sending: r.max_concurrency.map_or(Loop::Open, Loop::Closed),
        measured,
        hash: hash::of(all.trim()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = r#"{"model_id":"toy","max_concurrency":null,"input_lens":[10,20,30],"output_lens":[2,3,1],
        "start_times":[100.5,100.0,101.0],"ttfts":[0.1,0.2,0.0],"itls":[[0.01],[0.02,0.03],[]],
        "latencies":[0.11,0.25,0.0],"errors":["","","boom"]}"#;

    #[test]
    fn requests_come_in_order_and_failures_are_left_out() {
        let run = read(RESULT.as_bytes(), "r").unwrap();
        let seen: Vec<_> = run.requests.iter().map(|r| (r.at.0, r.prompt, r.output)).collect();
        assert_eq!(seen, [(0, 20, 3), (500_000_000, 10, 2)]);
        assert_eq!((run.measured, run.sending), (vec![(0.2, 0.25), (0.1, 0.11)], Loop::Open));
        let closed = read(RESULT.replace("null", "4").as_bytes(), "r").unwrap();
        assert_eq!(closed.sending, Loop::Closed(4));
    }

    #[test]
    fn faults_name_the_key_or_the_request() {
        let e = read(RESULT.replace("\"ttfts\"", "\"ttft\"").as_bytes(), "r").unwrap_err().to_string();
        assert!(e.contains("missing field `ttfts`"), "{e}");
        let e = read(RESULT.replace("[2,3,1]", "[2,3]").as_bytes(), "r").unwrap_err().to_string();
        assert!(e.starts_with("r: `output_lens` has 2 values and `input_lens` 3"), "{e}");
        let e = read(RESULT.replace("0.2,0.0]", "-0.2,0.0]").as_bytes(), "r").unwrap_err().to_string();
        assert!(e.starts_with("r: request 1: ttft -0.2 s"), "{e}");
    }
}
