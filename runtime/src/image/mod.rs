//! A picture to features, which games take as the context of all that they show (spec 2.13).

mod encoder;
mod resize;

pub use encoder::ImageEncoder;
pub use resize::bicubic;
