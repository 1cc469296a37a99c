//! Pictures in memory, RGBA8 rows from the top, and the two ways of changing their size.

use alloc::vec::Vec;

/// The largest part in the middle of a `w` x `h` picture that has the shape of `width` x `height`: left, top, width and height of it.
pub fn middle((w, h): (usize, usize), (width, height): (usize, usize)) -> [usize; 4] {
    let (cut_w, cut_h) =
        if w * height > h * width { ((h * width / height).max(1), h) } else { (w, (w * height / width).max(1)) };
    [(w - cut_w) / 2, (h - cut_h) / 2, cut_w, cut_h]
}

/// Cuts the middle of the right shape out of a picture and scales it.
pub fn fit(rgba: &[u8], (w, h): (usize, usize), size: (usize, usize)) -> Vec<u8> {
    let [left, top, cut_w, cut_h] = middle((w, h), size);
    let cut: Vec<u8> = (top..top + cut_h).flat_map(|y| &rgba[4 * (y * w + left)..][..4 * cut_w]).copied().collect();
    scale(&cut, (cut_w, cut_h), size)
}

/// Scales RGBA8 to another size: each pixel is the mean of what it covers, or a copy where it covers less than one.
pub fn scale(rgba: &[u8], (w, h): (usize, usize), (width, height): (usize, usize)) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 * width * height);
    for y in 0..height {
        for x in 0..width {
            let [r, g, b] = mean(rgba, (w, h), (width, height), (x, y));
            out.extend_from_slice(&[r, g, b, 255]);
        }
    }
    out
}

/// The colour of pixel (x, y) of a picture scaled from `w` x `h` to `width` x `height`.
pub fn mean(rgba: &[u8], (w, h): (usize, usize), size: (usize, usize), at: (usize, usize)) -> [u8; 3] {
    mean_of(|x, y| rgba[4 * (y * w + x)..].first_chunk().map_or([0; 3], |&[r, g, b]| [r, g, b]), (w, h), size, at)
}

/// As [`mean`], of a picture whose colour at (x, y) is `pixel`.
pub fn mean_of(
    pixel: impl Fn(usize, usize) -> [u8; 3],
    (w, h): (usize, usize),
    (width, height): (usize, usize),
    (x, y): (usize, usize),
) -> [u8; 3] {
    let span = |at: usize, from: usize, to: usize| {
        let first = at * from / to;
        first..((at + 1) * from / to).max(first + 1).min(from)
    };
    let (rows, columns) = (span(y, h, height), span(x, w, width));
    let count = (rows.len() * columns.len()).max(1) as u32;
    let mut sum = [0u32; 3];
    for row in rows {
        for column in columns.clone() {
            for (sum, value) in sum.iter_mut().zip(pixel(column, row)) {
                *sum += u32::from(value);
            }
        }
    }
    sum.map(|sum| ((sum + count / 2) / count) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_takes_means_and_copies() {
        let rgba = [0, 0, 0, 9, 100, 200, 40, 9];
        assert_eq!(scale(&rgba, (2, 1), (1, 1)), [50, 100, 20, 255]);
        assert_eq!(scale(&rgba[4..], (1, 1), (2, 1)), [100, 200, 40, 255, 100, 200, 40, 255]);
    }

    #[test]
    fn the_middle_is_cut_out() {
        let wide: Vec<u8> = [10, 20, 30, 40].iter().flat_map(|&v| [v, v, v, 255]).collect();
        assert_eq!(fit(&wide, (4, 1), (2, 1)).iter().step_by(4).copied().collect::<Vec<_>>(), [20, 30]);
        assert_eq!(fit(&wide, (1, 4), (1, 1))[0], 20);
        assert_eq!(middle((1920, 1080), (64, 64)), [420, 0, 1080, 1080]);
    }
}
