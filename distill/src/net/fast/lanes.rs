//! Loops over rows in the widest lanes that the CPU has.

/// Runs a loop compiled for the widest vectors this CPU has. The closure must be `#[inline(always)]`-small code.
#[inline(always)]
pub fn wide<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
        unsafe fn widest<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        #[target_feature(enable = "avx2,fma")]
        unsafe fn wider<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        let has = |wide: bool| wide && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if has(is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512dq")) {
            // SAFETY: the features were just detected.
            return unsafe { widest(f) };
        }
        if has(true) {
            // SAFETY: the features were just detected.
            return unsafe { wider(f) };
        }
    }
    f()
}

/// Sum of `f` of the values of all rows at each place, in sixteen lanes. Lanes are arrays: with bounds to check the compiler adds one
/// number at a time, and that was once two fifths of training.
#[inline(always)]
pub(super) fn sum<const N: usize>(rows: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    const LANES: usize = 16;
    let n = rows[0].len();
    let rows = rows.map(|row| &row[..n]);
    let parts = rows.map(|row| row.as_chunks::<LANES>());
    let mut lanes = [0.0f32; LANES];
    for i in 0..n / LANES {
        let chunks = parts.map(|(chunks, _)| &chunks[i]);
        for (l, lane) in lanes.iter_mut().enumerate() {
            *lane += f(chunks.map(|chunk| chunk[l]));
        }
    }
    let mut total: f32 = lanes.iter().sum();
    for i in n / LANES * LANES..n {
        total += f(rows.map(|row| row[i]));
    }
    total
}
