//! Files that commands read and write: models of any kind, pictures, tensors, recordings.

pub mod frames;
#[cfg(test)]
pub mod fuzz;
pub mod image;
pub mod network;
pub mod picture;
pub mod record;
pub mod temporary;
pub mod tensors;
#[cfg(feature = "text")]
pub mod tokenizer;
