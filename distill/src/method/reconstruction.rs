//! Stage `codec`: the autoencoder learns to redraw short clips, so that its memory of the past frame is real. And stage
//! `polish`, later: the decoder alone goes on, while the latents the denoiser was trained on stay what they are.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use causeway_runtime::config::CodecConfig;

use crate::footage::data::{Episodes, pixels, planes, psnr};
use crate::footage::recording::Recording;
use crate::judge::sheet::Sheet;
use crate::net::codec::{self, Past};
use crate::net::codec_tape::{PULL, Pass};
use crate::net::weights::{Leaves, Weights, floats};
use crate::train::optim::Rule;
use crate::train::state::StateError;
use crate::train::trainer::{Job, Stage, library_gradient};

/// Frames a clip: deep enough that the last one sees a full chain of pasts.
const TIME: usize = 3;

/// Noise on the latents in the later part of training, relative to their spread.
const NOISE: f32 = 0.07;

/// Trains the codec on `train`, looks at `held`.
pub struct Reconstruction<'a> {
    /// Sizes.
    pub config: &'a CodecConfig,
    /// Recording to learn.
    pub train: &'a Recording,
    /// Recording to measure on.
    pub held: &'a Recording,
    /// Episodes of `train`.
    pub episodes: Episodes,
    /// Clips a step.
    pub batch: usize,
    /// Optimizer settings.
    pub rule: Rule,
    /// Whether to take gradients on the CPU tape.
    pub fast: bool,
    /// Whether only the decoder learns.
    pub polish: bool,
}

impl Reconstruction<'_> {
    fn clips(&self, job: &mut Job<'_>) -> Vec<f32> {
        let starts = (0..job.share).map(|_| self.episodes.window(TIME, &mut job.rng).unwrap_or(0));
        starts.flat_map(|start| planes(self.train, start..start + TIME)).collect()
    }
}

impl Stage for Reconstruction<'_> {
    fn name(&self) -> &'static str {
        if self.polish { "polish" } else { "codec" }
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn rule(&self) -> Rule {
        self.rule
    }

    fn gradient(&self, job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let state = job.state;
        let found = self.whole_gradient(job, flat);
        if self.polish {
            for entry in state.weights.entries().iter().filter(|e| e.name.starts_with("taehv.encoder.")) {
                flat[entry.offset..entry.offset + entry.len()].fill(0.0);
            }
        }
        found
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, _: u64) -> Result<Vec<(String, f64)>, StateError> {
        self.look(net, device, dir)
    }
}

impl Reconstruction<'_> {
    fn loss(&self, net: &Leaves, job: &mut Job<'_>) -> Tensor<1> {
        let (w, h) = (self.train.info.width, self.train.info.height);
        let clips = self.clips(job);
        let real = net.constant(clips, [job.share * TIME, 3, h, w]);
        let latents = codec::encode(net, self.config, real.clone(), TIME, &mut Past::default());
        let shape = latents.dims();
        // The denoiser will hand over imperfect latents: half way through, the decoder begins to see such.
        let noisy = if self.polish || job.done > 0.4 {
            let spread = (latents.clone().detach() * latents.clone().detach()).mean().sqrt().reshape([1, 1, 1, 1]);
            let noise = net.constant(job.rng.normals(shape.iter().product()), shape);
            latents.clone() + noise * spread * NOISE
        } else {
            latents.clone()
        };
        let made = codec::decode(net, self.config, noisy, TIME, &mut Past::default());
        // A weak pull keeps latents inside the decoder's soft clamp, where it is nearly linear.
        codec::loss(made, real) + (latents.clone() * latents).mean() * PULL
    }

    fn whole_gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        if !self.fast {
            let (weights, device) = (&job.state.weights, job.device.clone());
            return library_gradient(weights, &device, flat, |net| self.loss(net, &mut job));
        }
        let (w, h) = (self.train.info.width, self.train.info.height);
        let clips = self.clips(&mut job);
        let noise = if self.polish || job.done > 0.4 { NOISE } else { 0.0 };
        let pass = Pass::new(&job.state.weights, self.config, TIME);
        let loss = pass.step(&clips, [job.share * TIME, h, w], noise, &mut job.rng, flat);
        (loss, job.state.weights.entries().len())
    }

    fn look(&self, net: &Weights, device: &Device, dir: &Path) -> Result<Vec<(String, f64)>, StateError> {
        let net = net.leaves(device);
        let (w, h) = (self.held.info.width, self.held.info.height);
        let (mut error, mut count, mut sheet) = (0.0, 0, Sheet::new(w, h));
        let rows = (self.held.len() / 400).max(1);
        let (mut real_row, mut made_row) = (Vec::new(), Vec::new());
        for k in 0..rows.min(10) {
            let range = k * 400 + 20..k * 400 + 32;
            let time = range.len();
            let real = planes(self.held, range);
            let frames = net.constant(real.clone(), [time, 3, h, w]);
            let latents = codec::encode(&net, self.config, frames, time, &mut Past::default());
            let made = floats(codec::decode(&net, self.config, latents, time, &mut Past::default()));
            error += real.iter().zip(&made).map(|(a, b)| f64::from(a - b.clamp(0.0, 1.0)).powi(2)).sum::<f64>();
            count += real.len();
            let last = (time - 1) * 3 * w * h..time * 3 * w * h;
            real_row.push(pixels(&real[last.clone()]));
            made_row.push(pixels(&made[last]));
        }
        sheet.row(real_row);
        sheet.row(made_row);
        sheet.write(&dir.join(format!("{}.png", self.name())), 2)?;
        Ok(vec![("psnr".into(), psnr(error / f64::from(count.max(1) as u32)))])
    }
}
