//! Floats of eight bits (OCP 8-bit floating point specification, 2023).

/// Four bits of exponent and three of mantissa, without infinities: PyTorch's `float8_e4m3fn`, safetensors' `F8_E4M3`.
pub fn e4m3(bits: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f32::from(bits & 7));
    let size = match (exponent, bits & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * power_of_two(-9),
        _ => (8.0 + mantissa) * power_of_two(exponent - 10),
    };
    if bits & 0x80 == 0 { size } else { -size }
}

/// Five bits of exponent and two of mantissa: the upper half of an f16.
pub fn e5m2(bits: u8) -> f32 {
    half::f16::from_bits(u16::from(bits) << 8).to_f32()
}

fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}
