use super::*;
use crate::model::DetrHead;

fn file(input: &[i64], outputs: &[&[i64]], metadata: &[(&str, &str)]) -> OnnxFile {
    let tensor = |name: String, shape: &[i64]| TensorInfo {
        name,
        element: Some(ort::value::TensorElementType::Float32),
        shape: shape.to_vec(),
    };
    OnnxFile {
        inputs: vec![tensor("images".into(), input)],
        outputs: outputs
            .iter()
            .enumerate()
            .map(|(i, shape)| tensor(format!("output{i}"), shape))
            .collect(),
        metadata: metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

const GSD: Told = Told {
    gsd_m: Some(0.5),
    overlap_m: None,
};

fn ultralytics(task: &str, outputs: &[&[i64]], more: &[(&str, &str)]) -> OnnxFile {
    let mut all = vec![
        (
            "description",
            "Ultralytics YOLO11n-obb model trained on kilns.yaml",
        ),
        ("task", task),
        ("stride", "32"),
        ("batch", "1"),
        ("imgsz", "[640, 640]"),
        ("names", "{0: 'CFCBK', 1: 'FCBK', 2: 'Zigzag'}"),
        (
            "args",
            "{'batch': 1, 'half': False, 'dynamic': True, 'nms': False}",
        ),
    ];
    all.extend(more);
    file(&[-1, 3, -1, -1], outputs, &all)
}

fn head_of(file: &OnnxFile) -> Result<&'static str, MetadataError> {
    card(file, "m", GSD).map(|(card, _)| card.head.name())
}

#[test]
fn an_ultralytics_export_describes_itself() {
    let file = ultralytics(
        "obb",
        &[&[-1, 8, -1]],
        &[("license", "AGPL-3.0"), ("version", "8.3.1")],
    );
    let (card, kind) = card(&file, "yolo11n-obb", GSD).unwrap();
    assert_eq!(kind, "Ultralytics");
    assert_eq!(card.classes, ["CFCBK", "FCBK", "Zigzag"]);
    assert_eq!(card.bands, ["red", "green", "blue"]);
    assert_eq!((card.chip_px, card.size_multiple), (640, Some(32)));
    assert_eq!((card.gsd_m, card.overlap_m), (0.5, 80.0));
    assert_eq!(card.license.as_deref(), Some("AGPL-3.0"));
    assert!((card.scaling.gain[0] * 255.0 - 1.0).abs() < 1e-12);
    assert!((card.padding - 114.0 / 255.0).abs() < 1e-7);
    assert_eq!(card.min_score, 0.25);
}

#[test]
fn the_resolution_has_to_be_told() {
    let file = ultralytics("obb", &[&[-1, 8, -1]], &[]);
    let error = card(&file, "m", Told::default()).unwrap_err();
    assert_eq!(error, MetadataError::NoResolution);
}

#[test]
fn the_head_follows_from_task_flags_and_shape() {
    for (expected, task, output, more) in [
        ("yolo", "detect", &[-1, 7, -1][..], &[][..]),
        ("yolo", "detect", &[1, 7, 8400], &[]),
        ("yolo-obb", "obb", &[1, 8, 21504], &[]),
        ("end2end", "detect", &[1, 300, 6], &[("end2end", "True")]),
        ("end2end", "detect", &[1, 300, 6], &[]),
        ("end2end", "obb", &[1, 300, 7], &[("args", "{'nms': True}")]),
        (
            "end2end",
            "detect",
            &[-1, -1, -1],
            &[("args", "{'nms': True}")],
        ),
        ("detr", "detect", &[1, 300, 7], &[]),
        (
            "detr",
            "detect",
            &[1, 300, 6],
            &[
                ("names", "{0: 'a', 1: 'b'}"),
                ("description", "Ultralytics rtdetr-l model"),
            ],
        ),
        ("classifier", "classify", &[1, 3], &[]),
    ] {
        assert_eq!(
            head_of(&ultralytics(task, &[output], more)).unwrap(),
            expected,
            "{task} {output:?} {more:?}"
        );
    }
}

#[test]
fn a_yolo_v5_export_tells_no_task() {
    let v5 = file(
        &[1, 3, 640, 640],
        &[&[1, 25200, 6]],
        &[("stride", "32"), ("names", "{0: 'kiln'}")],
    );
    let (card, _) = card(&v5, "v5", GSD).unwrap();
    assert_eq!((card.head.name(), card.size_multiple), ("yolo", None));
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let say = |file: &OnnxFile| card(file, "m", GSD).unwrap_err().to_string();
    let bands_last = OnnxFile {
        inputs: vec![TensorInfo {
            shape: vec![1, 640, 640, 3],
            ..ultralytics("detect", &[], &[]).inputs[0].clone()
        }],
        ..ultralytics("detect", &[&[1, 7, 8400]], &[])
    };
    insta::assert_snapshot!(
        [
            say(&ultralytics("pose", &[&[1, 56, 8400]], &[])),
            say(&ultralytics(
                "segment",
                &[&[1, 39, 8400], &[1, 32, 160, 160]],
                &[]
            )),
            say(&ultralytics("detect", &[&[1, 39, 8400]], &[])),
            say(&ultralytics(
                "detect",
                &[&[1, 300, 6]],
                &[("names", "{0: 'a', 1: 'b'}")]
            )),
            say(&ultralytics("detect", &[&[1, 300, 9]], &[])),
            say(&ultralytics("obb", &[&[1, 7, 8400]], &[])),
            say(&ultralytics(
                "detect",
                &[&[1, 7, 8400]],
                &[("names", "{1: 'kiln'}")]
            )),
            say(&ultralytics(
                "detect",
                &[&[1, 7, 8400]],
                &[("names", "{0: open('x')}")]
            )),
            say(&ultralytics("detect", &[&[1, 7, 8400]], &[("stride", "0")])),
            say(&bands_last),
            say(&deepness("Recognition", &[&[1, 256]], &[])),
            say(&deepness(
                "Detector",
                &[&[1, 7, 8400]],
                &[("det_type", "\"retinanet\"")]
            )),
            say(&deepness(
                "Detector",
                &[&[1, 39, 8400]],
                &[("det_type", "\"YOLO_Ultralytics_segmentation\"")]
            )),
            say(&deepness(
                "Detector",
                &[&[1, 7, 8400]],
                &[("resolution", "\"fine\"")]
            )),
            say(&file(
                &[1, 3, 64, 64],
                &[&[1, 7, 84]],
                &[("producer", "me")]
            )),
        ]
        .join("\n")
    );
}

fn deepness(kind: &str, outputs: &[&[i64]], more: &[(&str, &str)]) -> OnnxFile {
    let quoted = format!("\"{kind}\"");
    let mut all = vec![
        ("model_type", quoted.as_str()),
        ("class_names", "{\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}"),
    ];
    all.extend(more);
    file(&[1, 3, 640, 640], outputs, &all)
}

#[test]
fn a_detector_of_the_zoos_tells_its_resolution() {
    let zoo = deepness(
        "Detector",
        &[&[1, 25200, 8]],
        &[
            ("det_type", "\"YOLO_v5_or_v7_default\""),
            ("det_conf", "0.4"),
            ("det_iou_thresh", "0.5"),
            ("resolution", "21"),
            ("tiles_overlap", "10"),
        ],
    );
    let (card, kind) = card(&zoo, "cars", Told::default()).unwrap();
    assert_eq!(kind, "GeoDeep/Deepness");
    assert_eq!((card.gsd_m, card.chip_px), (0.21, 640));
    assert!(
        (card.overlap_m - 13.44).abs() < 1e-9,
        "a tenth of 640 × 0.21 m"
    );
    assert_eq!((card.min_score, card.nms_iou), (0.4, 0.5));
}

#[test]
fn a_segmentor_of_the_zoos_is_a_mask() {
    let zoo = deepness(
        "Segmentor",
        &[&[1, 4, 640, 640]],
        &[
            ("resolution", "100"),
            ("seg_thresh", "0.6"),
            ("standardization_mean", "[0.5, 0.5, 0.5]"),
            ("standardization_std", "[0.25, 0.25, 0.25]"),
        ],
    );
    let (card, _) = card(&zoo, "land", Told::default()).unwrap();
    assert_eq!(card.classes, ["background", "a", "b", "c"]);
    let Head::Mask(mask) = &card.head else {
        panic!("{:?}", card.head)
    };
    assert_eq!((mask.background, mask.threshold), (Some(0), 0.6));
    // (255 / 255 − 0.5) / 0.25.
    assert!((255.0 * card.scaling.gain[0] + card.scaling.bias[0] - 2.0).abs() < 1e-12);
}

#[test]
fn a_card_that_differs_from_the_metadata_is_told() {
    let file = ultralytics("obb", &[&[-1, 8, -1]], &[]);
    let (mut own, _) = card(&file, "m", GSD).unwrap();
    assert!(differences(&own, &file).is_empty());
    own.classes[0] = "kiln".into();
    own.head = Head::Detr(DetrHead {
        boxes: None,
        scores: None,
        activation: None,
        classes: 3,
    });
    assert_eq!(
        differences(&own, &file),
        [
            "classes: the card says kiln, FCBK, Zigzag, the metadata in the ONNX file CFCBK, FCBK, Zigzag; the card counts",
            "head: the card says detr, the metadata in the ONNX file yolo-obb; the card counts"
        ]
    );
}
