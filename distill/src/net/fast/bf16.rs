//! Products of matrices rounded to bf16 and summed in f32, on CPUs with dot products of bf16 pairs: twice the arithmetic of f32, and
//! half the memory.
//!
//! A product sums over pairs. Its left side gives each pair as one word to be broadcast, its right side as words side by side for 32
//! columns ([`Panels`]), so that sixteen sums stay in registers and nothing else is moved. Matrices are packed once and then used
//! by as many products as need them.

use std::ptr;

use super::amx::Amx;
use super::panels::{LANES, Line, WIDE, filled, stride};
pub use super::panels::{Panels, Rows, Start};

/// Proof that this CPU has the instructions; and a matrix unit, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bf16(Option<Amx>);

/// Rows of a tile.
const TALL: usize = 8;
/// Pairs summed at a time where both sides are panels, so that both stay in the first cache.
const DEEP: usize = 256;

impl Bf16 {
    /// The proof, where it can be had.
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16")
        {
            return Some(Self(Amx::detect()));
        }
        None
    }

    /// The same by vectors alone.
    #[must_use]
    pub fn without_matrix_unit(self) -> Self {
        Self(None)
    }

    /// Whether products use a matrix unit.
    pub fn has_matrix_unit(self) -> bool {
        self.0.is_some()
    }

    /// Rounds a matrix of `rows` rows of `columns`, which begin `distance` values from one another.
    pub fn rows(self, x: &[f32], distance: usize, [rows, columns]: [usize; 2]) -> Rows {
        assert!(rows == 0 || (rows - 1) * distance + columns <= x.len());
        let width = columns.div_ceil(WIDE);
        let lines = filled(rows * width, |to| {
            for i in 0..rows {
                // SAFETY: the assertion bounds the row, and `to` has `width` lines for it; the CPU has what is needed.
                unsafe { kernel::round(x.as_ptr().add(i * distance), columns, to.add(i * width)) };
            }
        });
        Rows { lines, rows, columns }
    }

    /// The matrix itself, to be the right side of a product (or the left one of [`Self::transposed_product`]).
    pub fn panels(self, x: &Rows) -> Panels {
        let (width, pairs, stride) = (x.width(), x.rows.div_ceil(2), stride(x.rows));
        let zeros = vec![Line::ZERO; if x.rows % 2 == 1 { width } else { 0 }];
        let lines = filled(2 * width * stride, |to| {
            for i in 0..pairs {
                let upper = x.lines[2 * i * width..][..width].as_ptr();
                let lower =
                    x.lines.get((2 * i + 1) * width..).filter(|rest| !rest.is_empty()).unwrap_or(&zeros).as_ptr();
                for j in 0..width {
                    // SAFETY: both rows have `width` lines, and `to` two for each of them and each pair.
                    unsafe { kernel::interleave(upper.add(j), lower.add(j), to.add(2 * (j * stride + i))) };
                }
            }
            for j in 0..width {
                // SAFETY: `to` has room for `stride` pairs of each panel.
                unsafe { to.add(2 * (j * stride + pairs)).write_bytes(0, 2 * (stride - pairs)) };
            }
        });
        Panels { lines, rows: x.rows, columns: x.columns }
    }

    /// The transposed matrix as the right side of a product.
    pub fn transposed(self, x: &Rows) -> Panels {
        // Rows are filled up as panels are: a row has the words of all pairs.
        let (width, pairs) = (x.width(), stride(x.columns));
        let halves = 2 * x.rows.div_ceil(WIDE);
        let lines = filled(halves * pairs, |to| {
            for half in 0..halves {
                let first = half * LANES;
                let there = x.rows.saturating_sub(first).min(LANES);
                let from = if there > 0 { x.lines[first * width..].as_ptr() } else { ptr::null() };
                // SAFETY: `there` rows of `width` lines begin at `from`, each with `pairs` words; a panel is `pairs` times two lines.
                unsafe {
                    kernel::gather(from.cast(), width * LANES, there, pairs, to.add(half / 2 * 2 * pairs + half % 2))
                };
            }
        });
        Panels { lines, rows: x.columns, columns: x.rows }
    }

    /// dst = start + a b; `dst` has `distance` between rows.
    pub fn product(self, a: &Rows, b: &Panels, start: Start<'_>, dst: &mut [f32], distance: usize) {
        assert!(a.columns == b.rows);
        check([a.rows, b.columns], start, dst, distance);
        let done = match self.0 {
            // SAFETY: rows are filled up as panels are; the rest was just checked.
            Some(amx) => unsafe {
                let (lines, step) = (a.lines.as_ptr().cast(), size_of::<Line>() * a.width());
                amx.product(lines, step, [a.rows, b.columns], b, start, dst, distance)
            },
            None => 0,
        };
        let side = |row: usize| (a.lines[(done + row) * a.width()..].as_ptr().cast(), a.width() * LANES, 1);
        let rest = dst.get_mut(done * distance..).unwrap_or_default();
        // SAFETY: the rows of `a` have the words that the pairs of `b` are multiplied with.
        unsafe { tiles([a.rows - done, b.columns], 0..b.pairs(), side, b, start, rest, distance) };
    }

    /// [`Self::product`] whose left side are `rows` overlapping rows, number i from value `first` + i `step` of the one row of `a` on.
    #[allow(clippy::too_many_arguments)]
    pub fn sliding_product(
        self,
        a: &Rows,
        [first, step]: [usize; 2],
        rows: usize,
        b: &Panels,
        start: Start<'_>,
        dst: &mut [f32],
        distance: usize,
    ) {
        assert!([first, step, b.rows].iter().all(|n| n.is_multiple_of(2)), "a pair is a word");
        assert!(a.rows == 1 && first + rows.saturating_sub(1) * step + b.rows <= a.columns);
        check([rows, b.columns], start, dst, distance);
        let line = a.lines.as_ptr().cast::<u32>();
        let done = match self.0 {
            // SAFETY: the last row ends inside `a`, with all pairs of a panel; the rest was just checked.
            Some(amx) if b.stride() == b.pairs() => unsafe {
                let from = line.wrapping_add(first / 2).cast();
                amx.product(from, 2 * step, [rows, b.columns], b, start, dst, distance)
            },
            _ => 0,
        };
        let side = |row: usize| (line.wrapping_add((first + (done + row) * step) / 2), step / 2, 1);
        let rest = dst.get_mut(done * distance..).unwrap_or_default();
        // SAFETY: the last row ends inside `a`.
        unsafe { tiles([rows - done, b.columns], 0..b.pairs(), side, b, start, rest, distance) };
    }

    /// dst = start + a^T b; `dst` has `distance` between rows.
    pub fn transposed_product(self, a: &Panels, b: &Panels, start: Start<'_>, dst: &mut [f32], distance: usize) {
        assert!(a.rows == b.rows);
        self.shifted_product(a, 0, b, start, dst, distance);
    }

    /// The same with the rows of `a` from the pair `shift` on; of an odd row the other half must be zeros.
    pub fn shifted_product(
        self,
        a: &Panels,
        shift: usize,
        b: &Panels,
        start: Start<'_>,
        dst: &mut [f32],
        distance: usize,
    ) {
        assert!(shift + b.pairs() <= a.pairs());
        check([a.columns, b.columns], start, dst, distance);
        if let Some(amx) = self.0.filter(|_| a.columns * b.columns * b.rows > 0 && shift + b.stride() <= a.stride()) {
            // SAFETY: `a` has the pairs of `b` and what fills them up; the rest was just checked.
            return unsafe { amx.transposed_product(a, shift, b, start, dst, distance) };
        }
        let mut start = start;
        for first in (0..b.pairs().max(1)).step_by(DEEP) {
            let side = |row: usize| {
                let lines = &a.lines[2 * (row / WIDE * a.stride() + shift + first)..];
                (lines.as_ptr().cast::<u32>().wrapping_add(row % WIDE), 1, WIDE)
            };
            let pairs = first..b.pairs().min(first + DEEP);
            // SAFETY: a panel of `a` has a line pair for each of `b`'s, and tiles do not reach beyond a panel, which `TALL` divides.
            unsafe { tiles([a.columns, b.columns], pairs, side, b, start, dst, distance) };
            start = Start::There;
        }
    }
}

/// Panics where `dst` has no m rows of n values, or what they start with no n.
fn check([m, n]: [usize; 2], start: Start<'_>, dst: &[f32], distance: usize) {
    assert!(m * n == 0 || n <= distance && (m - 1) * distance + n <= dst.len());
    if let Start::Row(row) = start {
        assert!(n <= row.len());
    }
}

/// Walks dst [m, n] tile by tile. `side` tells where the words of a row of the left side begin, how far apart they are between rows,
/// and between pairs.
///
/// # Safety
/// The left side must have a word for each of `pairs` for up to `TALL` rows from where `side` says.
unsafe fn tiles(
    [m, n]: [usize; 2],
    pairs: std::ops::Range<usize>,
    side: impl Fn(usize) -> (*const u32, usize, usize),
    b: &Panels,
    start: Start<'_>,
    dst: &mut [f32],
    distance: usize,
) {
    if m * n == 0 {
        return;
    }
    check([m, n], start, dst, distance);
    assert!(pairs.end <= b.pairs());
    for left in (0..n).step_by(WIDE) {
        let right = b.lines[2 * (left / WIDE * b.stride() + pairs.start)..].as_ptr().cast();
        for top in (0..m).step_by(TALL) {
            let (left_side, row, pair) = side(top);
            let to = dst[top * distance + left..].as_mut_ptr();
            let (from, from_row) = match start {
                Start::Zero => (ptr::null(), 0),
                Start::Row(values) => (values[left..].as_ptr(), 0),
                Start::There => (to.cast_const(), distance),
            };
            let tile = Tile {
                a: left_side,
                row,
                pair,
                b: right,
                pairs: pairs.len(),
                from,
                from_row,
                to,
                to_row: distance,
                columns: WIDE.min(n - left),
            };
            // SAFETY: the caller's word for `a`; the assertions bound the rest.
            unsafe { kernel::tile(m.min(top + TALL) - top, tile) };
        }
    }
}

/// A piece of a product: `pairs` words of each row of the left side, the same of a panel, sums of up to 32 columns.
#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no kernel reads it"))]
struct Tile {
    a: *const u32,
    row: usize,
    pair: usize,
    b: *const u32,
    pairs: usize,
    /// Where the sums begin; null for zeros.
    from: *const f32,
    from_row: usize,
    to: *mut f32,
    to_row: usize,
    columns: usize,
}

/// What the instructions do. Only a [`Bf16`] leads here, so that the CPU has them.
#[cfg(target_arch = "x86_64")]
mod kernel {
    use std::arch::x86_64::*;
    use std::mem::transmute;

    use super::{LANES, Line, Tile, WIDE};

    /// Masks of the first `n` values of two vectors.
    fn masks(n: usize) -> [u16; 2] {
        let mask = (1u64 << n) - 1;
        [mask as u16, (mask >> LANES) as u16]
    }

    /// The tile of `rows` rows, 1 to 8.
    pub unsafe fn tile(rows: usize, t: Tile) {
        // SAFETY: as the caller says.
        unsafe {
            match rows {
                1 => tall::<1>(t),
                2 => tall::<2>(t),
                3 => tall::<3>(t),
                4 => tall::<4>(t),
                5 => tall::<5>(t),
                6 => tall::<6>(t),
                7 => tall::<7>(t),
                _ => tall::<8>(t),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn tall<const R: usize>(t: Tile) {
        let [low, high] = masks(t.columns);
        let mut sums = [[_mm512_setzero_ps(); 2]; R];
        let (mut a, mut b) = (t.a, t.b);
        // SAFETY: the caller has the words of both sides and the values of `from` and `to`; masks hide those of other columns.
        unsafe {
            if !t.from.is_null() {
                for (r, sums) in sums.iter_mut().enumerate() {
                    let from = t.from.wrapping_add(r * t.from_row);
                    *sums = [_mm512_maskz_loadu_ps(low, from), _mm512_maskz_loadu_ps(high, from.wrapping_add(LANES))];
                }
            }
            for _ in 0..t.pairs {
                let right: [__m512bh; 2] = [
                    transmute::<__m512i, __m512bh>(_mm512_load_si512(b.cast())),
                    transmute::<__m512i, __m512bh>(_mm512_load_si512(b.add(LANES).cast())),
                ];
                for (r, sums) in sums.iter_mut().enumerate() {
                    let left = transmute::<__m512i, __m512bh>(_mm512_set1_epi32(a.add(r * t.row).read() as i32));
                    sums[0] = _mm512_dpbf16_ps(sums[0], left, right[0]);
                    sums[1] = _mm512_dpbf16_ps(sums[1], left, right[1]);
                }
                a = a.wrapping_add(t.pair);
                b = b.wrapping_add(WIDE);
            }
            for (r, sums) in sums.iter().enumerate() {
                let to = t.to.wrapping_add(r * t.to_row);
                _mm512_mask_storeu_ps(to, low, sums[0]);
                _mm512_mask_storeu_ps(to.wrapping_add(LANES), high, sums[1]);
            }
        }
    }

    /// Rounds `columns` values into lines, to nearest, ties to even.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn round(x: *const f32, columns: usize, to: *mut Line) {
        for (first, i) in (0..columns).step_by(WIDE).zip(0..) {
            let [low, high] = masks(WIDE.min(columns - first));
            // SAFETY: the caller has `columns` values and a line for every 32 of them.
            unsafe {
                let x = x.add(first);
                let [low, high] = [_mm512_maskz_loadu_ps(low, x), _mm512_maskz_loadu_ps(high, x.wrapping_add(LANES))];
                let both = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                _mm512_store_si512(to.add(i).cast(), both);
            }
        }
    }

    /// A line of each of two rows as two lines of pairs.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn interleave(upper: *const Line, lower: *const Line, to: *mut Line) {
        // SAFETY: the caller has two lines at `to`.
        unsafe {
            let (upper, lower) = (_mm512_load_si512(upper.cast()), _mm512_load_si512(lower.cast()));
            for half in 0..2 {
                // Word i of `upper` beside word i of `lower`, which are numbers i and 32 + i of both.
                let first = _mm512_set1_epi32((half * LANES * 0x1_0001) as i32);
                let order = _mm512_add_epi32(_mm512_mullo_epi32(number(), _mm512_set1_epi32(0x1_0001)), first);
                let order = _mm512_add_epi32(order, _mm512_set1_epi32(0x20_0000));
                let pairs = _mm512_permutex2var_epi16(upper, order, lower);
                _mm512_store_si512(to.add(half).cast(), pairs);
            }
        }
    }

    /// Lanes by number.
    #[target_feature(enable = "avx512f")]
    fn number() -> __m512i {
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    }

    /// Word i of each of the first `rows` rows, `distance` words apart, as line 2 i of `to`, for all `pairs` words.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn gather(from: *const u32, distance: usize, rows: usize, pairs: usize, to: *mut Line) {
        let [mask, _] = masks(rows);
        let at = _mm512_mullo_epi32(number(), _mm512_set1_epi32(distance as i32));
        for i in 0..pairs {
            // SAFETY: the caller has the words of `rows` rows and every other line of a panel.
            unsafe {
                let words =
                    _mm512_mask_i32gather_epi32::<4>(_mm512_setzero_si512(), mask, at, from.wrapping_add(i).cast());
                _mm512_store_si512(to.add(2 * i).cast(), words);
            }
        }
    }
}

/// No such CPU: nothing leads here.
#[cfg(not(target_arch = "x86_64"))]
mod kernel {
    use super::{Line, Tile};

    pub unsafe fn tile(_: usize, _: Tile) {
        unreachable!()
    }

    pub unsafe fn round(_: *const f32, _: usize, _: *mut Line) {
        unreachable!()
    }

    pub unsafe fn interleave(_: *const Line, _: *const Line, _: *mut Line) {
        unreachable!()
    }

    pub unsafe fn gather(_: *const u32, _: usize, _: usize, _: usize, _: *mut Line) {
        unreachable!()
    }
}
