//! Records and series out, as Parquet: one simulation, three files.
//!
//! Must keep true: row groups of exactly [`ROWS_PER_GROUP`] rows in completion order, so that the same run repeats byte for
//! byte.
use super::ROWS_PER_GROUP;
use super::table_write::{Column, TableWriter};
use baseload_core::types::{AttemptRecord, NO_SESSION, Place, PlaceId, RequestRecord, SeriesRow, SimTime, TraceFault};
use std::path::{Path, PathBuf};

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
    fn backend(&self, backend: Option<Place>) -> &str {
        match backend {
            Some(Place::Pool(p)) => &self.pools[p.index()],
            Some(Place::Endpoint(e)) => &self.endpoints[e.index()],
            Some(Place::Replica(_)) | None => "",
        }
    }
}

fn seconds(t: Option<SimTime>) -> Option<f64> {
    t.map(SimTime::as_secs_f64)
}

/// The column of this name of all rows.
macro_rules! column {
    ($rows:expr, $name:literal, $r:ident => $value:expr) => {
        Column::new($name, $rows.iter().map(|$r| $value).collect::<Vec<_>>())
    };
}

fn request_columns(rows: &[RequestRecord], names: &Names) -> Vec<Column> {
    let tpot = |r: &RequestRecord| match r.ttft {
        Some(t) if r.output_tokens >= 2 => Some((r.e2e - t).as_secs_f64() / f64::from(r.output_tokens - 1)),
        _ => None,
    };
    vec![
        column!(rows, "index", r => r.index),
        column!(rows, "arrival_s", r => r.arrival.as_secs_f64()),
        column!(rows, "class", r => names.classes[r.class as usize].as_str()),
        column!(rows, "tenant", r => r.tenant),
        column!(rows, "session", r => (r.session != NO_SESSION).then_some(r.session)),
        column!(rows, "prompt_tokens", r => r.prompt_tokens),
        column!(rows, "output_tokens", r => r.output_tokens),
        column!(rows, "outcome", r => r.outcome.name()),
        column!(rows, "cause", r => r.cause.name()),
        column!(rows, "backend", r => names.backend(r.backend)),
        column!(rows, "attempts", r => r.attempts),
        column!(rows, "ttft_s", r => seconds(r.ttft)),
        column!(rows, "tpot_s", r => tpot(r)),
        column!(rows, "e2e_s", r => r.e2e.as_secs_f64()),
        column!(rows, "ended_s", r => r.ended.as_secs_f64()),
        column!(rows, "cached_tokens", r => r.cached_tokens),
        column!(rows, "preemptions", r => r.preemptions),
        column!(rows, "cost_usd", r => r.cost.as_f64()),
        column!(rows, "met_slo", r => r.met_slo),
        column!(rows, "above_bar", r => r.above_bar),
    ]
}

fn attempt_columns(rows: &[AttemptRecord], names: &Names) -> Vec<Column> {
    vec![
        column!(rows, "request", r => r.request),
        column!(rows, "try_number", r => r.try_number),
        column!(rows, "backend", r => names.backend(Some(r.backend))),
        column!(rows, "replica", r => r.replica.map(|id| id.0)),
        column!(rows, "sent_s", r => r.sent.as_secs_f64()),
        column!(rows, "first_token_s", r => seconds(r.first_token)),
        column!(rows, "ended_s", r => r.ended.as_secs_f64()),
        column!(rows, "outcome", r => r.outcome.name()),
        column!(rows, "cause", r => r.cause.name()),
        column!(rows, "cached_tokens", r => r.cached_tokens),
        column!(rows, "output_tokens", r => r.output_tokens),
        column!(rows, "preemptions", r => r.preemptions),
        column!(rows, "cost_usd", r => r.cost.as_f64()),
    ]
}

fn series_columns(rows: &[SeriesRow]) -> Vec<Column> {
    vec![
        column!(rows, "at_s", r => r.at.as_secs_f64()),
        column!(rows, "waiting", r => r.waiting),
        column!(rows, "running", r => r.running),
        column!(rows, "kv_used_blocks", r => r.kv_used_blocks),
        column!(rows, "kv_total_blocks", r => r.kv_total_blocks),
        column!(rows, "replicas", r => r.replicas),
        column!(rows, "api_in_flight", r => r.api_in_flight),
        column!(rows, "api_spend_usd", r => r.api_spend.as_f64()),
    ]
}

/// Streams one simulation's records to `requests`, `attempts` and `series` Parquet files.
pub struct RecordWriter {
    names: Names,
    requests: (TableWriter, Vec<RequestRecord>),
    attempts: (TableWriter, Vec<AttemptRecord>),
    series: (TableWriter, Vec<SeriesRow>),
}

impl RecordWriter {
    /// Creates `KIND/policy=POLICY/replicate=K/part.parquet` under `folder` for each kind of record.
    ///
    /// # Errors
    /// The file system's, with the path.
    pub fn create(folder: &Path, policy: &str, replicate: u32, names: Names) -> Result<RecordWriter, TraceFault> {
        let path = |kind: &str| -> Result<PathBuf, TraceFault> {
            let at = folder.join(kind).join(format!("policy={policy}")).join(format!("replicate={replicate}"));
            let fault = |e: std::io::Error| TraceFault::of(at.display(), e);
            std::fs::create_dir_all(&at).map_err(fault)?;
            Ok(at.join("part.parquet"))
        };
        Ok(RecordWriter {
            requests: (TableWriter::create(&path("requests")?, &request_columns(&[], &names))?, Vec::new()),
            attempts: (TableWriter::create(&path("attempts")?, &attempt_columns(&[], &names))?, Vec::new()),
            series: (TableWriter::create(&path("series")?, &series_columns(&[]))?, Vec::new()),
            names,
        })
    }
    /// Removes what [`RecordWriter::create`] has made for a policy under `folder`.
    pub fn forget(folder: &Path, policy: &str) {
        for kind in ["requests", "attempts", "series"] {
            let _ = std::fs::remove_dir_all(folder.join(kind).join(format!("policy={policy}")));
        }
    }
    /// Takes a request record.
    ///
    /// # Errors
    /// The file system's.
    pub fn request(&mut self, record: &RequestRecord) -> Result<(), TraceFault> {
        let (table, rows) = &mut self.requests;
        rows.push(*record);
        if rows.len() == ROWS_PER_GROUP {
            table.write(request_columns(rows, &self.names))?;
            rows.clear();
        }
        Ok(())
    }
    /// Takes an attempt record.
    ///
    /// # Errors
    /// The file system's.
    pub fn attempt(&mut self, record: &AttemptRecord) -> Result<(), TraceFault> {
        let (table, rows) = &mut self.attempts;
        rows.push(*record);
        if rows.len() == ROWS_PER_GROUP {
            table.write(attempt_columns(rows, &self.names))?;
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
    pub fn finish(mut self) -> Result<(), TraceFault> {
        if !self.requests.1.is_empty() {
            self.requests.0.write(request_columns(&self.requests.1, &self.names))?;
        }
        if !self.attempts.1.is_empty() {
            self.attempts.0.write(attempt_columns(&self.attempts.1, &self.names))?;
        }
        if !self.series.1.is_empty() {
            self.series.0.write(series_columns(&self.series.1))?;
        }
        self.requests.0.close()?;
        self.attempts.0.close()?;
        self.series.0.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::TableFile;
    use baseload_core::types::{Outcome, OutcomeCause, Usd};

    /// The third of three requests gets no answer.
    fn record(index: u64) -> RequestRecord {
        let answered = index % 3 != 2;
        RequestRecord {
            index,
            arrival: SimTime(index * 1_000_001),
            class: 0,
            tenant: 7,
            session: if index == 1 { 40 } else { NO_SESSION },
            prompt_tokens: 10,
            output_tokens: if answered { 3 } else { 0 },
            max_output_tokens: 10,
            outcome: if answered { Outcome::Completed } else { Outcome::Failed },
            cause: if answered { OutcomeCause::None } else { OutcomeCause::NoBackend },
            backend: answered.then_some(Place::Pool(baseload_core::types::PoolId(0))),
            attempts: u32::from(answered),
            ttft: answered.then_some(SimTime::from_millis(500)),
            e2e: SimTime::from_secs(2),
            ended: SimTime(index * 1_000_001) + SimTime::from_secs(2),
            cached_tokens: 0,
            shareable_tokens: 0,
            preemptions: 0,
            cost: Usd::parse("0.125").unwrap(),
            met_slo: answered,
            above_bar: None,
        }
    }

    fn write(folder: &Path, rows: u64) -> Vec<u8> {
        let names = |name: &str| vec![name.to_string()];
        let names = Names { classes: names("all"), pools: names("chat"), endpoints: names("api") };
        let mut writer = RecordWriter::create(folder, "hybrid", 0, names).unwrap();
        (0..rows).for_each(|i| writer.request(&record(i)).unwrap());
        writer.finish().unwrap();
        std::fs::read(folder.join("requests/policy=hybrid/replicate=0/part.parquet")).unwrap()
    }

    #[test]
    fn records_lie_in_groups_of_one_size_with_empty_fields_where_nothing_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let rows = ROWS_PER_GROUP as u64 + 3;
        let bytes = write(dir.path(), rows);
        assert!(bytes == write(dir.path(), rows), "the same records give the same bytes");
        let of = |kind: &str| dir.path().join(kind).join("policy=hybrid/replicate=0/part.parquet");
        let file = TableFile::open(&of("requests")).unwrap();
        assert_eq!(file.groups(), [ROWS_PER_GROUP, 3]);
        let column = |name: &str| file.column(0, name).unwrap();
        assert_eq!(column("arrival_s").numbers().unwrap()[..2], [Some(0.0), Some(0.001_000_001)]);
        assert_eq!(column("session").whole::<u64>().unwrap()[..3], [None, Some(40), None]);
        assert_eq!(column("ttft_s").numbers().unwrap()[..3], [Some(0.5), Some(0.5), None]);
        assert_eq!(column("tpot_s").numbers().unwrap()[..3], [Some(0.75), Some(0.75), None]);
        assert_eq!(column("backend").texts().unwrap()[..3], ["chat", "chat", ""].map(|t| Some(t.into())));
        assert_eq!(column("met_slo").flags().unwrap()[..3], [Some(true), Some(true), Some(false)]);
        assert_eq!(column("above_bar").flags().unwrap()[..2], [None, None]);
        assert_eq!(file.column(1, "index").unwrap().whole::<u64>().unwrap()[2], Some(rows - 1));
        for (kind, columns) in [("attempts", 13), ("series", 8)] {
            let file = TableFile::open(&of(kind)).unwrap();
            assert_eq!((file.groups().len(), file.names().len()), (0, columns), "{kind}: none was written");
        }
    }
}
