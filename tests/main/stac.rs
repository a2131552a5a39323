//! STAC Items, collections of Items and catalogues, on disk and on a web server.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{Fixture, field};
use crate::harness::{Outcome, Run, Workspace, gdal_tool};
use crate::remote::kept;
use crate::server::{Fault, Server};

const COG: &str = "image/tiff; application=geotiff; profile=cloud-optimized";

/// Single-band files `stac/NAME/red.tif`, `green.tif`, `blue.tif` and `scl.tif` of a made-up scene, which is also
/// at `NAME.tif`.
fn write_bands(space: &Workspace, name: &str, seed: u64) {
    let mut fixture = Fixture::new((120, 100), field((120, 100), 50.0, seed));
    fixture.bands = vec![("red", 1.0), ("green", 1.0), ("blue", 1.0)];
    fixture.write(space, &format!("{name}.tif"));
    let folder = format!("stac/{name}");
    std::fs::create_dir_all(space.path(&folder)).unwrap();
    for (number, band) in [("1", "red"), ("2", "green"), ("3", "blue"), ("1", "scl")] {
        let (from, to) = (format!("{name}.tif"), format!("{folder}/{band}.tif"));
        let mut arguments = vec!["gdal_translate", "-q", "-b", number];
        if band == "scl" {
            arguments.extend(["-scale", "0", "255", "4", "4", "-outsize", "50%", "50%"]);
        }
        arguments.extend([from.as_str(), &to]);
        gdal_tool(&space.path(""), arguments, "");
    }
}

/// An Item of those files, with references relative to `stac/NAME/`.
fn item(name: &str, day: &str) -> Value {
    let band = |common: &str, name: &str| {
        json!({"href": format!("./{common}.tif"), "type": COG, "roles": ["data"],
            "eo:bands": [{"name": name, "common_name": common}],
            "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": -0.1}]})
    };
    json!({
        "type": "Feature", "stac_version": "1.0.0", "id": name,
        "properties": {"datetime": format!("{day}T05:30:21.024Z"), "platform": "sentinel-2b",
            "s2:processing_baseline": "05.10"},
        "geometry": null,
        "links": [{"rel": "root", "href": "../catalog.json"}],
        "assets": {
            "red": band("red", "B04"), "green": band("green", "B03"), "blue": band("blue", "B02"),
            "scl": {"href": "scl.tif", "type": COG, "roles": ["data"]},
            "visual": {"href": "TCI.tif", "type": COG, "roles": ["visual"]},
            "thumbnail": {"href": "preview.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
        },
    })
}

/// A catalogue of two Items, one of them in a collection, that leads back to itself, and to nothing.
fn write_catalogue(space: &Workspace) {
    write_bands(space, "one", 90);
    write_bands(space, "two", 91);
    space.write("stac/one/one.json", item("one", "2024-01-31").to_string());
    space.write("stac/two/two.json", item("two", "2023-11-20").to_string());
    let link = |rel: &str, href: &str| json!({"rel": rel, "href": href});
    space.write(
        "stac/catalog.json",
        json!({"type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "",
            "links": [link("self", "catalog.json"), link("root", "catalog.json"),
                link("child", "./collection.json"), link("item", "two/two.json")]})
        .to_string(),
    );
    space.write(
        "stac/collection.json",
        json!({"type": "Collection", "stac_version": "1.0.0", "id": "s2", "description": "",
            "links": [link("parent", "catalog.json"), link("item", "one/one.json"),
                link("item", "two/../two/two.json"), link("child", "catalog.json")]})
        .to_string(),
    );
}

fn scan(space: &Workspace, rest: &str) -> Outcome {
    let mut command = space.command(&format!("scan --model blob --workers 1 {rest}"));
    command
        .env("no_proxy", "127.0.0.1")
        .env("GDAL_HTTP_RETRY_DELAY", "0.05");
    let output = command.env("GDAL_HTTP_MAX_RETRY", "1").output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn scenes(run: &Run, key: &str) -> Value {
    let record = run.record();
    let scenes = record["scenes"].as_array().unwrap();
    scenes.iter().map(|scene| scene[key].clone()).collect()
}

#[test]
fn an_item_gives_the_detections_of_its_bands_and_says_what_it_knows() {
    let space = Workspace::new();
    write_catalogue(&space);
    let plain = space.scan_into("plain", "one.tif --date 2024-01-31 --scale 1 --offset 0");
    assert!(plain.layer("sites").len() >= 4);
    let run = space.scan_into(
        "run",
        "stac/one/one.json --scale 1 --offset 0 --cloud-mask none",
    );
    for layer in crate::harness::LAYERS {
        let file = format!("{layer}.geojson");
        assert_eq!(plain.bytes(&file), run.bytes(&file));
    }
    let run = space.scan_into("cloudy", "stac/one/one.json --scale 1 --offset 0");
    let record = run.record();
    let scene = &record["scenes"][0];
    assert_eq!(scene["id"], "one");
    assert_eq!(scene["path"], "stac/one/one.json");
    assert_eq!(
        (&scene["date"], &scene["date_origin"]),
        (&json!("2024-01-31"), &json!("stac"))
    );
    assert_eq!(
        scene["scaling"],
        json!(vec![json!({"scale": 0.0001, "offset": -0.1}); 3])
    );
    assert_eq!(scene["scaling_note"], "STAC Item: offset -0.1");
    assert_eq!(scene["clouds"]["raster"], "stac/one/scl.tif");
}

#[test]
fn a_flag_that_the_offset_is_applied_is_followed_and_said() {
    let space = Workspace::new();
    write_bands(&space, "one", 90);
    let mut flagged = item("one", "2024-01-31");
    flagged["properties"]["earthsearch:boa_offset_applied"] = true.into();
    space.write("stac/one/one.json", flagged.to_string());
    let outcome = scan(&space, "stac/one/one.json --scale 1 --offset 0 --out run");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        outcome.stderr.contains("`stac/one/one.json`: STAC Item: offset -0.1 not used, since earthsearch:boa_offset_applied is true"),
        "{outcome:?}"
    );
    let record = space.read_run("run").record();
    assert_eq!(record["scenes"][0]["scaling"][0]["offset"], 0.0);
}

#[test]
fn a_catalogue_stands_for_its_items_each_once() {
    let space = Workspace::new();
    write_catalogue(&space);
    let run = space.scan_into("local", "stac/catalog.json --scale 1 --offset 0");
    assert_eq!(
        scenes(&run, "path"),
        json!(["stac/one/one.json", "stac/two/two.json"])
    );
    assert_eq!(scenes(&run, "date"), json!(["2024-01-31", "2023-11-20"]));

    // The same on a web server, where everything is relative to it; a second time through a cache.
    let server = Server::web(&space.path("stac"));
    for (out, cache) in [("web", ""), ("cached", "--cache kept")] {
        let url = server.url("catalog.json");
        let outcome = scan(
            &space,
            &format!("{url} --scale 1 --offset 0 --out {out} {cache}"),
        );
        assert_eq!(
            (outcome.code, outcome.stderr.as_str()),
            (Some(0), ""),
            "{outcome:?}"
        );
        let web = space.read_run(out);
        assert_eq!(
            scenes(&web, "path"),
            json!([server.url("one/one.json"), server.url("two/two.json")])
        );
        for layer in crate::harness::LAYERS {
            let file = format!("{layer}.geojson");
            assert_eq!(run.bytes(&file), web.bytes(&file));
        }
    }
    // Four files of each Item, each with its note.
    assert_eq!(kept(&space, "").len(), 16);
}

#[test]
fn links_that_lead_nowhere_are_named_and_the_rest_is_scanned() {
    let space = Workspace::new();
    write_catalogue(&space);
    std::fs::remove_file(space.path("stac/two/two.json")).unwrap();
    let server = Server::web(&space.path("stac"));
    for (root, reason) in [
        ("stac".to_owned(), "`stac/two/two.json` does not exist"),
        (server.url(""), "two/two.json` is not there"),
    ] {
        let root = root.trim_end_matches('/');
        let outcome = scan(
            &space,
            &format!("{root}/catalog.json --scale 1 --offset 0 --out run --fresh"),
        );
        assert_eq!(outcome.code, Some(3), "{outcome:?}");
        let record = space.read_run("run").record();
        assert_eq!(record["counts"]["scenes"], 1);
        let failures = record["failures"].as_array().unwrap();
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert!(
            failures[0]["reason"].as_str().unwrap().contains(reason),
            "{failures:?}"
        );
    }
}

#[test]
fn a_part_of_a_catalogue_that_is_away_joins_in_later() {
    let space = Workspace::new();
    write_catalogue(&space);
    // Only the collection leads to the first Item.
    let server = Server::web(&space.path("stac"));
    server.fault("collection.json", Fault::Status(503, usize::MAX));
    let command = |out: &str| {
        format!(
            "{} --scale 1 --offset 0 --out {out}",
            server.url("catalog.json")
        )
    };
    let outcome = scan(&space, &command("run"));
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    server.mend();
    for out in ["run", "fine"] {
        let outcome = scan(&space, &command(out));
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    assert_eq!(
        space.read_run("run").results(),
        space.read_run("fine").results()
    );
    // Away again, the Items cannot be found: later, not never.
    server.fault("catalog.json", Fault::Status(503, usize::MAX));
    assert_eq!(scan(&space, &command("run")).code, Some(75));
    server.mend();
    server.fault("collection.json", Fault::Status(503, usize::MAX));
    let outcome = scan(&space, &command("run"));
    assert_eq!(outcome.code, Some(75), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("not all scenes of this scan can be reached"),
        "{outcome:?}"
    );
}

#[test]
fn items_outside_the_area_of_interest_are_passed_over_before_their_files_are_asked_for() {
    let space = Workspace::new();
    write_catalogue(&space);
    // Where the scenes lie, and a catalogue of one Item there, one elsewhere, one that tells no place, and one
    // elsewhere whose files are gone.
    let coverage = space.scan_into("where", "one.tif").layer("coverage");
    let here = coverage.document["bbox"].clone();
    let [west, south, east, north] = serde_json::from_value::<[f64; 4]>(here.clone()).unwrap();
    let placed = |name: &str, bounds: Value, geometry: Value| {
        let mut item = item(name, "2024-01-31");
        (item["bbox"], item["geometry"]) = (bounds, geometry);
        item
    };
    let away = json!([west + 3.0, south, east + 3.0, north]);
    let ring = json!([[[west, south], [east, south], [east, north], [west, south]]]);
    let polygon = json!({"type": "Polygon", "coordinates": ring});
    let write = |name: &str, id: &str, bounds: Value, geometry: Value| {
        let item = placed(id, bounds, geometry);
        std::fs::create_dir_all(space.path(format!("stac/{id}"))).unwrap();
        space.write(&format!("stac/{id}/{name}.json"), item.to_string());
    };
    write("boxed", "one", here, Value::Null);
    write("drawn", "two", Value::Null, polygon);
    write("afar", "two", away.clone(), Value::Null);
    write("gone", "three", away.clone(), Value::Null);
    write("placeless", "one", Value::Null, Value::Null);
    let catalogue = |items: &[&str]| {
        let links: Vec<Value> = (items.iter())
            .map(|href| json!({"rel": "item", "href": href}))
            .collect();
        json!({"type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "", "links": links})
            .to_string()
    };
    space.write(
        "stac/catalog.json",
        catalogue(&[
            "one/boxed.json",
            "two/drawn.json",
            "two/afar.json",
            "three/gone.json",
            "one/placeless.json",
        ]),
    );
    space.write(
        "stac/elsewhere.json",
        catalogue(&["two/afar.json", "three/gone.json"]),
    );
    let aoi = format!("{west},{south},{east},{north}");
    let server = Server::web(&space.path("stac"));
    let command = |catalogue: &str, rest: &str| {
        let url = server.url(catalogue);
        scan(
            &space,
            &format!("{url} --scale 1 --offset 0 --aoi {aoi} {rest}"),
        )
    };
    let outcome = command("catalog.json", "--out run");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(
        outcome.stderr, "2 STAC Items outside the area of interest passed over\n",
        "{outcome:?}"
    );
    let names = |run: &Run| scenes(run, "path").as_array().unwrap().len();
    assert_eq!(names(&space.read_run("run")), 3);
    let log = server.log();
    assert!(log.iter().any(|line| line.contains("three/gone.json")));
    assert!(
        !log.iter().any(|line| line.contains("three/red.tif")),
        "{log:?}"
    );

    // Nothing else left: as for an area that no scene touches.
    let outcome = command("elsewhere.json", "--out none");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let last = outcome.stderr.lines().last().unwrap();
    assert!(
        last.contains("touches no scene: check its coordinates"),
        "{outcome:?}"
    );
    assert!(!space.path("none").exists());
}

#[test]
fn documents_items_and_scenes_on_a_slow_server_are_waited_for_together() {
    let space = Workspace::new();
    write_bands(&space, "one", 90);
    let names: Vec<String> = (0..10).map(|i| format!("n{i}")).collect();
    let link = |href: String| json!({"rel": "item", "href": href});
    let catalogue = |ending: &str| {
        let links: Vec<Value> = (names.iter())
            .map(|name| link(format!("one/{name}{ending}.json")))
            .collect();
        json!({"type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "", "links": links})
            .to_string()
    };
    let mut gone = Vec::new();
    for name in &names {
        let mut item = item(name, "2024-01-31");
        space.write(&format!("stac/one/{name}.json"), item.to_string());
        item["bbox"] = json!([0, 0, 1, 1]);
        space.write(&format!("stac/one/{name}-afar.json"), item.to_string());
        item["bbox"] = Value::Null;
        for asset in item["assets"].as_object_mut().unwrap().values_mut() {
            asset["href"] = format!("{name}.tif").into();
        }
        gone.push(item);
    }
    space.write("stac/afar.json", catalogue("-afar"));
    space.write("stac/fine.json", catalogue(""));
    let page = json!({"type": "FeatureCollection", "features": gone});
    space.write("stac/gone.json", page.to_string());
    std::fs::create_dir(space.path("stac/rasters")).unwrap();
    for name in &names {
        let copy = space.path(format!("stac/rasters/{name}.tif"));
        std::fs::copy(space.path("one.tif"), copy).unwrap();
    }
    space.write("stac/rasters/list.txt", names.join(".tif\n") + ".tif\n");
    let server = Server::web(&space.path("stac"));
    let command = |what: &str, rest: &str| {
        let url = server.url(what);
        scan(&space, &format!("{url} --scale 1 --offset 0 {rest}"))
    };
    // As fast as it can, then slowly: the same.
    assert_eq!(command("fine.json", "--out quick").code, Some(0));
    server.delay(Duration::from_millis(15));
    assert_eq!(command("fine.json", "--out slow").code, Some(0));
    assert_eq!(
        space.read_run("quick").results(),
        space.read_run("slow").results()
    );
    server.delay(Duration::from_millis(60));
    server.most_open();
    // Documents, whose Items are passed over; Items of one document, whose files are not there; scenes.
    for (what, rest, code) in [
        ("afar.json", "--aoi 70,30,71,31", 1),
        ("gone.json", "", 1),
        ("rasters/list.txt", "", 0),
    ] {
        let outcome = command(what, &format!("{rest} --out other --fresh"));
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        let most = server.most_open();
        assert!((3..=8).contains(&most), "{what}: {most} at once");
    }
}

#[test]
fn collections_of_items_are_read_page_by_page() {
    let space = Workspace::new();
    write_catalogue(&space);
    let relative_to_root = |name: &str, day: &str| {
        let mut item = item(name, day);
        for asset in item["assets"].as_object_mut().unwrap().values_mut() {
            let href = asset["href"]
                .as_str()
                .unwrap()
                .trim_start_matches("./")
                .to_owned();
            asset["href"] = format!("{name}/{href}").into();
        }
        item
    };
    let page = |items: Vec<Value>, links: Value| {
        json!({"type": "FeatureCollection", "features": items, "links": links}).to_string()
    };
    let next = json!([{"rel": "next", "href": "page2.json", "method": "GET"}]);
    space.write(
        "stac/page1.json",
        page(vec![relative_to_root("one", "2024-01-31")], next),
    );
    space.write(
        "stac/page2.json",
        page(vec![relative_to_root("two", "2023-11-20")], json!([])),
    );
    let run = space.scan_into("run", "stac/page1.json --scale 1 --offset 0");
    assert_eq!(scenes(&run, "id"), json!(["one", "two"]));
    assert_eq!(
        scenes(&run, "path"),
        json!(["stac/page1.json#one", "stac/page2.json#two"])
    );
}

#[test]
fn bands_of_stac_1_1_and_of_one_file_are_found() {
    let space = Workspace::new();
    write_bands(&space, "one", 90);
    let plain = space.scan_into("plain", "one.tif --date 2024-01-31 --scale 1 --offset 0");
    let band = |name: &str| json!({"name": name, "eo:common_name": name});
    let of = |assets: Value| {
        json!({"type": "Feature", "stac_version": "1.1.0", "id": "one",
            "properties": {"datetime": "2024-01-31T00:00:00Z"}, "assets": assets})
        .to_string()
    };
    space.write(
        "listed.json",
        of(json!({"image": {"href": "one.tif", "type": "image/tiff", "bands": [band("red"), band("green"), band("blue")]}})),
    );
    space.write(
        "unlisted.json",
        of(json!({"image": {"href": "one.tif", "type": "image/tiff"}})),
    );
    for name in ["listed", "unlisted"] {
        let run = space.scan_into(name, &format!("{name}.json --scale 1 --offset 0"));
        for layer in crate::harness::LAYERS {
            let file = format!("{layer}.geojson");
            assert_eq!(plain.bytes(&file), run.bytes(&file), "{name}");
        }
    }
}

#[test]
fn documents_that_cannot_be_used_say_why() {
    let space = Workspace::new();
    write_catalogue(&space);
    let mut table = String::new();
    let mut add = |what: &str, rest: &str| {
        let outcome = scan(&space, &format!("{rest} --out run"));
        assert_eq!(
            (outcome.code, outcome.stderr.lines().count()),
            (Some(1), 1),
            "{outcome:?}"
        );
        writeln!(table, "{what}\n  {}", outcome.stderr.trim_end()).unwrap();
    };
    add("a document that is not there", "gone.json");
    space.write("half.json", "{\"type\": \"Feature\", ");
    add("half a document", "half.json");
    space.write("other.json", "{\"places\": []}");
    add("JSON of another kind", "other.json");
    space.write(
        "geo.json",
        "{\"type\": \"Feature\", \"geometry\": null, \"properties\": {}}",
    );
    add("a Feature that is no Item", "geo.json");
    space.write(
        "leaf.json",
        "{\"type\": \"Catalog\", \"id\": \"c\", \"links\": []}",
    );
    add("a catalogue of nothing", "leaf.json");
    add(
        "bands that the Item has not",
        "stac/one/one.json --bands nir,swir16,swir22",
    );
    add("bands by number", "stac/one/one.json --bands 3,2,1");
    std::fs::remove_file(space.path("stac/one/green.tif")).unwrap();
    add("a file of the Item that is not there", "stac/one/one.json");
    insta::assert_snapshot!(table);
}
