//! `kilnsight labels`: verified places as labels to train on.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::progress::Reporter;
use super::scan::{parse_positive, stop_on_signal};
use super::{Common, ExitStatus, UsageError, terminal};
use crate::label::{Format, LabelRequest, Places, Shares, SplitRule, write_labels};
use crate::model::Model;
use crate::run::{LoadedRun, counted};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  kilnsight labels run --verified verified/verified.geojson --out labels --format coco,yolo-obb

Confirmed places become objects, rejected ones ground to learn from as well; a chip that shows a place nobody has decided \
is left out. chips.geojson says where each chip lies: keep it from people who should not know.")]
pub(super) struct LabelsArgs {
    /// Run directories whose scenes the chips come from
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Layer of verified places: that of `kilnsight verify export`, or any GeoJSON of polygons
    #[arg(long, value_name = "LAYER")]
    verified: PathBuf,
    /// Folder to make
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Formats
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMAT", default_values_t = [FormatName::Coco, FormatName::YoloObb, FormatName::Dota])]
    format: Vec<FormatName>,
    /// Model whose input the chips are to be [default: that of the run, by its name]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Side of a chip in pixels [default: the model's]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(8..=8192))]
    chip_px: Option<u32>,
    /// Share of objects to choose thresholds by
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    val: f64,
    /// Share of objects to measure with
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    test: f64,
    /// Side of the blocks of ground that belong to one part as a whole
    #[arg(long, value_name = "KM", default_value_t = 10.0, value_parser = parse_positive)]
    block_km: f64,
    /// Ground between chips of different parts
    #[arg(long, value_name = "METRES", default_value_t = 500.0)]
    gap: f64,
    /// Seed of the split
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// annotations/PART.coco.json
    Coco,
    /// labels/PART/CHIP.txt and dataset.yaml
    YoloObb,
    /// dota/PART/CHIP.txt
    Dota,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Coco => Self::Coco,
            FormatName::YoloObb => Self::YoloObb,
            FormatName::Dota => Self::Dota,
        }
    }
}

pub(super) fn run(args: &LabelsArgs, common: &Common) -> anyhow::Result<ExitStatus> {
    let share = |share: f64| (0.0..1.0).contains(&share);
    if !(share(args.val) && share(args.test) && args.val + args.test < 1.0) {
        return Err(UsageError(
            "`--val` and `--test` are shares of 0 to 1 that leave something to train on".to_owned(),
        )
        .into());
    }
    if !(0.0..=1e6).contains(&args.gap) {
        return Err(UsageError("`--gap` is a distance in metres, 0 or more".to_owned()).into());
    }
    let model = match (&args.model, args.runs.first()) {
        (Some(model), _) => Model::load(model)?,
        (None, Some(run)) => {
            let made_with = LoadedRun::open(run)?.model;
            Model::load(made_with.split(' ').next().unwrap_or_default())?
        }
        (None, None) => return Err(UsageError("name a run".to_owned()).into()),
    };
    let class = model.card.classes.first().map_or("object", String::as_str);
    let places = Places::read(&args.verified, class)?;
    let reporter = Reporter::new(common);
    let stop = stop_on_signal()?;
    let summary = write_labels(
        &LabelRequest {
            runs: &args.runs,
            places: &places,
            model: &model,
            chip_px: args.chip_px.map(|px| px as usize),
            formats: &args.format.iter().copied().map(Format::from).collect(),
            split: SplitRule {
                block_km: args.block_km,
                gap_m: args.gap,
                shares: Shares {
                    val: args.val,
                    test: args.test,
                },
                seed: args.seed,
            },
            out: &args.out,
        },
        &reporter,
        &stop,
    )?;
    let mut stdout = terminal::stdout();
    for (part, count) in &summary.parts {
        let objects: Vec<String> = (count.objects.iter())
            .map(|(class, number)| format!("{number} {class}"))
            .collect();
        writeln!(
            stdout,
            "{part:6} {}, {} of them without an object{}{}",
            counted(count.chips as u64, "chip"),
            count.background,
            if objects.is_empty() { "" } else { "; " },
            objects.join(", ")
        )?;
    }
    for (number, why) in [
        (
            summary.undecided,
            "chips left out: they show a place that is not decided",
        ),
        (summary.too_near, "chips left out: too near to another part"),
        (summary.outside, "places that no scene shows"),
        (summary.without_extent, "features without extent"),
    ] {
        if number > 0 {
            writeln!(stdout, "{number} {why}")?;
        }
    }
    writeln!(
        stdout,
        "wrote {}; look at labels.json first, and keep chips.geojson from people who should not know the places",
        args.out.display()
    )?;
    Ok(ExitStatus::Done)
}
