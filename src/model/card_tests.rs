use serde_json::{Value, json};

use super::*;

fn card() -> Value {
    json!({
        "mlm:name": "tiny",
        "mlm:input": [{
            "name": "image",
            "bands": ["red", {"name": "green"}, "blue"],
            "input": {"shape": [-1, 3, -1, -1], "dim_order": ["batch", "bands", "height", "width"], "data_type": "float32"},
            "value_scaling": [{"type": "min-max", "minimum": 0, "maximum": 255}]
        }],
        "mlm:output": [{"name": "detections", "classification:classes": [{"value": 0, "name": "kiln"}]}],
        "kilnsight:head": "center",
        "kilnsight:center": {"heatmap": "heatmap", "size": "size", "offset": null, "angle": null, "type": null},
        "kilnsight:gsd_m": 10, "kilnsight:chip_px": 256, "kilnsight:size_multiple": 8, "kilnsight:overlap_m": 320,
        "kilnsight:nms_iou": 0.3, "kilnsight:min_score": 0.4, "kilnsight:calibration": null
    })
}

fn with(key: &str, value: Value) -> Result<ModelCard, CardError> {
    let mut card = card();
    card[key] = value;
    ModelCard::parse(&card.to_string())
}

#[test]
fn a_whole_card_is_read() {
    let card = ModelCard::parse(&card().to_string()).unwrap();
    assert_eq!(card.bands, ["red", "green", "blue"]);
    assert_eq!(card.scaling.range, Some([0.0, 255.0]));
    assert!((card.scaling.gain[0] * 255.0 - 1.0).abs() < 1e-12);
    assert_eq!(card.head.name(), "center");
    assert!(card.unknown_keys.is_empty());
}

#[test]
fn a_stac_item_keeps_its_card_under_properties() {
    let item = json!({"type": "Feature", "stac_version": "1.0.0", "properties": card()});
    assert_eq!(ModelCard::parse(&item.to_string()).unwrap().name, "tiny");
}

#[test]
fn a_misspelt_key_is_reported() {
    assert_eq!(
        with("kilnsight:min_scor", json!(0.1)).unwrap().unknown_keys,
        ["kilnsight:min_scor"]
    );
}

#[test]
fn a_calibration_is_a_rising_curve() {
    let curve = json!({"method": "piecewise-linear", "points": [[0, 0], [0.3, 0.5], [1, 0.9]]});
    let card = with("kilnsight:calibration", curve).unwrap();
    let probability = card.calibration.unwrap().apply(0.3);
    assert!((probability - 0.5).abs() < 1e-6);
    assert_eq!(
        with("kilnsight:calibration", Value::Null)
            .unwrap()
            .calibration,
        None
    );
}

#[test]
fn errors_name_the_key() {
    let message = |key: &str, value: Value| with(key, value).unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            message("kilnsight:gsd_m", json!(-1)),
            message("kilnsight:chip_px", json!(1_000_000)),
            message("kilnsight:size_multiple", json!(7)),
            message("kilnsight:overlap_m", json!(2560)),
            message("kilnsight:min_score", json!(40)),
            message("kilnsight:head", json!("ssd")),
            message("kilnsight:calibration", json!({"method": "magic"})),
            message(
                "kilnsight:calibration",
                json!({"method": "piecewise-linear", "points": [[0, 0], [1, 0]]})
            ),
            message("kilnsight:card_version", json!(2)),
            message("kilnsight:reflectance", json!([0.3, 0.0])),
            message("kilnsight:stretch", json!({"percentiles": [98, 2]})),
            message("mlm:input", json!([])),
            message("mlm:output", json!([{"name": "x"}])),
            message("mlm:name", json!("")),
        ]
        .join("\n")
    );
}

#[test]
fn per_band_z_scores_need_one_entry_per_band() {
    let input =
        |scaling: Value| json!([{"name": "image", "bands": ["a", "b"], "value_scaling": scaling}]);
    let z = json!({"type": "z-score", "mean": 100.0, "stddev": 50.0});
    let card = with("mlm:input", input(json!([z, z]))).unwrap();
    assert_eq!(card.scaling.gain, [0.02, 0.02]);
    assert_eq!(card.scaling.bias, [-2.0, -2.0]);
    assert!(with("mlm:input", input(json!([z, z, z]))).is_err());
    assert!(with("mlm:input", input(json!([{"type": "processing"}]))).is_err());
}
