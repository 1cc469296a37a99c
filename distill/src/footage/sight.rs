//! What can be measured in pictures: likeness, crispness, colour.
//!
//! A picture is sRGB bytes [H, W, 3]; W is given where it matters.

/// Mean squared error of two pictures whose values run from 0 to 1.
pub fn mse(a: &[u8], b: &[u8]) -> f64 {
    // In whole numbers: exact, and the loop is a vector loop. A row of squares fits 32 bits.
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    let row = |(a, b): (&[u8], &[u8])| u64::from(a.iter().zip(b).map(|(&a, &b)| square(a, b)).sum::<u32>());
    let sum: u64 = a.chunks(4096).zip(b.chunks(4096)).map(row).sum();
    sum as f64 / (255.0 * 255.0) / a.len().max(1) as f64
}

/// [`mse`] over the pixels where `counted` says so; `None` where it never does.
pub fn masked_mse(a: &[u8], b: &[u8], counted: &[bool]) -> Option<f64> {
    let pick = |picture: &[u8]| -> Vec<u8> {
        picture.chunks_exact(3).zip(counted).filter(|(_, counted)| **counted).flat_map(|(p, _)| p.to_vec()).collect()
    };
    let (a, b) = (pick(a), pick(b));
    (!a.is_empty()).then(|| mse(&a, &b))
}

/// Structural similarity (Wang et al. 2004) of the grey pictures: the mean over all windows of 7 x 7 pixels, every one of which
/// `counted` must name; `None` where there is no such window.
pub fn ssim(a: &[u8], b: &[u8], width: usize, counted: &[bool]) -> Option<f64> {
    const SIDE: usize = 7;
    const N: f64 = (SIDE * SIDE) as f64;
    let (c1, c2) = ((0.01f64 * 255.0).powi(2), (0.03f64 * 255.0).powi(2));
    let (a, b) = (grey(a), grey(b));
    let height = a.len() / width;
    let (mut sum, mut windows) = (0.0, 0usize);
    for y in 0..(height + 1).saturating_sub(SIDE) {
        for x in 0..(width + 1).saturating_sub(SIDE) {
            let rows = (y..y + SIDE).map(|y| y * width + x..y * width + x + SIDE);
            if !rows.clone().flatten().all(|i| counted[i]) {
                continue;
            }
            let [mut ma, mut mb, mut aa, mut bb, mut ab] = [0.0; 5];
            for i in rows.flatten() {
                let (p, q) = (a[i], b[i]);
                ma += p / N;
                mb += q / N;
                aa += p * p / N;
                bb += q * q / N;
                ab += p * q / N;
            }
            // Sample variances, as published.
            let free = N / (N - 1.0);
            let (va, vb, cov) = ((aa - ma * ma) * free, (bb - mb * mb) * free, (ab - ma * mb) * free);
            sum += (2.0 * ma * mb + c1) * (2.0 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
            windows += 1;
        }
    }
    (windows > 0).then(|| sum / windows as f64)
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

/// Finds the picture that is most like a given one.
pub struct Nearest<F> {
    frames: Vec<F>,
    small: Vec<Vec<u8>>,
    width: usize,
}

impl<F: AsRef<[u8]>> Nearest<F> {
    /// Searches among `frames`, pictures of one size, `width` pixels wide.
    pub fn new(frames: Vec<F>, width: usize) -> Self {
        let small = frames.iter().map(|frame| shrink(frame.as_ref(), width)).collect();
        Self { frames, small, width }
    }

    /// Index of the nearest frame and the mean squared error to it; `None` among no frames. The search compares pictures a
    /// quarter as wide and high; the few best are then compared in full.
    pub fn find(&self, picture: &[u8]) -> Option<(usize, f64)> {
        const FULL: usize = 16;
        let small = shrink(picture, self.width);
        let mut order: Vec<(f64, usize)> = self.small.iter().enumerate().map(|(i, s)| (mse(&small, s), i)).collect();
        if order.len() > FULL {
            order.select_nth_unstable_by(FULL, |a, b| a.0.total_cmp(&b.0));
        }
        let full = order.iter().take(FULL).map(|&(_, i)| (i, mse(picture, self.frames[i].as_ref())));
        full.min_by(|a, b| a.1.total_cmp(&b.1))
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
    use crate::footage::world::{Body, KEEP, Key, Light, Size, World, render};

    #[test]
    fn nearest_frame_is_found_among_turned_views() {
        let size = Size { width: 64, height: 64 };
        let mut world = World::new(&KEEP, Body::new((1, 4), 0), Light::Day, 0, [0, 0]);
        let mut turn = |_| {
            world.step(Some(Key::Left), None);
            render(&KEEP, size, world.view())
        };
        let views: Vec<_> = (0..20).map(&mut turn).collect();
        let nearest = Nearest::new(views.iter().collect(), 64);
        let mut picture = views[13].clone();
        picture.iter_mut().for_each(|value| *value = value.saturating_add(3));
        assert_eq!(nearest.find(&picture), Some((13, mse(&picture, &views[13]))));
        assert_eq!(Nearest::<Vec<u8>>::new(Vec::new(), 64).find(&picture), None);
    }

    #[test]
    fn likeness_of_flat_pictures_is_what_its_definition_gives() {
        let flat = |value: u8| vec![value; 16 * 8 * 3];
        let all = [true; 16 * 8];
        assert!((mse(&flat(10), &flat(61)) - 0.04).abs() < 1e-12);
        let c1 = (0.01f64 * 255.0).powi(2);
        let want = (2.0 * 100.0 * 150.0 + c1) / (100.0 * 100.0 + 150.0 * 150.0 + c1);
        assert!((ssim(&flat(100), &flat(150), 16, &all).unwrap() - want).abs() < 1e-9);
        // What is left out does not count, and where all is left out there is no answer.
        let mut half = flat(100);
        half[..16 * 4 * 3].fill(0);
        let lower: Vec<bool> = (0..16 * 8).map(|i| i >= 64).collect();
        assert_eq!(masked_mse(&half, &flat(100), &lower), Some(0.0));
        assert_eq!(masked_mse(&half, &flat(100), &[false; 128]), None);
        assert_eq!(ssim(&half, &flat(100), 16, &lower), None, "no window of seven rows is left");
        let noise: Vec<u8> = (0..16 * 8 * 3).map(|i| (i * 37 % 251) as u8).collect();
        assert!((ssim(&noise, &noise, 16, &all).unwrap() - 1.0).abs() < 1e-9);
    }
}
