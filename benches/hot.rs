//! The hot functions, one by one: `cargo bench --bench hot`.

use std::hint::black_box;

use anyhow::Result;
use criterion::{BenchmarkId, Criterion};
use gdal::DriverManager;
use gdal::raster::{Buffer, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use kilnsight::chip::{ChipPixels, ChipPlan, ChipReader, ChipSpec, InputScaling, InputTransform};
use kilnsight::geometry::{Overlap, SuppressionRule, suppress_ground, suppress_planar};
use kilnsight::layer::geojson::GeoJsonWriter;
use kilnsight::layer::tables::{Names, detection_feature};
use kilnsight::model::{CenterHead, CenterOutputs};
use kilnsight::scene::{Scene, SceneOptions, SceneSource, StoredPixels};
use kilnsight::site::{ClusterRule, cluster_sites, merge_sites};
use ndarray::Array3;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use made_up::Spread;

mod made_up;

const RULE: SuppressionRule = SuppressionRule {
    iou: 0.45,
    ios: 0.7,
};
const SPREADS: [Spread; 2] = [Spread::Scattered, Spread::Crowded];

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    read(&mut criterion)?;
    decode(&mut criterion)?;
    suppress(&mut criterion);
    sites(&mut criterion);
    write(&mut criterion);
    criterion.final_summary();
    Ok(())
}

/// A strip of nine chips of 640 pixels: reading it, and cutting one chip out of it.
fn read(criterion: &mut Criterion) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("scene.tif");
    let (width, height) = (5248, 1024);
    let options = RasterCreationOptions::from_iter([
        "TILED=YES",
        "BLOCKXSIZE=512",
        "BLOCKYSIZE=512",
        "COMPRESS=DEFLATE",
        "INTERLEAVE=PIXEL",
    ]);
    let driver = DriverManager::get_driver_by_name("GTiff")?;
    let mut dataset =
        driver.create_with_band_type_with_options::<u8, _>(&path, width, height, 3, &options)?;
    dataset.set_geo_transform(&[300_000.0, 0.5, 0.0, 3_000_000.0, 0.0, -0.5])?;
    dataset.set_spatial_ref(&SpatialRef::from_epsg(32644)?)?;
    for band in 1..=3 {
        let mut pixels = Buffer::new((width, height), noise(width * height));
        dataset
            .rasterband(band)?
            .write((0, 0), (width, height), &mut pixels)?;
    }
    dataset.close()?;

    let wanted = SceneOptions {
        wanted_bands: ["red", "green", "blue"].map(str::to_owned).to_vec(),
        ..SceneOptions::default()
    };
    let scene = Scene::open(&SceneSource::file(path.to_string_lossy()), &wanted)?;
    let spec = ChipSpec {
        gsd_m: 0.5,
        chip_px: 640,
        overlap_m: 32.0,
        size_multiple: None,
        grid_shift_px: 0.0,
    };
    let plan = ChipPlan::new(&scene, &scene.georeference()?, &spec)?;
    let chips: Vec<_> = plan.row(0).filter_map(|index| plan.chip(index)).collect();
    let mut reader = ChipReader::open(&scene)?;
    let mut strip = StoredPixels::default();
    let mut failed = None;
    criterion.bench_function("read a strip of 9 chips", |b| {
        b.iter(|| failed = failed.take().or(reader.read(&chips, &mut strip).err()));
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    let scaling = InputScaling {
        clamp: Some((0.0, 255.0)),
        gain: vec![1.0 / 255.0; 3],
        bias: vec![0.0; 3],
        padding: 0.0,
    };
    let transform = InputTransform::new(&scene, &scaling);
    let mut pixels = ChipPixels::default();
    criterion.bench_function("cut and normalise a chip", |b| {
        b.iter(|| transform.cut(black_box(&chips[4]), &strip, &mut pixels));
    });
    Ok(())
}

fn decode(criterion: &mut Criterion) -> Result<()> {
    let head = CenterHead {
        heatmap: "heatmap".into(),
        size: "size".into(),
        offset: None,
        angle: None,
        kind: None,
        types: Vec::new(),
    };
    let noise = noise(3 * 160 * 160);
    let heat = Array3::from_shape_vec((3, 160, 160), noise)?.mapv(|v| f32::from(v).powi(4) / 4.3e9);
    let size = Array3::from_elem((2, 160, 160), 3.0);
    let maps = CenterOutputs {
        heatmap: heat.view(),
        size: size.view(),
        offset: None,
        angle: None,
        kind: None,
    };
    head.decode(&maps, (640, 640), 0.5)?;
    criterion.bench_function("decode centres of a chip", |b| {
        b.iter(|| head.decode(black_box(&maps), (640, 640), 0.5).is_ok());
    });
    Ok(())
}

fn suppress(criterion: &mut Criterion) {
    let boxes = made_up::boxes(1000, Spread::Crowded);
    let quads: Vec<[[f64; 2]; 4]> = boxes
        .iter()
        .map(|b| b.corners().map(|p| [p.x, p.y]))
        .collect();
    criterion.bench_function("overlap of 1000 pairs", |b| {
        b.iter(|| {
            let pairs = quads.iter().zip(quads.iter().cycle().skip(10));
            pairs.map(|(a, b)| Overlap::of_quads(a, b).iou).sum::<f64>()
        });
    });
    let mut group = criterion.benchmark_group("suppress 10,000 boxes");
    for spread in SPREADS {
        let boxes = made_up::boxes(10_000, spread);
        group.bench_with_input(
            BenchmarkId::new("planar", format!("{spread:?}")),
            &boxes,
            |b, boxes| {
                b.iter(|| suppress_planar(boxes, RULE));
            },
        );
        let boxes = made_up::ground_boxes(10_000, spread);
        group.bench_with_input(
            BenchmarkId::new("ground", format!("{spread:?}")),
            &boxes,
            |b, boxes| {
                b.iter(|| suppress_ground(boxes, RULE));
            },
        );
    }
}

fn sites(criterion: &mut Criterion) {
    let merging = SuppressionRule { iou: 0.2, ios: 0.5 };
    let clustering = ClusterRule {
        distance_m: 1000.0,
        min_sites: 3,
    };
    let mut group = criterion.benchmark_group("sites of 30,000 detections");
    for spread in SPREADS {
        let detections = made_up::detections(30_000, spread);
        let sites = merge_sites(&detections, merging, &made_up::Scenes);
        group.bench_function(format!("merge/{spread:?}"), |b| {
            b.iter(|| merge_sites(&detections, merging, &made_up::Scenes));
        });
        group.bench_function(format!("cluster/{spread:?}"), |b| {
            b.iter(|| cluster_sites(&sites, clustering));
        });
    }
}

fn write(criterion: &mut Criterion) {
    let detections = made_up::detections(1000, Spread::Scattered);
    let classes = ["kiln".to_owned(), "camp".to_owned()];
    let names = Names {
        classes: &classes,
        types: &[],
        model: "benchmark",
        areas: None,
    };
    criterion.bench_function("write 1000 detections as GeoJSON", |b| {
        b.iter(|| -> std::io::Result<u64> {
            let mut layer = GeoJsonWriter::new(std::io::sink(), "detections", "id")?;
            for d in &detections {
                layer.write(&detection_feature(
                    d,
                    names,
                    "scene",
                    None,
                    "r0000c0000".to_owned(),
                ))?;
            }
            layer.finish()
        });
    });
}

/// Bytes without a pattern.
fn noise(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut bytes);
    bytes
}
