//! Arm NEON, which every 64-bit Arm has: pairs of registers, so that a vector has eight lanes. What newer ones multiply bytes with, and conversions of
//! half precision, have no intrinsics in Rust yet that need no nightly compiler, so they are written in assembly.

use core::arch::{aarch64::*, asm};

use super::vector::{Kernel, MAX_LANES, Simd};

/// With byte dot products of this kind.
#[derive(Clone, Copy)]
pub(crate) struct Neon<const DOT: u8>;

/// None but what the baseline can.
const PLAIN: u8 = 0;
/// SDOT: signed bytes times signed ones.
const SDOT: u8 = 1;
/// USDOT: unsigned bytes times signed ones.
const USDOT: u8 = 2;

/// Runs a kernel; the target's baseline needs no switch.
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<PLAIN>)
}

/// Runs a kernel on a machine that has `dotprod`.
#[target_feature(enable = "dotprod")]
pub(super) fn run_dot<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<SDOT>)
}

/// Runs a kernel on a machine that has `i8mm`.
#[target_feature(enable = "i8mm")]
pub(super) fn run_i8mm<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<USDOT>)
}

/// sum + w . a in each lane, signed bytes.
///
/// # Safety
/// The machine has `dotprod`.
#[inline(always)]
unsafe fn sdot(mut sum: int32x4_t, w: int32x4_t, a: int32x4_t) -> int32x4_t {
    // SAFETY: the caller's promise; it computes of registers alone.
    unsafe {
        asm!(".arch_extension dotprod", "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sum, in(vreg) w, in(vreg) a,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

/// sum + w . a in each lane, unsigned bytes times signed ones.
///
/// # Safety
/// The machine has `i8mm`.
#[inline(always)]
unsafe fn usdot(mut sum: int32x4_t, w: int32x4_t, a: int32x4_t) -> int32x4_t {
    // SAFETY: the caller's promise; it computes of registers alone.
    unsafe {
        asm!(".arch_extension i8mm", "usdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sum, in(vreg) w, in(vreg) a,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

macro_rules! both {
    ($f:ident, $($v:ident),+) => {
        // SAFETY: NEON is part of the target's baseline.
        unsafe { ($f($($v.0),+), $f($($v.1),+)) }
    };
}

impl<const DOT: u8> Neon<DOT> {
    /// In each lane: sum + the dot product of four unsigned bytes of `w` with four signed bytes of `a`.
    /// Bytes of `w` minus 128 are signed, and their products with `a` fit 16 bits in pairs; 128 times the sum of `a` makes up.
    #[inline(always)]
    fn dot4(
        self,
        sum: (int32x4_t, int32x4_t),
        w: (int32x4_t, int32x4_t),
        a: (int32x4_t, int32x4_t),
    ) -> (int32x4_t, int32x4_t) {
        let half = |sum: int32x4_t, w: int32x4_t, a: int32x4_t| {
            if DOT == USDOT {
                // SAFETY: the token exists only where there is `i8mm`.
                return unsafe { usdot(sum, w, a) };
            }
            if DOT == SDOT {
                // SAFETY: the token exists only where there is `dotprod`.
                unsafe {
                    let signed = veorq_s32(w, vreinterpretq_s32_s8(vdupq_n_s8(-128)));
                    let ones = vreinterpretq_s32_s8(vdupq_n_s8(1));
                    return vaddq_s32(sdot(sum, signed, a), vshlq_n_s32::<7>(sdot(vdupq_n_s32(0), ones, a)));
                }
            }
            // SAFETY: NEON is part of the target's baseline.
            unsafe {
                let (w, a) = (vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(a));
                let w = veorq_s8(w, vdupq_n_s8(-128));
                let low = vmull_s8(vget_low_s8(w), vget_low_s8(a));
                let high = vmull_s8(vget_high_s8(w), vget_high_s8(a));
                let sum = vpadalq_s16(sum, vpaddq_s16(low, high));
                vaddq_s32(sum, vshlq_n_s32::<7>(vpaddlq_s16(vpaddlq_s8(a))))
            }
        };
        (half(sum.0, w.0, a.0), half(sum.1, w.1, a.1))
    }
}

impl<const DOT: u8> Simd for Neon<DOT> {
    type F = (float32x4_t, float32x4_t);
    type I = (int32x4_t, int32x4_t);
    const LANES: usize = 8;
    const SUMS: usize = 12;
    const BYTE_SUMS: usize = 6;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        let x = (x, x);
        both!(vdupq_n_f32, x)
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        both!(vaddq_f32, a, b)
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        both!(vsubq_f32, a, b)
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        both!(vmulq_f32, a, b)
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        both!(vdivq_f32, a, b)
    }

    #[inline(always)]
    fn sqrt(self, x: f32) -> f32 {
        // SAFETY: NEON is part of the target's baseline.
        unsafe { vgetq_lane_f32::<0>(vsqrtq_f32(vdupq_n_f32(x))) }
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        both!(vmaxq_f32, a, b)
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        both!(vminq_f32, a, b)
    }

    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        both!(vfmaq_f32, c, a, b)
    }

    #[inline(always)]
    fn pow2(self, n: Self::F) -> Self::F {
        // 2^23 + 127 puts n + 127 in the low bits.
        let n = self.add(n, self.splat(8_388_735.0));
        let bits = both!(vreinterpretq_u32_f32, n);
        // SAFETY: NEON is part of the target's baseline.
        let bits = unsafe { (vshlq_n_u32::<23>(bits.0), vshlq_n_u32::<23>(bits.1)) };
        both!(vreinterpretq_f32_u32, bits)
    }

    #[inline(always)]
    fn turn(self, x: Self::F, by: Self::F) -> Self::F {
        let (cos, sin) = (both!(vtrn1q_f32, by, by), both!(vtrn2q_f32, by, by));
        let swapped = both!(vrev64q_f32, x);
        // (re, im) * i = (-im, re): the swapped lanes with the first of each pair negated.
        let sign = [-1.0f32, 1.0, -1.0, 1.0];
        // SAFETY: `sign` has four elements.
        let sign = unsafe { vld1q_f32(sign.as_ptr()) };
        let sign = (sign, sign);
        self.fma(x, cos, self.mul(self.mul(swapped, sign), sin))
    }

    #[inline(always)]
    unsafe fn load_at(self, x: *const f32) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { (vld1q_f32(x), vld1q_f32(x.add(4))) }
    }

    #[inline(always)]
    unsafe fn halves_at(self, x: *const u16) -> Self::F {
        // SAFETY: the caller's promise.
        let halves = unsafe { vld1q_u16(x) };
        let (low, high): (float32x4_t, float32x4_t);
        // SAFETY: part of the target's baseline; it computes of registers alone.
        unsafe {
            asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) low, in(vreg) halves, options(pure, nomem, nostack, preserves_flags));
            asm!("fcvtl2 {0:v}.4s, {1:v}.8h", out(vreg) high, in(vreg) halves, options(pure, nomem, nostack, preserves_flags));
        }
        (low, high)
    }

    #[inline(always)]
    unsafe fn load_first(self, x: *const f32, n: usize) -> Self::F {
        let mut lanes = [0.0; 8];
        // SAFETY: the caller's promise; then eight elements of an array.
        unsafe {
            lanes[..n].copy_from_slice(core::slice::from_raw_parts(x, n));
            self.load_at(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store_first(self, y: *mut f32, n: usize, v: Self::F) {
        let mut lanes = [0.0; 8];
        // SAFETY: eight elements of an array, then the caller's promise.
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), v.0);
            vst1q_f32(lanes.as_mut_ptr().add(4), v.1);
            core::slice::from_raw_parts_mut(y, n).copy_from_slice(&lanes[..n]);
        }
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> Self::I {
        let x = (x, x);
        both!(vdupq_n_s32, x)
    }

    #[inline(always)]
    unsafe fn dots<const R: usize>(self, sums: &mut [Self::I; R], w: *const u32, a: [u32; R]) {
        // SAFETY: the caller's promise.
        let w = unsafe { (vld1q_s32(w.cast()), vld1q_s32(w.cast::<i32>().add(4))) };
        for (sum, a) in sums.iter_mut().zip(a) {
            *sum = self.dot4(*sum, w, self.splat_i(a as i32));
        }
    }

    #[inline(always)]
    fn to_f(self, x: Self::I) -> Self::F {
        both!(vcvtq_f32_s32, x)
    }

    #[inline(always)]
    fn sums(self, v: [Self::F; MAX_LANES]) -> Self::F {
        let four = |v: &[Self::F]| {
            // SAFETY: NEON is part of the target's baseline.
            unsafe {
                let [a, b, c, d] = [0, 1, 2, 3].map(|i: usize| vaddq_f32(v[i].0, v[i].1));
                vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d))
            }
        };
        (four(&v[..4]), four(&v[4..8]))
    }

    #[inline(always)]
    fn at_least(self, a: Self::F, b: Self::F) -> u32 {
        let bits = both!(vcgeq_f32, a, b);
        let weights = [1u32, 2, 4, 8];
        // SAFETY: `weights` has four elements; NEON is part of the target's baseline.
        unsafe {
            let weights = vld1q_u32(weights.as_ptr());
            vaddvq_u32(vandq_u32(bits.0, weights)) | vaddvq_u32(vandq_u32(bits.1, weights)) << 4
        }
    }
}
