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
    fn run<S: Simd>(self, s: S) {
        let blocks = self.out.as_chunks_mut::<BLOCK_WORDS>().0;
        for (out, x) in blocks.iter_mut().zip(self.x.as_chunks::<BLOCK>().0) {
            let (words, top, sum) = s.codes(x);
            out[..SCALE].copy_from_slice(&words);
            out[SCALE] = (top / 127.0).to_bits();
            out[START] = (-self.offset * sum) as u32;
        }
    }
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
            let mut dots = [[s.splat_i(0); R]; V];
            for r in 0..R {
                dots.iter_mut().for_each(|dots| dots[r] = s.splat_i(*row(r).add(START) as i32));
            }
            for four in 0..fours {
                let words = core::array::from_fn(|r| *row(r).add(four));
                for (v, dots) in dots.iter_mut().enumerate() {
                    let at = panel.add(four * width + v * S::LANES);
                    s.dots(dots, at, words);
                    s.prefetch(at.wrapping_add(AHEAD));
                }
            }
            let scales = panel.add(BLOCK / 4 * width).cast::<f32>();
            for (r, sums) in sums.iter_mut().enumerate() {
                let scale = s.splat(f32::from_bits(*row(r).add(SCALE)));
                for (v, sum) in sums.iter_mut().enumerate() {
                    let scale = s.mul(scale, s.load_at(scales.add(v * S::LANES)));
                    *sum = s.fma(s.to_f(dots[v][r]), scale, *sum);
                }
            }
        }
    }
    sums
}
