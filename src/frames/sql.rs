//! SQL over the records of result folders: the one file that needs the whole of polars (feature `sql`).
//!
//! Must keep true: tables are scanned, not read whole; rows of a grouping stand in the same order every time.
use super::guard::guarded;
use baseload_core::types::{TraceFault, wrong};
use polars::prelude::{
    AnyValue, Column, DataFrame, HiveOptions, LazyFrame, PlRefPath, PolarsError, ScanArgsParquet, UnionArgs,
    concat_lf_diagonal, lit,
};
use polars::sql::SQLContext;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// The tables, each a folder of records.
const TABLES: [&str; 3] = ["requests", "attempts", "series"];

/// What a query gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Names of its columns.
    pub columns: Vec<String>,
    /// Rows of the answer, a cell a column.
    pub rows: Vec<Vec<Cell>>,
}

/// A value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing is known.
    Empty,
    /// A truth value.
    Flag(bool),
    /// A whole number.
    Whole(i128),
    /// A number.
    Number(f64),
    /// A text, or what has no kind of its own here, as it is written.
    Text(String),
}

/// The answer to `sql` over all results at or below `folders`. Its tables are `requests`, `attempts` and `series`; each has
/// the columns of the records and before them `result` (the folder), `policy` and `replicate`.
///
/// # Errors
/// A folder that holds no result or none with records; what is wrong with the query, in polars' words.
pub fn query(folders: &[PathBuf], sql: &str) -> Result<Answer, TraceFault> {
    let mut results = Vec::new();
    for folder in folders {
        let before = results.len();
        find(folder, &mut results)?;
        if results.len() == before {
            let hint = "`baseload run EXPERIMENT --out DIR` writes one (without --no-records)";
            return Err(folder_fault(folder, "no result with records in it").hint(hint));
        }
    }
    guarded(|| answer(&results, sql))
}

/// Result folders with records at or below `folder`, in order of their names.
fn find(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), TraceFault> {
    if TABLES.iter().any(|table| folder.join(table).is_dir()) {
        into.push(folder.to_path_buf());
        return Ok(());
    }
    inside(folder)?.iter().filter(|below| below.is_dir()).try_for_each(|below| find(below, into))
}

/// What lies in `folder`, by name.
fn inside(folder: &Path) -> Result<Vec<PathBuf>, TraceFault> {
    let fault = |e: std::io::Error| folder_fault(folder, e.to_string());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        paths.push(entry.map_err(fault)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn answer(results: &[PathBuf], sql: &str) -> Result<Answer, TraceFault> {
    let mut context = SQLContext::new();
    for table in TABLES {
        let mut parts = Vec::new();
        for result in results.iter().filter(|r| r.join(table).is_dir()) {
            for policy in inside(&result.join(table))? {
                for replicate in inside(&policy)? {
                    parts.push(part(result, &policy, &replicate)?);
                }
            }
        }
        if !parts.is_empty() {
            let all = concat_lf_diagonal(parts, UnionArgs::default()).map_err(|e| query_fault(&e))?;
            context.register(table, all);
        }
    }
    let frame = context.execute(&with_quantile(sql)).and_then(LazyFrame::collect).map_err(|e| query_fault(&e))?;
    let mut answer = cells(&frame)?;
    let words = sql.to_lowercase();
    let grouped = words.contains("group by") || words.contains("distinct");
    if grouped && !words.contains("order by") {
        answer
            .rows
            .sort_by(|a, b| a.iter().zip(b).map(|(a, b)| order(a, b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal));
    }
    Ok(answer)
}

/// The records of one simulation, with what its folders say.
fn part(result: &Path, policy: &Path, replicate: &Path) -> Result<LazyFrame, TraceFault> {
    let value = |folder: &Path, key: &str| {
        let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let value = name.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
        value.map(str::to_owned).ok_or_else(|| folder_fault(folder, format!("it must be named {key}=...")))
    };
    let (name, number) = (value(policy, "policy")?, value(replicate, "replicate")?);
    let number: u32 = number.parse().map_err(|_| folder_fault(replicate, "a replicate is a number"))?;
    let path = replicate.join("part.parquet");
    let at = PlRefPath::try_from_path(&path).map_err(|e| query_fault(&e))?;
    // What the folders say is said below; polars would read it as dates, which this build leaves out.
    let hive_options = HiveOptions { enabled: Some(false), ..HiveOptions::default() };
    let args = ScanArgsParquet { hive_options, ..ScanArgsParquet::default() };
    let records = LazyFrame::scan_parquet(at, args).map_err(|e| query_fault(&e))?;
    let named =
        [lit(result.display().to_string()).alias("result"), lit(name).alias("policy"), lit(number).alias("replicate")];
    let mut first: Vec<_> = named.into();
    first.push(polars::prelude::all().as_expr());
    Ok(records.select(first))
}

fn query_fault(e: &PolarsError) -> TraceFault {
    wrong!("{e}").hint(format!("tables are {}; `select * from requests limit 3` shows one", TABLES.join(", ")))
}

/// `what` is wrong with a folder.
fn folder_fault(folder: &Path, what: impl std::fmt::Display) -> TraceFault {
    TraceFault::of(folder.display(), what)
}

/// `quantile(x, 0.99)` as polars calls it, `quantile_cont`, outside of quotes.
fn with_quantile(sql: &str) -> String {
    let (mut out, mut quote, mut word) = (String::new(), None, String::new());
    for c in sql.chars().chain(['\0']) {
        if quote.is_none() && (c.is_alphanumeric() || c == '_') {
            word.push(c);
            continue;
        }
        let known = c == '(' && word.eq_ignore_ascii_case("quantile");
        out.push_str(if known { "quantile_cont" } else { &word });
        word.clear();
        quote = match quote {
            None => Some(c).filter(|c| *c == '\'' || *c == '"'),
            Some(open) => Some(open).filter(|open| *open != c),
        };
        out.extend(Some(c).filter(|c| *c != '\0'));
    }
    out
}

fn cells(frame: &DataFrame) -> Result<Answer, TraceFault> {
    let column = |c: &Column| -> Result<Vec<Cell>, TraceFault> {
        (0..c.len()).map(|row| c.get(row).map(|v| cell(&v)).map_err(|e| query_fault(&e))).collect()
    };
    let columns = frame.columns().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let rows = (0..frame.height()).map(|row| columns.iter().map(|c| c[row].clone()).collect()).collect();
    Ok(Answer { columns: frame.get_column_names().iter().map(|n| n.to_string()).collect(), rows })
}

fn cell(value: &AnyValue<'_>) -> Cell {
    match value {
        AnyValue::Null => Cell::Empty,
        AnyValue::Boolean(v) => Cell::Flag(*v),
        AnyValue::Float32(v) => Cell::Number(f64::from(*v)),
        AnyValue::Float64(v) => Cell::Number(*v),
        AnyValue::String(v) => Cell::Text((*v).to_owned()),
        AnyValue::StringOwned(v) => Cell::Text(v.to_string()),
        AnyValue::UInt8(v) => Cell::Whole((*v).into()),
        AnyValue::UInt16(v) => Cell::Whole((*v).into()),
        AnyValue::UInt32(v) => Cell::Whole((*v).into()),
        AnyValue::UInt64(v) => Cell::Whole((*v).into()),
        AnyValue::Int8(v) => Cell::Whole((*v).into()),
        AnyValue::Int16(v) => Cell::Whole((*v).into()),
        AnyValue::Int32(v) => Cell::Whole((*v).into()),
        AnyValue::Int64(v) => Cell::Whole((*v).into()),
        AnyValue::Int128(v) => Cell::Whole(*v),
        other => Cell::Text(other.to_string()),
    }
}

/// Nothing first, then truth values, numbers and texts by their value.
fn order(a: &Cell, b: &Cell) -> Ordering {
    let rank = |c: &Cell| match c {
        Cell::Empty => 0,
        Cell::Flag(_) => 1,
        Cell::Whole(_) | Cell::Number(_) => 2,
        Cell::Text(_) => 3,
    };
    let number = |c: &Cell| match c {
        Cell::Whole(v) => *v as f64,
        Cell::Number(v) => *v,
        _ => 0.0,
    };
    match (a, b) {
        (Cell::Flag(a), Cell::Flag(b)) => a.cmp(b),
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        (Cell::Whole(a), Cell::Whole(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)).then(number(a).total_cmp(&number(b))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Column as Written, write_table};

    fn result(folder: &Path, policy: &str, ttft_s: Vec<Option<f64>>) {
        let at = folder.join(format!("requests/policy={policy}/replicate=0"));
        std::fs::create_dir_all(&at).unwrap();
        let index = Written::new("index", (0..ttft_s.len() as u64).collect::<Vec<_>>());
        let columns = vec![index, Written::new("ttft_s", ttft_s)];
        write_table(&at.join("part.parquet"), columns).unwrap();
    }

    #[test]
    fn quantile_is_a_function_outside_of_quotes() {
        let sql =
            "select quantile(x, 0.5), QUANTILE(y, 1) as quantile from t where z = 'quantile(' or \"quantile\" = 1";
        let want = "select quantile_cont(x, 0.5), quantile_cont(y, 1) as quantile from t where z = 'quantile(' or \"quantile\" = 1";
        assert_eq!(with_quantile(sql), want);
    }

    #[test]
    fn results_below_a_folder_are_one_table() {
        let dir = tempfile::tempdir().unwrap();
        let cells = ["cells/b", "cells/a"].map(|name| dir.path().join(name));
        result(&cells[0], "overflow", vec![Some(1.0), Some(3.0), None]);
        result(&cells[0], "api", vec![Some(9.0)]);
        result(&cells[1], "api", vec![Some(5.0), Some(7.0)]);
        let sql = "select policy, count(*) as n, quantile(ttft_s, 0.5) as p50 from requests group by policy";
        let answer = query(&[dir.path().to_path_buf()], sql).unwrap();
        assert_eq!(answer.columns, ["policy", "n", "p50"]);
        let row = |policy: &str, n, p50| vec![Cell::Text(policy.into()), Cell::Whole(n), Cell::Number(p50)];
        assert_eq!(answer.rows, [row("api", 3, 7.0), row("overflow", 3, 2.0)], "sorted, and nulls are no values");
        let sql = "select result, replicate, ttft_s from requests where ttft_s > 6 order by ttft_s desc";
        let answer = query(&cells, sql).unwrap();
        let name = |at: usize| Cell::Text(cells[at].display().to_string());
        let want = [(0, 9.0), (1, 7.0)].map(|(at, v)| vec![name(at), Cell::Whole(0), Cell::Number(v)]);
        assert_eq!(answer.rows, want);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let folder = [dir.path().to_path_buf()];
        let says = |sql: &str| query(&folder, sql).unwrap_err().to_string();
        assert!(says("select 1").contains("no result with records in it; `baseload run "), "{}", says("select 1"));
        result(dir.path(), "api", vec![Some(1.0)]);
        assert!(says("select * from reqests").contains("tables are requests, attempts, series"));
        assert!(says("selct").contains("tables are"), "{}", says("selct"));
        assert!(says("select ttft from requests").contains("ttft"));
        let part = dir.path().join("requests/policy=api/replicate=0/part.parquet");
        let bytes = std::fs::read(&part).unwrap();
        std::fs::write(&part, &bytes[..bytes.len() - 20]).unwrap();
        assert!(!says("select * from requests").is_empty());
    }
}
