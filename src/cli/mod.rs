//! The command line: one file a subcommand, thin. The only room that prints.
//!
//! Exit status: 0 done, 1 the gate found something worse or a schedule differs, 2 a user's mistake, 130 Ctrl-C,
//! 141 a closed pipe.
mod artefacts;
mod baseline;
mod breakeven;
mod calibrate;
mod calibrate_api;
mod calibrate_kernels;
mod catalog;
mod catalog_model;
mod conformance;
mod dry_run;
mod engine_settings;
mod facts;
mod fault;
mod figures;
mod gate;
mod list;
mod measured;
mod memory;
mod memory_text;
mod perf;
mod policies;
mod printer;
mod query;
#[cfg(feature = "sql")]
mod query_answer;
mod run;
mod schema;
mod stop;
mod trace;
mod validate;
mod validate_api;

use crate::experiment::{Excerpt, FileFaults, Located, RunError};
use crate::frames;
use baseload_core::types::{Fault, Faults, TraceFault};
use clap::{Parser, Subcommand, ValueEnum};
use std::process::ExitCode;

/// Compare routing policies for hybrid LLM serving: own GPUs, commercial APIs, and the gateway between them.
#[derive(Debug, Parser)]
#[command(name = "baseload", version, max_term_width = 100)]
#[command(after_help = "Example:\n  baseload run experiments/quickstart.toml")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Breakeven(breakeven::Args),
    Gate(gate::Args),
    Baseline(baseline::Args),
    Trace(trace::Args),
    Catalog(catalog::Args),
    Policies(policies::Args),
    Query(query::Args),
    Memory(memory::Args),
    Schema(schema::Args),
    Conformance(conformance::Args),
    Validate(validate::Args),
    Calibrate(calibrate::Args),
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For pull requests.
    Markdown,
}

/// How a command ended without success.
#[derive(Debug)]
enum Exit {
    /// The gate found something worse, a schedule differs from its recording, or a target is missed; it has been printed.
    Worse,
    /// A user's mistake, with its words.
    Mistake(Box<fault::Mistake>),
    /// Ctrl-C.
    Interrupted,
}

impl From<TraceFault> for Exit {
    fn from(fault: TraceFault) -> Exit {
        Exit::from(fault.to_string())
    }
}

impl From<String> for Exit {
    fn from(message: String) -> Exit {
        Exit::Mistake(Box::new(fault::Mistake::plain(message)))
    }
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Exit {
        fault.to_string().into()
    }
}

impl From<Faults> for Exit {
    fn from(faults: Faults) -> Exit {
        faults.to_string().into()
    }
}

impl From<FileFaults> for Exit {
    /// One fault is shown in its file; of several each has a line.
    fn from(faults: FileFaults) -> Exit {
        let [Located { fault, excerpt: Some(excerpt), .. }] = faults.all() else { return faults.to_string().into() };
        let shown = Located { fault: Fault { hint: None, ..fault.clone() }, ..faults.all()[0].clone() };
        let Excerpt { file, at } = excerpt.clone();
        let excerpt = fault::Excerpt { name: file.path.display().to_string(), text: file.text, span: at };
        let help = fault.hint.clone();
        Exit::Mistake(Box::new(fault::Mistake { message: shown.to_string(), excerpt: Some(excerpt), help }))
    }
}

impl From<RunError> for Exit {
    fn from(error: RunError) -> Exit {
        match error {
            RunError::Interrupted => Exit::Interrupted,
            RunError::Experiment(faults) => faults.into(),
            error => error.to_string().into(),
        }
    }
}

/// Parses the arguments, runs the command, maps its end to the exit status.
pub fn main() -> ExitCode {
    frames::quiet_readers();
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Breakeven(args) => breakeven::run(&args),
        Command::Gate(args) => gate::run(&args),
        Command::Baseline(args) => baseline::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Catalog(args) => catalog::run(&args),
        Command::Policies(args) => policies::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Memory(args) => memory::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Exit::Worse) => ExitCode::from(1),
        Err(Exit::Mistake(mistake)) => {
            printer::error(&mistake.shown());
            ExitCode::from(2)
        }
        Err(Exit::Interrupted) => {
            printer::error("interrupted; nothing was written");
            ExitCode::from(130)
        }
    }
}
