//! Reads tensors whose values do not follow each other in the file: transposed, channels last, cut out of others, expanded.

use std::fs::File;
use std::path::Path;

use super::entry::{Entry, bytes_at};
use crate::import::ImportError;

/// Values gathered at a time; bounds the memory.
const BATCH: usize = 1 << 16;
/// Bytes that are rather read for nothing than skipped with another call.
const GAP: u64 = 4096;
/// Most bytes read by one call.
const MOST: u64 = 1 << 20;

/// Reads values `start..start + out.len()` of a tensor that lies in the file with `strides`, all of it within.
///
/// # Errors
/// `Io`.
pub fn read(
    (file, path): (&File, &Path),
    entry: &Entry,
    strides: &[usize],
    start: usize,
    out: &mut [f32],
) -> Result<(), ImportError> {
    let width = entry.encoding.block().map_or(1, |(_, bytes)| bytes);
    let mut batch: Vec<(u64, usize)> = Vec::with_capacity(BATCH.min(out.len()));
    for (part, out) in out.chunks_mut(BATCH).enumerate() {
        batch.clear();
        places(&entry.shape, strides, start + part * BATCH, out.len(), &mut batch);
        // In the order of the file, so that it is read forwards and neighbours together.
        batch.sort_unstable();
        let mut rest = batch.as_slice();
        while let Some(&(first, _)) = rest.first() {
            let byte = |place: u64| (place - first) * width as u64;
            let apart = |pair: &[(u64, usize)]| byte(pair[1].0) - byte(pair[0].0) > GAP || byte(pair[1].0) >= MOST;
            let count = rest.windows(2).position(apart).map_or(rest.len(), |at| at + 1);
            let (run, after) = rest.split_at(count);
            let length = byte(run[count - 1].0) as usize + width;
            let raw = bytes_at(file, path, entry.offset + first * width as u64, length)?;
            for &(place, to) in run {
                let at = byte(place) as usize;
                entry.encoding.decode(&raw[at..at + width], &mut out[to..=to]);
            }
            rest = after;
        }
    }
    Ok(())
}

/// Where `count` values from `start` on lie, in values from the tensor's first, each with its number counted from `start`.
fn places(shape: &[usize], strides: &[usize], start: usize, count: usize, out: &mut Vec<(u64, usize)>) {
    let (mut at, mut rest) = (vec![0; shape.len()], start);
    for (at, &size) in at.iter_mut().zip(shape).rev() {
        (*at, rest) = (rest % size, rest / size);
    }
    let mut place: usize = at.iter().zip(strides).map(|(at, stride)| at * stride).sum();
    for value in 0..count {
        out.push((place as u64, value));
        // The next place: one further in the last dimension, with carries.
        for ((at, &size), &stride) in at.iter_mut().zip(shape).zip(strides).rev() {
            *at += 1;
            place += stride;
            if *at < size {
                break;
            }
            place -= size * stride;
            *at = 0;
        }
    }
}
