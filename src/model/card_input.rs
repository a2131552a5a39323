//! The `mlm:input` of a card: name, bands, shape and value scaling.

use serde::Deserialize;

use super::card::{CardError, ValueScaling, wrong};

#[derive(Deserialize)]
pub(super) struct RawInput {
    name: String,
    #[serde(default)]
    bands: Vec<RawBand>,
    input: Option<RawTensor>,
    value_scaling: Option<Vec<RawScaling>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawBand {
    Name(String),
    Object { name: String },
}

#[derive(Deserialize)]
struct RawTensor {
    #[serde(default)]
    shape: Vec<i64>,
    #[serde(default)]
    dim_order: Vec<String>,
    data_type: Option<String>,
}

#[derive(Deserialize)]
struct RawScaling {
    #[serde(rename = "type")]
    kind: String,
    minimum: Option<f64>,
    maximum: Option<f64>,
    mean: Option<f64>,
    stddev: Option<f64>,
    value: Option<f64>,
}

impl RawInput {
    /// Name of the tensor, bands and scaling, for chips of a size (or of any, if `varies`).
    pub(super) fn check(
        &self,
        chip_px: usize,
        varies: bool,
    ) -> Result<(String, Vec<String>, ValueScaling), CardError> {
        let bands: Vec<String> = self
            .bands
            .iter()
            .map(|band| match band {
                RawBand::Name(name) | RawBand::Object { name } => name.clone(),
            })
            .collect();
        if bands.is_empty() {
            return Err(CardError::Missing("mlm:input bands"));
        }
        if let Some(tensor) = &self.input {
            tensor.check(bands.len(), chip_px, varies)?;
        }
        let scaling = scaling(
            self.value_scaling.as_deref().unwrap_or_default(),
            bands.len(),
        )?;
        Ok((self.name.clone(), bands, scaling))
    }
}

impl RawTensor {
    /// Compares the tensor with the rest of the card.
    fn check(&self, bands: usize, chip_px: usize, varies: bool) -> Result<(), CardError> {
        const SHAPE: &str = "mlm:input shape";
        let order: Vec<&str> = self.dim_order.iter().map(String::as_str).collect();
        if !order.is_empty()
            && !matches!(
                order.as_slice(),
                ["batch", "bands" | "channel", "height", "width"]
            )
        {
            return Err(wrong(
                "mlm:input dim_order",
                order.join(", "),
                "must be batch, bands, height, width",
            ));
        }
        let fed = ["float32", "float16", "uint8"];
        if let Some(kind) = self.data_type.as_deref().filter(|t| !fed.contains(t)) {
            return Err(wrong(
                "mlm:input data_type",
                kind,
                "float32, float16 and uint8 can be fed",
            ));
        }
        if self.shape.is_empty() {
            return Ok(());
        }
        let [_, channels, height, width] = *self.shape.as_slice() else {
            return Err(wrong(
                SHAPE,
                format!("{:?}", self.shape),
                "must have four dimensions",
            ));
        };
        if channels != -1 && usize::try_from(channels) != Ok(bands) {
            return Err(wrong(
                SHAPE,
                channels,
                format!("the card names {bands} bands"),
            ));
        }
        let Some(side) = [height, width].into_iter().filter(|s| *s != -1).min() else {
            return Ok(());
        };
        if usize::try_from(side) != Ok(chip_px) {
            return Err(wrong(
                SHAPE,
                side,
                format!("`kilnsight:chip_px`, which must be the shorter side, is {chip_px}"),
            ));
        }
        if varies {
            return Err(wrong(
                SHAPE,
                side,
                "fixed, so `kilnsight:size_multiple` must not be given",
            ));
        }
        Ok(())
    }
}

/// MLM's `value_scaling`: one entry for all bands, or one per band.
fn scaling(entries: &[RawScaling], bands: usize) -> Result<ValueScaling, CardError> {
    const KEY: &str = "mlm:input value_scaling";
    if !matches!(entries.len(), 0 | 1) && entries.len() != bands {
        return Err(wrong(
            KEY,
            format!("{} entries", entries.len()),
            format!("must have 1 or {bands}"),
        ));
    }
    let mut range: Option<[f64; 2]> = None;
    let (mut gain, mut bias) = (Vec::with_capacity(bands), Vec::with_capacity(bands));
    for band in 0..bands {
        let Some(entry) = entries.get(if entries.len() == 1 { 0 } else { band }) else {
            gain.push(1.0);
            bias.push(0.0);
            continue;
        };
        let need = |value: Option<f64>, name: &str| {
            value
                .filter(|v| v.is_finite())
                .ok_or_else(|| wrong(KEY, &entry.kind, format!("needs `{name}`")))
        };
        let (g, b) = match entry.kind.as_str() {
            "min-max" => {
                let (low, high) = (
                    need(entry.minimum, "minimum")?,
                    need(entry.maximum, "maximum")?,
                );
                if low >= high {
                    return Err(wrong(
                        KEY,
                        format!("{low} to {high}"),
                        "minimum must be below maximum",
                    ));
                }
                let widest = range.unwrap_or([low, high]);
                range = Some([widest[0].min(low), widest[1].max(high)]);
                (1.0 / (high - low), -low / (high - low))
            }
            "z-score" => {
                let (mean, stddev) = (need(entry.mean, "mean")?, need(entry.stddev, "stddev")?);
                if stddev <= 0.0 {
                    return Err(wrong(KEY, stddev, "stddev must be positive"));
                }
                (1.0 / stddev, -mean / stddev)
            }
            "scale" => {
                let value = need(entry.value, "value")?;
                if value == 0.0 {
                    return Err(wrong(KEY, value, "scale must not be zero"));
                }
                (1.0 / value, 0.0)
            }
            "offset" => (1.0, -need(entry.value, "value")?),
            other => {
                return Err(wrong(
                    KEY,
                    other,
                    "this version knows `min-max`, `z-score`, `scale` and `offset`",
                ));
            }
        };
        gain.push(g);
        bias.push(b);
    }
    Ok(ValueScaling { range, gain, bias })
}
