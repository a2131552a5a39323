//! Opening a scene: everything about a raster that a scan needs to know before it reads pixels.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use gdal::errors::GdalError;
use gdal::raster::GdalDataType;
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, Metadata};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::bands::{BandError, pick_bands};
use super::clouds::{CloudOptions, CloudReader};
use super::georeference::{Georeference, GeoreferenceError};
use super::ground_scale::GroundScale;
use super::radiometry::{Radiometry, ScalingOrigin};
use super::source::{BandScaling, CloudMask, SceneSource};
use super::validity::{NodataOption, ValidityRule};

/// Why a file cannot serve as a scene.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SceneError {
    /// Nothing at this path.
    #[error("`{path}` does not exist: check the path")]
    Missing {
        /// The path as given.
        path: String,
    },
    /// GDAL does not open it.
    #[error("`{path}` cannot be opened as a raster: {}", gdal_words(source))]
    NotARaster {
        /// The path as given.
        path: String,
        /// GDAL's reason.
        #[source]
        source: GdalError,
    },
    /// It has no bands (a container of subdatasets, for example).
    #[error("`{path}` holds no raster bands{hint}")]
    NoBands {
        /// The path as given.
        path: String,
        /// What to try instead.
        hint: String,
    },
    /// No position on Earth.
    #[error(
        "`{path}` has no georeference ({what}): add one with `gdal_edit.py -a_srs … -a_ullr …`, or warp it with `gdalwarp`"
    )]
    NoGeoreference {
        /// The path as given.
        path: String,
        /// What is missing.
        what: &'static str,
    },
    /// A georeference that cannot be used.
    #[error("`{path}`: {source}")]
    Georeference {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        #[source]
        source: GeoreferenceError,
    },
    /// The bands a model needs are not there.
    #[error("`{path}` does not fit the model: {source}")]
    Bands {
        /// The path as given.
        path: String,
        /// What is wrong.
        #[source]
        source: BandError,
    },
    /// Complex numbers and the like.
    #[error(
        "`{path}` stores {data_type} pixels, which no model here can take: convert it with `gdal_translate -ot Float32`"
    )]
    DataType {
        /// The path as given.
        path: String,
        /// GDAL's name of the type.
        data_type: String,
    },
    /// The cloud mask cannot be used.
    #[error(
        "`{path}`: its cloud mask `{mask}` cannot be used: {reason}; name another with `--cloud-mask`, or go without by `--cloud-mask none`"
    )]
    CloudMask {
        /// The path as given.
        path: String,
        /// The mask.
        mask: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A window could not be read.
    #[error(
        "`{path}` cannot be read near column {column}, row {row}: {}; the file may be truncated or damaged",
        gdal_words(source)
    )]
    Read {
        /// The path as given.
        path: String,
        /// Left edge of the window.
        column: u64,
        /// Upper edge of the window.
        row: u64,
        /// GDAL's reason.
        #[source]
        source: GdalError,
    },
}

/// GDAL's message alone, without the wrapper's struct around it, on one line.
pub(crate) fn gdal_words(error: &GdalError) -> String {
    let text = match error {
        GdalError::NullPointer { msg, .. } if msg.is_empty() => {
            "GDAL does not know its format".to_owned()
        }
        GdalError::CplError { msg, .. } | GdalError::NullPointer { msg, .. } if !msg.is_empty() => {
            msg.clone()
        }
        other => other.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a scan asks of every scene.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SceneOptions {
    /// Names of the bands the model wants, in its order.
    pub wanted_bands: Vec<String>,
    /// `--bands`: names or numbers, in the model's order.
    pub bands: Option<Vec<String>>,
    /// `--nodata`.
    pub nodata: NodataOption,
    /// `--date`: an ISO 8601 date for all scenes.
    pub date: Option<String>,
    /// `--cloud-mask` and `--cloud-codes`.
    pub clouds: CloudOptions,
}

/// How a file is divided into the blocks that GDAL decodes and caches whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockLayout {
    /// Rows of pixels in a block (of the tallest, where bands differ).
    pub height: u64,
    /// Bytes of one decoded row of blocks across the scene, all used bands together.
    pub row_bytes: u64,
}

/// A georeferenced raster, described. Holds no open file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// Short name, unique in a run: the file name without its ending.
    pub id: String,
    /// Path as given.
    pub path: String,
    /// What GDAL opens, where that is not the path.
    pub raster: Option<String>,
    /// Acquisition date (ISO 8601), where known.
    pub date: Option<String>,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Authority code (`EPSG:32644`) or name of the CRS.
    pub crs: String,
    /// The CRS in full.
    pub crs_wkt: String,
    /// GDAL geotransform: x = g0 + column g1 + row g2, y = g3 + column g4 + row g5.
    pub geotransform: [f64; 6],
    /// Ground size of a pixel at the middle of the scene: metres along x and y.
    pub gsd_m: [f64; 2],
    /// Whether that size holds everywhere.
    pub ground_scale: GroundScale,
    /// GDAL's name of the pixel type.
    pub data_type: String,
    /// Used bands, numbered from 1, in the model's order.
    pub bands: Vec<usize>,
    /// How empty pixels are told.
    pub validity: ValidityRule,
    /// How stored numbers become the model's units.
    pub radiometry: Radiometry,
    /// To a physical quantity, reflectance as a rule: one entry per used band, where the product or the file
    /// states it.
    pub scaling: Option<Vec<BandScaling>>,
    /// Which of the two.
    pub scaling_origin: Option<ScalingOrigin>,
    /// Where clouds are, if that is known.
    pub clouds: Option<CloudMask>,
    /// How the file is divided into blocks. Not part of what identifies a scene.
    #[serde(skip)]
    pub blocks: BlockLayout,
    /// Size and sampled content of the file, to notice that it has changed. Empty for remote files.
    pub content: String,
    /// The same of the cloud mask.
    pub cloud_content: String,
}

impl Scene {
    /// Opens and describes a raster.
    pub fn open(source: &SceneSource, options: &SceneOptions) -> Result<Self, SceneError> {
        let path = source.path.as_str();
        let remote = path.starts_with("/vsi");
        if !remote && !Path::new(path).exists() && !path.contains(':') {
            return Err(SceneError::Missing {
                path: path.to_owned(),
            });
        }
        let dataset = Dataset::open(source.raster()).map_err(|source| SceneError::NotARaster {
            path: path.to_owned(),
            source,
        })?;
        if dataset.raster_count() == 0 {
            let hint = match dataset.metadata_item("SUBDATASET_1_NAME", "SUBDATASETS") {
                Some(first) => format!(": name one of its parts, e.g. `{first}`"),
                None => String::new(),
            };
            return Err(SceneError::NoBands {
                path: path.to_owned(),
                hint,
            });
        }
        let (width, height) = dataset.raster_size();
        let (geotransform, crs) = locate(&dataset, path)?;
        let in_georeference = |source| SceneError::Georeference {
            path: path.to_owned(),
            source,
        };
        let crs_wkt = crs
            .to_wkt()
            .map_err(|e| in_georeference(GeoreferenceError::Crs(e)))?;
        let georeference = Georeference::new(geotransform, &crs_wkt).map_err(in_georeference)?;
        let metres_per_unit = crs.is_projected().then(|| crs.linear_units());
        let ground_scale = GroundScale::of(
            &georeference,
            &geotransform,
            (width, height),
            metres_per_unit,
        );
        let gsd = ground_scale
            .at_row(&georeference, width, height as f64 / 2.0)
            .map_err(in_georeference)?;

        let bands = pick_bands(&dataset, &options.wanted_bands, options.bands.as_deref()).map_err(
            |source| SceneError::Bands {
                path: path.to_owned(),
                source,
            },
        )?;
        let in_raster = |source| SceneError::NotARaster {
            path: path.to_owned(),
            source,
        };
        let data_type = common_type(&dataset, &bands, path)?;
        let validity = ValidityRule::of(&dataset, &bands, options.nodata).map_err(in_raster)?;
        let blocks = block_layout(&dataset, &bands).map_err(in_raster)?;

        let scaling = known_scaling(source, &dataset, &bands);
        let clouds =
            (options.clouds).mask_of(path, source.raster(), &dataset, source.clouds.as_ref())?;

        let scene = Self {
            id: source.id.clone().unwrap_or_else(|| file_stem(path)),
            path: path.to_owned(),
            raster: source.raster.clone(),
            date: (options.date.clone())
                .or_else(|| source.date.clone())
                .or_else(|| tiff_date(&dataset)),
            width,
            height,
            crs: crs
                .authority()
                .ok()
                .or_else(|| crs.name())
                .unwrap_or_else(|| "unnamed".to_owned()),
            crs_wkt,
            geotransform,
            gsd_m: [gsd.0, gsd.1],
            ground_scale,
            data_type,
            validity,
            scaling_origin: scaling.as_ref().map(|(origin, _)| *origin),
            scaling: scaling.map(|(_, bands)| bands),
            cloud_content: cloud_content(clouds.as_ref(), source.raster()),
            clouds,
            radiometry: Radiometry::as_stored(bands.len()),
            bands,
            blocks,
            content: if remote {
                String::new()
            } else {
                sample_content(path)
            },
        };
        // A mask that cannot be read is found out now, and not at every chip.
        drop(CloudReader::open(&scene)?);
        Ok(scene)
    }

    /// What GDAL opens.
    pub fn raster(&self) -> &str {
        self.raster.as_deref().unwrap_or(&self.path)
    }

    /// The mapping between pixels and WGS 84, for this thread.
    pub fn georeference(&self) -> Result<Georeference, SceneError> {
        Georeference::new(self.geotransform, &self.crs_wkt).map_err(|source| {
            SceneError::Georeference {
                path: self.path.clone(),
                source,
            }
        })
    }
}

/// Gives scenes of the same name different ids (`a`, `a-2`), in the order given.
pub fn unique_ids(scenes: &mut [Scene]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for scene in scenes {
        let count = seen.entry(scene.id.clone()).or_insert(0);
        *count += 1;
        if *count > 1 {
            scene.id = format!("{}-{count}", scene.id);
        }
    }
}

fn locate(dataset: &Dataset, path: &str) -> Result<([f64; 6], SpatialRef), SceneError> {
    let none = |what| SceneError::NoGeoreference {
        path: path.to_owned(),
        what,
    };
    let geotransform = dataset.geo_transform().map_err(|_none| {
        if dataset.gcps().is_empty() {
            none("no geotransform")
        } else {
            none("ground control points only, no geotransform")
        }
    })?;
    let crs = dataset
        .spatial_ref()
        .map_err(|_none| none("no coordinate reference system"))?;
    if crs.is_local() {
        return Err(none("a local coordinate system that is tied to no place"));
    }
    Ok((geotransform, crs))
}

/// The pixel type of the used bands. Mixed types are named by the first.
fn common_type(dataset: &Dataset, bands: &[usize], path: &str) -> Result<String, SceneError> {
    let mut name = String::new();
    for &number in bands {
        let band = dataset
            .rasterband(number)
            .map_err(|source| SceneError::NotARaster {
                path: path.to_owned(),
                source,
            })?;
        let data_type = band.band_type();
        let real = matches!(
            data_type,
            GdalDataType::UInt8
                | GdalDataType::UInt16
                | GdalDataType::Int16
                | GdalDataType::UInt32
                | GdalDataType::Int32
                | GdalDataType::Float32
                | GdalDataType::Float64
        );
        if !real {
            return Err(SceneError::DataType {
                path: path.to_owned(),
                // The wrapper knows no name for complex numbers.
                data_type: match data_type {
                    GdalDataType::Unknown => "complex or unknown".to_owned(),
                    other => other.name(),
                },
            });
        }
        if name.is_empty() {
            name = data_type.name();
        }
    }
    Ok(name)
}

/// What the product says of the used bands, or else the file.
fn known_scaling(
    source: &SceneSource,
    dataset: &Dataset,
    bands: &[usize],
) -> Option<(ScalingOrigin, Vec<BandScaling>)> {
    if let Some(all) = &source.scaling {
        let used: Option<Vec<_>> = bands.iter().map(|b| all.get(b - 1).copied()).collect();
        return used.map(|used| (ScalingOrigin::Product, used));
    }
    let of_file: Vec<BandScaling> = bands
        .iter()
        .map(|&number| {
            let band = dataset.rasterband(number).ok();
            let number = |value: Option<f64>| value.filter(|v| v.is_finite());
            BandScaling {
                scale: (band.as_ref().and_then(|b| number(b.scale())))
                    .filter(|scale| scale.abs() > 0.0)
                    .unwrap_or(1.0),
                offset: (band.as_ref().and_then(|b| number(b.offset()))).unwrap_or(0.0),
            }
        })
        .collect();
    let says_something = |band: &BandScaling| band.scale != 1.0 || band.offset != 0.0;
    (of_file.iter().any(says_something)).then_some((ScalingOrigin::File, of_file))
}

fn block_layout(dataset: &Dataset, bands: &[usize]) -> Result<BlockLayout, GdalError> {
    let mut layout = BlockLayout::default();
    for &number in bands {
        let band = dataset.rasterband(number)?;
        let height = band.block_size().1 as u64;
        layout.height = layout.height.max(height);
        layout.row_bytes += band.x_size() as u64 * height * u64::from(band.band_type().bytes());
    }
    Ok(layout)
}

/// `TIFFTAG_DATETIME` (`2024:01:31 05:00:00`) as an ISO date.
fn tiff_date(dataset: &Dataset) -> Option<String> {
    let tag = dataset.metadata_item("TIFFTAG_DATETIME", "")?;
    let mut parts = tag.split_whitespace().next()?.splitn(3, ':');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str, digits: usize| {
        (text.len() == digits)
            .then(|| text.parse::<u32>().ok())
            .flatten()
    };
    let (y, m, d) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    (y > 0 && (1..=12).contains(&m) && (1..=31).contains(&d))
        .then(|| format!("{year}-{month}-{day}"))
}

/// Bytes read at each of the sampled places of a file.
const SAMPLE_BYTES: u64 = 64 * 1024;
/// Sampled places, first and last bytes included.
const SAMPLE_PLACES: u64 = 16;

/// A digest of a file's size and of samples spread over it: cheap for a scene of any size, and different
/// for a file that was replaced or cut short. Empty when the file cannot be read this way.
fn sample_content(path: &str) -> String {
    let digest = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut hash = Sha256::new();
        hash.update(size.to_le_bytes());
        let mut buffer = Vec::with_capacity(SAMPLE_BYTES as usize);
        for place in 0..SAMPLE_PLACES {
            let start = (size.saturating_sub(SAMPLE_BYTES) / (SAMPLE_PLACES - 1)) * place;
            file.seek(SeekFrom::Start(start))?;
            buffer.clear();
            (&mut file).take(SAMPLE_BYTES).read_to_end(&mut buffer)?;
            hash.update(&buffer);
        }
        Ok(format!(
            "{size} bytes, sampled sha256 {}",
            hex(&hash.finalize())
        ))
    };
    digest().unwrap_or_default()
}

/// What [`sample_content`] says of a cloud mask that is not a band of the scene.
fn cloud_content(mask: Option<&CloudMask>, scene_raster: &str) -> String {
    mask.filter(|mask| mask.raster != scene_raster)
        .map_or_else(String::new, |mask| sample_content(&mask.raster))
}

fn file_stem(path: &str) -> String {
    Path::new(path)
        .file_stem()
        .map_or_else(|| path.to_owned(), |s| s.to_string_lossy().into_owned())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
