//! Linear layers with quantised weights: activations are quantised too, and products of bytes summed in integers.
//!
//! Each row of activations is cut into blocks of 32 like the weights, each with a scale of its own: the largest magnitude becomes
//! 127. Weights are kept as unsigned bytes (code + offset), which is what dot-product instructions take; a block's sum starts at
//! -offset * (sum of its activations), which undoes that exactly.

use core::ops::Range;

use super::{
    epilogue::Store,
    gemm::{AHEAD, Finish, cut, with_rows},
};
use crate::{
    cpu::{
        simd::{Kernel, Simd},
        weights::{BytePanels, COLUMN_WORDS},
    },
    quant::BLOCK,
};

/// Words of a quantised block of activations: 32 bytes, the scale, the sum to start from.
const BLOCK_WORDS: usize = BLOCK / 4 + 2;
const SCALE: usize = BLOCK / 4;
const START: usize = SCALE + 1;

/// Words of a quantised row.
pub(crate) fn row_words(inputs: usize) -> usize {
    inputs / BLOCK * BLOCK_WORDS
}

/// Quantises as many blocks as `out` has room for. Rows are whole blocks without gaps, so blocks are all there is.
pub(crate) struct Quantise<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [u32],
    /// What the weights' bytes were shifted by.
    pub(crate) offset: i32,
}

impl Kernel for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let blocks = self.out.as_chunks_mut::<BLOCK_WORDS>().0;
        for (out, x) in blocks.iter_mut().zip(self.x.as_chunks::<BLOCK>().0) {
            *out = quantise(x, self.offset);
        }
    }
}

/// Plain loops over fixed arrays: the compiler makes vectors of them.
#[inline(always)]
fn quantise(x: &[f32; BLOCK], offset: i32) -> [u32; BLOCK_WORDS] {
    /// Adding 1.5 * 2^23 leaves no fraction bits, and the whole number in the low byte.
    const ROUND: f32 = 12_582_912.0;
    let mut tops = [0.0f32; 16];
    for half in x.as_chunks::<16>().0 {
        for (top, x) in tops.iter_mut().zip(half) {
            *top = if x.abs() > *top { x.abs() } else { *top };
        }
    }
    let top = tops.iter().fold(0.0f32, |top, &x| if x > top { x } else { top });
    let inverse = if top > 0.0 { 127.0 / top } else { 0.0 };
    let mut codes = [0i32; BLOCK];
    for (code, x) in codes.iter_mut().zip(x) {
        *code = (x * inverse + ROUND).to_bits() as i8 as i32;
    }
    let mut out = [0; BLOCK_WORDS];
    for (word, codes) in out.iter_mut().zip(codes.as_chunks::<4>().0) {
        let [a, b, c, d] = codes.map(|code| code as u32 & 255);
        *word = a | b << 8 | c << 16 | d << 24;
    }
    out[SCALE] = (top / 127.0).to_bits();
    out[START] = (-offset * codes.iter().sum::<i32>()) as u32;
    out
}

/// Quantised rows.
pub(crate) struct Quantised<'a> {
    pub(crate) words: &'a [u32],
    pub(crate) rows: Range<usize>,
    pub(crate) inputs: usize,
}

/// Quantised rows times one panel.
pub(crate) struct Multiply<'a> {
    pub(crate) left: Quantised<'a>,
    pub(crate) panels: &'a BytePanels,
    pub(crate) store: Store<'a>,
}

impl Kernel for Multiply<'_> {
    type Output = ();
    const BYTES: bool = true;

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (panel, vectors) = self.panels.at(self.store.column(), S::LANES);
        match vectors {
            1 => multiply::<S, 1>(s, &self.left, panel, &mut self.store),
            _ => multiply::<S, 2>(s, &self.left, panel, &mut self.store),
        }
    }
}

#[inline(always)]
fn multiply<S: Simd, const V: usize>(s: S, left: &Quantised<'_>, panel: &[u32], store: &mut Store<'_>) {
    let (row_words, blocks) = (row_words(left.inputs), left.inputs / BLOCK);
    let words = &left.words[left.rows.start * row_words..left.rows.end * row_words];
    assert!(blocks * COLUMN_WORDS * V * S::LANES <= panel.len(), "the panel is too short");
    for (row, rows) in cut(left.rows.len(), S::BYTE_SUMS / V) {
        macro_rules! go {
            ($rows:literal) => {{
                let rows = &words[row * row_words..(row + $rows) * row_words];
                // SAFETY: the slice holds these rows, the panel was measured above.
                let sums = unsafe { tile::<S, $rows, V>(s, rows.as_ptr(), blocks, panel.as_ptr()) };
                store.take(s, row, &sums);
            }};
        }
        with_rows!(rows, S::BYTE_SUMS / V, go!());
        Finish::<S, V>::finish(store, s, row, rows);
    }
}

/// Sums of `R` rows.
///
/// # Safety
/// `rows` holds `R` rows of `blocks` quantised blocks, `panel` `blocks` blocks of `V` vectors of columns.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize>(
    s: S,
    rows: *const u32,
    blocks: usize,
    panel: *const u32,
) -> [[S::F; V]; R] {
    let mut sums = [[s.splat(0.0); V]; R];
    let width = V * S::LANES;
    // Told the number, the compiler unrolls the loop over it, wants a whole block of weights in registers, and spills.
    let fours = core::hint::black_box(BLOCK / 4);
    for block in 0..blocks {
        // SAFETY: the caller's promise.
        unsafe {
            let row = |r: usize| rows.add((r * blocks + block) * BLOCK_WORDS);
            let panel = panel.add(block * COLUMN_WORDS * width);
            let mut dots = [[s.splat_i(0); V]; R];
            for (r, dots) in dots.iter_mut().enumerate() {
                *dots = [s.splat_i(*row(r).add(START) as i32); V];
            }
            for four in 0..fours {
                let mut columns = [s.splat_i(0); V];
                for (v, column) in columns.iter_mut().enumerate() {
                    let at = panel.add(four * width + v * S::LANES);
                    *column = s.words_at(at);
                    s.prefetch(at.wrapping_add(AHEAD));
                }
                for (r, dots) in dots.iter_mut().enumerate() {
                    let x = s.splat_i(*row(r).add(four) as i32);
                    for (dot, column) in dots.iter_mut().zip(columns) {
                        *dot = s.dot4(*dot, column, x);
                    }
                }
            }
            let scales = panel.add(BLOCK / 4 * width).cast::<f32>();
            for (r, (sums, dots)) in sums.iter_mut().zip(dots).enumerate() {
                let scale = s.splat(f32::from_bits(*row(r).add(SCALE)));
                for (v, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                    let scale = s.mul(scale, s.load_at(scales.add(v * S::LANES)));
                    *sum = s.fma(s.to_f(dot), scale, *sum);
                }
            }
        }
    }
    sums
}
