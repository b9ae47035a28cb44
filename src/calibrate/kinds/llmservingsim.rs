//! `llmservingsim`: a request a JSON line with instants on the engine's clock, and `meta.json` beside it.
//!
//! Source: casys-kaist/LLMServingSim, its vLLM 0.19 run on an RTX PRO 6000 (data/calibration, read 2026-11-24).
//! Protocol: open loop at the instants at which the engine queued each request; TTFT and E2E from there, so that no
//! frontend lies between.
use super::super::lines;
use super::super::trial::{Loop, Sent};
use super::requests::RequestRun;
use baseload_core::catalog::MeasuredEngine;
use baseload_core::types::{SimTime, TraceFault, wrong};
use serde::Deserialize;
use std::io::BufRead;

#[derive(Deserialize)]
struct Line {
    input_toks: u32,
    output_toks: u32,
    queued_ts: f64,
    first_token_ts: f64,
    last_token_ts: f64,
}

#[derive(Deserialize)]
struct Meta {
    model: String,
    vllm_version: Option<String>,
    engine_kwargs: Kwargs,
}

#[derive(Deserialize)]
struct Kwargs {
    tensor_parallel_size: Option<u32>,
    max_num_seqs: Option<u32>,
    max_num_batched_tokens: Option<u32>,
    max_model_len: Option<u32>,
}

/// Reads `requests.jsonl` and the `meta.json` beside it.
///
/// # Errors
/// With file, line and key.
pub fn read(text: impl BufRead, name: &str, meta: Option<&str>) -> Result<RequestRun, TraceFault> {
    let mut rows: Vec<(f64, Line)> = Vec::new();
    let hash = lines::read(text, name, "a line of kind llmservingsim is a request", |r: Line| {
        if !(r.first_token_ts > r.queued_ts && r.last_token_ts >= r.first_token_ts && r.last_token_ts.is_finite()) {
            let (queued, first, last) = (r.queued_ts, r.first_token_ts, r.last_token_ts);
            let fault = wrong!("queued_ts {queued}, first_token_ts {first}, last_token_ts {last}");
            return Err(fault.hint("they must rise"));
        }
        if r.input_toks == 0 || r.output_toks == 0 {
            let fault = wrong!("input_toks is {} and output_toks {}", r.input_toks, r.output_toks);
            return Err(fault.hint("each must be at least 1"));
        }
        rows.push((r.queued_ts, r));
        Ok(())
    })?;
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some(start) = rows.first().map(|r| r.0) else {
        return Err(TraceFault::of(name, "no requests").hint("it needs at least one"));
    };
    let meta: Option<Meta> =
        meta.map(|m| serde_json::from_str(m).map_err(|e| wrong!("meta.json beside {name}: {e}"))).transpose()?;
    let kwargs = meta.as_ref().map(|m| &m.engine_kwargs);
    let sent = |(at, r): &(f64, Line)| Sent {
        at: SimTime::from_secs_f64(at - start),
        prompt: r.input_toks,
        output: r.output_toks,
        content: None,
    };
    Ok(RequestRun {
        name: name.to_owned(),
        model: meta.as_ref().map_or_else(String::new, |m| m.model.clone()),
        engine: MeasuredEngine {
            name: "vllm".into(),
            version: meta.as_ref().and_then(|m| m.vllm_version.clone()).unwrap_or_default(),
            max_model_len: kwargs.and_then(|k| k.max_model_len),
            ..MeasuredEngine::default()
        }
        .with("max_num_seqs", kwargs.and_then(|k| k.max_num_seqs))
        .with("max_num_batched_tokens", kwargs.and_then(|k| k.max_num_batched_tokens)),
        tensor_parallel: kwargs.and_then(|k| k.tensor_parallel_size),
        requests: rows.iter().map(sent).collect(),
        sending: Loop::Open,
        measured: rows.iter().map(|(at, r)| (r.first_token_ts - at, r.last_token_ts - at)).collect(),
        hash,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"request_id": "0", "input_toks": 5, "output_toks": 7, "arrival_time": 1.0, "queued_ts": 10.5, "scheduled_ts": 10.6, "first_token_ts": 11.0, "last_token_ts": 12.0}
{"request_id": "1", "input_toks": 6, "output_toks": 8, "arrival_time": 1.0, "queued_ts": 10.0, "scheduled_ts": 10.0, "first_token_ts": 10.25, "last_token_ts": 11.0}
"#;

    #[test]
    fn instants_count_from_the_first_queued_request() {
        let meta = r#"{"model":"meta-llama/Llama-3.1-8B","vllm_version":"0.19.0","engine_kwargs":{"max_num_seqs":128,"max_model_len":null}}"#;
        let run = read(LINES.as_bytes(), "r", Some(meta)).unwrap();
        assert_eq!(run.requests.iter().map(|r| (r.at.0, r.prompt)).collect::<Vec<_>>(), [(0, 6), (500_000_000, 5)]);
        assert_eq!((run.measured[0], run.engine.settings["max_num_seqs"].as_integer()), ((0.25, 1.0), Some(128)));
        let e = read(LINES.replace("\"last_token_ts\": 12.0", "\"last_token_ts\": 1.0").as_bytes(), "r", None)
            .unwrap_err()
            .to_string();
        assert!(e.starts_with("r:1: queued_ts"), "{e}");
        let e = read(LINES.replace("queued_ts", "queued").as_bytes(), "r", None).unwrap_err().to_string();
        assert!(e.starts_with("r:1: missing field `queued_ts`"), "{e}");
    }
}
