//! The folder: pictures of chips and labels in the formats asked for. It appears whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageFormat};
use serde_json::{Value, json};

use super::error::LabelError;
use super::format::{self, Format};
use super::request::{LabelRequest, LabelSummary};
use super::select::LabelledChip;
use super::split::Part;
use crate::chip::ChipPixels;

/// The folder while it is written: it lies beside its place.
pub(super) struct Target {
    beside: tempfile::TempDir,
    out: PathBuf,
}

impl Target {
    pub(super) fn begin(out: &Path) -> Result<Self, LabelError> {
        let write = |source| LabelError::Write {
            path: out.display().to_string(),
            source,
        };
        if let Ok(mut entries) = std::fs::read_dir(out) {
            if entries.next().is_some() {
                return Err(LabelError::Exists {
                    path: out.display().to_string(),
                });
            }
        } else if out.exists() {
            return Err(LabelError::Exists {
                path: out.display().to_string(),
            });
        }
        let parent = out.parent().filter(|p| !p.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(write)?;
        let beside = tempfile::Builder::new()
            .prefix(".kilnsight-labels-")
            .tempdir_in(parent)
            .map_err(write)?;
        Ok(Self {
            beside,
            out: out.to_path_buf(),
        })
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.beside.path().join("labels")
    }

    pub(super) fn publish(self) -> Result<(), LabelError> {
        // A folder takes the place of an empty one.
        std::fs::rename(self.folder(), &self.out).map_err(|source| LabelError::Write {
            path: self.out.display().to_string(),
            source,
        })
    }
}

/// Files on their way.
pub(super) struct Files<'a> {
    folder: PathBuf,
    formats: &'a BTreeSet<Format>,
    classes: &'a [String],
    images: BTreeMap<Part, Vec<Value>>,
    annotations: BTreeMap<Part, Vec<Value>>,
    places: Vec<Value>,
    count: usize,
}

impl<'a> Files<'a> {
    pub(super) fn new(
        folder: PathBuf,
        formats: &'a BTreeSet<Format>,
        classes: &'a [String],
    ) -> Self {
        Self {
            folder,
            formats,
            classes,
            images: BTreeMap::new(),
            annotations: BTreeMap::new(),
            places: Vec::new(),
            count: 0,
        }
    }

    /// A chip. Its name is a number, which tells nothing of where it lies.
    pub(super) fn add(
        &mut self,
        part: Part,
        chip: &LabelledChip,
        pixels: &ChipPixels,
    ) -> Result<(), LabelError> {
        self.count += 1;
        let name = format!("{:06}", self.count);
        let (columns, rows) = chip.chip.size;
        self.picture(&format!("images/{}/{name}.png", part.name()), pixels)?;
        if self.formats.contains(&Format::YoloObb) {
            let text = format::yolo_obb(&chip.objects, chip.chip.size);
            self.text(&format!("labels/{}/{name}.txt", part.name()), &text)?;
        }
        if self.formats.contains(&Format::Dota) {
            let text = format::dota(&chip.objects, self.classes);
            self.text(&format!("dota/{}/{name}.txt", part.name()), &text)?;
        }
        if self.formats.contains(&Format::Coco) {
            self.images.entry(part).or_default().push(json!({
                "id": self.count, "file_name": format!("{name}.png"), "width": columns, "height": rows,
            }));
            let annotations = self.annotations.entry(part).or_default();
            let first = annotations.len() + 1;
            annotations.extend(format::coco(&chip.objects, self.count, first));
        }
        let seven = |degrees: f64| (degrees * 1e7).round() / 1e7;
        let mut ring: Vec<[f64; 2]> = chip
            .corners
            .iter()
            .map(|p| [seven(p.lon), seven(p.lat)])
            .collect();
        ring.extend(ring.first().copied());
        self.places.push(json!({
            "type": "Feature",
            "properties": { "chip": name, "part": part.name(), "objects": chip.objects.len() },
            "geometry": { "type": "Polygon", "coordinates": [ring] },
        }));
        Ok(())
    }

    fn picture(&self, name: &str, pixels: &ChipPixels) -> Result<(), LabelError> {
        let (bands, rows, columns) = pixels.data.dim();
        let mut bytes = vec![0u8; bands * rows * columns];
        for ((band, row, column), value) in pixels.data.indexed_iter() {
            // The cast saturates.
            bytes[(row * columns + column) * bands + band] = value.round() as u8;
        }
        let kind = if bands == 1 {
            ExtendedColorType::L8
        } else {
            ExtendedColorType::Rgb8
        };
        let path = self.path(name)?;
        image::save_buffer_with_format(
            &path,
            &bytes,
            columns as u32,
            rows as u32,
            kind,
            ImageFormat::Png,
        )
        .map_err(|source| LabelError::Picture {
            path: path.display().to_string(),
            source,
        })
    }

    fn text(&self, name: &str, text: &str) -> Result<(), LabelError> {
        let path = self.path(name)?;
        let write = || {
            let mut file = std::fs::File::create(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| LabelError::Write {
            path: path.display().to_string(),
            source,
        })
    }

    fn path(&self, name: &str) -> Result<PathBuf, LabelError> {
        let path = self.folder.join(name);
        let folder = path.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(folder).map_err(|source| LabelError::Write {
            path: folder.display().to_string(),
            source,
        })?;
        Ok(path)
    }

    /// What describes the whole.
    pub(super) fn finish(
        &self,
        request: &LabelRequest<'_>,
        summary: &LabelSummary,
    ) -> Result<(), LabelError> {
        if self.formats.contains(&Format::Coco) {
            let categories: Vec<Value> = (self.classes.iter().enumerate())
                .map(|(i, name)| json!({ "id": i + 1, "name": name }))
                .collect();
            for part in Part::ALL {
                let empty = Vec::new();
                let document = json!({
                    "images": self.images.get(&part).unwrap_or(&empty),
                    "annotations": self.annotations.get(&part).unwrap_or(&empty),
                    "categories": categories,
                });
                let name = format!("annotations/{}.coco.json", part.name());
                self.text(&name, &format!("{document}\n"))?;
            }
        }
        if self.formats.contains(&Format::YoloObb) {
            // JSON strings are YAML strings.
            let names: Vec<String> = (self.classes.iter().enumerate())
                .map(|(i, name)| format!("  {i}: {}\n", json!(name)))
                .collect();
            let names = names.concat();
            let text = format!(
                "path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames:\n{names}"
            );
            self.text("dataset.yaml", &text)?;
        }
        let places = json!({ "type": "FeatureCollection", "features": self.places });
        self.text("chips.geojson", &format!("{places}\n"))?;
        let rule = request.split;
        let record = json!({
            "made_by": format!("kilnsight {}", env!("CARGO_PKG_VERSION")),
            "model": request.model.card.name,
            "gsd_m": request.model.card.gsd_m,
            "chip_px": request.chip_px.unwrap_or(request.model.card.chip_px),
            "bands": request.model.card.bands,
            "classes": self.classes,
            "split": {
                "block_km": rule.block_km, "gap_m": rule.gap_m, "val": rule.shares.val, "test": rule.shares.test, "seed": rule.seed,
            },
            "counts": summary,
        });
        self.text("labels.json", &format!("{record:#}\n"))
    }
}
