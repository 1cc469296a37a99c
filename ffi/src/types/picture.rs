//! Pictures that a host gives.

use core::ffi::c_void;

/// `CwPicture.fit`: another size than the stream's is `CW_ERROR_ARGUMENT`.
pub const CW_FIT_EXACT: u32 = 0;
/// `CwPicture.fit`: the largest part in the middle that has the stream's shape, scaled.
pub const CW_FIT_CROP: u32 = 1;
/// `CwPicture.fit`: all of it, scaled.
pub const CW_FIT_STRETCH: u32 = 2;

/// `CwPicture.when`: what the stream starts from, from the next `cw_session_reset` on.
pub const CW_PICTURE_START: u32 = 0;
/// `CwPicture.when`: the newest frame, before the next chunk. It is encoded, shown and committed as a chunk is, with no action, and cannot be
/// dropped once begun; the history stays. For models of which a latent frame is one picture.
pub const CW_PICTURE_NOW: u32 = 1;

/// A picture of the host's, 8-bit sRGB.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwPicture {
    /// Set to sizeof(CwPicture).
    pub struct_size: u32,
    /// `CW_FORMAT_...`; opacity is ignored.
    pub format: u32,
    /// 0 or `CW_IMAGE_FLIP_Y`.
    pub flags: u32,
    /// `CW_FIT_...`.
    pub fit: u32,
    /// Width in pixels, 1 to 16384.
    pub width: u32,
    /// Height in pixels, 1 to 16384.
    pub height: u32,
    /// Bytes from one row to the next; 0 for rows without padding.
    pub row_pitch: usize,
    /// The pixels. Copied.
    pub pixels: *const c_void,
    /// Bytes of `pixels`.
    pub bytes: usize,
    /// `CW_PICTURE_...`.
    pub when: u32,
    /// Latent frames that it fills, with `CW_PICTURE_NOW`; 0 for 1.
    pub repeat: u32,
}
