//! The ledger of the directory: begun, or gone on with.
//!
//! A scan goes on only with the same model, parameters and scenes. Two things may differ between executions and
//! do no harm: a scene that could not be used before and can be now joins in, and one that is in the ledger and
//! cannot be opened today stands with what was found in it. Either way the scenes end up in the order, and under
//! the numbers, that they would have had if all had been well from the start.

use super::directory::RunDirectory;
use super::error::ScanError;
use super::plan::{PLAN_KEY, PlanDifference, ScanPlan, differences};
use super::prepare::{Prepared, plan_chips};
use super::record::Failure;
use super::scan::Existing;
use crate::chip::AreaOfInterest;
use crate::detect::{Ledger, PlannedScene};
use crate::scene::Scene;

/// What was named and cannot be used today.
pub(super) fn left_out(failures: &[Failure]) -> Vec<String> {
    let whole = failures.iter().filter(|failure| failure.chips.is_none());
    whole.map(|failure| failure.scene.clone()).collect()
}

/// Opens the ledger of the directory, makes sure that it belongs to this scan, and brings the scenes into its
/// order.
pub(super) fn open_ledger(
    directory: &RunDirectory,
    plan: &ScanPlan,
    mut prepared: Prepared,
    area: Option<&AreaOfInterest>,
    existing: Existing,
) -> Result<(Ledger, Prepared), ScanError> {
    let path = directory.path().display().to_string();
    let in_plan = |source| ScanError::Plan {
        path: path.clone(),
        source,
    };
    let mut ledger = Ledger::open_or_create(&directory.file("ledger.sqlite"))?;
    let Some(before) = ledger.meta(PLAN_KEY)? else {
        let descriptions = prepared
            .planned
            .iter()
            .map(|p| Ok((p.scene.id.clone(), serde_json::to_string(&p.scene)?)))
            .collect::<Result<Vec<_>, serde_json::Error>>()
            .map_err(in_plan)?;
        ledger.begin_scan(
            PLAN_KEY,
            &serde_json::to_string(plan).map_err(in_plan)?,
            &descriptions,
        )?;
        return Ok((ledger, prepared));
    };
    let before: ScanPlan = serde_json::from_str(&before).map_err(in_plan)?;
    let stored = ledger
        .scenes()?
        .iter()
        .map(|text| serde_json::from_str(text))
        .collect::<Result<Vec<Scene>, _>>()
        .map_err(in_plan)?;
    stand_in(&stored, &mut prepared, plan, area)?;
    let (known, joining): (Vec<_>, Vec<_>) = prepared.planned.into_iter().partition(|p| {
        let way = prepared.ways.get(&p.scene.id);
        let was_left_out = way.is_some_and(|way| way.iter().any(|w| before.left_out.contains(w)));
        !was_left_out || stored.iter().any(|scene| scene.id == p.scene.id)
    });

    let scenes_now: Vec<Scene> = known.iter().map(|p| p.scene.clone()).collect();
    let found = differences(&before, plan, &stored, &scenes_now);
    let refused = refusal(&found, existing);
    if let Some(remedy) = refused {
        // A catalogue that does not answer leaves out all that it names.
        if found.iter().all(PlanDifference::is_absence) && prepared.failures.iter().any(|f| f.away)
        {
            return Err(ScanError::Away(prepared.failures));
        }
        return Err(ScanError::OtherScan {
            path,
            differences: found,
            remedy,
        });
    }
    let mut now = plan.clone();
    now.left_out.extend(before.left_out.iter().cloned());
    now.left_out.sort();
    now.left_out.dedup();
    if !found.is_empty() || now.left_out != before.left_out {
        ledger.replace_meta(PLAN_KEY, &serde_json::to_string(&now).map_err(in_plan)?)?;
    }
    prepared.planned = in_ledger_order(&stored, known);
    for planned in joining {
        let place = prepared
            .planned
            .iter()
            .position(|p| p.scene.path > planned.scene.path)
            .unwrap_or(prepared.planned.len());
        let description = serde_json::to_string(&planned.scene).map_err(in_plan)?;
        ledger.insert_scene(place, &planned.scene.id, &description)?;
        prepared.planned.insert(place, planned);
    }
    Ok((ledger, prepared))
}

/// Scenes of the ledger that cannot be opened today, as they were described: what was found in them stands, and
/// chips that are still to do fail with the reason.
fn stand_in(
    stored: &[Scene],
    prepared: &mut Prepared,
    plan: &ScanPlan,
    area: Option<&AreaOfInterest>,
) -> Result<(), ScanError> {
    let missing: Vec<Scene> = stored
        .iter()
        .filter(|scene| {
            !prepared.planned.iter().any(|p| p.scene.id == scene.id)
                && prepared
                    .failures
                    .iter()
                    .any(|failure| failure.chips.is_none() && failure.scene == scene.path)
        })
        .cloned()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    prepared
        .failures
        .retain(|failure| !missing.iter().any(|scene| scene.path == failure.scene));
    let planned = plan_chips(missing, area, &plan.parameters, &mut prepared.failures)?;
    prepared.planned.extend(planned);
    Ok(())
}

/// What to do about differences that this execution may not bridge.
fn refusal(found: &[PlanDifference], existing: Existing) -> Option<&'static str> {
    let layers_only = found.iter().all(|d| d.layers_only);
    if found.is_empty() || (layers_only && existing == Existing::RewriteLayers) {
        None
    } else if layers_only {
        Some(
            "give `--rewrite` to keep what was scanned and only write the layers anew, `--fresh` to start over, or another `--out`",
        )
    } else {
        Some("give `--fresh` to delete it and start over, or another `--out`")
    }
}

/// Brings scenes into the order of the ledger, whose numbers they go by: a path may be spelt otherwise today.
fn in_ledger_order(stored: &[Scene], mut planned: Vec<PlannedScene>) -> Vec<PlannedScene> {
    let number = |p: &PlannedScene| stored.iter().position(|scene| scene.id == p.scene.id);
    planned.sort_by_key(number);
    planned
}
