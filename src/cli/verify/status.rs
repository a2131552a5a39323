//! `kilnsight verify status`: how far a project is.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::ExitStatus;
use crate::run::counted;
use crate::verify::{Project, ProjectProgress, Status, StreamProgress};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kilnsight verify status project")]
pub(in crate::cli) struct StatusArgs {
    /// Folder of the project
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs) -> anyhow::Result<ExitStatus> {
    let progress = Project::open(&args.project)?.progress()?;
    let mut stdout = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &progress)?;
        writeln!(stdout)?;
    } else {
        print(&mut stdout, &progress)?;
    }
    stdout.flush()?;
    Ok(ExitStatus::Done)
}

fn print(out: &mut impl Write, p: &ProjectProgress) -> std::io::Result<()> {
    let of = |status: Status| p.by_status.get(&status).copied().unwrap_or(0);
    writeln!(
        out,
        "{}: {} confirmed, {} rejected, {} contested, {} without a usable picture, {} not decided",
        counted(p.tasks, "task"),
        of(Status::Confirmed),
        of(Status::Rejected),
        of(Status::Contested),
        of(Status::ImageryProblem),
        of(Status::Unverified),
    )?;
    let stream = |s: &StreamProgress| {
        format!(
            "{} of {} finished, {} begun; at least {} needed",
            s.finished,
            counted(s.tasks, "task"),
            s.started.saturating_sub(s.finished.min(s.started)),
            counted(s.votes_needed, "vote")
        )
    };
    writeln!(out, "priority       {}", stream(&p.priority))?;
    writeln!(out, "random sample  {}", stream(&p.probability))?;
    for s in &p.strata {
        writeln!(
            out,
            "  {:18} {} of {} drawn, {} decided, {} confirmed",
            s.name, s.sampled, s.population, s.decided, s.confirmed
        )?;
    }
    writeln!(
        out,
        "votes          {} from {}; {} void, {} too fast; {} held now",
        p.votes,
        counted(p.voters, "volunteer"),
        p.votes_void,
        p.votes_fast,
        counted(p.held, "task"),
    )?;
    let controls = p.controls.accuracy().map_or_else(
        || format!("{} answers, too few to tell", p.controls.answered),
        |share| {
            format!(
                "{} answers, {:.0} % right",
                p.controls.answered,
                share * 100.0
            )
        },
    );
    writeln!(
        out,
        "gold           {} for training, {} as hidden controls ({controls})",
        p.gold_training, p.gold_control,
    )
}
