//! AVX2 with FMA, and AVX-512, each with and without byte dot products (VNNI).

use core::arch::x86_64::*;

use super::vector::{Kernel, MAX_LANES, Simd};

/// Proof that AVX2, FMA and F16C are there, and AVX-VNNI where it says so.
#[derive(Clone, Copy)]
pub(crate) struct Avx2<const VNNI: bool>(());

/// Proof that AVX-512 F, BW, DQ and VL are there, and VNNI where it says so.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const VNNI: bool>(());

/// Runs a kernel compiled for AVX2.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2::<false>(()))
}

/// Runs a kernel compiled for AVX2 with VNNI.
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
pub(super) fn run_avx2_vnni<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2::<true>(()))
}

/// Runs a kernel compiled for AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<false>(()))
}

/// Runs a kernel compiled for AVX-512 with VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn run_avx512_vnni<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<true>(()))
}

macro_rules! proven {
    ($call:expr) => {
        // SAFETY: the token proves that the instructions are there.
        unsafe { $call }
    };
}

macro_rules! passed_on {
    ($call:expr) => {
        // SAFETY: the token proves that the instructions are there; what the memory must be like is the caller's promise.
        unsafe { $call }
    };
}

/// Masks of the first n of 8 lanes: eight words from 8 - n on.
static FIRST: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl<const VNNI: bool> Avx2<VNNI> {
    /// In each lane: sum + the dot product of four unsigned bytes of `w` with four signed bytes of `a`.
    /// Even and odd bytes apart, so that products of full-range bytes do not saturate as those of `maddubs` do.
    #[inline(always)]
    fn dot4(self, sum: __m256i, w: __m256i, a: __m256i) -> __m256i {
        if VNNI {
            return proven!(_mm256_dpbusd_avx_epi32(sum, w, a));
        }
        let w_even = proven!(_mm256_and_si256(w, _mm256_set1_epi16(255)));
        let w_odd = proven!(_mm256_srli_epi16::<8>(w));
        let a_even = proven!(_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(a)));
        let a_odd = proven!(_mm256_srai_epi16::<8>(a));
        let sum = proven!(_mm256_add_epi32(sum, _mm256_madd_epi16(w_even, a_even)));
        proven!(_mm256_add_epi32(sum, _mm256_madd_epi16(w_odd, a_odd)))
    }
}

impl<const VNNI: bool> Simd for Avx2<VNNI> {
    type F = __m256;
    type I = __m256i;
    const LANES: usize = 8;
    const SUMS: usize = 12;
    const BYTE_SUMS: usize = if VNNI { 6 } else { 4 };

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        proven!(_mm256_set1_ps(x))
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        proven!(_mm256_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        proven!(_mm256_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        proven!(_mm256_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        proven!(_mm256_div_ps(a, b))
    }

    #[inline(always)]
    fn sqrt(self, x: f32) -> f32 {
        proven!(_mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))))
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        proven!(_mm256_max_ps(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        proven!(_mm256_min_ps(a, b))
    }

    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        proven!(_mm256_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn pow2(self, n: __m256) -> __m256 {
        // 2^23 + 127 puts n + 127 in the low bits.
        let bits = proven!(_mm256_castps_si256(_mm256_add_ps(n, _mm256_set1_ps(8_388_735.0))));
        proven!(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(bits)))
    }

    #[inline(always)]
    fn turn(self, x: __m256, by: __m256) -> __m256 {
        let crossed = proven!(_mm256_mul_ps(_mm256_permute_ps::<0b10_11_00_01>(x), _mm256_movehdup_ps(by)));
        proven!(_mm256_fmaddsub_ps(x, _mm256_moveldup_ps(by), crossed))
    }

    #[inline(always)]
    fn prefetch<T>(self, x: *const T) {
        proven!(_mm_prefetch::<_MM_HINT_T0>(x.cast()));
    }

    #[inline(always)]
    unsafe fn load_at(self, x: *const f32) -> __m256 {
        passed_on!(_mm256_loadu_ps(x))
    }

    #[inline(always)]
    unsafe fn halves_at(self, x: *const u16) -> __m256 {
        passed_on!(_mm256_cvtph_ps(_mm_loadu_si128(x.cast())))
    }

    #[inline(always)]
    unsafe fn load_first(self, x: *const f32, n: usize) -> __m256 {
        let mask = FIRST[8 - n..].as_ptr();
        passed_on!(_mm256_maskload_ps(x, _mm256_loadu_si256(mask.cast())))
    }

    #[inline(always)]
    unsafe fn store_first(self, y: *mut f32, n: usize, v: __m256) {
        if n == 8 {
            return passed_on!(_mm256_storeu_ps(y, v));
        }
        let mask = FIRST[8 - n..].as_ptr();
        passed_on!(_mm256_maskstore_ps(y, _mm256_loadu_si256(mask.cast()), v));
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> __m256i {
        proven!(_mm256_set1_epi32(x))
    }

    #[inline(always)]
    unsafe fn dots<const R: usize>(self, sums: &mut [__m256i; R], w: *const u32, a: [u32; R]) {
        let w = passed_on!(_mm256_loadu_si256(w.cast()));
        for (sum, a) in sums.iter_mut().zip(a) {
            *sum = self.dot4(*sum, w, self.splat_i(a as i32));
        }
    }

    #[inline(always)]
    fn to_f(self, x: __m256i) -> __m256 {
        proven!(_mm256_cvtepi32_ps(x))
    }

    #[inline(always)]
    fn sums(self, v: [__m256; MAX_LANES]) -> __m256 {
        macro_rules! pair {
            ($a:expr, $b:expr) => {
                _mm256_castps_pd(_mm256_add_ps(_mm256_unpacklo_ps($a, $b), _mm256_unpackhi_ps($a, $b)))
            };
        }
        macro_rules! four {
            ($i:literal) => {{
                let (low, high) = (pair!(v[$i], v[$i + 1]), pair!(v[$i + 2], v[$i + 3]));
                let (even, odd) = (_mm256_unpacklo_pd(low, high), _mm256_unpackhi_pd(low, high));
                _mm256_add_ps(_mm256_castpd_ps(even), _mm256_castpd_ps(odd))
            }};
        }
        let (a, b) = proven!((four!(0), four!(4)));
        proven!(_mm256_add_ps(_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b)))
    }

    #[inline(always)]
    fn at_least(self, a: __m256, b: __m256) -> u32 {
        proven!(_mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(a, b))) as u32
    }
}

impl<const VNNI: bool> Avx512<VNNI> {
    /// In each lane: sum + the dot product of four unsigned bytes of `w` with four signed bytes of `a`.
    #[inline(always)]
    fn dot4(self, sum: __m512i, w: __m512i, a: __m512i) -> __m512i {
        if VNNI {
            return proven!(_mm512_dpbusd_epi32(sum, w, a));
        }
        // As for AVX2.
        let w_even = proven!(_mm512_and_si512(w, _mm512_set1_epi16(255)));
        let w_odd = proven!(_mm512_srli_epi16::<8>(w));
        let a_even = proven!(_mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(a)));
        let a_odd = proven!(_mm512_srai_epi16::<8>(a));
        let sum = proven!(_mm512_add_epi32(sum, _mm512_madd_epi16(w_even, a_even)));
        proven!(_mm512_add_epi32(sum, _mm512_madd_epi16(w_odd, a_odd)))
    }
}

impl<const VNNI: bool> Simd for Avx512<VNNI> {
    type F = __m512;
    type I = __m512i;
    const LANES: usize = 16;
    const SUMS: usize = 16;
    const BYTE_SUMS: usize = 12;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        proven!(_mm512_set1_ps(x))
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_div_ps(a, b))
    }

    #[inline(always)]
    fn sqrt(self, x: f32) -> f32 {
        proven!(_mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))))
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_max_ps(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_min_ps(a, b))
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        proven!(_mm512_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn pow2(self, n: __m512) -> __m512 {
        // 2^23 + 127 puts n + 127 in the low bits.
        let bits = proven!(_mm512_castps_si512(_mm512_add_ps(n, _mm512_set1_ps(8_388_735.0))));
        proven!(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(bits)))
    }

    #[inline(always)]
    fn turn(self, x: __m512, by: __m512) -> __m512 {
        let crossed = proven!(_mm512_mul_ps(_mm512_permute_ps::<0b10_11_00_01>(x), _mm512_movehdup_ps(by)));
        proven!(_mm512_fmaddsub_ps(x, _mm512_moveldup_ps(by), crossed))
    }

    #[inline(always)]
    fn prefetch<T>(self, x: *const T) {
        proven!(_mm_prefetch::<_MM_HINT_T0>(x.cast()));
    }

    #[inline(always)]
    unsafe fn load_at(self, x: *const f32) -> __m512 {
        passed_on!(_mm512_loadu_ps(x))
    }

    #[inline(always)]
    unsafe fn halves_at(self, x: *const u16) -> __m512 {
        passed_on!(_mm512_cvtph_ps(_mm256_loadu_si256(x.cast())))
    }

    #[inline(always)]
    unsafe fn load_first(self, x: *const f32, n: usize) -> __m512 {
        passed_on!(_mm512_maskz_loadu_ps(((1u32 << n) - 1) as u16, x))
    }

    #[inline(always)]
    unsafe fn store_first(self, y: *mut f32, n: usize, v: __m512) {
        if n == 16 {
            return passed_on!(_mm512_storeu_ps(y, v));
        }
        passed_on!(_mm512_mask_storeu_ps(y, ((1u32 << n) - 1) as u16, v));
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> __m512i {
        proven!(_mm512_set1_epi32(x))
    }

    #[inline(always)]
    unsafe fn dots<const R: usize>(self, sums: &mut [__m512i; R], w: *const u32, a: [u32; R]) {
        let w = passed_on!(_mm512_loadu_si512(w.cast()));
        for (sum, a) in sums.iter_mut().zip(a) {
            *sum = self.dot4(*sum, w, self.splat_i(a as i32));
        }
    }

    #[inline(always)]
    fn to_f(self, x: __m512i) -> __m512 {
        proven!(_mm512_cvtepi32_ps(x))
    }

    #[inline(always)]
    fn sums(self, v: [__m512; MAX_LANES]) -> __m512 {
        macro_rules! pair {
            ($a:expr, $b:expr) => {
                _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps($a, $b), _mm512_unpackhi_ps($a, $b)))
            };
        }
        macro_rules! four {
            ($i:literal) => {{
                let (low, high) = (pair!(v[$i], v[$i + 1]), pair!(v[$i + 2], v[$i + 3]));
                let (even, odd) = (_mm512_unpacklo_pd(low, high), _mm512_unpackhi_pd(low, high));
                _mm512_add_ps(_mm512_castpd_ps(even), _mm512_castpd_ps(odd))
            }};
        }
        // Quarters of a vector: even and odd ones of two vectors, twice.
        macro_rules! halve {
            ($a:expr, $b:expr) => {{
                let (a, b) = ($a, $b);
                _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b))
            }};
        }
        proven!(halve!(halve!(four!(0), four!(4)), halve!(four!(8), four!(12))))
    }

    #[inline(always)]
    fn at_least(self, a: __m512, b: __m512) -> u32 {
        u32::from(proven!(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(a, b)))
    }

    #[inline(always)]
    fn top(self, v: __m512) -> f32 {
        proven!(_mm512_reduce_max_ps(v))
    }
}
