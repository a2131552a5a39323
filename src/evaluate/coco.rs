//! Reads COCO annotations: boxes and outlines in the pixels of named images.
//!
//! `images[].file_name` names the scene (folder and last extension removed). Of an annotation,
//! `segmentation` comes before `bbox`: its first ring, where it is a list of rings with at least
//! three points; four points are an oriented box. An empty list or a run-length mask falls back to `bbox`.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::error::EvaluateError;
use super::features::flag;
use super::homes::file_stem;
use crate::geometry::PixelPoint;

/// How far a corner may be from upright and still count as upright, in pixels: rounding.
const UPRIGHT_TOLERANCE_PX: f64 = 1e-3;

/// The labels of one image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ImageLabels {
    /// File name without folder and last extension.
    pub(super) stem: String,
    /// File name without folder.
    pub(super) name: String,
    pub(super) region: Option<String>,
    /// Width and height in pixels.
    pub(super) size_px: Option<[f64; 2]>,
    pub(super) labels: Vec<PixelLabel>,
}

/// One object or ignore region.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PixelLabel {
    /// Position among the annotations, counted from 1.
    pub(super) number: usize,
    pub(super) outline: Vec<PixelPoint>,
    /// Whether the outline lies along the object (four points), not along the pixel axes.
    pub(super) oriented: bool,
    pub(super) class: Option<String>,
    pub(super) ignore: bool,
}

#[derive(Deserialize)]
struct Document {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: Value,
    file_name: String,
    width: Option<f64>,
    height: Option<f64>,
    region: Option<String>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Value,
    #[serde(default)]
    category_id: Value,
    bbox: Option<Vec<f64>>,
    #[serde(default)]
    segmentation: Value,
    #[serde(default)]
    iscrowd: Value,
    #[serde(default)]
    ignore: Value,
}

#[derive(Deserialize)]
struct Category {
    id: Value,
    name: String,
}

/// Whether a JSON document looks like COCO.
pub(super) fn is_coco(document: &Value) -> bool {
    document.get("images").is_some_and(Value::is_array)
        && document.get("annotations").is_some_and(Value::is_array)
}

/// The images of a COCO document read from `path` (which is named in errors), in its order.
pub(super) fn read(document: Value, path: &Path) -> Result<Vec<ImageLabels>, EvaluateError> {
    let document: Document = serde_json::from_value(document)
        .map_err(|e| EvaluateError::structure(path, "COCO", e.to_string()))?;
    let refuse = |what: &str, i: usize, problem: &str| {
        EvaluateError::record(path, format!("{what} {}", i + 1), problem)
    };
    let classes: HashMap<String, String> = document
        .categories
        .into_iter()
        .map(|c| (c.id.to_string(), c.name))
        .collect();
    let mut places = HashMap::new();
    let mut stems = HashMap::new();
    let mut images = Vec::with_capacity(document.images.len());
    for (i, image) in document.images.into_iter().enumerate() {
        let (name, stem) = file_stem(&image.file_name);
        if stem.is_empty() {
            return Err(refuse("image", i, "its `file_name` is empty"));
        }
        if places.insert(image.id.to_string(), i).is_some() {
            return Err(refuse("image", i, "an earlier image has the same `id`"));
        }
        if stems.insert(stem.to_owned(), i).is_some() {
            let problem = "an earlier image has the same name but for folder and extension; \
                           scenes are found by it, so evaluate the two apart";
            return Err(refuse("image", i, problem));
        }
        images.push(ImageLabels {
            stem: stem.to_owned(),
            name: name.to_owned(),
            region: image.region,
            size_px: image.width.zip(image.height).map(|(w, h)| [w, h]),
            labels: Vec::new(),
        });
    }
    for (i, annotation) in document.annotations.into_iter().enumerate() {
        let image = places
            .get(&annotation.image_id.to_string())
            .ok_or_else(|| refuse("annotation", i, "no image has its `image_id`"))?;
        let class = classes.get(&annotation.category_id.to_string()).cloned();
        let label = annotation
            .label(i + 1, class)
            .map_err(|problem| refuse("annotation", i, problem))?;
        images[*image].labels.push(label);
    }
    forget_upright_quads(&mut images);
    Ok(images)
}

/// Some programs write the four corners of `bbox` as `segmentation`. If every four-point outline of a
/// file lies along the pixel axes, none of them says anything about direction.
fn forget_upright_quads(images: &mut [ImageLabels]) {
    let labels = || images.iter().flat_map(|image| &image.labels);
    if labels()
        .filter(|l| l.oriented)
        .all(|l| is_upright(&l.outline))
    {
        for label in images.iter_mut().flat_map(|image| &mut image.labels) {
            label.oriented = false;
        }
    }
}

/// Whether every side of an outline is parallel to a pixel axis.
fn is_upright(outline: &[PixelPoint]) -> bool {
    let next = outline.iter().cycle().skip(1);
    outline
        .iter()
        .zip(next)
        .all(|(p, q)| (p.x - q.x).abs().min((p.y - q.y).abs()) < UPRIGHT_TOLERANCE_PX)
}

impl Annotation {
    fn label(&self, number: usize, class: Option<String>) -> Result<PixelLabel, &'static str> {
        let ring = self.first_ring()?;
        let oriented = ring.as_ref().is_some_and(|r| r.len() == 4);
        let outline = match ring {
            Some(ring) => ring,
            None => self.bbox_corners()?.to_vec(),
        };
        let set = |value: &Value| match value {
            Value::Null => Ok(false),
            value => flag(value).ok_or("`iscrowd` or `ignore` is not true, false, 0 or 1"),
        };
        Ok(PixelLabel {
            number,
            outline,
            oriented,
            class,
            ignore: set(&self.iscrowd)? || set(&self.ignore)?,
        })
    }

    /// The first ring of the segmentation, without a closing point; none where there is none.
    fn first_ring(&self) -> Result<Option<Vec<PixelPoint>>, &'static str> {
        let Some(Value::Array(ring)) = self.segmentation.get(0) else {
            return Ok(None);
        };
        let numbers: Option<Vec<f64>> = ring.iter().map(Value::as_f64).collect();
        let numbers = numbers
            .filter(|n| n.iter().all(|v| v.is_finite()) && n.len() % 2 == 0)
            .ok_or("its `segmentation` is not a list of [x, y, x, y, ...] in numbers")?;
        let mut points: Vec<PixelPoint> = numbers
            .chunks_exact(2)
            .map(|p| PixelPoint::new(p[0], p[1]))
            .collect();
        if points.len() > 1 && points.first() == points.last() {
            points.pop();
        }
        Ok((points.len() >= 3).then_some(points))
    }

    fn bbox_corners(&self) -> Result<[PixelPoint; 4], &'static str> {
        match self.bbox.as_deref() {
            Some(&[x, y, w, h])
                if [x, y, w, h].iter().all(|v| v.is_finite()) && w > 0.0 && h > 0.0 =>
            {
                Ok([(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
                    .map(|(x, y)| PixelPoint::new(x, y)))
            }
            Some(_) => Err("its `bbox` is not [x, y, width, height] with a positive size"),
            None => Err("it has neither a `bbox` nor a `segmentation` polygon"),
        }
    }
}

#[cfg(test)]
#[path = "coco_tests.rs"]
mod tests;
