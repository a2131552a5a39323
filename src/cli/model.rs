//! `kilnsight model info`: what a model expects and what it tells.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::scan::parse_positive;
use super::{ExitStatus, terminal};
use crate::model::{
    AreaPart, CardSource, LoadError, MetadataError, Model, OnnxDetector, TensorInfo, Told,
};

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// Show what a model expects, what it finds, and its licence
    Info(InfoArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kilnsight model info models/kiln-s2")]
pub(super) struct InfoArgs {
    /// Model: a folder, an .onnx file with a card beside it or metadata in it, or a shipped model's name
    #[arg(value_name = "MODEL")]
    model: String,
    /// Ground size of the model's pixels, for an .onnx file that does not tell
    #[arg(long, value_name = "METRES", value_parser = parse_positive)]
    gsd: Option<f64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: ModelCommand) -> anyhow::Result<ExitStatus> {
    let ModelCommand::Info(args) = command;
    let (model, resolution_told) = load(&args)?;
    let detector = OnnxDetector::new(&model)?;
    let report = report(&model, &detector, resolution_told);
    let mut stdout = terminal::stdout();
    if args.json {
        writeln!(stdout, "{report:#}")?;
    } else {
        for (key, value) in report.as_object().into_iter().flatten() {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Null => continue,
                Value::Array(items) if items.iter().all(Value::is_string) => items
                    .iter()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
                other => other.to_string(),
            };
            writeln!(stdout, "{key:14} {text}")?;
        }
        writeln!(
            stdout,
            "{}; scan with it: kilnsight scan SCENE --model {}{} --out RUN",
            match model.card_source {
                CardSource::File => "card and ONNX file agree",
                CardSource::Metadata(_) => "the metadata in the ONNX file serve as its card",
            },
            args.model,
            match (resolution_told, args.gsd) {
                (false, _) => " --gsd METRES".to_owned(),
                (true, Some(gsd)) => format!(" --gsd {gsd}"),
                (true, None) => String::new(),
            }
        )?;
    }
    Ok(ExitStatus::Done)
}

/// The model, and whether anyone tells the ground size of its pixels.
fn load(args: &InfoArgs) -> Result<(Model, bool), LoadError> {
    let told = Told {
        gsd_m: args.gsd,
        overlap_m: None,
    };
    match Model::load_told(&args.model, told) {
        Err(LoadError::Metadata {
            source: MetadataError::NoResolution,
            ..
        }) => {
            // All but metres can be shown.
            let told = Told {
                gsd_m: Some(1.0),
                overlap_m: None,
            };
            Ok((Model::load_told(&args.model, told)?, false))
        }
        loaded => Ok((loaded?, true)),
    }
}

fn report(model: &Model, detector: &OnnxDetector, resolution_told: bool) -> Value {
    let card = &model.card;
    let tensors = |tensors: Vec<TensorInfo>| -> Vec<String> {
        let side = |s: &i64| {
            if *s < 0 {
                "any".to_owned()
            } else {
                s.to_string()
            }
        };
        tensors
            .into_iter()
            .map(|t| {
                let shape = t.shape.iter().map(side).collect::<Vec<_>>().join(" × ");
                format!(
                    "{} {} [{shape}]",
                    t.name,
                    t.element.map(|e| e.to_string()).unwrap_or_default()
                )
            })
            .collect()
    };
    let chip = match card.size_multiple {
        Some(multiple) => format!("{} px, or smaller multiples of {multiple} px", card.chip_px),
        None => format!("{} px", card.chip_px),
    };
    json!({
        "name": card.name,
        "version": card.version,
        "description": card.description,
        "licence": card.license,
        "architecture": card.architecture,
        "classes": card.classes,
        "bands": card.bands,
        "value range": card.scaling.range.map(|[low, high]| format!("{low} to {high}")),
        "reflectance": card.reflectance.map(|[low, high]| format!("{low} to {high} goes to the ends of the range")),
        "stretch": card.stretch.map(|s| format!("percentiles {} to {} of the scene, for other units", s.percentiles[0], s.percentiles[1])),
        "resolution": if resolution_told {
            format!("{} m", card.gsd_m)
        } else {
            "not told: give --gsd METRES when scanning".to_owned()
        },
        "chip": chip,
        "overlap": if resolution_told {
            format!("{} m", card.overlap_m)
        } else {
            format!("{} px", card.overlap_m / card.gsd_m)
        },
        "head": card.head.name(),
        "areas": card.head.areas().map(|rule| match rule.of {
            AreaPart::Pixels => format!("of pixels, from {} m2, simplified by {} m", rule.min_area_m2, rule.simplify_m),
            AreaPart::Chips => "of whole chips".to_owned(),
        }),
        "min score": card.min_score,
        "nms iou": card.nms_iou,
        "inputs": tensors(detector.inputs()),
        "outputs": tensors(detector.outputs()),
        "onnx file": model.onnx_path.display().to_string(),
        "bytes": model.onnx.len(),
        "sha256": model.sha256,
        "card": match model.card_source {
            CardSource::File => "beside the ONNX file".to_owned(),
            CardSource::Metadata(kind) => format!("metadata of {kind} in the ONNX file"),
        },
        "differences": (!model.warnings.is_empty()).then(|| model.warnings.join("; ")),
        "unknown keys": (!card.unknown_keys.is_empty()).then_some(&card.unknown_keys),
    })
}
