//! Rolls out held-out episodes with their own actions and compares with what really happened.

use std::path::Path;

use burn::tensor::Device;
use causeway_runtime::config::ModelConfig;

use crate::footage::data::{pixels, planes, psnr};
use crate::footage::latents::{self, Latents, even_levels};
use crate::footage::recording::Recording;
use crate::footage::sight::sharpness;
use crate::judge::sheet::Sheet;
use crate::net::codec::{self, Past};
use crate::net::rollout::{Engine, Rollout};
use crate::net::weights::{Weights, floats};
use crate::rng::Rng;
use crate::train::state::StateError;

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

/// Whose actions a roll-out is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actions {
    /// What was really pressed.
    True,
    /// What was pressed in the next world: a model that follows its actions must now miss the truth by more.
    Shuffled,
}

/// Mean squared error of each frame, over all worlds, and frames to look at.
pub struct Comparison {
    /// For each frame, start frames first.
    pub mse: Vec<f64>,
    /// The same for the last start frame simply shown again.
    pub still: Vec<f64>,
    /// Real and generated pixels [T][H, W, 3] of the first worlds.
    pub pictures: Vec<[Vec<Vec<u8>>; 2]>,
}

impl Comparison {
    /// PSNR in dB of generated frames `range`, counted from 0.
    pub fn psnr(&self, range: std::ops::Range<usize>) -> f64 {
        psnr_of(&self.mse, range)
    }

    /// The same for the last start frame shown again.
    pub fn psnr_still(&self, range: std::ops::Range<usize>) -> f64 {
        psnr_of(&self.still, range)
    }

    /// Writes a contact sheet of `frames`: a real row above each generated one.
    fn draw(
        &self,
        held: &Held<'_>,
        frames: impl Iterator<Item = usize> + Clone,
        sheet: &Path,
    ) -> Result<(), StateError> {
        let mut drawn = Sheet::new(held.recording.info.width, held.recording.info.height);
        for row in self.pictures.iter().flatten() {
            drawn.row(frames.clone().map(|i| row[i].clone()).collect());
        }
        drawn.write(sheet, 1)
    }

    /// Sharpness of the generated frames from number `first` on, as a share of the real ones'.
    fn sharpness(&self, held: &Held<'_>, first: usize) -> f64 {
        let crisp = |row: &[Vec<u8>]| row[first..].iter().map(|f| sharpness(f, held.recording.info.width)).sum::<f64>();
        let [real, made] = [0, 1].map(|side| self.pictures.iter().map(|rows| crisp(&rows[side])).sum::<f64>());
        made / real
    }
}

fn psnr_of(mse: &[f64], range: std::ops::Range<usize>) -> f64 {
    let part = &mse[START + range.start..START + range.end];
    psnr(part.iter().sum::<f64>() / part.len().max(1) as f64)
}

/// Spans of generated frames that figures are given for.
pub const SPANS: [(usize, usize); 7] = [(0, 1), (1, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 128)];

impl std::fmt::Display for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flow(n) => write!(f, "{n} Euler steps of the flow"),
            Self::Few(n) => write!(f, "{n} steps"),
        }
    }
}

/// Rolls out every world of `held` and compares with the truth.
pub fn compare(
    held: &Held<'_>,
    config: &ModelConfig,
    net: &Weights,
    device: &Device,
    sampler: Sampler,
    actions: Actions,
) -> Comparison {
    let starts = windows(held, START + held.frames);
    let made = generate(held, config, net, device, sampler, actions, &starts);
    beside(held, config, device, &starts, &made)
}

/// Compares `made`, for each frame [worlds, C, H, W], with the frames of `held` from `starts` on.
fn beside(held: &Held<'_>, config: &ModelConfig, device: &Device, starts: &[usize], made: &[Vec<f32>]) -> Comparison {
    let (c, total) = (&config.dit, made.len());
    let codec = held.codec.leaves(device);
    let frame = 3 * held.recording.info.width * held.recording.info.height;
    let mut out = Comparison { mse: vec![0.0; total], still: vec![0.0; total], pictures: Vec::new() };
    for (b, &start) in starts.iter().enumerate() {
        let mut z: Vec<f32> =
            made.iter().flat_map(|frame| frame[b * c.latent_len()..(b + 1) * c.latent_len()].to_vec()).collect();
        latents::restore(&mut z, latents::area(c), &c.latent_mean, &c.latent_std);
        let shape = [total, c.latent.channels, c.latent.height, c.latent.width];
        let decoded = codec::decode(&codec, &config.codec, codec.constant(z, shape), total, &mut Past::default());
        let drawn = floats(decoded.clamp(0.0, 1.0));
        let real = planes(held.recording, start..start + total);
        let at = |t: usize| t * frame..(t + 1) * frame;
        let mse = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / (frame * starts.len()) as f64
        };
        for t in 0..total {
            out.mse[t] += mse(&real[at(t)], &drawn[at(t)]);
            out.still[t] += mse(&real[at(t)], &real[at(t.min(START - 1))]);
        }
        if b < 5 {
            let frames = |planes: &[f32]| (0..total).map(|t| pixels(&planes[at(t)])).collect();
            out.pictures.push([frames(&real), frames(&drawn)]);
        }
    }
    out
}

/// Compares, writes a contact sheet (real row above generated row) and returns PSNR figures against the truth, and the
/// sharpness of the pictures as a share of the real ones'.
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
    let found = compare(held, config, net, device, sampler, Actions::True);
    found.draw(held, (0..12).map(|i| START - 1 + i * held.frames / 11), sheet)?;
    let spans = SPANS.iter().filter(|span| span.1 <= held.frames);
    let likeness = spans.map(|&(from, to)| (format!("psnr_{to}"), found.psnr(from..to)));
    Ok(likeness.chain([("sharpness".to_owned(), found.sharpness(held, START))]).collect())
}

/// Draws whole windows `made`, for each frame [worlds, C, H, W], below those of `held` from `starts` on, and returns their
/// sharpness: such windows share actions and events with the real ones and nothing else.
///
/// # Errors
/// [`StateError`] when the sheet cannot be written.
pub fn draw(
    held: &Held<'_>,
    config: &ModelConfig,
    device: &Device,
    starts: &[usize],
    made: &[Vec<f32>],
    sheet: &Path,
) -> Result<Vec<(String, f64)>, StateError> {
    let found = beside(held, config, device, starts, made);
    found.draw(held, 0..made.len(), sheet)?;
    Ok(vec![("sharpness".to_owned(), found.sharpness(held, 0))])
}

/// [`roll`] with few steps, for each list of steps a world is shipped with: figures `name@steps`, sheets `stage-step-steps.png` in
/// `dir`.
///
/// # Errors
/// As [`roll`].
pub fn roll_few(
    held: &Held<'_>,
    config: &ModelConfig,
    net: &Weights,
    device: &Device,
    dir: &Path,
    (stage, step): (&str, u64),
) -> Result<Vec<(String, f64)>, StateError> {
    let mut figures = Vec::new();
    for &steps in config.schedule.steps.keys().rev() {
        let sheet = dir.join(format!("{stage}-{step}-{steps}.png"));
        let found = roll(held, config, net, device, Sampler::Few(steps), &sheet)?;
        figures.extend(found.into_iter().map(|(k, v)| (format!("{k}@{steps}"), v)));
    }
    Ok(figures)
}

/// A Markdown table of how well each of `samplers` predicts, for `docs/demo.md`.
pub fn table(held: &Held<'_>, config: &ModelConfig, net: &Weights, device: &Device, samplers: &[Sampler]) -> String {
    let spans: Vec<_> = SPANS.into_iter().filter(|span| span.1 <= held.frames).collect();
    let line = |name: &str, figure: &dyn Fn(std::ops::Range<usize>) -> f64| {
        let figures: Vec<String> = spans.iter().map(|&(a, b)| format!("{:.1}", figure(a..b))).collect();
        format!("| {name} | {} |\n", figures.join(" | "))
    };
    let head: Vec<String> = spans.iter().map(|(a, b)| format!("frames {}-{b}", a + 1)).collect();
    let mut out = format!("| PSNR, dB | {} |\n|---|{}\n", head.join(" | "), "---|".repeat(spans.len()));
    for (i, &sampler) in samplers.iter().enumerate() {
        let found = compare(held, config, net, device, sampler, Actions::True);
        if i == 0 {
            out += &line("last real frame shown again", &|r| found.psnr_still(r));
        }
        out += &line(&sampler.to_string(), &|r| found.psnr(r));
        if i == 0 {
            let wrong = compare(held, config, net, device, sampler, Actions::Shuffled);
            out += &line("the same, given the actions of another world", &|r| wrong.psnr(r));
        }
    }
    out
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
    given: Actions,
    starts: &[usize],
) -> Vec<Vec<f32>> {
    let leaves = (!held.cpu).then(|| net.leaves(device));
    let engine = leaves.as_ref().map_or(Engine::Fast(net), Engine::Library);
    let data = held.latents;
    let gather =
        |t: usize, pick: &dyn Fn(usize) -> Vec<f32>| starts.iter().flat_map(|&s| pick(s + t)).collect::<Vec<f32>>();
    let mut rng = Rng::new(7);
    let mut rollout = Rollout::new(engine, &config.dit, config.history.window, vec![0.0; starts.len() * data.len])
        .sinking(config.history.sink);
    let sigmas: Vec<f32> = match sampler {
        Sampler::Flow(n) => even_levels(n, config.schedule.shift),
        Sampler::Few(n) => config.schedule.sigmas(n).unwrap_or_else(|| vec![1.0]),
    };
    (0..START + held.frames)
        .map(|t| {
            let mut actions = gather(t, &|i| data.action(i).to_vec());
            if given == Actions::Shuffled && t >= START {
                let one = actions.len() / starts.len();
                actions.rotate_left(one);
            }
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
