//! The metadata file of a Sentinel-2 product (`MTD_MSIL1C.xml`, `MTD_MSIL2A.xml`, and the long names used
//! before December 2016): what its numbers mean, and where its images are.
//!
//! After the product specification document S2-PDGS-TAS-DI-PSD, versions 12 to 14. The offset of processing
//! baselines from 04.00 on is read from here and never inferred from a date; where there is no such element,
//! there is none.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

use crate::scene::day_of;

/// Bands in the order of `band_id`.
pub(super) const BANDS: [&str; 13] = [
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12",
];

/// What a product says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metadata {
    /// Name of the product without its ending, where stated.
    pub(super) name: Option<String>,
    /// Day of the acquisition.
    pub(super) day: Option<String>,
    /// Processing baseline (`05.10`), where stated.
    pub(super) baseline: Option<String>,
    /// Stored numbers per unit of reflectance.
    pub(super) quantification: f64,
    /// Number added to stored ones before that, by band; none before baseline 04.00.
    pub(super) offsets: BTreeMap<String, f64>,
    /// The tiles of the product.
    pub(super) granules: Vec<Granule>,
}

/// A tile: its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Granule {
    /// Its identifier.
    pub(super) id: String,
    /// Images relative to the product, without their ending.
    pub(super) images: Vec<String>,
}

/// Reads a metadata file. The error says what is missing.
pub(super) fn parse(text: &str) -> Result<Metadata, String> {
    let document = Document::parse(text).map_err(|e| format!("its metadata is not XML: {e}"))?;
    let root = document.root_element();
    if !root.tag_name().name().ends_with("User_Product") {
        return Err(format!(
            "its metadata is of another kind (`{}`)",
            root.tag_name().name()
        ));
    }
    let text_of = |name: &str| {
        let node = root.descendants().find(|n| n.tag_name().name() == name)?;
        Some(node.text()?.trim().to_owned())
    };
    let quantification = text_of("BOA_QUANTIFICATION_VALUE")
        .or_else(|| text_of("L2A_BOA_QUANTIFICATION_VALUE"))
        .or_else(|| text_of("QUANTIFICATION_VALUE"))
        .ok_or("its metadata states no QUANTIFICATION_VALUE")?;
    let quantification = quantification
        .parse::<f64>()
        .ok()
        .filter(|v| v.is_finite() && *v > 0.0)
        .ok_or_else(|| format!("its QUANTIFICATION_VALUE is `{quantification}`"))?;
    let granules = granules(root);
    if granules.is_empty() {
        return Err("its metadata lists no images".to_owned());
    }
    Ok(Metadata {
        name: text_of("PRODUCT_URI")
            .or_else(|| text_of("PRODUCT_URI_2A"))
            .map(|uri| uri.trim_end_matches(".SAFE").to_owned()),
        day: text_of("PRODUCT_START_TIME").and_then(|time| day_of(&time)),
        baseline: text_of("PROCESSING_BASELINE"),
        quantification,
        offsets: offsets(root)?,
        granules,
    })
}

/// `BOA_ADD_OFFSET` (level 2A) or `RADIO_ADD_OFFSET` (level 1C) of each band.
fn offsets(root: Node<'_, '_>) -> Result<BTreeMap<String, f64>, String> {
    let names: BTreeMap<&str, String> = root
        .descendants()
        .filter(|n| n.tag_name().name() == "Spectral_Information")
        .filter_map(|n| {
            Some((
                n.attribute("bandId")?,
                band_name(n.attribute("physicalBand")?),
            ))
        })
        .collect();
    let mut offsets = BTreeMap::new();
    for node in root
        .descendants()
        .filter(|n| matches!(n.tag_name().name(), "BOA_ADD_OFFSET" | "RADIO_ADD_OFFSET"))
    {
        let id = node.attribute("band_id").unwrap_or_default();
        let name = names.get(id).cloned().or_else(|| {
            let number = id.parse::<usize>().ok()?;
            BANDS.get(number).map(|name| (*name).to_owned())
        });
        let text = node.text().unwrap_or_default().trim();
        let offset = text.parse::<f64>().ok().filter(|v| v.is_finite());
        match (name, offset) {
            (Some(name), Some(offset)) => offsets.insert(name, offset),
            _ => return Err(format!("its offset of band `{id}` is `{text}`")),
        };
    }
    Ok(offsets)
}

/// `B1` and `B01` as `B01`.
pub(super) fn band_name(physical: &str) -> String {
    match physical.as_bytes() {
        [b'B', digit] if digit.is_ascii_digit() => format!("B0{}", char::from(*digit)),
        _ => physical.to_owned(),
    }
}

fn granules(root: Node<'_, '_>) -> Vec<Granule> {
    let mut granules: Vec<Granule> = Vec::new();
    for node in root
        .descendants()
        .filter(|n| matches!(n.tag_name().name(), "Granule" | "Granules"))
    {
        let id = node
            .attribute("granuleIdentifier")
            .unwrap_or_default()
            .to_owned();
        let images = node.children().filter_map(|image| {
            let text = image.text()?.trim();
            match image.tag_name().name() {
                "IMAGE_FILE" | "IMAGE_FILE_2A" => Some(text.to_owned()),
                // The long names of old products: the file lies in the folder of its granule.
                "IMAGE_ID" | "IMAGE_ID_2A" => Some(format!("GRANULE/{id}/IMG_DATA/{text}")),
                _ => None,
            }
        });
        let images: Vec<String> = images.collect();
        match granules.iter_mut().find(|g| g.id == id) {
            Some(known) => known.images.extend(images),
            None => granules.push(Granule { id, images }),
        }
    }
    granules.retain(|g| !g.images.is_empty());
    granules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_without_offsets_has_none() {
        let text = "<n1:Level-1C_User_Product xmlns:n1=\"x\"><a><PRODUCT_START_TIME>2017-01-05T01:34:42.026Z</PRODUCT_START_TIME>
            <Granules granuleIdentifier=\"T32\"><IMAGE_ID>i_B04</IMAGE_ID></Granules><QUANTIFICATION_VALUE unit=\"none\">10000</QUANTIFICATION_VALUE></a></n1:Level-1C_User_Product>";
        let metadata = parse(text).unwrap();
        assert!(metadata.offsets.is_empty());
        assert_eq!(metadata.day.as_deref(), Some("2017-01-05"));
        assert_eq!(metadata.granules[0].images, ["GRANULE/T32/IMG_DATA/i_B04"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let product =
            |inside: &str| format!("<Level-2A_User_Product>{inside}</Level-2A_User_Product>");
        for (text, reason) in [
            ("<a".to_owned(), "not XML"),
            ("<a/>".to_owned(), "another kind (`a`)"),
            (product(""), "no QUANTIFICATION_VALUE"),
            (
                product("<QUANTIFICATION_VALUE>0</QUANTIFICATION_VALUE>"),
                "QUANTIFICATION_VALUE is `0`",
            ),
            (
                product("<QUANTIFICATION_VALUE>1</QUANTIFICATION_VALUE>"),
                "lists no images",
            ),
            (
                product(
                    "<QUANTIFICATION_VALUE>1</QUANTIFICATION_VALUE><Granule><IMAGE_FILE>a</IMAGE_FILE></Granule><BOA_ADD_OFFSET band_id=\"3\">much</BOA_ADD_OFFSET>",
                ),
                "offset of band `3` is `much`",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
