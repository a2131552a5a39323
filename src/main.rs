//! `kilnsight`: parse, dispatch, set the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(kilnsight::cli::run().code())
}
