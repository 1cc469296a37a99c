//! Tables of conditions: what a network makes of each noise level, which depends on nothing else and so is computed once.
//!
//! cond = fc2(SiLU(fc1(e))) with e = sqrt(2) [sin(s f_i) | cos(s f_i)], f_i = 10000^(-i/(half - 1)), s = 1000 sigma; a layer's vectors are
//! W SiLU(cond + bias). The release feeds sigma rounded to bf16, so that is what is computed here.

use half::bf16;

use crate::import::{Checkpoint, Entry, ImportError};

/// Rows of a matrix that are held at a time.
const BATCH: usize = 256;

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// The embedding of a timestep, of `width` numbers.
pub fn embedding(timestep: f32, width: usize) -> Vec<f64> {
    let level = 1000.0 * f64::from(bf16::from_f32(timestep / 1000.0).to_f32());
    let half = width / 2;
    let angle = |i: usize| level * 10_000f64.powf(-(i as f64) / (half.max(2) - 1) as f64);
    let sines = (0..half).map(|i| angle(i).sin());
    sines.chain((0..half).map(|i| angle(i).cos())).map(|x| x * 2f64.sqrt()).collect()
}

/// The product of a matrix with each of `vectors`.
fn product(checkpoint: &Checkpoint, matrix: &Entry, vectors: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, ImportError> {
    let (rows, inputs) = (matrix.shape[0], matrix.shape[1]);
    let mut products = vec![Vec::with_capacity(rows); vectors.len()];
    for first in (0..rows).step_by(BATCH) {
        let batch = checkpoint.read_rows(matrix, first..rows.min(first + BATCH))?;
        for (vector, product) in vectors.iter().zip(&mut products) {
            let row = |row: &[f32]| row.iter().zip(vector).map(|(&w, x)| f64::from(w) * x).sum::<f64>();
            product.extend(batch.chunks_exact(inputs).map(row));
        }
    }
    Ok(products)
}

fn activated(vectors: &[Vec<f64>], bias: &[f32]) -> Vec<Vec<f64>> {
    let bias = |at: usize| bias.get(at).map_or(0.0, |&bias| f64::from(bias));
    vectors.iter().map(|vector| vector.iter().enumerate().map(|(at, x)| silu(x + bias(at))).collect()).collect()
}

/// The embeddings of all levels, after the two matrices that make conditions of them.
///
/// # Errors
/// As [`Checkpoint::read`].
pub fn embedded(
    checkpoint: &Checkpoint,
    levels: &[f32],
    [up, down]: [&Entry; 2],
) -> Result<Vec<Vec<f64>>, ImportError> {
    let embeddings: Vec<_> = levels.iter().map(|&level| embedding(level, up.shape[1])).collect();
    let hidden = product(checkpoint, up, &embeddings)?;
    product(checkpoint, down, &activated(&hidden, &[]))
}

/// The table [levels, vectors, dim] of what these matrices, each with its bias, make of the embeddings. A matrix may make several vectors.
///
/// # Errors
/// As [`Checkpoint::read`].
pub fn table(
    checkpoint: &Checkpoint,
    embedded: &[Vec<f64>],
    matrices: &[(&Entry, Vec<f32>)],
) -> Result<Vec<f32>, ImportError> {
    let mut rows = vec![Vec::new(); embedded.len()];
    for (matrix, bias) in matrices {
        let vectors = product(checkpoint, matrix, &activated(embedded, bias))?;
        rows.iter_mut().zip(vectors).for_each(|(row, vector)| row.extend(vector.iter().map(|&x| x as f32)));
    }
    Ok(rows.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_rounded_as_the_release_feeds_them() {
        // 0.9 is 0.8984375 in bf16, and the first frequency is 1.
        let e = embedding(900.0, 512);
        assert_eq!(e[0], 898.4375f64.sin() * 2f64.sqrt());
        assert_eq!(e[256], 898.4375f64.cos() * 2f64.sqrt());
        assert!((e[511] - (898.4375f64 * 1e-4).cos() * 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(embedding(0.0, 4), [0.0, 0.0, 2f64.sqrt(), 2f64.sqrt()]);
    }
}
