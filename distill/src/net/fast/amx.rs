//! The products of [`bf16`](super::bf16) on CPUs with a matrix unit (Intel's AMX): 16 x 16 sums at a time, each of 16 pairs, several
//! times the arithmetic of vectors.
//!
//! Panels are what its right side reads as they are, and rows its left side. A panel on the left is turned into rows first, of the
//! narrower matrix; where that is the other one, the result is turned back (A^T B = (B^T A)^T).

use std::arch::asm;
use std::arch::x86_64::*;
use std::sync::LazyLock;

use super::panels::{Line, Panels, Start, WIDE};

/// Proof that this CPU has a matrix unit for bf16 pairs and that the kernel lets this process use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amx(());

/// Rows of a tile; pairs of a row of its left side; columns of its right side.
const SIDE: usize = 16;
/// Bytes of a row of a tile.
const ROW: usize = 64;
/// Pairs of a panel that are turned into rows at a time, so that they stay in the second cache.
const DEEP: usize = 256;

/// 32 rows of 32 sums.
#[repr(C, align(64))]
struct Sums([f32; WIDE * WIDE]);

/// Eight tiles of 16 rows of 64 bytes: palette 1, as `LDTILECFG` reads it.
#[repr(C, align(64))]
struct Config([u8; 64]);

static CONFIG: Config = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = ROW as u8;
        bytes[48 + tile] = SIDE as u8;
        tile += 1;
    }
    Config(bytes)
};

impl Amx {
    /// The proof, where it can be had. Linux keeps the tiles' 8 KiB a thread from processes that have not asked for them.
    pub fn detect() -> Option<Self> {
        static ALLOWED: LazyLock<bool> = LazyLock::new(|| {
            // Leaf 7: bits 22 and 24 of edx are AMX-BF16 and AMX-TILE.
            let there = 1 << 22 | 1 << 24;
            __cpuid_count(7, 0).edx & there == there && permitted()
        });
        ALLOWED.then_some(Self(()))
    }

    /// dst = start + a b for the first whole 16 rows of `a`, which begin `step` bytes from one another and have the pairs of `b` filled
    /// up to 16. Returns how many rows that were.
    ///
    /// # Safety
    /// `a` must have that, `dst` `n` values every `distance` for as many rows, `start` a row of `n`, and the CPU AVX-512.
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn product(
        self,
        a: *const u8,
        step: usize,
        [m, n]: [usize; 2],
        b: &Panels,
        start: Start<'_>,
        dst: &mut [f32],
        distance: usize,
    ) -> usize {
        let whole = m / SIDE * SIDE;
        if whole == 0 {
            return 0;
        }
        let unit = Unit::new(self);
        for top in (0..whole).step_by(WIDE) {
            let rows = WIDE.min(whole - top);
            for left in (0..n).step_by(WIDE) {
                let (columns, panel) = (WIDE.min(n - left), b.panel(left));
                let (a, steps) = (a.wrapping_add(top * step), b.stride() / SIDE);
                let to = &mut dst[top * distance + left..];
                let place = Place { rows, columns, distance };
                // SAFETY: the caller's word; panels have all pairs.
                unsafe { unit.block(a, step, panel, steps, start.right_of(left), to, place) };
            }
        }
        whole
    }

    /// dst = start + a^T b with the rows of `a` from the pair `shift` on, of which there must be those of `b` filled up to 16.
    ///
    /// # Safety
    /// As for [`Self::product`], for all `n` rows.
    pub(super) unsafe fn transposed_product(
        self,
        a: &Panels,
        shift: usize,
        b: &Panels,
        start: Start<'_>,
        dst: &mut [f32],
        distance: usize,
    ) {
        let ([m, n], unit, mut start) = ([a.columns, b.columns], Unit::new(self), start);
        let narrow = n < m;
        let ((left, left_from), (right, right_from)) = if narrow { ((b, 0), (a, shift)) } else { ((a, shift), (b, 0)) };
        let mut rows = vec![Line::ZERO; WIDE * DEEP / SIDE];
        for first in (0..b.stride()).step_by(DEEP) {
            let steps = DEEP.min(b.stride() - first) / SIDE;
            for top in (0..left.columns).step_by(WIDE) {
                let panel = left.panel(top).wrapping_add(2 * (left_from + first));
                for (i, half) in (0..steps).flat_map(|i| [(i, 0), (i, 1)]) {
                    let from = panel.wrapping_add(2 * SIDE * i + half).cast();
                    // Row r of the panel's columns begins at line r DEEP / 16.
                    let to = rows[half * SIDE * (DEEP / SIDE) + i..].as_mut_ptr();
                    // SAFETY: 16 pairs of a panel begin there, and `rows` has room for 32 rows of `DEEP` pairs.
                    unsafe { turn(from, WIDE, to.cast(), DEEP) };
                }
                for over in (0..right.columns).step_by(WIDE) {
                    let panel = right.panel(over).wrapping_add(2 * (right_from + first));
                    let (wide, tall) = (WIDE.min(right.columns - over), WIDE.min(left.columns - top));
                    let [at, to_rows, columns] =
                        if narrow { [over * distance + top, wide, tall] } else { [top * distance + over, tall, wide] };
                    let (place, to) = (Place { rows: to_rows, columns, distance }, &mut dst[at..]);
                    // SAFETY: `rows` was written above; panels have the pairs; the caller's word for the rest.
                    unsafe {
                        if narrow {
                            let (mut sums, mut turned) = (Sums([0.0; WIDE * WIDE]), Sums([0.0; WIDE * WIDE]));
                            unit.sums(rows.as_ptr().cast(), 4 * DEEP, panel, steps, &mut sums);
                            for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                                let from = sums.0[SIDE * (WIDE * i + j)..].as_ptr();
                                let to = turned.0[SIDE * (WIDE * j + i)..].as_mut_ptr();
                                turn(from.cast(), WIDE, to.cast(), WIDE);
                            }
                            settle(&turned, start.right_of(top), to, place);
                        } else {
                            unit.block(rows.as_ptr().cast(), 4 * DEEP, panel, steps, start.right_of(over), to, place);
                        }
                    }
                }
            }
            start = Start::There;
        }
    }
}

/// Whether the kernel gives this process room for the tiles of its threads.
fn permitted() -> bool {
    #[cfg(target_os = "linux")]
    {
        const ARCH_REQ_XCOMP_PERM: libc::c_int = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_ulong = 18;
        // SAFETY: the call only asks for the use of a register; where it is unknown it fails.
        return unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) } == 0;
    }
    #[allow(unreachable_code)]
    false
}

/// Where a block of sums goes: its rows and columns, and how far apart rows are.
#[derive(Clone, Copy)]
struct Place {
    rows: usize,
    columns: usize,
    distance: usize,
}

/// The tiles of this thread, set up for as long as this lives.
struct Unit(());

impl Unit {
    fn new(_: Amx) -> Self {
        // SAFETY: an `Amx` proves the instruction and the permission; the configuration is valid.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, readonly, preserves_flags)) };
        Self(())
    }

    /// A block of 16 or 32 rows and up to 32 columns of sums: straight to where they go, or by way of their own place.
    ///
    /// # Safety
    /// As for [`block`]; `to` must have the place.
    #[allow(clippy::too_many_arguments)]
    unsafe fn block(
        &self,
        a: *const u8,
        step: usize,
        b: *const Line,
        steps: usize,
        start: Start<'_>,
        to: &mut [f32],
        place: Place,
    ) {
        let there = matches!(start, Start::There);
        let whole = place.columns == WIDE && place.rows.is_multiple_of(SIDE);
        // SAFETY: as the caller says.
        unsafe {
            if whole && !matches!(start, Start::Row(_)) {
                block(place.rows > SIDE, a, step, b, steps, to.as_mut_ptr(), 4 * place.distance, there);
            } else {
                let mut sums = Sums([0.0; WIDE * WIDE]);
                block(place.rows > SIDE, a, step, b, steps, sums.0.as_mut_ptr(), 4 * WIDE, false);
                settle(&sums, start, to, place);
            }
        }
    }

    /// All 32 rows of sums.
    ///
    /// # Safety
    /// As for [`block`].
    unsafe fn sums(&self, a: *const u8, step: usize, b: *const Line, steps: usize, sums: &mut Sums) {
        // SAFETY: as the caller says.
        unsafe { block(true, a, step, b, steps, sums.0.as_mut_ptr(), 4 * WIDE, false) };
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // SAFETY: whoever made this has the instruction.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// c = a b, added to what is there if `there`: 16 rows of `a`, or 32 if `both`, `step` bytes apart, a panel at `b`, `steps` times 16 pairs;
/// rows of `c` lie `distance` bytes apart.
///
/// # Safety
/// All that must be there, and the tiles be set up.
#[allow(clippy::too_many_arguments)]
unsafe fn block(
    both: bool,
    a: *const u8,
    step: usize,
    b: *const Line,
    steps: usize,
    c: *mut f32,
    distance: usize,
    there: bool,
) {
    let lower = c.wrapping_byte_add(SIDE * distance);
    // SAFETY: the caller's word; the compiler itself never uses tiles.
    unsafe {
        if both {
            asm!(
                "test {there:e}, {there:e}",
                "jnz 2f",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "jmp 3f",
                "2:",
                "tileloadd tmm0, [{c} + {distance}]",
                "tileloadd tmm1, [{c} + {distance} + 64]",
                "tileloadd tmm2, [{lower} + {distance}]",
                "tileloadd tmm3, [{lower} + {distance} + 64]",
                "3:",
                "test {steps}, {steps}",
                "jz 5f",
                "4:",
                "tileloadd tmm4, [{a} + {step}]",
                "tileloadd tmm6, [{b} + {panel}]",
                "tileloadd tmm7, [{b} + {panel} + 64]",
                "tileloadd tmm5, [{a2} + {step}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 64",
                "add {a2}, 64",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 4b",
                "5:",
                "tilestored [{c} + {distance}], tmm0",
                "tilestored [{c} + {distance} + 64], tmm1",
                "tilestored [{lower} + {distance}], tmm2",
                "tilestored [{lower} + {distance} + 64], tmm3",
                there = in(reg) u32::from(there),
                a = inout(reg) a => _,
                a2 = inout(reg) a.wrapping_add(SIDE * step) => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                step = in(reg) step,
                panel = in(reg) 2 * ROW,
                c = in(reg) c,
                lower = in(reg) lower,
                distance = in(reg) distance,
                options(nostack),
            );
        } else {
            asm!(
                "test {there:e}, {there:e}",
                "jnz 2f",
                "tilezero tmm0",
                "tilezero tmm1",
                "jmp 3f",
                "2:",
                "tileloadd tmm0, [{c} + {distance}]",
                "tileloadd tmm1, [{c} + {distance} + 64]",
                "3:",
                "test {steps}, {steps}",
                "jz 5f",
                "4:",
                "tileloadd tmm4, [{a} + {step}]",
                "tileloadd tmm6, [{b} + {panel}]",
                "tileloadd tmm7, [{b} + {panel} + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "add {a}, 64",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 4b",
                "5:",
                "tilestored [{c} + {distance}], tmm0",
                "tilestored [{c} + {distance} + 64], tmm1",
                there = in(reg) u32::from(there),
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                step = in(reg) step,
                panel = in(reg) 2 * ROW,
                c = in(reg) c,
                distance = in(reg) distance,
                options(nostack),
            );
        }
    }
}

/// to = start + sums, as many rows and columns as the place has.
///
/// # Safety
/// `to` must have the place, a row of `start` its columns, and the CPU AVX-512.
#[target_feature(enable = "avx512f")]
unsafe fn settle(sums: &Sums, start: Start<'_>, to: &mut [f32], place: Place) {
    let mask = (1u64 << place.columns) - 1;
    for (i, sums) in sums.0.chunks_exact(WIDE).take(place.rows).enumerate() {
        let to = to[i * place.distance..].as_mut_ptr();
        let from = match start {
            Start::Zero => None,
            Start::Row(row) => Some(row.as_ptr()),
            Start::There => Some(to.cast_const()),
        };
        for half in 0..2 {
            let (mask, at) = ((mask >> (half * SIDE)) as u16, half * SIDE);
            // SAFETY: masks keep to the columns.
            unsafe {
                let mut sums = _mm512_loadu_ps(sums[at..].as_ptr());
                if let Some(from) = from {
                    sums = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, from.wrapping_add(at)), sums);
                }
                _mm512_mask_storeu_ps(to.wrapping_add(at), mask, sums);
            }
        }
    }
}

/// Turns a square of 16 x 16 words; rows are `step` words apart where they come from, `to_step` where they go.
///
/// # Safety
/// Both squares must be there, and the CPU have AVX-512.
#[target_feature(enable = "avx512f")]
unsafe fn turn(from: *const i32, step: usize, to: *mut i32, to_step: usize) {
    // SAFETY: the caller has 16 words at each row.
    let rows: [__m512i; SIDE] = std::array::from_fn(|i| unsafe { _mm512_loadu_epi32(from.add(i * step)) });
    let words: [__m512i; SIDE] = std::array::from_fn(|i| {
        let (a, b) = (rows[i / 2 * 2], rows[i / 2 * 2 + 1]);
        if i % 2 == 0 { _mm512_unpacklo_epi32(a, b) } else { _mm512_unpackhi_epi32(a, b) }
    });
    // Number 4 g + j has columns j, 4 + j, 8 + j and 12 + j of rows 4 g to 4 g + 3.
    let fours: [__m512i; SIDE] = std::array::from_fn(|i| {
        let (group, j) = (i / 4 * 4, i % 4);
        let (a, b) = (words[group + j / 2], words[group + 2 + j / 2]);
        if j % 2 == 0 { _mm512_unpacklo_epi64(a, b) } else { _mm512_unpackhi_epi64(a, b) }
    });
    for j in 0..4 {
        let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
        let even = [_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d)];
        let odd = [_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(c, d)];
        let columns = [
            (j, _mm512_shuffle_i32x4::<0x88>(even[0], even[1])),
            (4 + j, _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1])),
            (8 + j, _mm512_shuffle_i32x4::<0xdd>(even[0], even[1])),
            (12 + j, _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1])),
        ];
        for (column, words) in columns {
            // SAFETY: the caller has room for 16 rows of 16 words.
            unsafe { _mm512_storeu_epi32(to.add(column * to_step), words) };
        }
    }
}
