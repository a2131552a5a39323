//! The command line: one file per command, each with its arguments and what it prints.
//!
//! Results go to standard output, everything else to standard error. [`ExitStatus`] is the one table of exit
//! codes.

mod bytes;
mod doctor;
mod evaluate;
mod labels;
mod logging;
mod model;
mod progress;
mod scan;
mod terminal;
mod verify;

use std::borrow::Cow;
use std::io::Write;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use gdal::errors::GdalError;

use crate::evaluate::EvaluateError;
use crate::label::LabelError;
use crate::model::{LoadError, MetadataError};
use crate::run::{LoadRunError, ScanError};
use crate::scene::gdal_words;
use crate::serve::ServeError;
use crate::verify::VerifyError;

/// Finds brick kilns and camp-like structures in satellite imagery.
#[derive(Debug, Parser)]
#[command(
    name = "kilnsight",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some inputs failed, 75 try again later, 130 interrupted.\n\nA detection is a screening result, not a finding: a kiln is not proof of slavery."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// Heading under which the options of all commands stand in each command's help.
const COMMON: &str = "Options of all commands";

/// Options of all commands.
#[derive(Debug, Args)]
struct Common {
    /// Say more (twice: everything)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = COMMON)]
    verbose: u8,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = COMMON)]
    quiet: bool,
    /// How progress is shown: bars on a terminal, lines in a log file, JSON lines for programs
    #[arg(long, global = true, value_enum, default_value_t = ProgressMode::Auto, value_name = "HOW", help_heading = COMMON)]
    progress: ProgressMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProgressMode {
    /// Bars on a terminal, lines in a file, nothing in a pipe
    Auto,
    /// A line now and then
    Plain,
    /// A JSON object per line
    Json,
    /// Nothing
    None,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Scan scenes: detections, sites, clusters and coverage into a run directory
    Scan(Box<scan::ScanArgs>),
    /// Look at a model
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Compare a run (or any GeoJSON of boxes) with labels: precision, recall, average precision
    Evaluate(evaluate::EvaluateArgs),
    /// Let volunteers check what was found: projects, queue, verdicts
    #[command(subcommand)]
    Verify(verify::VerifyCommand),
    /// Make training labels and chips of verified places, split by place
    Labels(Box<labels::LabelsArgs>),
    /// Check that GDAL, ONNX Runtime and the models are in place
    Doctor(doctor::DoctorArgs),
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Wrong usage.
    Usage,
    /// Done, but some inputs failed; each is named in the output and in `run.json`.
    Partial,
    /// Try again later: locked, or storage away (`EX_TEMPFAIL`).
    TryAgain,
    /// Interrupted; the same command goes on.
    Interrupted,
}

impl ExitStatus {
    /// The number the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::TryAgain => 75,
            Self::Interrupted => 130,
        }
    }

    /// What an error means for the exit code.
    fn of(error: &anyhow::Error) -> Self {
        let passing = |passing: bool| {
            if passing {
                Self::TryAgain
            } else {
                Self::Failed
            }
        };
        if let Some(error) = error.downcast_ref::<ScanError>() {
            return match error {
                ScanError::Interrupted { .. } | ScanError::InterruptedDuring(_) => {
                    Self::Interrupted
                }
                error if error.is_away() => Self::TryAgain,
                ScanError::Directory(e) => passing(e.is_passing()),
                ScanError::Ledger(e) => passing(e.is_passing()),
                _ => Self::Failed,
            };
        }
        if let Some(error) = error.downcast_ref::<VerifyError>() {
            return match error {
                VerifyError::Interrupted(_) => Self::Interrupted,
                error => passing(error.is_passing()),
            };
        }
        if let Some(error) = error.downcast_ref::<ServeError>() {
            return passing(error.is_passing());
        }
        match error.downcast_ref::<LabelError>() {
            Some(LabelError::Interrupted) => return Self::Interrupted,
            Some(LabelError::Run(LoadRunError::Ledger(e))) => return passing(e.is_passing()),
            _ => {}
        }
        if let Some(LoadRunError::Ledger(e)) = error.downcast_ref::<LoadRunError>() {
            return passing(e.is_passing());
        }
        if let Some(LoadError::Metadata {
            source: MetadataError::NoResolution,
            ..
        }) = error.downcast_ref()
        {
            return Self::Usage;
        }
        let kind = (error.downcast_ref().map(std::io::Error::kind)).or_else(|| {
            let json = error.downcast_ref::<serde_json::Error>()?;
            json.io_error_kind()
        });
        if kind == Some(std::io::ErrorKind::BrokenPipe) {
            // Whoever read the output has seen enough.
            return Self::Done;
        }
        let bad_option = matches!(error.downcast_ref(), Some(EvaluateError::Option(_)));
        if bad_option || error.is::<UsageError>() {
            Self::Usage
        } else {
            Self::Failed
        }
    }
}

/// Arguments that are wrong together, which clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsageError(String);

/// Parses the arguments, runs the command, says what went wrong.
pub fn run() -> ExitStatus {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; anything else goes to standard error. A closed pipe is no error.
            let status = if error.use_stderr() {
                ExitStatus::Usage
            } else {
                ExitStatus::Done
            };
            complain_of_usage(&error);
            return status;
        }
    };
    logging::start(cli.common.verbose, cli.common.quiet);
    let result = match cli.command {
        Command::Scan(args) => scan::run(&args, &cli.common),
        Command::Model(command) => model::run(command),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Verify(command) => verify::run(&command, &cli.common),
        Command::Labels(args) => labels::run(&args, &cli.common),
        Command::Doctor(args) => doctor::run(&args),
    };
    match result {
        Ok(status) => status,
        Err(error) => {
            let status = ExitStatus::of(&error);
            if status != ExitStatus::Done {
                complain(&error, status);
            }
            status
        }
    }
}

/// Clap's own message, in colours, unless an argument would steer the terminal.
fn complain_of_usage(error: &clap::Error) {
    let text = error.render().to_string();
    let tame = text
        .lines()
        .all(|line| matches!(terminal::plain(line), Cow::Borrowed(_)));
    drop(if tame {
        error.print()
    } else {
        write!(terminal::stderr(), "{text}")
    });
}

/// One line on standard error.
fn complain(error: &anyhow::Error, status: ExitStatus) {
    let label = if status == ExitStatus::Interrupted {
        "interrupted"
    } else {
        "error"
    };
    // When standard error is closed there is nobody left to tell.
    let text = format!("{label}: {}\n", one_line(error));
    drop(terminal::stderr().write_all(text.as_bytes()));
}

/// The error with its causes. Most errors of the library name their cause themselves: it is not said twice.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        // SQLite's number says nothing that its words do not.
        if cause.is::<rusqlite::ffi::Error>() {
            continue;
        }
        // The wrapper of GDAL's errors shows its own fields.
        let cause =
            (cause.downcast_ref::<GdalError>()).map_or_else(|| cause.to_string(), gdal_words);
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
