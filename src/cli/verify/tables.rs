//! `kilnsight verify export`, `import` and `gold`: files out and in.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::progress::Reporter;
use crate::cli::scan::stop_on_signal;
use crate::cli::{Common, ExitStatus};
use crate::run::counted;
use crate::verify::{Answer, ExportOptions, Imported, Project, VoteColumns};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  kilnsight verify export project --out verified --licence CC-BY-4.0

Volunteers appear in votes.csv under codes that are drawn anew for every export. The layer holds exact places: think \
before you pass it on.")]
pub(in crate::cli) struct ExportArgs {
    /// Folder of the project
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Folder to write; made if need be
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Licence of the layer, written into every feature
    #[arg(long, value_name = "TEXT", default_value_t = ExportOptions::default().licence)]
    licence: String,
    /// Who may see the layer, written into every feature
    #[arg(long, value_name = "TEXT", default_value_t = ExportOptions::default().sensitivity)]
    sensitivity: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kilnsight verify import project votes.csv
  kilnsight verify import project results.csv --site task_id --volunteer user_id --answer result \\
      --map yes=1 --map no=0 --map unsure=2 --map bad-image=3

A table is taken in once: giving the command again changes nothing. Names of volunteers are not kept, only codes that \
cannot be turned back.")]
pub(in crate::cli) struct ImportArgs {
    /// Folder of the project
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// CSV table with a header
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Column with the site id
    #[arg(long, value_name = "COLUMN", default_value_t = VoteColumns::default().site)]
    site: String,
    /// Column with the volunteer
    #[arg(long, value_name = "COLUMN", default_value_t = VoteColumns::default().volunteer)]
    volunteer: String,
    /// Column with the answer
    #[arg(long, value_name = "COLUMN", default_value_t = VoteColumns::default().answer)]
    answer: String,
    /// What a word of the table means: yes, no, unsure or bad-image
    #[arg(long, value_name = "ANSWER=WORD", value_parser = parse_word)]
    map: Vec<(String, Answer)>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  kilnsight verify gold project gold.csv

The table has the columns site_id, answer (yes or no), purpose (training or control) and, if you like, note: what \
volunteers in training are told. Gold is decided by its answer and leaves the queue.")]
pub(in crate::cli) struct GoldArgs {
    /// Folder of the project
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// CSV table with a header
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

fn parse_word(text: &str) -> Result<(String, Answer), String> {
    let (answer, word) = text
        .split_once('=')
        .ok_or("give it as ANSWER=WORD, for example yes=1")?;
    Ok((word.to_owned(), answer.replace('-', "_").parse()?))
}

pub(super) fn export(args: &ExportArgs) -> anyhow::Result<ExitStatus> {
    let options = ExportOptions {
        licence: args.licence.clone(),
        sensitivity: args.sensitivity.clone(),
    };
    let exported = Project::open(&args.project)?.export(&args.out, &options)?;
    let mut stdout = std::io::stdout().lock();
    for (path, holds) in &exported.files {
        writeln!(stdout, "  {:40} {holds}", path.display().to_string())?;
    }
    writeln!(
        stdout,
        "wrote {out}: the state of the project up to event {}; open {out}/verified.geojson in QGIS",
        exported.through,
        out = args.out.display()
    )?;
    stdout.flush()?;
    Ok(ExitStatus::Done)
}

pub(super) fn import(args: &ImportArgs, common: &Common) -> anyhow::Result<ExitStatus> {
    let columns = VoteColumns {
        site: args.site.clone(),
        volunteer: args.volunteer.clone(),
        answer: args.answer.clone(),
        words: args.map.iter().cloned().collect(),
    };
    let project = Project::open(&args.project)?;
    let reporter = Reporter::new(common);
    let stop = stop_on_signal()?;
    let imported = project.import_votes(&args.file, &columns, &reporter, &stop)?;
    tell(&imported, "vote", &args.project)
}

pub(super) fn gold(args: &GoldArgs) -> anyhow::Result<ExitStatus> {
    let imported = Project::open(&args.project)?.import_gold(&args.file)?;
    tell(&imported, "gold task", &args.project)
}

fn tell(imported: &Imported, what: &str, project: &std::path::Path) -> anyhow::Result<ExitStatus> {
    let mut stdout = std::io::stdout().lock();
    writeln!(
        stdout,
        "{} taken in, {} here before",
        counted(imported.new, what),
        imported.known
    )?;
    if let Some(line) = imported.first_unknown_line {
        writeln!(
            stdout,
            "left out: {} about sites that the project does not have (the first in line {line})",
            counted(imported.unknown_sites, "row")
        )?;
    }
    writeln!(
        stdout,
        "see `kilnsight verify status {}`",
        project.display()
    )?;
    stdout.flush()?;
    Ok(if imported.unknown_sites == 0 {
        ExitStatus::Done
    } else {
        ExitStatus::Partial
    })
}
