//! Muon's direction: the momentum of a weight matrix with all its singular values brought near one, so that what a gradient shows only
//! faintly is learnt as fast as what it shows most (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

use crate::net::fast::kernels::Kernels;
use crate::net::fast::linalg::View;
use crate::net::weights::Entry;

/// Coefficients of the odd polynomial of one iteration. They bring singular values to somewhere between 0.7 and 1.2, which is as good as 1, in
/// fewer iterations than any that converge.
const POLYNOMIAL: [f32; 3] = [3.4445, -4.775, 2.0315];
/// Iterations.
const ITERATIONS: usize = 5;
/// Root mean square of a step along each matrix, as AdamW's usually is: one learning rate suits both (Liu et al. 2025, arXiv
/// 2502.16982, section 2.2).
const SIZE: f32 = 0.2;

/// Whether Muon moves a tensor: the matrices inside blocks, which map features to features. Embeddings, heads, gains and biases
/// are left to AdamW.
pub fn moves(entry: &Entry) -> bool {
    entry.name.contains("blocks.") && entry.shape.len() == 2
}

/// The direction for a gradient (or momentum) `x` of `rows` x `columns`: about the nearest orthogonal matrix, at the size of a step. Costs
/// 10 (2 s^2 l + s^3) operations, s and l the shorter and the longer side.
pub fn direction(kernels: Kernels, x: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let flip = rows > columns;
    let (short, long) = if flip { (columns, rows) } else { (rows, columns) };
    let norm = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt() as f32;
    let scale = 1.0 / (norm + 1e-7);
    let mut x: Vec<f32> = if flip { transposed(x, columns) } else { x.to_vec() };
    x.iter_mut().for_each(|x| *x *= scale);
    let [a, b, c] = POLYNOMIAL;
    let mut square = vec![0.0; short * short];
    let mut fourth = vec![0.0; short * short];
    for _ in 0..ITERATIONS {
        kernels.product(false, [short, long, short], View(&x, long, 1), View(&x, 1, long), &mut square, short);
        kernels.product(
            false,
            [short, short, short],
            View(&square, short, 1),
            View(&square, 1, short),
            &mut fourth,
            short,
        );
        for (square, fourth) in square.iter_mut().zip(&fourth) {
            *square = b * *square + c * fourth;
        }
        let mut next: Vec<f32> = x.iter().map(|x| a * x).collect();
        kernels.product(true, [short, short, long], View(&square, short, 1), View(&x, long, 1), &mut next, long);
        x = next;
    }
    let size = SIZE * (long as f32).sqrt();
    x.iter_mut().for_each(|x| *x *= size);
    if flip { transposed(&x, rows) } else { x }
}

/// `x`, whose rows have `columns` values, by columns.
fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| x.iter().skip(column).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Every singular value of a direction is near the size of a step, however faint it was, for wide, square and tall matrices.
    #[test]
    fn makes_matrices_orthogonal() {
        let mut rng = Rng::new(1);
        for kernels in [Kernels::F32, Kernels::fastest()] {
            for [rows, columns] in [[24, 40], [32, 32], [64, 20]] {
                // Rows of very different size.
                let x: Vec<f32> = (0..rows * columns).map(|i| rng.normal() * (1.0 + (i / columns) as f32)).collect();
                let y = direction(kernels, &x, [rows, columns]);
                let (short, long) = (rows.min(columns), rows.max(columns));
                let size = SIZE * SIZE * long as f32;
                let at = |i: usize, j: usize| if rows <= columns { y[i * columns + j] } else { y[j * columns + i] };
                let gram = |i: usize, k: usize| (0..long).map(|j| at(i, j) * at(k, j)).sum::<f32>() / size;
                let mean = (0..short).map(|i| gram(i, i)).sum::<f32>() / short as f32;
                assert!((0.5..1.5).contains(&mean), "{rows}x{columns}: {mean}");
                for i in 0..short {
                    for k in 0..i {
                        assert!(gram(i, k).abs() < 0.35, "{rows}x{columns}: {i}, {k}: {}", gram(i, k));
                    }
                }
                // It goes where the gradient goes.
                let along: f32 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
                assert!(along > 0.0);
            }
        }
    }
}
