//! From the ledger to the layers. Everything here is made anew from the ledger each time, in one order, so the
//! files depend on what was found and on nothing else.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::directory::RunDirectory;
use super::error::ScanError;
use super::record::{Areas, ChipCounts, Counts, Failure};
use super::settings::Settings;
use super::staged::StagedFile;
use crate::chip::AreaOfInterest;
use crate::detect::{ChipStatus, Detection, Ledger, PlannedScene, place_order, scene_detections};
use crate::geometry::LonLat;
use crate::layer::coverage::{CoverageStatus, Patch, SceneCoverage, area_km2, outside};
use crate::layer::geojson::GeoJsonWriter;
use crate::layer::tables::{
    ClusterRow, DetectionRow, Names, cluster_feature, detection_feature, site_feature,
};
use crate::layer::{Feature, Identified, overview};
use crate::scene::means_away;
use crate::site::{Cluster, Site, SiteSource, cluster_sites, merge_areas, merge_sites};

/// What the layers are made from.
pub(super) struct Outputs<'a> {
    pub(super) directory: &'a RunDirectory,
    pub(super) ledger: &'a Ledger,
    pub(super) scenes: &'a [PlannedScene],
    pub(super) area: Option<&'a AreaOfInterest>,
    pub(super) settings: &'a Settings,
    pub(super) names: Names<'a>,
    /// Whether to draw overview pictures.
    pub(super) overview: bool,
    /// Raised when the user wants to stop.
    pub(super) stop: &'a AtomicBool,
}

/// What came of it.
pub(super) struct Written {
    /// The layers, on disk but not in their places yet: they appear together.
    pub(super) files: Vec<StagedFile>,
    pub(super) counts: Counts,
    pub(super) areas: Areas,
    pub(super) chips: Vec<ChipCounts>,
    pub(super) failures: Vec<Failure>,
    /// Overview pictures, relative to the run directory.
    pub(super) overviews: Vec<std::path::PathBuf>,
}

impl SiteSource for Outputs<'_> {
    fn scene_id(&self, scene: usize) -> &str {
        &self.scenes[scene].scene.id
    }

    fn scene_date(&self, scene: usize) -> Option<&str> {
        self.scenes[scene].scene.date.as_deref()
    }

    fn class_name(&self, class: usize) -> &str {
        self.names.classes.get(class).map_or("", String::as_str)
    }
}

impl Outputs<'_> {
    pub(super) fn write(&self) -> Result<Written, ScanError> {
        let detections = self.detections()?;
        let sites = if self.settings.areas.is_some() {
            merge_areas(&detections, self.settings.chips.gsd_m / 2.0, self)
        } else {
            merge_sites(&detections, self.settings.merge(), self)
        };
        let (clusters, cluster_of) = cluster_sites(&sites, self.settings.clusters());

        let mut files = Vec::new();
        let written_detections = self.layer(
            &mut files,
            "detections",
            "id",
            detections.iter().map(|d| self.detection_row(d)),
        )?;
        let written_sites = self.layer(
            &mut files,
            "sites",
            "site_id",
            sites
                .iter()
                .zip(&cluster_of)
                .map(|(s, c)| site_feature(s, self.names, c.map(|c| &clusters[c]))),
        )?;
        let written_clusters = self.layer(
            &mut files,
            "clusters",
            "cluster_id",
            clusters.iter().map(cluster_row),
        )?;
        let (areas, chips, mut failures) = self.coverage(&mut files)?;
        let overviews =
            self.overviews(&mut files, &mut failures, &detections, &clusters, &sites)?;

        let mut counts = Counts {
            scenes: self.scenes.len() as u64,
            stored_detections: self.ledger.stored_detections()?,
            detections: written_detections,
            detections_under_cloud: detections
                .iter()
                .filter(|d| d.cloud.is_some_and(|cover| cover.share > 0.0))
                .count() as u64,
            sites: written_sites,
            clusters: written_clusters,
            clustered_sites: cluster_of.iter().flatten().count() as u64,
            ..Counts::default()
        };
        for scene in &chips {
            counts.chips.add(*scene);
        }
        Ok(Written {
            files,
            counts,
            areas,
            chips,
            failures,
            overviews,
        })
    }

    /// Detections of all scenes at or above the shown score, suppressed within each scene, in global order.
    fn detections(&self) -> Result<Vec<Detection>, ScanError> {
        let score = self.settings.read_score(self.settings.min_score);
        let rules = self.settings.place(self.settings.min_score);
        let mut all: Vec<Detection> = Vec::new();
        // A few scenes at a time: what is stored of all of them is much more than what is left of it.
        let together = rayon::current_num_threads();
        for first in (0..self.scenes.len()).step_by(together) {
            self.go_on()?;
            let raw = (first..self.scenes.len().min(first + together))
                .map(|scene| Ok((scene, self.ledger.detections(scene, score)?)))
                .collect::<Result<Vec<_>, ScanError>>()?;
            let placed: Vec<Vec<Detection>> = raw
                .into_par_iter()
                .map(|(scene, raw)| Ok(scene_detections(scene, &self.scenes[scene], raw, rules)?))
                .collect::<Result<_, ScanError>>()?;
            all.extend(placed.into_iter().flatten());
        }
        // No two are equal: nothing is gained by keeping the order of such, which takes half as much memory again.
        all.par_sort_unstable_by(place_order);
        Ok(all)
    }

    fn detection_row<'a>(&'a self, d: &'a Detection) -> Feature<DetectionRow<'a>> {
        let planned = &self.scenes[d.scene];
        let chip = planned
            .plan
            .chip(d.chip)
            .map(|c| c.name())
            .unwrap_or_default();
        detection_feature(
            d,
            self.names,
            &planned.scene.id,
            planned.scene.date.as_deref(),
            chip,
        )
    }

    /// Layers are made anew from the ledger, so stopping between any two of them loses nothing.
    fn go_on(&self) -> Result<(), ScanError> {
        if self.stop.load(Ordering::Relaxed) {
            Err(ScanError::InterruptedDuring("the layers were written"))
        } else {
            Ok(())
        }
    }

    fn layer<P: Identified>(
        &self,
        files: &mut Vec<StagedFile>,
        name: &str,
        id: &'static str,
        features: impl Iterator<Item = Feature<P>>,
    ) -> Result<u64, ScanError> {
        self.go_on()?;
        let path = self.directory.file(format!("{name}.geojson"));
        let (file, written) = StagedFile::write(&path, |out: &mut dyn Write| {
            let mut writer = GeoJsonWriter::new(out, name, id)?;
            for feature in features {
                writer.write(&feature)?;
            }
            writer.finish()
        })?;
        files.push(file);
        Ok(written)
    }

    fn coverage(
        &self,
        files: &mut Vec<StagedFile>,
    ) -> Result<(Areas, Vec<ChipCounts>, Vec<Failure>), ScanError> {
        let (mut patches, mut chips, mut failures) = (Vec::<Patch>::new(), Vec::new(), Vec::new());
        for (number, planned) in self.scenes.iter().enumerate() {
            self.go_on()?;
            let mut coverage = SceneCoverage::default();
            let mut counts = ChipCounts {
                planned: planned.plan.len() as u64,
                ..ChipCounts::default()
            };
            let mut first_reason = None;
            self.ledger.for_each_chip(number, |record| {
                match record.status {
                    ChipStatus::Scanned => counts.scanned += 1,
                    ChipStatus::Screened => counts.screened += 1,
                    ChipStatus::Nodata => counts.nodata += 1,
                    ChipStatus::Cloud => counts.cloud += 1,
                    ChipStatus::Failed => counts.failed += 1,
                }
                if let Some(chip) = planned.plan.chip(record.chip) {
                    coverage.add(&chip, &record);
                }
                if record.status == ChipStatus::Failed && first_reason.is_none() {
                    first_reason = Some(record.reason.unwrap_or_default());
                }
            })?;
            counts.outside_aoi = counts.planned - counts.done();
            if let Some(reason) = first_reason {
                failures.push(Failure {
                    scene: planned.scene.id.clone(),
                    chips: Some(counts.failed),
                    away: means_away(&reason),
                    reason,
                });
            }
            let georeference = planned.scene.georeference()?;
            patches.extend(coverage.patches(planned, &georeference).map_err(|source| {
                crate::detect::PlaceError::Georeference {
                    scene: planned.scene.id.clone(),
                    source,
                }
            })?);
            chips.push(counts);
        }
        if let Some(area) = self.area {
            patches.extend(outside(area, self.scenes)?);
        }
        let mut areas = Areas::default();
        for patch in &patches {
            *match patch.status {
                CoverageStatus::Scanned => &mut areas.scanned,
                CoverageStatus::Nodata => &mut areas.nodata,
                CoverageStatus::Cloud => &mut areas.cloud,
                CoverageStatus::Failed => &mut areas.failed,
                CoverageStatus::Outside => &mut areas.outside,
            } += patch.area_km2;
        }
        for area in [
            &mut areas.scanned,
            &mut areas.nodata,
            &mut areas.cloud,
            &mut areas.failed,
            &mut areas.outside,
        ] {
            *area = (*area * 1e6).round() / 1e6;
        }
        let features = patches.into_iter().map(|p| p.feature);
        self.layer(files, "coverage", "id", features)?;
        Ok((areas, chips, failures))
    }

    /// A scene that cannot be drawn has no picture and is a failure; its detections are safe all the same.
    fn overviews(
        &self,
        files: &mut Vec<StagedFile>,
        failures: &mut Vec<Failure>,
        detections: &[Detection],
        clusters: &[Cluster],
        sites: &[Site],
    ) -> Result<Vec<std::path::PathBuf>, ScanError> {
        if !self.overview {
            return Ok(Vec::new());
        }
        let mut own: Vec<Vec<&Detection>> = vec![Vec::new(); self.scenes.len()];
        for detection in detections {
            own[detection.scene].push(detection);
        }
        let mut hulls: HashMap<&str, Vec<Vec<LonLat>>> = HashMap::new();
        for cluster in clusters {
            let scenes: BTreeSet<&String> = (cluster.sites.iter())
                .flat_map(|&s| &sites[s].scenes)
                .collect();
            for scene in scenes {
                hulls.entry(scene).or_default().push(cluster.hull.clone());
            }
        }
        let mut names = Vec::new();
        for (planned, own) in self.scenes.iter().zip(own) {
            self.go_on()?;
            let hulls = hulls.remove(planned.scene.id.as_str()).unwrap_or_default();
            let png = match overview::draw(&planned.scene, &own, &hulls, self.stop) {
                Ok(png) => png,
                Err(error) => {
                    self.go_on()?;
                    let id = &planned.scene.id;
                    // Where chips failed, the reason is told already.
                    if failures.iter().all(|f| f.scene != *id) {
                        failures.push(Failure {
                            scene: id.clone(),
                            chips: None,
                            reason: format!("no overview picture: {error}"),
                            away: false,
                        });
                    }
                    continue;
                }
            };
            let name = overview::file_name(&planned.scene, self.scenes.len());
            let path = self.directory.file(&name);
            let (file, ()) = StagedFile::write(&path, |out| out.write_all(&png))?;
            files.push(file);
            names.push(name);
        }
        Ok(names)
    }
}

fn cluster_row(cluster: &Cluster) -> Feature<ClusterRow<'_>> {
    let area = Feature::of_ring(cluster.hull.clone(), ());
    cluster_feature(cluster, area.split_polygons().iter().map(area_km2).sum())
}
