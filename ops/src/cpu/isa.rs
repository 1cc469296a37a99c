//! Which instruction set the kernels use.

/// Instruction sets with kernels. All give results within the documented tolerance of each other; [`Isa::Portable`] gives the
/// same bits on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust with fixed lanes and no fused multiply-add.
    Portable,
    /// Arm, always present on 64-bit.
    Neon,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
    /// The same with VNNI byte dot products.
    Avx512Vnni,
}

impl Isa {
    /// All of them, slowest first.
    pub const ALL: [Isa; 5] = [Isa::Portable, Isa::Neon, Isa::Avx2, Isa::Avx512, Isa::Avx512Vnni];

    /// Whether this machine can run it. Without feature `std` only what the target guarantees counts.
    pub fn available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Neon => false,
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
            Isa::Avx2 => "avx2",
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
