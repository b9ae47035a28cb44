//! `vllm-requests`: a CSV row a request (`sent_us`, `input_tokens`, `output_tokens`, `ttft_us`, `e2e_us`, `status`).
//!
//! Source: inference-sim/residency-vllm, sweeps of vLLM 0.23 (data/calibration/vllm023_*, read 2026-11-24).
//! Protocol: open loop at the recorded sends; nothing is taken to be shared between prompts. Settings of the server
//! are those of the JSON file `*_server_config.json` beside it.
use super::super::hash::Hasher;
use super::super::table::Table;
use super::super::trial::{Loop, Sent};
use super::requests::RequestRun;
use baseload_core::catalog::MeasuredEngine;
use baseload_core::types::{SimTime, TraceFault, wrong};
use serde::Deserialize;
use std::io::BufRead;

#[derive(Deserialize)]
struct ServerConfig {
    vllm_version: Option<String>,
    model: String,
    max_seq_len: Option<u32>,
    tensor_parallel_size: Option<u32>,
    max_num_batched_tokens: Option<u32>,
    max_num_seqs: Option<u32>,
    block_size: Option<u32>,
    num_gpu_blocks: Option<u32>,
}

/// Reads a file of requests and, where there is one, the server's settings.
///
/// # Errors
/// With file, line and column.
pub fn read(text: impl BufRead, name: &str, server: Option<&str>) -> Result<RequestRun, TraceFault> {
    let needed = ["sent_us", "input_tokens", "output_tokens", "ttft_us", "e2e_us", "status"];
    let table = Table::read(text, name, &needed)?;
    let mut rows: Vec<(f64, Sent, (f64, f64))> = Vec::new();
    let mut hasher = Hasher::default();
    for row in table.rows() {
        hasher.line(&row.whole());
        if row.text("status") != "ok" {
            continue;
        }
        let (at, ttft, e2e) = (row.number("sent_us")?, row.positive("ttft_us")?, row.positive("e2e_us")?);
        if e2e < ttft {
            let fault = row.fault(format!("e2e_us {e2e} is less than ttft_us {ttft}"));
            return Err(fault.hint("a first token is no later than the last"));
        }
        let sent = Sent {
            at: SimTime::from_secs_f64(at / 1e6),
            prompt: row.count("input_tokens")?,
            output: row.count("output_tokens")?,
            content: None,
        };
        rows.push((at, sent, (ttft / 1e6, e2e / 1e6)));
    }
    if rows.is_empty() {
        return Err(TraceFault::of(name, "no row with status ok").hint("at least one must have it"));
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let server: Option<ServerConfig> = server
        .map(|s| serde_json::from_str(s).map_err(|e| wrong!("server settings beside {name}: {e}")))
        .transpose()?;
    let engine = server.as_ref().map_or_else(MeasuredEngine::default, |s| {
        let engine = MeasuredEngine {
            name: "vllm".into(),
            version: s.vllm_version.clone().unwrap_or_default(),
            num_gpu_blocks: s.num_gpu_blocks,
            max_model_len: s.max_seq_len,
            ..MeasuredEngine::default()
        };
        engine
            .with("block_size", s.block_size)
            .with("max_num_seqs", s.max_num_seqs)
            .with("max_num_batched_tokens", s.max_num_batched_tokens)
    });
    Ok(RequestRun {
        name: name.to_owned(),
        model: server.as_ref().map_or_else(String::new, |s| s.model.clone()),
        engine,
        tensor_parallel: server.and_then(|s| s.tensor_parallel_size),
        measured: rows.iter().map(|r| r.2).collect(),
        requests: rows.into_iter().map(|r| r.1).collect(),
        sending: Loop::Open,
        hash: hasher.finish(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "request_id,client,scheduled_arrival_us,sent_us,input_tokens,output_tokens,ttft_us,e2e_us,status\n\
        0,a,9,200,10,5,1000,3000,ok\n1,a,9,100,20,6,2000,4000,ok\n2,a,9,300,20,6,0,0,error\n";

    #[test]
    fn rows_are_sorted_by_send_and_failures_left_out() {
        let config =
            r#"{"vllm_version":"0.23.0","model":"Qwen/Qwen3-14B","num_gpu_blocks":18038,"tensor_parallel_size":1}"#;
        let run = read(ROWS.as_bytes(), "r.csv", Some(config)).unwrap();
        assert_eq!(run.requests.iter().map(|r| r.prompt).collect::<Vec<_>>(), [20, 10]);
        assert_eq!(run.measured, [(0.002, 0.004), (0.001, 0.003)]);
        assert_eq!((run.model.as_str(), run.engine.num_gpu_blocks), ("Qwen/Qwen3-14B", Some(18_038)));
    }

    #[test]
    fn faults_name_line_and_column() {
        let e = read(ROWS.replace("ttft_us", "ttft_ms").as_bytes(), "r", None).unwrap_err().to_string();
        assert!(e.contains("column `ttft_us` is missing"), "{e}");
        let e = read(ROWS.replace("2000,4000", "-2000,4000").as_bytes(), "r", None).unwrap_err().to_string();
        assert!(e.starts_with("r:3: ttft_us is `-2000`"), "{e}");
        let e = read(ROWS.replace("2000,4000", "2000,1000").as_bytes(), "r", None).unwrap_err().to_string();
        assert!(e.starts_with("r:3: e2e_us 1000 is less"), "{e}");
    }
}
