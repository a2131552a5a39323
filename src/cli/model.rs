//! `kilnsight model info`: what a model expects and what it tells.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{ExitStatus, terminal};
use crate::model::{Model, OnnxDetector, TensorInfo};

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// Show what a model expects, what it finds, and its licence
    Info(InfoArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kilnsight model info models/kiln-s2")]
pub(super) struct InfoArgs {
    /// Model: a folder, an .onnx file with a card beside it, or a shipped model's name
    #[arg(value_name = "MODEL")]
    model: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: ModelCommand) -> anyhow::Result<ExitStatus> {
    let ModelCommand::Info(args) = command;
    let model = Model::load(&args.model)?;
    let detector = OnnxDetector::new(&model)?;
    let report = report(&model, &detector);
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
            "card and ONNX file agree; scan with it: kilnsight scan SCENE --model {} --out RUN",
            args.model
        )?;
    }
    Ok(ExitStatus::Done)
}

fn report(model: &Model, detector: &OnnxDetector) -> Value {
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
        "resolution": format!("{} m", card.gsd_m),
        "chip": chip,
        "overlap": format!("{} m", card.overlap_m),
        "head": card.head.name(),
        "min score": card.min_score,
        "nms iou": card.nms_iou,
        "inputs": tensors(detector.inputs()),
        "outputs": tensors(detector.outputs()),
        "onnx file": model.onnx_path.display().to_string(),
        "bytes": model.onnx.len(),
        "sha256": model.sha256,
        "unknown keys": (!card.unknown_keys.is_empty()).then_some(&card.unknown_keys),
    })
}
