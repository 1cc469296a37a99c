//! What can be measured in pictures: likeness, crispness, sideways motion, colour.
//!
//! A picture is sRGB bytes [H, W, 3]; W is given where it matters.

use crate::data;

/// Mean squared error of two pictures whose values run from 0 to 1.
pub fn mse(a: &[u8], b: &[u8]) -> f64 {
    let square = |(&a, &b): (&u8, &u8)| ((f64::from(a) - f64::from(b)) / 255.0).powi(2);
    a.iter().zip(b).map(square).sum::<f64>() / a.len().max(1) as f64
}

/// Mean colour, from 0 to 255.
pub fn mean_colour(picture: &[u8]) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for pixel in picture.chunks_exact(3) {
        sum.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    sum.map(|s| s / (picture.len() / 3).max(1) as f64)
}

fn grey(picture: &[u8]) -> Vec<f64> {
    picture.chunks_exact(3).map(|p| (f64::from(p[0]) + f64::from(p[1]) + f64::from(p[2])) / 3.0).collect()
}

/// Mean length of the grey picture's gradient: how crisp it is.
pub fn sharpness(picture: &[u8], width: usize) -> f64 {
    let grey = grey(picture);
    let (mut sum, mut count) = (0.0, 0usize);
    for y in 0..(grey.len() / width).saturating_sub(1) {
        for x in 0..width - 1 {
            let i = y * width + x;
            sum += (grey[i + 1] - grey[i]).hypot(grey[i + width] - grey[i]);
            count += 1;
        }
    }
    sum / count.max(1) as f64
}

/// How many pixels to the right the picture moved from `before` to `after`: the shift of at most `reach` pixels at which
/// the overlapping parts correlate best.
pub fn shift(before: &[u8], after: &[u8], width: usize, reach: i32) -> i32 {
    let (before, after) = (grey(before), grey(after));
    let likeness = |by: i32| {
        let columns = width - by.unsigned_abs() as usize;
        let (from, to) = ((-by).max(0) as usize, by.max(0) as usize);
        let rows = before.chunks_exact(width).zip(after.chunks_exact(width));
        let pairs = rows.flat_map(|(b, a)| b[from..from + columns].iter().zip(&a[to..to + columns]));
        correlation(pairs.map(|(&b, &a)| (b, a)))
    };
    // Smaller shifts first, so that a picture without texture counts as still.
    let mut candidates: Vec<i32> = (-reach..=reach).collect();
    candidates.sort_by_key(|by| by.abs());
    let mut best = (0, f64::NEG_INFINITY);
    for by in candidates {
        let found = likeness(by);
        if found > best.1 + 1e-9 {
            best = (by, found);
        }
    }
    best.0
}

/// Pearson's correlation; 0 where one side is constant.
fn correlation(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut n, mut a, mut b, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (x, y) in pairs {
        n += 1.0;
        a += x;
        b += y;
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    let spread = (aa - a * a / n) * (bb - b * b / n);
    if spread > 1e-9 { (ab - a * b / n) / spread.sqrt() } else { 0.0 }
}

/// Finds the frame of a recording that is most like a picture.
pub struct Nearest<'a> {
    frames: Vec<&'a [u8]>,
    small: Vec<Vec<u8>>,
    width: usize,
}

impl<'a> Nearest<'a> {
    /// Searches among `frames`, pictures of one size, `width` pixels wide.
    pub fn new(frames: Vec<&'a [u8]>, width: usize) -> Self {
        let small = frames.iter().map(|frame| shrink(frame, width)).collect();
        Self { frames, small, width }
    }

    /// PSNR in dB to the nearest frame. The search compares pictures a quarter as wide and high; the few best are then
    /// compared in full.
    pub fn psnr(&self, picture: &[u8]) -> f64 {
        const FULL: usize = 16;
        let small = shrink(picture, self.width);
        let mut order: Vec<(f64, usize)> = self.small.iter().enumerate().map(|(i, s)| (mse(&small, s), i)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let full = order.iter().take(FULL).map(|&(_, i)| mse(picture, self.frames[i]));
        data::psnr(full.fold(f64::INFINITY, f64::min))
    }
}

/// Means of squares of 4 x 4 pixels.
fn shrink(picture: &[u8], width: usize) -> Vec<u8> {
    const BY: usize = 4;
    let (w, h) = (width / BY, picture.len() / 3 / width / BY);
    let mut out = Vec::with_capacity(w * h * 3);
    for i in 0..w * h * 3 {
        let (c, x, y) = (i % 3, i / 3 % w * BY, i / 3 / w * BY);
        let at = |k: usize| u32::from(picture[((y + k / BY) * width + x + k % BY) * 3 + c]);
        out.push(((0..BY * BY).map(at).sum::<u32>() / (BY * BY) as u32) as u8);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Body, KEEP, Key, Light, Size, World, render};

    #[test]
    fn shift_has_the_sign_and_size_of_a_moved_picture() {
        let noise = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[1];
        let moved = |by: usize| -> Vec<u8> {
            (0..16 * 32 * 3).map(|i| noise(i / 96 * 1000 + (i / 3 % 32 + 40 - by) * 3 + i % 3)).collect()
        };
        assert_eq!(shift(&moved(0), &moved(5), 32, 8), 5);
        assert_eq!(shift(&moved(7), &moved(4), 32, 8), -3);
        assert_eq!(shift(&[90; 16 * 32 * 3], &[90; 16 * 32 * 3], 32, 8), 0);
    }

    #[test]
    fn nearest_frame_is_found_among_turned_views() {
        let size = Size { width: 64, height: 64 };
        let mut world = World::new(&KEEP, Body::new((1, 4), 0), Light::Day, 0, [0, 0]);
        let mut turn = |_| {
            world.step(Some(Key::Left), None);
            render(&KEEP, size, world.view())
        };
        let views: Vec<_> = (0..20).map(&mut turn).collect();
        let nearest = Nearest::new(views.iter().map(|v| v.as_slice()).collect(), 64);
        let mut picture = views[13].clone();
        picture.iter_mut().for_each(|value| *value = value.saturating_add(3));
        let best = views.iter().map(|v| data::psnr(mse(&picture, v))).fold(0.0, f64::max);
        assert!((nearest.psnr(&picture) - best).abs() < 1e-9 && best > 35.0, "{best}");
    }
}
