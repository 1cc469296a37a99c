//! GGUF's types of four bits whose codes are places in a table of uneven steps: IQ4_NL and IQ4_XS.

use half::f16;

/// What each code stands for, before its scale.
const STEPS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// 16 bytes of 32 codes: low halves first, then high ones.
fn codes(scale: f32, codes: &[u8], y: &mut [f32]) {
    let value = |code: u8| scale * f32::from(STEPS[usize::from(code & 15)]);
    let (low, high) = y.split_at_mut(16);
    for ((code, low), high) in codes.iter().zip(low).zip(high) {
        (*low, *high) = (value(*code), value(code >> 4));
    }
}

fn half(b: &[u8]) -> f32 {
    f16::from_le_bytes([b[0], b[1]]).to_f32()
}

/// A scale and 32 codes.
pub fn nl(b: &[u8; 18], y: &mut [f32; 32]) {
    codes(half(b), &b[2..], y);
}

/// A scale, eight scales of six bits (two high bits each, then four low ones), and eight groups of 32 codes.
pub fn xs(b: &[u8; 136], y: &mut [f32; 256]) {
    let (d, high, low) = (half(b), u16::from_le_bytes([b[2], b[3]]), &b[4..8]);
    for (group, y) in y.chunks_exact_mut(32).enumerate() {
        let low = low[group / 2] >> (group % 2 * 4) & 15;
        let scale = low | ((high >> (2 * group)) as u8 & 3) << 4;
        codes(d * (f32::from(scale) - 32.0), &b[8 + 16 * group..][..16], y);
    }
}
