//! Which instruction set the kernels use.

/// Instruction sets with kernels. All agree with the operators' definitions within the same tolerances; [`Isa::Portable`]
/// computes the same bits on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// Eight lanes and no fused multiply-add: plain Rust, on WebAssembly with SIMD the same by its vectors.
    Portable,
    /// 64-bit Arm.
    Neon,
    /// The same with the signed byte dot products of `dotprod`.
    NeonDot,
    /// The same with the mixed ones of `i8mm`.
    NeonI8mm,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// The same with AVX-VNNI's byte dot products.
    Avx2Vnni,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
    /// The same with AVX-512 VNNI's byte dot products.
    Avx512Vnni,
}

/// Whether features are there: at run time where feature `std` can ask the CPU, else what the compiler was told to assume.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! has {
    ($detected:ident, $($feature:tt),+) => {{
        #[cfg(feature = "std")]
        let has = $(std::arch::$detected!($feature))&&+;
        #[cfg(not(feature = "std"))]
        let has = $(cfg!(target_feature = $feature))&&+;
        has
    }};
}

impl Isa {
    /// All of them, slowest first.
    pub const ALL: [Isa; 8] =
        [Isa::Portable, Isa::Neon, Isa::NeonDot, Isa::NeonI8mm, Isa::Avx2, Isa::Avx2Vnni, Isa::Avx512, Isa::Avx512Vnni];

    /// Whether this machine can run it. Without feature `std` only what the build's target guarantees counts.
    pub fn available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => has!(is_aarch64_feature_detected, "dotprod"),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonI8mm => has!(is_aarch64_feature_detected, "i8mm"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => has!(is_x86_feature_detected, "avx2", "fma", "f16c"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2Vnni => Isa::Avx2.available() && has!(is_x86_feature_detected, "avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => has!(is_x86_feature_detected, "avx512f", "avx512bw", "avx512dq", "avx512vl"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => Isa::Avx512.available() && has!(is_x86_feature_detected, "avx512vnni"),
            _ => false,
        }
    }

    /// The fastest available one.
    pub fn best() -> Isa {
        Self::ALL.into_iter().rev().find(|isa| isa.available()).unwrap_or(Isa::Portable)
    }

    /// Name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Neon => "neon",
            Isa::NeonDot => "neon-dotprod",
            Isa::NeonI8mm => "neon-i8mm",
            Isa::Avx2 => "avx2",
            Isa::Avx2Vnni => "avx2-vnni",
            Isa::Avx512 => "avx512",
            Isa::Avx512Vnni => "avx512-vnni",
        }
    }
}

impl core::fmt::Display for Isa {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
