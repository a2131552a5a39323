//! `kilnsight verify status`: how far a project is.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::ExitStatus;
use crate::run::counted;
use crate::verify::consensus::Agreement;
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
    let project = Project::open(&args.project)?;
    let (progress, agreement) = (project.progress()?, project.agreement()?);
    let mut stdout = std::io::stdout().lock();
    if args.json {
        let mut json = serde_json::to_value(&progress)?;
        json["agreement"] = serde_json::json!({
            "krippendorff_alpha": agreement.krippendorff_alpha,
            "fleiss_kappa": agreement.fleiss_kappa,
            "observed": agreement.observed,
            "on_no": agreement.by_label.first(),
            "on_yes": agreement.by_label.get(1),
            "on_unsure": agreement.by_label.get(2),
        });
        serde_json::to_writer_pretty(&mut stdout, &json)?;
        writeln!(stdout)?;
    } else {
        print(&mut stdout, &progress)?;
        print_agreement(&mut stdout, &agreement)?;
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

fn print_agreement(out: &mut impl Write, a: &Agreement) -> std::io::Result<()> {
    let number = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), |x| format!("{x:.3}"));
    let of = |label: usize| number(a.by_label.get(label).copied().flatten());
    writeln!(
        out,
        "agreement      alpha {} (0.8 is called reliable), on yes {}, on no {}",
        number(a.krippendorff_alpha),
        of(1),
        of(0)
    )
}
