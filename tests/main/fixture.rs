//! Made-up scenes: bright blobs on a textured background, written with GDAL.

use std::path::Path;

use gdal::raster::{Buffer, ColorInterpretation, GdalType, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager, Metadata};
use kilnsight::geometry::LonLat;

use crate::harness::{Workspace, gdal_tool};

/// Grey value (0 to 255) of the ground.
const GROUND: f64 = 70.0;
/// Half the range of the texture on it.
const TEXTURE: f64 = 4.0;
/// Brightness of a usual blob above the ground: scores about 0.8.
pub(crate) const BRIGHT: f64 = 130.0;
/// Ground size of a model pixel.
pub(crate) const GSD_M: f64 = 10.0;

/// A Gaussian bright spot, in scene pixels. Pixel (0, 0) is the corner of the first pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Blob {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Grey value above the ground.
    pub(crate) height: f64,
}

/// A blob of usual brightness.
pub(crate) fn blob(x: f64, y: f64) -> Blob {
    Blob {
        x,
        y,
        height: BRIGHT,
    }
}

/// How a scene stores its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pixels {
    Byte,
    UInt16,
    Float32,
}

/// How a scene tells empty pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Empty {
    /// The value is stored there, and the file does not say what it means.
    Untagged(f64),
    /// The value is stored there, and declared.
    Nodata(f64),
    /// A mask band says so; the pixels look like the ground.
    Mask,
    /// An alpha band says so; the pixels look like the ground.
    Alpha,
}

/// A scene to write.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) size: (usize, usize),
    /// EPSG code and geotransform; `None`: no georeference.
    pub(crate) place: Option<(u32, [f64; 6])>,
    pub(crate) blobs: Vec<Blob>,
    /// Width (standard deviation) of blobs, in scene pixels.
    pub(crate) sigma: (f64, f64),
    /// Name of each band, and how strongly blobs show in it.
    pub(crate) bands: Vec<(&'static str, f64)>,
    pub(crate) pixels: Pixels,
    /// Stored number = grey value × first + second.
    pub(crate) units: (f64, f64),
    pub(crate) empty: Empty,
    /// Rectangles of empty pixels: first column, first row, last column and row exclusive.
    pub(crate) holes: Vec<[usize; 4]>,
    /// Options for GDAL's GeoTIFF driver.
    pub(crate) options: Vec<&'static str>,
    /// `TIFFTAG_DATETIME`.
    pub(crate) date: Option<&'static str>,
}

/// 10 m pixels in UTM 44 N, two degrees west of the central meridian.
pub(crate) const UTM: (u32, [f64; 6]) = (32644, [300_000.0, 10.0, 0.0, 3_000_000.0, 0.0, -10.0]);

impl Fixture {
    /// A scene in UTM with 10 m pixels, three bands of bytes and blobs of 30 m.
    pub(crate) fn new(size: (usize, usize), blobs: Vec<Blob>) -> Self {
        Self {
            size,
            place: Some(UTM),
            blobs,
            sigma: (3.0, 3.0),
            bands: vec![("", 1.0); 3],
            pixels: Pixels::Byte,
            units: (1.0, 0.0),
            empty: Empty::Untagged(0.0),
            holes: Vec::new(),
            options: vec!["TILED=YES", "BLOCKXSIZE=128", "BLOCKYSIZE=128"],
            date: None,
        }
    }

    /// The same somewhere else.
    pub(crate) fn at(mut self, epsg: u32, geotransform: [f64; 6]) -> Self {
        self.place = Some((epsg, geotransform));
        self
    }

    pub(crate) fn write(&self, space: &Workspace, name: &str) {
        let path = space.path(name);
        match self.pixels {
            Pixels::Byte => self.write_as(&path, |v| v.round().clamp(0.0, 255.0) as u8),
            Pixels::UInt16 => self.write_as(&path, |v| v.round().clamp(0.0, 65535.0) as u16),
            Pixels::Float32 => self.write_as(&path, |v| v as f32),
        }
    }

    fn write_as<T: GdalType + Copy>(&self, path: &Path, stored: impl Fn(f64) -> T) {
        let alpha = self.empty == Empty::Alpha;
        let mut options: Vec<&str> = self.options.clone();
        if alpha {
            options.push("ALPHA=YES");
        }
        let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
        let mut dataset = driver
            .create_with_band_type_with_options::<T, _>(
                path,
                self.size.0,
                self.size.1,
                self.bands.len() + usize::from(alpha),
                &RasterCreationOptions::from_iter(options),
            )
            .unwrap();
        if let Some((epsg, geotransform)) = self.place {
            dataset.set_geo_transform(&geotransform).unwrap();
            dataset
                .set_spatial_ref(&SpatialRef::from_epsg(epsg).unwrap())
                .unwrap();
        }
        if let Some(date) = self.date {
            dataset
                .set_metadata_item("TIFFTAG_DATETIME", date, "")
                .unwrap();
        }
        for (i, (name, gain)) in self.bands.iter().enumerate() {
            let grey = self.grey(*gain);
            let (factor, term) = self.units;
            let mut values: Vec<T> = grey.iter().map(|v| stored(v * factor + term)).collect();
            if let Empty::Untagged(value) | Empty::Nodata(value) = self.empty {
                self.in_holes(|pixel| values[pixel] = stored(value));
            }
            let mut band = dataset.rasterband(i + 1).unwrap();
            band.write((0, 0), self.size, &mut Buffer::new(self.size, values))
                .unwrap();
            if !name.is_empty() {
                band.set_description(name).unwrap();
            }
            if let Empty::Nodata(value) = self.empty {
                band.set_no_data_value(Some(value)).unwrap();
            }
        }
        self.write_validity(&dataset);
        dataset.flush_cache().unwrap();
    }

    /// The mask or alpha band, if there is one.
    fn write_validity(&self, dataset: &Dataset) {
        let mut values = vec![255u8; self.size.0 * self.size.1];
        self.in_holes(|pixel| values[pixel] = 0);
        let mut buffer = Buffer::new(self.size, values);
        match self.empty {
            Empty::Mask => {
                let mut band = dataset.rasterband(1).unwrap();
                band.create_mask_band(true).unwrap();
                let mut mask = band.open_mask_band().unwrap();
                mask.write((0, 0), self.size, &mut buffer).unwrap();
            }
            Empty::Alpha => {
                let mut band = dataset.rasterband(self.bands.len() + 1).unwrap();
                assert_eq!(band.color_interpretation(), ColorInterpretation::AlphaBand);
                band.write((0, 0), self.size, &mut buffer).unwrap();
            }
            Empty::Untagged(_) | Empty::Nodata(_) => {}
        }
    }

    fn in_holes(&self, mut mark: impl FnMut(usize)) {
        for &[x0, y0, x1, y1] in &self.holes {
            for row in y0..y1 {
                (x0..x1).for_each(|column| mark(row * self.size.0 + column));
            }
        }
    }

    /// Grey values of a band in which blobs show `gain` times as strongly.
    fn grey(&self, gain: f64) -> Vec<f64> {
        let (columns, rows) = self.size;
        let mut grey: Vec<f64> = (0..columns * rows)
            .map(|i| GROUND + TEXTURE * noise(i as u64))
            .collect();
        for blob in &self.blobs {
            // Five standard deviations out, a blob is a thousandth of a grey value.
            let around = |at: f64, sigma: f64, limit: usize| {
                let from = (at - 5.0 * sigma).floor().max(0.0) as usize;
                from..((at + 5.0 * sigma).ceil().max(0.0) as usize).min(limit)
            };
            for row in around(blob.y, self.sigma.1, rows) {
                let dy = (row as f64 + 0.5 - blob.y) / self.sigma.1;
                for column in around(blob.x, self.sigma.0, columns) {
                    let dx = (column as f64 + 0.5 - blob.x) / self.sigma.0;
                    grey[row * columns + column] +=
                        gain * blob.height * (-(dx * dx + dy * dy) / 2.0).exp();
                }
            }
        }
        grey
    }
}

/// A number from −1 to 1 that belongs to `seed` and looks like chance.
pub(crate) fn noise(seed: u64) -> f64 {
    // SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Blobs all over a scene, `spacing` pixels apart and shifted by chance: between pixels, and of many
/// brightnesses. None is cut by the edge.
pub(crate) fn field(size: (usize, usize), spacing: f64, seed: u64) -> Vec<Blob> {
    let margin = spacing / 2.0;
    let steps = |length: usize| ((length as f64 - 2.0 * margin) / spacing).floor() as usize + 1;
    let mut blobs = Vec::new();
    for row in 0..steps(size.1) {
        for column in 0..steps(size.0) {
            let chance = |n: u64| noise(seed * 1_000_003 + blobs.len() as u64 * 3 + n);
            blobs.push(Blob {
                x: margin + column as f64 * spacing + chance(0) * 4.0,
                y: margin + row as f64 * spacing + chance(1) * 4.0,
                height: 140.0 + chance(2) * 30.0,
            });
        }
    }
    blobs
}

/// Where pixel positions of a raster lie, by GDAL's own `gdaltransform`.
pub(crate) fn true_places(space: &Workspace, raster: &str, pixels: &[(f64, f64)]) -> Vec<LonLat> {
    use std::fmt::Write;
    let mut input = String::new();
    for (x, y) in pixels {
        writeln!(input, "{x} {y}").unwrap();
    }
    let arguments = ["gdaltransform", "-t_srs", "EPSG:4326", "-output_xy", raster];
    gdal_tool(&space.path(""), arguments, &input)
        .lines()
        .map(|line| {
            let (lon, lat) = line.split_once(' ').unwrap();
            LonLat::new(lon.parse().unwrap(), lat.parse().unwrap())
        })
        .collect()
}

/// Where the blobs of a scene lie.
pub(crate) fn blob_places(space: &Workspace, raster: &str, blobs: &[Blob]) -> Vec<LonLat> {
    let pixels: Vec<(f64, f64)> = blobs.iter().map(|b| (b.x, b.y)).collect();
    true_places(space, raster, &pixels)
}
