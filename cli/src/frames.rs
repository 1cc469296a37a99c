//! Tensors and pictures as files: what `decode`, `encode` and `generate` read and write.

use std::path::Path;

use causeway_runtime::import::Checkpoint;

use crate::error::Error;

/// A tensor: shape and values.
pub type Tensor = (Vec<usize>, Vec<f32>);

/// Reads the tensor `name` of a safetensors file, which must have `rank` dimensions of at least 1.
///
/// # Errors
/// The file cannot be read, the tensor is not there or has another rank.
pub fn tensor(path: &Path, name: &str, rank: usize) -> Result<Tensor, Error> {
    let file = Checkpoint::open(path).map_err(Error::import(path))?;
    let refuse = |what: String| Error::Usage(format!("{}: {what}", path.display()));
    let entry = file.entries().iter().find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| refuse(format!("there is no tensor `{name}`")))?;
    if entry.shape.len() != rank || entry.shape.contains(&0) {
        return Err(refuse(format!("`{name}` is {:?}, expected {rank} dimensions, none of them 0", entry.shape)));
    }
    Ok((entry.shape.clone(), file.read_all(entry).map_err(Error::import(path))?))
}

/// RGB frames in 0..=1, [n, 3, height, width], as RGBA8, rounded as the session's pictures are.
pub fn rgba(frame: &[f32]) -> Vec<u8> {
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
    let area = frame.len() / 3;
    (0..area).flat_map(|at| [byte(frame[at]), byte(frame[area + at]), byte(frame[2 * area + at]), 255]).collect()
}

/// An RGBA8 picture as an RGB frame in 0..=1, [3, height, width].
pub fn planar(rgba: &[u8]) -> Vec<f32> {
    let colour = |c: usize| rgba.chunks_exact(4).map(move |pixel| f32::from(pixel[c]) / 255.0);
    (0..3).flat_map(colour).collect()
}
