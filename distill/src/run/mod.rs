//! A run from its recipe to a model file.

pub mod bench;
pub mod export;
pub mod folder;
mod landing;
pub mod pipeline;
pub mod preset;
pub mod recipe;
