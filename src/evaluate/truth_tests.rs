use super::*;
use crate::evaluate::testing::{ground, path};
use crate::geometry::{GroundBox, distance_m};

fn parse(text: &str) -> Result<Truth, EvaluateError> {
    Truth::parse(text.as_bytes(), path())
}

fn problem(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn collection(geometry: &str) -> String {
    format!(
        r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","properties":{{}},"geometry":{geometry}}}]}}"#
    )
}

fn ground_labels(truth: &Truth) -> &[GroundLabel] {
    match &truth.labels {
        Labels::Ground(labels) => labels,
        Labels::Pixels(_) => panic!("these labels are in pixels"),
    }
}

#[test]
fn a_turned_rectangle_survives_the_file_to_a_centimetre() {
    let given = ground(0.0, 0.0, 117.3, 58.1, 33.3);
    let corners = given.corners();
    let ring: Vec<String> = (0..5)
        .map(|i| corners[i % 4])
        .map(|p| format!("[{:.7},{:.7},12.5]", p.lon, p.lat))
        .collect();
    // As a polygon with heights, and as a multi-polygon of one.
    let ring = ring.join(",");
    for geometry in [
        format!(r#"{{"type":"Polygon","coordinates":[[{ring}]]}}"#),
        format!(r#"{{"type":"MultiPolygon","coordinates":[[[{ring}]]]}}"#),
    ] {
        let truth = parse(&collection(&geometry)).unwrap();
        let extent = ground_labels(&truth)[0].truth.extent.unwrap();
        let found: GroundBox = extent.ground;
        assert!(extent.oriented);
        assert!(distance_m(found.center, given.center) < 0.01);
        for (a, b) in [
            (found.length_m, given.length_m),
            (found.width_m, given.width_m),
        ] {
            assert!((a - b).abs() < 0.01, "{a} {b}");
        }
        assert!((found.angle_deg - given.angle_deg).abs() < 0.01);
    }
}

#[test]
fn properties_are_read_in_the_forms_that_programs_write() {
    let square = "[[[3,1],[3.001,1],[3.001,1.001],[3,1.001],[3,1]]]";
    let feature = |properties: &str| {
        format!(
            r#"{{"type":"Feature","properties":{properties},"geometry":{{"type":"Polygon","coordinates":{square}}}}}"#
        )
    };
    let text = format!(
        r#"{{"type":"FeatureCollection","features":[{},{},{},{}]}}"#,
        feature(r#"{"class":"FCBK","region":"north","scene":"a"}"#),
        feature(r#"{"ignore":true}"#),
        feature(r#"{"iscrowd":1}"#),
        feature(r#"{"iscrowd":"0","ignore":null}"#),
    );
    let truth = parse(&text).unwrap();
    let labels = ground_labels(&truth);
    assert_eq!(labels[0].truth.class.as_deref(), Some("FCBK"));
    assert_eq!(labels[0].region.as_deref(), Some("north"));
    assert_eq!(labels[0].scene.as_deref(), Some("a"));
    assert!(!labels[0].truth.extent.unwrap().oriented);
    let ignored: Vec<bool> = labels.iter().map(|l| l.ignore).collect();
    assert_eq!(ignored, [false, true, true, false]);
    assert_eq!(truth.len(), 2);
    assert!(
        problem(&text.replace("\"0\"", "\"perhaps\"")).contains("feature 4: property `iscrowd`")
    );
}

#[test]
fn points_are_read_and_the_notice_says_what_they_lack() {
    let truth = parse(&collection(r#"{"type":"Point","coordinates":[3,1]}"#)).unwrap();
    assert!(ground_labels(&truth)[0].truth.extent.is_none());
    assert!(truth.notices[0].contains("1 of 1 true objects are points"));
}

#[test]
fn malformed_files_are_named_with_what_to_do() {
    let polygon =
        |ring: &str| collection(&format!(r#"{{"type":"Polygon","coordinates":[{ring}]}}"#));
    for (text, expected) in [
        ("kilns", "is not JSON"),
        (r#"{"bbox":[NaN]}"#, "NaN and Infinity are not JSON"),
        ("[]", "neither GeoJSON"),
        (r#"{"images":3}"#, "neither GeoJSON"),
        (r#"{"type":"FeatureCollection"}"#, "is not valid GeoJSON"),
        (
            r#"{"type":"FeatureCollection","features":[]}"#,
            "no polygons and no points (0 features read)",
        ),
        (
            &collection(r#"{"type":"LineString","coordinates":[[3,1],[4,1]]}"#),
            "no polygons and no points (1 features read)",
        ),
        (
            &polygon("[[23.5,120],[23.6,120],[23.6,120.1],[23.5,120]]"),
            "feature 1: latitude and longitude look swapped",
        ),
        (
            &polygon("[[500000,200000],[500100,200000],[500100,200100],[500000,200000]]"),
            "look like metres: reproject to WGS 84",
        ),
        (
            &polygon("[[190,1],[191,1],[191,2],[190,1]]"),
            "outside -180 to 180",
        ),
        (
            &polygon("[[1e999,1],[191,1],[191,2],[190,1]]"),
            "is not JSON",
        ),
        (&polygon("[[3],[4],[5],[3]]"), "fewer than two coordinates"),
        (&polygon("[]"), "no area"),
        (
            &collection(r#"{"type":"Polygon","coordinates":[]}"#),
            "no ring",
        ),
        (&polygon("[[3,1],[3,1],[3,1],[3,1]]"), "no area"),
        (
            r#"{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::32631"}},"features":[]}"#,
            "reproject to WGS 84",
        ),
    ] {
        let problem = problem(text);
        assert!(problem.contains(expected), "{problem}");
        assert!(
            problem.contains("`labels.json`") && !problem.contains('\n'),
            "{problem}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let problem = Truth::read(Path::new("no/such/labels.json")).unwrap_err();
    assert!(
        problem
            .to_string()
            .starts_with("cannot read `no/such/labels.json`")
    );
}
