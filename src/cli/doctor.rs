//! `kilnsight doctor`: what is found where, in which version, what is missing, and how to mend it.

use std::io::Write;

use clap::Args;
use gdal::DriverManager;

use super::{ExitStatus, terminal};
use crate::model::{Model, OnnxDetector, runtime_info, shipped_models};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kilnsight doctor")]
pub(super) struct DoctorArgs {}

/// GDAL drivers that a scan cannot do without.
const DRIVERS: &[&str] = &["GTiff", "COG", "VRT"];

/// One finding: fine, or what is wrong with the remedy.
struct Finding {
    what: &'static str,
    result: Result<String, String>,
}

pub(super) fn run(_args: &DoctorArgs) -> anyhow::Result<ExitStatus> {
    let mut findings = vec![
        Finding {
            what: "kilnsight",
            result: Ok(program()),
        },
        Finding {
            what: "GDAL",
            result: gdal_finding(),
        },
        Finding {
            what: "PROJ",
            result: proj_finding(),
        },
        Finding {
            what: "ONNX Runtime",
            result: runtime_finding(),
        },
    ];
    findings.extend(model_findings());

    let mut stdout = terminal::stdout();
    let mut wrong = 0;
    for Finding { what, result } in &findings {
        match result {
            Ok(text) => writeln!(stdout, "ok       {what:14} {text}")?,
            Err(text) => {
                wrong += 1;
                writeln!(stdout, "MISSING  {what:14} {text}")?;
            }
        }
    }
    if wrong == 0 {
        writeln!(
            stdout,
            "all is in place; next: kilnsight scan SCENE --model kiln-s2 --out RUN"
        )?;
        Ok(ExitStatus::Done)
    } else {
        writeln!(
            stdout,
            "{wrong} of {} not in place: do what the lines above say, then run this again",
            findings.len()
        )?;
        Ok(ExitStatus::Failed)
    }
}

fn program() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let path = std::env::current_exe().map_or_else(|_| "?".to_owned(), |p| p.display().to_string());
    format!("{} at {path}, {cores} cores", env!("CARGO_PKG_VERSION"))
}

fn gdal_finding() -> Result<String, String> {
    let version = gdal::version::VersionInfo::release_name();
    let missing: Vec<&str> = DRIVERS
        .iter()
        .copied()
        .filter(|name| DriverManager::get_driver_by_name(name).is_err())
        .collect();
    if missing.is_empty() {
        Ok(format!("{version}, with {}", DRIVERS.join(", ")))
    } else {
        Err(format!(
            "{version} lacks the drivers {}: install a complete GDAL (Debian: apt-get install libgdal-dev gdal-bin)",
            missing.join(", ")
        ))
    }
}

/// PROJ needs its data base; without it no coordinate can be transformed.
fn proj_finding() -> Result<String, String> {
    use gdal::spatial_ref::SpatialRef;
    let utm = SpatialRef::from_epsg(32631).and_then(|crs| crs.to_wkt());
    match utm.map(|wkt| {
        crate::scene::Georeference::new([500_000.0, 10.0, 0.0, 0.0, 0.0, -10.0], (1, 1), &wkt)
    }) {
        Ok(Ok(_)) => Ok("transforms coordinates".to_owned()),
        Ok(Err(error)) => Err(format!(
            "{error}: install proj-data, and unset PROJ_LIB if it is set"
        )),
        Err(error) => Err(format!(
            "{error}: install proj-data, and unset PROJ_LIB if it is set"
        )),
    }
}

fn runtime_finding() -> Result<String, String> {
    runtime_info()
        .map(|info| format!("{info} at {}", info.path.display()))
        .map_err(|e| e.to_string())
}

fn model_findings() -> Vec<Finding> {
    let models = shipped_models();
    if models.is_empty() {
        let text = "no folder `models/` here or beside the program: run from a checkout, or give `--model` a path";
        return vec![Finding {
            what: "model",
            result: Err(text.to_owned()),
        }];
    }
    models
        .into_iter()
        .map(|(name, path)| {
            let given = path.display().to_string();
            let loaded = Model::load(&given)
                .map_err(|e| e.to_string())
                .and_then(|model| {
                    OnnxDetector::new(&model).map_err(|e| e.to_string())?;
                    let licence = model
                        .card
                        .license
                        .as_deref()
                        .unwrap_or("licence not stated");
                    Ok(format!(
                        "{name} {} in {given} ({licence})",
                        model.card.version.as_deref().unwrap_or("")
                    ))
                });
            Finding {
                what: "model",
                result: loaded,
            }
        })
        .collect()
}
