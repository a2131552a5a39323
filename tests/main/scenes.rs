//! Several scenes of one place.

use kilnsight::geometry::{LonLat, distance_m};

use crate::fixture::{Blob, Fixture, blob, blob_places};
use crate::harness::{Workspace, gdal_tool};

/// Where places lie in the pixels of a raster, by GDAL's own tool.
fn pixels_of(space: &Workspace, raster: &str, places: &[LonLat]) -> Vec<(f64, f64)> {
    use std::fmt::Write;
    let mut input = String::new();
    for place in places {
        writeln!(input, "{} {}", place.lon, place.lat).unwrap();
    }
    let arguments = [
        "gdaltransform",
        "-i",
        "-t_srs",
        "EPSG:4326",
        "-output_xy",
        raster,
    ];
    gdal_tool(&space.path(""), arguments, &input)
        .lines()
        .map(|line| {
            let (x, y) = line.split_once(' ').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        })
        .collect()
}

#[test]
fn scenes_of_two_zones_and_dates_that_show_one_place_make_one_site() {
    let space = Workspace::new();
    // On the boundary of UTM 43 and 44, 78° E, at 27° N.
    let mut west = Fixture::new((300, 200), vec![blob(200.4, 90.2), blob(60.0, 100.0)])
        .at(32643, [797_000.0, 10.0, 0.0, 2_990_000.0, 0.0, -10.0]);
    west.date = Some("2024:03:05 05:30:00");
    west.write(&space, "west.tif");
    let places = blob_places(&space, "west.tif", &west.blobs);

    // The same blob in the grid of the other zone, which is turned against the first by 2.7°.
    let mut east =
        Fixture::new((300, 220), vec![]).at(32644, [201_000.0, 10.0, 0.0, 2_990_500.0, 0.0, -10.0]);
    east.date = Some("2023:11:20 05:30:00");
    east.write(&space, "east.tif");
    let shared = pixels_of(&space, "east.tif", &places[..1])[0];
    assert!(
        (20.0..280.0).contains(&shared.0) && (20.0..200.0).contains(&shared.1),
        "{shared:?}"
    );
    east.blobs = vec![
        Blob {
            height: 160.0,
            ..blob(shared.0, shared.1)
        },
        blob(280.0, 30.0),
    ];
    east.write(&space, "east.tif");

    let run = space.scan("west.tif east.tif");
    let (detections, sites) = (run.layer("detections"), run.layer("sites"));
    assert_eq!((detections.len(), sites.len()), (4, 3));
    let (site, metres) = sites.nearest(places[0]);
    assert!(metres < 2.0, "{metres} m");
    assert_eq!(site.number("detections"), 2.0);
    assert_eq!(
        site.properties["scenes"],
        serde_json::json!(["east", "west"])
    );
    assert_eq!(site.text("first_seen"), "2023-11-20");
    assert_eq!(site.text("last_seen"), "2024-03-05");
    let alone = sites.nearest(places[1]).0;
    assert_eq!(alone.properties["scenes"], serde_json::json!(["west"]));
    assert_eq!(alone.text("first_seen"), "2024-03-05");
}

#[test]
fn scenes_of_one_name_get_ids_of_their_own() {
    let space = Workspace::new();
    let fixture = Fixture::new((96, 96), vec![blob(48.0, 48.0)]);
    for folder in ["spring", "autumn"] {
        std::fs::create_dir(space.path(folder)).unwrap();
        fixture.write(&space, &format!("{folder}/scene.tif"));
    }
    let run = space.scan("spring/scene.tif autumn/scene.tif");
    let record = run.record();
    assert_eq!(record["scenes"][0]["id"], "scene");
    assert_eq!(record["scenes"][0]["path"], "autumn/scene.tif");
    assert_eq!(record["scenes"][1]["id"], "scene-2");
    let sites = run.layer("sites");
    assert_eq!(sites.len(), 1);
    assert_eq!(
        sites.features[0].properties["scenes"],
        serde_json::json!(["scene", "scene-2"])
    );
}

#[test]
fn the_id_of_a_site_is_that_of_its_place_in_every_scan() {
    let space = Workspace::new();
    let both = Fixture::new((200, 120), vec![blob(60.0, 60.0), blob(150.0, 60.0)]);
    both.write(&space, "both.tif");
    let mut one = both.clone();
    one.blobs.remove(0);
    one.write(&space, "one.tif");
    let ids = |run: &str| {
        let sites = space.scan_into(run, &format!("{run}.tif")).layer("sites");
        let place = blob_places(&space, "both.tif", &both.blobs)[1];
        let (site, metres) = sites.nearest(place);
        assert!(metres < 2.0 && distance_m(site.middle(), place) < 2.0);
        site.text("site_id").to_owned()
    };
    assert_eq!(ids("both"), ids("one"));
}
