//! WebAssembly's vectors of 128 bits: pairs of them, so that a vector has eight lanes.
//!
//! These are the portable kernels' bits: lane by lane the operations of portable.rs in the same order. What relaxed SIMD would allow beside them
//! brought nothing (docs/rejected.md).

use core::arch::wasm32::*;

use super::vector::{MAX_LANES, ROUND, Simd};
use crate::quant::BLOCK;

#[derive(Clone, Copy)]
pub(crate) struct Wasm;

type Pair = (v128, v128);

/// Sums of the lanes of four vectors, lanes 0 and 2, 1 and 3 first, as the portable kernels add.
#[inline(always)]
fn sums_of_four([a, b, c, d]: [v128; 4]) -> v128 {
    let (ab, cd) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<0, 4, 1, 5>(c, d));
    let (ab2, cd2) = (i32x4_shuffle::<2, 6, 3, 7>(a, b), i32x4_shuffle::<2, 6, 3, 7>(c, d));
    let first = f32x4_add(i64x2_shuffle::<0, 2>(ab, cd), i64x2_shuffle::<0, 2>(ab2, cd2));
    let second = f32x4_add(i64x2_shuffle::<1, 3>(ab, cd), i64x2_shuffle::<1, 3>(ab2, cd2));
    f32x4_add(first, second)
}

/// The exponent's bias differs by 112, which a product mends for subnormals too.
#[inline(always)]
fn halves(wide: v128) -> v128 {
    let sign = i32x4_shl(v128_and(wide, i32x4_splat(0x8000)), 16);
    let rest = i32x4_shl(v128_and(wide, i32x4_splat(0x7fff)), 13);
    v128_or(f32x4_mul(rest, f32x4_splat(f32::from_bits((127 + 112) << 23))), sign)
}

macro_rules! both {
    ($f:ident, $($v:ident),+) => {
        ($f($($v.0),+), $f($($v.1),+))
    };
}

impl Simd for Wasm {
    type F = Pair;
    type I = Pair;
    const LANES: usize = 8;
    const SUMS: usize = 6;
    const BYTE_SUMS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Pair {
        (f32x4_splat(x), f32x4_splat(x))
    }

    #[inline(always)]
    fn add(self, a: Pair, b: Pair) -> Pair {
        both!(f32x4_add, a, b)
    }

    #[inline(always)]
    fn sub(self, a: Pair, b: Pair) -> Pair {
        both!(f32x4_sub, a, b)
    }

    #[inline(always)]
    fn mul(self, a: Pair, b: Pair) -> Pair {
        both!(f32x4_mul, a, b)
    }

    #[inline(always)]
    fn div(self, a: Pair, b: Pair) -> Pair {
        both!(f32x4_div, a, b)
    }

    #[inline(always)]
    fn sqrt(self, x: f32) -> f32 {
        f32x4_extract_lane::<0>(f32x4_sqrt(f32x4_splat(x)))
    }

    /// `pmax(b, a)` is b < a ? a : b, also of NaN.
    #[inline(always)]
    fn max(self, a: Pair, b: Pair) -> Pair {
        both!(f32x4_pmax, b, a)
    }

    #[inline(always)]
    fn min(self, a: Pair, b: Pair) -> Pair {
        both!(f32x4_pmin, b, a)
    }

    #[inline(always)]
    fn fma(self, a: Pair, b: Pair, c: Pair) -> Pair {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn pow2(self, n: Pair) -> Pair {
        // 2^23 + 127 puts n + 127 in the low bits.
        let n = self.add(n, self.splat(8_388_735.0));
        (i32x4_shl(n.0, 23), i32x4_shl(n.1, 23))
    }

    #[inline(always)]
    fn turn(self, x: Pair, by: Pair) -> Pair {
        let turn = |x, by| {
            let (cos, sin) = (i32x4_shuffle::<0, 0, 2, 2>(by, by), i32x4_shuffle::<1, 1, 3, 3>(by, by));
            // (re, im) * i = (-im, re): the swapped lanes with the first of each pair negated.
            let swapped = v128_xor(i32x4_shuffle::<1, 0, 3, 2>(x, x), i32x4(i32::MIN, 0, i32::MIN, 0));
            // In both lanes the product with `x`'s first number goes first, as an addition does not mind.
            f32x4_add(f32x4_mul(x, cos), f32x4_mul(swapped, sin))
        };
        (turn(x.0, by.0), turn(x.1, by.1))
    }

    #[inline(always)]
    unsafe fn load_at(self, x: *const f32) -> Pair {
        // SAFETY: the caller's promise.
        unsafe { (v128_load(x.cast()), v128_load(x.add(4).cast())) }
    }

    #[inline(always)]
    unsafe fn halves_at(self, x: *const u16) -> Pair {
        // SAFETY: the caller's promise.
        let eight = unsafe { v128_load(x.cast()) };
        (halves(u32x4_extend_low_u16x8(eight)), halves(u32x4_extend_high_u16x8(eight)))
    }

    #[inline(always)]
    unsafe fn load_first(self, x: *const f32, n: usize) -> Pair {
        let mut lanes = [0.0; 8];
        // SAFETY: the caller's promise; then eight elements of an array.
        unsafe {
            lanes[..n].copy_from_slice(core::slice::from_raw_parts(x, n));
            self.load_at(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store_first(self, y: *mut f32, n: usize, v: Pair) {
        if n == 8 {
            // SAFETY: the caller's promise.
            unsafe {
                v128_store(y.cast(), v.0);
                v128_store(y.add(4).cast(), v.1);
            }
            return;
        }
        let mut lanes = [0.0f32; 8];
        // SAFETY: eight elements of an array, then the caller's promise.
        unsafe {
            v128_store(lanes.as_mut_ptr().cast(), v.0);
            v128_store(lanes.as_mut_ptr().add(4).cast(), v.1);
            core::slice::from_raw_parts_mut(y, n).copy_from_slice(&lanes[..n]);
        }
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> Pair {
        (i32x4_splat(x), i32x4_splat(x))
    }

    /// Half a vector of weights at a time, widened as it is loaded, and then used for all rows: more would not stay in registers.
    #[inline(always)]
    unsafe fn dots<const R: usize>(self, sums: &mut [Pair; R], w: *const u32, a: [u32; R]) {
        let wide = a.map(|a| i16x8_extend_low_i8x16(i32x4_splat(a as i32)));
        let first = wide.map(|a| i32x4_shuffle::<0, 0, 0, 0>(a, a));
        let last = wide.map(|a| i32x4_shuffle::<1, 1, 1, 1>(a, a));
        macro_rules! add {
            ($half:tt, $a:ident, $word:literal) => {
                // SAFETY: the caller's promise.
                let w = unsafe { u16x8_load_extend_u8x8(w.add($word).cast()) };
                for (sum, a) in sums.iter_mut().zip($a) {
                    sum.$half = i32x4_add(sum.$half, i32x4_dot_i16x8(w, a));
                }
            };
        }
        add!(0, first, 0);
        add!(0, last, 2);
        add!(1, first, 4);
        add!(1, last, 6);
    }

    /// Of the plain loops the compiler makes vectors that take four times as long.
    #[inline(always)]
    fn codes(self, x: &[f32; BLOCK]) -> ([u32; BLOCK / 4], f32, i32) {
        // SAFETY: the vectors lie within the array.
        let x: [v128; BLOCK / 4] = core::array::from_fn(|at| unsafe { v128_load(x.as_ptr().add(4 * at).cast()) });
        let tops = x.iter().fold(f32x4_splat(0.0), |top, &x| f32x4_pmax(top, f32x4_abs(x)));
        let tops = f32x4_pmax(tops, i32x4_shuffle::<2, 3, 0, 1>(tops, tops));
        let top = f32x4_extract_lane::<0>(f32x4_pmax(tops, i32x4_shuffle::<1, 0, 3, 2>(tops, tops)));
        let inverse = f32x4_splat(if top > 0.0 { 127.0 / top } else { 0.0 });
        let code = |x| v128_and(f32x4_add(f32x4_mul(x, inverse), f32x4_splat(ROUND)), i32x4_splat(255));
        let (mut words, mut sums) = ([0; BLOCK / 4], i32x4_splat(0));
        for (words, x) in words.as_chunks_mut::<4>().0.iter_mut().zip(x.as_chunks::<4>().0) {
            let [a, b, c, d] = x.map(code);
            let codes = u8x16_narrow_i16x8(i16x8_narrow_i32x4(a, b), i16x8_narrow_i32x4(c, d));
            // SAFETY: four words are as long as a vector.
            unsafe { v128_store(words.as_mut_ptr().cast(), codes) };
            sums = i32x4_add(sums, i32x4_extadd_pairwise_i16x8(i16x8_extadd_pairwise_i8x16(codes)));
        }
        let sums = i32x4_add(sums, i32x4_shuffle::<2, 3, 0, 1>(sums, sums));
        (words, top, i32x4_extract_lane::<0>(sums) + i32x4_extract_lane::<1>(sums))
    }

    #[inline(always)]
    fn to_f(self, x: Pair) -> Pair {
        both!(f32x4_convert_i32x4, x)
    }

    #[inline(always)]
    fn sums(self, v: [Pair; MAX_LANES]) -> Pair {
        let four = |at: usize| {
            let low = sums_of_four([v[at].0, v[at + 1].0, v[at + 2].0, v[at + 3].0]);
            f32x4_add(low, sums_of_four([v[at].1, v[at + 1].1, v[at + 2].1, v[at + 3].1]))
        };
        (four(0), four(4))
    }

    #[inline(always)]
    fn at_least(self, a: Pair, b: Pair) -> u32 {
        u32::from(i32x4_bitmask(f32x4_ge(a.0, b.0))) | u32::from(i32x4_bitmask(f32x4_ge(a.1, b.1))) << 4
    }
}
