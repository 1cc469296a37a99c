//! How a stream is: figures of its newest chunk.

use super::{error::SessionError, fields::Fields};

/// Values that are summed in single precision.
const RUN: usize = 1024;

/// How a chunk's latents are, in standard deviations of what the model file states.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Health {
    /// Their mean: near 0 while all is well.
    pub mean: f32,
    /// Their standard deviation: near 1 while all is well.
    pub spread: f32,
}

impl Health {
    /// Of normalised latents, in any order.
    pub(super) fn of(latents: &[f32]) -> Self {
        let (mut sum, mut squares) = (0.0, 0.0);
        for run in latents.chunks(RUN) {
            // Lanes of their own, so that a pump has time for hundreds of thousands of values.
            let (mut sums, mut products) = ([0.0f32; 8], [0.0f32; 8]);
            let (whole, rest) = run.as_chunks::<8>();
            for values in whole {
                for lane in 0..8 {
                    sums[lane] += values[lane];
                    products[lane] += values[lane] * values[lane];
                }
            }
            let (one, two) = (rest.iter().sum::<f32>(), rest.iter().map(|x| x * x).sum::<f32>());
            sum += f64::from(sums.iter().sum::<f32>() + one);
            squares += f64::from(products.iter().sum::<f32>() + two);
        }
        let count = latents.len().max(1) as f64;
        let mean = sum / count;
        Self { mean: mean as f32, spread: libm::sqrt((squares / count - mean * mean).max(0.0)) as f32 }
    }

    /// Its fields, for a snapshot.
    pub(super) fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        [&mut self.mean, &mut self.spread]
            .into_iter()
            .try_for_each(|figure| fields.floats(core::slice::from_mut(figure)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_spread_are_those_of_the_values() {
        let values: Vec<f32> = (0..5003).map(|n| if n % 2 == 0 { 3.0 } else { 1.0 }).collect();
        let Health { mean, spread } = Health::of(&values);
        assert!((mean - 2.0).abs() < 1e-3 && (spread - 1.0).abs() < 1e-3, "{mean} {spread}");
        assert_eq!(Health::of(&[]), Health::default());
    }
}
