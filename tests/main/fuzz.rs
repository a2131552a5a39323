//! What the fuzzer learnt, replayed: every file of its corpus must hold what it is fed for.

use std::path::Path;

#[path = "../fuzz/properties.rs"]
mod properties;

fn replay(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 2, "{name} has no corpus");
    for file in files {
        let content = std::fs::read(&file).unwrap();
        let fed = std::panic::catch_unwind(|| properties::feed(name, &content));
        assert!(fed.is_ok(), "{}", file.display());
    }
}

#[test]
fn model_cards() {
    replay("card");
}

#[test]
fn metadata_of_onnx_files() {
    replay("onnx_metadata");
}

#[test]
fn areas_of_interest() {
    replay("area");
}

#[test]
fn labels() {
    replay("truth");
}

#[test]
fn output_heads() {
    replay("heads");
}

#[test]
fn overlap_and_suppression() {
    replay("overlap");
}
