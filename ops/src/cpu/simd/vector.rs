//! Vectors of a fixed number of lanes, and work that is written against them.

use crate::quant::BLOCK;

/// Vectors of `f32` and `i32` of the same number of lanes.
///
/// Implementations are `#[inline(always)]`, and so must be everything on the way from [`Kernel::run`] to them.
pub(crate) trait Simd: Copy {
    /// `LANES` numbers.
    type F: Copy;
    /// `LANES` integers of 32 bits, or four times as many bytes.
    type I: Copy;
    /// Lanes of a vector, at most [`MAX_LANES`].
    const LANES: usize;
    /// Vectors of sums that fit the registers beside what else a tile needs, at most [`MAX_SUMS`](crate::cpu::shared::gemm::MAX_SUMS).
    const SUMS: usize;
    /// The same for byte dot products, which need integer sums besides.
    const BYTE_SUMS: usize;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::F;
    /// a + b.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// a - b.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// a * b.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// a / b.
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// The square root of one number.
    fn sqrt(self, x: f32) -> f32;
    /// The larger of each lane.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller of each lane.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// a * b + c, fused where the instruction set can.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// 2^n for whole n in -127 ..= 127; 0 for -127.
    fn pow2(self, n: Self::F) -> Self::F;
    /// Products of complex numbers, (re, im) in adjacent lanes.
    fn turn(self, x: Self::F, by: Self::F) -> Self::F;
    /// `LANES` numbers from `x` on.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn load_at(self, x: *const f32) -> Self::F;
    /// `LANES` numbers in half precision from `x` on, all finite.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn halves_at(self, x: *const u16) -> Self::F;
    /// The first `n <= LANES` numbers from `x` on, then zeros.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn load_first(self, x: *const f32, n: usize) -> Self::F;
    /// Writes the first `n <= LANES` lanes.
    ///
    /// # Safety
    /// `n` numbers must be writable.
    unsafe fn store_first(self, y: *mut f32, n: usize, v: Self::F);
    /// All lanes `x`.
    fn splat_i(self, x: i32) -> Self::I;
    /// Adds to each lane of a sum the dot product of four unsigned bytes, those of the lane from `w` on, with the four signed bytes of the sum's own word of
    /// `a`, none of them -128. With [`PAIRED`] the bytes of four lanes lie in another order.
    ///
    /// # Safety
    /// `LANES` words must be readable.
    unsafe fn dots<const R: usize>(self, sums: &mut [Self::I; R], w: *const u32, a: [u32; R]);
    /// Integers below 2^24 in magnitude as numbers.
    fn to_f(self, x: Self::I) -> Self::F;

    /// In lane i the sum of all lanes of vector i; vectors from `LANES` on do not count.
    fn sums(self, v: [Self::F; MAX_LANES]) -> Self::F;
    /// A bit for each lane, whether a >= b.
    fn at_least(self, a: Self::F, b: Self::F) -> u32;

    /// Starts to bring the cache line at `x` nearer; any address will do.
    #[inline(always)]
    fn prefetch<T>(self, x: *const T) {
        let _ = x;
    }

    /// Numbers as bytes of which the largest magnitude is 127: the bytes, that magnitude, and the sum of the bytes. Plain loops over fixed arrays, of
    /// which most compilers make vectors.
    #[inline(always)]
    fn codes(self, x: &[f32; BLOCK]) -> ([u32; BLOCK / 4], f32, i32) {
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
        let mut words = [0; BLOCK / 4];
        for (word, codes) in words.iter_mut().zip(codes.as_chunks::<4>().0) {
            let [a, b, c, d] = codes.map(|code| code as u32 & 255);
            *word = a | b << 8 | c << 16 | d << 24;
        }
        (words, top, codes.iter().sum())
    }

    /// The first `LANES` numbers of `x`, or all and then zeros.
    #[inline(always)]
    fn load(self, x: &[f32]) -> Self::F {
        // SAFETY: both reads are within the slice.
        unsafe { if x.len() >= Self::LANES { self.load_at(x.as_ptr()) } else { self.load_first(x.as_ptr(), x.len()) } }
    }

    /// Writes as many lanes as `y` has room for.
    #[inline(always)]
    fn store(self, y: &mut [f32], v: Self::F) {
        // SAFETY: the write is within the slice.
        unsafe { self.store_first(y.as_mut_ptr(), y.len().min(Self::LANES), v) }
    }

    /// Sum of all lanes, always in the same order.
    #[inline(always)]
    fn sum(self, v: Self::F) -> f32 {
        let mut lanes = [0.0; MAX_LANES];
        self.store(&mut lanes[..Self::LANES], v);
        let mut width = Self::LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
            width /= 2;
        }
        lanes[0]
    }

    /// The largest lane.
    #[inline(always)]
    fn top(self, v: Self::F) -> f32 {
        let mut lanes = [0.0f32; MAX_LANES];
        self.store(&mut lanes[..Self::LANES], v);
        let mut width = Self::LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] = if lanes[i] > lanes[i + width] { lanes[i] } else { lanes[i + width] };
            }
            width /= 2;
        }
        lanes[0]
    }
}

/// Adding 1.5 * 2^23 leaves no fraction bits, and the whole number in the low byte.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// Whether weights' bytes lie in pairs: of four lanes the first two bytes of each, then the last two of each. WebAssembly multiplies pairs of 16-bit numbers,
/// and widens bytes as it loads them.
pub(crate) const PAIRED: bool = cfg!(all(target_arch = "wasm32", target_feature = "simd128"));

/// Most lanes of any instruction set.
pub(crate) const MAX_LANES: usize = 16;

/// Calls `f(first, numbers)` for each vector of `len` numbers. All but the last are full, a constant for the compiler. `f` must be
/// `#[inline(always)]` like everything else in a kernel.
#[inline(always)]
pub(crate) fn vectors<S: Simd>(_: S, len: usize, mut f: impl FnMut(usize, usize)) {
    let full = len / S::LANES * S::LANES;
    for first in (0..full).step_by(S::LANES) {
        f(first, S::LANES);
    }
    if full < len {
        f(full, len - full);
    }
}

/// Work that can be instantiated for any instruction set.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;
    /// Whether it uses [`Simd::dots`]. Others need no copy of their own for instruction sets that differ in nothing else.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        allow(dead_code, reason = "others have no such instruction sets")
    )]
    const BYTES: bool = false;

    /// Does the work. Implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}
