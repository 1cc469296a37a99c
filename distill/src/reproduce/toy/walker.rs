//! A bump that steps left or right at random: the next frame has two equally good answers, so a model that averages shows both,
//! half as strong.

use crate::footage::latents::Latents;
use crate::reproduce::toy::{CELLS, Reading, bump, latents, way};
use crate::rng::Rng;

/// Cells of a step.
pub const STEP: f32 = 2.0;

/// How far from [`STEP`] a step may be and still count as one.
const SLACK: f32 = 0.5;

/// `episodes` walks of `frames` frames.
pub fn record(episodes: usize, frames: usize, seed: u64) -> Latents {
    let mut rng = Rng::new(seed);
    let mut data = Vec::with_capacity(episodes * frames * CELLS);
    for _ in 0..episodes {
        let mut place = rng.unit() * CELLS as f32;
        for _ in 0..frames {
            data.extend(bump(place));
            place += if rng.below(2) == 0 { STEP } else { -STEP };
        }
    }
    let n = episodes * frames;
    latents(data, CELLS, vec![0.0; n], vec![0; n], frames)
}

/// What a made walk is worth.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worth {
    /// Mean of [`Reading::off`]: blur, and everything else that is not a bump.
    pub off: f64,
    /// Share of steps of the true length between pictures.
    pub legal: f64,
    /// Share of legal steps to the right; a half in truth.
    pub right: f64,
}

/// Judges walks [B, F, CELLS] of `frames` frames from frame `from` on.
pub fn judge(walks: &[f32], frames: usize, from: usize) -> Worth {
    let mut worth = Worth::default();
    let (mut steps, mut pictures) = (0usize, 0usize);
    for walk in walks.chunks_exact(frames * CELLS) {
        let readings: Vec<Reading> = walk.chunks_exact(CELLS).map(Reading::new).collect();
        for i in from..frames {
            worth.off += f64::from(readings[i].off);
            pictures += 1;
            if i > 0 {
                let step = way(readings[i - 1].place, readings[i].place);
                steps += 1;
                if (step.abs() - STEP).abs() < SLACK {
                    worth.legal += 1.0;
                    worth.right += f64::from(u8::from(step > 0.0));
                }
            }
        }
    }
    worth.right /= worth.legal.max(1.0);
    worth.legal /= steps.max(1) as f64;
    worth.off /= pictures.max(1) as f64;
    worth
}
