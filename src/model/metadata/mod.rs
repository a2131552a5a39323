//! What an ONNX file says of itself: a model card from the metadata that Ultralytics, GeoDeep and Deepness write
//! into their exports, so that they run without a card.
//!
//! **In:** the tensors that the file declares and its metadata. **Out:** a [`ModelCard`]. What cannot be
//! understood is refused by name, never guessed.

mod deepness;
mod ultralytics;

use std::collections::BTreeMap;

use thiserror::Error;

use super::card::{ModelCard, ValueScaling};
use super::{Head, TensorInfo};

/// Why a file's metadata makes no card.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum MetadataError {
    /// None that is known.
    #[error(
        "there is no card beside it, and no metadata of Ultralytics, GeoDeep or Deepness in it: write a card, see docs/models.md"
    )]
    Nothing,
    /// A key is missing.
    #[error("its metadata lack `{0}`: write a card, see docs/models.md")]
    Missing(&'static str),
    /// A key has a value that makes no sense.
    #[error("its metadata say `{key}` is {value}: {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it should be, or why it is not.
        expected: String,
    },
    /// A kind of model that is not read.
    #[error("its metadata say {seen}, which is not read: {read} are")]
    Unsupported {
        /// What was seen.
        seen: String,
        /// What is read.
        read: &'static str,
    },
    /// Its tensors are not those of such a model.
    #[error("{0}")]
    Tensors(String),
    /// The ground size of a pixel is not told.
    #[error(
        "it does not say what ground size its pixels have: give `--gsd METRES`, the resolution of the images it was trained on"
    )]
    NoResolution,
}

/// An ONNX file as it describes itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OnnxFile {
    pub(super) inputs: Vec<TensorInfo>,
    pub(super) outputs: Vec<TensorInfo>,
    /// Custom metadata.
    pub(super) metadata: BTreeMap<String, String>,
}

/// What the user says where a file does not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Told {
    /// Ground size of a pixel in metres.
    pub gsd_m: Option<f64>,
    /// Overlap of chips in metres.
    pub overlap_m: Option<f64>,
}

/// Overlap of chips where neither file nor user tell: a quarter of a chip.
const OVERLAP_SHARE: f64 = 0.25;
/// Side of chips where the file takes any and tells none.
const DEFAULT_CHIP_PX: usize = 640;
/// Overlap at which boxes are one, where the file does not tell.
const NMS_IOU: f64 = 0.45;

/// What the metadata of any kind come to.
struct Described {
    kind: &'static str,
    classes: Vec<String>,
    head: Head,
    /// Number of bands, where the tensor leaves it open.
    channels: Option<usize>,
    /// Side of chips, where the tensor leaves it open.
    chip_px: Option<usize>,
    /// Chips of other sizes must be multiples of this.
    stride: Option<usize>,
    /// Factor and term per band on values from 0 to 255; one entry stands for all bands.
    scaling: Vec<(f64, f64)>,
    /// Value from 0 to 255 of pixels that only fill up.
    padding: f64,
    gsd_m: Option<f64>,
    overlap_share: Option<f64>,
    nms_iou: Option<f64>,
    min_score: f64,
}

impl ModelCard {
    /// The card that the metadata of an ONNX file make, and whose they are: `inputs` and `outputs` are the tensors that
    /// the file declares, `name` is the model's.
    pub fn from_metadata(
        inputs: Vec<TensorInfo>,
        outputs: Vec<TensorInfo>,
        metadata: BTreeMap<String, String>,
        name: &str,
        told: Told,
    ) -> Result<(Self, &'static str), MetadataError> {
        let file = OnnxFile {
            inputs,
            outputs,
            metadata,
        };
        card(&file, name, told)
    }
}

/// The card that a file's metadata make, and whose they are. `name` is the model's.
pub(super) fn card(
    file: &OnnxFile,
    name: &str,
    told: Told,
) -> Result<(ModelCard, &'static str), MetadataError> {
    let described = if ultralytics::wrote(file) {
        ultralytics::describe(file)?
    } else if deepness::wrote(file) {
        deepness::describe(file)?
    } else {
        return Err(MetadataError::Nothing);
    };
    let kind = described.kind;
    Ok((described.card(file, name, told)?, kind))
}

impl Described {
    fn card(mut self, file: &OnnxFile, name: &str, told: Told) -> Result<ModelCard, MetadataError> {
        let input = Input::of(file, self.channels)?;
        self.head
            .bind(&file.outputs, self.classes.len())
            .map_err(MetadataError::Tensors)?;
        let chip_px = input.side.or(self.chip_px).unwrap_or(DEFAULT_CHIP_PX);
        if !(8..=8192).contains(&chip_px) {
            return Err(MetadataError::Tensors(format!(
                "its input is {chip_px} pixels a side, expected 8 to 8192"
            )));
        }
        let gsd_m = told
            .gsd_m
            .or(self.gsd_m)
            .ok_or(MetadataError::NoResolution)?;
        if let Head::Mask(mask) = &mut self.head {
            mask.simplify_m = super::card_head::SIMPLIFY_PX * gsd_m;
        }
        let chip_m = chip_px as f64 * gsd_m;
        let overlap_m = told
            .overlap_m
            .unwrap_or_else(|| self.overlap_share.unwrap_or(OVERLAP_SHARE) * chip_m);
        let per_band = |band: usize| {
            let only = self.scaling.first().copied().unwrap_or((1.0 / 255.0, 0.0));
            self.scaling.get(band).copied().unwrap_or(only)
        };
        let (mut gain, mut bias): (Vec<f64>, Vec<f64>) = (0..input.channels).map(per_band).unzip();
        let mut padding = self.padding * gain[0] + bias[0];
        if input.takes_bytes {
            // A model that takes bytes scales them itself.
            (gain, bias) = (vec![1.0; input.channels], vec![0.0; input.channels]);
            padding = self.padding;
        }
        let multiple = self
            .stride
            .filter(|s| input.side.is_none() && chip_px.is_multiple_of(*s));
        let text = |key: &str| file.metadata.get(key).filter(|t| !t.is_empty()).cloned();
        Ok(ModelCard {
            name: name.to_owned(),
            version: text("version"),
            description: text("description"),
            license: text("license"),
            architecture: None,
            input: input.name,
            bands: input.bands,
            scaling: ValueScaling {
                range: Some([0.0, 255.0]),
                gain,
                bias,
            },
            classes: self.classes,
            head: self.head,
            gsd_m,
            chip_px,
            size_multiple: multiple,
            overlap_m,
            nms_iou: self.nms_iou.unwrap_or(NMS_IOU),
            min_score: self.min_score,
            calibration: None,
            screen: None,
            padding: padding as f32,
            stretch: None,
            reflectance: None,
            sha256: None,
            unknown_keys: Vec::new(),
        })
    }
}

/// What the input tensor tells.
struct Input {
    name: String,
    channels: usize,
    bands: Vec<String>,
    /// The shorter side, where it is fixed.
    side: Option<usize>,
    takes_bytes: bool,
}

impl Input {
    fn of(file: &OnnxFile, channels: Option<usize>) -> Result<Self, MetadataError> {
        let wrong = |what: String| Err(MetadataError::Tensors(what));
        let [input] = file.inputs.as_slice() else {
            return wrong(format!("it has {} inputs, expected one", file.inputs.len()));
        };
        let [_, first, rows, last] = *input.shape.as_slice() else {
            return wrong(format!(
                "its input `{}` has shape {:?}, expected [batch, bands, height, width]",
                input.name, input.shape
            ));
        };
        let expected = channels.unwrap_or(3);
        let count = if first > 0 && usize::try_from(last) != Ok(expected) {
            usize::try_from(first).unwrap_or(expected)
        } else {
            expected
        };
        input
            .check_channels(count, "its metadata say so")
            .map_err(MetadataError::Tensors)?;
        let fixed = |side: i64| usize::try_from(side).ok().filter(|s| *s > 0);
        let side = match (fixed(rows), fixed(last)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let bands = match count {
            1 => vec!["grey".to_owned()],
            3 => ["red", "green", "blue"].map(str::to_owned).to_vec(),
            many => (1..=many).map(|i| format!("band {i}")).collect(),
        };
        Ok(Self {
            name: input.name.clone(),
            channels: count,
            bands,
            side,
            takes_bytes: input.element == Some(ort::value::TensorElementType::Uint8),
        })
    }
}

/// In what a card and the metadata of its file differ, in words. The card is what counts.
pub(super) fn differences(card: &ModelCard, file: &OnnxFile) -> Vec<String> {
    let told = Told {
        gsd_m: None,
        overlap_m: None,
    };
    let mut found = Vec::new();
    let own = match self::card(file, &card.name, told) {
        Ok((own, _)) => own,
        Err(MetadataError::NoResolution) => {
            let told = Told {
                gsd_m: Some(card.gsd_m),
                overlap_m: None,
            };
            match self::card(file, &card.name, told) {
                Ok((own, _)) => own,
                Err(_) => return found,
            }
        }
        // No metadata, or none that can be understood: then the card is all there is.
        Err(_) => return found,
    };
    let mut compare = |what: &str, card: String, file: String| {
        if card != file {
            found.push(format!(
                "{what}: the card says {card}, the metadata in the ONNX file {file}; the card counts"
            ));
        }
    };
    compare("classes", card.classes.join(", "), own.classes.join(", "));
    compare(
        "head",
        card.head.name().to_owned(),
        own.head.name().to_owned(),
    );
    compare(
        "resolution",
        format!("{} m", card.gsd_m),
        format!("{} m", own.gsd_m),
    );
    let scaling = |c: &ModelCard| {
        let (gain, bias) = (c.scaling.gain.first(), c.scaling.bias.first());
        // Adding zero turns −0 into 0.
        let number = |v: Option<&f64>| v.copied().unwrap_or_default() + 0.0;
        format!("× {:.5} + {:.5}", number(gain), number(bias))
    };
    compare(
        "value scaling of the first band",
        scaling(card),
        scaling(&own),
    );
    found
}

#[cfg(test)]
#[path = "../metadata_tests.rs"]
mod tests;
