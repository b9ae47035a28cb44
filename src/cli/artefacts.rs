//! What lies in a result folder beside the records. With `perf.rs` the only place of the program that reads the host's clock.
//!
//! Must keep true: `manifest.json`, `summary.json` and `report.html` repeat byte for byte; what the host adds (clock,
//! name, threads) stands in `perf.json` and `run.json` alone, which are never compared.
use super::perf::PerfFile;
use super::printer;
use crate::experiment::folder::ResultFolder;
use crate::experiment::manifest::Manifest;
use crate::experiment::summary::Summary;
use crate::report;
use baseload_core::catalog;
use baseload_core::types::{Fault, TraceFault};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When the run started.
pub struct Clock {
    /// Time since 1970.
    at: Duration,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "perf.json and run.json are of the host; nothing compared uses them")]
    pub fn start() -> Clock {
        Clock { at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }
    /// Today's date: how old a price is depends on it; it is printed, never compared.
    pub fn today(&self) -> String {
        catalog::date_of_days((self.at.as_secs() / 86_400) as i64)
    }
    /// The start as RFC 3339, UTC.
    fn started(&self) -> String {
        let s = self.at.as_secs() % 86_400;
        format!("{}T{:02}:{:02}:{:02}Z", self.today(), s / 3600, s / 60 % 60, s % 60)
    }
}

/// Who ran it, where and how.
#[derive(Serialize)]
struct RunFile {
    started: String,
    host: String,
    os: &'static str,
    arch: &'static str,
    cores: usize,
    threads: usize,
    command: Vec<String>,
    folder: String,
}

/// Writes all files of a result.
pub fn write(
    folder: &ResultFolder,
    manifest: &Manifest,
    summary: &Summary,
    perf: &PerfFile,
    clock: &Clock,
) -> Result<(), TraceFault> {
    fn text(value: &impl Serialize) -> Result<String, Fault> {
        Ok(printer::json_text(value)? + "\n")
    }
    let run = RunFile {
        started: clock.started(),
        host: host(),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        threads: perf.jobs,
        command: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect(),
        folder: std::env::current_dir().map_or_else(|_| String::new(), |d| d.display().to_string()),
    };
    folder.write("summary.json", &text(summary)?)?;
    folder.write("manifest.json", &text(manifest)?)?;
    folder.write("perf.json", &text(perf)?)?;
    folder.write("run.json", &text(&run)?)?;
    folder.write("report.html", &report::html(summary))
}

/// The machine's name, where it says it.
fn host() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let read = files.iter().find_map(|path| std::fs::read_to_string(path).ok());
    let name = read.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    name.map_or_else(|| "unknown".into(), |n| n.trim().to_string())
}
