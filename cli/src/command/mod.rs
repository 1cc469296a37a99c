//! The commands, a file each: their options, and what they do.

pub mod bench;
pub mod bundle;
pub mod convert;
pub mod decode;
pub mod doctor;
#[cfg(feature = "text")]
pub mod embed;
pub mod embed_image;
pub mod encode;
pub mod generate;
pub mod info;
pub mod plan;
pub mod play;
pub mod quantize;
pub mod rollout;
pub mod selftest;
#[cfg(feature = "window")]
pub mod window;
