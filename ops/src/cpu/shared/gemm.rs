//! The product of matrices that linear layers, convolutions and attention are made of: a few rows times a panel of columns, all
//! sums in registers.
//!
//! The right operand comes in panels: for each term of the sum, one or two vectors of adjacent columns. Weights are packed that
//! way, values of attention lie that way. The left operand stays where it is; its elements are broadcast. Every output is one chain of additions in the order of the sum, whatever
//! rows it shares a tile with, so splitting work never changes bits.

use crate::cpu::simd::Simd;

/// Vectors of a full panel; the last one of a matrix may be single.
pub(crate) const VECTORS: usize = 2;

/// Most vectors of sums in a tile of any instruction set.
pub(crate) const MAX_SUMS: usize = 16;

/// Columns of the panel that begins at `column` of `columns`, in vectors.
pub(crate) fn vectors_at(column: usize, columns: usize, lanes: usize) -> usize {
    (columns - column).div_ceil(lanes).min(VECTORS)
}

/// A left operand: element (row, term) of segment s lies at `row * row_step + s * segment_step + term * term_step`. The sum runs over
/// all segments' terms.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) row_step: usize,
    pub(crate) segments: usize,
    pub(crate) segment_step: usize,
    pub(crate) terms: usize,
    pub(crate) term_step: usize,
}

impl<'a> Left<'a> {
    /// Rows of `terms` adjacent elements, `row_step` apart.
    pub(crate) fn rows(data: &'a [f32], rows: usize, row_step: usize, terms: usize) -> Self {
        Self { data, rows, row_step, segments: 1, segment_step: 0, terms, term_step: 1 }
    }

    /// Elements from the first to the last one used.
    fn extent(&self) -> usize {
        (self.rows - 1) * self.row_step
            + (self.segments - 1) * self.segment_step
            + (self.terms - 1) * self.term_step
            + 1
    }
}

/// What a panel's elements are stored as.
pub(crate) trait Element: Copy {
    /// `LANES` numbers from `x` on.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn load<S: Simd>(s: S, x: *const Self) -> S::F;
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, x: *const Self) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { s.load_at(x) }
    }
}

/// Finite IEEE half precision, as bits.
impl Element for u16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, x: *const Self) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { s.halves_at(x) }
    }
}

/// A panel: the columns of a term begin `step` after those of the term before, the segments' terms in turn.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a, E> {
    pub(crate) data: &'a [E],
    pub(crate) step: usize,
}

/// How far ahead of its use a panel is fetched, in elements. Weights of a whole network come from a distant cache or from memory, and
/// hardware alone keeps too few lines in flight.
pub(crate) const AHEAD: usize = 512;

/// What becomes of a tile's sums.
pub(crate) trait Finish<S: Simd, const V: usize> {
    /// Takes the sums of rows `row .. row + R`. Implementations are `#[inline(always)]`, and short, for there is a copy for each R.
    fn take<const R: usize>(&mut self, s: S, row: usize, sums: &[[S::F; V]; R]);

    /// Does the rest of the work for rows `row .. row + rows` just taken.
    #[inline(always)]
    fn finish(&mut self, s: S, row: usize, rows: usize) {
        let _ = (s, row, rows);
    }
}

/// Tiles of more rows than this have an even number of them: code for all numbers would be a third longer, and none is faster.
const ODD: usize = 8;

/// Rows of each of the tiles that `rows` are cut into, nearly equal, as (first row, rows); [`with_rows`] has code for all of them.
#[inline(always)]
pub(crate) fn cut(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let each = rows.div_ceil(rows.div_ceil(most).max(1));
    let each = if each > ODD { each.next_multiple_of(2).min(most) } else { each };
    let mut first = 0;
    core::iter::from_fn(move || {
        let left = (rows - first).min(each);
        // What is left over is halved.
        let count = if left > ODD && left % 2 == 1 { left.div_ceil(2) } else { left };
        let tile = (count > 0).then_some((first, count));
        first += count;
        tile
    })
}

/// Makes constant rows of a tile's number of rows, which is at most a constant `$most`; nothing is compiled for more.
macro_rules! with_rows {
    ($rows:expr, $most:expr, $call:ident!()) => {
        with_rows!(@ $rows, $most, $call, 1 2 3 4 5 6 7 8 10 12 14 16)
    };
    (@ $rows:expr, $most:expr, $call:ident, $($n:literal)*) => {
        match $rows {
            $($n if $n <= $most => $call!($n),)*
            _ => unreachable!("no tile has so many rows"),
        }
    };
}
pub(crate) use with_rows;

/// Multiplies all rows of `left` with a packed panel of `V` vectors.
#[inline(always)]
pub(crate) fn multiply<S: Simd, const V: usize>(
    s: S,
    left: Left<'_>,
    panel: &[impl Element],
    finish: &mut impl Finish<S, V>,
) {
    multiply_with(s, left, Right { data: panel, step: V * S::LANES }, finish);
}

/// Multiplies all rows of `left` with a panel of `V` vectors.
#[inline(always)]
pub(crate) fn multiply_with<S: Simd, const V: usize>(
    s: S,
    left: Left<'_>,
    right: Right<'_, impl Element>,
    finish: &mut impl Finish<S, V>,
) {
    if left.rows == 0 || left.terms == 0 || left.segments == 0 {
        return;
    }
    assert!(left.extent() <= left.data.len(), "the left operand is too short");
    let extent = (left.segments * left.terms - 1) * right.step + V * S::LANES;
    assert!(extent <= right.data.len(), "the panel is too short");
    for (row, rows) in cut(left.rows, S::SUMS / V) {
        macro_rules! go {
            ($rows:literal) => {{
                // SAFETY: the assertions above.
                let sums = unsafe { tile::<S, $rows, V, _>(s, &left, row, right) };
                finish.take(s, row, &sums);
            }};
        }
        with_rows!(rows, S::SUMS / V, go!());
        finish.finish(s, row, rows);
    }
}

/// Sums of rows `row .. row + R`.
///
/// # Safety
/// `left.data` holds `left.extent()` elements and has these rows; `right.data` holds `V` vectors for each term of the sum.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize, E: Element>(
    s: S,
    left: &Left<'_>,
    row: usize,
    right: Right<'_, E>,
) -> [[S::F; V]; R] {
    let mut sums = [[s.splat(0.0); V]; R];
    let (row_step, term_step) = (left.row_step, left.term_step);
    let mut b = right.data.as_ptr();
    for segment in 0..left.segments {
        // SAFETY: the caller's promise. Pointers may end up behind the data, but are not read there.
        unsafe {
            let mut a = left.data.as_ptr().add(row * row_step + segment * left.segment_step);
            for _ in 0..left.terms {
                let mut columns = [s.splat(0.0); V];
                for (v, column) in columns.iter_mut().enumerate() {
                    let at = b.add(v * S::LANES);
                    *column = E::load(s, at);
                    s.prefetch(at.wrapping_add(AHEAD));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = s.splat(*a.add(r * row_step));
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = s.fma(x, column, *sum);
                    }
                }
                a = a.wrapping_add(term_step);
                b = b.wrapping_add(right.step);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_all_rows_and_none_has_a_number_without_code() {
        for most in [1, 2, 3, 4, 6, 8, 12, 16] {
            for rows in 0..200 {
                let mut next = 0;
                for (first, count) in cut(rows, most) {
                    assert_eq!(first, next, "{rows} {most}");
                    assert!((1..=most).contains(&count) && (count <= ODD || count % 2 == 0), "{rows} {most}: {count}");
                    next += count;
                }
                assert_eq!(next, rows, "{most}");
            }
        }
    }
}
