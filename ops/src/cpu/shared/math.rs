//! Transcendental functions on vectors, by polynomials, so that every instruction set has them.
//!
//! Errors against the exact functions: `exp` 3e-7 relative (and 0 below -88), `sigmoid` 2e-7 absolute, `tanh` 4e-7 absolute, `erfc` 2e-7 absolute.

use crate::{cpu::simd::Simd, op::Activation};

/// e^x: 2^n e^r with r within half of ln 2, and a polynomial for (e^r - 1 - r) / r^2 interpolated at its Chebyshev nodes.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    const LOG2_E: f32 = core::f32::consts::LOG2_E;
    /// ln 2 in two parts, the first with few bits so that its product with n is exact.
    const LN2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 4] = [8.363_203e-3, 4.166_655_4e-2, 1.666_657_7e-1, 0.5];
    /// Adding 1.5 * 2^23 leaves no fraction bits.
    const ROUND: f32 = 12_582_912.0;
    // At -88, n is -127 and the power 0; at 88 it is finite.
    let x = s.max(s.splat(-88.0), s.min(s.splat(88.0), x));
    let n = s.sub(s.fma(x, s.splat(LOG2_E), s.splat(ROUND)), s.splat(ROUND));
    let r = s.fma(n, s.splat(-LN2[0]), x);
    let r = s.fma(n, s.splat(-LN2[1]), r);
    let mut p = s.splat(1.392_621_4e-3);
    for c in POLYNOMIAL {
        p = s.fma(p, r, s.splat(c));
    }
    let p = s.fma(s.mul(r, r), p, s.add(r, s.splat(1.0)));
    s.mul(p, s.pow2(n))
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    s.div(s.splat(1.0), s.add(s.splat(1.0), exp(s, s.sub(s.splat(0.0), x))))
}

/// An activation of each lane. GELU's 1/2 (1 + tanh u) is sigmoid(2u).
#[inline(always)]
pub(crate) fn activate<S: Simd>(s: S, activation: Activation, x: S::F) -> S::F {
    match activation {
        Activation::None => x,
        Activation::Relu => s.max(x, s.splat(0.0)),
        Activation::Silu => s.mul(x, sigmoid(s, x)),
        Activation::Gelu => {
            /// 2 sqrt(2 / pi).
            const TWICE: f32 = 1.595_769;
            let cubic = s.fma(s.mul(x, x), s.splat(0.044_715 * TWICE), s.splat(TWICE));
            s.mul(x, sigmoid(s, s.mul(x, cubic)))
        }
        Activation::GeluErf => {
            // max(x, 0) - |x|/2 erfc(|x| / sqrt(2)), erfc by a polynomial in t (Abramowitz and Stegun 7.1.26).
            const POLYNOMIAL: [f32; 4] = [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
            let size = s.max(x, s.sub(s.splat(0.0), x));
            let t =
                s.div(s.splat(1.0), s.fma(size, s.splat(0.327_591_1 * core::f32::consts::FRAC_1_SQRT_2), s.splat(1.0)));
            let mut p = s.splat(1.061_405_4);
            for c in POLYNOMIAL {
                p = s.fma(p, t, s.splat(c));
            }
            let tail = s.mul(s.mul(p, t), exp(s, s.mul(s.mul(size, size), s.splat(-0.5))));
            s.fma(s.mul(size, s.splat(-0.5)), tail, s.max(x, s.splat(0.0)))
        }
        Activation::SoftClamp => {
            let y = sigmoid(s, s.mul(x, s.splat(2.0 / 3.0)));
            s.fma(y, s.splat(6.0), s.splat(-3.0))
        }
    }
}
