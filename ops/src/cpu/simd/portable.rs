//! Lanes in plain Rust: eight, whatever the machine has, and no fused multiply-add, so that every machine computes the same bits.

use super::vector::{MAX_LANES, Simd};

#[derive(Clone, Copy)]
pub(crate) struct Portable;

const LANES: usize = 8;

#[inline(always)]
fn zip<T: Copy>(a: [T; LANES], b: [T; LANES], f: impl Fn(T, T) -> T) -> [T; LANES] {
    core::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type F = [f32; LANES];
    type I = [i32; LANES];
    const LANES: usize = LANES;
    const SUMS: usize = 6;
    const BYTE_SUMS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn sqrt(self, x: f32) -> f32 {
        libm::sqrtf(x)
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn pow2(self, n: Self::F) -> Self::F {
        // 2^23 + 127 puts n + 127 in the low bits.
        n.map(|n| f32::from_bits((n + 8_388_735.0).to_bits() << 23))
    }

    #[inline(always)]
    fn turn(self, x: Self::F, by: Self::F) -> Self::F {
        let mut y = x;
        for i in (0..LANES).step_by(2) {
            y[i] = x[i] * by[i] - x[i + 1] * by[i + 1];
            y[i + 1] = x[i + 1] * by[i] + x[i] * by[i + 1];
        }
        y
    }

    #[inline(always)]
    unsafe fn load_at(self, x: *const f32) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { x.cast::<Self::F>().read_unaligned() }
    }

    /// The exponent's bias differs by 112, which a product mends for subnormals too.
    #[inline(always)]
    unsafe fn halves_at(self, x: *const u16) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { x.cast::<[u16; LANES]>().read_unaligned() }.map(|half| {
            let (sign, rest) = (u32::from(half & 0x8000) << 16, u32::from(half & 0x7fff) << 13);
            let size = f32::from_bits(rest) * f32::from_bits((127 + 112) << 23);
            f32::from_bits(size.to_bits() | sign)
        })
    }

    #[inline(always)]
    unsafe fn load_first(self, x: *const f32, n: usize) -> Self::F {
        let mut lanes = [0.0; LANES];
        // SAFETY: the caller's promise.
        lanes[..n].copy_from_slice(unsafe { core::slice::from_raw_parts(x, n) });
        lanes
    }

    #[inline(always)]
    unsafe fn store_first(self, y: *mut f32, n: usize, v: Self::F) {
        // SAFETY: the caller's promise.
        unsafe { core::slice::from_raw_parts_mut(y, n) }.copy_from_slice(&v[..n]);
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> Self::I {
        [x; LANES]
    }

    #[inline(always)]
    unsafe fn dots<const R: usize>(self, sums: &mut [Self::I; R], w: *const u32, a: [u32; R]) {
        // SAFETY: the caller's promise.
        let w = unsafe { w.cast::<Self::I>().read_unaligned() };
        for (sums, a) in sums.iter_mut().zip(a) {
            for (sum, w) in sums.iter_mut().zip(w) {
                let product = |shift: u32| ((w >> shift) & 255) * (((a as i32) << (24 - shift)) >> 24);
                *sum += product(0) + product(8) + product(16) + product(24);
            }
        }
    }

    #[inline(always)]
    fn to_f(self, x: Self::I) -> Self::F {
        x.map(|x| x as f32)
    }

    /// Neighbours first, like the others.
    #[inline(always)]
    fn sums(self, v: [Self::F; MAX_LANES]) -> Self::F {
        core::array::from_fn(|i| {
            let v = v[i];
            ((v[0] + v[2]) + (v[1] + v[3])) + ((v[4] + v[6]) + (v[5] + v[7]))
        })
    }

    #[inline(always)]
    fn at_least(self, a: Self::F, b: Self::F) -> u32 {
        (0..LANES).fold(0, |mask, i| mask | u32::from(a[i] >= b[i]) << i)
    }
}
