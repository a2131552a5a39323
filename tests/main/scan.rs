//! A scan from scene to sites: what is written, and whether it is right.

use std::collections::BTreeSet;

use kilnsight::geometry::distance_m;

use crate::fixture::{Fixture, GSD_M, blob, blob_places, field};
use crate::harness::{LAYERS, Workspace};

/// Blobs are found this near to where they are: noise in the scene moves the top of the parabola a little.
const FOUND_WITHIN_M: f64 = 0.15 * GSD_M;

#[test]
fn a_run_directory_holds_what_the_contract_says_and_nothing_else() {
    let space = Workspace::new();
    Fixture::new((200, 150), vec![blob(60.0, 70.0)]).write(&space, "a.tif");
    let run = space.scan("a.tif");
    let names: BTreeSet<String> = std::fs::read_dir(run.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = [
        ".lock",
        "clusters.geojson",
        "coverage.geojson",
        "detections.geojson",
        "ledger.sqlite",
        "run.json",
        "sites.geojson",
    ];
    assert_eq!(names, BTreeSet::from(expected.map(str::to_owned)));
}

#[test]
fn every_blob_is_found_once_and_where_it_is() {
    let space = Workspace::new();
    // Not a multiple of anything, so that the last chips are shifted inwards; blobs fall on every kind of seam.
    let fixture = Fixture::new((403, 317), field((403, 317), 30.0, 1));
    fixture.write(&space, "a.tif");
    let run = space.scan("a.tif");
    let places = blob_places(&space, "a.tif", &fixture.blobs);
    assert!(places.len() > 100);
    for name in ["detections", "sites"] {
        let layer = run.layer(name);
        assert_eq!(layer.len(), places.len(), "{name}");
        let mut found = BTreeSet::new();
        for place in &places {
            let (feature, metres) = layer.nearest(*place);
            assert!(metres < FOUND_WITHIN_M, "{name}: {metres} m");
            found.insert(feature.id.clone().unwrap());
        }
        assert_eq!(found.len(), places.len());
    }
}

#[test]
fn layers_obey_rfc_7946_and_carry_the_properties_of_the_contract() {
    let space = Workspace::new();
    let fixture = Fixture::new((300, 300), field((300, 300), 40.0, 2));
    fixture.write(&space, "a.tif");
    let run = space.scan("a.tif --cluster-min 3");
    for name in LAYERS {
        let layer = run.layer(name);
        assert!(layer.len() > 0, "{name}");
        layer.assert_valid();
    }
    let properties = |name: &str| run.layer(name).features[0].names().join(" ");
    assert_eq!(
        properties("detections"),
        "id class score class_scores scene date chip width_m length_m angle_deg border cloud cloud_class model"
    );
    assert_eq!(
        properties("sites"),
        "site_id class score class_scores lon lat detections scenes first_seen last_seen length_m width_m \
         angle_deg area_m2 cluster_id border cloud cloud_class status"
    );
    assert_eq!(properties("clusters"), "cluster_id sites area_km2");
    assert_eq!(properties("coverage"), "status scene date area_km2");
}

#[test]
fn values_of_a_detection_and_of_its_site_agree_with_each_other_and_with_the_scene() {
    let space = Workspace::new();
    let mut fixture = Fixture::new((128, 128), vec![blob(50.3, 70.8)]);
    fixture.date = Some("2024:01:31 05:00:00");
    fixture.write(&space, "a.tif");
    let run = space.scan("a.tif");
    let (detections, sites) = (run.layer("detections"), run.layer("sites"));
    let (detection, site) = (&detections.features[0], &sites.features[0]);

    assert_eq!(detection.text("scene"), "a");
    assert_eq!(detection.text("date"), "2024-01-31");
    assert_eq!(detection.text("model"), "blob");
    assert_eq!(detection.text("class"), "blob");
    assert_eq!(
        detection.properties["class_scores"]["blob"],
        detection.properties["score"]
    );
    // 12 × 6 pixels of 10 m. The scale of UTM away from its central meridian is off by up to 0.1 %.
    assert!((detection.number("length_m") - 120.0).abs() < 0.15);
    assert!((detection.number("width_m") - 60.0).abs() < 0.15);
    let corners = detection.corners();
    let sides = [0, 1].map(|i| distance_m(corners[i], corners[i + 1]));
    assert!((sides[0].max(sides[1]) - detection.number("length_m")).abs() < 0.1);
    assert!((sides[0].min(sides[1]) - detection.number("width_m")).abs() < 0.1);

    assert_eq!(site.text("first_seen"), "2024-01-31");
    assert_eq!(site.text("last_seen"), "2024-01-31");
    assert_eq!(site.properties["scenes"], serde_json::json!(["a"]));
    assert_eq!(site.number("detections"), 1.0);
    assert!(site.properties["cluster_id"].is_null());
    assert!((site.number("area_m2") - 7200.0).abs() < 15.0);
    for name in ["score", "length_m", "width_m", "angle_deg", "border"] {
        assert_eq!(site.properties[name], detection.properties[name], "{name}");
    }
    let point = kilnsight::geometry::LonLat::new(site.number("lon"), site.number("lat"));
    assert!(distance_m(point, detection.middle()) < 0.02);
}

#[test]
fn clusters_gather_the_sites_that_stand_together() {
    let space = Workspace::new();
    // Three within 2 km of one another, and one 4 km away from all.
    let blobs = [(40.0, 40.0), (140.0, 60.0), (90.0, 180.0), (600.0, 200.0)];
    let fixture = Fixture::new((640, 240), blobs.map(|(x, y)| blob(x, y)).to_vec());
    fixture.write(&space, "a.tif");
    let run = space.scan("a.tif --cluster-distance 2000 --cluster-min 3");
    let (sites, clusters) = (run.layer("sites"), run.layer("clusters"));
    assert_eq!((sites.len(), clusters.len()), (4, 1));
    assert_eq!(clusters.features[0].number("sites"), 3.0);
    let alone: Vec<_> = sites
        .features
        .iter()
        .filter(|s| s.properties["cluster_id"].is_null())
        .collect();
    assert_eq!(alone.len(), 1);
    let far = blob_places(&space, "a.tif", &fixture.blobs[3..])[0];
    assert!(distance_m(alone[0].middle(), far) < FOUND_WITHIN_M);
    let joined = sites
        .features
        .iter()
        .filter(|s| s.properties["cluster_id"] == clusters.features[0].properties["cluster_id"]);
    assert_eq!(joined.count(), 3);
}

#[test]
fn a_model_with_types_tells_the_likeliest() {
    let space = Workspace::new();
    let mut fixture = Fixture::new((128, 96), vec![blob(40.0, 48.0), blob(90.0, 48.0)]);
    fixture.blobs[0].height = 175.0;
    fixture.blobs[1].height = 115.0;
    fixture.write(&space, "a.tif");
    space.succeed("scan a.tif --model blob-typed --out run");
    let sites = space.read_run("run").layer("sites");
    let places = blob_places(&space, "a.tif", &fixture.blobs);
    for (place, kind) in places.into_iter().zip(["bright", "dim"]) {
        let (site, _) = sites.nearest(place);
        assert_eq!(site.text("type"), kind);
        assert!(site.number("type_score") > 0.5);
        let scores = site.properties["type_scores"].as_object().unwrap();
        let sum: f64 = scores.values().map(|v| v.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
}

#[test]
fn the_record_counts_what_was_done() {
    let space = Workspace::new();
    let fixture = Fixture::new((300, 200), field((300, 200), 50.0, 3));
    fixture.write(&space, "a.tif");
    let run = space.scan("a.tif --date 2023-12-01 --min-score 0.5 --cluster-distance 900");
    let record = run.record();
    assert_eq!(record["kilnsight"], env!("CARGO_PKG_VERSION"));
    assert_eq!(record["model"]["name"], "blob");
    assert_eq!(record["parameters"]["min_score"], 0.5);
    assert_eq!(record["parameters"]["cluster_distance_m"], 900.0);
    assert_eq!(record["scenes"][0]["date"], "2023-12-01");
    assert_eq!(record["scenes"][0]["crs"], "EPSG:32644");
    assert_eq!(
        record["scenes"][0]["gsd_m"],
        serde_json::json!([10.0, 10.0])
    );
    for name in ["detections", "sites", "clusters"] {
        let features = run.layer(name).len();
        assert_eq!(record["counts"][name], features, "{name}");
    }
    let chips = &record["counts"]["chips"];
    assert_eq!(chips["planned"], chips["scanned"]);
    // Within 0.2 %: the scale of UTM.
    let scanned = record["areas_km2"]["scanned"].as_f64().unwrap();
    assert!((scanned / 6.0 - 1.0).abs() < 2e-3, "{scanned} km2");
    assert_eq!(record["failures"], serde_json::json!([]));
}

#[test]
fn the_summary_names_the_files_and_the_next_step() {
    let space = Workspace::new();
    Fixture::new((128, 128), vec![blob(50.0, 70.0)]).write(&space, "a.tif");
    let said = space.succeed("scan a.tif --model blob --out run --workers 1 --overview");
    insta::assert_snapshot!(said);
    assert!(space.path("run/overview.png").is_file());
}

#[test]
fn folders_and_patterns_stand_for_the_scenes_in_them() {
    let space = Workspace::new();
    std::fs::create_dir(space.path("scenes")).unwrap();
    let fixture = Fixture::new((64, 64), vec![blob(30.0, 30.0)]);
    fixture.write(&space, "scenes/a.tif");
    fixture.write(&space, "scenes/b.tif");
    let by_folder = space.scan_into("one", "scenes");
    let by_pattern = space.scan_into("two", "scenes/?.tif");
    assert_eq!(by_folder.record()["counts"]["scenes"], 2);
    assert_eq!(by_folder.results(), by_pattern.results());
}
