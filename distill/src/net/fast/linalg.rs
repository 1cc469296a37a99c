//! Linear layers and norms over rows, each with its gradient; and by their names all else that is computed over rows.

pub use super::activation::{exp, gelu, gelu_back, silu, silu_back, softmax, softmax_back};
use super::lanes::sum;
pub use super::lanes::wide;
pub use super::matrix::{View, product};
pub use super::router::Router;

/// y = x w^T + b for rows of x.
pub fn linear(x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    let out = b.len();
    let (inputs, rows) = (w.len() / out, x.len() / (w.len() / out));
    let mut y = Vec::with_capacity(rows * out);
    for _ in 0..rows {
        y.extend_from_slice(b);
    }
    product(true, [rows, inputs, out], View(x, inputs, 1), View(w, 1, inputs), &mut y, out);
    y
}

/// Gradients of [`linear`]: adds those of w and b, returns that of x if wanted.
pub fn linear_back(x: &[f32], w: &[f32], dy: &[f32], dw: &mut [f32], db: &mut [f32], want_x: bool) -> Vec<f32> {
    let out = db.len();
    let (inputs, rows) = (w.len() / out, dy.len() / out);
    product(true, [out, rows, inputs], View(dy, 1, out), View(x, inputs, 1), dw, inputs);
    column_sums(dy, db);
    if !want_x {
        return Vec::new();
    }
    let mut dx = vec![0.0; rows * inputs];
    product(false, [rows, out, inputs], View(dy, out, 1), View(w, inputs, 1), &mut dx, inputs);
    dx
}

/// Adds all rows of `x` to `sum`.
pub fn column_sums(x: &[f32], sum: &mut [f32]) {
    wide(
        #[inline(always)]
        || {
            for row in x.chunks_exact(sum.len()) {
                for (s, v) in sum.iter_mut().zip(row) {
                    *s += v;
                }
            }
        },
    );
}

/// The mean of all rows of `x`.
pub fn mean_rows(x: &[f32], dim: usize) -> Vec<f32> {
    let mut mean = vec![0.0; dim];
    column_sums(x, &mut mean);
    let rows = (x.len() / dim) as f32;
    mean.iter_mut().for_each(|x| *x /= rows);
    mean
}

/// a += b.
pub fn add(a: &mut [f32], b: &[f32]) {
    wide(
        #[inline(always)]
        || a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
    );
}

/// Rows of x centred and scaled to unit variance; also 1 / deviation of each row.
pub fn layer_norm(x: &[f32], d: usize, eps: f32) -> (Vec<f32>, Vec<f32>) {
    let (mut y, mut scale) = (vec![0.0; x.len()], vec![0.0; x.len() / d]);
    wide(
        #[inline(always)]
        || {
            for ((x, y), scale) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).zip(&mut scale) {
                let mean = sum([x], |[x]| x) / d as f32;
                let variance = sum([x], |[x]| (x - mean) * (x - mean)) / d as f32;
                let r = 1.0 / (variance + eps).sqrt();
                y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * r);
                *scale = r;
            }
        },
    );
    (y, scale)
}

/// Gradient of [`layer_norm`] added to `dx`, from its result `y`, `scale` and the result's gradient `dy`.
pub fn layer_norm_back(y: &[f32], scale: &[f32], dy: &[f32], dx: &mut [f32]) {
    let d = y.len() / scale.len();
    wide(
        #[inline(always)]
        || {
            let rows = y.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)).zip(scale);
            for (((y, dy), dx), r) in rows {
                let mean = sum([dy], |[dy]| dy) / d as f32;
                let along = sum([dy, y], |[dy, y]| dy * y) / d as f32;
                for i in 0..d {
                    dx[i] += r * (dy[i] - mean - y[i] * along);
                }
            }
        },
    );
}

/// Rows of x divided by their root mean square, times `gain`; also the divisor's inverse of each row.
pub fn rms(x: &[f32], gain: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>) {
    let d = gain.len();
    let (mut y, mut scale) = (vec![0.0; x.len()], vec![0.0; x.len() / d]);
    wide(
        #[inline(always)]
        || {
            for ((x, y), scale) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).zip(&mut scale) {
                let r = 1.0 / (sum([x], |[x]| x * x) / d as f32 + eps).sqrt();
                for i in 0..d {
                    y[i] = x[i] * r * gain[i];
                }
                *scale = r;
            }
        },
    );
    (y, scale)
}

/// Gradient of [`rms`]: turns `dy` into that of x in place, adds that of the gain.
pub fn rms_back(x: &[f32], scale: &[f32], gain: &[f32], dy: &mut [f32], dgain: &mut [f32]) {
    let d = gain.len();
    wide(
        #[inline(always)]
        || {
            for ((x, dy), &r) in x.chunks_exact(d).zip(dy.chunks_exact_mut(d)).zip(scale) {
                let along = sum([dy, gain, x], |[dy, gain, x]| dy * gain * x) * r * r * r / d as f32;
                for i in 0..d {
                    dgain[i] += dy[i] * x[i] * r;
                    dy[i] = dy[i] * gain[i] * r - x[i] * along;
                }
            }
        },
    );
}
