//! Exponentials sixteen at a time: softmax and GELU where [`Bf16`](super::bf16::Bf16) products are used. `activation` has the same for all
//! CPUs, to the last bit the same on each; here multiplications and additions are fused, and divisions are reciprocals with
//! one step of Newton's: relative errors below 1e-6 either way.

#![cfg_attr(not(target_arch = "x86_64"), allow(unused))]

use super::bf16::Bf16;

/// Softmax of `row` in place.
pub fn softmax(_: Bf16, row: &mut [f32]) {
    // SAFETY: a `Bf16` proves AVX-512.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        lanes::softmax(row)
    }
}

/// GELU(tanh) of `x` in `y`.
pub fn gelu(_: Bf16, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len());
    // SAFETY: a `Bf16` proves AVX-512, and the lengths are the same.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        lanes::gelu(x, y)
    }
}

/// Turns the gradient of [`gelu`]'s result into that of x, in place.
pub fn gelu_back(_: Bf16, x: &[f32], dy: &mut [f32]) {
    assert_eq!(x.len(), dy.len());
    // SAFETY: a `Bf16` proves AVX-512, and the lengths are the same.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        lanes::gelu_back(x, dy)
    }
}

#[cfg(target_arch = "x86_64")]
mod lanes {
    use std::arch::x86_64::*;

    use super::super::activation::{A, B};

    /// Lanes of a vector.
    const N: usize = 16;

    /// Calls `f` with the place of each vector of `len` values, and the mask of those that are there.
    #[inline(always)]
    fn each(len: usize, mut f: impl FnMut(usize, u16)) {
        for at in (0..len).step_by(N) {
            f(at, if len - at < N { (1 << (len - at)) - 1 } else { u16::MAX });
        }
    }

    /// exp, of arguments clamped to +-87: the remainder of a multiple of ln 2 by Taylor's polynomial of degree 6, at most 0.35.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn exp(x: __m512) -> __m512 {
        let all = |x: f32| _mm512_set1_ps(x);
        let x = _mm512_max_ps(_mm512_min_ps(x, all(87.0)), all(-87.0));
        let n = _mm512_roundscale_ps::<0>(_mm512_mul_ps(x, all(std::f32::consts::LOG2_E)));
        let r = _mm512_fnmadd_ps(n, all(0.693_359_4), x);
        let r = _mm512_fnmadd_ps(n, all(-2.121_944_4e-4), r);
        let mut p = all(1.0 / 720.0);
        for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            p = _mm512_fmadd_ps(p, r, all(c));
        }
        _mm512_scalef_ps(p, n)
    }

    /// 1 / x for x >= 1.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn reciprocal(x: __m512) -> __m512 {
        let y = _mm512_rcp14_ps(x);
        _mm512_mul_ps(y, _mm512_fnmadd_ps(x, y, _mm512_set1_ps(2.0)))
    }

    /// sigmoid(2a) of GELU, and x^2.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn gate(x: __m512) -> (__m512, __m512) {
        let square = _mm512_mul_ps(x, x);
        let slope = _mm512_fmadd_ps(square, _mm512_set1_ps(-A * B), _mm512_set1_ps(-A));
        (reciprocal(_mm512_add_ps(_mm512_set1_ps(1.0), exp(_mm512_mul_ps(x, slope)))), square)
    }

    #[target_feature(enable = "avx512f")]
    pub unsafe fn softmax(row: &mut [f32]) {
        let (len, row) = (row.len(), row.as_mut_ptr());
        let least = _mm512_set1_ps(f32::MIN);
        let (mut top, mut sum) = (least, _mm512_setzero_ps());
        // SAFETY: masks keep to the row, here and below.
        each(len, |at, mask| unsafe { top = _mm512_max_ps(top, _mm512_mask_loadu_ps(least, mask, row.add(at))) });
        let top = _mm512_set1_ps(_mm512_reduce_max_ps(top));
        // SAFETY: as above.
        each(len, |at, mask| unsafe {
            let x = exp(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, row.add(at)), top));
            _mm512_mask_storeu_ps(row.add(at), mask, x);
            sum = _mm512_mask_add_ps(sum, mask, sum, x);
        });
        let inverse = _mm512_set1_ps(1.0 / _mm512_reduce_add_ps(sum));
        // SAFETY: as above.
        each(len, |at, mask| unsafe {
            let x = _mm512_maskz_loadu_ps(mask, row.add(at));
            _mm512_mask_storeu_ps(row.add(at), mask, _mm512_mul_ps(x, inverse));
        });
    }

    #[target_feature(enable = "avx512f")]
    pub unsafe fn gelu(x: &[f32], y: &mut [f32]) {
        // SAFETY: masks keep to the slices, which have the same length.
        each(x.len(), |at, mask| unsafe {
            let x = _mm512_maskz_loadu_ps(mask, x.as_ptr().add(at));
            _mm512_mask_storeu_ps(y.as_mut_ptr().add(at), mask, _mm512_mul_ps(x, gate(x).0));
        });
    }

    #[target_feature(enable = "avx512f")]
    pub unsafe fn gelu_back(x: &[f32], dy: &mut [f32]) {
        let one = _mm512_set1_ps(1.0);
        // SAFETY: masks keep to the slices, which have the same length.
        each(x.len(), |at, mask| unsafe {
            let to = dy.as_mut_ptr().add(at);
            let (x, dy) = (_mm512_maskz_loadu_ps(mask, x.as_ptr().add(at)), _mm512_maskz_loadu_ps(mask, to));
            let (s, square) = gate(x);
            // s + x s (1 - s) A (1 + 3 B x^2)
            let slope = _mm512_fmadd_ps(square, _mm512_set1_ps(3.0 * A * B), _mm512_set1_ps(A));
            let rest = _mm512_mul_ps(_mm512_mul_ps(x, slope), _mm512_sub_ps(one, s));
            _mm512_mask_storeu_ps(to, mask, _mm512_mul_ps(dy, _mm512_fmadd_ps(s, rest, s)));
        });
    }
}
