//! Bands that lie in files of their own, as one virtual raster.
//!
//! The raster is an XML text that GDAL opens like a file: nothing is copied. Bands of several resolutions are
//! laid on the finest grid; GDAL resamples the coarser ones as they are read.

use std::fmt::Write;

use gdal::Dataset;
use gdal::spatial_ref::SpatialRef;

use super::error::SourceError;
use crate::scene::{gdal_words, means_away, open_dataset};

/// A band of the virtual raster.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    /// What GDAL opens.
    pub(super) path: String,
    /// Its band there, from 1.
    pub(super) band: usize,
    /// Name by which the model knows it.
    pub(super) name: String,
    /// Value that means nothing measured, where the product states one.
    pub(super) nodata: Option<f64>,
}

/// Where and how a layer is stored.
struct Grid {
    size: (usize, usize),
    geotransform: [f64; 6],
    crs: String,
    data_type: String,
    block: (usize, usize),
    nodata: Option<f64>,
    /// Whether a mask or an alpha band, not a value, tells empty pixels.
    masked: bool,
}

/// The virtual raster of `layers`, in their order. `product` is what messages name.
pub(super) fn stack(product: &str, layers: &[Layer]) -> Result<String, SourceError> {
    let fail = |reason: String| SourceError::Stack {
        path: product.to_owned(),
        reason,
    };
    let mut grids: Vec<Grid> = Vec::with_capacity(layers.len());
    let mut open: Option<(&str, Dataset)> = None;
    for layer in layers {
        if open.as_ref().is_none_or(|(path, _)| *path != layer.path) {
            let dataset = open_dataset(&layer.path).map_err(|e| {
                let reason = gdal_words(&e);
                if means_away(&reason) {
                    SourceError::Away {
                        path: product.to_owned(),
                        reason,
                    }
                } else {
                    fail(format!("band `{}`: {reason}", layer.name))
                }
            })?;
            open = Some((layer.path.as_str(), dataset));
        }
        if let Some((_, dataset)) = &open {
            let grid = grid_of(dataset, layer)
                .map_err(|e| fail(format!("band `{}`: {}", layer.name, gdal_words(&e))))?;
            grids.push(grid);
        }
    }
    let pixel = |grid: &Grid| grid.geotransform[1].hypot(grid.geotransform[4]);
    let Some(finest) = grids.iter().min_by(|a, b| pixel(a).total_cmp(&pixel(b))) else {
        return Err(fail("there are none".to_owned()));
    };
    let mut xml = String::new();
    let [a, b, c, d, e, f] = finest.geotransform;
    let _ = write!(
        xml,
        "<VRTDataset rasterXSize=\"{}\" rasterYSize=\"{}\"><SRS dataAxisToSRSAxisMapping=\"1,2\">{}</SRS><GeoTransform>{a:?}, {b:?}, {c:?}, {d:?}, {e:?}, {f:?}</GeoTransform>",
        finest.size.0,
        finest.size.1,
        escape(&finest.crs),
    );
    for (i, (layer, grid)) in layers.iter().zip(&grids).enumerate() {
        let place = place_on(finest, grid)
            .map_err(|reason| fail(format!("band `{}` {reason}", layer.name)))?;
        write_band(&mut xml, i + 1, layer, grid, finest, place);
    }
    if let (Some(layer), Some(grid)) = (layers.first(), grids.first().filter(|g| g.masked)) {
        let place = place_on(finest, grid).map_err(fail)?;
        let _ = write!(
            xml,
            "<MaskBand><VRTRasterBand dataType=\"Byte\"><SimpleSource>{}</SimpleSource></VRTRasterBand></MaskBand>",
            source_xml(layer, &format!("mask,{}", layer.band), grid, place),
        );
    }
    xml.push_str("</VRTDataset>");
    Ok(xml)
}

fn grid_of(dataset: &Dataset, layer: &Layer) -> Result<Grid, gdal::errors::GdalError> {
    let band = dataset.rasterband(layer.band)?;
    let flags = band.mask_flags()?;
    Ok(Grid {
        size: dataset.raster_size(),
        geotransform: dataset.geo_transform()?,
        crs: dataset.spatial_ref()?.to_wkt()?,
        data_type: band.band_type().name(),
        block: band.block_size(),
        nodata: layer.nodata.or_else(|| band.no_data_value()),
        masked: !flags.is_nodata() && !flags.is_all_valid(),
    })
}

/// Where a grid lies in the pixels of the finest: first column and row, columns and rows.
fn place_on(finest: &Grid, grid: &Grid) -> Result<[f64; 4], String> {
    if grid.geotransform == finest.geotransform && grid.size == finest.size {
        return Ok([0.0, 0.0, grid.size.0 as f64, grid.size.1 as f64]);
    }
    if !same_crs(&finest.crs, &grid.crs) {
        return Err("has another coordinate reference system than the others".to_owned());
    }
    let (fine, own) = (finest.geotransform, grid.geotransform);
    if [fine[2], fine[4], own[2], own[4]].iter().any(|v| *v != 0.0) {
        return Err("has another, rotated grid than the others".to_owned());
    }
    Ok([
        (own[0] - fine[0]) / fine[1],
        (own[3] - fine[3]) / fine[5],
        grid.size.0 as f64 * own[1] / fine[1],
        grid.size.1 as f64 * own[5] / fine[5],
    ])
}

fn same_crs(a: &str, b: &str) -> bool {
    a == b
        || match (SpatialRef::from_wkt(a), SpatialRef::from_wkt(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        }
}

fn write_band(
    xml: &mut String,
    number: usize,
    layer: &Layer,
    grid: &Grid,
    finest: &Grid,
    place: [f64; 4],
) {
    let _ = write!(
        xml,
        "<VRTRasterBand dataType=\"{}\" band=\"{number}\" blockXSize=\"{}\" blockYSize=\"{}\"><Description>{}</Description>",
        grid.data_type,
        grid.block.0,
        grid.block.1,
        escape(&layer.name),
    );
    if let Some(nodata) = grid.nodata {
        let _ = write!(xml, "<NoDataValue>{nodata:?}</NoDataValue>");
    }
    let source = source_xml(layer, &layer.band.to_string(), grid, place);
    let _ = match grid.nodata {
        // Resampling must not mix empty pixels into their neighbours.
        Some(nodata) if grid.size != finest.size => write!(
            xml,
            "<ComplexSource resampling=\"bilinear\">{source}<NODATA>{nodata:?}</NODATA></ComplexSource>"
        ),
        None if grid.size != finest.size => {
            write!(
                xml,
                "<SimpleSource resampling=\"bilinear\">{source}</SimpleSource>"
            )
        }
        _ => write!(xml, "<SimpleSource>{source}</SimpleSource>"),
    };
    xml.push_str("</VRTRasterBand>");
}

fn source_xml(layer: &Layer, band: &str, grid: &Grid, place: [f64; 4]) -> String {
    let [x, y, width, height] = place;
    let (columns, rows) = grid.size;
    format!(
        "<SourceFilename relativeToVRT=\"0\">{}</SourceFilename><SourceBand>{band}</SourceBand><SourceProperties RasterXSize=\"{columns}\" RasterYSize=\"{rows}\" DataType=\"{}\" BlockXSize=\"{}\" BlockYSize=\"{}\"/><SrcRect xOff=\"0\" yOff=\"0\" xSize=\"{columns}\" ySize=\"{rows}\"/><DstRect xOff=\"{x:?}\" yOff=\"{y:?}\" xSize=\"{width:?}\" ySize=\"{height:?}\"/>",
        escape(&layer.path),
        grid.data_type,
        grid.block.0,
        grid.block.1,
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
