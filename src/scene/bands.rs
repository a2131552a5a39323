//! Which bands of a raster feed the model.

use gdal::raster::{ColorInterpretation, RasterBand};
use gdal::{Dataset, Metadata};
use thiserror::Error;

/// Why the bands a model needs cannot be found.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum BandError {
    /// Fewer bands than the model needs.
    #[error("it has {has}, the model needs {needs}: {wanted}")]
    TooFew {
        /// Bands in the file, in words.
        has: String,
        /// Number of bands needed.
        needs: usize,
        /// Their names.
        wanted: String,
    },
    /// More bands than needed and no names to choose by.
    #[error(
        "it has {has} and the model needs {wanted}, and their names do not tell which is which: say so, e.g. `--bands {example}`"
    )]
    Ambiguous {
        /// Bands in the file, in words.
        has: String,
        /// Names wanted by the model.
        wanted: String,
        /// A value for the option.
        example: String,
    },
    /// `--bands` names the wrong number of bands.
    #[error("`--bands` names {given} bands, the model needs {needs}: {wanted}")]
    WrongNumber {
        /// Bands given.
        given: usize,
        /// Bands needed.
        needs: usize,
        /// Their names.
        wanted: String,
    },
    /// `--bands` names a band that is not there.
    #[error("there is no band `{name}`: it has {has}")]
    NoSuchBand {
        /// The name or number asked for.
        name: String,
        /// Bands in the file, in words.
        has: String,
    },
    /// Colours are stored in a table.
    #[error(
        "its colours come from a table: turn them into bands first, with `gdal_translate -expand rgb`"
    )]
    Palette,
}

/// What a band's colour interpretation tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Color {
    Red,
    Green,
    Blue,
    Alpha,
    Palette,
    Other,
}

/// What a file says of one band.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BandLabel {
    description: String,
    color: Color,
}

/// Names under which a spectral band goes in common products. The first is the one shown.
pub(crate) const ALIASES: &[&[&str]] = &[
    &["red", "b04", "b4", "r"],
    &["green", "b03", "b3", "g"],
    &["blue", "b02", "b2", "b"],
    &["nir", "b08", "b8"],
    &["nir08", "b8a"],
    &["coastal", "b01", "b1"],
    &["rededge1", "b05", "b5"],
    &["rededge2", "b06", "b6"],
    &["rededge3", "b07", "b7"],
    &["swir16", "b11"],
    &["swir22", "b12"],
];

/// Whether two names mean the same band.
pub(crate) fn same_band(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim().to_lowercase(), b.trim().to_lowercase());
    a == b
        || ALIASES
            .iter()
            .any(|group| group.contains(&a.as_str()) && group.contains(&b.as_str()))
}

impl BandLabel {
    fn of(band: &RasterBand<'_>) -> Self {
        let color = match band.color_interpretation() {
            ColorInterpretation::RedBand => Color::Red,
            ColorInterpretation::GreenBand => Color::Green,
            ColorInterpretation::BlueBand => Color::Blue,
            ColorInterpretation::AlphaBand => Color::Alpha,
            ColorInterpretation::PaletteIndex => Color::Palette,
            _ => Color::Other,
        };
        Self {
            description: band.description().unwrap_or_default(),
            color,
        }
    }

    fn is(&self, name: &str) -> bool {
        // A file's description outranks its colour interpretation, which writers often leave at a default.
        if !self.description.is_empty() {
            return same_band(&self.description, name);
        }
        match self.color {
            Color::Red => same_band("red", name),
            Color::Green => same_band("green", name),
            Color::Blue => same_band("blue", name),
            Color::Alpha | Color::Palette | Color::Other => false,
        }
    }
}

/// Picks the bands (numbered from 1) for the model's `wanted` names; `request` is what the user says.
pub(super) fn pick_bands(
    dataset: &Dataset,
    wanted: &[String],
    request: Option<&[String]>,
) -> Result<Vec<usize>, BandError> {
    let labels: Vec<BandLabel> = dataset
        .rasterbands()
        .flatten()
        .map(|band| BandLabel::of(&band))
        .collect();
    pick(&labels, wanted, request)
}

fn pick(
    labels: &[BandLabel],
    wanted: &[String],
    request: Option<&[String]>,
) -> Result<Vec<usize>, BandError> {
    let has = || {
        let names: Vec<String> = labels
            .iter()
            .enumerate()
            .map(|(i, l)| {
                if l.description.is_empty() {
                    format!("{}", i + 1)
                } else {
                    format!("{} ({})", i + 1, l.description)
                }
            })
            .collect();
        if labels.len() == 1 {
            "1 band".to_owned()
        } else {
            format!("{} bands ({})", labels.len(), names.join(", "))
        }
    };
    if let Some(request) = request {
        if request.len() != wanted.len() {
            return Err(BandError::WrongNumber {
                given: request.len(),
                needs: wanted.len(),
                wanted: wanted.join(", "),
            });
        }
        return request
            .iter()
            .map(|name| {
                let by_number = name
                    .parse::<usize>()
                    .ok()
                    .filter(|n| (1..=labels.len()).contains(n));
                by_number
                    .or_else(|| labels.iter().position(|l| l.is(name)).map(|i| i + 1))
                    .ok_or_else(|| BandError::NoSuchBand {
                        name: name.clone(),
                        has: has(),
                    })
            })
            .collect();
    }
    if labels.iter().any(|l| l.color == Color::Palette) {
        return Err(BandError::Palette);
    }
    let data: Vec<usize> = (0..labels.len())
        .filter(|&i| labels[i].color != Color::Alpha)
        .collect();
    if data.len() < wanted.len() {
        return Err(BandError::TooFew {
            has: has(),
            needs: wanted.len(),
            wanted: wanted.join(", "),
        });
    }
    let by_name: Option<Vec<usize>> = wanted
        .iter()
        .map(|name| {
            data.iter()
                .copied()
                .find(|&i| labels[i].is(name))
                .map(|i| i + 1)
        })
        .collect();
    if let Some(found) = by_name {
        return Ok(found);
    }
    // As many bands as needed, and nothing in the file that says they are other ones.
    let unnamed = data.iter().all(|&i| {
        !ALIASES
            .iter()
            .flat_map(|g| g.iter())
            .any(|name| labels[i].is(name))
    });
    if data.len() == wanted.len() && unnamed {
        return Ok(data.into_iter().map(|i| i + 1).collect());
    }
    let example: Vec<String> = (1..=wanted.len()).rev().map(|n| n.to_string()).collect();
    Err(BandError::Ambiguous {
        has: has(),
        wanted: wanted.join(", "),
        example: example.join(","),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<BandLabel> {
        names
            .iter()
            .map(|n| BandLabel {
                description: (*n).to_owned(),
                color: Color::Other,
            })
            .collect()
    }

    fn colored(colors: &[Color]) -> Vec<BandLabel> {
        colors
            .iter()
            .map(|c| BandLabel {
                description: String::new(),
                color: *c,
            })
            .collect()
    }

    fn rgb() -> Vec<String> {
        ["red", "green", "blue"].map(str::to_owned).to_vec()
    }

    #[test]
    fn sentinel_2_band_names_are_understood_in_any_order() {
        assert_eq!(
            pick(&named(&["B02", "B03", "B04", "B08"]), &rgb(), None),
            Ok(vec![3, 2, 1])
        );
    }

    #[test]
    fn alpha_is_not_a_data_band() {
        use Color::{Alpha, Blue, Green, Red};
        assert_eq!(
            pick(&colored(&[Red, Green, Blue, Alpha]), &rgb(), None),
            Ok(vec![1, 2, 3])
        );
        assert!(matches!(
            pick(&colored(&[Red, Alpha]), &rgb(), None),
            Err(BandError::TooFew { .. })
        ));
    }

    #[test]
    fn three_unnamed_bands_are_taken_in_order_but_four_are_not_guessed() {
        assert_eq!(pick(&named(&["", "", ""]), &rgb(), None), Ok(vec![1, 2, 3]));
        assert!(matches!(
            pick(&named(&["", "", "", ""]), &rgb(), None),
            Err(BandError::Ambiguous { .. })
        ));
    }

    #[test]
    fn bands_with_other_names_are_not_taken_for_rgb() {
        assert!(matches!(
            pick(&named(&["B08", "B11", "B12"]), &rgb(), None),
            Err(BandError::Ambiguous { .. })
        ));
    }

    #[test]
    fn the_user_may_mix_names_and_numbers() {
        let request = ["B04".to_owned(), "2".to_owned(), "blue".to_owned()];
        assert_eq!(
            pick(&named(&["B02", "B03", "B04"]), &rgb(), Some(&request)),
            Ok(vec![3, 2, 1])
        );
        let missing = ["9".to_owned(), "2".to_owned(), "1".to_owned()];
        assert!(matches!(
            pick(&named(&["a", "b"]), &rgb(), Some(&missing)),
            Err(BandError::NoSuchBand { .. })
        ));
    }

    #[test]
    fn a_colour_table_is_refused() {
        assert_eq!(
            pick(&colored(&[Color::Palette]), &rgb(), None),
            Err(BandError::Palette)
        );
    }
}
