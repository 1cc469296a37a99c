//! How a ring stores keys and values: as they are, in half precision, or as bytes with a scale for each token and head.
//!
//! A *row* is one head of one token. Its words lie together, so that a row is read and written whole:
//!
//! | type | words of a row of d features |
//! |---|---|
//! | f32 | d |
//! | f16 | d / 2, two features a word |
//! | q8 | d / 4, four codes a word, and the scale as an f32: value = code * scale |
//!
//! Last words are filled with zeros.

use half::{
    f16,
    slice::{HalfBitsSliceExt, HalfFloatSliceExt},
};

/// Type of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kv {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats.
    F16,
    /// Signed bytes times a scale for each token and head: the largest magnitude becomes 127.
    Q8,
}

impl Kv {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Q8];

    /// The name used on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8 => "q8",
        }
    }

    /// 32-bit words of a row of `head_dim` features.
    pub const fn row_words(self, head_dim: usize) -> usize {
        match self {
            Self::F32 => head_dim,
            Self::F16 => head_dim.div_ceil(2),
            Self::Q8 => head_dim.div_ceil(4) + 1,
        }
    }

    /// Stores a row. What is NaN or infinite becomes 0; other magnitudes beyond half precision become its largest.
    #[inline(always)]
    pub(crate) fn pack(self, row: &[f32], words: &mut [u32]) {
        match self {
            Self::F32 => words.iter_mut().zip(row).for_each(|(word, &x)| *word = number(x).to_bits()),
            Self::F16 => {
                const MOST: f32 = 65504.0;
                words[row.len() / 2..].fill(0);
                let halves = bytemuck::cast_slice_mut::<u32, u16>(words);
                for (half, &x) in halves.iter_mut().zip(row) {
                    *half = f16::from_f32(number(x).clamp(-MOST, MOST)).to_bits();
                }
            }
            Self::Q8 => {
                /// Adding 1.5 * 2^23 leaves no fraction bits, and the whole number in the low byte.
                const ROUND: f32 = 12_582_912.0;
                let top = row.iter().map(|&x| number(x).abs()).fold(0.0f32, |top, x| if x > top { x } else { top });
                let inverse = if top > 0.0 { 127.0 / top } else { 0.0 };
                let Some((scale, codes)) = words.split_last_mut() else { return };
                *scale = (top / 127.0).to_bits();
                if let Some(last) = codes.last_mut() {
                    *last = 0;
                }
                let codes = bytemuck::cast_slice_mut::<u32, i8>(codes);
                for (code, &x) in codes.iter_mut().zip(row) {
                    *code = (number(x) * inverse + ROUND).to_bits() as i8;
                }
            }
        }
    }

    /// Reads a row of `row.len()` features back from its [`Self::row_words`].
    #[inline(always)]
    pub fn unpack(self, words: &[u32], row: &mut [f32]) {
        match self {
            Self::F32 => row.copy_from_slice(bytemuck::cast_slice(words)),
            Self::F16 => {
                let halves: &[f16] = bytemuck::cast_slice::<u32, u16>(words).reinterpret_cast();
                halves[..row.len()].convert_to_f32_slice(row);
            }
            Self::Q8 => {
                let Some((scale, codes)) = words.split_last() else { return };
                let scale = f32::from_bits(*scale);
                for (x, code) in row.iter_mut().zip(bytemuck::cast_slice::<u32, i8>(codes)) {
                    *x = f32::from(*code) * scale;
                }
            }
        }
    }
}

/// A number, 0 for what is none: a ring with a NaN in it would spoil every frame that sees it.
#[inline(always)]
pub(crate) fn number(x: f32) -> f32 {
    if x.is_finite() { x } else { 0.0 }
}

impl core::fmt::Display for Kv {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn rows_come_back() {
        for (kv, error) in [(Kv::F32, 0.0), (Kv::F16, 1e-3), (Kv::Q8, 3.0 / 254.0)] {
            for dim in [1, 2, 6, 7, 32, 128] {
                let row: vec::Vec<f32> = (0..dim).map(|i| ((i * 37 + 11) % 61) as f32 / 10.0 - 3.0).collect();
                let mut words = vec![u32::MAX; kv.row_words(dim)];
                kv.pack(&row, &mut words);
                let mut back = vec![f32::NAN; dim];
                kv.unpack(&words, &mut back);
                for (x, y) in row.iter().zip(&back) {
                    assert!((x - y).abs() <= error, "{kv} of {dim}: {x} came back as {y}");
                }
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        for kv in [Kv::F16, Kv::Q8] {
            let row = [0.0, 1e30, -1e30, 1.0];
            let mut words = vec![0; kv.row_words(4)];
            kv.pack(&row, &mut words);
            let mut back = [f32::NAN; 4];
            kv.unpack(&words, &mut back);
            assert!(back.iter().all(|x| x.is_finite()) && back[0] == 0.0, "{kv}: {back:?}");
            kv.pack(&[0.0; 4], &mut words);
            kv.unpack(&words, &mut back);
            assert_eq!(back, [0.0; 4]);
        }
    }
}
