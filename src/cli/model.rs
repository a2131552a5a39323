//! `kilnsight model`: what a model expects and what it tells, and whether it still answers as it did.

use std::io::Write;
use std::time::Instant;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::scan::parse_positive;
use super::{ExitStatus, terminal};
use crate::model::{
    AreaPart, Calibration, CardSource, LoadError, MetadataError, Model, OnnxDetector, OnnxScreen,
    Reference, TensorInfo, Told,
};

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// Show what a model expects, what it finds, and its licence
    Info(InfoArgs),
    /// Compare a model with its card, and its answer to a reference chip with the stored one
    Check(CheckArgs),
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

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kilnsight model check models/kiln-s2")]
pub(super) struct CheckArgs {
    /// Model: a folder, an .onnx file with a card beside it or metadata in it, or a shipped model's name
    #[arg(value_name = "MODEL")]
    model: String,
    /// Store the answer to the reference chip beside the model, for later checks
    #[arg(long)]
    write: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: ModelCommand) -> anyhow::Result<ExitStatus> {
    match command {
        ModelCommand::Info(args) => info(&args),
        ModelCommand::Check(args) => check(&args),
    }
}

fn info(args: &InfoArgs) -> anyhow::Result<ExitStatus> {
    let (model, resolution_told) = load(&args.model, args.gsd)?;
    let detector = OnnxDetector::new(&model)?;
    // That it fits the card is part of what is told.
    OnnxScreen::new(&model)?;
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

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    result: &'static str,
    what: String,
}

const GOOD: &str = "good";
const WARNING: &str = "warning";
const BAD: &str = "bad";

fn check(args: &CheckArgs) -> anyhow::Result<ExitStatus> {
    let (model, _) = load(&args.model, None)?;
    let mut detector = OnnxDetector::new(&model)?;
    let mut screen = OnnxScreen::new(&model)?;
    let mut findings = vec![Finding {
        result: GOOD,
        what: match model.card_source {
            CardSource::File if model.card.sha256.is_some() => {
                "the card is whole, and its SHA-256, input and outputs are those of the ONNX file"
                    .to_owned()
            }
            CardSource::File => {
                "the card is whole, and its input and outputs are those of the ONNX file".to_owned()
            }
            CardSource::Metadata(kind) => format!("the metadata of {kind} serve as its card"),
        },
    }];
    let warn = |what: String| Finding {
        result: WARNING,
        what,
    };
    findings.extend(model.warnings.iter().cloned().map(warn));
    let unknown = model.card.unknown_keys.iter();
    findings.extend(unknown.map(|key| warn(format!("`{key}` on the card is not known"))));
    if matches!(model.card_source, CardSource::File) && model.card.sha256.is_none() {
        findings.push(warn(
            "the card has no `kilnsight:sha256`: nothing tells whether the ONNX file is the one it was written for".to_owned(),
        ));
    }

    let path = Reference::path(&model);
    let began = Instant::now();
    let now = Reference::make(&model, &mut detector, screen.as_mut())?;
    let seconds = began.elapsed().as_secs_f64();
    let again = Reference::make(&model, &mut detector, screen.as_mut())?;
    let differences = now.differences(&again);
    findings.push(if differences.is_empty() {
        Finding {
            result: GOOD,
            what: format!(
                "it answers the reference chip ({} found at the default score) in {seconds:.2} s, and the same again",
                now.found
            ),
        }
    } else {
        Finding {
            result: BAD,
            what: format!("asked twice it answers differently: {}", differences.join("; ")),
        }
    });
    findings.extend(screen_findings(&model, now.screen));
    if args.write {
        now.save(&path)?;
        findings.push(Finding {
            result: GOOD,
            what: format!("the answer is stored in `{}`", path.display()),
        });
    } else {
        findings.extend(match Reference::load(&path)? {
            None => vec![warn(format!(
                "there is no stored answer to compare with; `kilnsight model check {} --write` stores this one",
                args.model
            ))],
            Some(stored) => {
                let differences = stored.differences(&now);
                if differences.is_empty() {
                    vec![Finding {
                        result: GOOD,
                        what: format!("the answer is the one in `{}`", path.display()),
                    }]
                } else {
                    let bad = |what| Finding { result: BAD, what };
                    differences.into_iter().map(bad).collect()
                }
            }
        });
    }
    let passed = findings.iter().all(|finding| finding.result != BAD);
    let mut stdout = terminal::stdout();
    if args.json {
        let report = json!({ "model": model.card.name, "passed": passed, "findings": findings });
        writeln!(stdout, "{report:#}")?;
    } else {
        for finding in &findings {
            writeln!(stdout, "{:8} {}", finding.result, finding.what)?;
        }
        let verdict = if passed {
            "works as its card says"
        } else {
            "does NOT answer as it did: restore model and card, or see what changed"
        };
        writeln!(stdout, "{}: {verdict}", model.card.name)?;
    }
    Ok(if passed {
        ExitStatus::Done
    } else {
        ExitStatus::Failed
    })
}

/// What there is to say of the screen, where the model has one.
fn screen_findings(model: &Model, score: Option<f32>) -> Vec<Finding> {
    let Some((screen, score)) = model.screen.as_ref().zip(score) else {
        return Vec::new();
    };
    let mut findings = vec![Finding {
        result: GOOD,
        what: format!(
            "its screen `{}` fits the card, and gives the reference chip {score:.4} (dropped: below {})",
            screen.card.onnx, screen.card.threshold
        ),
    }];
    if screen.card.sha256.is_none() {
        findings.push(Finding {
            result: WARNING,
            what: "`kilnsight:screen` has no `sha256`: nothing tells whether the file is the one that the threshold was chosen for".to_owned(),
        });
    }
    findings
}

/// The model, and whether anyone tells the ground size of its pixels.
fn load(given: &str, gsd_m: Option<f64>) -> Result<(Model, bool), LoadError> {
    let told = Told {
        gsd_m,
        overlap_m: None,
    };
    match Model::load_told(given, told) {
        Err(LoadError::Metadata {
            source: MetadataError::NoResolution,
            ..
        }) => {
            // All but metres can be shown.
            let told = Told {
                gsd_m: Some(1.0),
                overlap_m: None,
            };
            Ok((Model::load_told(given, told)?, false))
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
        "structures": card.head.areas().and_then(|rule| rule.structure_m2).map(|[small, large]| {
            format!("counted from the area, {small} to {large} m2 each")
        }),
        "min score": card.min_score,
        "calibration": card.calibration.as_ref().map(Calibration::in_words),
        "nms iou": card.nms_iou,
        "screen": model.screen.as_ref().map(|screen| format!(
            "{} sees pixels {} times as large; chips below {} are dropped (sha256 {})",
            screen.card.onnx, screen.card.factor, screen.card.threshold, screen.sha256
        )),
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
