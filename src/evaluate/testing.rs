//! What the tests of this room share: boxes round a place in the Gulf of Guinea, where no kilns are.

use std::path::Path;

use gdal::spatial_ref::SpatialRef;

use super::boxes::{EvaluationScene, ScoredBox, TruthBox};
use super::outline::{IgnoreRegion, Outline};
use crate::geometry::{GroundBox, LonLat, PixelPoint, PlanePoint};
use crate::scene::Georeference;

/// A path to be named in errors; nothing is read from it.
pub(super) fn path() -> &'static Path {
    Path::new("labels.json")
}

/// A grid of 10 m in UTM 31 north.
pub(super) fn utm() -> Georeference {
    let wkt = SpatialRef::from_epsg(32631).unwrap().to_wkt().unwrap();
    Georeference::new(
        [500_000.0, 10.0, 0.0, 200_000.0, 0.0, -10.0],
        (1000, 1000),
        &wkt,
    )
    .unwrap()
}

/// A box whose centre lies some metres east and north of the tests' place.
pub(super) fn ground(east: f64, north: f64, length_m: f64, width_m: f64, angle: f64) -> GroundBox {
    GroundBox {
        center: LonLat::new(3.0, 1.0).displaced(PlanePoint { east, north }),
        length_m,
        width_m,
        angle_deg: angle,
    }
}

/// A square of 100 m along the meridian.
pub(super) fn square(east: f64) -> GroundBox {
    ground(east, 0.0, 100.0, 100.0, 0.0)
}

pub(super) fn scored(score: f64, ground: GroundBox) -> ScoredBox {
    ScoredBox {
        scene: None,
        class: "kiln".to_owned(),
        score,
        ground,
        corners: ground.corners(),
    }
}

pub(super) fn outline(ground: GroundBox) -> Outline {
    Outline::from_ring(&ground.corners())
}

pub(super) fn truth(ground: GroundBox) -> TruthBox {
    TruthBox::from_outline(&outline(ground), Some("kiln".to_owned())).unwrap()
}

/// A scene with labels on the ground.
pub(super) fn scene(
    detections: &[(f64, GroundBox)],
    objects: &[GroundBox],
    ignored: &[GroundBox],
) -> EvaluationScene {
    EvaluationScene::new(
        "scene",
        None,
        detections.iter().map(|&(s, g)| scored(s, g)).collect(),
        objects.iter().copied().map(truth).collect(),
        ignored
            .iter()
            .map(|&g| IgnoreRegion::new(&outline(g), None))
            .collect(),
        None,
    )
    .unwrap()
}

/// A detection whose box has these corners in the pixels of `georeference`.
pub(super) fn scored_in_pixels(
    score: f64,
    corners: [(f64, f64); 4],
    georeference: &Georeference,
) -> ScoredBox {
    let places = georeference
        .to_lonlat(&corners.map(|(x, y)| PixelPoint::new(x, y)))
        .unwrap();
    let ground = super::rectangle::ground_box(&places).unwrap();
    ScoredBox {
        corners: [places[0], places[1], places[2], places[3]],
        ..scored(score, ground)
    }
}
