use serde_json::json;

use super::*;

fn wanted(bands: &[&str]) -> Wanted {
    Wanted {
        bands: bands.iter().map(|b| (*b).to_owned()).collect(),
        gsd_m: Some(10.0),
        by_number: false,
    }
}

fn chosen(item: &Value, bands: &[&str], sentinel: bool) -> Option<Vec<(String, usize)>> {
    let assets = assets(item);
    let found = choose(&assets, &wanted(bands), sentinel)?;
    Some(
        found
            .iter()
            .map(|(a, band)| (a.key.clone(), *band))
            .collect(),
    )
}

fn keys(names: &[(&str, usize)]) -> Vec<(String, usize)> {
    names.iter().map(|(k, b)| ((*k).to_owned(), *b)).collect()
}

const COG: &str = "image/tiff; application=geotiff; profile=cloud-optimized";

#[test]
fn single_bands_come_before_the_picture_for_people() {
    let item = json!({"assets": {
        "visual": {"href": "TCI.tif", "type": COG, "roles": ["visual"],
            "eo:bands": [{"name": "red", "common_name": "red"}, {"common_name": "green"}, {"common_name": "blue"}]},
        "red": {"href": "B04.tif", "type": COG, "roles": ["data"], "eo:bands": [{"name": "B04", "common_name": "red"}]},
        "red-jp2": {"href": "B04.jp2", "type": "image/jp2", "roles": ["data"], "eo:bands": [{"common_name": "red"}]},
        "green": {"href": "B03.tif", "type": COG, "eo:bands": [{"common_name": "green"}]},
        "blue": {"href": "B02.tif", "type": COG},
        "metadata": {"href": "a.xml", "type": "application/xml", "roles": ["metadata"]},
    }});
    assert_eq!(
        chosen(&item, &["red", "green", "B02"], true),
        Some(keys(&[("red", 0), ("green", 0), ("blue", 0)]))
    );
}

#[test]
fn the_picture_for_people_serves_where_nothing_else_does() {
    let item = json!({"assets": {"visual": {"href": "TCI.tif", "roles": ["visual"],
        "bands": [{"eo:common_name": "red"}, {"eo:common_name": "green"}, {"eo:common_name": "blue"}]}}});
    assert_eq!(
        chosen(&item, &["blue", "red"], false),
        Some(keys(&[("visual", 2), ("visual", 0)]))
    );
}

#[test]
fn band_numbers_of_another_satellite_do_not_mislead() {
    // Band 4 of Landsat 5 is near infrared; B04 and B4 of Sentinel-2 are red.
    let item = json!({"assets": {
        "nir08": {"href": "B4.TIF", "eo:bands": [{"name": "B4", "common_name": "nir08"}]},
        "red": {"href": "B3.TIF", "eo:bands": [{"name": "B3", "common_name": "red"}]},
    }});
    assert_eq!(chosen(&item, &["red"], false), Some(keys(&[("red", 0)])));
}

#[test]
fn one_common_name_for_three_bands_is_settled_by_the_name() {
    let rededge = |name: &str| json!({"href": format!("{name}.tif"), "eo:bands": [{"name": name, "common_name": "rededge"}]});
    let item =
        json!({"assets": {"B05": rededge("B05"), "B06": rededge("B06"), "B07": rededge("B07")}});
    assert_eq!(
        chosen(&item, &["rededge2"], true),
        Some(keys(&[("B06", 0)]))
    );
    assert_eq!(chosen(&item, &["red"], true), None);
}

#[test]
fn the_resolution_is_the_models() {
    let at = |gsd: u32| json!({"href": format!("B04_{gsd}m.jp2"), "gsd": gsd, "eo:bands": [{"common_name": "red"}]});
    let item = json!({"assets": {"B04_10m": at(10), "B04_20m": at(20), "B04_60m": at(60)}});
    assert_eq!(chosen(&item, &["red"], true), Some(keys(&[("B04_10m", 0)])));
    let coarse = Wanted {
        gsd_m: Some(30.0),
        ..wanted(&["red"])
    };
    let assets = assets(&item);
    assert_eq!(choose(&assets, &coarse, true).unwrap()[0].0.key, "B04_20m");
}

#[test]
fn scales_are_read_in_both_versions_of_stac() {
    let item = json!({"assets": {
        "old": {"href": "a.tif", "eo:bands": [{"name": "a"}], "raster:bands": [{"scale": 0.1, "offset": -1, "nodata": 0}]},
        "new": {"href": "b.tif", "raster:scale": 0.2, "bands": [{"name": "b", "raster:offset": -2, "nodata": 255}]},
    }});
    let assets = assets(&item);
    let numbers = |a: &Asset| (a.bands[0].scale, a.bands[0].offset, a.bands[0].nodata);
    assert_eq!(numbers(&assets[0]), (Some(0.2), Some(-2.0), Some(255.0)));
    assert_eq!(numbers(&assets[1]), (Some(0.1), Some(-1.0), Some(0.0)));
}
