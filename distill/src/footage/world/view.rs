//! What a frame shows, and what a sample of it sees.

use super::colour::{Colour, Light};
use super::player::Pose;

/// All that one frame shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The camera.
    pub pose: Pose,
    /// The condition of light before the switch that is fading, if one is.
    pub from: Light,
    /// The condition in force.
    pub light: Light,
    /// How much of `light` has come, 0 to 1.
    pub fade: f32,
    /// Phase of the flames, 0 to 3.
    pub phase: u8,
    /// Colours of the banners, one digit of base 6 each, the first banner's lowest.
    pub banners: u32,
    /// Which switches are on, one bit each.
    pub on: u32,
    /// How far the switch ahead has come since a hand was laid on it, 0 to 1.
    pub change: f32,
}

/// What a sample saw: paint, distance, whether it shines by itself, and whether a torch warms it.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub paint: Colour,
    pub far: f32,
    pub shines: bool,
    pub warm: bool,
    /// Height above the horizon, 0 to 1, and bearing, where it is the sky.
    pub sky: Option<(f32, i32)>,
}

impl Seen {
    pub fn plain(paint: Colour, far: f32) -> Self {
        Self { paint, far, shines: false, warm: false, sky: None }
    }
}

/// Scatters four numbers over 32 bits.
pub(super) fn hash(of: [i32; 4]) -> u32 {
    const BY: [u32; 4] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F];
    let mut h = of.iter().zip(BY).fold(0, |h, (&n, by)| h ^ (n as u32).wrapping_mul(by));
    h ^= h >> 15;
    h = h.wrapping_mul(0x2C1B_3C6D);
    h ^ (h >> 13)
}
