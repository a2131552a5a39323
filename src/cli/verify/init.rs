//! `kilnsight verify init` and `add`: runs become tasks with pictures.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::cli::progress::Reporter;
use crate::cli::scan::stop_on_signal;
use crate::cli::{Common, ExitStatus};
use crate::run::counted;
use crate::verify::{Added, IntakeOptions, Project, QuestionSet, Rules, VerifyError, read_areas};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kilnsight verify init project run
  kilnsight verify init project run-2023 run-2024 --sample 50 --priority districts.geojson

The scenes of the runs are read once, to cut pictures from; give the command from the folder in which the scans were \
made. Volunteers see pictures and outlines, no coordinates and no names.")]
pub(in crate::cli) struct InitArgs {
    /// Folder of the project; made if need be
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Run directories
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    intake: IntakeArgs,
    /// Questions in other words: a JSON object of classes, each with a `text`
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  kilnsight verify add project run-2025

A site that has a task keeps it and its votes, and gains the pictures of the new run: it is known by its id, or by \
lying within 50 m.")]
pub(in crate::cli) struct AddArgs {
    /// Folder of the project
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Run directories
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    intake: IntakeArgs,
}

#[derive(Debug, Args)]
struct IntakeArgs {
    /// Members of each stratum (band of scores, empty ground) in the random sample that counts rest on
    #[arg(long, value_name = "N", default_value_t = IntakeOptions::default().sample_per_stratum)]
    sample: usize,
    /// Seed of the random sample [default: from the system]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Areas that come earlier: GeoJSON polygons with a `priority` from 0 to 1 (1 where it is missing)
    #[arg(long, value_name = "FILE")]
    priority: Option<PathBuf>,
}

impl IntakeArgs {
    fn options(&self) -> Result<IntakeOptions, VerifyError> {
        Ok(IntakeOptions {
            sample_per_stratum: self.sample,
            seed: self.seed,
            area_priority: self
                .priority
                .as_deref()
                .map_or(Ok(Vec::new()), read_areas)?,
        })
    }
}

pub(super) fn init(args: &InitArgs, common: &Common) -> anyhow::Result<ExitStatus> {
    let options = args.intake.options()?;
    let questions = args
        .questions
        .as_deref()
        .map(|path| -> anyhow::Result<QuestionSet> {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(|| format!("`{name}`"))?;
            Ok(QuestionSet::parse(&name, &text, 1)?)
        })
        .transpose()?;
    let reporter = Reporter::new(common);
    let stop = stop_on_signal()?;
    let added = Project::init(
        &args.project,
        &args.runs,
        &Rules::default(),
        questions,
        &options,
        &reporter,
        &stop,
    )?;
    finish(&args.project, &args.runs, &added)
}

pub(super) fn add(args: &AddArgs, common: &Common) -> anyhow::Result<ExitStatus> {
    let options = args.intake.options()?;
    let project = Project::open(&args.project)?;
    let reporter = Reporter::new(common);
    let stop = stop_on_signal()?;
    let mut added = Vec::new();
    for run in &args.runs {
        added.push(project.add_run(run, &options, &reporter, &stop)?);
    }
    finish(&args.project, &args.runs, &added)
}

fn finish(project: &Path, runs: &[PathBuf], added: &[Added]) -> anyhow::Result<ExitStatus> {
    let mut stdout = std::io::stdout().lock();
    let mut complete = true;
    for (run, a) in runs.iter().zip(added) {
        let known = match a.known {
            0 => String::new(),
            n => format!("; {} known, with their votes", counted(n, "site")),
        };
        writeln!(
            stdout,
            "{}: {} ({}, {} below the score of sites, {} empty; {} in the random sample), {}{known}",
            run.display(),
            counted(a.tasks(), "task"),
            counted(a.sites, "site"),
            a.below,
            a.empty,
            a.sampled,
            counted(a.chips, "picture"),
        )?;
        for failure in &a.failures {
            writeln!(stdout, "failed: {}: {}", failure.scene, failure.reason)?;
        }
        if !a.unseen.is_empty() {
            writeln!(
                stdout,
                "without a task, since no scene that can be read shows them: {}",
                a.unseen.join(", ")
            )?;
        }
        complete &= a.failures.is_empty() && a.unseen.is_empty();
    }
    writeln!(
        stdout,
        "wrote {project}: serve it to volunteers with `kilnsight verify serve {project}`",
        project = project.display()
    )?;
    stdout.flush()?;
    Ok(if complete {
        ExitStatus::Done
    } else {
        ExitStatus::Partial
    })
}
