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
mod memory_account;
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
use baseload_core::types::shown::{ended, visible};
use baseload_core::types::{Fault, Faults, TraceFault};
use clap::{Parser, Subcommand, ValueEnum};
use std::borrow::Cow;
use std::ffi::OsString;
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

impl Exit {
    /// A user's mistake that is said in words alone.
    fn plain(message: impl std::fmt::Display) -> Exit {
        Exit::Mistake(Box::new(fault::Mistake::plain(message.to_string())))
    }
}

impl From<TraceFault> for Exit {
    fn from(fault: TraceFault) -> Exit {
        let hint = fault.hint.as_deref().map(|hint| ended(hint).into_owned());
        Exit::Mistake(Box::new(fault::Mistake::of(TraceFault { hint: None, ..fault }.to_string(), hint)))
    }
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Exit {
        let hint = fault.hint.as_deref().map(|hint| ended(hint).into_owned());
        Exit::Mistake(Box::new(fault::Mistake::of(Fault { hint: None, ..fault }.to_string(), hint)))
    }
}

impl From<Faults> for Exit {
    /// Faults as an exit: of several each has a line, with its remedy.
    fn from(faults: Faults) -> Exit {
        let mut all = faults.into_iter();
        match (all.next(), all.len()) {
            (Some(only), 0) => only.into(),
            (first, _) => Exit::plain(first.into_iter().chain(all).collect::<Faults>()),
        }
    }
}

impl From<FileFaults> for Exit {
    /// One fault is shown in its file, where it has a place there; of several each has a line, with its remedy.
    fn from(faults: FileFaults) -> Exit {
        let [only] = faults.all() else { return Exit::plain(faults) };
        let shown = Located { fault: Fault { hint: None, ..only.fault.clone() }, ..only.clone() };
        let drawn = |Excerpt { file, at }: Excerpt| fault::Excerpt {
            name: file.path.display().to_string(),
            text: file.text.to_string(),
            span: at,
        };
        let excerpt = only.excerpt.clone().map(drawn);
        let help = only.fault.hint.as_deref().map(|hint| ended(hint).into_owned());
        Exit::Mistake(Box::new(fault::Mistake { message: shown.to_string(), excerpt, help }))
    }
}

impl From<RunError> for Exit {
    fn from(error: RunError) -> Exit {
        match error {
            RunError::Interrupted => Exit::Interrupted,
            RunError::Experiment(faults) => faults.into(),
            RunError::File(fault) => fault.into(),
            RunError::Asked(fault) => fault.into(),
            error @ RunError::Simulation { .. } => Exit::plain(error),
        }
    }
}

/// What is wrong with `--jobs 0`.
fn no_jobs() -> Fault {
    Fault::at("--jobs", "it is 0").hint("at least 1 simulation must run at a time; leave it out for one a core")
}

/// The arguments. A mistake in them ends the program with 2; one that quotes hidden characters is said without colours.
fn arguments() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        let hides = |arg: OsString| matches!(visible(&arg.to_string_lossy()), Cow::Owned(_));
        if error.use_stderr() && std::env::args_os().any(hides) {
            printer::error(&error.render().to_string());
            std::process::exit(error.exit_code());
        }
        error.exit()
    })
}

/// Parses the arguments, runs the command, maps its end to the exit status.
pub fn main() -> ExitCode {
    frames::quiet_readers();
    let result = match arguments().command {
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
            printer::drawn(&mistake.shown());
            ExitCode::from(2)
        }
        Err(Exit::Interrupted) => {
            printer::error(stop::INTERRUPTED);
            ExitCode::from(130)
        }
    }
}
