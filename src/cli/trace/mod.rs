//! `baseload trace`: look at traces, change them, get them. One file a subcommand.
mod compare;
mod fit;
mod info;

use super::Exit;

/// Look at traces
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  baseload trace info traces/support-desk.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Info(info::Args),
    Fit(fit::Args),
    Compare(compare::Args),
}

pub fn run(args: &Args) -> Result<(), Exit> {
    match &args.command {
        Command::Info(args) => info::run(args),
        Command::Fit(args) => fit::run(args),
        Command::Compare(args) => compare::run(args),
    }
}
