//! GeoJSON after RFC 7946: WGS 84, longitude first, right-hand rule, seven decimals, cut at the antimeridian.
//!
//! Features are written one by one, each on a line of its own, so memory does not grow with the layer and a
//! difference between two files shows the features that differ. `bbox` comes last, when it is known.

use std::io::Write;

use geo::{CoordsIter, LineString, Polygon};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::feature::{Feature, Identified};

/// Writes a feature collection.
pub struct GeoJsonWriter<W: Write> {
    out: W,
    id_property: &'static str,
    written: u64,
    extent: Extent,
    /// The row being written.
    line: Vec<u8>,
}

impl<W: Write> GeoJsonWriter<W> {
    /// Starts a collection. `id_property` names the property that also becomes each feature's `id`.
    pub fn new(mut out: W, name: &str, id_property: &'static str) -> std::io::Result<Self> {
        write!(
            out,
            "{{\"type\":\"FeatureCollection\",\"name\":{},\"features\":[",
            Value::from(name)
        )?;
        Ok(Self {
            out,
            id_property,
            written: 0,
            extent: Extent::default(),
            line: Vec::new(),
        })
    }

    /// Writes one feature.
    pub fn write<P: Identified>(&mut self, feature: &Feature<P>) -> std::io::Result<()> {
        let mut parts = feature.split_polygons();
        for part in &mut parts {
            part.exterior_mut(round_ring);
            part.interiors_mut(|rings| rings.iter_mut().for_each(round_ring));
        }
        self.extent.add(&parts);
        let geometry = match parts.as_slice() {
            [] => None,
            [one] => Some(Geometry::Polygon {
                coordinates: Rings(one),
            }),
            many => Some(Geometry::MultiPolygon {
                coordinates: many.iter().map(Rings).collect(),
            }),
        };
        let row = Row {
            kind: "Feature",
            geometry,
            id: feature.properties.id(self.id_property),
            properties: &feature.properties,
        };
        let separator: &[u8] = if self.written == 0 { b"\n" } else { b",\n" };
        self.line.clear();
        self.line.extend_from_slice(separator);
        serde_json::to_writer(&mut self.line, &row)?;
        self.out.write_all(&self.line)?;
        self.written += 1;
        Ok(())
    }

    /// Ends the collection and returns how many features it has.
    pub fn finish(mut self) -> std::io::Result<u64> {
        let bbox = Value::from(self.extent.bbox());
        if self.written == 0 {
            // A box of nothing does not exist: RFC 7946 lets it be left out.
            writeln!(self.out, "]}}")?;
        } else {
            writeln!(self.out, "\n],\"bbox\":{bbox}}}")?;
        }
        self.out.flush()?;
        Ok(self.written)
    }
}

/// Decimals of a coordinate: a centimetre.
fn round(degrees: f64) -> f64 {
    let rounded = (degrees * 1e7).round() / 1e7;
    // No negative zero: it would be written as "-0.0".
    rounded + 0.0
}

fn round_ring(ring: &mut LineString) {
    for c in &mut ring.0 {
        c.x = round(c.x);
        c.y = round(c.y);
    }
}

/// A feature as it is written. Borrowed from the table, since there may be millions of them.
#[derive(Serialize)]
struct Row<'a, P> {
    #[serde(rename = "type")]
    kind: &'static str,
    geometry: Option<Geometry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    properties: &'a P,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Geometry<'a> {
    Polygon { coordinates: Rings<'a> },
    MultiPolygon { coordinates: Vec<Rings<'a>> },
}

/// The rings of a polygon: the outer one, then its holes.
struct Rings<'a>(&'a Polygon);

impl Serialize for Rings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rings = std::iter::once(self.0.exterior()).chain(self.0.interiors());
        serializer.collect_seq(rings.map(Ring))
    }
}

struct Ring<'a>(&'a LineString);

impl Serialize for Ring<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.coords().map(|c| [c.x, c.y]))
    }
}

/// The box round all features. Where they lie on both sides of the antimeridian, the narrower way round is
/// taken, and west is greater than east (RFC 7946, 5.2).
#[derive(Debug)]
struct Extent {
    /// West and east with longitudes from −180 to 180.
    plain: (f64, f64),
    /// West and east with longitudes from 0 to 360.
    turned: (f64, f64),
    south_north: (f64, f64),
}

impl Default for Extent {
    fn default() -> Self {
        let nothing = (f64::INFINITY, f64::NEG_INFINITY);
        Self {
            plain: nothing,
            turned: nothing,
            south_north: nothing,
        }
    }
}

impl Extent {
    fn add(&mut self, polygons: &[Polygon]) {
        let grow =
            |range: &mut (f64, f64), value: f64| *range = (range.0.min(value), range.1.max(value));
        for polygon in polygons {
            // A part that ends at the antimeridian from the west belongs at 180, not at −180.
            let western = polygon
                .exterior_coords_iter()
                .any(|c| c.x > -180.0 && c.x < 0.0);
            for c in polygon.exterior_coords_iter() {
                grow(&mut self.plain, c.x);
                grow(
                    &mut self.turned,
                    if western || c.x < 0.0 {
                        c.x + 360.0
                    } else {
                        c.x
                    },
                );
                grow(&mut self.south_north, c.y);
            }
        }
    }

    fn bbox(&self) -> Vec<f64> {
        let (south, north) = self.south_north;
        let (west, east) = if self.turned.1 - self.turned.0 < self.plain.1 - self.plain.0 {
            let back = |lon: f64| if lon > 180.0 { lon - 360.0 } else { lon };
            (back(self.turned.0), back(self.turned.1))
        } else {
            self.plain
        };
        vec![round(west), south, round(east), north]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::geometry::LonLat;

    fn written(shapes: &[&[(f64, f64)]]) -> Value {
        let mut bytes = Vec::new();
        let mut writer = GeoJsonWriter::new(&mut bytes, "test", "id").unwrap();
        for (i, shape) in shapes.iter().enumerate() {
            let ring = shape
                .iter()
                .map(|&(lon, lat)| LonLat { lon, lat })
                .collect();
            let properties = Map::from_iter([("id".to_owned(), json!(format!("f{i}")))]);
            writer.write(&Feature::of_ring(ring, properties)).unwrap();
        }
        writer.finish().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn coordinates_have_seven_decimals_and_rings_are_closed() {
        let json = written(&[&[(1.123_456_789, -0.000_000_01), (2.0, 0.0), (2.0, 1.0)]]);
        let ring = json["features"][0]["geometry"]["coordinates"][0]
            .as_array()
            .unwrap();
        assert_eq!(ring.len(), 4);
        assert_eq!(ring[0], json!([1.123_456_8, 0.0]));
        assert_eq!(ring.first(), ring.last());
        assert_eq!(json["features"][0]["id"], "f0");
    }

    #[test]
    fn the_box_of_features_on_both_sides_of_the_antimeridian_is_the_narrow_one() {
        let json = written(&[
            &[(179.0, 0.0), (179.5, 0.0), (179.5, 1.0)],
            &[(179.9, 0.0), (-179.9, 0.0), (-179.9, 1.0), (179.9, 1.0)],
        ]);
        assert_eq!(json["bbox"], json!([179.0, 0.0, -179.9, 1.0]));
        assert_eq!(json["features"][1]["geometry"]["type"], "MultiPolygon");
    }

    #[test]
    fn a_layer_without_features_is_a_valid_collection() {
        assert_eq!(
            written(&[]),
            json!({"type": "FeatureCollection", "name": "test", "features": []})
        );
    }
}
