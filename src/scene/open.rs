//! Opening a scene: everything about a raster that a scan needs to know before it reads pixels.

use std::path::Path;

use gdal::errors::GdalError;
use gdal::raster::GdalDataType;
use gdal::{Dataset, Metadata};
use serde::{Deserialize, Serialize};

use super::bands::pick_bands;
use super::clouds::{CloudOptions, CloudReader};
use super::content::{content_of_raster, files_behind, on_disk, remote_content};
use super::date::{DateOrigin, SceneDate, date_in_name, date_in_tags};
use super::error::SceneError;
use super::geolocate::{Location, locate};
use super::georeference::{Georeference, GeoreferenceError};
use super::ground_scale::GroundScale;
use super::radiometry::{Radiometry, ScalingOrigin};
use super::remote::{is_remote, open_dataset};
use super::source::{BandScaling, CloudMask, SceneSource, without_secrets_if_any};
use super::special::is_special;
use super::validity::{NodataOption, ValidityRule, alpha_band};
use super::watch::Watch;

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
    /// Columns of pixels in a block (of the widest, where bands differ).
    pub width: u64,
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
    /// What GDAL opens, where that is not the path. Recorded without the secrets of addresses.
    #[serde(serialize_with = "without_secrets_if_any")]
    pub raster: Option<String>,
    /// Acquisition date (ISO 8601), where known.
    pub date: Option<String>,
    /// Where the date comes from.
    pub date_origin: Option<DateOrigin>,
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
    /// Where the place of the pixels comes from, in words: a geotransform, control points, RPC.
    pub georeferencing: String,
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
    /// What a product says of that scaling, in words.
    pub scaling_note: Option<String>,
    /// Where clouds are, if that is known.
    pub clouds: Option<CloudMask>,
    /// How the file is divided into blocks. Not part of what identifies a scene.
    #[serde(skip)]
    pub blocks: BlockLayout,
    /// Sizes and sampled content of its files, or what a server says of them: to notice that they have changed.
    pub content: String,
    /// The same of a cloud mask that is not among them.
    pub cloud_content: String,
    /// To notice it while the scene is scanned. Not part of what identifies a scene.
    #[serde(skip)]
    pub watches: Vec<Watch>,
}

impl Scene {
    /// Opens and describes a raster.
    pub fn open(source: &SceneSource, options: &SceneOptions) -> Result<Self, SceneError> {
        let path = source.path.as_str();
        let virtual_path = path.starts_with("/vsi") || source.raster.is_some();
        if !virtual_path && !Path::new(path).exists() && !path.contains(':') {
            return Err(SceneError::Missing {
                path: path.to_owned(),
            });
        }
        if is_special(Path::new(source.raster())) {
            return Err(SceneError::Special {
                path: path.to_owned(),
            });
        }
        let dataset = open_dataset(source.raster()).map_err(|source| SceneError::NotARaster {
            path: path.to_owned(),
            source,
        })?;
        let watch = watch(source, &dataset);
        if dataset.raster_count() == 0 {
            let parts = dataset.metadata_domain("SUBDATASETS").unwrap_or_default();
            let hint = match parts.first().and_then(|part| part.split_once('=')) {
                Some((_, first)) => format!(": name one of its parts, e.g. `{first}`"),
                None => String::new(),
            };
            return Err(SceneError::NoBands {
                path: path.to_owned(),
                hint,
            });
        }
        let in_raster = |source| SceneError::NotARaster {
            path: path.to_owned(),
            source,
        };
        let location = locate(&dataset, path, options.nodata)?;
        let warped = (location.warp.as_ref())
            .map(|warp| Dataset::open(&warp.raster))
            .transpose()
            .map_err(in_raster)?;
        let opened = warped.as_ref().unwrap_or(&dataset);
        let grid = Grid::of(opened, &location, path)?;

        let bands = pick_bands(&dataset, &options.wanted_bands, options.bands.as_deref()).map_err(
            |source| SceneError::Bands {
                path: path.to_owned(),
                source,
            },
        )?;
        let data_type = common_type(&dataset, &bands, path)?;
        // The warper has told empty pixels already, by the same rules, and marks them in a band of its own.
        let validity = match warped.as_ref().and_then(alpha_band) {
            Some(alpha) => ValidityRule::AlphaBand(alpha),
            None => ValidityRule::of(&dataset, &bands, options.nodata).map_err(in_raster)?,
        };
        let blocks = block_layout(opened, &bands).map_err(in_raster)?;

        let scaling = known_scaling(source, &dataset, &bands);
        let of_classes = match &location.warp {
            Some(warp) if options.clouds.is_own_band() => {
                warp.of_classes(&dataset).map_err(in_raster)?
            }
            _ => source.raster().to_owned(),
        };
        let clouds =
            (options.clouds).mask_of(path, &of_classes, &dataset, source.clouds.as_ref())?;
        let mask_watch = (clouds.as_ref())
            .filter(|mask| mask.raster != source.raster())
            .map(|mask| on_disk(&mask.raster))
            .filter(|file| file.is_file())
            .map(|file| Watch::of_files(&[file]));
        let date = date_of(source, options, &dataset);

        let scene = Self {
            id: source.id.clone().unwrap_or_else(|| file_stem(path)),
            path: path.to_owned(),
            raster: (location.warp.map(|warp| warp.raster)).or_else(|| source.raster.clone()),
            date: date.as_ref().map(|date| date.day.clone()),
            date_origin: date.map(|date| date.origin),
            width: grid.size.0,
            height: grid.size.1,
            crs: grid.crs,
            crs_wkt: grid.crs_wkt,
            geotransform: location.geotransform,
            georeferencing: location.origin,
            gsd_m: grid.gsd_m,
            ground_scale: grid.ground_scale,
            data_type,
            validity,
            scaling_origin: scaling.as_ref().map(|(origin, _)| *origin),
            scaling: scaling.map(|(_, bands)| bands),
            scaling_note: source.scaling_note.clone(),
            cloud_content: cloud_content(clouds.as_ref(), source),
            clouds,
            radiometry: Radiometry::as_stored(bands.len()),
            bands,
            blocks,
            content: (source.content.clone()).unwrap_or_else(|| watch.content().to_owned()),
            watches: std::iter::once(watch).chain(mask_watch).collect(),
        };
        // A mask that cannot be read is found out now, and not at every chip.
        drop(CloudReader::open(&scene)?);
        Ok(scene)
    }

    /// Whether other files have taken the place of those that were opened.
    pub fn has_changed(&self) -> bool {
        self.watches.iter().any(Watch::is_broken)
    }

    /// What GDAL opens.
    pub fn raster(&self) -> &str {
        self.raster.as_deref().unwrap_or(&self.path)
    }

    /// The mapping between pixels and WGS 84, for this thread.
    pub fn georeference(&self) -> Result<Georeference, SceneError> {
        let size = (self.width, self.height);
        Georeference::new(self.geotransform, size, &self.crs_wkt).map_err(|source| {
            SceneError::Georeference {
                path: self.path.clone(),
                source,
            }
        })
    }
}

/// When a scene was taken: as the user says, else the product, else the file's tags, else its name.
fn date_of(source: &SceneSource, options: &SceneOptions, dataset: &Dataset) -> Option<SceneDate> {
    let by = |origin| move |day| SceneDate { day, origin };
    let name = || Path::new(&source.path).file_stem()?.to_str();
    (options.date.clone().map(by(DateOrigin::Given)))
        .or_else(|| source.date.clone())
        .or_else(|| date_in_tags(dataset).map(by(DateOrigin::FileMetadata)))
        .or_else(|| date_in_name(name()?).map(by(DateOrigin::FileName)))
}

/// The pixels of a scene on the ground.
struct Grid {
    size: (usize, usize),
    /// Authority code or name.
    crs: String,
    crs_wkt: String,
    ground_scale: GroundScale,
    gsd_m: [f64; 2],
}

impl Grid {
    fn of(opened: &Dataset, location: &Location, path: &str) -> Result<Self, SceneError> {
        let failed = |source| SceneError::Georeference {
            path: path.to_owned(),
            source,
        };
        let (size, crs) = (opened.raster_size(), &location.crs);
        let crs_wkt = (crs.to_wkt()).map_err(|e| failed(GeoreferenceError::Crs(e)))?;
        let georeference =
            Georeference::new(location.geotransform, size, &crs_wkt).map_err(failed)?;
        let metres_per_unit = crs.is_projected().then(|| crs.linear_units());
        let ground_scale =
            GroundScale::of(&georeference, &location.geotransform, size, metres_per_unit);
        let (x_m, y_m) = ground_scale
            .at_row(&georeference, size.0, size.1 as f64 / 2.0)
            .map_err(failed)?;
        Ok(Self {
            size,
            crs: (crs.authority().ok())
                .or_else(|| crs.name())
                .unwrap_or_else(|| "unnamed".to_owned()),
            crs_wkt,
            ground_scale,
            gsd_m: [x_m, y_m],
        })
    }
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
        let (width, height) = (band.block_size().0 as u64, band.block_size().1 as u64);
        layout.width = layout.width.max(width);
        layout.height = layout.height.max(height);
        layout.row_bytes += band.x_size() as u64 * height * u64::from(band.band_type().bytes());
    }
    Ok(layout)
}

/// Watches the files of a scene. Of those on a network, the ones that a product is made of are not told apart.
fn watch(source: &SceneSource, dataset: &Dataset) -> Watch {
    let raster = source.raster();
    if is_remote(raster) {
        let content = match &source.content {
            Some(content) => content.clone(),
            None => remote_content(raster).unwrap_or_default(),
        };
        return Watch::of_remote(raster, &content);
    }
    Watch::of_files(&files_behind(dataset, raster))
}

/// The content of a cloud mask that is neither a band of the scene nor part of what the product says of its files.
fn cloud_content(mask: Option<&CloudMask>, source: &SceneSource) -> String {
    let of_product = |mask: &CloudMask| {
        let stated = source.clouds.as_ref().filter(|_| source.content.is_some());
        stated.is_some_and(|stated| stated.raster == mask.raster)
    };
    mask.filter(|mask| mask.raster != source.raster() && !of_product(mask))
        .map_or_else(String::new, |mask| content_of_raster(&mask.raster))
}

fn file_stem(path: &str) -> String {
    Path::new(path)
        .file_stem()
        .map_or_else(|| path.to_owned(), |s| s.to_string_lossy().into_owned())
}
