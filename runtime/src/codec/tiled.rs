//! Decoding a whole video within a memory cap: in tiles that overlap, one after the other, each a stream of its own.
//!
//! A decoder's memory grows with the picture, most of it the frames that its convolutions remember. Where the cap does not hold it for
//! the whole picture, the picture is cut into as few tiles as the exact bytes of their plans allow, and seams are blended over the
//! overlap. The Wan VAE looks at the whole frame in its small first part, which runs on the whole again for each tile. What a tile does
//! not see beyond its edges changes it there; tiles overlap by as much as that, so that none of it shows. TAEHV is small and sees far: its
//! tiles would have to overlap by a third of a picture, so it runs whole.

use alloc::{format, vec::Vec};

use crate::{
    codec::decoder::{Decoder, DecoderFile},
    config::{DecoderNetwork, VaeConfig},
    device::Device,
    model::Tiles,
    session::SessionError,
};

/// What neighbouring tiles share.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seam {
    /// Latents, at least.
    overlap: usize,
    /// The part of it, on either side, that belongs to one tile alone: the edge of the other one shows there.
    margin: f32,
}

impl Seam {
    fn new(vae: &VaeConfig) -> Self {
        let (reach, scale) = (vae.reach(), vae.space_factor());
        let overlap = (2 * reach + 1).div_ceil(scale);
        Self { overlap, margin: reach as f32 / (overlap * scale) as f32 }
    }
}

/// Decodes videos of one size.
pub struct VideoDecoder {
    decoder: Decoder,
    channels: usize,
    rows: Axis,
    columns: Axis,
}

/// How one side of the picture is cut.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    seam: Seam,
    /// Latents of the whole side.
    len: usize,
    /// Latents of a tile.
    tile: usize,
    /// First latents of the tiles.
    starts: Vec<usize>,
}

impl Axis {
    /// A side of `len` latents in `count` tiles.
    fn new(seam: Seam, len: usize, count: usize) -> Self {
        let tile = (len + (count - 1) * seam.overlap).div_ceil(count);
        let starts = (0..count).map(|index| index * (len - tile) / (count - 1).max(1));
        Self { seam, len, tile, starts: starts.collect() }
    }

    /// Whether one tile more leaves tiles of which never more than two meet.
    fn divisible(&self) -> bool {
        let (count, overlap) = (self.starts.len() + 1, self.seam.overlap);
        self.len + (count - 1) * overlap > count * (2 * overlap - 1)
    }

    /// Weights of the pixels of each tile, `scale` a latent. Those of all tiles sum to 1 at every pixel.
    fn weights(&self, scale: usize) -> Vec<Vec<f32>> {
        let ramp = |distance: usize, shared: usize| {
            let (shared, margin) = ((shared * scale) as f32, (shared * scale) as f32 * self.seam.margin);
            ((distance as f32 + 0.5 - margin) / (shared - 2.0 * margin)).clamp(0.0, 1.0)
        };
        let shared = |first: usize| self.starts[first] + self.tile - self.starts[first + 1];
        let tile = |index: usize| {
            let pixels = self.tile * scale;
            let weight = |pixel: usize| {
                let rise = if index == 0 { 1.0 } else { ramp(pixel, shared(index - 1)) };
                let last = index + 1 == self.starts.len();
                rise * if last { 1.0 } else { ramp(pixels - 1 - pixel, shared(index)) }
            };
            (0..pixels).map(weight).collect()
        };
        (0..self.starts.len()).map(tile).collect()
    }
}

impl VideoDecoder {
    /// A decoder of latents of (height, width), whole if the memory cap allows it, else (the Wan VAE only) in the fewest tiles that fit.
    ///
    /// # Errors
    /// [`SessionError::MemoryCap`] with the need of the smallest tile that seams allow; as [`Decoder::new`].
    pub fn new(
        file: &DecoderFile<'_>,
        device: &Device,
        size: (usize, usize),
        memory_cap: Option<usize>,
    ) -> Result<Self, SessionError> {
        let (seam, tiled) = match &file.config().codec {
            DecoderNetwork::Taehv(_) => (Seam::default(), false),
            DecoderNetwork::Vae(vae) => (Seam::new(vae), true),
        };
        let (mut rows, mut columns) = (Axis::new(seam, size.0, 1), Axis::new(seam, size.1, 1));
        loop {
            let corners = rows.starts.iter().flat_map(|&top| columns.starts.iter().map(move |&left| (top, left)));
            let tiles = Tiles { size: (rows.tile, columns.tile), corners: corners.collect() };
            match Decoder::tiled(file, device, size, &tiles, memory_cap) {
                Err(error @ SessionError::MemoryCap { .. }) if tiled => {
                    // The longer side of a tile is cut first: short edges are short seams.
                    let by_rows = rows.divisible() && (rows.tile >= columns.tile || !columns.divisible());
                    let axis = if by_rows { &mut rows } else { &mut columns };
                    if !axis.divisible() {
                        return Err(error);
                    }
                    *axis = Axis::new(seam, axis.len, axis.starts.len() + 1);
                }
                decoder => {
                    let channels = file.config().codec.channels();
                    return Ok(Self { decoder: decoder?, channels, rows, columns });
                }
            }
        }
    }

    /// Tiles of a picture as (rows, columns).
    pub fn tiles(&self) -> (usize, usize) {
        (self.rows.starts.len(), self.columns.starts.len())
    }

    /// Size of a picture in pixels: (width, height).
    pub fn picture(&self) -> (usize, usize) {
        let (width, height) = self.decoder.picture();
        (width / self.columns.tile * self.columns.len, height / self.rows.tile * self.rows.len)
    }

    /// The decoder of a tile.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Decodes normalised latents [F, C, H, W] to RGB frames in 0..=1, [n, 3, height, width], whose bytes are not part of the memory
    /// cap. `watch` is called after each latent of each tile and may end it with an error.
    ///
    /// # Errors
    /// [`SessionError::Size`], those of [`Decoder::decode`] and of `watch`.
    pub fn decode<E: From<SessionError>>(
        &mut self,
        latents: &[f32],
        mut watch: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<f32>, E> {
        let (h, w) = (self.rows.len, self.columns.len);
        let latent = self.channels * h * w;
        if latents.is_empty() || !latents.len().is_multiple_of(latent) {
            let expected = format!("whole latents of {latent}");
            return Err(SessionError::Size { what: "the video", found: latents.len(), expected }.into());
        }
        let (width, height) = self.picture();
        let (tile_width, tile_height) = self.decoder.picture();
        let scale = width / w;
        let (vertical, horizontal) = (self.rows.weights(scale), self.columns.weights(scale));
        let mut frames: Vec<f32> = Vec::new();
        let mut index = 0;
        for (&top, vertical) in self.rows.starts.iter().zip(&vertical) {
            for (&left, horizontal) in self.columns.starts.iter().zip(&horizontal) {
                self.decoder.restart()?;
                let mut made = 0;
                for latent in latents.chunks_exact(latent) {
                    let tile = self.decoder.decode_tile(latent, index)?;
                    let count = tile.len() / tile_width;
                    frames.resize(frames.len().max((made + count / tile_height) * height * width), 0.0);
                    for (at, tile) in tile.chunks_exact(tile_width).enumerate() {
                        let (plane, y) = (made + at / tile_height, at % tile_height);
                        let row = (plane * height + top * scale + y) * width + left * scale;
                        for ((out, value), weight) in frames[row..][..tile_width].iter_mut().zip(tile).zip(horizontal) {
                            *out += vertical[y] * weight * value;
                        }
                    }
                    made += count / tile_height;
                    watch()?;
                }
                index += 1;
            }
        }
        Ok(frames)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn tiles_cover_a_side_and_their_weights_sum_to_one() {
        for seam in [Seam { overlap: 8, margin: 0.4 }, Seam { overlap: 13, margin: 50.0 / 104.0 }] {
            for len in [1, 15, 24, 60, 104, 105] {
                let mut axis = Axis::new(seam, len, 1);
                assert_eq!((axis.tile, &axis.starts), (len, &vec![0]));
                while axis.divisible() {
                    axis = Axis::new(seam, len, axis.starts.len() + 1);
                    assert_eq!(axis.starts.last().unwrap() + axis.tile, len, "{axis:?}");
                    let shared = |pair: &[usize]| pair[0] + axis.tile - pair[1];
                    assert!(axis.starts.windows(2).all(|pair| shared(pair) >= seam.overlap), "{axis:?}");
                    let mut sums = vec![0.0f32; len * 8];
                    for (start, weights) in axis.starts.iter().zip(axis.weights(8)) {
                        weights.iter().enumerate().for_each(|(at, weight)| sums[start * 8 + at] += weight);
                        // What an edge within the picture changes is the other tile's.
                        let outer = (seam.margin * (seam.overlap * 8) as f32) as usize;
                        let (first, last) = (*start == 0, start + axis.tile == len);
                        assert!(first || weights[..outer].iter().all(|weight| *weight == 0.0), "{axis:?}");
                        assert!(
                            last || weights[weights.len() - outer..].iter().all(|weight| *weight == 0.0),
                            "{axis:?}"
                        );
                    }
                    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{axis:?}: {sums:?}");
                }
            }
        }
    }
}
