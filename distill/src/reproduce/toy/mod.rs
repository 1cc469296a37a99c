//! Worlds small enough to train on in a minute, with an exact truth: what `reproduce` measures the methods on.
//!
//! All of them draw on a ring of [`CELLS`] cells. A [`bump`] can stand anywhere on it, so a picture has one true parameter, its
//! place, and [`Reading`] finds it again: how far a picture is from any true one, and which one it is nearest to.

pub mod panorama;
pub mod places;
pub mod switch;
pub mod tracker;
pub mod walker;

use std::collections::BTreeMap;

use causeway_runtime::config::{DitConfig, LatentConfig, ModelConfig};

use crate::footage::data::Episodes;
use crate::footage::latents::Latents;
use crate::footage::recording::RecordingInfo;
use crate::run::preset::Preset;

/// Cells of the ring.
pub const CELLS: usize = 16;

/// Standard deviation of a bump, cells.
const WIDTH: f32 = 1.2;

/// Makes the values of a bump have mean 0 and, over all its places, variance 1.
const HEIGHT: f32 = 3.2;

/// Places that a reading tells apart, per cell.
const FINE: usize = 16;

/// The causal denoiser all toys train: two layers of 48 features on four tokens a frame.
pub fn model(channels: usize, actions: &[&str], events: &[&str], window: usize) -> ModelConfig {
    let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let info = RecordingInfo {
        width: 4 * CELLS,
        height: 4,
        fps: 20.0,
        latch: 1,
        actions: names(actions),
        events: names(events),
        license: String::new(),
        credits: String::new(),
        source: "toy".into(),
        seed: 0,
    };
    let mut config = Preset::Cpu.model(&info);
    config.dit = DitConfig {
        dim: 48,
        heads: 3,
        layers: 2,
        ffn_dim: 96,
        freq_dim: 32,
        patch: [1, 1, 4],
        latent: LatentConfig { channels, height: 1, width: CELLS },
        prev_frame: false,
        event_tokens: 1,
        latent_mean: vec![0.0; channels],
        latent_std: vec![1.0; channels],
        ..config.dit
    };
    config.schedule.steps =
        BTreeMap::from([(4, vec![1000.0, 750.0, 500.0, 250.0]), (2, vec![1000.0, 500.0]), (1, vec![1000.0])]);
    config.history.window = window;
    config
}

/// Episodes of `frames` frames each, written one after the other.
pub fn latents(data: Vec<f32>, len: usize, actions: Vec<f32>, events: Vec<u8>, frames: usize) -> Latents {
    let starts: Vec<u8> = (0..events.len()).map(|i| u8::from(i % frames == 0)).collect();
    Latents { data, len, actions, events, episodes: Episodes::new(&starts) }
}

/// The bump at `place` (cells, any number) on the ring.
pub fn bump(place: f32) -> [f32; CELLS] {
    let ring = CELLS as f32;
    let values: [f32; CELLS] = std::array::from_fn(|i| {
        let away = (i as f32 - place).rem_euclid(ring);
        let away = away.min(ring - away) / WIDTH;
        HEIGHT * (-0.5 * away * away).exp()
    });
    let mean = values.iter().sum::<f32>() / ring;
    values.map(|x| x - mean)
}

/// The shorter way from `a` to `b` on the ring, in -CELLS/2 .. CELLS/2.
pub fn way(a: f32, b: f32) -> f32 {
    let ring = CELLS as f32;
    (b - a + 0.5 * ring).rem_euclid(ring) - 0.5 * ring
}

/// What a picture of two channels, bump times (cos hue, sin hue), shows; a picture of one channel has hue 0.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Where its bump stands, cells.
    pub place: f32,
    /// Direction in the plane of the channels, radians.
    pub hue: f32,
    /// Squared distance to the nearest true picture over the square of that one: 0 for a true picture, 1 for an empty one.
    pub off: f32,
}

impl Reading {
    /// Reads `picture` [1 or 2 channels, CELLS].
    pub fn new(picture: &[f32]) -> Self {
        let (first, second) = picture.split_at(CELLS);
        let sum = |plane: &[f32], shape: &[f32]| plane.iter().zip(shape).map(|(x, b)| x * b).sum::<f32>();
        let square: f32 = picture.iter().map(|x| x * x).sum();
        let mut best = Self { place: 0.0, hue: 0.0, off: f32::MAX };
        for step in 0..CELLS * FINE {
            let place = step as f32 / FINE as f32;
            let shape = bump(place);
            let (a, b) = (sum(first, &shape), if second.is_empty() { 0.0 } else { sum(second, &shape) });
            let own = sum(&shape, &shape);
            let along = if second.is_empty() { a } else { a.hypot(b) };
            let off = (square - 2.0 * along + own) / own;
            if off < best.off {
                best = Self { place, hue: b.atan2(a), off };
            }
        }
        best
    }
}
