//! One true frame to compare dreams with: what of it can be known, how well the codec itself shows it, how unlike another is.

use crate::footage::data::psnr;
use crate::footage::sight::{masked_mse, ssim};

use super::dreamer::{LEAD, Picture, Play, Real};
use super::trial::Trial;

/// How alike two pictures are.
#[derive(Clone, Copy, Debug)]
pub struct Like {
    /// In dB; [`PERFECT`] at most, so that means exist.
    pub psnr: f64,
    /// Structural similarity.
    pub ssim: f64,
}

/// The dB that count where nothing differs.
pub const PERFECT: f64 = 60.0;

/// A true frame of a roll-out.
pub struct Target {
    /// The frame, counted from 0 after the real ones.
    pub at: usize,
    /// The picture.
    pub picture: Picture,
    counted: Vec<bool>,
    width: usize,
    /// What the codec makes of it.
    pub ceiling: Like,
}

impl Target {
    /// Frame `at` of `play`, which follows `real`. `None` if nothing of it can be known.
    pub fn new(trial: &Trial<'_>, real: &Real, play: &Play, at: usize) -> Option<Self> {
        let picture = play.truth.get(at)?.clone();
        let width = trial.held.recording.info.width;
        let counted = match &trial.truth {
            Ok(truth) if !play.views.is_empty() => {
                let views: Vec<_> = real.views.iter().chain(&play.views[..=at]).copied().collect();
                let unknown = truth.facts.unknown(&views, real.views.len(), trial.window());
                truth.facts.certain(&play.views[at], &unknown)
            }
            _ => vec![true; picture.len() / 3],
        };
        // Enough frames before it for the codec to be in its stride.
        let before = (real.frames.len() + at).saturating_sub(LEAD);
        let run: Vec<Picture> = real.frames.iter().chain(&play.truth[..=at]).skip(before).cloned().collect();
        let shown = trial.dreamer.codec(&run).pop()?;
        let mut target = Self { at, picture, counted, width, ceiling: Like { psnr: 0.0, ssim: 0.0 } };
        target.ceiling = target.like(&shown)?;
        Some(target)
    }

    /// How alike `picture` is to this frame, where that can be known; `None` if nowhere.
    pub fn like(&self, picture: &[u8]) -> Option<Like> {
        let psnr = psnr(masked_mse(picture, &self.picture, &self.counted)?).min(PERFECT);
        Some(Like { psnr, ssim: ssim(picture, &self.picture, self.width, &self.counted)? })
    }

    /// By how many dB `picture` falls short of what the codec itself would show.
    pub fn deficit(&self, picture: &[u8]) -> Option<f64> {
        Some(self.ceiling.psnr - self.like(picture)?.psnr)
    }
}
