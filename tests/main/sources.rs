//! What may be named as a scene: formats, containers, lists, patterns; and where dates come from.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::fixture::{Fixture, field};
use crate::harness::{Run, Workspace, gdal_tool};

/// A scene of bytes in `a.tif` and the run that scans it.
fn with_scene() -> (Workspace, Run) {
    let space = Workspace::new();
    Fixture::new((160, 120), field((160, 120), 50.0, 80)).write(&space, "a.tif");
    let run = space.scan_into("plain", "a.tif");
    assert!(run.layer("sites").len() >= 4);
    (space, run)
}

fn translate(space: &Workspace, options: &str, to: &str) {
    let arguments = ["gdal_translate", "-q"]
        .into_iter()
        .chain(options.split(' '));
    gdal_tool(&space.path(""), arguments.chain(["a.tif", to]), "");
}

/// The layers of two runs of one scene are the same.
fn assert_same(one: &Run, other: &Run, what: &str) {
    for layer in crate::harness::LAYERS {
        let file = format!("{layer}.geojson");
        assert_eq!(one.bytes(&file), other.bytes(&file), "{what}: {layer}");
    }
}

fn paths(run: &Run) -> Value {
    let record = run.record();
    let scenes = record["scenes"].as_array().unwrap();
    scenes.iter().map(|scene| scene["path"].clone()).collect()
}

#[test]
fn formats_without_loss_give_the_bytes_of_the_geotiff() {
    let (space, plain) = with_scene();
    for (options, folder, name) in [
        (
            "-of JP2OpenJPEG -co QUALITY=100 -co REVERSIBLE=YES",
            "jp2",
            "a.jp2",
        ),
        ("-of HFA", "img", "a.img"),
        ("-of COG", "cog", "a.tif"),
        ("-of VRT", "vrt", "a.vrt"),
        ("-of netCDF -co WRITE_BOTTOMUP=NO", "nc", "a.nc"),
        ("-of Zarr", "zarr", "a.zarr"),
    ] {
        std::fs::create_dir(space.path(folder)).unwrap();
        let path = format!("{folder}/{name}");
        translate(&space, options, &path);
        let run = space.scan_into(&format!("run-{folder}"), &path);
        assert_same(&plain, &run, name);
        assert_eq!(paths(&run), json!([path]));
        assert_ne!(run.record()["scenes"][0]["content"], "", "{name}");
        // The folder stands for what is in it.
        let run = space.scan_into(&format!("all-{folder}"), folder);
        assert_same(&plain, &run, name);
    }
}

#[test]
fn an_mbtiles_file_gives_its_sites_where_they_are() {
    let space = Workspace::new();
    // A zoom level of MBTiles: pixels of 9.55 m at the equator.
    let pixel = 9.554_628_535_647_032;
    let corner = -10.0 * 256.0 * pixel;
    let mut fixture = Fixture::new((256, 256), field((256, 256), 60.0, 81)).at(
        3857,
        [corner, pixel, 0.0, 10.0 * 256.0 * pixel, 0.0, -pixel],
    );
    fixture.bands = vec![("", 1.0); 3];
    fixture.write(&space, "a.tif");
    let plain = space.scan_into("plain", "a.tif");
    translate(&space, "-of MBTiles -co TILE_FORMAT=PNG", "b.mbtiles");
    let run = space.scan_into("run", "b.mbtiles");
    let (expected, found) = (plain.layer("sites"), run.layer("sites"));
    assert!(!expected.features.is_empty());
    assert_eq!(expected.len(), found.len());
    for site in &expected.features {
        let (_, metres) = found.nearest(site.middle());
        assert!(metres < 2.0, "{metres} m");
    }
}

#[test]
fn containers_give_the_parts_that_are_named_like_the_bands() {
    let (space, plain) = with_scene();
    // GDAL calls the variables Band1 to Band3: give them names, of a length that fits into the place of theirs.
    translate(&space, "-of netCDF -co WRITE_BOTTOMUP=NO", "a.nc");
    let mut bytes = std::fs::read(space.path("a.nc")).unwrap();
    for (old, new) in [("1", "swir22"), ("2", "nir08\0"), ("3", "swir16")] {
        let old = format!("\0\0\0\u{5}Band{old}\0\0\0");
        let length = char::from(new.trim_end_matches('\0').len() as u8);
        let new = format!("\0\0\0{length}{new}\0\0");
        let at = bytes
            .windows(old.len())
            .position(|w| w == old.as_bytes())
            .unwrap();
        bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
    }
    std::fs::create_dir(space.path("named")).unwrap();
    space.write("named/a.nc", &bytes);
    let run = space.scan_into("netcdf", "named/a.nc --bands swir22,nir08,swir16");
    assert_same(&plain, &run, "netCDF");

    let mut arrays = String::new();
    for (number, name) in [("1", "red"), ("2", "B03"), ("3", "blue")] {
        let file = format!("{name}.nc");
        translate(
            &space,
            &format!("-of netCDF -co WRITE_BOTTOMUP=NO -b {number}"),
            &file,
        );
        write!(
            arrays,
            "{}",
            array(name, "Byte", &["y", "x"], &file, "Band1")
        )
        .unwrap();
    }
    let axes = ["y", "x"]
        .map(|axis| array(axis, "Float64", &[axis], "red.nc", axis))
        .concat();
    space.write(
        "all.vrt",
        format!(
            "<VRTDataset><Group name=\"/\"><Dimension name=\"y\" size=\"120\" type=\"HORIZONTAL_Y\" indexingVariable=\"y\"/><Dimension name=\"x\" size=\"160\" type=\"HORIZONTAL_X\" indexingVariable=\"x\"/>{axes}{arrays}</Group></VRTDataset>"
        ),
    );
    gdal_tool(
        &space.path(""),
        ["gdalmdimtranslate", "-of", "Zarr", "all.vrt", "a.zarr"],
        "",
    );
    assert_same(&plain, &space.scan_into("zarr", "a.zarr"), "Zarr");

    for container in ["named/a.nc", "a.zarr"] {
        let outcome = space.run(&format!(
            "scan {container} --model blob --workers 1 --out run --bands coastal,nir,swir22"
        ));
        assert_eq!(
            (outcome.code, outcome.stderr.lines().count()),
            (Some(1), 1),
            "{outcome:?}"
        );
        let expected = format!(
            "`{container}` holds several rasters, and their names do not tell which has coastal, nir, swir22: name one of them (`"
        );
        assert!(outcome.stderr.contains(&expected), "{outcome:?}");
    }
}

/// An array of a multidimensional virtual raster.
fn array(name: &str, data_type: &str, dimensions: &[&str], file: &str, from: &str) -> String {
    let mut references = String::new();
    for dimension in dimensions {
        write!(references, "<DimensionRef ref=\"{dimension}\"/>").unwrap();
    }
    format!(
        "<Array name=\"{name}\"><DataType>{data_type}</DataType>{references}<SRS dataAxisToSRSAxisMapping=\"2,1\">EPSG:32644</SRS><Source><SourceFilename relativetoVRT=\"1\">{file}</SourceFilename><SourceArray>/{from}</SourceArray></Source></Array>"
    )
}

#[test]
fn a_list_names_scenes_lines_apart() {
    let space = Workspace::new();
    std::fs::create_dir_all(space.path("data/deep")).unwrap();
    let fixture = Fixture::new((96, 80), field((96, 80), 40.0, 82));
    for name in ["a", "b", "deep/c", "deep/d"] {
        fixture.write(&space, &format!("data/{name}.tif"));
    }
    space.write(
        "data/scenes.txt",
        "\u{feff}# all of them\r\n\na.tif  \n  deep/*.tif\n@more.lst\n",
    );
    space.write("data/more.lst", "b.tif\ngone.tif\n@scenes.txt\n");
    let all = json!([
        "data/a.tif",
        "data/b.tif",
        "data/deep/c.tif",
        "data/deep/d.tif"
    ]);
    for argument in ["data/scenes.txt", "@data/scenes.txt"] {
        let outcome = space.run(&format!(
            "scan {argument} --model blob --workers 1 --out run --fresh"
        ));
        assert_eq!(outcome.code, Some(3), "{outcome:?}");
        let run = space.read_run("run");
        assert_eq!(paths(&run), all);
        let failures = run.record()["failures"].clone();
        assert_eq!(failures.as_array().unwrap().len(), 2, "{failures}");
        assert!(
            failures[0]["reason"]
                .as_str()
                .unwrap()
                .contains("`data/gone.tif` does not exist")
        );
        assert!(
            failures[1]["reason"]
                .as_str()
                .unwrap()
                .contains("lists name each other")
        );
    }
    let mut table = String::new();
    space.write("empty.txt", "# nothing\n");
    space.write("binary.txt", [0xff, 0xfe, 0x00]);
    for argument in ["empty.txt", "binary.txt", "@gone.txt"] {
        let outcome = space.run(&format!(
            "scan {argument} --model blob --workers 1 --out none"
        ));
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        writeln!(table, "{}", outcome.stderr.trim_end()).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_scene_that_could_not_be_opened_joins_in_when_it_can() {
    let space = Workspace::new();
    let fixture = |seed| Fixture::new((120, 100), field((120, 100), 45.0, seed));
    // Of three scenes of one name, the middle one is broken at first.
    for (folder, seed) in [("x", 83), ("y", 84), ("z", 85)] {
        std::fs::create_dir(space.path(folder)).unwrap();
        fixture(seed).write(&space, &format!("{folder}/s.tif"));
    }
    let whole = std::fs::read(space.path("y/s.tif")).unwrap();
    space.write("y/s.tif", &whole[..100]);
    let command = "scan x y z --model blob --workers 2 --out";
    let outcome = space.run(&format!("{command} run"));
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    space.write("y/s.tif", &whole);
    for out in ["run", "fine"] {
        let outcome = space.run(&format!("{command} {out}"));
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    assert_eq!(
        space.read_run("run").results(),
        space.read_run("fine").results()
    );

    // What was never named is still another scan; what is gone stands as it was found.
    let outcome = space.run(&format!("{command} run plain.tif"));
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    fixture(86).write(&space, "w.tif");
    let outcome = space.run("scan w.tif x y z --model blob --workers 2 --out run");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("scene `w` was not there, now added"),
        "{outcome:?}"
    );
    let before = space.read_run("fine").results();
    std::fs::remove_file(space.path("z/s.tif")).unwrap();
    space.write("z/s.tif", "no picture");
    let outcome = space.run(&format!("{command} fine"));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(before, space.read_run("fine").results());
}

#[test]
fn a_change_in_a_file_behind_a_virtual_raster_is_noticed() {
    let (space, _) = with_scene();
    translate(&space, "-of VRT", "v.vrt");
    space.scan_into("run", "v.vrt");
    Fixture::new((160, 120), field((160, 120), 50.0, 87)).write(&space, "a.tif");
    let outcome = space.run("scan v.vrt --model blob --workers 1 --out run");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains("scene `v` was 2 files"),
        "{outcome:?}"
    );
}

#[test]
fn statistics_beside_a_scene_do_not_make_it_another() {
    let (space, _) = with_scene();
    gdal_tool(&space.path(""), ["gdalinfo", "-stats", "a.tif"], "");
    assert!(space.path("a.tif.aux.xml").exists());
    let outcome = space.run("scan a.tif --model blob --workers 1 --out plain");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn dates_come_from_where_they_are_stated_best() {
    let space = Workspace::new();
    let fixture = Fixture::new((96, 80), field((96, 80), 40.0, 88));
    let date = |name: &str, options: &str| {
        let run = space.scan_into("run", &format!("{name} --fresh {options}"));
        let scene = run.record()["scenes"][0].clone();
        (scene["date"].clone(), scene["date_origin"].clone())
    };
    fixture.write(&space, "LC08_L2SP_145041_20240131_20240208_02_T1.tif");
    fixture.write(&space, "tile_12345678.tif");
    let mut tagged = fixture.clone();
    tagged.date = Some("2023:03:04 05:06:07");
    tagged.write(&space, "20240131_053021_planet.tif");
    tagged.write(&space, "b.tif");
    gdal_tool(
        &space.path(""),
        [
            "gdal_translate",
            "-q",
            "-mo",
            "ACQUISITION_DATETIME=2022-02-03T04:05:06Z",
            "b.tif",
            "c.tif",
        ],
        "",
    );
    let landsat = "LC08_L2SP_145041_20240131_20240208_02_T1.tif";
    assert_eq!(date(landsat, ""), (json!("2024-01-31"), json!("file_name")));
    assert_eq!(date("tile_12345678.tif", ""), (Value::Null, Value::Null));
    assert_eq!(
        date("20240131_053021_planet.tif", ""),
        (json!("2023-03-04"), json!("file_metadata"))
    );
    assert_eq!(
        date("c.tif", ""),
        (json!("2022-02-03"), json!("file_metadata"))
    );
    assert_eq!(
        date("c.tif", "--date 2021-01-01"),
        (json!("2021-01-01"), json!("given"))
    );
}
