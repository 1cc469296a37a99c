//! Weight tensors as they lie in a model file: plain (`F32`, `F16`) or in blocks of 32 weights that share one `F16`
//! scale (`Q8`, `Q4`).
//!
//! The planar layout (codes in one array, scales in another) is the one of `docs/model-file.md`, so what a file holds is
//! used as it is. Bytes are little-endian and are read without assuming alignment.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::stored::{Bytes, PIECE, ReadError};

/// Weights that share one scale.
pub const BLOCK: usize = 32;

/// How the values of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// IEEE single precision, 4 bytes a value.
    F32,
    /// IEEE half precision, 2 bytes a value.
    F16,
    /// Signed bytes times a scale for each [`BLOCK`]: value = code * scale.
    Q8,
    /// Nibbles times a scale for each [`BLOCK`]: value = (code - 8) * scale, even positions in the low nibble.
    Q4,
}

impl DType {
    /// The name used on the command line and in listings.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::Q8 => "q8",
            DType::Q4 => "q4",
        }
    }

    /// Whether values come in blocks with scales.
    pub const fn is_quantised(self) -> bool {
        matches!(self, DType::Q8 | DType::Q4)
    }

    /// Exact bytes of the value (or code) array for `count` values; `None` where it overflows, or where a quantised
    /// count is not whole blocks.
    pub const fn data_bytes(self, count: usize) -> Option<usize> {
        match self {
            DType::F32 => count.checked_mul(4),
            DType::F16 => count.checked_mul(2),
            DType::Q8 if count.is_multiple_of(BLOCK) => Some(count),
            DType::Q4 if count.is_multiple_of(BLOCK) => Some(count / 2),
            DType::Q8 | DType::Q4 => None,
        }
    }

    /// Exact bytes of the scale array for `count` values: 2 a block, 0 for plain types.
    pub const fn scale_bytes(self, count: usize) -> usize {
        if self.is_quantised() { count / BLOCK * 2 } else { 0 }
    }
}

impl core::fmt::Display for DType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where backends find weights by name.
pub trait WeightSource {
    /// The tensor called `name`, or `None` where there is none. Quantised tensors come with their scales.
    fn tensor(&self, name: &str) -> Option<TensorView<'_>>;

    /// Visits what, together, tells these weights from all others while it is held, where the same tensors will be found under it: a device
    /// that has prepared them need not do so again. Nothing where there is no telling.
    fn handles(&self, visit: &mut dyn FnMut(&Arc<()>)) {
        let _ = visit;
    }
}

/// One weight tensor: what it is, and where its bytes are.
///
/// `shape` is the logical one ([out, in] also for `Q4`, whose `data` are [out, in / 2] bytes). Row `r` of a tensor is
/// what belongs to index `r` of its first dimension; a vector is a single row.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// How `data` encode the values.
    pub dtype: DType,
    /// Logical dimensions, outermost first.
    pub shape: &'a [usize],
    /// Values or codes, little-endian, [`DType::data_bytes`] long.
    pub data: Bytes<'a>,
    /// `F16` scales, one a [`BLOCK`] in the order of the codes; present exactly where the type is quantised.
    pub scales: Option<Bytes<'a>>,
}

impl<'a> TensorView<'a> {
    /// A tensor in memory.
    pub fn here(dtype: DType, shape: &'a [usize], data: &'a [u8], scales: Option<&'a [u8]>) -> Self {
        Self { dtype, shape, data: Bytes::Here(data), scales: scales.map(Bytes::Here) }
    }

    /// Values in the tensor.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows: the first dimension, or 1 for a vector.
    pub fn rows(&self) -> usize {
        if self.shape.len() > 1 { self.shape[0] } else { 1 }
    }

    /// Values in one row.
    pub fn cols(&self) -> usize {
        if self.shape.len() > 1 { self.shape[1..].iter().product() } else { self.len() }
    }

    /// Bytes of values and scales together.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.scales.map_or(0, |scales| scales.len())
    }

    /// Gives all rows to `take`, one after the other with the number of each.
    ///
    /// # Errors
    /// Bytes that cannot be read.
    ///
    /// # Panics
    /// If the byte counts do not fit the shape (views made by the model file reader always do), or if `take` does.
    pub fn each_row(&self, take: impl FnMut(usize, Row<'_>)) -> Result<(), ReadError> {
        self.some_rows(0..self.rows(), take)
    }

    /// Decodes row `row` into `out`.
    ///
    /// # Errors
    /// Bytes that cannot be read.
    ///
    /// # Panics
    /// If `row >= rows()`, if `out.len() != cols()`, or if the byte counts do not fit the shape.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<(), ReadError> {
        self.some_rows(row..row + 1, |_, row| row.decode(out))
    }

    /// Decodes the whole tensor, row after row.
    ///
    /// # Errors
    /// Bytes that cannot be read.
    pub fn to_f32(&self) -> Result<Vec<f32>, ReadError> {
        let (mut out, cols) = (vec![0.0; self.len()], self.cols());
        if !out.is_empty() {
            self.each_row(|at, row| row.decode(&mut out[at * cols..][..cols]))?;
        }
        Ok(out)
    }

    /// As [`each_row`](Self::each_row), only rows `rows`; as many are read at once as make a piece, at least one.
    ///
    /// # Errors
    /// Bytes that cannot be read.
    ///
    /// # Panics
    /// As [`each_row`](Self::each_row), or for rows that there are not.
    pub fn some_rows(&self, rows: Range<usize>, mut take: impl FnMut(usize, Row<'_>)) -> Result<(), ReadError> {
        let (mut data, mut scales) = (Vec::new(), Vec::new());
        let bytes = |value: usize| self.dtype.data_bytes(value).unwrap_or_default();
        let scale = |value: usize| self.dtype.scale_bytes(value);
        let cols = self.cols();
        let at_once = (PIECE / bytes(cols).max(1)).max(1);
        for first in rows.clone().step_by(at_once) {
            let end = rows.end.min(first + at_once);
            let codes = self.data.read(bytes(first * cols)..bytes(end * cols), &mut data)?;
            let scales = match &self.scales {
                Some(bytes) => bytes.read(scale(first * cols)..scale(end * cols), &mut scales)?,
                None => &[],
            };
            for row in first..end {
                let at = row - first;
                let data = &codes[at * bytes(cols)..][..bytes(cols)];
                let scales = &scales[at * scale(cols)..][..scale(cols)];
                take(row, Row { dtype: self.dtype, data, scales });
            }
        }
        Ok(())
    }
}

/// A row of a tensor, in memory.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// How `data` encode the values.
    pub dtype: DType,
    /// Values or codes.
    pub data: &'a [u8],
    /// `F16` scales of the codes, none for a plain type.
    pub scales: &'a [u8],
}

impl Row<'_> {
    /// Decodes the row into `out`.
    ///
    /// # Panics
    /// If `out` has another length.
    // A call for a row costs nothing, and its code is needed once.
    #[inline(never)]
    pub fn decode(&self, out: &mut [f32]) {
        let fits = self.dtype.data_bytes(out.len()) == Some(self.data.len());
        assert!(fits, "a row of {} bytes does not have {} values", self.data.len(), out.len());
        match self.dtype {
            DType::F32 => f32_from_bytes(self.data, out),
            DType::F16 => f16_from_bytes(self.data, out),
            DType::Q8 => dequantise_q8(self.data, self.scales, out),
            DType::Q4 => dequantise_q4(self.data, self.scales, out),
        }
    }
}

/// Decodes little-endian `F32` bytes; `bytes` holds 4 for each value of `out`.
pub fn f32_from_bytes(bytes: &[u8], out: &mut [f32]) {
    debug_assert_eq!(bytes.len(), out.len() * 4);
    for (value, raw) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *value = f32::from_le_bytes(*raw);
    }
}

/// Decodes little-endian `F16` bytes; `bytes` holds 2 for each value of `out`.
pub fn f16_from_bytes(bytes: &[u8], out: &mut [f32]) {
    debug_assert_eq!(bytes.len(), out.len() * 2);
    // Whole slices convert several times faster: the CPU's features are asked for once, not for each value.
    if cfg!(target_endian = "little")
        && let Ok(halves) = bytemuck::try_cast_slice::<u8, f16>(bytes)
    {
        return halves.convert_to_f32_slice(out);
    }
    for (value, raw) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = f16::from_le_bytes(*raw).to_f32();
    }
}

/// Decodes `Q8` codes (one byte each) with one `F16` scale for each [`BLOCK`] of `out`.
pub fn dequantise_q8(codes: &[u8], scales: &[u8], out: &mut [f32]) {
    debug_assert!(codes.len() == out.len() && scales.len() * BLOCK == out.len() * 2);
    let blocks = codes.chunks_exact(BLOCK).zip(scales.as_chunks::<2>().0);
    for (values, (codes, scale)) in out.chunks_exact_mut(BLOCK).zip(blocks) {
        let scale = f16::from_le_bytes(*scale).to_f32();
        for (value, &code) in values.iter_mut().zip(codes) {
            *value = f32::from(code as i8) * scale;
        }
    }
}

/// Decodes `Q4` codes (two a byte) with one `F16` scale for each [`BLOCK`] of `out`.
pub fn dequantise_q4(codes: &[u8], scales: &[u8], out: &mut [f32]) {
    debug_assert!(codes.len() * 2 == out.len() && scales.len() * BLOCK == out.len() * 2);
    let blocks = codes.chunks_exact(BLOCK / 2).zip(scales.as_chunks::<2>().0);
    for (values, (codes, scale)) in out.chunks_exact_mut(BLOCK).zip(blocks) {
        let scale = f16::from_le_bytes(*scale).to_f32();
        for (pair, &code) in values.as_chunks_mut::<2>().0.iter_mut().zip(codes) {
            *pair = [f32::from((code & 15) as i8 - 8) * scale, f32::from((code >> 4) as i8 - 8) * scale];
        }
    }
}

/// Quantises finite `values` (whole blocks) to `Q8`, appending to `codes` and `scales`.
///
/// The scale is the block's largest magnitude / 127 rounded to `F16`, codes are the nearest: the error of a value is
/// at most half a scale, plus what the scale's own rounding takes from the largest codes. Magnitudes above 127 *
/// 65504 saturate.
///
/// # Panics
/// If `values` is not whole blocks.
pub fn quantise_q8(values: &[f32], codes: &mut Vec<u8>, scales: &mut Vec<u8>) {
    assert!(values.len().is_multiple_of(BLOCK), "quantised rows are whole blocks of {BLOCK}");
    for block in values.as_chunks::<BLOCK>().0 {
        let scale = storable(peak(block).abs() / 127.0);
        let inverse = reciprocal(scale.to_f32());
        codes.extend(block.map(|x| nearest(x * inverse, -127.0, 127.0) as i8 as u8));
        scales.extend(scale.to_le_bytes());
    }
}

/// Quantises finite `values` (whole blocks) to `Q4`, appending to `codes` and `scales`.
///
/// Codes are symmetric around 8. The largest magnitude of a block takes the longer, negative side of the range; a few
/// scales around that choice are tried, each refitted by least squares, and the one with the least squared error is
/// kept.
///
/// # Panics
/// If `values` is not whole blocks.
pub fn quantise_q4(values: &[f32], codes: &mut Vec<u8>, scales: &mut Vec<u8>) {
    assert!(values.len().is_multiple_of(BLOCK), "quantised rows are whole blocks of {BLOCK}");
    for block in values.as_chunks::<BLOCK>().0 {
        let scale = best_q4_scale(block);
        let inverse = reciprocal(scale.to_f32());
        let nibble = |x: f32| (nearest(x * inverse, -8.0, 7.0) as i8 + 8) as u8;
        codes.extend(block.as_chunks::<2>().0.iter().map(|[low, high]| nibble(*low) | nibble(*high) << 4));
        scales.extend(scale.to_le_bytes());
    }
}

/// Levels between zero and the block's peak that the `Q4` search tries: 8 reaches the peak exactly, fewer clip
/// nothing on the short side, more clip the peak in favour of the rest.
const Q4_LEVELS: [f32; 9] = [8.0, 7.0, 7.25, 7.5, 7.75, 8.25, 8.5, 9.0, 9.5];

fn best_q4_scale(block: &[f32; BLOCK]) -> f16 {
    let peak = peak(block);
    let mut best = (f32::INFINITY, f16::ZERO);
    for levels in Q4_LEVELS {
        let first = storable(-peak / levels);
        let inverse = reciprocal(first.to_f32());
        let code = |x: f32| nearest(x * inverse, -8.0, 7.0);
        let (xc, cc) = (sum(block, |x| x * code(x)), sum(block, |x| code(x) * code(x)));
        // Least squares for fixed codes: sum(x c) / sum(c c). The codes are taken anew from the stored (rounded) scale.
        let refitted = if cc > 0.0 { storable(xc / cc) } else { first };
        for scale in [first, refitted] {
            let error = q4_error(block, scale.to_f32());
            if error < best.0 {
                best = (error, scale);
            }
        }
    }
    best.1
}

fn q4_error(block: &[f32; BLOCK], scale: f32) -> f32 {
    let inverse = reciprocal(scale);
    sum(block, |x| {
        let error = nearest(x * inverse, -8.0, 7.0) * scale - x;
        error * error
    })
}

/// Sums `term` over a block, in eight lanes so that it vectorises.
fn sum(block: &[f32; BLOCK], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; 8];
    for chunk in block.as_chunks::<8>().0 {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += term(x);
        }
    }
    lanes.iter().sum()
}

/// The value of largest magnitude, with its sign.
fn peak(block: &[f32; BLOCK]) -> f32 {
    block.iter().fold(0.0, |peak: f32, &x| if x.abs() > peak.abs() { x } else { peak })
}

/// The nearest finite `F16`.
fn storable(scale: f32) -> f16 {
    f16::from_f32(scale.clamp(-65504.0, 65504.0))
}

fn reciprocal(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// Rounds to nearest even within [low, high], a small range. Adding 1.5 * 2^23 leaves no fraction bits; unlike a call
/// into libm this vectorises.
fn nearest(x: f32, low: f32, high: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    (x.clamp(low, high) + SHIFT) - SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::ReadAt;

    /// Blocks of every character: gaussian-like, outliers, tiny, huge, constant, one-sided, zero.
    fn blocks() -> Vec<[f32; BLOCK]> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut out = Vec::new();
        for case in 0..4000 {
            let magnitude = [1.0, 0.02, 1e-3, 300.0, 1e-5][case % 5];
            let mut block = [0.0; BLOCK];
            for x in &mut block {
                let bell = (0..6).map(|_| uniform()).sum::<f32>() / 2.0;
                *x = magnitude * if case % 3 == 0 { bell } else { uniform() };
            }
            match case % 7 {
                0 => block[case % BLOCK] *= 20.0,
                1 => block = block.map(f32::abs),
                2 => block = [block[0]; BLOCK],
                3 if case % 2 == 0 => block = [0.0; BLOCK],
                _ => {}
            }
            out.push(block);
        }
        out
    }

    fn round_trip(dtype: DType, block: &[f32; BLOCK]) -> ([f32; BLOCK], f32) {
        let (mut codes, mut scales) = (Vec::new(), Vec::new());
        match dtype {
            DType::Q8 => quantise_q8(block, &mut codes, &mut scales),
            _ => quantise_q4(block, &mut codes, &mut scales),
        }
        assert_eq!(Some(codes.len()), dtype.data_bytes(BLOCK));
        assert_eq!(scales.len(), dtype.scale_bytes(BLOCK));
        let mut out = [0.0; BLOCK];
        TensorView::here(dtype, &[1, BLOCK], &codes, Some(&scales)).row(0, &mut out).unwrap();
        (out, f16::from_le_bytes([scales[0], scales[1]]).to_f32().abs())
    }

    #[test]
    fn q8_errs_by_at_most_half_a_step() {
        for block in blocks() {
            let (out, scale) = round_trip(DType::Q8, &block);
            // The scale's rounding (2^-11, or half the smallest subnormal) costs the largest code 127 times that.
            let bound = 0.5 * scale + 127.0 * (scale * 4.9e-4).max(3.0e-8);
            for (x, y) in block.iter().zip(out) {
                assert!((x - y).abs() <= bound, "{x} became {y}, scale {scale}");
            }
        }
    }

    #[test]
    fn q4_beats_plain_rounding_and_stays_in_bounds() {
        let (mut searched, mut plain) = (0.0f64, 0.0f64);
        for block in blocks() {
            let (out, _) = round_trip(DType::Q4, &block);
            let error: f32 = block.iter().zip(out).map(|(x, y)| (x - y) * (x - y)).sum();
            let simple = q4_error(&block, storable(-peak(&block) / 8.0).to_f32());
            assert!(error <= simple * 1.0001 + 1e-20, "search lost: {error} > {simple} for {block:?}");
            let peak = peak(&block).abs();
            if peak > 1e-4 {
                searched += f64::from(error / (peak * peak));
                plain += f64::from(simple / (peak * peak));
                // Seven levels a side bound every error by a fourteenth of the peak; the best of all cannot be worse
                // in total.
                let bound = BLOCK as f32 * (peak / 14.0) * (peak / 14.0);
                assert!(error <= bound * 1.01, "{error} > {bound} for {block:?}");
            }
        }
        assert!(searched < 0.9 * plain, "search gains too little: {searched} of {plain}");
    }

    #[test]
    fn zero_and_constant_blocks_are_exact_to_half_precision() {
        for dtype in [DType::Q8, DType::Q4] {
            assert_eq!(round_trip(dtype, &[0.0; BLOCK]).0, [0.0; BLOCK]);
            for value in [1.0, -0.37, 640.0] {
                let (out, _) = round_trip(dtype, &[value; BLOCK]);
                assert!(
                    out.iter().all(|y| (y - value).abs() <= value.abs() * 6e-4),
                    "{dtype}: {value} became {}",
                    out[0]
                );
            }
        }
    }

    #[test]
    fn hostile_values_do_not_panic() {
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-42] {
            let mut block = [0.5; BLOCK];
            block[3] = x;
            for dtype in [DType::Q8, DType::Q4] {
                assert!(round_trip(dtype, &block).1.is_finite());
            }
        }
    }

    #[test]
    fn rows_of_every_type_decode_to_their_values() {
        let values: Vec<f32> = (0..2 * BLOCK).map(|i| (i as f32 - 31.0) / 64.0).collect();
        let f32s: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let f16s: Vec<u8> = values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        for (dtype, data) in [(DType::F32, &f32s), (DType::F16, &f16s)] {
            let view = TensorView::here(dtype, &[2, 4, 8], data, None);
            assert_eq!((view.rows(), view.cols(), view.bytes()), (2, BLOCK, data.len()));
            assert_eq!(view.to_f32().unwrap(), values);
        }
        let vector = TensorView::here(DType::F32, &[2 * BLOCK], &f32s, None);
        assert_eq!((vector.rows(), vector.cols()), (1, 2 * BLOCK));
        assert_eq!(vector.to_f32().unwrap(), values);
        // Codes written by hand, so that a wrong nibble order cannot cancel out.
        let mut codes = [0x88u8; BLOCK / 2];
        codes[0] = 0xf1;
        let scale = f16::from_f32(0.5).to_le_bytes();
        let q4 = TensorView::here(DType::Q4, &[1, BLOCK], &codes, Some(&scale));
        assert_eq!(q4.to_f32().unwrap()[..4], [-3.5, 3.5, 0.0, 0.0]);
    }

    /// Bytes that are read, and how much of them there is.
    struct Shelf(Vec<u8>);

    impl ReadAt for Shelf {
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            let bytes = self.0.get(offset as usize..).and_then(|rest| rest.get(..buffer.len()));
            buffer.copy_from_slice(bytes.ok_or_else(|| ReadError::Lost("gone".into()))?);
            Ok(())
        }
    }

    #[test]
    fn bytes_that_are_read_are_those_in_memory_or_an_error() {
        // More than two pieces, and rows that do not divide one.
        let shape = [311, 96 * BLOCK];
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| (i * 7919 % 4001) as f32 / 512.0 - 3.0).collect();
        let (mut codes, mut scales) = (Vec::new(), Vec::new());
        quantise_q8(&values, &mut codes, &mut scales);
        let here = TensorView::here(DType::Q8, &shape, &codes, Some(&scales));
        let shelf = Shelf([vec![0; 64], codes.clone(), scales.clone()].concat());
        let there = |reader, offset, len| Bytes::There { reader, offset, len };
        let view = |shelf| TensorView {
            data: there(shelf, 64, codes.len()),
            scales: Some(there(shelf, 64 + codes.len() as u64, scales.len())),
            ..here
        };
        assert!(codes.len() > 3 * PIECE);
        assert_eq!(view(&shelf).to_f32(), here.to_f32());
        let mut joined: Vec<u8> = Vec::new();
        let add = |at: usize, piece: &[u8]| {
            assert_eq!(at, joined.len());
            joined.extend(piece);
            Ok::<_, ReadError>(())
        };
        view(&shelf).data.pieces(add).unwrap();
        assert_eq!(joined, codes);
        let mut row = vec![0.0; shape[1]];
        view(&shelf).row(310, &mut row).unwrap();
        let cut = Shelf(shelf.0[..shelf.0.len() - 1].to_vec());
        assert_eq!(view(&cut).to_f32(), Err(ReadError::Lost("gone".into())));
        assert!(view(&cut).row(310, &mut row).is_err());
        view(&cut).row(0, &mut row).unwrap();
    }

    #[test]
    fn byte_counts_are_exact() {
        let table = [
            (DType::F32, Some(256), 0),
            (DType::F16, Some(128), 0),
            (DType::Q8, Some(64), 4),
            (DType::Q4, Some(32), 4),
        ];
        for (dtype, data, scale) in table {
            assert_eq!((dtype.data_bytes(64), dtype.scale_bytes(64)), (data, scale), "{dtype}");
        }
        assert_eq!(DType::F32.data_bytes(usize::MAX), None);
        assert_eq!(DType::Q4.data_bytes(33), None);
    }
}
