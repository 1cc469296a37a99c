//! Rolls out held-out episodes with their own actions and compares with what really happened.

use std::path::Path;

use burn::tensor::Device;
use causeway_runtime::config::ModelConfig;

use crate::codec::{self, Past};
use crate::data::{pixels, planes, psnr};
use crate::latents::{self, Latents, warp};
use crate::recording::Recording;
use crate::rng::Rng;
use crate::rollout::{Engine, Rollout};
use crate::sheet::Sheet;
use crate::state::StateError;
use crate::weights::{Weights, floats};

/// Real latents a roll-out starts from.
pub const START: usize = 4;

/// Held-out data and the codec to look at it with.
pub struct Held<'a> {
    /// Pictures.
    pub recording: &'a Recording,
    /// Their latents.
    pub latents: &'a Latents,
    /// The codec's weights.
    pub codec: &'a Weights,
    /// Worlds rolled out side by side.
    pub worlds: usize,
    /// Frames generated for each.
    pub frames: usize,
    /// Whether the device is the CPU.
    pub cpu: bool,
}

/// How frames are sampled.
#[derive(Clone, Copy, Debug)]
pub enum Sampler {
    /// This many Euler steps of the flow.
    Flow(usize),
    /// The model's own few-step list of this length.
    Few(usize),
}

/// Rolls out, writes a sheet (real row above generated row, five worlds) and returns PSNR figures against the truth.
///
/// # Errors
/// [`StateError`] when the sheet cannot be written.
pub fn roll(
    held: &Held<'_>,
    config: &ModelConfig,
    net: &Weights,
    device: &Device,
    sampler: Sampler,
    sheet: &Path,
) -> Result<Vec<(String, f64)>, StateError> {
    let c = &config.dit;
    let total = START + held.frames;
    let starts: Vec<usize> = windows(held, total);
    let made = generate(held, config, net, device, sampler, &starts);

    let codec = held.codec.leaves(device);
    let (w, h) = (held.recording.info.width, held.recording.info.height);
    let (mut drawn, mut errors) = (Sheet::new(w, h), vec![(0.0f64, 0usize); total]);
    for (b, &start) in starts.iter().enumerate() {
        let mut z: Vec<f32> = made.iter().flat_map(|frame| frame[b * c.latent_len()..(b + 1) * c.latent_len()].to_vec()).collect();
        latents::restore(&mut z, latents::area(c), &c.latent_mean, &c.latent_std);
        let shape = [total, c.latent.channels, c.latent.height, c.latent.width];
        let out = floats(codec::decode(&codec, &config.codec, codec.constant(z, shape), total, &mut Past::default()));
        let real = planes(held.recording, start..start + total);
        let frame = 3 * w * h;
        for t in 0..total {
            let pair = real[t * frame..(t + 1) * frame].iter().zip(&out[t * frame..(t + 1) * frame]);
            errors[t].0 += pair.map(|(a, b)| f64::from(a - b.clamp(0.0, 1.0)).powi(2)).sum::<f64>();
            errors[t].1 += frame;
        }
        if b < 5 {
            let shown: Vec<usize> = (0..12).map(|i| START - 1 + i * (held.frames) / 11).collect();
            drawn.row(shown.iter().map(|&t| pixels(&real[t * frame..(t + 1) * frame])).collect());
            drawn.row(shown.iter().map(|&t| pixels(&out[t * frame..(t + 1) * frame])).collect());
        }
    }
    drawn.write(sheet, 1)?;
    let mean = |range: std::ops::Range<usize>| {
        let (sum, n) = range.fold((0.0, 0), |(s, n), t| (s + errors[t].0, n + errors[t].1));
        psnr(sum / n.max(1) as f64)
    };
    let mut figures = vec![("psnr_start".to_owned(), mean(0..START)), ("psnr_1".to_owned(), mean(START..START + 1))];
    for (from, to) in [(1, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 128)] {
        if to <= held.frames {
            figures.push((format!("psnr_{to}"), mean(START + from..START + to)));
        }
    }
    Ok(figures)
}

/// First frames of evenly spread windows of `len` frames, each inside one episode.
pub fn windows(held: &Held<'_>, len: usize) -> Vec<usize> {
    let fitting: Vec<usize> = held
        .latents
        .episodes
        .ranges()
        .into_iter()
        .flat_map(|r| (r.start..r.end.saturating_sub(len)).step_by(len / 2))
        .collect();
    (0..held.worlds.min(fitting.len())).map(|i| fitting[i * fitting.len() / held.worlds.min(fitting.len())]).collect()
}

/// Real start latents followed by generated ones: for each frame, [worlds, C, H, W].
pub fn generate(
    held: &Held<'_>,
    config: &ModelConfig,
    net: &Weights,
    device: &Device,
    sampler: Sampler,
    starts: &[usize],
) -> Vec<Vec<f32>> {
    let leaves = (!held.cpu).then(|| net.leaves(device));
    let engine = leaves.as_ref().map_or(Engine::Fast(net), Engine::Library);
    let data = held.latents;
    let gather = |t: usize, pick: &dyn Fn(usize) -> Vec<f32>| starts.iter().flat_map(|&s| pick(s + t)).collect::<Vec<f32>>();
    let mut rng = Rng::new(7);
    let mut rollout = Rollout::new(engine, &config.dit, config.history.window, vec![0.0; starts.len() * data.len]);
    let sigmas: Vec<f32> = match sampler {
        Sampler::Flow(n) => (0..n).map(|i| warp(1.0 - i as f32 / n as f32, config.schedule.shift)).collect(),
        Sampler::Few(n) => config.schedule.sigmas(n).unwrap_or_else(|| vec![1.0]),
    };
    (0..START + held.frames)
        .map(|t| {
            let actions = gather(t, &|i| data.action(i).to_vec());
            let events: Vec<u8> = starts.iter().map(|&s| data.events[s + t]).collect();
            if t < START {
                let real = gather(t, &|i| data.frame(i).to_vec());
                rollout.commit(&real, &actions, &events);
                return real;
            }
            match sampler {
                Sampler::Flow(_) => rollout.integrate(&sigmas, &actions, &events, &mut rng),
                Sampler::Few(_) => rollout.generate(&sigmas, &actions, &events, &mut rng),
            }
        })
        .collect()
}
