//! Rotary positions over (frame, row, column), interleaved pairs (spec 1.5).

use burn::tensor::{Device, Tensor, TensorData};
use causeway_runtime::config::DitConfig;

/// Rotations of the tokens of frames at given positions.
pub struct Rope {
    cos: Tensor<3>,
    sin: Tensor<3>,
    turn: Tensor<2>,
}

impl Rope {
    /// Rotations for the S tokens of each frame of `positions`, in order.
    pub fn new(c: &DitConfig, positions: &[usize], device: &Device) -> Self {
        let angles = angles(c, positions);
        let (n, d) = (angles.len() / c.head_dim(), c.head_dim());
        // Every head turns alike: repeat along the features, so that rotation is one product with no reshape.
        let tile = |f: fn(f32) -> f32| -> Vec<f32> {
            angles.chunks_exact(d).flat_map(|row| row.repeat(c.heads).into_iter().map(f)).collect()
        };
        let table = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [1, n, c.dim]), device);
        let mut turn = vec![0.0; d * d];
        for j in (0..d).step_by(2) {
            turn[(j + 1) * d + j] = -1.0;
            turn[j * d + j + 1] = 1.0;
        }
        let turn = Tensor::from_data(TensorData::new(turn, [d, d]), device);
        Self { cos: table(tile(f32::cos)), sin: table(tile(f32::sin)), turn }
    }

    /// Rotates `x` [B, N, dim].
    pub fn apply(&self, x: Tensor<3>) -> Tensor<3> {
        let [b, n, dim] = x.dims();
        let d = self.turn.dims()[0];
        // (x0, x1) -> (-x1, x0) for all pairs as one small matrix product: far cheaper than strided slices.
        let turned = x.clone().reshape([b * n * dim / d, d]).matmul(self.turn.clone()).reshape([b, n, dim]);
        x * self.cos.clone() + turned * self.sin.clone()
    }
}

/// Angle of every dimension of one head for every token [frames * S, head_dim]; both dims of a pair hold the same.
pub fn angles(c: &DitConfig, positions: &[usize]) -> Vec<f32> {
    let (_, columns) = c.token_grid();
    let dims = c.rope_dims();
    let mut out = Vec::new();
    for &frame in positions {
        for token in 0..c.tokens_per_frame() {
            for (axis, p) in [frame, token / columns, token % columns].into_iter().enumerate() {
                for j in 0..dims[axis] / 2 {
                    let angle = p as f64 * f64::from(c.rope_theta).powf(-2.0 * j as f64 / dims[axis] as f64);
                    out.extend([angle as f32, angle as f32]);
                }
            }
        }
    }
    out
}
