//! Latents to pictures and back, for whole videos: streams through a codec's plan.

pub mod decoder;
pub mod encoder;
mod tiled;

pub use tiled::VideoDecoder;
