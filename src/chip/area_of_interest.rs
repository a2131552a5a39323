//! The area of interest: polygons from a file, or a bounding box typed by hand.

use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform};
use gdal::vector::LayerAccess;
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};
use geo::{Area, BooleanOps, BoundingRect, MultiPolygon, Polygon, Rect, Translate, coord};
use thiserror::Error;

use super::polygons::{clipped, disjoint, within};
use super::scene_area::SceneArea;
use crate::geometry::{LonLat, PixelPoint};
use crate::scene::{Georeference, GeoreferenceError, Scene, gdal_words, is_special, wgs84};

/// Why an area of interest cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AoiError {
    /// The file does not open.
    #[error("area of interest `{path}` cannot be read: {reason}")]
    Unreadable {
        /// Path as given.
        path: String,
        /// Why.
        reason: String,
    },
    /// No polygon in it.
    #[error(
        "area of interest `{path}` holds no polygon: draw one in a GIS, or give a box as `west,south,east,north` in degrees"
    )]
    Empty {
        /// Path as given.
        path: String,
    },
    /// Coordinates that are no degrees.
    #[error(
        "area of interest `{path}` has a vertex at ({x}, {y}), which is not longitude and latitude in degrees"
    )]
    NotDegrees {
        /// Path as given.
        path: String,
        /// First coordinate.
        x: f64,
        /// Second coordinate.
        y: f64,
    },
    /// A box whose corners are swapped.
    #[error(
        "`{given}` is not a box: write `west,south,east,north` in degrees, with south < north; west > east crosses the antimeridian"
    )]
    Box {
        /// As given.
        given: String,
    },
    /// The area cannot be placed in the scene.
    #[error("the area of interest cannot be placed in scene `{scene}`: {source}")]
    Georeference {
        /// Scene id.
        scene: String,
        /// Why.
        #[source]
        source: GeoreferenceError,
    },
}

/// An area on Earth, in WGS 84.
#[derive(Debug, Clone, PartialEq)]
pub struct AreaOfInterest {
    /// As given, for the record.
    pub source: String,
    /// Its polygons, which do not overlap one another.
    pub polygons: MultiPolygon,
}

/// Longest edge, in degrees, that is taken as straight in another projection.
const MAX_EDGE_DEG: f64 = 0.05;

impl AreaOfInterest {
    /// From a vector file that GDAL opens (GeoJSON, GeoPackage, shapefile, …) or a box
    /// `west,south,east,north` in degrees.
    pub fn parse(given: &str) -> Result<Self, AoiError> {
        let numbers: Option<Vec<f64>> = given
            .split(',')
            .map(|part| part.trim().parse().ok())
            .collect();
        let polygons = match numbers.as_deref() {
            Some(&[west, south, east, north]) => {
                let on_earth = [west, east].iter().all(|lon| lon.abs() <= 180.0)
                    && [south, north].iter().all(|lat| lat.abs() <= 90.0);
                if !(on_earth && west != east && south < north) {
                    return Err(AoiError::Box {
                        given: given.to_owned(),
                    });
                }
                let degrees = |west: f64, east: f64| {
                    Rect::new(coord! { x: west, y: south }, coord! { x: east, y: north })
                        .to_polygon()
                };
                // As in RFC 7946, 5.2.
                let parts = if west < east {
                    vec![degrees(west, east)]
                } else {
                    vec![degrees(west, 180.0), degrees(-180.0, east)]
                };
                MultiPolygon::new(
                    parts
                        .into_iter()
                        .filter(|part| part.unsigned_area() > 0.0)
                        .collect(),
                )
            }
            Some([_, _, ..]) => {
                return Err(AoiError::Box {
                    given: given.to_owned(),
                });
            }
            _ => read_polygons(given)?,
        };
        Ok(Self {
            source: given.to_owned(),
            polygons,
        })
    }

    /// What of the area is not `covered` (in degrees).
    pub fn beyond(&self, covered: &MultiPolygon) -> MultiPolygon {
        let Some(bounds) = self.polygons.bounding_rect() else {
            return MultiPolygon::new(Vec::new());
        };
        // Gaps have few corners, and only what is near them is taken apart.
        let gaps = with_margin(bounds).to_polygon().difference(covered);
        let parts = gaps.iter().flat_map(|gap| {
            let near = gap
                .bounding_rect()
                .map(|bounds| clipped(&self.polygons, with_margin(bounds)).intersection(gap));
            near.into_iter().flatten()
        });
        parts.collect()
    }

    /// The part of the area near a scene, in the scene's pixels.
    pub fn in_scene(
        &self,
        scene: &Scene,
        georeference: &Georeference,
    ) -> Result<SceneArea, AoiError> {
        let failed = |source| AoiError::Georeference {
            scene: scene.id.clone(),
            source,
        };
        // Far-away parts may lie where the scene's projection is not defined: cut them off first.
        let near = scene_bounds(scene, georeference).map_err(failed)?;
        let near_parts: Vec<Polygon> = [-360.0, 0.0, 360.0]
            .into_iter()
            .flat_map(|turn| {
                let here = near.translate(-turn, 0.0);
                (self.polygons.iter())
                    .flat_map(move |polygon| within(polygon, here))
                    .map(move |mut part| {
                        part.translate_mut(turn, 0.0);
                        part
                    })
            })
            .collect();
        let ring_to_pixels = |ring: &geo::LineString| -> Result<geo::LineString, AoiError> {
            let places: Vec<LonLat> = densified(ring)
                .into_iter()
                .map(|c| LonLat { lon: c.x, lat: c.y })
                .collect();
            let pixels = georeference.to_pixels(&places).map_err(failed)?;
            Ok(pixels
                .into_iter()
                .map(|p| coord! { x: p.x, y: p.y })
                .collect())
        };
        let mut polygons = Vec::new();
        // Each goes as soon as it is in pixels.
        for polygon in near_parts {
            let holes = polygon
                .interiors()
                .iter()
                .map(ring_to_pixels)
                .collect::<Result<_, _>>()?;
            polygons.push(Polygon::new(ring_to_pixels(polygon.exterior())?, holes));
        }
        Ok(SceneArea::new(MultiPolygon::new(polygons)))
    }
}

/// A rectangle a little larger, so that nothing lies on its sides.
fn with_margin(bounds: Rect) -> Rect {
    let margin = coord! { x: 1e-3, y: 1e-3 };
    Rect::new(bounds.min() - margin, bounds.max() + margin)
}

/// A rectangle in degrees round a scene, a little larger than it. Its longitudes may run on past ±180, over one turn at
/// most.
fn scene_bounds(scene: &Scene, georeference: &Georeference) -> Result<Rect, GeoreferenceError> {
    const STEPS: usize = 32;
    let (w, h) = (scene.width as f64, scene.height as f64);
    let edge: Vec<PixelPoint> = (0..4 * STEPS)
        .map(|i| {
            let t = (i % STEPS) as f64 / STEPS as f64;
            let (x, y) = match i / STEPS {
                0 => (t * w, 0.0),
                1 => (w, t * h),
                2 => (w - t * w, h),
                _ => (0.0, h - t * h),
            };
            PixelPoint { x, y }
        })
        .collect();
    let mut places = georeference.to_lonlat(&edge)?;
    let mut previous = places.first().map_or(0.0, |p| p.lon);
    let first = previous;
    for place in &mut places {
        previous += (place.lon - previous + 540.0).rem_euclid(360.0) - 180.0;
        place.lon = previous;
    }
    let goes_round =
        (previous + (first - previous + 540.0).rem_euclid(360.0) - 180.0 - first).abs() > 180.0;
    let range = |value: fn(&LonLat) -> f64| {
        places
            .iter()
            .map(value)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| {
                (lo.min(v), hi.max(v))
            })
    };
    let ((west, east), (south, north)) = (range(|p| p.lon), range(|p| p.lat));
    let (mx, my) = ((east - west) * 0.02 + 1e-6, (north - south) * 0.02 + 1e-6);
    let (mut west, mut east) = (west - mx, east + mx);
    let (mut south, mut north) = ((south - my).max(-90.0), (north + my).min(90.0));
    if goes_round || east - west > 360.0 {
        let middle = f64::midpoint(west, east);
        (west, east) = (middle - 180.0, middle + 180.0);
    }
    if let Some(middle) = georeference.middle_lon() {
        // The turn that the scene's own longitudes are in.
        let turns = ((f64::midpoint(west, east) - middle) / 360.0).round() * 360.0;
        (west, east) = (west - turns, east - turns);
    }
    if goes_round {
        // The scene holds the pole on whose side it lies.
        if north + south > 0.0 {
            north = 90.0;
        } else {
            south = -90.0;
        }
    }
    Ok(Rect::new(
        coord! { x: west, y: south },
        coord! { x: east, y: north },
    ))
}

/// The ring with long edges divided.
fn densified(ring: &geo::LineString) -> Vec<geo::Coord> {
    let mut points = Vec::with_capacity(ring.0.len());
    for edge in ring.lines() {
        let length = edge.dx().hypot(edge.dy());
        let pieces = (length / MAX_EDGE_DEG).ceil().max(1.0) as usize;
        points.extend((0..pieces).map(|i| edge.start + edge.delta() * (i as f64 / pieces as f64)));
    }
    points.extend(ring.0.last());
    points
}

fn read_polygons(path: &str) -> Result<MultiPolygon, AoiError> {
    let unreadable = |reason: String| AoiError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    if !path.starts_with("/vsi") && !std::path::Path::new(path).exists() {
        let reason = if path.contains(char::REPLACEMENT_CHARACTER) {
            "its name is not UTF-8; rename it"
        } else {
            "no such file"
        };
        return Err(unreadable(reason.to_owned()));
    }
    if is_special(std::path::Path::new(path)) {
        return Err(unreadable(
            "it is a pipe or a device, not a file".to_owned(),
        ));
    }
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_VECTOR,
        ..Default::default()
    };
    let dataset = Dataset::open_ex(path, options).map_err(|e| unreadable(gdal_words(&e)))?;
    let mut polygons = Vec::new();
    for mut layer in dataset.layers() {
        let to_wgs84 = match layer.spatial_ref() {
            Some(mut crs) => {
                crs.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
                let wgs84 = wgs84().map_err(|e| unreadable(gdal_words(&e)))?;
                Some(CoordTransform::new(&crs, &wgs84).map_err(|e| unreadable(gdal_words(&e)))?)
            }
            // GeoJSON without a CRS, and formats that carry none, are WGS 84 by convention.
            None => None,
        };
        for feature in layer.features() {
            // Features without a geometry, or with one of no points, are usual in exports.
            let Some(geometry) = feature.geometry().filter(|g| !g.is_empty()) else {
                continue;
            };
            let moved;
            let geometry = match &to_wgs84 {
                Some(transform) => {
                    moved = geometry
                        .transform(transform)
                        .map_err(|e| unreadable(gdal_words(&e)))?;
                    &moved
                }
                None => geometry,
            };
            match geometry.to_geo() {
                Ok(geometry) => collect_polygons(geometry, &mut polygons),
                Err(error) => return Err(unreadable(error.to_string())),
            }
        }
    }
    for c in polygons.iter().flat_map(geo::CoordsIter::coords_iter) {
        if !(c.x.is_finite() && c.y.is_finite() && c.x.abs() <= 180.0 && c.y.abs() <= 90.0) {
            return Err(AoiError::NotDegrees {
                path: path.to_owned(),
                x: c.x,
                y: c.y,
            });
        }
    }
    if polygons.is_empty() {
        return Err(AoiError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(disjoint(polygons))
}

fn collect_polygons(geometry: geo::Geometry, into: &mut Vec<Polygon>) {
    match geometry {
        geo::Geometry::Polygon(polygon) if polygon.exterior().0.len() >= 4 => into.push(polygon),
        geo::Geometry::MultiPolygon(many) => {
            into.extend(many.0.into_iter().filter(|p| p.exterior().0.len() >= 4));
        }
        geo::Geometry::GeometryCollection(collection) => {
            collection
                .0
                .into_iter()
                .for_each(|geometry| collect_polygons(geometry, into));
        }
        _ => {}
    }
}
