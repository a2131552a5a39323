//! Made-up boxes and detections, the same every time.

use kilnsight::detect::Detection;
use kilnsight::geometry::{GroundBox, LonLat, OrientedBox, PixelPoint, PlanePoint};
use kilnsight::site::SiteSource;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How boxes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Few overlap.
    Scattered,
    /// All on ten spots, thousands on one another.
    Crowded,
}

fn random() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(7)
}

/// `count` boxes of a kiln's size, in pixels.
pub(crate) fn boxes(count: usize, spread: Spread) -> Vec<OrientedBox> {
    let mut random = random();
    let side = (count as f64).sqrt() * 40.0;
    (0..count)
        .map(|i| {
            let center = match spread {
                Spread::Scattered => PixelPoint::new(
                    random.random_range(0.0..side),
                    random.random_range(0.0..side),
                ),
                Spread::Crowded => PixelPoint::new(
                    (i % 10) as f64 * 500.0 + random.random_range(0.0..30.0),
                    random.random_range(0.0..30.0),
                ),
            };
            OrientedBox {
                center,
                length: random.random_range(10.0..40.0),
                width: random.random_range(5.0..30.0),
                angle: random.random_range(0.0..std::f64::consts::PI),
            }
        })
        .collect()
}

/// The same boxes on the ground, four metres a pixel.
pub(crate) fn ground_boxes(count: usize, spread: Spread) -> Vec<GroundBox> {
    boxes(count, spread).iter().map(on_ground).collect()
}

const HOME: LonLat = LonLat {
    lon: 78.0,
    lat: 27.0,
};

fn on_ground(shape: &OrientedBox) -> GroundBox {
    GroundBox {
        center: HOME.displaced(PlanePoint {
            east: shape.center.x * 4.0,
            north: -shape.center.y * 4.0,
        }),
        length_m: shape.length.max(shape.width) * 4.0,
        width_m: shape.length.min(shape.width) * 4.0,
        angle_deg: shape.angle.to_degrees().rem_euclid(180.0),
    }
}

/// `count` detections of kilns that stand in fields of about thirty, each seen in three scenes; or, crowded, all in
/// one district of a few kilometres.
pub(crate) fn detections(count: usize, spread: Spread) -> Vec<Detection> {
    const SCENES: usize = 3;
    const KILNS_PER_FIELD: usize = 30;
    let mut random = random();
    let kilns = count.div_ceil(SCENES);
    let fields = match spread {
        Spread::Scattered => kilns.div_ceil(KILNS_PER_FIELD),
        Spread::Crowded => 1,
    };
    let side = (fields as f64).sqrt() * 6000.0;
    let places: Vec<PlanePoint> = (0..fields)
        .map(|_| PlanePoint {
            east: random.random_range(0.0..side),
            north: random.random_range(0.0..side),
        })
        .collect();
    let mut all: Vec<Detection> = (0..kilns)
        .flat_map(|kiln| {
            let field = places[kiln % fields];
            let mut away = |reach: f64| random.random_range(-reach..reach);
            let at = PlanePoint {
                east: field.east + away(2000.0),
                north: field.north + away(2000.0),
            };
            let angle_deg = 90.0 + away(90.0);
            (0..SCENES)
                .map(|scene| {
                    let center = HOME.displaced(PlanePoint {
                        east: at.east + away(8.0),
                        north: at.north + away(8.0),
                    });
                    let ground = GroundBox {
                        center,
                        length_m: 110.0 + away(15.0),
                        width_m: 60.0 + away(10.0),
                        angle_deg,
                    };
                    let score = 0.65 + away(0.3);
                    detection(scene, kiln, score, ground)
                })
                .collect::<Vec<_>>()
        })
        .take(count)
        .collect();
    all.sort_unstable_by(kilnsight::detect::place_order);
    all
}

fn detection(scene: usize, n: usize, score: f64, ground: GroundBox) -> Detection {
    Detection {
        scene,
        chip: n / 50,
        n: n % 50,
        class: 0,
        score,
        class_scores: vec![score as f32, 0.1],
        type_scores: Vec::new(),
        ground,
        corners: ground.corners(),
        border: false,
        cloud: None,
        outline: None,
    }
}

/// Three scenes.
pub(crate) struct Scenes;

impl SiteSource for Scenes {
    fn scene_id(&self, scene: usize) -> &str {
        ["first", "second", "third"][scene % 3]
    }

    fn scene_date(&self, scene: usize) -> Option<&str> {
        Some(["2024-01-05", "2024-02-05", "2024-03-05"][scene % 3])
    }

    fn class_name(&self, _class: usize) -> &'static str {
        "kiln"
    }
}
