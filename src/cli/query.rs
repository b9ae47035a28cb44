//! `baseload query`: SQL over result folders. The feature `sql` has what answers; without it the command says so.
use super::Exit;
use clap::ValueEnum;
use std::path::PathBuf;

/// Ask result folders in SQL: tables requests, attempts and series
///
/// Each table has the columns of its records and before them `result` (the folder), `policy` and `replicate`. Below a
/// DIR all results are taken.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The dialect is polars': https://docs.pola.rs/api/python/stable/reference/sql/; quantile(x, p) \
interpolates.\n\nExamples:\n  baseload query results/quickstart \\\n    \"select policy, quantile(ttft_s, 0.99) from \
requests group by policy\"\n  baseload query results/* --format csv \\\n    \"select result, policy, sum(cost_usd) from \
requests group by result, policy\""
)]
pub struct Args {
    /// Result folders, or folders of them
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The query
    #[arg(value_name = "SQL")]
    sql: String,
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people: numbers to six digits.
    Table,
    /// For programs: a list of rows, each an object.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Prints the answer.
#[cfg(feature = "sql")]
pub fn run(args: &Args) -> Result<(), Exit> {
    let answer = crate::frames::query(&args.folders, &args.sql)?;
    super::printer::out(&match args.format {
        Form::Table => super::query_answer::table(&answer),
        Form::Json => super::query_answer::json(&answer),
        Form::Csv => super::query_answer::csv(&answer),
    });
    Ok(())
}

/// Says how to build what answers.
#[cfg(not(feature = "sql"))]
pub fn run(args: &Args) -> Result<(), Exit> {
    let Args { folders, sql, format } = args;
    let form = format.to_possible_value().map_or_else(String::new, |v| format!(" as {}", v.get_name()));
    let asked = folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(" ");
    let why = "its feature `sql` is off, for it takes longer to build than all the rest";
    let what = format!("query: this build cannot answer `{sql}` over {asked}{form}: {why}");
    Err(baseload_core::types::Fault::new(what).hint("build with it: cargo build --release --features sql").into())
}
