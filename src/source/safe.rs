//! Sentinel-2 products in SAFE format, level 1C and 2A: a folder, an archive, or a bucket.

use std::path::Path;

use super::Wanted;
use super::access::{Access, exists};
use super::address::Address;
use super::error::SourceError;
use super::safe_metadata::{Granule, Metadata, parse};
use super::stack::{Layer, stack};
use crate::scene::{
    BandScaling, CloudCodes, CloudMask, DateOrigin, SceneDate, SceneSource, content_of_files,
    is_remote, on_disk, prepare_thread, same_band,
};

/// A resolution that is coarser than the model's by less than this is the model's.
const GSD_TOLERANCE: f64 = 1.01;

/// Whether a file name is that of a product's metadata.
pub(super) fn is_metadata_name(name: &str) -> bool {
    let long =
        name.starts_with("S2") && (name.contains("_MTD_SAFL1C_") || name.contains("_MTD_SAFL2A_"));
    (name.starts_with("MTD_MSIL") || long) && has_ending(name, "xml")
}

fn has_ending(name: &str, ending: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// Whether the metadata of a product lies in a folder.
pub(super) fn metadata_in(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| is_metadata_name(&entry.file_name().to_string_lossy()))
        })
    })
}

/// The folder of the product whose metadata this is, if it is metadata (`X.SAFE` of `X.SAFE/MTD_MSIL2A.xml`).
pub(super) fn root_in_archive(name: &str) -> Option<String> {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    is_metadata_name(file).then(|| folder.to_owned())
}

/// The scenes of a product: one per tile.
pub(super) fn product(
    address: &Address,
    wanted: &Wanted,
    access: &Access<'_>,
) -> Result<Vec<SceneSource>, SourceError> {
    product_shown_as(address, &address.shown(), None, wanted, access)
}

/// The same for a product whose path is not what the user typed (an archive); `content` is what the archive
/// holds, where that is known.
pub(super) fn product_shown_as(
    address: &Address,
    shown: &str,
    content: Option<&str>,
    wanted: &Wanted,
    access: &Access<'_>,
) -> Result<Vec<SceneSource>, SourceError> {
    let fail = |reason: String| SourceError::Safe {
        path: shown.to_owned(),
        reason,
    };
    if wanted.by_number {
        return Err(SourceError::BandsByNumber(shown.to_owned()));
    }
    let gdal = address.gdal();
    let root = Address::new(gdal.trim_end_matches('/'));
    prepare_thread("");
    let names = gdal::vsi::read_dir(root.gdal(), false).unwrap_or_default();
    let metadata_name = names
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .find(|name| is_metadata_name(name));
    let metadata_name = match metadata_name {
        Some(name) => name,
        // A web server lists no folders: the name says which level it is.
        None if root.is_remote() => {
            let level = if shown.contains("_MSIL1C_") {
                "1C"
            } else {
                "2A"
            };
            format!("MTD_MSIL{level}.xml")
        }
        None => {
            return Err(fail(
                "it has no MTD_MSIL1C.xml or MTD_MSIL2A.xml; is it complete?".to_owned(),
            ));
        }
    };
    let inside = |path: &str| Address::new(format!("{}/{path}", root.gdal()));
    let document = inside(&metadata_name);
    let text = String::from_utf8(access.read(&document)?)
        .map_err(|_not_text| fail("its metadata is not text".to_owned()))?;
    let metadata = parse(&text).map_err(fail)?;
    let name = metadata.name.clone().unwrap_or_else(|| {
        let file = Path::new(shown)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let lower = file.to_ascii_lowercase();
        let end = [".zip", ".safe", ".safe.zip"]
            .iter()
            .filter(|ending| lower.ends_with(*ending))
            .map(|ending| file.len() - ending.len())
            .min();
        file.get(..end.unwrap_or(file.len()))
            .unwrap_or_default()
            .to_owned()
    });
    let tiles = metadata.granules.len();
    metadata
        .granules
        .iter()
        .map(|granule| {
            let tile = Tile {
                shown,
                metadata: &metadata,
                granule,
                wanted,
                access,
            };
            let mut source = tile.source(&inside, &document, content)?;
            shown.clone_into(&mut source.path);
            source.id = Some(name.clone());
            if tiles > 1 {
                source.path = format!("{shown}/GRANULE/{}", granule.id);
                source.id = Some(format!("{name}_{}", tile_name(granule)));
            }
            Ok(source)
        })
        .collect()
}

/// `T43RGM`, from a granule's identifier; all of it where it has no such part.
fn tile_name(granule: &Granule) -> &str {
    granule
        .id
        .split('_')
        .find(|part| {
            part.len() == 6
                && part.starts_with('T')
                && part.bytes().skip(1).all(|b| b.is_ascii_alphanumeric())
        })
        .unwrap_or(&granule.id)
}

/// An image of a product, by what its name says.
#[derive(Debug, Clone, PartialEq)]
struct Image {
    /// `B04`, `SCL`.
    band: String,
    /// Metres per pixel.
    gsd_m: f64,
    /// Path in the product, without its ending.
    path: String,
}

impl Image {
    /// From names like `…_B04`, `…_B04_10m`.
    fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        let mut parts = name.rsplit('_');
        let last = parts.next()?;
        let stated = last
            .strip_suffix('m')
            .and_then(|metres| metres.parse::<f64>().ok());
        let band = match stated {
            Some(_) => parts.next()?,
            None => last,
        };
        Some(Self {
            gsd_m: stated.unwrap_or_else(|| native_gsd(band)),
            band: band.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// Resolution at which the instrument measures a band.
fn native_gsd(band: &str) -> f64 {
    match band {
        "B02" | "B03" | "B04" | "B08" | "TCI" => 10.0,
        "B01" | "B09" | "B10" => 60.0,
        _ => 20.0,
    }
}

struct Tile<'a> {
    shown: &'a str,
    metadata: &'a Metadata,
    granule: &'a Granule,
    wanted: &'a Wanted,
    access: &'a Access<'a>,
}

impl Tile<'_> {
    fn source(
        &self,
        inside: &dyn Fn(&str) -> Address,
        document: &Address,
        content: Option<&str>,
    ) -> Result<SceneSource, SourceError> {
        let images: Vec<Image> = self
            .granule
            .images
            .iter()
            .filter_map(|path| Image::of(path))
            .collect();
        let chosen = self.choose(&images)?;
        let (mut layers, mut contents, mut files) = (Vec::new(), Vec::new(), Vec::new());
        let names: Vec<String> = if self.wanted.bands.is_empty() {
            chosen.iter().map(|image| image.band.clone()).collect()
        } else {
            self.wanted.bands.clone()
        };
        for (image, name) in chosen.iter().zip(&names) {
            let address = inside(&format!("{}.jp2", image.path));
            let reached = self
                .access
                .reach(&address)
                .map_err(|e| self.lacks(image, e))?;
            if !address.is_remote() && !exists(&address) {
                return Err(self.lacks(image, SourceError::Missing(address.shown())));
            }
            files.push(on_disk(&reached.path));
            contents.extend(reached.content);
            layers.push(Layer {
                path: reached.path,
                band: 1,
                name: name.clone(),
                nodata: Some(0.0),
            });
        }
        let clouds = self.clouds(&images, inside);
        if let Some(mask) = clouds.as_ref().filter(|mask| !is_remote(&mask.raster)) {
            files.push(on_disk(&mask.raster));
        }
        files.push(on_disk(&document.gdal()));
        Ok(SceneSource {
            raster: Some(stack(self.shown, &layers)?),
            date: self.metadata.day.clone().map(|day| SceneDate {
                day,
                origin: DateOrigin::Sentinel2,
            }),
            scaling: Some(self.scaling(&chosen)),
            scaling_note: Some(self.scaling_in_words()),
            clouds,
            content: Some(match content {
                Some(content) => content.to_owned(),
                None if contents.is_empty() => content_of_files(&files),
                None => contents.join("; "),
            }),
            ..SceneSource::default()
        })
    }

    /// The image of each wanted band: of several resolutions, the coarsest that is no coarser than the
    /// model's, else the finest.
    fn choose<'i>(&self, images: &'i [Image]) -> Result<Vec<&'i Image>, SourceError> {
        let gsd = self.wanted.gsd_m.unwrap_or(0.0) * GSD_TOLERANCE;
        let best = |fits: &dyn Fn(&Image) -> bool| {
            let candidates = || images.iter().filter(|image| fits(image));
            let fine_enough = candidates()
                .filter(|image| image.gsd_m <= gsd)
                .max_by(|a, b| a.gsd_m.total_cmp(&b.gsd_m));
            fine_enough.or_else(|| candidates().min_by(|a, b| a.gsd_m.total_cmp(&b.gsd_m)))
        };
        if self.wanted.bands.is_empty() {
            let any = best(&|image| image.band.starts_with('B'));
            return any
                .map(|image| vec![image])
                .ok_or_else(|| self.no_bands(images));
        }
        self.wanted
            .bands
            .iter()
            .map(|band| best(&|image| same_band(&image.band, band)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| self.no_bands(images))
    }

    fn no_bands(&self, images: &[Image]) -> SourceError {
        let mut bands: Vec<&str> = images.iter().map(|image| image.band.as_str()).collect();
        bands.sort_unstable();
        bands.dedup();
        SourceError::NoBands {
            path: self.shown.to_owned(),
            wanted: self.wanted.bands.join(", "),
            has: bands.join(", "),
        }
    }

    fn lacks(&self, image: &Image, error: SourceError) -> SourceError {
        match error {
            SourceError::Missing(_) | SourceError::NotFound(_) => SourceError::Safe {
                path: self.shown.to_owned(),
                reason: format!(
                    "its metadata lists band {}, but there is no `{}.jp2`; is it complete?",
                    image.band, image.path
                ),
            },
            other => other,
        }
    }

    /// Reflectance is (stored + offset) / quantification.
    fn scaling(&self, chosen: &[&Image]) -> Vec<BandScaling> {
        let quantification = self.metadata.quantification;
        chosen
            .iter()
            .map(|image| {
                let offset = self.metadata.offsets.get(&image.band).copied();
                BandScaling {
                    scale: 1.0 / quantification,
                    offset: offset.unwrap_or(0.0) / quantification,
                }
            })
            .collect()
    }

    fn scaling_in_words(&self) -> String {
        let baseline = self.metadata.baseline.as_deref().unwrap_or("not stated");
        let offset = if self.metadata.offsets.is_empty() {
            "no offset".to_owned()
        } else {
            let mut values: Vec<f64> = self.metadata.offsets.values().copied().collect();
            values.sort_by(f64::total_cmp);
            values.dedup();
            let values: Vec<String> = values.iter().map(f64::to_string).collect();
            format!("offset {}", values.join(", "))
        };
        format!(
            "product metadata: {offset}, quantification {}, processing baseline {baseline}",
            self.metadata.quantification
        )
    }

    /// The scene classification of level 2A; of level 1C from baseline 04.00 on, its mask of opaque clouds.
    fn clouds(&self, images: &[Image], inside: &dyn Fn(&str) -> Address) -> Option<CloudMask> {
        let reach = |path: &str, codes| {
            let address = inside(&format!("{path}.jp2"));
            if !exists(&address) {
                return None;
            }
            let raster = self.access.reach(&address).ok()?.path;
            Some(CloudMask {
                raster,
                band: 1,
                codes,
            })
        };
        let finest = |band: &str| {
            let of_band = images.iter().filter(|image| image.band == band);
            of_band.min_by(|a, b| a.gsd_m.total_cmp(&b.gsd_m))
        };
        let scl = finest("SCL").map(|image| image.path.clone()).or_else(|| {
            // Early products do not list it.
            let sibling = images
                .iter()
                .find(|i| i.band == "B05" && i.path.contains("/R20m/"))?;
            Some(sibling.path.replace("_B05_20m", "_SCL_20m"))
        });
        if let Some(mask) = scl.and_then(|path| reach(&path, CloudCodes::SceneClassification)) {
            return Some(mask);
        }
        let folder = images.first()?.path.split("/IMG_DATA/").next()?;
        reach(
            &format!("{folder}/QI_DATA/MSK_CLASSI_B00"),
            CloudCodes::NonZero,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_tell_band_and_resolution() {
        for (path, band, gsd_m) in [
            (
                "GRANULE/x/IMG_DATA/R20m/T43RGM_20240131T053021_B04_20m",
                "B04",
                20.0,
            ),
            ("GRANULE/x/IMG_DATA/T43RGM_20240131T053021_B8A", "B8A", 20.0),
            (
                "GRANULE/x/IMG_DATA/S2A_OPER_MSI_L1C_TL_EPA__2016_T32TQM_B01",
                "B01",
                60.0,
            ),
            (
                "GRANULE/x/IMG_DATA/R20m/T43RGM_20240131T053021_SCL_20m",
                "SCL",
                20.0,
            ),
        ] {
            let image = Image::of(path).unwrap();
            assert_eq!((image.band.as_str(), image.gsd_m), (band, gsd_m), "{path}");
        }
    }

    #[test]
    fn metadata_is_known_by_its_name() {
        assert!(is_metadata_name("MTD_MSIL2A.xml"));
        assert!(is_metadata_name(
            "S2A_OPER_MTD_SAFL1C_PDMC_20160930T031946_R065_V20160929T102022.xml"
        ));
        assert!(!is_metadata_name("MTD_TL.xml") && !is_metadata_name("MTD_DS.xml"));
        assert_eq!(
            root_in_archive("X.SAFE/MTD_MSIL1C.xml").as_deref(),
            Some("X.SAFE")
        );
        assert_eq!(root_in_archive("MTD_MSIL1C.xml").as_deref(), Some(""));
        assert_eq!(root_in_archive("X.SAFE/GRANULE/a/MTD_TL.xml"), None);
    }
}
