//! The map layer, read by GDAL as QGIS reads it.

use serde_json::{Value, json};

use crate::harness::{Workspace, gdal_tool};
use crate::serve_client::{Served, project};

fn served() -> (Workspace, Served, String) {
    let space = Workspace::new();
    project(&space);
    let served = Served::start(&space, "project", "");
    let told = served
        .admin()
        .post("/api/v1/readers", json!({ "label": "QGIS" }));
    let token = told.body["token"].as_str().unwrap().to_owned();
    (space, served, token)
}

#[test]
fn gdal_reads_it_as_a_layer() {
    let (space, served, token) = served();
    let source = format!("OAPIF:{}/ogc", served.url);
    let login = format!("USERPWD=reader:{token}");
    let ogrinfo = |rest: &[&str]| {
        let mut arguments = vec![
            "ogrinfo",
            "-ro",
            "-oo",
            &login,
            "-oo",
            "PAGE_SIZE=10",
            &source,
        ];
        arguments.extend(rest);
        gdal_tool(&space.path(""), arguments, "")
    };
    let layers = ogrinfo(&[]);
    assert!(layers.contains("1: sites"), "{layers}");
    let all = ogrinfo(&["sites"]);
    assert!(all.contains("Feature Count: 36"), "{all}");
    for field in [
        "site_id: String",
        "status (String) = unverified",
        "POLYGON ((",
    ] {
        let field = field.replace("site_id: String", "status: String");
        assert!(all.contains(&field), "{field}\n{all}");
    }
    // Pages of ten: all of it comes, and nothing twice.
    assert_eq!(all.matches("POLYGON ((").count(), 36);
}

#[test]
fn pages_boxes_and_filters() {
    let (_space, served, token) = served();
    let mut reader = served
        .client()
        .with("authorization", &format!("Bearer {token}"));
    let mut get = |path: &str| {
        let answer = reader.raw("GET", path, "", Vec::new());
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer
    };
    let landing = get("/ogc/").body;
    let rels: Vec<&str> = landing["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["rel"].as_str().unwrap())
        .collect();
    assert_eq!(rels, ["self", "service-desc", "conformance", "data"]);
    assert!(
        get("/ogc/conformance").body["conformsTo"]
            .as_array()
            .unwrap()
            .len()
            >= 3
    );
    assert_eq!(
        get("/ogc/collections").body["collections"][0]["id"],
        "sites"
    );
    assert_eq!(get("/ogc/collections/sites").body["itemType"], "feature");

    let first = get("/ogc/collections/sites/items?limit=10");
    assert_eq!(first.header("content-type"), "application/geo+json");
    assert_eq!(
        (&first.body["numberMatched"], &first.body["numberReturned"]),
        (&json!(36), &json!(10))
    );
    let mut ids = Vec::new();
    let mut page = first.body.clone();
    loop {
        ids.extend(
            page["features"]
                .as_array()
                .unwrap()
                .iter()
                .map(|feature| feature["id"].to_string()),
        );
        let next = page["links"]
            .as_array()
            .unwrap()
            .iter()
            .find(|link| link["rel"] == "next")
            .cloned();
        let Some(next) = next else { break };
        page = get(next["href"]
            .as_str()
            .unwrap()
            .strip_prefix(&served.url)
            .unwrap())
        .body;
    }
    let read = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((read, ids.len()), (36, 36));

    let feature = first.body["features"][0].clone();
    let (lon, lat) = (centre(&feature, 0), centre(&feature, 1));
    let near = get(&format!(
        "/ogc/collections/sites/items?bbox={},{},{},{}",
        lon - 1e-3,
        lat - 1e-3,
        lon + 1e-3,
        lat + 1e-3
    ))
    .body;
    assert_eq!(
        (&near["numberMatched"], &near["features"][0]["id"]),
        (&json!(1), &feature["id"])
    );
    assert_eq!(
        get("/ogc/collections/sites/items?status=confirmed").body["numberMatched"],
        0
    );
    assert_eq!(
        get("/ogc/collections/sites/items?bbox=0,0,1,1").body["features"],
        json!([])
    );
    let alone = get(&format!(
        "/ogc/collections/sites/items/{}",
        feature["id"].as_str().unwrap()
    ))
    .body;
    assert_eq!(alone["geometry"], feature["geometry"]);
    // Nobody can read from it who voted.
    assert!(!first.body.to_string().contains("voter"));
}

fn centre(feature: &Value, axis: usize) -> f64 {
    let ring = feature["geometry"]["coordinates"][0].as_array().unwrap();
    let open = &ring[..ring.len() - 1];
    open.iter()
        .map(|place| place[axis].as_f64().unwrap())
        .sum::<f64>()
        / open.len() as f64
}

#[test]
fn without_a_token_or_with_nonsense_there_is_nothing() {
    let (_space, served, token) = served();
    let mut nobody = served.client();
    for path in [
        "/ogc",
        "/ogc/",
        "/ogc/collections/sites/items",
        "/ogc/conformance",
    ] {
        let answer = nobody.raw("GET", path, "", Vec::new());
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer.header("www-authenticate").starts_with("Basic"),
            "{path}"
        );
    }
    // A volunteer's device opens nothing here.
    assert_eq!(
        served
            .volunteer("Ada")
            .raw("GET", "/ogc", "", Vec::new())
            .status,
        401
    );
    let mut reader = served
        .client()
        .with("authorization", &format!("Bearer {token}"));
    for (path, status) in [
        ("/ogc/collections/kilns/items", 404),
        ("/ogc/collections/sites/items/nothing", 404),
        ("/ogc/collections/sites/items?bbox=1,2,3", 400),
        ("/ogc/collections/sites/items?limit=0", 400),
        ("/ogc/collections/sites/items?limit=many", 400),
        ("/ogc/collections/sites/items?unknown=1", 400),
        ("/ogc/collections/sites/items?status=maybe", 400),
    ] {
        assert_eq!(
            reader.raw("GET", path, "", Vec::new()).status,
            status,
            "{path}"
        );
    }
    // The token reads the layer and does nothing else.
    assert_eq!(reader.get("/api/v1/progress").status, 401);
    let mut admin = served.client();
    let log_in = admin.post(
        "/api/v1/login",
        json!({ "name": "Ada", "password": crate::serve_client::PASSWORD }),
    );
    admin.keep_token(&log_in);
    assert_eq!(
        admin
            .send("DELETE", "/api/v1/readers", Some(&Value::Null))
            .body["ended"],
        1
    );
    assert_eq!(reader.raw("GET", "/ogc", "", Vec::new()).status, 401);
}
