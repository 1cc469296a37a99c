//! Consecutive frames out of a recording, never across an episode's start.

use crate::footage::recording::Recording;
use crate::rng::Rng;

/// For each frame, how many frames of its episode lie before it; a window ending at i may have up to `depth[i] + 1` frames.
#[derive(Clone, Debug)]
pub struct Episodes {
    depth: Vec<usize>,
}

impl Episodes {
    /// Reads the marks of a recording (1 where an episode begins).
    pub fn new(starts: &[u8]) -> Self {
        let mut depth = Vec::with_capacity(starts.len());
        for (i, &start) in starts.iter().enumerate() {
            let before = if start != 0 || i == 0 { 0 } else { depth[i - 1] + 1 };
            depth.push(before);
        }
        Self { depth }
    }

    /// Index of the first frame of a random window of `len` frames inside one episode, or `None` if there is none.
    pub fn window(&self, len: usize, rng: &mut Rng) -> Option<usize> {
        // Windows are common, so a few draws find one; the scan is for recordings of short episodes.
        for _ in 0..64 {
            let last = rng.below(self.depth.len());
            if self.depth[last] + 1 >= len {
                return Some(last + 1 - len);
            }
        }
        (0..self.depth.len()).find(|&i| self.depth[i] + 1 >= len).map(|i| i + 1 - len)
    }

    /// Frames of the longest episode.
    pub fn longest(&self) -> usize {
        self.depth.iter().max().map_or(0, |depth| depth + 1)
    }

    /// The episodes as ranges of frames.
    pub fn ranges(&self) -> Vec<std::ops::Range<usize>> {
        let starts: Vec<usize> = (0..self.depth.len()).filter(|&i| self.depth[i] == 0).collect();
        let ends = starts.iter().skip(1).copied().chain([self.depth.len()]);
        starts.iter().copied().zip(ends).map(|(a, b)| a..b).collect()
    }
}

/// Frames `range` as planar values [n, 3, H, W] in [0, 1].
pub fn planes(recording: &Recording, range: std::ops::Range<usize>) -> Vec<f32> {
    range.flat_map(|i| planar(recording.frame(i))).collect()
}

/// A picture [H, W, 3] as planar values [3, H, W] in [0, 1].
pub fn planar(picture: &[u8]) -> Vec<f32> {
    let n = picture.len() / 3;
    (0..n * 3).map(|i| f32::from(picture[i % n * 3 + i / n]) / 255.0).collect()
}

/// Planar values [3, H, W] as interleaved bytes [H, W, 3].
pub fn pixels(planes: &[f32]) -> Vec<u8> {
    let n = planes.len() / 3;
    (0..n * 3).map(|i| (planes[(i % 3) * n + i / 3].clamp(0.0, 1.0) * 255.0).round() as u8).collect()
}

/// Peak signal-to-noise ratio in dB of frames in [0, 1], from their mean squared error.
pub fn psnr(mse: f64) -> f64 {
    -10.0 * mse.max(1e-12).log10()
}
