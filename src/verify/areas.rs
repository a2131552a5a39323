//! Areas whose tasks come earlier: polygons that a researcher drew.

use std::path::Path;

use geo::MultiPolygon;
use geojson::FeatureCollection;

use super::error::VerifyError;

/// Polygons of a GeoJSON file with their `priority`, 0 to 1; 1 where a feature has none.
pub fn read_areas(path: &Path) -> Result<Vec<(MultiPolygon, f64)>, VerifyError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| VerifyError::File {
        path: name.clone(),
        source,
    })?;
    let wrong = |what: String| VerifyError::Content {
        path: name.clone(),
        line: None,
        what,
    };
    let collection: FeatureCollection = text
        .parse::<geojson::GeoJson>()
        .and_then(FeatureCollection::try_from)
        .map_err(|e| wrong(format!("not a GeoJSON feature collection: {e}")))?;
    let mut areas = Vec::new();
    for (number, feature) in collection.features.into_iter().enumerate() {
        let at = |what: &str| wrong(format!("feature {} {what}", number + 1));
        let priority = match feature.property("priority") {
            None | Some(serde_json::Value::Null) => 1.0,
            Some(value) => value
                .as_f64()
                .filter(|p| (0.0..=1.0).contains(p))
                .ok_or_else(|| at("has a `priority` that is no number from 0 to 1"))?,
        };
        let geometry = feature.geometry.ok_or_else(|| at("has no geometry"))?;
        let shape = geo::Geometry::<f64>::try_from(geometry)
            .map_err(|e| at(&format!("cannot be read: {e}")))?;
        let polygons = match shape {
            geo::Geometry::Polygon(polygon) => MultiPolygon::new(vec![polygon]),
            geo::Geometry::MultiPolygon(polygons) => polygons,
            _ => return Err(at("is no polygon")),
        };
        areas.push((polygons, priority));
    }
    Ok(areas)
}
