//! The resizing that the tower's training data went through.

use alloc::{vec, vec::Vec};

/// Weight of a sample at so many pixels' distance: Keys' cubic convolution with a = -3/4, as PyTorch's `bicubic` has it.
fn weight(distance: f32) -> f32 {
    const A: f32 = -0.75;
    match distance.abs() {
        d if d <= 1.0 => ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A,
        _ => 0.0,
    }
}

/// For each of `to` pixels the four of `from` that it is made of, those outside being the outermost, and their weights.
fn samples(from: usize, to: usize) -> impl Iterator<Item = [(usize, f32); 4]> {
    let scale = from as f32 / to as f32;
    (0..to).map(move |at| {
        let place = (at as f32 + 0.5) * scale - 0.5;
        let below = libm::floorf(place);
        [-1.0, 0.0, 1.0, 2.0].map(|step| {
            let pixel = (below + step).clamp(0.0, (from - 1) as f32) as usize;
            (pixel, weight(place - below - step))
        })
    })
}

/// Scales planes of `height` x `width` to `side` x `side`, whatever their shape, by cubic convolution over the nearest 4 x 4 pixels: neither
/// smoothed before nor limited to the range of what it is made of.
pub fn bicubic(planes: &[f32], (width, height): (usize, usize), side: usize) -> Vec<f32> {
    let (columns, rows): (Vec<_>, Vec<_>) = (samples(width, side).collect(), samples(height, side).collect());
    let mut out = Vec::new();
    for plane in planes.chunks_exact(width * height) {
        let mut wide = vec![0.0; height * side];
        for (row, to) in plane.chunks_exact(width).zip(wide.chunks_exact_mut(side)) {
            for (to, from) in to.iter_mut().zip(&columns) {
                *to = from.iter().map(|&(x, weight)| weight * row[x]).sum();
            }
        }
        for from in &rows {
            out.extend((0..side).map(|x| from.iter().map(|&(y, weight)| weight * wide[y * side + x]).sum::<f32>()));
        }
    }
    out
}
