//! A host's picture, in its form and size, as a session takes it.

use causeway_ops::memory::reserved;
use causeway_runtime::picture::{mean_of, middle};

use crate::{error::Error, types::*};

/// Longest side.
const MOST: u32 = 16_384;

/// A checked picture of a host's.
pub struct Source<'a> {
    picture: &'a CwPicture,
    /// Bytes of a pixel, and from one row to the next.
    bytes: usize,
    pitch: usize,
}

impl<'a> Source<'a> {
    pub fn new(picture: &'a CwPicture) -> Result<Self, Error> {
        let wrong = |what: String| Err(Error::argument(what));
        let CwPicture { width, height, bytes, .. } = *picture;
        let pixel = match picture.format {
            CW_FORMAT_RGBA8 | CW_FORMAT_BGRA8 => 4,
            CW_FORMAT_RGB8 => 3,
            format => return wrong(format!("{format} is no pixel format; there are CW_FORMAT_RGBA8, _BGRA8, _RGB8")),
        };
        if picture.flags & !CW_IMAGE_FLIP_Y != 0 {
            return wrong(format!("the picture has unknown flags {:#x}", picture.flags));
        }
        if picture.fit > CW_FIT_STRETCH || picture.when > CW_PICTURE_NOW {
            let (fit, when) = (picture.fit, picture.when);
            return wrong(format!(
                "`fit` is {fit} and `when` is {when}; there are CW_FIT_... 0 to 2 and CW_PICTURE_... 0 to 1"
            ));
        }
        if !(1..=MOST).contains(&width) || !(1..=MOST).contains(&height) {
            return wrong(format!("the picture is {width} x {height}, expected sides of 1 to {MOST}"));
        }
        if picture.pixels.is_null() {
            return wrong("the picture's `pixels` is NULL".into());
        }
        let row = width as usize * pixel;
        let pitch = if picture.row_pitch == 0 { row } else { picture.row_pitch };
        if pitch < row {
            return wrong(format!("the row pitch is {pitch}, a row has {row} bytes"));
        }
        let needed = pitch.checked_mul(height as usize - 1).and_then(|bytes| bytes.checked_add(row));
        if needed.is_none_or(|needed| needed > bytes || bytes > isize::MAX as usize) {
            return wrong(format!("the picture has {bytes} bytes, {height} rows of {pitch} do not fit"));
        }
        Ok(Self { picture, bytes: pixel, pitch })
    }

    /// The picture as RGBA8 of the stream's size, all of it opaque.
    ///
    /// # Safety
    /// The host's memory is readable and as long as it said.
    pub unsafe fn read(&self, (width, height): (usize, usize)) -> Result<Vec<u8>, Error> {
        let (w, h) = (self.picture.width as usize, self.picture.height as usize);
        if self.picture.fit == CW_FIT_EXACT && (w, h) != (width, height) {
            let what = format!("the picture is {w} x {h}, the stream's are {width} x {height}; CW_FIT_CROP scales it");
            return Err(Error::argument(what));
        }
        let [left, top, cut_w, cut_h] = match self.picture.fit {
            CW_FIT_CROP => middle((w, h), (width, height)),
            _ => [0, 0, w, h],
        };
        let mut scaled: Vec<u8> = reserved(4 * width * height).map_err(|refused| Error::memory(refused.0))?;
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            // SAFETY: the cut lies within the picture, and by the contract so does the memory.
            let pixel = |x: usize, y: usize| unsafe { self.pixel(left + x, top + y) };
            let [r, g, b] = mean_of(pixel, (cut_w, cut_h), (width, height), (x, y));
            scaled.extend_from_slice(&[r, g, b, 255]);
        }
        Ok(scaled)
    }

    /// The colour at (x, y), which lies within.
    ///
    /// # Safety
    /// As [`Self::read`].
    unsafe fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let CwPicture { flags, format, height, pixels, .. } = *self.picture;
        let y = if flags & CW_IMAGE_FLIP_Y == 0 { y } else { height as usize - 1 - y };
        // SAFETY: `new` checked that all rows lie within the host's memory.
        let [a, g, b] = unsafe { *pixels.cast::<u8>().add(y * self.pitch + x * self.bytes).cast::<[u8; 3]>() };
        if format == CW_FORMAT_BGRA8 { [b, g, a] } else { [a, g, b] }
    }
}
