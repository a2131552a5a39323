//! `kilnsight verify backup` and `restore`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::progress::Reporter;
use crate::cli::{Common, ExitStatus, UsageError};
use crate::verify::{DATABASE, Project};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  kilnsight verify backup project backups/2026-03-01.sqlite

Volunteers may go on voting meanwhile. The file holds everything, members and pictures too: keep it as safe as the \
project.")]
pub(in crate::cli) struct BackupArgs {
    /// Folder of the project
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// File to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  kilnsight verify restore project backups/2026-03-01.sqlite --replace

The log of the backup is checked first. A server that serves the project goes on with the restored state.")]
pub(in crate::cli) struct RestoreArgs {
    /// Folder of the project; made if need be
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the project that is in the folder; votes that came after the backup are lost
    #[arg(long)]
    replace: bool,
}

pub(super) fn backup(args: &BackupArgs, common: &Common) -> anyhow::Result<ExitStatus> {
    let project = Project::open(&args.project)?;
    let bytes = project.backup(&args.file, &Reporter::new(common))?;
    writeln!(
        std::io::stdout(),
        "wrote {file} ({:.1} MB): put it back with `kilnsight verify restore PROJECT {file}`",
        bytes as f64 / 1e6,
        file = args.file.display()
    )?;
    Ok(ExitStatus::Done)
}

pub(super) fn restore(args: &RestoreArgs, common: &Common) -> anyhow::Result<ExitStatus> {
    if args.project.join(DATABASE).exists() && !args.replace {
        return Err(UsageError(format!(
            "`{}` holds a project: give `--replace` to lose what came after the backup, or choose another folder",
            args.project.display()
        ))
        .into());
    }
    let events = Project::restore(&args.project, &args.file, &Reporter::new(common))?;
    writeln!(
        std::io::stdout(),
        "restored {} with {events} events: see `kilnsight verify status {0}`",
        args.project.display()
    )?;
    Ok(ExitStatus::Done)
}
