//! A bump that the action moves by so many cells, and whose hue is one of a few: nothing tells place or hue, both must be handed on from
//! frame to frame. Nothing is random, so a roll-out of any length has one true answer.

use std::f32::consts::TAU;

use crate::footage::latents::{Latents, Windows};
use crate::reproduce::toy::{CELLS, Reading, bump, latents, way};
use crate::rng::Rng;

/// Values of a picture: bump times (cos hue, sin hue).
pub const LEN: usize = 2 * CELLS;

/// The action: how far the bump has moved since the frame before, in the longest steps there are.
pub const ACTIONS: [&str; 1] = ["by"];

/// Hues there are.
pub const HUES: usize = 6;

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
            actions.push(speed / STEP);
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

/// Errors [B][F] of `made` [B, F, LEN] against `truth`.
pub fn errors(made: &[f32], truth: &Windows) -> Vec<Vec<Error>> {
    let one = |(made, real): (&[f32], &[f32])| {
        let (m, r) = (Reading::new(made), Reading::new(real));
        let square = made.iter().zip(real).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / LEN as f64;
        let hue = (m.hue - r.hue + 0.5 * TAU).rem_euclid(TAU) - 0.5 * TAU;
        Error { square, hue: hue.abs().into(), place: way(r.place, m.place).abs().into(), off: m.off.into() }
    };
    let all: Vec<Error> = made.chunks_exact(LEN).zip(truth.real.chunks_exact(LEN)).map(one).collect();
    all.chunks_exact(truth.frames).map(<[Error]>::to_vec).collect()
}

/// Frames of a roll-out until `wrong` holds of four in a row, the first of them not counted; all of them if never.
pub fn survival(errors: &[Error], wrong: impl Fn(&Error) -> bool) -> usize {
    errors.windows(4).position(|four| four.iter().all(&wrong)).unwrap_or(errors.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_true_roll_out_has_no_error_and_lives_to_its_end() {
        let truth = record(3, 20, 4).starts(20);
        let errors = errors(&truth.real, &truth);
        assert!(errors.iter().flatten().all(|e| e.square == 0.0 && e.place < 0.04 && e.hue < 1e-3 && e.off < 2e-3));
        assert_eq!(survival(&errors[0], |e| e.hue > 0.5), 20);
        let lost: Vec<Error> =
            (0..20).map(|f| Error { hue: f64::from(u8::from(f >= 7 || f == 3)), ..Error::default() }).collect();
        assert_eq!(survival(&lost, |e| e.hue > 0.5), 7);
    }
}
