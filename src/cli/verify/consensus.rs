//! `kilnsight verify consensus`: labels, error rates and agreement from a table of votes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::progress::Reporter;
use crate::cli::{Common, ExitStatus, UsageError, terminal};
use crate::run::Progress;
use crate::verify::table::{Method, Report, Truth, Vocabulary, read_truth, read_votes};

/// Units of progress of a fit.
const PER_CENT: u64 = 100;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kilnsight verify consensus --votes votes.csv
  kilnsight verify consensus --votes votes.csv --truth truth.csv --method majority
  kilnsight verify consensus --votes votes.csv --unsure unsure --bad-image bad_image --method two-coin-prior --json > report.json

The votes are a CSV file with the columns item, worker (or rater) and label (or rating), one vote per line, in any order. \
With about three votes per item take two-coin-prior: it cannot run into certainty that few votes do not bear. \
Items between two equally probable labels stay undecided.")]
pub(in crate::cli) struct ConsensusArgs {
    /// Votes: CSV with columns item, worker, label
    #[arg(long, value_name = "FILE")]
    votes: PathBuf,
    /// What is true, to measure accuracy: CSV with columns item, truth
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// What the method may know beforehand, to judge workers by: CSV as for --truth; left out of the accuracy
    #[arg(long, value_name = "FILE")]
    gold: Option<PathBuf>,
    /// How labels are found
    #[arg(long, value_enum, default_value_t = MethodArg::TwoCoin, value_name = "METHOD")]
    method: MethodArg,
    /// A label that names no class, such as "not sure": evidence like other answers (may be repeated)
    #[arg(long, value_name = "LABEL")]
    unsure: Vec<String>,
    /// A label that says that the item cannot be judged: no evidence, counted apart (may be repeated)
    #[arg(long, value_name = "LABEL")]
    bad_image: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodArg {
    /// The label with the most votes
    Majority,
    /// One accuracy per worker, all classes held equally frequent
    OneCoin,
    /// Error rates per worker and class, any number of classes: Dawid and Skene (1979)
    TwoCoin,
    /// The same with a prior that fades as a worker votes: for few votes
    TwoCoinPrior,
    /// Workers learn from --gold only; two classes: Marshall et al. (2016)
    Swap,
}

impl From<MethodArg> for Method {
    fn from(method: MethodArg) -> Self {
        match method {
            MethodArg::Majority => Self::Majority,
            MethodArg::OneCoin => Self::OneCoin,
            MethodArg::TwoCoin => Self::TwoCoin,
            MethodArg::TwoCoinPrior => Self::TwoCoinPrior,
            MethodArg::Swap => Self::Swap,
        }
    }
}

pub(super) fn run(args: &ConsensusArgs, common: &Common) -> anyhow::Result<ExitStatus> {
    let vocabulary = Vocabulary {
        unsure: args.unsure.clone(),
        bad_image: args.bad_image.clone(),
    };
    if let Some(label) = args.unsure.iter().find(|l| args.bad_image.contains(l)) {
        let both = format!("`{label}` is given with --unsure and with --bad-image; choose one");
        return Err(UsageError(both).into());
    }
    let reporter = Reporter::new(common);
    let bytes = std::fs::metadata(&args.votes).map_or(0, |file| file.len());
    reporter.begin("reading votes", bytes, 0);
    let votes = read_votes(&args.votes, &vocabulary, |bytes| reporter.advance(bytes));
    reporter.end();
    let votes = votes?;
    let table = &votes.table;
    let truth_of = |path: &Option<PathBuf>| {
        let path = path.as_deref();
        path.map(|path| read_truth(path, table)).transpose()
    };
    let truth: Option<Truth> = truth_of(&args.truth)?;
    let gold: Option<Truth> = truth_of(&args.gold)?;
    let known: BTreeMap<usize, usize> = gold
        .iter()
        .flat_map(|gold| &gold.labels)
        .filter_map(|(item, label)| Some((table.item(item)?, table.class(label)?)))
        .collect();
    let mut done = 0;
    reporter.begin("fitting", PER_CENT, 0);
    let findings = Method::from(args.method).apply(table, &known, &mut |share| {
        let now = (share * PER_CENT as f64) as u64;
        reporter.advance(now.saturating_sub(done));
        done = done.max(now);
    });
    reporter.end();
    let findings = findings.map_err(|error| UsageError(error.to_string()))?;
    let report = Report::new(&votes, findings, truth.as_ref(), gold.as_ref());
    let mut stdout = terminal::stdout();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &report.to_json())?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{}", report.to_text())?;
    }
    stdout.flush()?;
    Ok(ExitStatus::Done)
}
