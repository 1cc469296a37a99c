//! In what precision the tensor library multiplies: the products of a denoiser's linear layers, forward and backward, may be taken in
//! sixteen bits, where most of the arithmetic and of the memory is. Weights, their moments and average, norms, attention, the
//! residual stream and losses stay single.

use burn::tensor::{DType, FloatDType};

/// Precision of products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of 32.
    Bf16,
    /// 16 bits with more digits and less range.
    F16,
}

/// Why a precision cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrecisionError {
    /// Hand-written passes have one precision.
    #[error("the CPU's own passes: expected precision f32, found {0}")]
    Cpu(&'static str),
    /// The device's arithmetic lacks it.
    #[error("the device does not compute in {0}; expected f32, or another device")]
    Device(&'static str),
}

/// What gradients are multiplied by on their way through half precision, whose smallest number is 6e-8: a power of two, so that
/// nothing else changes. A gradient that overflows is not finite, and such a step moves nothing.
const SCALE: f32 = 4096.0;

impl Precision {
    /// Whether it can be had of a device with arithmetic in the types that `has` says; `cpu` tells whether hand-written passes
    /// compute there.
    ///
    /// # Errors
    /// [`PrecisionError`].
    pub fn check(self, cpu: bool, has: impl Fn(DType) -> bool) -> Result<(), PrecisionError> {
        let (name, dtype) = match self {
            Self::F32 => return Ok(()),
            Self::Bf16 => ("bf16", DType::BF16),
            Self::F16 => ("f16", DType::F16),
        };
        match (cpu, has(dtype)) {
            (true, _) => Err(PrecisionError::Cpu(name)),
            (false, false) => Err(PrecisionError::Device(name)),
            (false, true) => Ok(()),
        }
    }

    /// The type that products are taken in, `None` for that of all else.
    pub fn dtype(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
        }
    }

    /// Factor on losses, to be taken out of gradients again.
    pub fn scale(self) -> f32 {
        if self == Self::F16 { SCALE } else { 1.0 }
    }
}
