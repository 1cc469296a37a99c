//! How a stream is: figures of its newest chunk, and which of them alarm.

use super::{
    alarms::Alarms,
    error::SessionError,
    fields::{Fields, small},
};
use crate::config::HealthConfig;

/// How a chunk came out. Latents count in standard deviations of what the model file states, ages in latent frames.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Health {
    /// Mean of the latents: near 0 while all is well.
    pub mean: f32,
    /// Their standard deviation: near 1 while all is well.
    pub spread: f32,
    /// Flatness over the channels: geometric by arithmetic mean of their variances, from 0 to 1. It falls where what is fine is lost, and rises
    /// where there is nothing but noise.
    pub detail: f32,
    /// Root mean square of the change from frame to frame; 0 of a first one.
    pub change: f32,
    /// The same since the world was left alone: from what the first frames of that showed; 0 while it is not.
    pub drift: f32,
    /// Share of heads whose queries prefer a far frame of the past, one older than the newest half of the window, of the chunk before.
    pub far_share: f32,
    /// Mean age of the frames that its queries were routed to; 0 without a route.
    pub route_age: f32,
    /// Figures beyond what the model file states.
    pub alarms: Alarms,
}

/// Variance that counts as none: that a channel is empty says no more than that it has less than this.
const LEAST: (f64, f64) = (1e-5, 1e-3);

impl Health {
    /// Of normalised latents [.., channels], by sums [2, channels].
    pub(super) fn of(latents: &[f32], sums: &mut [f32]) -> Self {
        sums.fill(0.0);
        let (means, squares) = sums.split_at_mut(sums.len() / 2);
        let channels = means.len().max(1);
        for values in latents.chunks_exact(channels) {
            for ((mean, square), value) in means.iter_mut().zip(squares.iter_mut()).zip(values) {
                *mean += value;
                *square += value * value;
            }
        }
        let count = (latents.len() / channels).max(1) as f64;
        let (mut mean, mut square, mut variance, mut logarithm) = (0.0, 0.0, 0.0, 0.0);
        for (sum, squares) in means.iter().zip(squares) {
            let (one, two) = (f64::from(*sum) / count, f64::from(*squares) / count);
            mean += one;
            square += two;
            variance += (two - one * one).max(0.0);
            logarithm += libm::log((two - one * one).max(0.0) + LEAST.0);
        }
        let [mean, square, variance, logarithm] =
            [mean, square, variance, logarithm].map(|sum: f64| sum / channels as f64);
        Self {
            mean: mean as f32,
            spread: libm::sqrt((square - mean * mean).max(0.0)) as f32,
            detail: (libm::exp(logarithm) / (variance + LEAST.1)) as f32,
            ..Self::default()
        }
    }

    /// Which figures are beyond `limits`; `stuck` tells that for long enough nothing moved.
    pub(super) fn alarmed(self, limits: &HealthConfig, stuck: bool) -> Self {
        let mut alarms = Alarms::NONE;
        let beyond = |figure: f32, [low, high]: [f32; 2]| !(low..=high).contains(&figure);
        alarms.add(Alarms::MEAN, beyond(self.mean, limits.mean));
        alarms.add(Alarms::SPREAD, beyond(self.spread, limits.spread));
        alarms.add(Alarms::DETAIL, beyond(self.detail, limits.detail));
        alarms.add(Alarms::FROZEN, stuck);
        alarms.add(Alarms::DRIFT, self.drift > limits.drift);
        alarms.add(Alarms::FAR, self.far_share > limits.far);
        Self { alarms, ..self }
    }

    /// Its fields, for a snapshot.
    pub(super) fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        let Self { mean, spread, detail, change, drift, far_share, route_age, alarms } = self;
        for figure in [mean, spread, detail, change, drift, far_share, route_age] {
            fields.floats(core::slice::from_mut(figure))?;
        }
        small(fields, &mut alarms.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec, vec::Vec};

    use super::*;

    #[test]
    fn mean_and_spread_are_those_of_the_values() {
        let values: Vec<f32> = (0..5004).map(|n| if n % 2 == 0 { 3.0 } else { 1.0 }).collect();
        for channels in [1, 2, 3, 4] {
            let Health { mean, spread, .. } = Health::of(&values, &mut vec![0.0; 2 * channels]);
            assert!((mean - 2.0).abs() < 1e-3 && (spread - 1.0).abs() < 1e-3, "{mean} {spread}");
        }
        assert_eq!(Health::of(&[], &mut []).spread, 0.0);
    }

    /// Alike channels are flat, one that rules is not, and a grey picture has no detail at all.
    #[test]
    fn detail_is_how_alike_channels_spread() {
        let detail = |amplitudes: [f32; 4]| {
            let values = (0..64).flat_map(|n| amplitudes.map(|a| if n % 2 == 0 { a } else { -a }));
            Health::of(&values.collect::<Vec<_>>(), &mut [0.0; 8]).detail
        };
        assert!(detail([1.0; 4]) > 0.99 && detail([0.3; 4]) > 0.97, "{} {}", detail([1.0; 4]), detail([0.3; 4]));
        assert!((0.3..0.5).contains(&detail([2.0, 1.0, 0.5, 0.25])));
        assert!(detail([1.0, 0.01, 0.01, 0.01]) < 0.01 && detail([0.0; 4]) < 0.02);
    }

    #[test]
    fn figures_beyond_their_limits_alarm() {
        let limits = HealthConfig { mean: [-0.5, 0.5], detail: [0.2, 0.9], drift: 0.4, far: 0.8, ..Default::default() };
        let well = Health { spread: 1.0, detail: 0.5, drift: 0.4, far_share: 0.8, ..Health::default() };
        assert_eq!(well.alarmed(&limits, false), well);
        let ill = Health { mean: 0.6, spread: f32::NAN, detail: 0.95, drift: 0.5, far_share: 0.9, ..well };
        let alarms = ill.alarmed(&limits, true).alarms;
        assert_eq!(alarms.bits(), 63);
        assert_eq!(format!("{alarms}; {}", Alarms::NONE), "mean, spread, detail, frozen, drift, far; none");
        assert!(alarms.contains(Alarms::FAR) && !Alarms::MEAN.contains(Alarms::FAR));
    }
}
