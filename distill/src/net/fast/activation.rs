//! Activations and softmax, each with its gradient.

use super::lanes::{sum, wide};

/// exp by a polynomial the compiler can vectorise; relative error below 2e-7, arguments clamped to +-87.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 87.0);
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_66;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    y * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// 2 sqrt(2 / pi).
pub(super) const A: f32 = 1.595_769;
pub(super) const B: f32 = 0.044_715;

/// GELU(tanh), as x sigmoid(2a).
pub fn gelu(x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    wide(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x / (1.0 + exp(-A * (x + B * x * x * x)));
            }
        },
    );
    y
}

/// Turns the gradient of [`gelu`]'s result into that of x, in place.
pub fn gelu_back(x: &[f32], dy: &mut [f32]) {
    wide(
        #[inline(always)]
        || {
            for (g, &x) in dy.iter_mut().zip(x) {
                let s = 1.0 / (1.0 + exp(-A * (x + B * x * x * x)));
                *g *= s + x * s * (1.0 - s) * A * (1.0 + 3.0 * B * x * x);
            }
        },
    );
}

/// x sigmoid(x).
pub fn silu(x: &[f32]) -> Vec<f32> {
    x.iter().map(|&x| x / (1.0 + exp(-x))).collect()
}

/// Turns the gradient of [`silu`]'s result into that of x, in place.
pub fn silu_back(x: &[f32], dy: &mut [f32]) {
    for (g, &x) in dy.iter_mut().zip(x) {
        let s = 1.0 / (1.0 + exp(-x));
        *g *= s + x * s * (1.0 - s);
    }
}

/// Softmax of `row` in place.
#[inline(always)]
pub fn softmax(row: &mut [f32]) {
    // In lanes, as one after the other they would wait for each other.
    let mut lanes = [f32::MIN; 16];
    let chunks = row.chunks_exact(16);
    let mut top = chunks.remainder().iter().fold(f32::MIN, |top, &x| top.max(x));
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if *lane < x { x } else { *lane };
        }
    }
    for lane in lanes {
        top = top.max(lane);
    }
    for x in row.iter_mut() {
        *x = exp(*x - top);
    }
    let inverse = 1.0 / sum([row], |[x]| x);
    row.iter_mut().for_each(|x| *x *= inverse);
}

/// Turns the gradient `dp` of a softmax's result `p` into that of its input, in place.
#[inline(always)]
pub fn softmax_back(p: &[f32], dp: &mut [f32]) {
    let along = sum([p, dp], |[p, dp]| p * dp);
    dp.iter_mut().zip(p).for_each(|(g, p)| *g = p * (*g - along));
}
