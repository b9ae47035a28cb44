//! `baseload schema`: the JSON Schema of the experiment file.
use super::{Exit, printer};
use crate::experiment::format::ExperimentFile;

/// Print the JSON Schema of the experiment file
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload schema > schema/experiment.schema.json")]
pub struct Args {
    /// Form of the output; a schema is JSON
    #[arg(long, value_parser = ["json"], default_value = "json")]
    format: String,
}

pub fn run(_args: &Args) -> Result<(), Exit> {
    Ok(printer::json(&schemars::schema_for!(ExperimentFile))?)
}
