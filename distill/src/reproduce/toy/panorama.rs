//! A ring of cells seen through a window of half its width, and a player who turns: where he looks is told by nothing but how he turned,
//! so place must be handed on from frame to frame. Turns are by whole cells or by any amount; what is seen is smooth, or hard blocks
//! of two values.

use std::f32::consts::TAU;

use crate::footage::latents::Latents;
use crate::reproduce::toy::{CELLS, latents};
use crate::rng::Rng;

/// Cells of the ring.
pub const RING: usize = 2 * CELLS;

/// The action: cells turned since the frame before.
pub const ACTIONS: [&str; 1] = ["turn"];

/// Places that a reading tells apart, per cell.
const FINE: usize = 4;

/// Most cells of a turn by any amount.
const TURN: f32 = 1.5;

/// A place to be in.
#[derive(Clone, Debug)]
pub struct Panorama {
    cells: [f32; RING],
    whole: bool,
}

impl Panorama {
    /// With hard blocks or smooth, turned in by whole cells or not. No two of its views are alike.
    pub fn new(hard: bool, whole: bool, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        loop {
            let cells = if hard { blocks(&mut rng) } else { waves(&mut rng) };
            let panorama = Self { cells, whole };
            let apart = |a: usize, b: usize| {
                let (a, b) = (panorama.view(a as f32), panorama.view(b as f32));
                a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / CELLS as f32
            };
            // Neighbours of a smooth one are alike by nature.
            if (0..RING).all(|a| (a + 3..RING).filter(|b| a + RING - b > 2).all(|b| apart(a, b) > 0.3)) {
                return panorama;
            }
        }
    }

    /// What is seen from `place`, cells.
    pub fn view(&self, place: f32) -> [f32; CELLS] {
        let (first, share) = (place.floor(), place - place.floor());
        let at = |i: usize| self.cells[(first as i64 + i as i64).rem_euclid(RING as i64) as usize];
        std::array::from_fn(|i| (1.0 - share) * at(i) + share * at(i + 1))
    }

    /// The place whose view is nearest to `picture`.
    pub fn read(&self, picture: &[f32]) -> f32 {
        let places = (0..RING * FINE).map(|i| i as f32 / FINE as f32);
        let far = |place: f32| picture.iter().zip(self.view(place)).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        let nearest = places.map(|place| (place, far(place))).min_by(|a, b| a.1.total_cmp(&b.1));
        nearest.map_or(0.0, |found| found.0)
    }

    /// `episodes` of `frames` frames of a player who turns in runs and stands still in a quarter of them.
    pub fn record(&self, episodes: usize, frames: usize, seed: u64) -> Latents {
        let mut rng = Rng::new(seed);
        let (mut data, mut actions) = (Vec::new(), Vec::new());
        for _ in 0..episodes {
            let (mut place, mut turn) = ((rng.unit() * RING as f32).floor(), 0.0);
            for _ in 0..frames {
                if rng.below(4) == 0 {
                    turn = match (rng.below(4), self.whole) {
                        (0, _) => 0.0,
                        (_, true) => {
                            if rng.below(2) == 0 {
                                1.0
                            } else {
                                -1.0
                            }
                        }
                        (_, false) => TURN * (2.0 * rng.unit() - 1.0),
                    };
                }
                place += turn;
                data.extend(self.view(place));
                actions.push(turn);
            }
        }
        latents(data, CELLS, actions, vec![0; episodes * frames], frames)
    }
}

/// Distance of two places on the ring, cells.
pub fn apart(a: f32, b: f32) -> f32 {
    let way = (a - b).rem_euclid(RING as f32);
    way.min(RING as f32 - way)
}

/// Cells of -1 and 1 in runs of one to three.
fn blocks(rng: &mut Rng) -> [f32; RING] {
    let (mut value, mut left) = (1.0, 0);
    std::array::from_fn(|_| {
        if left == 0 {
            (value, left) = (-value, 1 + rng.below(3));
        }
        left -= 1;
        value
    })
}

/// Five waves around the ring, of variance 1 together.
fn waves(rng: &mut Rng) -> [f32; RING] {
    let parts: [[f32; 2]; 5] = std::array::from_fn(|_| [rng.normal(), rng.normal()]);
    let at = |i: usize| {
        let wave = |(k, [a, b]): (usize, &[f32; 2])| {
            let angle = TAU * (k + 1) as f32 * i as f32 / RING as f32;
            a * angle.cos() + b * angle.sin()
        };
        parts.iter().enumerate().map(wave).sum::<f32>()
    };
    let size = (parts.iter().flatten().map(|x| x * x).sum::<f32>() / 2.0).sqrt();
    std::array::from_fn(|i| at(i) / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_views_are_read_where_they_are() {
        for (hard, whole) in [(false, false), (false, true), (true, false), (true, true)] {
            let panorama = Panorama::new(hard, whole, 3);
            let recorded = panorama.record(4, 50, 5);
            for episode in recorded.episodes.ranges() {
                let mut place = panorama.read(recorded.frame(episode.start));
                for i in episode.start + 1..episode.end {
                    place += recorded.action(i)[0];
                    let read = panorama.read(recorded.frame(i));
                    // Readings are by quarters of a cell.
                    assert!(apart(read, place) <= 0.3, "{hard} {whole}: {read}, {place}");
                }
            }
            assert!(!whole || recorded.actions.iter().all(|turn| turn.fract() == 0.0));
            let size = panorama.cells.iter().map(|x| x * x).sum::<f32>() / RING as f32;
            assert!((size - 1.0).abs() < 1e-3, "{size}");
        }
    }
}
