//! `kilnsight verify`: the volunteer queue, from runs to the verified layer.

mod backup;
mod consensus;
mod init;
mod replay;
mod serve;
mod status;
mod tables;

use clap::Subcommand;

use super::{Common, ExitStatus};

#[derive(Debug, Subcommand)]
pub(super) enum VerifyCommand {
    /// Make a project from runs: tasks, pictures, and the random sample that counts rest on
    Init(init::InitArgs),
    /// Take a further run into a project; sites that are known keep their votes
    Add(init::AddArgs),
    /// Serve the queue: pages and an API for volunteers and researchers, the verified layer for map programs
    Serve(serve::ServeArgs),
    /// Show how far a project is
    Status(status::StatusArgs),
    /// Find labels, error rates and agreement from any table of votes
    Consensus(consensus::ConsensusArgs),
    /// Tell the project of tasks whose answer is known: for training, and as hidden controls
    Gold(tables::GoldArgs),
    /// Take in votes from a CSV table, such as an export of another platform
    Import(tables::ImportArgs),
    /// Write the verified layer, the votes and the random sample
    Export(tables::ExportArgs),
    /// Check the log of a project, and build all that follows from it again
    Replay(replay::ReplayArgs),
    /// Copy a project into one file, while it is served
    Backup(backup::BackupArgs),
    /// Put a backup back
    Restore(backup::RestoreArgs),
}

pub(super) fn run(command: &VerifyCommand, common: &Common) -> anyhow::Result<ExitStatus> {
    match command {
        VerifyCommand::Init(args) => init::init(args, common),
        VerifyCommand::Add(args) => init::add(args, common),
        VerifyCommand::Serve(args) => serve::run(args),
        VerifyCommand::Status(args) => status::run(args),
        VerifyCommand::Consensus(args) => consensus::run(args, common),
        VerifyCommand::Gold(args) => tables::gold(args),
        VerifyCommand::Import(args) => tables::import(args, common),
        VerifyCommand::Export(args) => tables::export(args),
        VerifyCommand::Replay(args) => replay::run(args),
        VerifyCommand::Backup(args) => backup::backup(args, common),
        VerifyCommand::Restore(args) => backup::restore(args, common),
    }
}
