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

/// Reads the tensor `frames` [N, 3, H, W] of a safetensors file: floats in 0 to 1, or bytes.
///
/// # Errors
/// As [`tensor()`]; values that are of another range, which is named as far as it can be known.
pub fn pictures(path: &Path) -> Result<Tensor, Error> {
    let file = Checkpoint::open(path).map_err(Error::import(path))?;
    let refuse = |what: String| Error::Usage(format!("{}: {what}", path.display()));
    let entry = file.entries().iter().find(|entry| entry.name == "frames");
    let entry = entry.ok_or_else(|| refuse("there is no tensor `frames`".to_owned()))?;
    if entry.shape.len() != 4 || entry.shape[1] != 3 || entry.shape.contains(&0) {
        let last = entry.shape.len() == 4 && entry.shape[3] == 3;
        let hint = if last { "; its colours come last: permute it" } else { "" };
        return Err(refuse(format!("`frames` is {:?}, expected [N, 3, H, W]{hint}", entry.shape)));
    }
    // Bytes say by themselves that they run from 0 to 255.
    if entry.is_bytes() {
        let values = file.integers(entry).map_err(Error::import(path))?;
        return Ok((entry.shape.clone(), values.into_iter().map(|value| value as f32 / 255.0).collect()));
    }
    let values = file.read_all(entry).map_err(Error::import(path))?;
    in_range(&values).map_err(refuse)?;
    Ok((entry.shape.clone(), values))
}

/// Refuses pictures that are not in 0 to 1. Half a step of 8 bits beyond it is rounding.
fn in_range(values: &[f32]) -> Result<(), String> {
    const ROUNDING: f32 = 0.5 / 255.0;
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(format!("value {at} of `frames` is {}, expected a number", values[at]));
    }
    let (low, high) =
        values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    if low >= -ROUNDING && high <= 1.0 + ROUNDING {
        return Ok(());
    }
    let hint = if (-1.1..-ROUNDING).contains(&low) && high <= 1.1 {
        "; it looks like -1 to 1: add 1 and halve it"
    } else if low >= -0.5 && high > 2.0 && high <= 255.5 {
        "; it looks like 0 to 255: divide it by 255, or store it as U8"
    } else {
        ""
    };
    Err(format!("`frames` runs from {low} to {high}, expected 0 to 1{hint}"))
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

#[cfg(test)]
mod tests {
    use super::in_range;

    #[test]
    fn ranges_are_known_or_refused() {
        for good in [&[0.0, 1.0][..], &[-0.001, 1.001], &[0.5], &[]] {
            in_range(good).unwrap();
        }
        for (bad, hint) in [
            (&[-1.0, 1.0][..], "add 1 and halve"),
            (&[-0.3, 0.2], "add 1 and halve"),
            (&[0.0, 255.0], "divide it by 255"),
            (&[0.2, 7.0], "divide it by 255"),
            (&[0.0, 1.3], "from 0 to 1.3, expected 0 to 1"),
            (&[-128.0, 127.0], "from -128 to 127, expected 0 to 1"),
            (&[0.0, 65535.0], "from 0 to 65535, expected 0 to 1"),
            (&[0.5, f32::NAN], "value 1 of `frames` is NaN"),
            (&[f32::INFINITY], "value 0 of `frames` is inf"),
        ] {
            let error = in_range(bad).unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
    }
}
