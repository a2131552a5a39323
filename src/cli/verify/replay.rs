//! `kilnsight verify replay`: the log, checked and played again.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::ExitStatus;
use crate::run::counted;
use crate::verify::Project;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  kilnsight verify replay project

Every entry of the log is sealed with the one before. Whoever notes the seal that is printed can tell later that \
nothing before it was changed.")]
pub(in crate::cli) struct ReplayArgs {
    /// Folder of the project
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ReplayArgs) -> anyhow::Result<ExitStatus> {
    let replayed = Project::open(&args.project)?.replay()?;
    let mut stdout = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &replayed)?;
        writeln!(stdout)?;
    } else {
        writeln!(
            stdout,
            "{}, each sealed as it should be",
            counted(replayed.events, "event")
        )?;
        writeln!(stdout, "  seal   {}", replayed.head)?;
        writeln!(stdout, "  state  {}", replayed.digest)?;
        let found = if replayed.same {
            "the votes and verdicts in the project are what follows from the log"
        } else {
            "the votes and verdicts in the project were not what follows from the log: now they are"
        };
        writeln!(stdout, "{found}")?;
    }
    stdout.flush()?;
    Ok(ExitStatus::Done)
}
