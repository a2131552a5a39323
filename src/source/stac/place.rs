//! Where an Item lies, as far as it says so.

use serde_json::Value;

/// West, south, east, north of an Item in degrees: its `bbox`, else the bounds of its `geometry`; west > east where it
/// lies across the antimeridian. `None` where neither makes sense: such an Item may lie anywhere.
pub(super) fn bounds(item: &Value) -> Option<[f64; 4]> {
    let of_box = item.get("bbox").and_then(Value::as_array);
    of_box
        .and_then(|values| stated(values))
        .or_else(|| of_geometry(item.get("geometry")?))
        .filter(makes_sense)
}

/// Four numbers, or six with heights between them.
fn stated(values: &[Value]) -> Option<[f64; 4]> {
    let numbers: Vec<f64> = values.iter().map(Value::as_f64).collect::<Option<_>>()?;
    let found = match numbers[..] {
        [west, south, east, north] | [west, south, _, east, north, _] => [west, south, east, north],
        _ => return None,
    };
    makes_sense(&found).then_some(found)
}

fn makes_sense([west, south, east, north]: &[f64; 4]) -> bool {
    let degrees = [west, east].iter().all(|lon| lon.abs() <= 360.0)
        && [south, north].iter().all(|lat| lat.abs() <= 90.0);
    degrees && south <= north
}

fn of_geometry(geometry: &Value) -> Option<[f64; 4]> {
    let mut bounds: Option<[f64; 4]> = None;
    let mut waiting = vec![geometry];
    while let Some(value) = waiting.pop() {
        if let Some(parts) = value.get("geometries").or_else(|| value.get("coordinates")) {
            waiting.push(parts);
        } else if let Some(values) = value.as_array() {
            let number = |i: usize| values.get(i).and_then(Value::as_f64);
            match (number(0), number(1)) {
                (Some(x), Some(y)) => {
                    let [west, south, east, north] = bounds.unwrap_or([x, y, x, y]);
                    bounds = Some([west.min(x), south.min(y), east.max(x), north.max(y)]);
                }
                _ => waiting.extend(values),
            }
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_box_of_an_item_counts_before_its_geometry() {
        let ring = json!([[[76.0, 30.0], [77.0, 30.5], [76.5, 31.0], [76.0, 30.0]]]);
        let polygon = json!({"type": "Polygon", "coordinates": ring});
        let many = json!({"type": "MultiPolygon", "coordinates": [ring, [[[80.0, 20.0]]]]});
        let all = json!({"type": "GeometryCollection", "geometries": [polygon, many]});
        for (item, expected) in [
            (
                json!({"bbox": [1, 2, 3, 4], "geometry": polygon}),
                Some([1.0, 2.0, 3.0, 4.0]),
            ),
            (
                json!({"bbox": [1.0, 2.0, -9.0, 3.0, 4.0, 9.0]}),
                Some([1.0, 2.0, 3.0, 4.0]),
            ),
            (
                json!({"bbox": [179.5, -17.0, -179.5, -16.0]}),
                Some([179.5, -17.0, -179.5, -16.0]),
            ),
            (
                json!({"bbox": null, "geometry": polygon}),
                Some([76.0, 30.0, 77.0, 31.0]),
            ),
            // Metres, a number too few, no number, south above north.
            (
                json!({"bbox": [5e5, 3e6, 6e5, 4e6], "geometry": polygon}),
                Some([76.0, 30.0, 77.0, 31.0]),
            ),
            (json!({"bbox": [1, 2, 3], "geometry": null}), None),
            (json!({"bbox": [1, 2, "3", 4]}), None),
            (json!({"bbox": [1, 4, 3, 2]}), None),
            (json!({"geometry": all}), Some([76.0, 20.0, 80.0, 31.0])),
            (
                json!({"geometry": {"type": "Point", "coordinates": [5e5, 3e6]}}),
                None,
            ),
            (
                json!({"geometry": {"type": "Polygon", "coordinates": []}}),
                None,
            ),
        ] {
            assert_eq!(bounds(&item), expected, "{item}");
        }
    }
}
