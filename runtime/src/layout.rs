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
pub(crate) fn planar(interleaved: impl Iterator<Item = f32>, channels: usize, out: &mut [f32]) {
    let area = out.len() / channels;
    for (at, value) in interleaved.enumerate() {
        out[at % channels * area + at / channels] = value;
    }
}
