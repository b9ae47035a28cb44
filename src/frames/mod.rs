//! Tables out and in, as Parquet: records and series out (`mod.rs`), traces in and out, kernel tables in (`kernels.rs`). The
//! only room that names polars.
//!
//! May import `types`. Its surface has our own types only.
//! Must keep true: row groups of exactly 131,072 rows in completion order, so that the same run repeats byte for byte.
mod trace_read;
mod trace_write;

pub use trace_read::TraceReader;
pub use trace_write::{TraceWriter, Width};

use baseload_core::types::{AttemptRecord, BackendKind, RequestRecord, SeriesRow, SimTime};
use polars::prelude::*;
use std::fs::File;
use std::path::{Path, PathBuf};

mod kernels;

pub use kernels::{KernelFile, KernelPart, KernelTime, KernelTimes, SIZES, read_kernels, sizes, texts};

/// Rows of a row group.
pub const ROWS_PER_GROUP: usize = 131_072;

/// Names that records refer to by index.
#[derive(Debug, Clone)]
pub struct Names {
    /// Classes.
    pub classes: Vec<String>,
    /// Pools.
    pub pools: Vec<String>,
    /// Endpoints.
    pub endpoints: Vec<String>,
}

impl Names {
    fn backend(&self, backend: Option<BackendKind>) -> &str {
        match backend {
            None => "",
            Some(BackendKind::Pool(p)) => &self.pools[p as usize],
            Some(BackendKind::Endpoint(e)) => &self.endpoints[e as usize],
        }
    }
}

/// Writes one Parquet file in row groups, holding at most one group in memory.
struct Table {
    path: PathBuf,
    writer: polars::io::parquet::write::BatchedWriter<File>,
}

impl Table {
    fn create(path: &Path, empty: &DataFrame) -> Result<Table, String> {
        let fault = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let file = File::create(path).map_err(|e| fault(&e))?;
        let writer = ParquetWriter::new(file)
            .with_compression(ParquetCompression::Snappy)
            .with_row_group_size(Some(ROWS_PER_GROUP))
            .set_parallel(false)
            .batched(empty.schema())
            .map_err(|e| fault(&e))?;
        Ok(Table { path: path.to_path_buf(), writer })
    }
    fn write(&mut self, frame: &DataFrame) -> Result<(), String> {
        self.writer.write_batch(frame).map_err(|e| format!("{}: {e}", self.path.display()))
    }
    fn close(self) -> Result<(), String> {
        self.writer.finish().map(|_| ()).map_err(|e| format!("{}: {e}", self.path.display()))
    }
}

fn seconds(t: Option<SimTime>) -> Option<f64> {
    t.map(SimTime::as_secs_f64)
}

fn frame(columns: Vec<Column>) -> Result<DataFrame, String> {
    let height = columns.first().map_or(0, Column::len);
    DataFrame::new(height, columns).map_err(|e| e.to_string())
}

fn text<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

fn request_frame(rows: &[RequestRecord], names: &Names) -> Result<DataFrame, String> {
    macro_rules! column {
        ($name:literal, $r:ident => $value:expr) => {
            Column::new($name.into(), rows.iter().map(|$r| $value).collect::<Vec<_>>())
        };
    }
    let tpot = |r: &RequestRecord| match r.ttft {
        Some(t) if r.output_tokens >= 2 => Some((r.e2e - t).as_secs_f64() / f64::from(r.output_tokens - 1)),
        _ => None,
    };
    frame(vec![
        column!("index", r => r.index),
        column!("arrival_s", r => r.arrival.as_secs_f64()),
        text("class", rows.iter().map(|r| names.classes[r.class as usize].as_str())),
        column!("tenant", r => r.tenant),
        column!("session", r => (r.session != baseload_core::types::NO_SESSION).then_some(r.session)),
        column!("prompt_tokens", r => r.prompt_tokens),
        column!("output_tokens", r => r.output_tokens),
        text("outcome", rows.iter().map(|r| r.outcome.name())),
        text("cause", rows.iter().map(|r| r.cause.name())),
        text("backend", rows.iter().map(|r| names.backend(r.backend))),
        column!("attempts", r => r.attempts),
        column!("ttft_s", r => seconds(r.ttft)),
        column!("tpot_s", r => tpot(r)),
        column!("e2e_s", r => r.e2e.as_secs_f64()),
        column!("ended_s", r => r.ended.as_secs_f64()),
        column!("cached_tokens", r => r.cached_tokens),
        column!("preemptions", r => r.preemptions),
        column!("cost_usd", r => r.cost.as_f64()),
        column!("met_slo", r => r.met_slo),
        column!("above_bar", r => r.above_bar),
    ])
}

fn attempt_frame(rows: &[AttemptRecord], names: &Names) -> Result<DataFrame, String> {
    macro_rules! column {
        ($name:literal, $r:ident => $value:expr) => {
            Column::new($name.into(), rows.iter().map(|$r| $value).collect::<Vec<_>>())
        };
    }
    frame(vec![
        column!("request", r => r.request),
        column!("try_number", r => r.try_number),
        text("backend", rows.iter().map(|r| names.backend(Some(r.backend)))),
        column!("replica", r => (r.replica != u32::MAX).then_some(r.replica)),
        column!("sent_s", r => r.sent.as_secs_f64()),
        column!("first_token_s", r => seconds(r.first_token)),
        column!("ended_s", r => r.ended.as_secs_f64()),
        text("outcome", rows.iter().map(|r| r.outcome.name())),
        text("cause", rows.iter().map(|r| r.cause.name())),
        column!("cached_tokens", r => r.cached_tokens),
        column!("output_tokens", r => r.output_tokens),
        column!("preemptions", r => r.preemptions),
        column!("cost_usd", r => r.cost.as_f64()),
    ])
}

fn series_frame(rows: &[SeriesRow]) -> Result<DataFrame, String> {
    macro_rules! column {
        ($name:literal, $r:ident => $value:expr) => {
            Column::new($name.into(), rows.iter().map(|$r| $value).collect::<Vec<_>>())
        };
    }
    frame(vec![
        column!("at_s", r => r.at.as_secs_f64()),
        column!("waiting", r => r.waiting),
        column!("running", r => r.running),
        column!("kv_used_blocks", r => r.kv_used_blocks),
        column!("kv_total_blocks", r => r.kv_total_blocks),
        column!("replicas", r => r.replicas),
        column!("api_in_flight", r => r.api_in_flight),
        column!("api_spend_usd", r => r.api_spend.as_f64()),
    ])
}

/// Streams one simulation's records to `requests`, `attempts` and `series` Parquet files.
pub struct RecordWriter {
    names: Names,
    requests: (Table, Vec<RequestRecord>),
    attempts: (Table, Vec<AttemptRecord>),
    series: (Table, Vec<SeriesRow>),
}

impl RecordWriter {
    /// Creates `KIND/policy=POLICY/replicate=K/part.parquet` under `folder` for each kind of record.
    ///
    /// # Errors
    /// The file system's, with the path.
    pub fn create(folder: &Path, policy: &str, replicate: u32, names: Names) -> Result<RecordWriter, String> {
        let path = |kind: &str| -> Result<PathBuf, String> {
            let at = folder.join(kind).join(format!("policy={policy}")).join(format!("replicate={replicate}"));
            std::fs::create_dir_all(&at).map_err(|e| format!("{}: {e}", at.display()))?;
            Ok(at.join("part.parquet"))
        };
        Ok(RecordWriter {
            requests: (Table::create(&path("requests")?, &request_frame(&[], &names)?)?, Vec::new()),
            attempts: (Table::create(&path("attempts")?, &attempt_frame(&[], &names)?)?, Vec::new()),
            series: (Table::create(&path("series")?, &series_frame(&[])?)?, Vec::new()),
            names,
        })
    }
    /// Takes a request record.
    ///
    /// # Errors
    /// The file system's.
    pub fn request(&mut self, record: &RequestRecord) -> Result<(), String> {
        let (table, rows) = &mut self.requests;
        rows.push(*record);
        if rows.len() == ROWS_PER_GROUP {
            table.write(&request_frame(rows, &self.names)?)?;
            rows.clear();
        }
        Ok(())
    }
    /// Takes an attempt record.
    ///
    /// # Errors
    /// The file system's.
    pub fn attempt(&mut self, record: &AttemptRecord) -> Result<(), String> {
        let (table, rows) = &mut self.attempts;
        rows.push(*record);
        if rows.len() == ROWS_PER_GROUP {
            table.write(&attempt_frame(rows, &self.names)?)?;
            rows.clear();
        }
        Ok(())
    }
    /// Takes a row of the series; of 5,000 it keeps every second.
    pub fn series(&mut self, row: &SeriesRow) {
        self.series.1.push(*row);
        if self.series.1.len() == SeriesRow::MOST as usize {
            let mut nth = 0;
            self.series.1.retain(|_| (nth += 1, nth % 2 == 1).1);
        }
    }
    /// Writes what is left and the footers.
    ///
    /// # Errors
    /// The file system's.
    pub fn finish(mut self) -> Result<(), String> {
        if !self.requests.1.is_empty() {
            self.requests.0.write(&request_frame(&self.requests.1, &self.names)?)?;
        }
        if !self.attempts.1.is_empty() {
            self.attempts.0.write(&attempt_frame(&self.attempts.1, &self.names)?)?;
        }
        if !self.series.1.is_empty() {
            self.series.0.write(&series_frame(&self.series.1)?)?;
        }
        self.requests.0.close()?;
        self.attempts.0.close()?;
        self.series.0.close()
    }
}
