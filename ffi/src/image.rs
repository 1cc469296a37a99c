//! Frames in the form a host asks for.

use std::sync::LazyLock;

use crate::{
    error::Error,
    types::{
        CW_ERROR_BUFFER_TOO_SMALL, CW_FORMAT_BGRA8, CW_FORMAT_RGB8, CW_FORMAT_RGBA8, CW_IMAGE_FLIP_Y, CW_IMAGE_LINEAR,
        CwImage,
    },
};

/// Linear light, in 8 bits, of every sRGB value.
static LINEAR: LazyLock<[u8; 256]> = LazyLock::new(|| {
    std::array::from_fn(|value| {
        let s = value as f32 / 255.0;
        let linear = if s <= 0.04045 { s / 12.92 } else { ((s + 0.055) / 1.055).powf(2.4) };
        (255.0 * linear).round() as u8
    })
});

/// A checked image of a host's: rows of `row` bytes, `pitch` apart.
pub struct Target {
    pixels: *mut u8,
    format: u32,
    flags: u32,
    row: usize,
    pitch: usize,
    height: usize,
}

impl Target {
    pub fn new(image: &CwImage, width: usize, height: usize) -> Result<Self, Error> {
        let bytes_a_pixel = match image.format {
            CW_FORMAT_RGBA8 | CW_FORMAT_BGRA8 => 4,
            CW_FORMAT_RGB8 => 3,
            format => {
                return Err(Error::argument(format!(
                    "{format} is no pixel format; there are CW_FORMAT_RGBA8, _BGRA8, _RGB8"
                )));
            }
        };
        if image.flags & !(CW_IMAGE_FLIP_Y | CW_IMAGE_LINEAR) != 0 {
            return Err(Error::argument(format!("the image has unknown flags {:#x}", image.flags)));
        }
        if image.pixels.is_null() {
            return Err(Error::argument("the image's `pixels` is NULL"));
        }
        let row = width * bytes_a_pixel;
        let pitch = if image.row_pitch == 0 { row } else { image.row_pitch };
        if pitch < row {
            return Err(Error::argument(format!("the row pitch is {pitch}, a row has {row} bytes")));
        }
        let needed = pitch.checked_mul(height - 1).and_then(|bytes| bytes.checked_add(row));
        if needed.is_none_or(|needed| needed > image.bytes || image.bytes > isize::MAX as usize) {
            let what = format!("the image has {} bytes, {height} rows of {pitch} do not fit", image.bytes);
            return Err(Error::new(CW_ERROR_BUFFER_TOO_SMALL, what));
        }
        Ok(Self { pixels: image.pixels.cast(), format: image.format, flags: image.flags, row, pitch, height })
    }

    /// Writes RGBA8 `pixels` of the picture's size.
    ///
    /// # Safety
    /// The host's memory is writable and as long as it said.
    pub unsafe fn write(&self, pixels: &[u8]) {
        let stride = pixels.len() / self.height;
        for (y, from) in pixels.chunks_exact(stride).enumerate() {
            let at = if self.flags & CW_IMAGE_FLIP_Y == 0 { y } else { self.height - 1 - y };
            // SAFETY: `new` checked that all rows lie within the host's memory.
            let to = unsafe { std::slice::from_raw_parts_mut(self.pixels.add(at * self.pitch), self.row) };
            self.row(from, to);
        }
    }

    fn row(&self, from: &[u8], to: &mut [u8]) {
        let from = from.as_chunks::<4>().0;
        match (self.format, self.flags & CW_IMAGE_LINEAR != 0) {
            (CW_FORMAT_RGBA8, false) => to.copy_from_slice(from.as_flattened()),
            (CW_FORMAT_BGRA8, false) => {
                to.as_chunks_mut().0.iter_mut().zip(from).for_each(|(to, &[r, g, b, a])| *to = [b, g, r, a]);
            }
            (CW_FORMAT_RGB8, false) => {
                to.as_chunks_mut().0.iter_mut().zip(from).for_each(|(to, &[r, g, b, _])| *to = [r, g, b]);
            }
            (format, _) => {
                let table = &*LINEAR;
                let linear = |value: u8| table[usize::from(value)];
                let width = if format == CW_FORMAT_RGB8 { 3 } else { 4 };
                for (to, &[r, g, b, a]) in to.chunks_exact_mut(width).zip(from) {
                    let (r, b) = if format == CW_FORMAT_BGRA8 { (b, r) } else { (r, b) };
                    to[..3].copy_from_slice(&[linear(r), linear(g), linear(b)]);
                    to[3..].fill(a);
                }
            }
        }
    }
}
