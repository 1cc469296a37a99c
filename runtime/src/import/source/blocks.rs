//! How checkpoints store values: plain numbers, and the block formats of GGUF.

use core::fmt;

use half::{bf16, f16};

use super::{float8, iq4};

/// Storage of a tensor's values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the formats' own names")]
pub enum Encoding {
    F64,
    F32,
    F16,
    Bf16,
    F8E4M3,
    F8E5M2,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Iq4Nl,
    Iq4Xs,
    /// Anything else, by name: it may lie in the file but cannot be read.
    Other(String),
}

use Encoding::{
    Bf16, F8E4M3, F8E5M2, F16, F32, F64, Iq4Nl, Iq4Xs, Other, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0,
};

impl Encoding {
    /// Values of a block and its bytes; `None` where the encoding is not known.
    pub fn block(&self) -> Option<(usize, usize)> {
        Some(match self {
            F64 => (1, 8),
            F32 => (1, 4),
            F16 | Bf16 => (1, 2),
            F8E4M3 | F8E5M2 => (1, 1),
            Q4_0 => (32, 18),
            Q4_1 => (32, 20),
            Q5_0 => (32, 22),
            Q5_1 => (32, 24),
            Q8_0 => (32, 34),
            Q2K => (256, 84),
            Q3K => (256, 110),
            Q4K => (256, 144),
            Q5K => (256, 176),
            Q6K => (256, 210),
            Iq4Nl => (32, 18),
            Iq4Xs => (256, 136),
            Other(_) => return None,
        })
    }

    /// Bytes of an integer and whether it is signed, by the names of safetensors and PyTorch; `None` for anything else.
    pub(in crate::import) fn integer(&self) -> Option<(usize, bool)> {
        let Other(name) = self else { return None };
        Some(match name.as_str() {
            "U8" | "ByteStorage" => (1, false),
            "I8" | "CharStorage" => (1, true),
            "U16" => (2, false),
            "I16" | "ShortStorage" => (2, true),
            "U32" => (4, false),
            "I32" | "IntStorage" => (4, true),
            "U64" => (8, false),
            "I64" | "LongStorage" => (8, true),
            _ => return None,
        })
    }

    /// Whether these are signed integers of eight bits: codes, which say nothing without their scale.
    pub(in crate::import) fn is_int8(&self) -> bool {
        self.integer() == Some((1, true))
    }

    /// Values of a block and its bytes also of integers of eight bits, where a scale makes values of them.
    pub(super) fn codes(&self) -> Option<(usize, usize)> {
        self.block().or_else(|| self.is_int8().then_some((1, 1)))
    }

    /// Decodes whole blocks.
    pub(super) fn decode(&self, raw: &[u8], out: &mut [f32]) {
        match self {
            F64 => plain(raw, out, |x| f64::from_le_bytes(x) as f32),
            F32 => plain(raw, out, f32::from_le_bytes),
            F16 => plain(raw, out, |x| f16::from_le_bytes(x).to_f32()),
            Bf16 => plain(raw, out, |x| bf16::from_le_bytes(x).to_f32()),
            F8E4M3 => plain(raw, out, |[x]| float8::e4m3(x)),
            F8E5M2 => plain(raw, out, |[x]| float8::e5m2(x)),
            Q4_0 => blocks(raw, out, |b: &[u8; 18], y: &mut [f32; 32]| {
                let d = half_at(b, 0);
                nibbles(&b[2..], y, |q, _| d * (f32::from(q) - 8.0));
            }),
            Q4_1 => blocks(raw, out, |b: &[u8; 20], y: &mut [f32; 32]| {
                let (d, m) = (half_at(b, 0), half_at(b, 2));
                nibbles(&b[4..], y, |q, _| d * f32::from(q) + m);
            }),
            Q5_0 => blocks(raw, out, |b: &[u8; 22], y: &mut [f32; 32]| {
                let (d, high) = (half_at(b, 0), word_at(b, 2));
                nibbles(&b[6..], y, |q, j| d * (f32::from(q | fifth(high, j)) - 16.0));
            }),
            Q5_1 => blocks(raw, out, |b: &[u8; 24], y: &mut [f32; 32]| {
                let (d, m, high) = (half_at(b, 0), half_at(b, 2), word_at(b, 4));
                nibbles(&b[8..], y, |q, j| d * f32::from(q | fifth(high, j)) + m);
            }),
            Q8_0 => blocks(raw, out, |b: &[u8; 34], y: &mut [f32; 32]| {
                let d = half_at(b, 0);
                y.iter_mut().zip(&b[2..]).for_each(|(y, &q)| *y = d * f32::from(q as i8));
            }),
            Q2K => blocks(raw, out, q2_k),
            Q3K => blocks(raw, out, q3_k),
            Q4K => blocks(raw, out, q4_k),
            Q5K => blocks(raw, out, q5_k),
            Q6K => blocks(raw, out, q6_k),
            Iq4Nl => blocks(raw, out, iq4::nl),
            Iq4Xs => blocks(raw, out, iq4::xs),
            Other(_) if self.is_int8() => plain(raw, out, |x| f32::from(i8::from_le_bytes(x))),
            Other(_) => out.fill(f32::NAN),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Other(name) => f.write_str(name),
            F8E4M3 => f.write_str("F8_E4M3"),
            F8E5M2 => f.write_str("F8_E5M2"),
            Q2K => f.write_str("Q2_K"),
            Q3K => f.write_str("Q3_K"),
            Q4K => f.write_str("Q4_K"),
            Q5K => f.write_str("Q5_K"),
            Q6K => f.write_str("Q6_K"),
            Iq4Nl => f.write_str("IQ4_NL"),
            Iq4Xs => f.write_str("IQ4_XS"),
            Bf16 => f.write_str("BF16"),
            known => write!(f, "{known:?}"),
        }
    }
}

fn plain<const N: usize>(raw: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    out.iter_mut().zip(raw.as_chunks::<N>().0).for_each(|(out, raw)| *out = value(*raw));
}

fn blocks<const B: usize, const V: usize>(raw: &[u8], out: &mut [f32], decode: impl Fn(&[u8; B], &mut [f32; V])) {
    let pairs = raw.as_chunks::<B>().0.iter().zip(out.as_chunks_mut::<V>().0);
    pairs.for_each(|(block, values)| decode(block, values));
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn word_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// Bit j of `high` as the fifth bit of a code.
fn fifth(high: u32, j: usize) -> u8 {
    ((high >> j) as u8 & 1) << 4
}

/// 16 bytes of 32 codes: low nibbles first, then high ones.
fn nibbles(codes: &[u8], y: &mut [f32; 32], value: impl Fn(u8, usize) -> f32) {
    for (j, code) in codes.iter().enumerate() {
        y[j] = value(code & 15, j);
        y[j + 16] = value(code >> 4, j + 16);
    }
}

/// 16 scales and minima of 4 bits, codes of 2 bits.
fn q2_k(b: &[u8; 84], y: &mut [f32; 256]) {
    let (scales, codes) = (&b[..16], &b[16..80]);
    let (d, min) = (half_at(b, 80), half_at(b, 82));
    for (group, y) in y.chunks_exact_mut(16).enumerate() {
        let (half, shift, side) = (group / 8, group % 8 / 2 * 2, group % 2);
        let (scale, low) = (d * f32::from(scales[group] & 15), min * f32::from(scales[group] >> 4));
        let codes = &codes[half * 32 + side * 16..];
        y.iter_mut().zip(codes).for_each(|(y, code)| *y = scale * f32::from(code >> shift & 3) - low);
    }
}

/// 16 scales of 6 bits, codes of 2 bits and a mask of third bits.
fn q3_k(b: &[u8; 110], y: &mut [f32; 256]) {
    let (mask, codes, packed, d) = (&b[..32], &b[32..96], &b[96..108], half_at(b, 108));
    let scale = |group: usize| {
        let low = if group < 8 { packed[group] & 15 } else { packed[group - 8] >> 4 };
        let high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        d * (f32::from(low | high << 4) - 32.0)
    };
    for (group, y) in y.chunks_exact_mut(16).enumerate() {
        let (half, shift, side) = (group / 8, group % 8 / 2 * 2, group % 2 * 16);
        let (scale, bit) = (scale(group), 1u8 << (group / 2));
        let pairs = codes[half * 32 + side..].iter().zip(&mask[side..]);
        for (y, (code, mask)) in y.iter_mut().zip(pairs) {
            let third = if mask & bit == 0 { 4.0 } else { 0.0 };
            *y = scale * (f32::from(code >> shift & 3) - third);
        }
    }
}

/// Scale and minimum of group j, 6 bits each, of the 12 bytes that Q4_K and Q5_K share.
fn scale_and_min(packed: &[u8], j: usize) -> (f32, f32) {
    let (scale, min) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        (packed[j + 4] & 15 | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4)
    };
    (f32::from(scale), f32::from(min))
}

fn q4_k(b: &[u8; 144], y: &mut [f32; 256]) {
    let (d, min, packed, codes) = (half_at(b, 0), half_at(b, 2), &b[4..16], &b[16..]);
    for (group, y) in y.chunks_exact_mut(32).enumerate() {
        let (scale, low) = scale_and_min(packed, group);
        let codes = &codes[group / 2 * 32..];
        for (y, code) in y.iter_mut().zip(codes) {
            *y = d * scale * f32::from(code >> (group % 2 * 4) & 15) - min * low;
        }
    }
}

fn q5_k(b: &[u8; 176], y: &mut [f32; 256]) {
    let (d, min, packed) = (half_at(b, 0), half_at(b, 2), &b[4..16]);
    let (high, codes) = (&b[16..48], &b[48..]);
    for (group, y) in y.chunks_exact_mut(32).enumerate() {
        let (scale, low) = scale_and_min(packed, group);
        for (y, (code, high)) in y.iter_mut().zip(codes[group / 2 * 32..].iter().zip(high)) {
            let code = code >> (group % 2 * 4) & 15 | (high >> group & 1) << 4;
            *y = d * scale * f32::from(code) - min * low;
        }
    }
}

/// 16 scales of 8 bits, codes of 4 low and 2 high bits.
fn q6_k(b: &[u8; 210], y: &mut [f32; 256]) {
    let (low, high, scales, d) = (&b[..128], &b[128..192], &b[192..208], half_at(b, 208));
    for (at, y) in y.iter_mut().enumerate() {
        let (half, quarter, l) = (at / 128, at % 128 / 32, at % 32);
        let low = low[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
        let high = high[half * 32 + l] >> (quarter * 2) & 3;
        *y = d * f32::from(scales[at / 16] as i8) * (f32::from(low | high << 4) - 32.0);
    }
}
