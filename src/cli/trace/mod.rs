//! `baseload trace`: look at traces, change them, get them. One file a subcommand.
mod compare;
mod convert;
mod download;
mod fetch;
mod fit;
mod formats;
mod info;
mod info_text;
mod input;
mod output;
mod transform;
mod validate;

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
    Formats(formats::Args),
    Fetch(fetch::Args),
    Fit(fit::Args),
    Compare(compare::Args),
    Convert(convert::Args),
    Transform(transform::Args),
    Validate(validate::Args),
}

pub fn run(args: &Args) -> Result<(), Exit> {
    match &args.command {
        Command::Info(args) => info::run(args),
        Command::Formats(args) => formats::run(args),
        Command::Fetch(args) => fetch::run(args),
        Command::Fit(args) => fit::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Transform(args) => transform::run(args),
        Command::Validate(args) => validate::run(args),
    }
}
