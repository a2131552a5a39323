//! Reads the features of a GeoJSON file (RFC 7946): outlines in WGS 84 and their properties.
//!
//! Rings may run either way and carry heights. Coordinates that cannot be degrees are refused,
//! because latitude first and metres are the two mistakes that labels most often come with.

use std::path::Path;

use geo::{Coord, LineString, MultiPolygon, Polygon};
use geojson::{FeatureCollection, GeometryValue, PolygonType, Position};
use serde_json::{Map, Value};

use super::error::EvaluateError;
use super::outline::Outline;
use crate::geometry::LonLat;

/// What a file holds that can be compared.
pub(crate) struct Features {
    pub(crate) list: Vec<Feature>,
    /// Features that are neither polygons nor points.
    pub(crate) left_out: usize,
}

/// One polygon, multi-polygon or point.
pub(crate) struct Feature {
    /// Position in the file, counted from 1.
    number: usize,
    pub(crate) outline: Outline,
    properties: Map<String, Value>,
}

/// Parses JSON; a byte order mark before it is passed over.
pub(crate) fn parse_json(bytes: &[u8], path: &Path) -> Result<Value, EvaluateError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(text).map_err(|source| EvaluateError::NotJson {
        path: path.to_path_buf(),
        source,
    })
}

/// Whether a JSON document says that it is GeoJSON.
pub(super) fn is_geojson(document: &Value) -> bool {
    matches!(
        document.get("type").and_then(Value::as_str),
        Some("FeatureCollection" | "Feature")
    )
}

impl Features {
    /// The features of a GeoJSON document read from `path` (which is named in errors).
    pub(crate) fn read(document: Value, path: &Path) -> Result<Self, EvaluateError> {
        refuse_other_crs(&document, path)?;
        let invalid =
            |e: serde_json::Error| EvaluateError::structure(path, "GeoJSON", e.to_string());
        let single = document.get("type").and_then(Value::as_str) == Some("Feature");
        let collection = if single {
            FeatureCollection::new([serde_json::from_value(document).map_err(invalid)?])
        } else {
            serde_json::from_value(document).map_err(invalid)?
        };
        let mut features = Self {
            list: Vec::new(),
            left_out: 0,
        };
        for (i, feature) in collection.features.into_iter().enumerate() {
            let number = i + 1;
            let refuse =
                |problem: String| EvaluateError::record(path, format!("feature {number}"), problem);
            let geometry = feature.geometry.map(|g| g.value);
            match outline(geometry.as_ref()).map_err(refuse)? {
                Some(outline) => features.list.push(Feature {
                    number,
                    outline,
                    properties: feature.properties.unwrap_or_default(),
                }),
                None => features.left_out += 1,
            }
        }
        Ok(features)
    }
}

impl Feature {
    /// The error that this feature has a problem.
    pub(crate) fn refuse(&self, path: &Path, problem: impl Into<String>) -> EvaluateError {
        EvaluateError::record(path, format!("feature {}", self.number), problem)
    }

    /// The first of these properties that is there, as text.
    pub(crate) fn text(&self, names: &[&str]) -> Option<String> {
        match self.property(names)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The first of these properties that is there, as a finite number.
    pub(super) fn number(&self, names: &[&str], path: &Path) -> Result<Option<f64>, EvaluateError> {
        let Some(value) = self.property(names) else {
            return Ok(None);
        };
        let number = match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        match number.filter(|n: &f64| n.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.refuse(
                path,
                format!("property `{}` is not a finite number", names.join("` or `")),
            )),
        }
    }

    /// Whether any of these properties is set: true or a number other than 0.
    pub(super) fn flag(&self, names: &[&str], path: &Path) -> Result<bool, EvaluateError> {
        for name in names {
            if let Some(value) = self.property(&[name]) {
                let set = flag(value).ok_or_else(|| {
                    self.refuse(
                        path,
                        format!("property `{name}` is not true, false, 0 or 1"),
                    )
                })?;
                if set {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn property(&self, names: &[&str]) -> Option<&Value> {
        names
            .iter()
            .filter_map(|name| self.properties.get(*name))
            .find(|value| !value.is_null())
    }
}

/// A yes or no as JSON files write it: a boolean, a number, or either as text.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(set) => Some(*set),
        Value::Number(number) => number.as_f64().map(|n| n != 0.0),
        Value::String(text) => match text.as_str() {
            "1" | "true" | "True" => Some(true),
            "0" | "false" | "False" | "" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The outline of a geometry; none for the kinds that show no object.
fn outline(geometry: Option<&GeometryValue>) -> Result<Option<Outline>, String> {
    let area = |polygons: &[PolygonType]| -> Result<Option<Outline>, String> {
        let polygons: Vec<Polygon> = polygons
            .iter()
            .map(|p| polygon(p))
            .collect::<Result<_, _>>()?;
        Ok(Some(Outline::Area(MultiPolygon::new(polygons))))
    };
    match geometry {
        Some(GeometryValue::Polygon { coordinates }) => area(std::slice::from_ref(coordinates)),
        Some(GeometryValue::MultiPolygon { coordinates }) => area(coordinates),
        Some(GeometryValue::Point { coordinates }) => {
            let place = place(coordinates)?;
            Ok(Some(Outline::Point(LonLat::new(place.x, place.y))))
        }
        _ => Ok(None),
    }
}

fn polygon(rings: &[Vec<Position>]) -> Result<Polygon, String> {
    let mut rings = rings.iter().map(|ring| {
        let line: LineString = ring.iter().map(place).collect::<Result<_, _>>()?;
        Ok::<_, String>(line)
    });
    let exterior = rings.next().ok_or("the polygon has no ring")??;
    Ok(Polygon::new(exterior, rings.collect::<Result<_, _>>()?))
}

/// A position in degrees. The text of the error holds no coordinates.
fn place(position: &Position) -> Result<Coord, String> {
    let [lon, lat, ..] = *position.as_slice() else {
        return Err("a position has fewer than two coordinates".to_owned());
    };
    let problem = if !(lon.is_finite() && lat.is_finite()) {
        "a coordinate is not a finite number"
    } else if lon.abs() <= 180.0 && lat.abs() <= 90.0 {
        return Ok(Coord { x: lon, y: lat });
    } else if lon.abs() <= 90.0 && lat.abs() <= 180.0 {
        "latitude and longitude look swapped: GeoJSON puts longitude first"
    } else if lon.abs() <= 360.0 && lat.abs() <= 90.0 {
        "a longitude lies outside -180 to 180: wrap it and split what crosses the date line"
    } else {
        "coordinates are not degrees but look like metres: reproject to WGS 84 (EPSG:4326)"
    };
    Err(problem.to_owned())
}

/// GeoJSON of 2008 could name another CRS; its coordinates are then not what they seem.
fn refuse_other_crs(document: &Value, path: &Path) -> Result<(), EvaluateError> {
    let name = document
        .pointer("/crs/properties/name")
        .and_then(Value::as_str);
    match name {
        Some(name) if !(name.contains("CRS84") || name.contains("4326")) => {
            Err(EvaluateError::structure(
                path,
                "GeoJSON",
                format!("its `crs` is `{name}`; reproject to WGS 84 (EPSG:4326)"),
            ))
        }
        _ => Ok(()),
    }
}
