//! Where a model runs: ONNX Runtime's execution providers.

use std::fmt;
use std::str::FromStr;

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};

/// A device for inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA card, by number.
    Cuda(u16),
    /// An NVIDIA card through TensorRT, by number.
    TensorRt(u16),
    /// An AMD card through MIGraphX, by number.
    MiGraphX(u16),
    /// Intel's OpenVINO.
    OpenVino,
    /// Apple's Core ML.
    CoreMl,
    /// A card under Windows, by number.
    DirectMl(u16),
}

/// Every kind of device, by the name it is given with.
const KINDS: [(&str, Device); 7] = [
    ("cpu", Device::Cpu),
    ("cuda", Device::Cuda(0)),
    ("tensorrt", Device::TensorRt(0)),
    ("migraphx", Device::MiGraphX(0)),
    ("openvino", Device::OpenVino),
    ("coreml", Device::CoreMl),
    ("directml", Device::DirectMl(0)),
];

impl Device {
    fn kind(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda(_) => "cuda",
            Self::TensorRt(_) => "tensorrt",
            Self::MiGraphX(_) => "migraphx",
            Self::OpenVino => "openvino",
            Self::CoreMl => "coreml",
            Self::DirectMl(_) => "directml",
        }
    }

    fn number(self) -> Option<u16> {
        match self {
            Self::Cuda(n) | Self::TensorRt(n) | Self::MiGraphX(n) | Self::DirectMl(n) => Some(n),
            Self::Cpu | Self::OpenVino | Self::CoreMl => None,
        }
    }

    /// Whether the ONNX Runtime in use was built with it. Not whether the machine has it.
    pub(super) fn is_built_in(self) -> bool {
        let built_in = match self {
            Self::Cpu => Ok(true),
            Self::Cuda(_) => ep::CUDA::is_available(),
            Self::TensorRt(_) => ep::TensorRT::is_available(),
            Self::MiGraphX(_) => ep::MIGraphX::is_available(),
            Self::OpenVino => ep::OpenVINO::is_available(),
            Self::CoreMl => ep::CoreML::is_available(),
            Self::DirectMl(_) => ep::DirectML::is_available(),
        };
        built_in.unwrap_or(false)
    }

    /// Names of the devices that the ONNX Runtime in use was built with.
    pub(super) fn built_in() -> Vec<&'static str> {
        let kinds = KINDS.iter().filter(|(_, device)| device.is_built_in());
        kinds.map(|(name, _)| *name).collect()
    }

    /// ONNX Runtime's provider; registering it fails rather than falling back. `None` for the processor.
    pub(super) fn provider(self) -> Option<ExecutionProviderDispatch> {
        let number = self.number().map_or(0, i32::from);
        let provider = match self {
            Self::Cpu => return None,
            Self::Cuda(_) => ep::CUDA::default().with_device_id(number).build(),
            Self::TensorRt(_) => ep::TensorRT::default().with_device_id(number).build(),
            Self::MiGraphX(_) => ep::MIGraphX::default().with_device_id(number).build(),
            Self::OpenVino => ep::OpenVINO::default().build(),
            Self::CoreMl => ep::CoreML::default().build(),
            Self::DirectMl(_) => ep::DirectML::default().with_device_id(number).build(),
        };
        Some(provider.error_on_failure())
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            Some(number) => write!(f, "{}:{number}", self.kind()),
            None => f.write_str(self.kind()),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    /// `cpu`, `cuda`, `cuda:1` …
    fn from_str(text: &str) -> Result<Self, String> {
        let names = || {
            let names = KINDS.map(|(name, _)| name);
            format!(
                "give one of {}; cuda, tensorrt, migraphx and directml with a number after a colon if there are several",
                names.join(", ")
            )
        };
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (
                name,
                Some(number.parse::<u16>().map_err(|_no_number| names())?),
            ),
            None => (text, None),
        };
        let kind = KINDS
            .iter()
            .find(|(known, _)| *known == name.to_lowercase());
        match (kind.map(|(_, device)| *device), number) {
            (Some(Self::Cuda(_)), number) => Ok(Self::Cuda(number.unwrap_or(0))),
            (Some(Self::TensorRt(_)), number) => Ok(Self::TensorRt(number.unwrap_or(0))),
            (Some(Self::MiGraphX(_)), number) => Ok(Self::MiGraphX(number.unwrap_or(0))),
            (Some(Self::DirectMl(_)), number) => Ok(Self::DirectMl(number.unwrap_or(0))),
            (Some(other), None) => Ok(other),
            _ => Err(names()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_by_name() {
        for (text, device, shown) in [
            ("cpu", Device::Cpu, "cpu"),
            ("CUDA", Device::Cuda(0), "cuda:0"),
            ("cuda:3", Device::Cuda(3), "cuda:3"),
            ("openvino", Device::OpenVino, "openvino"),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), shown);
        }
        for odd in ["", "gpu", "cpu:1", "cuda:", "cuda:-1", "cuda:x"] {
            assert!(odd.parse::<Device>().is_err(), "{odd}");
        }
    }
}
