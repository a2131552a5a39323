//! Reading layers, and what RFC 7946 and the contract ask of every one of them.

use std::collections::BTreeSet;

use kilnsight::geometry::{LonLat, distance_m};
use serde_json::{Map, Value};

/// A feature collection.
pub(crate) struct Layer {
    pub(crate) document: Value,
    pub(crate) features: Vec<Feature>,
}

/// A feature of one or more polygons.
#[derive(Debug, Clone)]
pub(crate) struct Feature {
    pub(crate) id: Option<String>,
    pub(crate) properties: Map<String, Value>,
    /// Polygons, each a list of rings, the first of them the outer one.
    pub(crate) polygons: Vec<Vec<Vec<[f64; 2]>>>,
}

impl Layer {
    pub(crate) fn parse(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).unwrap();
        let features = document["features"].as_array().unwrap();
        Self {
            features: features.iter().map(Feature::of).collect(),
            document,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.features.len()
    }

    /// The feature whose middle lies nearest to a place, with the distance in metres.
    pub(crate) fn nearest(&self, place: LonLat) -> (&Feature, f64) {
        self.features
            .iter()
            .map(|f| (f, distance_m(f.middle(), place)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or_else(|| panic!("the layer is empty"))
    }

    /// Sum of a property over the features that have `status`.
    pub(crate) fn area_km2(&self, status: &str) -> f64 {
        self.features
            .iter()
            .filter(|f| f.text("status") == status)
            .map(|f| f.number("area_km2"))
            .sum()
    }

    /// Asserts all that RFC 7946 asks for, and that decimals, ids and the bounding box are right.
    pub(crate) fn assert_valid(&self) {
        assert_eq!(self.document["type"], "FeatureCollection");
        assert!(
            self.document.get("crs").is_none(),
            "RFC 7946 knows no `crs`"
        );
        let mut ids = BTreeSet::new();
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for feature in &self.features {
            if let Some(id) = &feature.id {
                assert!(ids.insert(id), "`{id}` is there twice");
            }
            for rings in &feature.polygons {
                for (i, ring) in rings.iter().enumerate() {
                    assert!(ring.len() >= 4, "{ring:?}");
                    assert_eq!(ring.first(), ring.last(), "the ring is open");
                    let turn = signed_area(ring);
                    // The right-hand rule: outer rings counter-clockwise, holes clockwise.
                    assert!(if i == 0 { turn > 0.0 } else { turn < 0.0 }, "{ring:?}");
                    for position in ring {
                        assert!(position[0].abs() <= 180.0 && position[1].abs() <= 90.0);
                        for axis in 0..2 {
                            assert!(has_seven_decimals(position[axis]), "{position:?}");
                            low[axis] = low[axis].min(position[axis]);
                            high[axis] = high[axis].max(position[axis]);
                        }
                    }
                }
            }
        }
        if self.features.is_empty() {
            assert!(self.document.get("bbox").is_none());
        } else {
            let bbox: [f64; 4] = serde_json::from_value(self.document["bbox"].clone()).unwrap();
            let [west, south, east, north] = bbox;
            assert_eq!([south, north], [low[1], high[1]]);
            if west <= east {
                assert_eq!([west, east], [low[0], high[0]]);
            } else {
                // Across the antimeridian (5.2): nothing lies between its eastern and its western edge.
                let all = self
                    .features
                    .iter()
                    .flat_map(|f| &f.polygons)
                    .flatten()
                    .flatten();
                assert!(
                    all.clone().all(|p| p[0] >= west || p[0] <= east),
                    "{bbox:?}"
                );
                assert!(all.clone().any(|p| p[0] == west) && all.clone().any(|p| p[0] == east));
            }
        }
    }
}

impl Feature {
    fn of(json: &Value) -> Self {
        let geometry = &json["geometry"];
        let coordinates = geometry["coordinates"].clone();
        let polygons = match geometry["type"].as_str().unwrap() {
            "Polygon" => vec![serde_json::from_value(coordinates).unwrap()],
            "MultiPolygon" => serde_json::from_value(coordinates).unwrap(),
            other => panic!("unexpected geometry {other}"),
        };
        Self {
            id: json["id"].as_str().map(str::to_owned),
            properties: json["properties"].as_object().unwrap().clone(),
            polygons,
        }
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        self.properties[name].as_f64().unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.properties[name].as_str().unwrap()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.properties[name].as_bool().unwrap()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.properties.keys().map(String::as_str).collect()
    }

    /// The corners of a single polygon, each once.
    pub(crate) fn corners(&self) -> Vec<LonLat> {
        let ring = &self.polygons[0][0];
        ring[1..].iter().map(|p| LonLat::new(p[0], p[1])).collect()
    }

    /// The mean of the corners: for a box, its centre.
    pub(crate) fn middle(&self) -> LonLat {
        let corners = self.corners();
        let n = corners.len() as f64;
        LonLat::new(
            corners.iter().map(|c| c.lon).sum::<f64>() / n,
            corners.iter().map(|c| c.lat).sum::<f64>() / n,
        )
    }
}

/// Twice the area, positive when counter-clockwise.
fn signed_area(ring: &[[f64; 2]]) -> f64 {
    // Relative to the first corner: the areas of small boxes far from the origin would drown in rounding.
    let [x0, y0] = ring[0];
    ring.windows(2)
        .map(|w| (w[0][0] - x0) * (w[1][1] - y0) - (w[1][0] - x0) * (w[0][1] - y0))
        .sum()
}

fn has_seven_decimals(value: f64) -> bool {
    let text = value.to_string();
    text.split_once('.')
        .is_none_or(|(_, decimals)| decimals.len() <= 7)
}
