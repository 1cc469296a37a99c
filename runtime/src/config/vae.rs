//! The Wan 2.1 VAE (spec 3.1): its sizes and its tensors.

use alloc::{borrow::ToOwned, format, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError,
    check::{check, latents, within},
    tensors::List,
};

/// Sizes of the VAE. Level 0 is the one next to the pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeConfig {
    /// Latent channels.
    pub channels: usize,
    /// Channels of each level.
    pub widths: Vec<usize>,
    /// Residual blocks of a level of the encoder; one of the decoder has one more.
    pub blocks: usize,
    /// For each step from a level to the next, which halves height and width: whether it also halves the frames.
    pub time_down: Vec<bool>,
    /// Per-channel mean of latents; the denoiser works on (z - mean) / std.
    pub latent_mean: Vec<f32>,
    /// Per-channel standard deviation of latents.
    pub latent_std: Vec<f32>,
    /// Whether the file lacks the encoder.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub decode_only: bool,
}

impl VaeConfig {
    /// Pixels along one side for each latent.
    pub fn space_factor(&self) -> usize {
        1 << self.time_down.len()
    }

    /// Pixel frames for each latent frame but the first.
    pub fn time_factor(&self) -> usize {
        1 << self.time_down.iter().filter(|halves| **halves).count()
    }

    /// Pixels within which the edge of a tile changes what the decoder makes of whole features: a convolution in each step to a level,
    /// two in each of its blocks, and the last one see one further at their own size.
    pub(crate) fn reach(&self) -> usize {
        self.time_down.iter().fold(0, |reach, _| 2 * reach + 1 + 2 * (self.blocks + 1)) + 1
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within("codec.vae.channels", self.channels, 1, 256)?;
        let levels = self.widths.len();
        within("the number of codec.vae.widths", levels, 2, 5)?;
        within("the number of codec.vae.time_down", self.time_down.len(), levels - 1, levels - 1)?;
        for (level, &width) in self.widths.iter().enumerate() {
            let field = format!("codec.vae.widths[{level}]");
            within(&field, width, 2, 2048)?;
            check(&field, width, width.is_multiple_of(2), || "an even number".to_owned())?;
        }
        within("codec.vae.blocks", self.blocks, 1, 8)?;
        latents("codec.vae.latent", self.channels, &self.latent_mean, &self.latent_std)
    }

    /// Adds the tensors of a valid configuration. Convolutions over time read the frame's channels, then those of the two before it.
    pub(super) fn tensors(&self, list: &mut List) {
        self.decoder_tensors(list);
        if !self.decode_only {
            self.encoder_tensors(list);
        }
    }

    fn decoder_tensors(&self, list: &mut List) {
        let (side, channels) = ("vae.decoder", self.channels);
        let mut width = self.widths[self.widths.len() - 1];
        list.layer("vae.conv2", &[channels, channels, 1, 1]);
        list.layer(&format!("{side}.conv1"), &[width, 3 * channels, 3, 3]);
        middle(list, side, width);
        let mut block = 0;
        let mut times = Vec::new();
        for (level, &outputs) in self.widths.iter().enumerate().rev() {
            for _ in 0..=self.blocks {
                residual(list, &format!("{side}.upsamples.{block}"), [width, outputs]);
                (width, block) = (outputs, block + 1);
            }
            if level > 0 {
                let name = format!("{side}.upsamples.{block}");
                list.layer(&format!("{name}.resample.1"), &[width / 2, width, 3, 3]);
                if self.time_down[level - 1] {
                    times.push((format!("{name}.time_conv"), width));
                }
                (width, block) = (width / 2, block + 1);
            }
        }
        head(list, side, [width, 3]);
        // What the first latent of a stream does not need: of each enlargement of time a frame, and the other one once all that follows
        // the first is made.
        let mut time =
            |name: &str, frame: usize, width: usize| list.layer(&format!("{name}.{frame}"), &[width, 3 * width, 1, 1]);
        times.iter().for_each(|(name, width)| time(name, 0, *width));
        times.iter().rev().for_each(|(name, width)| time(name, 1, *width));
    }

    fn encoder_tensors(&self, list: &mut List) {
        let (side, channels) = ("vae.encoder", self.channels);
        let mut width = self.widths[0];
        list.layer(&format!("{side}.conv1"), &[width, 3 * 3, 3, 3]);
        let mut block = 0;
        let mut times = Vec::new();
        for (level, &outputs) in self.widths.iter().enumerate() {
            for _ in 0..self.blocks {
                residual(list, &format!("{side}.downsamples.{block}"), [width, outputs]);
                (width, block) = (outputs, block + 1);
            }
            if let Some(&halves) = self.time_down.get(level) {
                let name = format!("{side}.downsamples.{block}");
                list.layer(&format!("{name}.resample.1"), &[width, width, 3, 3]);
                if halves {
                    times.push((format!("{name}.time_conv"), width));
                }
                block += 1;
            }
        }
        middle(list, side, width);
        head(list, side, [width, 2 * channels]);
        // The mean alone: the file leaves out the rows that make the variance.
        list.layer("vae.conv1", &[channels, 2 * channels, 1, 1]);
        // What the first frame of a stream does not need.
        times.iter().for_each(|(name, width)| list.layer(name, &[*width, 3 * width, 1, 1]));
    }
}

fn middle(list: &mut List, side: &str, width: usize) {
    residual(list, &format!("{side}.middle.0"), [width; 2]);
    list.add(format!("{side}.middle.1.norm.gamma"), &[width]);
    for part in ["to_q", "to_k", "to_v", "proj"] {
        list.layer(&format!("{side}.middle.1.{part}"), &[width, width]);
    }
    residual(list, &format!("{side}.middle.2"), [width; 2]);
}

fn residual(list: &mut List, name: &str, [inputs, outputs]: [usize; 2]) {
    if inputs != outputs {
        list.layer(&format!("{name}.shortcut"), &[outputs, inputs, 1, 1]);
    }
    list.add(format!("{name}.residual.0.gamma"), &[inputs]);
    list.layer(&format!("{name}.residual.2"), &[outputs, 3 * inputs, 3, 3]);
    list.add(format!("{name}.residual.3.gamma"), &[outputs]);
    list.layer(&format!("{name}.residual.6"), &[outputs, 3 * outputs, 3, 3]);
}

fn head(list: &mut List, side: &str, [inputs, outputs]: [usize; 2]) {
    list.add(format!("{side}.head.0.gamma"), &[inputs]);
    list.layer(&format!("{side}.head.2"), &[outputs, 3 * inputs, 3, 3]);
}
