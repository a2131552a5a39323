//! The verified layer, row by row: what was asked and what came of it.

use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer::{DecidedBy, Status, TaskKind};
use super::error::VerifyError;
use super::project::Project;
use crate::geometry::LonLat;
use crate::layer::{Feature, Ring};

/// A place with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifiedSite {
    /// Number of its task in the project: the order of the layer, and the key of paging.
    pub number: i64,
    /// Id of its task.
    pub task: String,
    /// Stable id of the site.
    pub site_id: String,
    /// Site, detection below the score of sites, or empty ground.
    pub kind: TaskKind,
    /// Class of the detector.
    pub class: String,
    /// Likeliest type, where the detector tells types.
    pub kiln_type: Option<String>,
    /// What was decided.
    pub status: Status,
    /// From the votes alone.
    pub p_votes: Option<f64>,
    /// From votes and detector. Never evaluate the detector with it.
    pub p_combined: Option<f64>,
    /// Score of the detector.
    pub detector_score: f64,
    /// "Yes" votes that count.
    pub n_yes: u32,
    /// "No" votes that count.
    pub n_no: u32,
    /// "Not sure" votes that count.
    pub n_unsure: u32,
    /// Reports of a bad picture, on the look that is asked about.
    pub n_bad: u32,
    /// Who decided.
    pub decided_by: Option<DecidedBy>,
    /// When.
    pub decided_at: Option<String>,
    /// Method of the consensus, where it decided.
    pub consensus_version: Option<String>,
    /// Date of the picture that is asked about, where known.
    pub obs_date: Option<String>,
    /// Scene of that picture.
    pub scene: Option<String>,
    /// Earliest date it was detected on.
    pub first_seen: Option<String>,
    /// Latest.
    pub last_seen: Option<String>,
    /// Cluster it belongs to.
    pub cluster_id: Option<String>,
    /// Model that detected it.
    pub model_version: String,
    /// Longitude.
    pub lon: f64,
    /// Latitude.
    pub lat: f64,
    /// Places round it: longitude, latitude.
    pub outline: Vec<[f64; 2]>,
    /// Stratum of the sample it belongs to.
    pub stratum: String,
    /// Probability with which it came into the sample; `None`: it is not in it.
    pub inclusion: Option<f64>,
}

/// Which places.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteFilter {
    /// West, south, east, north in degrees; west greater than east: across the antimeridian.
    pub bbox: Option<[f64; 4]>,
    /// Only those of this status.
    pub status: Option<Status>,
    /// Only those of this id.
    pub site_id: Option<String>,
    /// Also detections below the score of sites, and empty ground.
    pub everything: bool,
    /// Only those numbered above this: where the last page ended.
    pub after: i64,
    /// At most so many; `None`: all.
    pub limit: Option<usize>,
}

const QUERY: &str = "
SELECT t.number, t.id, t.site_id, t.kind, t.class, t.type, v.status, v.p_votes, v.p_combined, t.score,
       v.yes, v.no, v.unsure, v.bad, v.decided_by, v.decided_at, v.consensus_version,
       (SELECT s.date FROM chip c JOIN source s ON s.number = c.source WHERE c.task = t.id AND c.rank = v.rank LIMIT 1),
       (SELECT s.scene FROM chip c JOIN source s ON s.number = c.source WHERE c.task = t.id AND c.rank = v.rank LIMIT 1),
       t.first_seen, t.last_seen, t.cluster_id, w.model, t.lon, t.lat, t.outline, t.stratum, t.inclusion
FROM task t JOIN verdict v ON v.task = t.id JOIN wave w ON w.number = t.wave
WHERE t.number > ?1 AND (?2 IS NULL OR v.status = ?2) AND (?3 IS NULL OR t.site_id = ?3)
  AND (?4 OR t.kind = 'site' OR (t.kind = 'below' AND v.status = 'confirmed'))
  AND (?5 IS NULL OR (t.lat BETWEEN ?6 AND ?8
       AND (CASE WHEN ?5 <= ?7 THEN t.lon BETWEEN ?5 AND ?7 ELSE t.lon >= ?5 OR t.lon <= ?7 END)))
ORDER BY t.number LIMIT ?9";

impl Project {
    /// Places and their verdicts, in the order of their numbers. Sites, and detections below their score that were
    /// confirmed, unless the filter asks for more.
    pub fn sites(&self, filter: &SiteFilter) -> Result<Vec<VerifiedSite>, VerifyError> {
        self.store.read(|c| sites(c, filter))
    }

    /// How many places a filter passes, whatever its page.
    pub fn count_sites(&self, filter: &SiteFilter) -> Result<u64, VerifyError> {
        let filter = SiteFilter {
            after: 0,
            limit: None,
            ..filter.clone()
        };
        self.store.read(|c| {
            let mut count = 0;
            for_each_site(c, &filter, |_| {
                count += 1;
                Ok(())
            })?;
            Ok(count)
        })
    }
}

pub(super) fn sites(c: &Connection, filter: &SiteFilter) -> Result<Vec<VerifiedSite>, VerifyError> {
    let mut found = Vec::new();
    for_each_site(c, filter, |site| {
        found.push(site);
        Ok(())
    })?;
    Ok(found)
}

/// Hands each place that a filter passes to `visit`, one at a time.
pub(super) fn for_each_site(
    c: &Connection,
    filter: &SiteFilter,
    mut visit: impl FnMut(VerifiedSite) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    let side = |i: usize| filter.bbox.map(|b| b[i]);
    let mut statement = c.prepare_cached(QUERY)?;
    let mut rows = statement.query(params![
        filter.after,
        filter.status,
        filter.site_id,
        filter.everything,
        side(0),
        side(1),
        side(2),
        side(3),
        filter.limit.map_or(-1, |n| n as i64)
    ])?;
    while let Some(row) = rows.next()? {
        let outline: String = row.get(25)?;
        let mut site = site_of(row)?;
        site.outline = serde_json::from_str(&outline)?;
        visit(site)?;
    }
    Ok(())
}

fn site_of(row: &Row<'_>) -> rusqlite::Result<VerifiedSite> {
    Ok(VerifiedSite {
        number: row.get(0)?,
        task: row.get(1)?,
        site_id: row.get(2)?,
        kind: row.get(3)?,
        class: row.get(4)?,
        kiln_type: row.get(5)?,
        status: row.get(6)?,
        p_votes: row.get(7)?,
        p_combined: row.get(8)?,
        detector_score: row.get(9)?,
        n_yes: row.get(10)?,
        n_no: row.get(11)?,
        n_unsure: row.get(12)?,
        n_bad: row.get(13)?,
        decided_by: row.get(14)?,
        decided_at: row.get(15)?,
        consensus_version: row.get(16)?,
        obs_date: row.get(17)?,
        scene: row.get(18)?,
        first_seen: row.get(19)?,
        last_seen: row.get(20)?,
        cluster_id: row.get(21)?,
        model_version: row.get(22)?,
        lon: row.get(23)?,
        lat: row.get(24)?,
        outline: Vec::new(),
        stratum: row.get(26)?,
        inclusion: row.get(27)?,
    })
}

/// What every feature of the layer says besides its own row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerTerms {
    /// Version of the questions.
    pub question_version: u32,
    /// Licence of the layer.
    pub licence: String,
    /// Who may see it.
    pub sensitivity: String,
}

impl VerifiedSite {
    /// The row as a feature. Nothing in it tells who voted.
    pub fn feature(&self, terms: &LayerTerms) -> Feature {
        let six = |p: Option<f64>| p.map(|p| (p * 1e6).round() / 1e6);
        let mut p = Map::new();
        let mut put = |key: &str, value: Value| {
            p.insert(key.to_owned(), value);
        };
        put("id", json!(self.site_id));
        put("kind", json!(self.kind));
        put("class", json!(self.class));
        put("kiln_type", json!(self.kiln_type));
        put("status", json!(self.status));
        put("p_votes", json!(six(self.p_votes)));
        put("p_combined", json!(six(self.p_combined)));
        put("detector_score", json!(six(Some(self.detector_score))));
        put(
            "n_votes",
            json!(self.n_yes + self.n_no + self.n_unsure + self.n_bad),
        );
        put("n_yes", json!(self.n_yes));
        put("n_no", json!(self.n_no));
        put("n_unsure", json!(self.n_unsure));
        put("n_bad", json!(self.n_bad));
        put("decided_at", json!(self.decided_at));
        put("decided_by", json!(self.decided_by));
        put("obs_date", json!(self.obs_date));
        put("scene", json!(self.scene));
        put("first_seen", json!(self.first_seen));
        put("last_seen", json!(self.last_seen));
        put("cluster_id", json!(self.cluster_id));
        put("model_version", json!(self.model_version));
        put("consensus_version", json!(self.consensus_version));
        put("question_version", json!(terms.question_version));
        put("licence", json!(terms.licence));
        put("sensitivity", json!(terms.sensitivity));
        let ring: Ring = self
            .outline
            .iter()
            .map(|[lon, lat]| LonLat {
                lon: *lon,
                lat: *lat,
            })
            .collect();
        Feature::of_ring(ring, p)
    }
}
