//! Clouds: what a mask hides, what it flags, and that neither is silent.

use gdal::DriverManager;
use gdal::raster::{Buffer, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;

use crate::fixture::{Fixture, UTM, blob, blob_places};
use crate::harness::{Run, Workspace, gdal_tool};

/// Rectangles of a mask with their value: first column, first row, last column and row exclusive.
type Patches<'a> = &'a [([usize; 4], u8)];

/// Codes of the Sentinel-2 scene classification.
const CLEAR: u8 = 4;
const SHADOW: u8 = 3;
const CLOUD: u8 = 9;
const CIRRUS: u8 = 10;

/// Writes a mask of one band: `background` but for the patches.
fn write_mask(
    space: &Workspace,
    name: &str,
    (columns, rows): (usize, usize),
    place: Option<(u32, [f64; 6])>,
    background: u8,
    patches: Patches<'_>,
) {
    let mut values = vec![background; columns * rows];
    for ([x0, y0, x1, y1], value) in patches {
        for row in *y0..*y1 {
            values[row * columns + x0..row * columns + x1].fill(*value);
        }
    }
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let mut dataset = driver
        .create_with_band_type_with_options::<u8, _>(
            space.path(name),
            columns,
            rows,
            1,
            &RasterCreationOptions::from_iter(["COMPRESS=DEFLATE"]),
        )
        .unwrap();
    if let Some((epsg, geotransform)) = place {
        dataset.set_geo_transform(&geotransform).unwrap();
        dataset
            .set_spatial_ref(&SpatialRef::from_epsg(epsg).unwrap())
            .unwrap();
    }
    let mut band = dataset.rasterband(1).unwrap();
    let mut buffer = Buffer::new((columns, rows), values);
    band.write((0, 0), (columns, rows), &mut buffer).unwrap();
    dataset.flush_cache().unwrap();
}

/// The place of a mask with pixels `factor` times as wide as those of the usual scene.
fn coarser(factor: f64) -> (u32, [f64; 6]) {
    let (epsg, [x, w, _, y, _, h]) = UTM;
    (epsg, [x, w * factor, 0.0, y, 0.0, h * factor])
}

/// One blob in each quarter of a scene of 480 × 320 pixels.
const BLOBS: [(f64, f64); 4] = [(120.0, 80.0), (360.0, 80.0), (120.0, 240.0), (360.0, 240.0)];

fn scene(space: &Workspace) -> Fixture {
    let fixture = Fixture::new((480, 320), BLOBS.map(|(x, y)| blob(x, y)).to_vec());
    fixture.write(space, "a.tif");
    fixture
}

/// The quarters of the scene in a mask of 20 m: clear, cloud, cirrus, shadow.
const QUARTERS: Patches<'static> = &[
    ([120, 0, 240, 80], CLOUD),
    ([0, 80, 120, 160], CIRRUS),
    ([120, 80, 240, 160], SHADOW),
];

fn quarters(space: &Workspace) -> Fixture {
    let fixture = scene(space);
    write_mask(
        space,
        "a_SCL.tif",
        (240, 160),
        Some(coarser(2.0)),
        CLEAR,
        QUARTERS,
    );
    fixture
}

fn chips(run: &Run, name: &str) -> u64 {
    run.record()["counts"]["chips"][name].as_u64().unwrap()
}

#[test]
fn ground_under_cloud_is_left_out_and_told() {
    let space = Workspace::new();
    let fixture = quarters(&space);
    let stdout = space.succeed("scan a.tif --model blob --out run --cloud-mask a_SCL.tif");
    assert!(stdout.contains(" km2 under cloud"), "{stdout}");
    let run = space.read_run("run");
    let coverage = run.layer("coverage");
    coverage.assert_valid();
    // Of 15.36 km2, a quarter; 10 m of UTM are 10 m of ground to within 0.1 %.
    let cloud = coverage.area_km2("cloud");
    assert!((cloud - 3.84).abs() < 0.04, "{cloud} km2 under cloud");
    let scanned = coverage.area_km2("scanned");
    assert!((scanned - 11.52).abs() < 0.04, "{scanned} km2 scanned");
    let recorded = run.record()["areas_km2"]["cloud"].as_f64().unwrap();
    assert!((recorded - cloud).abs() < 1e-4);
    assert!(chips(&run, "cloud") > 0);
    assert_eq!(
        chips(&run, "cloud") + chips(&run, "scanned"),
        chips(&run, "planned")
    );

    let sites = run.layer("detections");
    let places = blob_places(&space, "a.tif", &fixture.blobs);
    let found: Vec<bool> = places.iter().map(|p| sites.nearest(*p).1 < 2.0).collect();
    assert_eq!(found, [true, false, true, true]);
    for (i, share, class) in [
        (0, 0.0, None),
        (2, 1.0, Some("thin")),
        (3, 1.0, Some("shadow")),
    ] {
        let (detection, _) = sites.nearest(places[i]);
        assert_eq!(detection.number("cloud"), share, "blob {i}");
        assert_eq!(detection.properties["cloud_class"].as_str(), class);
    }
    assert_eq!(run.record()["counts"]["detections_under_cloud"], 2);
}

#[test]
fn all_chips_are_scanned_where_no_share_is_too_much_and_detections_are_flagged() {
    let space = Workspace::new();
    let fixture = quarters(&space);
    let run = space.scan("a.tif --cloud-mask a_SCL.tif --max-cloud 1");
    assert_eq!(chips(&run, "cloud"), 0);
    let detections = run.layer("detections");
    let place = blob_places(&space, "a.tif", &fixture.blobs)[1];
    let (under, metres) = detections.nearest(place);
    assert!(metres < 2.0);
    assert_eq!(under.number("cloud"), 1.0);
    assert_eq!(under.text("cloud_class"), "cloud");
    // A site says it of its best detection.
    let sites = run.layer("sites");
    let (site, _) = sites.nearest(place);
    assert_eq!(site.number("cloud"), 1.0);
    assert_eq!(site.text("cloud_class"), "cloud");
    // The model saw the chips, but the mask says that it saw a cloud: silence there means nothing.
    let cloud = run.layer("coverage").area_km2("cloud");
    assert!((cloud - 3.84).abs() < 0.04, "{cloud} km2");
}

#[test]
fn a_box_half_under_cloud_says_so() {
    let space = Workspace::new();
    let fixture = scene(&space);
    // The edge of the cloud runs through the middle of the first blob.
    let patch = [([0, 0, 120, 320], 1)];
    write_mask(&space, "mask.tif", (480, 320), Some(UTM), 0, &patch);
    let run = space.scan("a.tif --cloud-mask mask.tif --max-cloud 1");
    let place = blob_places(&space, "a.tif", &fixture.blobs)[0];
    let detections = run.layer("detections");
    let share = detections.nearest(place).0.number("cloud");
    assert!((share - 0.5).abs() < 0.06, "{share}");
}

#[test]
fn a_mask_in_another_grid_lies_where_gdal_puts_it() {
    let space = Workspace::new();
    quarters(&space);
    let folder = space.path("");
    // Degrees, and finer than the scene.
    let warp = "gdalwarp -q -r near -t_srs EPSG:4326 -tr 0.00005 0.00005 -dstnodata 0 a_SCL.tif degrees_SCL.tif";
    gdal_tool(&folder, warp.split(' '), "");
    let same = space.scan_into("same", "a.tif --cloud-mask a_SCL.tif");
    let other = space.scan_into("other", "a.tif --cloud-mask degrees_SCL.tif");
    for status in ["cloud", "scanned"] {
        let area = |run: &Run| run.layer("coverage").area_km2(status);
        let (a, b) = (area(&same), area(&other));
        assert!((a - b).abs() < 0.03, "{status}: {a} and {b} km2");
    }
    let flags = |run: &Run| -> Vec<String> {
        let detections = run.layer("detections").features;
        (detections
            .iter()
            .map(|d| d.properties["cloud_class"].to_string()))
        .collect()
    };
    assert_eq!(flags(&same), flags(&other));
}

#[test]
fn a_mask_may_be_a_band_of_the_scene_or_stand_beside_each_scene_or_have_no_place() {
    let space = Workspace::new();
    quarters(&space);
    let expected = space
        .scan_into("expected", "a.tif --cloud-mask a_SCL.tif")
        .results();
    let same_layers = |out: &str, options: &str| {
        let results = space.scan_into(out, options).results();
        assert_eq!(results[..4], expected[..4], "{options}");
    };
    same_layers("beside", "a.tif --cloud-mask {scene}_SCL.tif");
    // The same values by number.
    same_layers("listed", "a.tif --cloud-mask a_SCL.tif --cloud-codes scl");

    let folder = space.path("");
    let twice = "gdal_translate -q -r nearest -outsize 200% 200% a_SCL.tif SCL10.tif";
    gdal_tool(&folder, twice.split(' '), "");
    gdal_tool(
        &folder,
        "gdal_translate -q -of PNG SCL10.tif bare_SCL.png".split(' '),
        "",
    );
    for extra in ["bare_SCL.png.aux.xml", "bare_SCL.wld"] {
        drop(std::fs::remove_file(space.path(extra)));
    }
    same_layers("bare", "a.tif --cloud-mask bare_SCL.png");

    std::fs::create_dir(space.path("stack")).unwrap();
    let stack = "gdalbuildvrt -q -separate stack/a.vrt a.tif a.tif a.tif SCL10.tif";
    gdal_tool(&folder, stack.split(' '), "");
    // `gdalbuildvrt -separate` takes the first band of each.
    let colours = std::fs::read_to_string(space.path("stack/a.vrt")).unwrap();
    let mut band = 0;
    let bands: String = colours
        .lines()
        .map(|line| {
            if line.contains("<SourceBand>") {
                band += 1;
                let number = if band < 4 { band } else { 1 };
                format!("<SourceBand>{number}</SourceBand>\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    space.write("stack/a.vrt", bands);
    same_layers(
        "band",
        "stack/a.vrt --bands 1,2,3 --cloud-mask band:4 --cloud-codes scl",
    );
}

#[test]
fn any_values_may_be_cloud() {
    let space = Workspace::new();
    let fixture = scene(&space);
    let patches = [([0, 0, 240, 160], 2), ([240, 0, 480, 160], 7)];
    write_mask(&space, "mask.tif", (480, 320), Some(UTM), 1, &patches);
    let places = blob_places(&space, "a.tif", &fixture.blobs);
    for (codes, flagged) in [
        ("2", [true, false, false, false]),
        ("2,7", [true, true, false, false]),
    ] {
        let run = space.scan(&format!(
            "a.tif --cloud-mask mask.tif --cloud-codes {codes} --max-cloud 1 --fresh"
        ));
        let detections = run.layer("detections");
        let found = places
            .iter()
            .map(|p| detections.nearest(*p).0.number("cloud") > 0.5);
        assert_eq!(found.collect::<Vec<_>>(), flagged, "{codes}");
    }
}

#[test]
fn without_a_mask_nothing_is_said_of_clouds() {
    let space = Workspace::new();
    scene(&space);
    let run = space.scan("a.tif");
    assert_eq!(run.layer("detections").len(), BLOBS.len());
    for detection in run.layer("detections").features {
        assert!(detection.properties["cloud"].is_null());
        assert!(detection.properties["cloud_class"].is_null());
    }
}

#[test]
fn empty_pixels_are_not_cloud_and_count_neither_way() {
    let space = Workspace::new();
    let mut fixture = Fixture::new((480, 320), vec![blob(360.0, 80.0)]);
    fixture.holes = vec![[0, 0, 240, 320]];
    fixture.write(&space, "a.tif");
    let patch = [([0, 160, 480, 320], 1)];
    write_mask(&space, "mask.tif", (480, 320), Some(UTM), 0, &patch);
    let coverage = space.scan("a.tif --cloud-mask mask.tif").layer("coverage");
    for (status, expected) in [("nodata", 7.68), ("cloud", 3.84), ("scanned", 3.84)] {
        let area = coverage.area_km2(status);
        assert!((area - expected).abs() < 0.05, "{status}: {area} km2");
    }
}

#[test]
fn a_scan_that_is_continued_keeps_its_clouds_and_refuses_other_ones() {
    let space = Workspace::new();
    quarters(&space);
    let options = "a.tif --cloud-mask a_SCL.tif";
    let first = space.scan(options).results();
    let again = space.run(&format!("scan --model blob --out run {options}"));
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(space.read_run("run").results(), first);
    write_mask(
        &space,
        "a_SCL.tif",
        (240, 160),
        Some(coarser(2.0)),
        CLOUD,
        &[],
    );
    let outcome = space.run(&format!("scan --model blob --out run {options}"));
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("cloud mask `a_SCL.tif`"),
        "{outcome:?}"
    );
    let outcome = space.run("scan --model blob --out run a.tif --cloud-mask none");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

#[test]
fn a_mask_that_cannot_be_used_is_said_in_one_line() {
    let space = Workspace::new();
    scene(&space);
    write_mask(
        &space,
        "far.tif",
        (100, 100),
        Some((32644, [900_000.0, 10.0, 0.0, 3e6, 0.0, -10.0])),
        0,
        &[],
    );
    write_mask(&space, "small.tif", (100, 100), None, 0, &[]);
    let mut table = String::new();
    for mask in [
        "gone.tif",
        "{scene}_gone.tif",
        "far.tif",
        "small.tif",
        "band:SCL",
    ] {
        use std::fmt::Write;
        let outcome = space.run(&format!(
            "scan a.tif --model blob --out run --cloud-mask {mask}"
        ));
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        writeln!(
            table,
            "{mask}\n  {}  {}",
            outcome.code.unwrap(),
            outcome.stderr.trim_end()
        )
        .unwrap();
    }
    insta::assert_snapshot!(table);
}
