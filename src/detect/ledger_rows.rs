//! Rows of the ledger: what is written of a chip, and what is read of its detections.

use rusqlite::{Connection, params};

use super::outcome::{ChipOutcome, RawDetection, Verdict};
use crate::chip::CloudCover;
use crate::geometry::{OrientedBox, PixelArea, PixelPoint};
use crate::scene::CloudClass;

/// A row of the detection table, with what stands in it as JSON.
pub(super) struct DetectionRow {
    chip: usize,
    n: usize,
    /// Without scores of classes and types, and without outline.
    detection: RawDetection,
    class_scores: String,
    type_scores: String,
    outline: Option<String>,
}

impl DetectionRow {
    /// Chip, order, and the whole detection; or what is wrong with the row.
    pub(super) fn whole(self) -> Result<(usize, usize, RawDetection), String> {
        let scores = |text: &str| -> Result<Vec<f32>, String> {
            serde_json::from_str(text).map_err(|e| format!("scores `{text}`: {e}"))
        };
        let mut detection = self.detection;
        detection.class_scores = scores(&self.class_scores)?;
        detection.type_scores = scores(&self.type_scores)?;
        if let Some(text) = self.outline {
            let rings: Option<Vec<Vec<[f64; 2]>>> = serde_json::from_str(&text).ok();
            let outline = rings.and_then(|rings| PixelArea::from_rings(&rings));
            detection.outline = Some(outline.ok_or_else(|| format!("outline `{text}`"))?);
        }
        Ok((self.chip, self.n, detection))
    }
}

/// Detections of a scene scoring at least `min_score`, by chip and order.
pub(super) fn read_detections(
    connection: &Connection,
    scene: usize,
    min_score: f64,
) -> rusqlite::Result<Vec<DetectionRow>> {
    let mut statement = connection.prepare(
        "SELECT chip, n, class, score, x, y, length, width, angle, border, class_scores, type_scores, cloud, cloud_class, outline
         FROM detection WHERE scene = ?1 AND score >= ?2 ORDER BY chip, n",
    )?;
    let rows = statement.query_map(params![scene as i64, min_score], |row| {
        Ok(DetectionRow {
            chip: row.get::<_, i64>(0)? as usize,
            n: row.get::<_, i64>(1)? as usize,
            detection: RawDetection {
                class: row.get::<_, i64>(2)? as usize,
                score: row.get::<_, f64>(3)? as f32,
                shape: OrientedBox {
                    center: PixelPoint::new(row.get(4)?, row.get(5)?),
                    length: row.get(6)?,
                    width: row.get(7)?,
                    angle: row.get(8)?,
                },
                border: row.get(9)?,
                cloud: cloud_cover(row.get(12)?, row.get_ref(13)?.as_str_or_null()?),
                class_scores: Vec::new(),
                type_scores: Vec::new(),
                outline: None,
            },
            class_scores: row.get(10)?,
            type_scores: row.get(11)?,
            outline: row.get(14)?,
        })
    })?;
    rows.collect()
}

/// Writes what became of a chip, and what was found in it.
pub(super) fn insert(connection: &Connection, outcome: &ChipOutcome) -> rusqlite::Result<()> {
    let (scene, chip) = (outcome.scene as i64, outcome.chip as i64);
    let (status, cells, reason) = match &outcome.verdict {
        Verdict::Scanned { cells, .. } => ("scanned", cells.as_ref(), None),
        Verdict::Screened { cells, .. } => ("screened", cells.as_ref(), None),
        Verdict::Nodata => ("nodata", None, None),
        Verdict::Cloud { cells } => ("cloud", cells.as_ref(), None),
        Verdict::Failed(reason) => ("failed", None, Some(reason.as_str())),
    };
    let screen_score = match &outcome.verdict {
        Verdict::Scanned { screen_score, .. } => *screen_score,
        Verdict::Screened { score, .. } => Some(*score),
        _ => None,
    };
    let cells: Option<Vec<u8>> = cells.map(|cells| cells.iter().map(|c| c.code()).collect());
    connection
        .prepare_cached("INSERT OR REPLACE INTO chip (scene, chip, status, screen_score, cells, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![scene, chip, status, screen_score.map(f64::from), cells, reason])?;
    let Verdict::Scanned { detections, .. } = &outcome.verdict else {
        return Ok(());
    };
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO detection
         (scene, chip, n, class, score, x, y, length, width, angle, border, class_scores, type_scores, cloud, cloud_class, outline)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    for (n, d) in detections.iter().enumerate() {
        statement.execute(params![
            scene,
            chip,
            n as i64,
            d.class as i64,
            f64::from(d.score),
            d.shape.center.x,
            d.shape.center.y,
            d.shape.length,
            d.shape.width,
            d.shape.angle,
            d.border,
            scores_json(&d.class_scores),
            scores_json(&d.type_scores),
            d.cloud.map(|cover| cover.share),
            d.cloud.and_then(|cover| cover.class).map(CloudClass::name),
            d.outline.as_ref().map(outline_json),
        ])?;
    }
    Ok(())
}

fn cloud_cover(share: Option<f64>, class: Option<&str>) -> Option<CloudCover> {
    share.map(|share| CloudCover {
        share,
        class: class.and_then(CloudClass::of_name),
    })
}

fn outline_json(outline: &PixelArea) -> String {
    serde_json::Value::from(
        outline
            .rings()
            .into_iter()
            .map(|ring| ring.into_iter().map(Vec::from).collect::<Vec<_>>())
            .collect::<Vec<_>>(),
    )
    .to_string()
}

fn scores_json(scores: &[f32]) -> String {
    serde_json::Value::from(scores.to_vec()).to_string()
}
