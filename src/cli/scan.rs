//! `kilnsight scan`: scenes to detections, sites, clusters, coverage.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Args;
use clap::builder::{OsStringValueParser, RangedU64ValueParser, TypedValueParser};

use super::bytes::parse_bytes;
use super::progress::Reporter;
use super::terminal::{self, plain};
use super::{Common, ExitStatus, UsageError};
use crate::model::{Device, Model, Told};
use crate::run::{
    CLUSTER_DISTANCE_M, CLUSTER_MIN, Existing, MAX_CLOUD, Progress, ScanRequest, ScanSummary,
    Settings, counted, scan,
};
use crate::scene::{CloudCodes, NodataOption};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kilnsight scan scene.tif --model models/kiln-s2 --out run
  kilnsight scan scene.tif --model yolo11n-obb.onnx --gsd 0.5 --out run
  kilnsight scan 'scenes/*.tif' --model kiln-s2 --out run --aoi district.geojson --overview
  kilnsight scan S2A_MSIL2A_20240131T053021.SAFE.zip --model kiln-s2 --out run
  kilnsight scan https://example.org/stac/collection.json --model kiln-s2 --out run --cache scenes
  kilnsight scan stack.vrt --model kiln-s2 --bands B04,B03,B02 --scale 0.0001 --offset -0.1 --out run

A scan that was interrupted goes on when the same command is given again.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch on the command line"
)]
pub(super) struct ScanArgs {
    /// Rasters that GDAL opens, Sentinel-2 products (.SAFE, zipped too), STAC Items, item collections or catalogues;
    /// folders of rasters and products, patterns, text files with a path per line; local, http(s):// or s3://
    #[arg(required = true, value_name = "SCENE", value_parser = any_name())]
    scenes: Vec<String>,
    /// Model: a folder with model.onnx and model.json, an .onnx file with a card beside it or metadata of Ultralytics, GeoDeep or Deepness in it, or a shipped model's name
    #[arg(short, long, value_name = "MODEL")]
    model: String,
    /// Ground size of the model's pixels, for an .onnx file that does not tell [default: the model's]
    #[arg(long, value_name = "METRES", value_parser = parse_positive)]
    gsd: Option<f64>,
    /// Overlap of chips: at least the longest object [default: the model's; else a quarter of a chip]
    #[arg(long, value_name = "METRES", value_parser = parse_length)]
    overlap: Option<f64>,
    /// Where the model runs: cpu, cuda, tensorrt, migraphx, openvino, coreml, directml; cuda:1 for the second card
    #[arg(long, value_name = "DEVICE", default_value_t = Device::Cpu)]
    device: Device,
    /// Run directory to write; made if need be
    #[arg(short, long, value_name = "RUN")]
    out: PathBuf,
    /// Area of interest: a vector file with polygons, or west,south,east,north in degrees
    #[arg(long, value_name = "FILE|BOX", allow_hyphen_values = true, value_parser = any_name())]
    aoi: Option<String>,
    /// Bands in the model's order, by number (from 1) or name
    #[arg(long, value_name = "B,B,B", value_delimiter = ',')]
    bands: Option<Vec<String>>,
    /// Value that means "nothing measured here" when all bands have it; `none`: every pixel counts
    /// [default: as the file declares; else 0]
    #[arg(long, value_name = "VALUE", value_parser = parse_nodata, allow_hyphen_values = true)]
    nodata: Option<NodataOption>,
    /// Factor from stored values to reflectance, or to the model's units if it has no range of reflectance
    /// (stored × scale + offset) [default: as the product or the file's bands state]
    #[arg(long, value_name = "NUMBER", value_parser = parse_finite, allow_hyphen_values = true)]
    scale: Option<f64>,
    /// Term from stored values to the same (stored × scale + offset) [default: as the product or the file's bands
    /// state]
    #[arg(long, value_name = "NUMBER", value_parser = parse_finite, allow_hyphen_values = true)]
    offset: Option<f64>,
    /// Folder for whole copies of remote files, used again by later scans [default: remote files are read in place]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Bytes that all copies in that folder may take (50GB, 500MiB): those used longest ago are removed before another is
    /// fetched [default: no bound]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, requires = "cache")]
    cache_max: Option<u64>,
    /// Acquisition date of all scenes (YYYY-MM-DD) [default: as the product, the file's tags or its name tell]
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    date: Option<String>,
    /// Where clouds are: a raster of any grid, `band:NAME` of the scene itself, or `none`. `{scene}` in it stands
    /// for the path of the scene without its ending [default: the mask that the product brings]
    #[arg(long, value_name = "FILE|BAND")]
    cloud_mask: Option<String>,
    /// Values of the mask that are cloud: `scl` (Sentinel-2 scene classification), `nonzero`, or a list
    /// [default: scl where the mask is called SCL, else nonzero]
    #[arg(long, value_name = "CODES", value_parser = parse_cloud_codes)]
    cloud_codes: Option<CloudCodes>,
    /// Leave out chips with a larger share of cloud than this; whatever else is under cloud is flagged
    #[arg(long, value_name = "SHARE", value_parser = parse_fraction, default_value_t = MAX_CLOUD)]
    max_cloud: f64,
    /// Show every chip to the detector, also where the model has a screen that would drop some
    #[arg(long)]
    no_screen: bool,
    /// Lowest score shown in the layers [default: the model's]
    #[arg(long, value_name = "SCORE", value_parser = parse_fraction)]
    min_score: Option<f64>,
    /// Overlap (intersection over union) at which two boxes of a scene are one [default: the model's]
    #[arg(long, value_name = "IOU", value_parser = parse_fraction)]
    nms_iou: Option<f64>,
    /// Sites within this many metres of one another are neighbours in a cluster
    #[arg(long, value_name = "METRES", value_parser = parse_positive, default_value_t = CLUSTER_DISTANCE_M)]
    cluster_distance: f64,
    /// Sites that make a cluster
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..), default_value_t = CLUSTER_MIN)]
    cluster_min: usize,
    /// Workers, each with one thread [default: one per core]
    #[arg(short, long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    workers: Option<usize>,
    /// Chips that go through the model together, where it takes several: pays on devices other than the processor
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=256), default_value_t = 1)]
    batch: usize,
    /// Draw a picture of each scene with its detections
    #[arg(long)]
    overview: bool,
    /// Delete what an earlier scan left in RUN and start over
    #[arg(long)]
    fresh: bool,
    /// Keep what an earlier scan found and only write its layers anew, with other --min-score or --cluster-… options
    #[arg(long, conflicts_with = "fresh")]
    rewrite: bool,
}

fn parse_nodata(text: &str) -> Result<NodataOption, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(NodataOption::None);
    }
    parse_finite(text)
        .map(NodataOption::Value)
        .map_err(|_not_a_number| "give a number, or `none`".to_owned())
}

/// Names as the system gives them. GDAL takes UTF-8 only: what is not keeps a mark, by which it is told later what is
/// wrong with the file, and the other scenes are scanned.
fn any_name() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|name| name.to_string_lossy().into_owned())
}

fn parse_finite(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|v| v.is_finite())
        .ok_or_else(|| "give a number".to_owned())
}

pub(super) fn parse_positive(text: &str) -> Result<f64, String> {
    parse_finite(text)
        .ok()
        .filter(|v| *v > 0.0)
        .ok_or_else(|| "give a positive number".to_owned())
}

fn parse_length(text: &str) -> Result<f64, String> {
    parse_finite(text)
        .ok()
        .filter(|v| *v >= 0.0)
        .ok_or_else(|| "give a number of metres, from 0".to_owned())
}

fn parse_fraction(text: &str) -> Result<f64, String> {
    parse_finite(text)
        .ok()
        .filter(|v| (0.0..=1.0).contains(v))
        .ok_or_else(|| "give a number from 0 to 1".to_owned())
}

fn parse_cloud_codes(text: &str) -> Result<CloudCodes, String> {
    match text.to_lowercase().as_str() {
        "scl" => Ok(CloudCodes::SceneClassification),
        "nonzero" => Ok(CloudCodes::NonZero),
        list => (list.split(',').map(|code| code.trim().parse()))
            .collect::<Result<_, _>>()
            .map(CloudCodes::Listed)
            .map_err(|_no_number| "give `scl`, `nonzero`, or values such as 2,4".to_owned()),
    }
}

fn parse_date(text: &str) -> Result<String, String> {
    text.parse::<jiff::civil::Date>()
        .map(|date| date.to_string())
        .map_err(|_not_a_date| "give a date as YYYY-MM-DD".to_owned())
}

pub(super) fn run(args: &ScanArgs, common: &Common) -> anyhow::Result<ExitStatus> {
    let reporter = Reporter::new(common);
    let told = Told {
        gsd_m: args.gsd,
        overlap_m: args.overlap,
    };
    let model = Model::load_told(&args.model, told)?;
    for difference in &model.warnings {
        reporter.note(&format!("warning: {difference}"));
    }
    for key in &model.card.unknown_keys {
        reporter.note(&format!(
            "warning: the model card has `{key}`, which this version does not know: is it misspelt?"
        ));
    }
    let settings = settings(args, &model)?;
    let stop = stop_on_signal()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = args.workers.unwrap_or(cores);
    if workers > cores {
        reporter.note(&format!("warning: {workers} workers share {cores} cores: more workers than cores make a scan slower"));
    }
    let request = ScanRequest {
        scenes: args.scenes.clone(),
        cache: args.cache.clone(),
        cache_max: args.cache_max,
        model: &model,
        settings,
        out: args.out.clone(),
        workers,
        device: args.device,
        batch: args.batch,
        existing: match (args.fresh, args.rewrite) {
            (true, _) => Existing::StartOver,
            (_, true) => Existing::RewriteLayers,
            _ => Existing::Continue,
        },
        overview: args.overview,
    };
    let summary = scan(request, &reporter, &stop)?;
    print_summary(&summary, &args.out).context("the summary cannot be printed")?;
    Ok(if summary.failures.is_empty() {
        ExitStatus::Done
    } else {
        ExitStatus::Partial
    })
}

fn settings(args: &ScanArgs, model: &Model) -> Result<Settings, UsageError> {
    let mut settings = Settings::of(&model.card);
    settings.bands.clone_from(&args.bands);
    settings.nodata = args.nodata.unwrap_or_default();
    settings.radiometry.scale = args.scale;
    settings.radiometry.offset = args.offset;
    settings.date.clone_from(&args.date);
    settings.cloud_mask.clone_from(&args.cloud_mask);
    settings.cloud_codes.clone_from(&args.cloud_codes);
    settings.max_cloud = args.max_cloud;
    settings.screen &= !args.no_screen;
    settings.aoi.clone_from(&args.aoi);
    settings.nms_iou = args.nms_iou.unwrap_or(settings.nms_iou);
    settings.min_score = args.min_score.unwrap_or(settings.min_score);
    settings.cluster_distance_m = args.cluster_distance;
    settings.cluster_min = args.cluster_min;
    if settings.min_score < settings.store_score {
        return Err(UsageError(format!(
            "--min-score {} is below {}, the lowest score that is kept at all",
            settings.min_score, settings.store_score
        )));
    }
    Ok(settings)
}

/// Raised by Ctrl-C and by the termination signal. A second signal ends the program at once: the ledger
/// survives that too.
pub(super) fn stop_on_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            #[expect(
                clippy::exit,
                reason = "the user asked twice: do not wait for the chips in work"
            )]
            std::process::exit(i32::from(ExitStatus::Interrupted.code()));
        }
        drop(writeln!(
            terminal::stderr(),
            "stopping after the chips in work (once more: at once)"
        ));
    })
    .context("Ctrl-C cannot be caught")?;
    Ok(stop)
}

fn print_summary(summary: &ScanSummary, out: &std::path::Path) -> std::io::Result<()> {
    let mut stdout = terminal::stdout();
    let (c, a) = (&summary.counts, &summary.areas);
    let mut unseen = vec![format!("{:.1} km2 without data", a.nodata)];
    if a.cloud > 0.0 {
        unseen.push(format!("{:.1} km2 under cloud", a.cloud));
    }
    if a.failed > 0.0 {
        unseen.push(format!("{:.1} km2 failed", a.failed));
    }
    if a.outside > 0.0 {
        unseen.push(format!(
            "{:.1} km2 of the area of interest in no scene",
            a.outside
        ));
    }
    writeln!(
        stdout,
        "{} ({} in {}), from {} in {}; {:.1} km2 scanned, {}",
        counted(c.sites, "site"),
        c.clustered_sites,
        counted(c.clusters, "cluster"),
        counted(c.detections, "detection"),
        counted(c.scenes, "scene"),
        a.scanned,
        unseen.join(", ")
    )?;
    if c.chips.screened > 0 {
        writeln!(
            stdout,
            "{} of {} seen only by the screen of the model, which dropped them; --no-screen shows all to the detector",
            c.chips.screened,
            counted(c.chips.seen(), "chip")
        )?;
    }
    if c.detections_under_cloud > 0 {
        writeln!(
            stdout,
            "{} of the detections in whole or in part under cloud: see `cloud` in detections.geojson",
            c.detections_under_cloud
        )?;
    }
    for failure in &summary.failures {
        let what = failure
            .chips
            .map_or_else(String::new, |chips| format!(" ({chips} chips)"));
        writeln!(
            stdout,
            "failed: {}{what}: {}",
            plain(&failure.scene),
            plain(&failure.reason)
        )?;
    }
    for (path, what) in summary.files(out) {
        writeln!(stdout, "  {:40} {what}", plain(&path.display().to_string()))?;
    }
    writeln!(
        stdout,
        "wrote {out}: open {out}/sites.geojson in QGIS, or compare with labels: kilnsight evaluate {out} --truth LABELS",
        out = plain(&out.display().to_string())
    )?;
    stdout.flush()
}
