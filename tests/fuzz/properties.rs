//! What must hold whatever bytes come from outside. The fuzzer feeds these functions, and so does the test that replays
//! the corpus.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use gdal::spatial_ref::SpatialRef;
use gdal::{DriverManager, vsi};
use kilnsight::chip::{AreaOfInterest, PixelRect};
use kilnsight::evaluate::{Options, Resampling, SceneInput, Truth};
use kilnsight::geometry::{
    OrientedBox, Overlap, PixelArea, PixelPoint, SuppressionRule, convex_intersection_area,
    polygon_area, suppress_planar,
};
use kilnsight::model::{
    Activation, CenterHead, ClassifierHead, DetrHead, End2EndHead, Head, MaskHead, ModelCard,
    Outputs, TensorInfo, Told, YoloHead, YoloObbHead,
};
use kilnsight::scene::{Scene, SceneOptions, SceneSource};
use ndarray::{ArrayD, CowArray};

/// Feeds bytes to a target by its name.
pub(crate) fn feed(target: &str, data: &[u8]) {
    match target {
        "card" => card(data),
        "onnx_metadata" => onnx_metadata(data),
        "area" => area(data),
        "truth" => truth(data),
        "heads" => heads(data),
        "overlap" => overlap(data),
        other => panic!("there is no target `{other}`"),
    }
}

/// A model card is refused, or makes sense.
fn card(data: &[u8]) {
    if let Ok(card) = ModelCard::parse(&String::from_utf8_lossy(data)) {
        sensible(&card);
    }
}

fn sensible(card: &ModelCard) {
    assert!(!card.bands.is_empty() && !card.classes.is_empty());
    assert!((8..=8192).contains(&card.chip_px));
    assert!(card.gsd_m.is_finite() && card.gsd_m > 0.0);
    assert!(card.overlap_m >= 0.0 && card.overlap_m < card.chip_px as f64 * card.gsd_m);
    assert!((0.0..=1.0).contains(&card.min_score) && (0.0..=1.0).contains(&card.nms_iou));
    assert_eq!(
        (card.scaling.gain.len(), card.scaling.bias.len()),
        (card.bands.len(), card.bands.len())
    );
    let numbers = card.scaling.gain.iter().chain(&card.scaling.bias);
    assert!(numbers.copied().all(f64::is_finite));
    if let Some(curve) = &card.calibration {
        assert!(curve.apply(0.2) <= curve.apply(0.7));
    }
}

/// Metadata of an ONNX file, one `key=value` a line (`\t` in values stands for a new line). The first line gives the
/// shapes of input and output.
fn onnx_metadata(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let shapes = lines.next().unwrap_or_default();
    let mut tensors = shapes.split(';').map(|shape| TensorInfo {
        name: "tensor".to_owned(),
        element: None,
        shape: shape
            .split(',')
            .filter_map(|side| side.trim().parse().ok())
            .collect(),
    });
    let inputs: Vec<TensorInfo> = tensors.next().into_iter().collect();
    let metadata: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.replace('\t', "\n")))
        .collect();
    let told = Told {
        gsd_m: Some(0.5),
        overlap_m: None,
    };
    if let Ok((card, _)) =
        ModelCard::from_metadata(inputs, tensors.collect(), metadata, "model", told)
    {
        sensible(&card);
    }
}

/// A GeoJSON area of interest, over a small scene near the antimeridian's far side: what is taken of it lies in the scene.
fn area(data: &[u8]) {
    // GDAL's file in memory cannot be empty.
    if data.is_empty() {
        return;
    }
    let scene = scene();
    let path = format!("/vsimem/area-{:?}.geojson", std::thread::current().id());
    if vsi::create_mem_file(&path, data.to_vec()).is_err() {
        return;
    }
    if let Ok(area) = AreaOfInterest::parse(&path)
        && let Ok(georeference) = scene.georeference()
        && let Ok(here) = area.in_scene(scene, &georeference)
    {
        let whole = PixelRect {
            x0: 0.0,
            y0: 0.0,
            x1: scene.width as f64,
            y1: scene.height as f64,
        };
        let touched = here.touches(&whole);
        for parts in here.cut(&[whole]) {
            for part in parts {
                let points: Vec<[f64; 2]> = part.exterior().0.iter().map(|c| [c.x, c.y]).collect();
                let share = polygon_area(&points).abs() / (scene.width * scene.height) as f64;
                assert!(share <= 1.0 + 1e-6, "{share} of the scene");
                assert!(touched || share < 1e-6);
            }
        }
    }
    drop(vsi::unlink_mem_file(&path));
}

fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let path = "/vsimem/scene.tif";
        let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
        let mut dataset = driver
            .create_with_band_type::<u8, _>(path, 256, 256, 1)
            .unwrap();
        let geotransform = [500_000.0, 10.0, 0.0, 2_500_000.0, 0.0, -10.0];
        dataset.set_geo_transform(&geotransform).unwrap();
        let grid = SpatialRef::from_epsg(32645).unwrap();
        dataset.set_spatial_ref(&grid).unwrap();
        drop(dataset);
        Scene::open(&SceneSource::file(path), &SceneOptions::default()).unwrap()
    })
}

/// Labels, as GeoJSON or COCO, compared with one detection in a scene: every figure is a share.
fn truth(data: &[u8]) {
    let scene = scene();
    let Ok(georeference) = scene.georeference() else {
        return;
    };
    let Ok(truth) = Truth::parse(data, Path::new("labels.json")) else {
        return;
    };
    let input = SceneInput {
        id: "a",
        region: None,
        coverage: None,
        georeference: Some(&georeference),
        size_px: truth.is_in_pixels().then_some([128, 128]),
    };
    let Ok(pairing) = truth.pair(&[input], Vec::new()) else {
        return;
    };
    let report = pairing.evaluate(&Options {
        resampling: Resampling {
            replicates: 3,
            seed: 0,
        },
        ..Options::default()
    });
    for result in &report.overall.criteria {
        if let Some(ap) = result.ap {
            assert!((0.0..=1.0).contains(&ap), "{ap}");
        }
    }
    assert!(!report.to_text().contains("NaN"));
}

/// Takes numbers off the front of bytes; after their end come zeros.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    /// Any number of 32 bits: not a number and infinity among them.
    fn any(&mut self) -> f32 {
        f32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// 0 to 1 in 255 steps.
    fn share(&mut self) -> f64 {
        f64::from(self.byte()) / 255.0
    }

    fn tensor(&mut self, shape: Vec<usize>) -> ArrayD<f32> {
        let length = shape.iter().product();
        let values: Vec<f32> = match self.below(3) {
            // Numbers that a model gives.
            0 => (0..length).map(|_| self.share() as f32).collect(),
            1 => (0..length)
                .map(|_| (self.share() * 80.0 - 8.0) as f32)
                .collect(),
            // Anything.
            _ => (0..length).map(|_| self.any()).collect(),
        };
        ArrayD::from_shape_vec(shape, values).unwrap_or_default()
    }
}

/// Output tensors of any shape and content: decoded to boxes that make sense, or refused.
fn heads(data: &[u8]) {
    let mut numbers = Numbers(data);
    let kind = numbers.below(7);
    let classes = 1 + numbers.below(4);
    let activation = [Activation::None, Activation::Sigmoid, Activation::Softmax][numbers.below(3)];
    let background = (numbers.below(2) == 1 && classes > 1).then_some(0);
    let name = |name: &str| Some(name.to_owned());
    let head = match kind {
        0 => Head::Center(CenterHead {
            heatmap: "a".to_owned(),
            size: "b".to_owned(),
            offset: None,
            angle: if numbers.below(2) == 0 {
                None
            } else {
                name("c")
            },
            kind: None,
            types: Vec::new(),
        }),
        1 => Head::Yolo(YoloHead {
            output: name("a"),
            classes,
        }),
        2 => Head::YoloObb(YoloObbHead {
            output: name("a"),
            classes,
        }),
        3 => Head::End2End(End2EndHead {
            output: name("a"),
            classes,
        }),
        4 => Head::Detr(DetrHead {
            boxes: name("a"),
            scores: name("b"),
            activation: (numbers.below(2) == 0).then_some(activation),
            classes,
        }),
        5 => Head::Mask(MaskHead {
            output: name("a"),
            activation,
            background,
            threshold: numbers.share() as f32,
            min_area_m2: 0.0,
            simplify_m: 0.0,
            structure_m2: None,
            classes,
        }),
        _ => Head::Classifier(ClassifierHead {
            output: name("a"),
            activation,
            background,
            classes,
        }),
    };
    let mut outputs = Outputs::default();
    for output in ["a", "b", "c"] {
        let axes = numbers.below(4);
        // Often what the head wants, so that more than the check of shapes is reached.
        let shape: Vec<usize> = match (numbers.below(4), kind) {
            (0, _) => (0..axes).map(|_| numbers.below(9)).collect(),
            (_, 0) => {
                let channels = [classes, 2, 2][usize::from(output.as_bytes()[0] - b'a')];
                vec![channels, 8, 8]
            }
            (_, 1) => vec![4 + classes, 12],
            (_, 2) => vec![5 + classes, 12],
            (_, 3) => vec![12, 6 + usize::from(axes % 2 == 1)],
            (_, 4) => vec![12, if output == "a" { 4 } else { classes }],
            (_, 5) => vec![classes, 8, 8],
            _ => vec![classes],
        };
        let batch: Vec<usize> = [1].into_iter().chain(shape).collect();
        let tensor = numbers.tensor(batch);
        drop(outputs.insert(output, CowArray::from(tensor), 0, 1));
    }
    let min_score = numbers.share() as f32;
    let side = 8 << numbers.below(4);
    let finite = outputs.refuse_nan().is_ok();
    if let Ok(boxes) = head.decode(&outputs, (side, side), min_score) {
        for found in boxes {
            assert!(found.shape.is_valid(), "{:?}", found.shape);
            assert!(found.class < classes);
            assert_eq!(found.class_scores.len(), classes);
            if finite {
                assert!(
                    found.score >= min_score && found.score <= 1.0 + 1e-5,
                    "{}",
                    found.score
                );
            }
        }
    }
}

/// Oriented boxes: overlap is a share, the same both ways, whole with itself; suppression keeps what its definition keeps.
fn overlap(data: &[u8]) {
    let mut numbers = Numbers(data);
    let count = 2 + numbers.below(24);
    let mut boxes = Vec::new();
    for _ in 0..count {
        let wide = numbers.below(2) == 0;
        let side = |share: f64| {
            if wide {
                1e-3 + 1e4 * share
            } else {
                0.5 + 20.0 * share
            }
        };
        boxes.push(OrientedBox {
            center: PixelPoint::new(64.0 * numbers.share(), 64.0 * numbers.share()),
            length: side(numbers.share()),
            width: side(numbers.share()),
            // Whole steps of the circle among them: edges that lie on one another.
            angle: std::f64::consts::PI * f64::from(numbers.byte()) / 64.0,
        });
    }
    let quads: Vec<[[f64; 2]; 4]> = (boxes.iter())
        .map(|b| b.corners().map(|p| [p.x, p.y]))
        .collect();
    let rule = SuppressionRule {
        iou: 0.05 + 0.9 * numbers.share(),
        ios: 0.05 + 0.95 * numbers.share(),
    };
    let mut kept: Vec<usize> = Vec::new();
    let mut close = false;
    for (i, a) in quads.iter().enumerate() {
        let own = Overlap::of_quads(a, a);
        assert!((own.iou - 1.0).abs() < 1e-6, "{own:?}");
        let mut is_same = false;
        for (j, b) in quads.iter().enumerate() {
            let (there, back) = (Overlap::of_quads(a, b), Overlap::of_quads(b, a));
            for share in [there.iou, there.ios] {
                assert!((0.0..=1.0 + 1e-9).contains(&share), "{share}");
            }
            assert!((there.iou - back.iou).abs() < 1e-6 && (there.ios - back.ios).abs() < 1e-6);
            assert!(there.iou <= there.ios + 1e-9);
            let shared = convex_intersection_area(a, b);
            let smaller = polygon_area(a).abs().min(polygon_area(b).abs());
            assert!(shared >= 0.0 && shared <= smaller * (1.0 + 1e-6));
            // On the threshold itself the last bit decides.
            close |= i != j
                && ((there.iou - rule.iou).abs() < 1e-9 || (there.ios - rule.ios).abs() < 1e-9);
            is_same |= kept.contains(&j) && rule.same(there);
        }
        if !is_same {
            kept.push(i);
        }
    }
    let found = suppress_planar(&boxes, rule);
    assert!(close || found == kept, "{found:?}, by definition {kept:?}");

    let ring: Vec<[f64; 2]> = (0..3 + numbers.below(12))
        .map(|_| [f64::from(numbers.byte()), f64::from(numbers.byte())])
        .collect();
    if let Some(area) = PixelArea::from_rings(&[ring])
        && let Some(around) = area.bounding_box()
    {
        assert!(around.is_valid(), "{around:?}");
    }
}
