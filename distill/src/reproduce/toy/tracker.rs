//! A bump whose place the action tells (a camera's pose, say) and whose hue, one of a few, nothing tells: it must be handed on from frame
//! to frame. Nothing is random, so a roll-out of any length has one true answer.

use std::f32::consts::TAU;

use crate::footage::latents::{Latents, Windows};
use crate::reproduce::toy::{CELLS, Reading, bump, latents, way};
use crate::rng::Rng;

/// Values of a picture: bump times (cos hue, sin hue).
pub const LEN: usize = 2 * CELLS;

/// Actions: the place of the frame's bump on the ring, as an angle and its double.
pub const ACTIONS: [&str; 4] = ["cos", "sin", "cos 2", "sin 2"];

/// Hues there are.
const HUES: usize = 6;

/// Most cells a frame.
const STEP: f32 = 1.5;

/// The picture of a bump at `place` of `hue`.
pub fn draw(place: f32, hue: f32) -> [f32; LEN] {
    let shape = bump(place);
    std::array::from_fn(|i| shape[i % CELLS] * if i < CELLS { hue.cos() } else { hue.sin() })
}

/// `episodes` of `frames` frames.
pub fn record(episodes: usize, frames: usize, seed: u64) -> Latents {
    let mut rng = Rng::new(seed);
    let (mut data, mut actions) = (Vec::with_capacity(episodes * frames * LEN), Vec::new());
    for _ in 0..episodes {
        let (mut place, hue, mut speed) = (rng.unit() * CELLS as f32, rng.below(HUES) as f32 * TAU / HUES as f32, 0.0);
        for _ in 0..frames {
            // Speeds come in runs, as a player's do.
            if rng.below(4) == 0 {
                speed = STEP * (2.0 * rng.unit() - 1.0);
            }
            place += speed;
            data.extend(draw(place, hue));
            let angle = TAU * place / CELLS as f32;
            actions.extend([angle.cos(), angle.sin(), (2.0 * angle).cos(), (2.0 * angle).sin()]);
        }
    }
    latents(data, LEN, actions, vec![0; episodes * frames], frames)
}

/// Errors of one made frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Error {
    /// Mean squared difference from the true picture, whose mean square is 1/2: 1 for an unrelated picture, 1/2 for an empty one.
    pub square: f64,
    /// Distance from the true hue, radians.
    pub hue: f64,
    /// Distance from the true place, cells.
    pub place: f64,
    /// What is not a bump at all ([`Reading::off`]).
    pub off: f64,
}

/// Mean errors of each frame of `made` [B, F, LEN] against `truth`.
pub fn errors(made: &[f32], truth: &Windows) -> Vec<Error> {
    let mut out = vec![Error::default(); truth.frames];
    let share = 1.0 / truth.batch as f64;
    for (i, (made, real)) in made.chunks_exact(LEN).zip(truth.real.chunks_exact(LEN)).enumerate() {
        let (m, r, error) = (Reading::new(made), Reading::new(real), &mut out[i % truth.frames]);
        let square = made.iter().zip(real).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / LEN as f64;
        let hue = (m.hue - r.hue + 0.5 * TAU).rem_euclid(TAU) - 0.5 * TAU;
        error.square += share * square;
        error.hue += share * f64::from(hue.abs());
        error.place += share * f64::from(way(r.place, m.place).abs());
        error.off += share * f64::from(m.off);
    }
    out
}
