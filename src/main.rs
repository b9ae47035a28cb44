//! The program: calls `cli`, which prints, and maps its result to the exit status.
use std::process::ExitCode;

fn main() -> ExitCode {
    baseload::cli::main()
}
