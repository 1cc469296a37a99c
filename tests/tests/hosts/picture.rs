//! What a host saved of its window.

use std::{fs, path::Path};

/// The picture, a PNG, shows `frame` in its middle, as large as fits, every pixel a square.
pub fn shown(picture: &Path, frame: &[u8]) {
    let file = std::io::BufReader::new(fs::File::open(picture).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height, channels) = (info.width as usize, info.height as usize, info.color_type.samples());
    // The demo world's pictures are square, the window is wider than high.
    let side = (frame.len() / 4).isqrt();
    let scale = height as f32 / side as f32;
    let left = (width - height) / 2;
    for (at, pixel) in frame.as_chunks::<4>().0.iter().enumerate() {
        let middle = |n: usize| ((n as f32 + 0.5) * scale) as usize;
        let (x, y) = (left + middle(at % side), middle(at / side));
        let found = &pixels[channels * (y * width + x)..][..3];
        assert_eq!(found, &pixel[..3], "pixel {x}, {y} of {}", picture.display());
    }
}
