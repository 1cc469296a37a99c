//! Models of any size with random weights, for measuring speed and testing kernels without a trained file of that size.

use std::path::Path;

use causeway_ops::quant::DType;
use causeway_runtime::{
    Model,
    config::ModelConfig,
    file::{FileError, PartialFile, TensorSpec, Writer, may_quantise, write_model_to},
    model::Network,
};

use crate::{error::Error, tools::stop::Stop};

/// A model of this configuration with random weights, in memory.
///
/// # Errors
/// The configuration is not valid.
pub fn model(config: &ModelConfig, dtype: DType) -> Result<Model<'static>, Error> {
    let failed = |error: causeway_runtime::FileError| Error::Failed(format!("cannot make a random model: {error}"));
    let mut random = Random(1);
    let bytes = write_model_to(Vec::new(), config, dtype, |name, shape| random.weights(name, shape)).map_err(failed)?;
    Model::from_shared(bytes.into()).map_err(failed)
}

/// Writes a model file of this configuration with random weights, never a whole tensor in memory; `matrices` is the type of what
/// may be quantised, all else is f16 (or f32 beside f32).
///
/// # Errors
/// The configuration is not valid, the file cannot be written, or Ctrl-C.
pub fn write(path: &Path, config: &impl Network, matrices: DType, stop: &Stop) -> Result<(), Error> {
    let failed = |error: FileError| Error::file(path)(error);
    let plain = if matrices == DType::F32 { DType::F32 } else { DType::F16 };
    let dtype = |name: &str, shape: &[usize]| if may_quantise(name, shape) { matrices } else { plain };
    let specs = config.tensors().into_iter();
    let specs = specs.map(|(name, shape)| TensorSpec { dtype: dtype(&name, &shape), name, shape }).collect::<Vec<_>>();
    let file = PartialFile::create(path).map_err(failed)?;
    let mut writer = Writer::new(file, config, specs.clone()).map_err(failed)?;
    let mut random = Random(1);
    for TensorSpec { name, shape, .. } in &specs {
        stop.check()?;
        let fill = |_, values: &mut [f32]| {
            random.fill(name, shape, values);
            Ok::<(), FileError>(())
        };
        writer.put_with(name, fill).map_err(failed)?;
    }
    writer.finish().and_then(PartialFile::commit).map_err(failed)
}

/// The same network for pictures of another size; without stored start latents, which would not fit.
///
/// # Errors
/// The codec or the patches do not divide the size.
pub fn resized(config: &ModelConfig, (width, height): (usize, usize)) -> Result<ModelConfig, Error> {
    let factor = config.codec.space_factor();
    let cell = [factor * config.dit.patch[2], factor * config.dit.patch[1]];
    if !width.is_multiple_of(cell[0]) || !height.is_multiple_of(cell[1]) {
        let what = format!(
            "--size {width}x{height} does not fit this model; sides must be multiples of {}x{}",
            cell[0], cell[1]
        );
        return Err(Error::Usage(what));
    }
    let mut config = config.clone();
    config.dit.latent.width = width / factor;
    config.dit.latent.height = height / factor;
    config.start = None;
    config.validate()?;
    Ok(config)
}

/// A small deterministic generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Mean 0 and variance 1, between -1.74 and 1.74 (uniform: cheap, and as good as normal here).
    pub fn unit(&mut self) -> f32 {
        let uniform = (self.bits() >> 40) as f32 / (1u32 << 24) as f32;
        (2.0 * uniform - 1.0) * 3f32.sqrt()
    }

    /// Weights with which activations keep their size.
    fn weights(&mut self, name: &str, shape: &[usize]) -> Vec<f32> {
        let mut values = vec![0.0; shape.iter().product()];
        self.fill(name, shape, &mut values);
        values
    }

    /// Some of the weights of a tensor.
    fn fill(&mut self, name: &str, shape: &[usize], values: &mut [f32]) {
        let fan_in = shape[1..].iter().product::<usize>().max(1) as f32;
        let (mean, spread) = match name {
            _ if name.ends_with(".bias") => (0.0, 0.05),
            _ if name.ends_with("modulation") || name.ends_with(".conditions") => (0.0, 0.3),
            _ if name.ends_with(".value_residual") => (0.0, 0.3),
            _ if name.ends_with("event_embedding") => (0.0, 1.0),
            _ if shape.len() == 1 => (1.0, 0.1),
            // Convolutions are followed by ReLU, which halves the variance.
            _ if name.starts_with("taehv.") => (0.0, (2.0 / fan_in).sqrt()),
            _ => (0.0, fan_in.sqrt().recip()),
        };
        values.iter_mut().for_each(|value| *value = mean + spread * self.unit());
    }
}
