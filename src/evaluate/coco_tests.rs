use serde_json::json;

use super::*;
use crate::evaluate::testing::path;

fn document(annotation: &Value) -> Value {
    json!({
        "images": [{"id": 7, "file_name": "chips/a.b.png", "width": 128, "height": 128, "region": "north"}],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "kiln"}],
    })
}

fn label(annotation: &Value) -> PixelLabel {
    read(document(annotation), path()).unwrap()[0].labels[0].clone()
}

fn problem(document: Value) -> String {
    read(document, path()).unwrap_err().to_string()
}

#[test]
fn outlines_come_from_segmentation_or_else_from_bbox() {
    let quad = label(
        &json!({"image_id": 7, "category_id": 1, "bbox": [10, 20, 8, 8],
        "segmentation": [[14, 20, 18, 24, 14, 28, 10, 24]], "iscrowd": 0}),
    );
    assert!(quad.oriented && !quad.ignore);
    assert_eq!(quad.class.as_deref(), Some("kiln"));
    assert_eq!(quad.outline[1], PixelPoint::new(18.0, 24.0));
    for segmentation in [
        json!([]),
        json!({"counts": "abc", "size": [128, 128]}),
        Value::Null,
    ] {
        let upright = label(
            &json!({"image_id": 7, "category_id": 1, "bbox": [10, 20, 8, 6],
            "segmentation": segmentation, "iscrowd": 1}),
        );
        assert!(!upright.oriented && upright.ignore);
        assert_eq!(upright.outline[2], PixelPoint::new(18.0, 26.0));
    }
    let closed = label(&json!({"image_id": 7, "segmentation": [[0, 0, 4, 2, 3, 4, -1, 2, 0, 0]]}));
    assert_eq!(closed.outline.len(), 4);
    assert!(closed.oriented);
}

#[test]
fn a_file_of_upright_quads_says_nothing_about_direction() {
    let upright = json!({"image_id": 7, "segmentation": [[0, 0, 4, 0, 4, 3, 0, 3]]});
    assert!(!label(&upright).oriented);
    let mut mixed = document(&upright);
    mixed["annotations"]
        .as_array_mut()
        .unwrap()
        .push(json!({"image_id": 7, "segmentation": [[0, 0, 4, 1, 3, 5, -1, 4]]}));
    let images = read(mixed, path()).unwrap();
    assert!(images[0].labels.iter().all(|l| l.oriented));
}

#[test]
fn names_lose_their_folder_and_last_extension() {
    let image = &read(
        document(&json!({"image_id": 7, "bbox": [0, 0, 1, 1]})),
        path(),
    )
    .unwrap()[0];
    assert_eq!(
        (image.stem.as_str(), image.name.as_str()),
        ("a.b", "a.b.png")
    );
    assert_eq!(image.region.as_deref(), Some("north"));
    assert_eq!(image.size_px, Some([128.0, 128.0]));
}

#[test]
fn malformed_records_are_numbered() {
    for (annotation, expected) in [
        (
            json!({"image_id": 8, "bbox": [0, 0, 1, 1]}),
            "annotation 1: no image",
        ),
        (json!({"image_id": 7}), "neither a `bbox`"),
        (
            json!({"image_id": 7, "bbox": [0, 0, 0, 1]}),
            "positive size",
        ),
        (
            json!({"image_id": 7, "bbox": [0, 0, 1]}),
            "not [x, y, width, height]",
        ),
        (
            json!({"image_id": 7, "segmentation": [[0, 1, 2]]}),
            "not a list",
        ),
        (
            json!({"image_id": 7, "bbox": [0, 0, 1, 1], "iscrowd": "so"}),
            "`iscrowd`",
        ),
        (
            json!({"bbox": [0, 0, 1, 1]}),
            "not valid COCO: missing field `image_id`",
        ),
    ] {
        let problem = problem(document(&annotation));
        assert!(problem.contains(expected), "{problem}");
    }
    let twice = json!({"annotations": [], "images": [
        {"id": 1, "file_name": "x/a.png"}, {"id": 2, "file_name": "y/a.tif"}]});
    assert!(problem(twice).contains("image 2: an earlier image has the same name"));
}
