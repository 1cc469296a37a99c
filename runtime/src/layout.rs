//! Frames between the two orders of their values: planar [C, H, W], as files and hosts have them, and interleaved [H, W, C], as plans do.

/// A frame [C, H, W] as [H, W, C].
pub(crate) fn interleave(planar: &[f32], channels: usize, out: &mut [f32]) {
    let area = planar.len() / channels;
    for (c, plane) in planar.chunks(area).enumerate() {
        for (i, &value) in plane.iter().enumerate() {
            out[i * channels + c] = value;
        }
    }
}

/// A frame [H, W, C] as [C, H, W].
pub(crate) fn planar(interleaved: &[f32], channels: usize, out: &mut [f32]) {
    let area = interleaved.len() / channels;
    for (i, pixel) in interleaved.chunks(channels).enumerate() {
        for (c, &value) in pixel.iter().enumerate() {
            out[c * area + i] = value;
        }
    }
}
