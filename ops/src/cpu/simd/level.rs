//! From an instruction set to its vectors.

#[cfg(target_arch = "aarch64")]
use super::neon;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use super::portable;
use super::vector::{Kernel, Simd};
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use super::wasm;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::cpu::isa::Isa;

/// An instruction set that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(Isa);

impl Level {
    /// The level of `isa`, if it is available.
    pub(crate) fn new(isa: Isa) -> Option<Level> {
        isa.available().then_some(Level(isa))
    }

    /// Which it is.
    pub(crate) fn isa(self) -> Isa {
        self.0
    }

    /// Lanes of a vector.
    pub(crate) fn lanes(self) -> usize {
        struct Lanes;
        impl Kernel for Lanes {
            type Output = usize;

            #[inline(always)]
            fn run<S: Simd>(self, _: S) -> usize {
                S::LANES
            }
        }
        self.run(Lanes)
    }

    /// Runs a kernel compiled for this level.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a level exists only where its instruction set is available.
            Isa::Avx2Vnni if K::BYTES => unsafe { x86::run_avx2_vnni(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx2 | Isa::Avx2Vnni => unsafe { x86::run_avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx512Vnni if K::BYTES => unsafe { x86::run_avx512_vnni(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx512 | Isa::Avx512Vnni => unsafe { x86::run_avx512(kernel) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Isa::NeonI8mm if K::BYTES => unsafe { neon::run_i8mm(kernel) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Isa::NeonDot if K::BYTES => unsafe { neon::run_dot(kernel) },
            #[cfg(target_arch = "aarch64")]
            Isa::Neon | Isa::NeonDot | Isa::NeonI8mm => neon::run(kernel),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            _ => kernel.run(wasm::Wasm),
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            _ => kernel.run(portable::Portable),
        }
    }
}
