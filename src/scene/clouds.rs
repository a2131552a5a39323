//! Clouds: what a mask says of the pixels of a scene, whatever grid the mask has.
//!
//! Masks are often wrong over bright built-up ground, bright soil and smoke, which is where kilns stand. So a mask
//! flags what is found, and only ground that is nearly all under cloud is left out.

use gdal::errors::GdalError;
use gdal::spatial_ref::{AxisMappingStrategy, SpatialRef};
use gdal::{Dataset, GeoTransformEx, Metadata};
use serde::{Deserialize, Serialize};

use super::error::{SceneError, gdal_words};
use super::open::Scene;
use super::raw::{Resampling, read_window, warped_vrt};
use super::reader::Window;
use super::remote::{is_remote, open_dataset, redacted, why_away, why_not_opened};
use super::source::{CloudCodes, CloudMask};

/// What covers a pixel. In order of how much it hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudClass {
    /// The shadow of a cloud.
    Shadow,
    /// Thin cloud, through which the ground is seen.
    Thin,
    /// Cloud.
    Cloud,
}

impl CloudClass {
    /// As written in the layers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Thin => "thin",
            Self::Cloud => "cloud",
        }
    }

    /// The class of a name in the layers.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Shadow, Self::Thin, Self::Cloud]
            .into_iter()
            .find(|class| class.name() == name)
    }
}

impl CloudCodes {
    /// What a value of the mask means; `None`: clear.
    ///
    /// The scene classification is that of the Sentinel-2 Level-2A product: 3 cloud shadow, 8 and 9 cloud of
    /// medium and high probability, 10 thin cirrus.
    pub fn class(&self, value: f32) -> Option<CloudClass> {
        let is = |code: u16| (value - f32::from(code)).abs() < 0.5;
        match self {
            Self::SceneClassification if is(3) => Some(CloudClass::Shadow),
            Self::SceneClassification if is(10) => Some(CloudClass::Thin),
            Self::SceneClassification if is(8) || is(9) => Some(CloudClass::Cloud),
            Self::SceneClassification => None,
            Self::NonZero => (value.abs() > 0.0).then_some(CloudClass::Cloud),
            Self::Listed(codes) => codes.iter().any(|c| is(*c)).then_some(CloudClass::Cloud),
        }
    }
}

/// What the user says about clouds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CloudOptions {
    /// `--cloud-mask`: `none`, `band:NAME`, or a raster; `{scene}` in it stands for the scene's path without ending.
    pub mask: Option<String>,
    /// `--cloud-codes`.
    pub codes: Option<CloudCodes>,
}

impl CloudOptions {
    /// Whether the mask is a band of the scene itself.
    pub(super) fn is_own_band(&self) -> bool {
        (self.mask.as_deref()).is_some_and(|mask| mask.starts_with("band:"))
    }

    /// The mask of a scene at `path`, which GDAL opens as `raster` and has open as `dataset`: as the user says, else
    /// `stated`, the one that its product names.
    pub(super) fn mask_of(
        &self,
        path: &str,
        raster: &str,
        dataset: &Dataset,
        stated: Option<&CloudMask>,
    ) -> Result<Option<CloudMask>, SceneError> {
        let codes = |name: &str| {
            self.codes.clone().unwrap_or_else(|| {
                if name.to_uppercase().contains("SCL") {
                    CloudCodes::SceneClassification
                } else {
                    CloudCodes::NonZero
                }
            })
        };
        let given = match self.mask.as_deref() {
            Some("none") => return Ok(None),
            None => {
                return Ok(stated.cloned().map(|mask| CloudMask {
                    codes: self.codes.clone().unwrap_or(mask.codes),
                    ..mask
                }));
            }
            Some(given) => given,
        };
        if let Some(name) = given.strip_prefix("band:") {
            let described = |number: usize| {
                let band = dataset.rasterband(number).ok();
                band.and_then(|b| b.description().ok()).unwrap_or_default()
            };
            let count = dataset.raster_count();
            let band = (name.parse().ok().filter(|n| (1..=count).contains(n)))
                .or_else(|| (1..=count).find(|&n| described(n).eq_ignore_ascii_case(name)))
                .ok_or_else(|| SceneError::CloudMask {
                    path: path.to_owned(),
                    mask: given.to_owned(),
                    reason: format!("the scene has no band `{name}`"),
                })?;
            return Ok(Some(CloudMask {
                raster: raster.to_owned(),
                band,
                codes: codes(&format!("{name} {}", described(band))),
            }));
        }
        let stem = std::path::Path::new(path).with_extension("");
        let file = given.replace("{scene}", &stem.to_string_lossy());
        let name = std::path::Path::new(&file)
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Ok(Some(CloudMask {
            codes: codes(&name),
            raster: file,
            band: 1,
        }))
    }
}

/// The open cloud mask of a scene. One per thread.
pub struct CloudReader {
    dataset: Dataset,
    mask: CloudMask,
    /// From scene pixels to mask pixels.
    to_mask: [f64; 6],
    nodata: Option<f32>,
    path: String,
    values: Vec<f32>,
}

impl CloudReader {
    /// Opens the mask of a scene, if it has one.
    pub fn open(scene: &Scene) -> Result<Option<Self>, SceneError> {
        let Some(mask) = &scene.clouds else {
            return Ok(None);
        };
        let wrong = |reason: String| SceneError::CloudMask {
            path: scene.path.clone(),
            mask: redacted(&mask.raster),
            reason,
        };
        let in_words = |e: GdalError| wrong(gdal_words(&e));
        let missing = !mask.raster.starts_with("/vsi")
            && !mask.raster.contains([':', '<'])
            && !std::path::Path::new(&mask.raster).exists();
        if missing {
            return Err(wrong("no such file".to_owned()));
        }
        let mut dataset =
            open_dataset(&mask.raster).map_err(|e| match why_not_opened(&mask.raster) {
                Some(reason) => away(&scene.path, mask, reason),
                None => in_words(e),
            })?;
        let same_raster = mask.raster == scene.raster();
        let to_mask = if same_raster || is_bare_twin(&dataset, scene) {
            [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        } else {
            let scene_crs = scene_crs(scene).map_err(in_words)?;
            if dataset.geo_transform().is_err() && dataset.gcps().is_empty() {
                let (columns, rows) = dataset.raster_size();
                return Err(wrong(format!(
                    "it has no place on Earth, and {columns} × {rows} pixels where the scene has {} × {}",
                    scene.width, scene.height
                )));
            }
            let same_crs = (dataset.spatial_ref()).is_ok_and(|crs| crs == scene_crs);
            if !same_crs || dataset.geo_transform().is_err() {
                let arguments = ["-t_srs", &scene.crs_wkt, "-r", "near", "-et", "0"];
                let text = warped_vrt(&dataset, &arguments.map(str::to_owned)).map_err(|e| {
                    wrong(format!(
                        "it cannot be placed on the scene: {}",
                        gdal_words(&e)
                    ))
                })?;
                dataset = Dataset::open(text).map_err(in_words)?;
            }
            let inverse = (dataset.geo_transform())
                .and_then(|g| g.invert())
                .map_err(in_words)?;
            after(&inverse, &scene.geotransform)
        };
        let reader = Self {
            nodata: (dataset.rasterband(mask.band).map_err(in_words)?)
                .no_data_value()
                .map(|v| v as f32),
            dataset,
            mask: mask.clone(),
            to_mask,
            path: scene.path.clone(),
            values: Vec::new(),
        };
        let whole = Window {
            x: 0.0,
            y: 0.0,
            width: scene.width as f64,
            height: scene.height as f64,
        };
        if reader.extent(whole).is_none() {
            return Err(wrong("it lies elsewhere than the scene".to_owned()));
        }
        Ok(Some(reader))
    }

    /// The pixels of the mask under a window of the scene: first column, first row, columns, rows.
    fn extent(&self, window: Window) -> Option<[usize; 4]> {
        let (columns, rows) = self.dataset.raster_size();
        let (right, bottom) = (window.x + window.width, window.y + window.height);
        let corners = [
            (window.x, window.y),
            (right, window.y),
            (window.x, bottom),
            (right, bottom),
        ]
        .map(|(x, y)| self.to_mask.apply(x, y));
        let range = |values: [f64; 4], limit: usize| {
            let low = values.into_iter().fold(f64::INFINITY, f64::min);
            let high = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let from = low.floor().max(0.0) as usize;
            let to = high.ceil().clamp(0.0, limit as f64) as usize;
            (from < to).then_some((from, to - from))
        };
        let (x, width) = range(corners.map(|c| c.0), columns)?;
        let (y, height) = range(corners.map(|c| c.1), rows)?;
        Some([x, y, width, height])
    }

    /// Reads a window of the mask; where that fails and a server has to do with it, tells whether it is away, and reads
    /// again if it is not.
    fn read_values(&mut self, window: Window, size: (usize, usize)) -> Result<(), SceneError> {
        self.values.resize(size.0 * size.1, 0.0);
        let mut read = || {
            let band = self.dataset.rasterband(self.mask.band)?;
            read_window(
                &band,
                window,
                size,
                Resampling::Nearest,
                None,
                &mut self.values,
            )
        };
        let mut done = read();
        if done.is_err() && is_remote(&self.mask.raster) {
            if let Some(reason) = why_away(&self.dataset, &self.mask.raster) {
                return Err(away(&self.path, &self.mask, reason));
            }
            done = read();
        }
        done.map_err(|e| SceneError::CloudMask {
            path: self.path.clone(),
            mask: redacted(&self.mask.raster),
            reason: gdal_words(&e),
        })
    }

    /// What covers the pixels of `window` when it is read into `size` (columns, rows), row by row: that of the mask
    /// pixel which the middle of the pixel falls into. `None`: clear, or not told by the mask.
    pub fn read(
        &mut self,
        window: Window,
        size: (usize, usize),
    ) -> Result<Vec<Option<CloudClass>>, SceneError> {
        let mut classes = vec![None; size.0 * size.1];
        let Some([x0, y0, width, height]) = self.extent(window) else {
            return Ok(classes);
        };
        // A mask much finer than the window is thinned out, so that memory depends on the chip alone.
        let thinned = (width.min(4 * size.0), height.min(4 * size.1));
        let under = Window {
            x: x0 as f64,
            y: y0 as f64,
            width: width as f64,
            height: height as f64,
        };
        self.read_values(under, thinned)?;
        let step = (window.width / size.0 as f64, window.height / size.1 as f64);
        let ratio = (
            thinned.0 as f64 / width as f64,
            thinned.1 as f64 / height as f64,
        );
        for (i, class) in classes.iter_mut().enumerate() {
            let (x, y) = self.to_mask.apply(
                window.x + ((i % size.0) as f64 + 0.5) * step.0,
                window.y + ((i / size.0) as f64 + 0.5) * step.1,
            );
            let (column, row) = ((x - under.x) * ratio.0, (y - under.y) * ratio.1);
            if column >= 0.0
                && row >= 0.0
                && (column as usize) < thinned.0
                && (row as usize) < thinned.1
            {
                let value = self.values[row as usize * thinned.0 + column as usize];
                if self.nodata.is_none_or(|n| (n - value).abs() > 0.0) {
                    *class = self.mask.codes.class(value);
                }
            }
        }
        Ok(classes)
    }
}

/// Why a mask cannot be used now, and may be later.
fn away(path: &str, mask: &CloudMask, reason: String) -> SceneError {
    SceneError::CloudMaskAway {
        path: path.to_owned(),
        mask: redacted(&mask.raster),
        reason,
    }
}

/// A mask without a place of its own that has the scene's size covers it pixel by pixel.
fn is_bare_twin(mask: &Dataset, scene: &Scene) -> bool {
    mask.geo_transform().is_err()
        && mask.gcps().is_empty()
        && mask.raster_size() == (scene.width, scene.height)
}

fn scene_crs(scene: &Scene) -> Result<SpatialRef, GdalError> {
    let mut crs = SpatialRef::from_wkt(&scene.crs_wkt)?;
    crs.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    Ok(crs)
}

/// The affine map that applies `first`, then `second`, both as geotransforms.
fn after(second: &[f64; 6], first: &[f64; 6]) -> [f64; 6] {
    let (x, y) = second.apply(first[0], first[3]);
    [
        x,
        second[1] * first[1] + second[2] * first[4],
        second[1] * first[2] + second[2] * first[5],
        y,
        second[4] * first[1] + second[5] * first[4],
        second[4] * first[2] + second[5] * first[5],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scene_classification_tells_shadow_thin_cloud_and_cloud() {
        let class = |value: u8| CloudCodes::SceneClassification.class(f32::from(value));
        let told: Vec<_> = (0..=11).map(class).collect();
        let (s, t, c) = (CloudClass::Shadow, CloudClass::Thin, CloudClass::Cloud);
        let mut expected = [None; 12];
        (expected[3], expected[8], expected[9], expected[10]) =
            (Some(s), Some(c), Some(c), Some(t));
        assert_eq!(told, expected);
    }

    #[test]
    fn values_that_are_no_numbers_are_not_cloud() {
        let listed = CloudCodes::Listed(vec![2, 4]);
        for codes in [CloudCodes::SceneClassification, CloudCodes::NonZero, listed] {
            assert_eq!(codes.class(f32::NAN), None);
        }
    }

    #[test]
    fn two_geotransforms_one_after_the_other() {
        let (first, second) = (
            [3.0, 2.0, 0.5, -1.0, 0.25, -4.0],
            [10.0, 0.5, 1.0, 2.0, -3.0, 0.75],
        );
        let (x, y) = first.apply(7.0, -5.0);
        let (expected, got) = (second.apply(x, y), after(&second, &first).apply(7.0, -5.0));
        assert!((expected.0 - got.0).abs() < 1e-12 && (expected.1 - got.1).abs() < 1e-12);
    }
}
