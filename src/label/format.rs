//! The formats that training programs read. Each is text made of the objects of a chip.

use serde_json::{Value, json};

use super::select::Object;
use crate::geometry::polygon_area;

/// A format of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// One JSON file for each part: boxes and outlines in pixels.
    Coco,
    /// A text file for each chip: class and four corners, as shares of the chip's sides.
    YoloObb,
    /// A text file for each chip: four corners in pixels, class, difficulty (Xia et al. 2018).
    Dota,
}

/// Lines of YOLO-OBB. Corners beyond the chip are moved to its edge: programs throw away pictures with others.
pub(super) fn yolo_obb(objects: &[Object], size: (usize, usize)) -> String {
    let share = |value: f64, side: usize| (value / side as f64).clamp(0.0, 1.0);
    let line = |object: &Object| {
        let corners = object
            .corners
            .map(|[x, y]| format!("{:.6} {:.6}", share(x, size.0), share(y, size.1)));
        format!("{} {}\n", object.class, corners.join(" "))
    };
    objects.iter().map(line).collect::<Vec<_>>().concat()
}

/// Lines of DOTA. The class is the last word but one, so blanks in its name become `_`.
pub(super) fn dota(objects: &[Object], classes: &[String]) -> String {
    let word = |class: usize| {
        let name = classes.get(class).map_or("", String::as_str);
        name.split_whitespace().collect::<Vec<_>>().join("_")
    };
    let line = |object: &Object| {
        let corners = object.corners.map(|[x, y]| format!("{x:.2} {y:.2}"));
        format!("{} {} 0\n", corners.join(" "), word(object.class))
    };
    objects.iter().map(line).collect::<Vec<_>>().concat()
}

/// Annotations of COCO, numbered from `first`.
pub(super) fn coco(objects: &[Object], image: usize, first: usize) -> Vec<Value> {
    let round = |value: f64| (value * 100.0).round() / 100.0;
    objects
        .iter()
        .enumerate()
        .map(|(i, object)| {
            let along = |axis: usize| object.outline.iter().map(move |p| p[axis]);
            let low = [0, 1].map(|axis| along(axis).fold(f64::INFINITY, f64::min));
            let high = [0, 1].map(|axis| along(axis).fold(f64::NEG_INFINITY, f64::max));
            let flat: Vec<f64> = object.outline.iter().flatten().map(|v| round(*v)).collect();
            json!({
                "id": first + i,
                "image_id": image,
                "category_id": object.class + 1,
                "bbox": [round(low[0]), round(low[1]), round(high[0] - low[0]), round(high[1] - low[1])],
                "segmentation": [flat],
                "area": round(polygon_area(&object.outline).abs()),
                "iscrowd": 0,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Object {
        let corners = [[-2.0, 10.0], [8.0, 10.0], [8.0, 15.0], [-2.0, 15.0]];
        Object {
            class: 1,
            corners,
            outline: corners.to_vec(),
        }
    }

    #[test]
    fn lines_of_each_format() {
        assert_eq!(
            yolo_obb(&[object()], (100, 50)),
            "1 0.000000 0.200000 0.080000 0.200000 0.080000 0.300000 0.000000 0.300000\n"
        );
        let classes = ["kiln".to_owned(), "brick field".to_owned()];
        assert_eq!(
            dota(&[object()], &classes),
            "-2.00 10.00 8.00 10.00 8.00 15.00 -2.00 15.00 brick_field 0\n"
        );
        let annotation = &coco(&[object()], 7, 3)[0];
        assert_eq!(annotation["bbox"], json!([-2.0, 10.0, 10.0, 5.0]));
        assert_eq!(
            (
                &annotation["area"],
                &annotation["id"],
                &annotation["category_id"]
            ),
            (&json!(50.0), &json!(3), &json!(2))
        );
        assert_eq!(
            (yolo_obb(&[], (1, 1)), dota(&[], &[])),
            (String::new(), String::new())
        );
    }
}
