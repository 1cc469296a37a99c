//! Pictures in files, and pictures made larger for being looked at.

mod exif;
mod file;
mod folder;

pub use file::{Note, is_picture, load};
pub use folder::list;

/// Enlarges a row-major picture of pixels of any kind by a whole factor.
pub fn enlarge<T: Copy>(pixels: &[T], width: usize, factor: usize) -> Vec<T> {
    let rows = pixels.chunks_exact(width);
    rows.flat_map(|row| {
        let wide: Vec<T> = row.iter().flat_map(|&pixel| std::iter::repeat_n(pixel, factor)).collect();
        wide.repeat(factor)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enlarging_repeats_pixels_and_rows() {
        assert_eq!(enlarge(&[1, 2], 2, 2), [1, 1, 2, 2, 1, 1, 2, 2]);
    }
}
