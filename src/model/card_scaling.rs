//! How the pixels of a chip are scaled, as a card says.

use super::card::ModelCard;
use crate::chip::InputScaling;

impl ModelCard {
    /// For the model.
    pub fn input_scaling(&self) -> InputScaling {
        let scaling = &self.scaling;
        InputScaling {
            clamp: scaling.range.map(|[low, high]| (low as f32, high as f32)),
            gain: scaling.gain.iter().map(|v| *v as f32).collect(),
            bias: scaling.bias.iter().map(|v| *v as f32).collect(),
            padding: self.padding,
        }
    }

    /// For pictures: the range of the model's input becomes 0 to 255.
    pub fn picture_scaling(&self) -> InputScaling {
        let [low, high] = self.scaling.range.unwrap_or([0.0, 255.0]);
        let gain = 255.0 / (high - low);
        InputScaling {
            clamp: Some((low as f32, high as f32)),
            gain: vec![gain as f32; self.bands.len()],
            bias: vec![(-low * gain) as f32; self.bands.len()],
            padding: 0.0,
        }
    }
}
