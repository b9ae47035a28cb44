//! The results as they lie on disk: Parquet rows with times back in ns, and `summary.json` as it is.
use baseload::frames::{ReadColumn, TableFile, Wrong};
use serde_json::Value;
use std::path::Path;

#[derive(Clone, Debug)]
pub struct RequestRow {
    pub index: u64,
    pub arrival: u64,
    pub class: String,
    pub tenant: u32,
    pub session: Option<u64>,
    pub prompt_tokens: u32,
    pub output_tokens: u32,
    pub outcome: String,
    pub cause: String,
    pub backend: String,
    pub attempts: u32,
    pub ttft: Option<u64>,
    pub tpot_s: Option<f64>,
    pub e2e: u64,
    pub ended: u64,
    pub cached_tokens: u32,
    pub preemptions: u32,
    pub cost: i128,
    pub met_slo: bool,
}

#[derive(Clone, Debug)]
pub struct AttemptRow {
    pub request: u64,
    pub try_number: u32,
    pub backend: String,
    pub replica: Option<u32>,
    pub sent: u64,
    pub first_token: Option<u64>,
    pub ended: u64,
    pub outcome: String,
    pub cause: String,
    pub cached_tokens: u32,
    pub output_tokens: u32,
    pub preemptions: u32,
    pub cost: i128,
}

#[derive(Clone, Debug)]
pub struct SeriesRow {
    pub at: u64,
    pub waiting: u32,
    pub running: u32,
    pub kv_used: u64,
    pub kv_total: u64,
    pub replicas: u32,
    pub api_in_flight: u32,
    pub api_spend: i128,
}

/// One policy's results.
#[derive(Clone)]
pub struct PolicyEvidence {
    pub requests: Vec<RequestRow>,
    pub attempts: Vec<AttemptRow>,
    pub series: Vec<SeriesRow>,
    pub summary: Value,
}

/// A result folder, read.
#[derive(Clone)]
pub struct Evidence {
    pub policies: Vec<PolicyEvidence>,
    pub summary: Value,
}

fn ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
fn pico(usd: f64) -> i128 {
    (usd * 1e12).round() as i128
}

fn table(folder: &Path, kind: &str, policy: &str) -> TableFile {
    let path = folder.join(kind).join(format!("policy={policy}/replicate=0/part.parquet"));
    TableFile::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn values<T>(column: &ReadColumn, read: fn(&ReadColumn) -> Result<Vec<Option<T>>, Wrong>) -> Vec<Option<T>> {
    read(column).unwrap_or_else(|wrong| panic!("row {}: {}", wrong.row, wrong.what))
}

/// How a column of this kind is read.
macro_rules! reader {
    (f64) => {
        ReadColumn::numbers
    };
    (str) => {
        ReadColumn::texts
    };
    (bool) => {
        ReadColumn::flags
    };
    ($whole:ident) => {
        ReadColumn::whole::<$whole>
    };
}
/// `col!(table, name, f64)(row)`: the value, or `None` where it is null.
macro_rules! col {
    ($table:expr, $name:literal, $kind:ident) => {{
        let column = $table.whole_column($name).unwrap_or_else(|e| panic!("{e}"));
        let values = values(&column, reader!($kind));
        move |row: usize| values[row].clone()
    }};
}
/// The same for columns that are never null.
macro_rules! sure {
    ($table:expr, $name:literal, $kind:ident) => {{
        let column = col!($table, $name, $kind);
        move |row: usize| column(row).unwrap_or_else(|| panic!("{} of row {row} is null", $name))
    }};
}

fn requests(f: &TableFile) -> Vec<RequestRow> {
    let (index, arrival, class) = (sure!(f, "index", u64), sure!(f, "arrival_s", f64), sure!(f, "class", str));
    let (tenant, session) = (sure!(f, "tenant", u32), col!(f, "session", u64));
    let (prompt, output) = (sure!(f, "prompt_tokens", u32), sure!(f, "output_tokens", u32));
    let (outcome, cause, backend) = (sure!(f, "outcome", str), sure!(f, "cause", str), sure!(f, "backend", str));
    let (attempts, ttft, tpot) = (sure!(f, "attempts", u32), col!(f, "ttft_s", f64), col!(f, "tpot_s", f64));
    let (e2e, ended) = (sure!(f, "e2e_s", f64), sure!(f, "ended_s", f64));
    let (cached, preemptions) = (sure!(f, "cached_tokens", u32), sure!(f, "preemptions", u32));
    let (cost, met_slo) = (sure!(f, "cost_usd", f64), sure!(f, "met_slo", bool));
    let row = |i: usize| RequestRow {
        index: index(i),
        arrival: ns(arrival(i)),
        class: class(i),
        tenant: tenant(i),
        session: session(i),
        prompt_tokens: prompt(i),
        output_tokens: output(i),
        outcome: outcome(i),
        cause: cause(i),
        backend: backend(i),
        attempts: attempts(i),
        ttft: ttft(i).map(ns),
        tpot_s: tpot(i),
        e2e: ns(e2e(i)),
        ended: ns(ended(i)),
        cached_tokens: cached(i),
        preemptions: preemptions(i),
        cost: pico(cost(i)),
        met_slo: met_slo(i),
    };
    (0..f.groups().iter().sum()).map(row).collect()
}

fn attempts(f: &TableFile) -> Vec<AttemptRow> {
    let (request, try_number) = (sure!(f, "request", u64), sure!(f, "try_number", u32));
    let (backend, replica) = (sure!(f, "backend", str), col!(f, "replica", u32));
    let (sent, first, ended) = (sure!(f, "sent_s", f64), col!(f, "first_token_s", f64), sure!(f, "ended_s", f64));
    let (outcome, cause) = (sure!(f, "outcome", str), sure!(f, "cause", str));
    let (cached, output) = (sure!(f, "cached_tokens", u32), sure!(f, "output_tokens", u32));
    let (preemptions, cost) = (sure!(f, "preemptions", u32), sure!(f, "cost_usd", f64));
    let row = |i: usize| AttemptRow {
        request: request(i),
        try_number: try_number(i),
        backend: backend(i),
        replica: replica(i),
        sent: ns(sent(i)),
        first_token: first(i).map(ns),
        ended: ns(ended(i)),
        outcome: outcome(i),
        cause: cause(i),
        cached_tokens: cached(i),
        output_tokens: output(i),
        preemptions: preemptions(i),
        cost: pico(cost(i)),
    };
    (0..f.groups().iter().sum()).map(row).collect()
}

fn series(f: &TableFile) -> Vec<SeriesRow> {
    let (at, waiting, running) = (sure!(f, "at_s", f64), sure!(f, "waiting", u32), sure!(f, "running", u32));
    let (used, total) = (sure!(f, "kv_used_blocks", u64), sure!(f, "kv_total_blocks", u64));
    let (replicas, api) = (sure!(f, "replicas", u32), sure!(f, "api_in_flight", u32));
    let spend = sure!(f, "api_spend_usd", f64);
    let row = |i: usize| SeriesRow {
        at: ns(at(i)),
        waiting: waiting(i),
        running: running(i),
        kv_used: used(i),
        kv_total: total(i),
        replicas: replicas(i),
        api_in_flight: api(i),
        api_spend: pico(spend(i)),
    };
    (0..f.groups().iter().sum()).map(row).collect()
}

impl Evidence {
    /// Reads a result folder.
    pub fn read(folder: &Path) -> Evidence {
        let text = std::fs::read_to_string(folder.join("summary.json")).expect("a result folder has summary.json");
        let summary: Value = serde_json::from_str(&text).expect("summary.json is JSON");
        let policy = |p: &Value| {
            let name = p["name"].as_str().expect("a policy has a name");
            PolicyEvidence {
                requests: requests(&table(folder, "requests", name)),
                attempts: attempts(&table(folder, "attempts", name)),
                series: series(&table(folder, "series", name)),
                summary: p.clone(),
            }
        };
        let policies = summary["policies"].as_array().expect("policies").iter().map(policy).collect();
        Evidence { policies, summary }
    }
}
