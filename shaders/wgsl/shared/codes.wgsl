// Numbers as int8 in blocks of 32, and products of these: the arithmetic of ops/src/cpu/shared/int8.rs.
//
// Half a block is 16 codes, a vec4 of words. SCALES: a weight's halves are read from the file's encodings (docs/model-file.md).

/// What a block's numbers are multiplied by to become codes, and codes to become numbers again.
fn steps(top: f32) -> vec2<f32> {
    return vec2<f32>(select(0.0, 127.0 / top, top > 0.0), top / 127.0);
}

fn largest(x: vec4<f32>) -> f32 {
    return max(max(x.x, x.y), max(x.z, x.w));
}

/// The nearest codes of four numbers.
fn pack(x: vec4<f32>) -> u32 {
    let codes = vec4<u32>(vec4<i32>(round(x))) & vec4<u32>(255u);
    return codes.x | (codes.y << 8u) | (codes.z << 16u) | (codes.w << 24u);
}

//!if SCALES
//!import shared/half

@group(1) @binding(2) var<storage, read> scales: array<u32>;
//!if Q8
@group(1) @binding(1) var<storage, read> weight: array<vec4<u32>>;

fn weight_codes(half_block: u32) -> vec4<u32> {
    return weight[half_block];
}
//!else
@group(1) @binding(1) var<storage, read> weight: array<vec2<u32>>;

/// Four codes of 4 bits, less 8, as bytes.
fn widen(codes: u32) -> u32 {
    let pairs = (codes | (codes << 8u)) & 0x00ff00ffu;
    let bytes = (pairs | (pairs << 4u)) & 0x0f0f0f0fu;
    // Without its top bit a code is negative: that bit goes, or the upper half is set.
    return (bytes ^ 0x08080808u) | (((~bytes >> 3u) & 0x01010101u) * 0xf0u);
}

fn weight_codes(half_block: u32) -> vec4<u32> {
    let codes = weight[half_block];
    return vec4<u32>(widen(codes.x & 0xffffu), widen(codes.x >> 16u), widen(codes.y & 0xffffu), widen(codes.y >> 16u));
}
//!end

fn weight_scale(block: u32) -> f32 {
    let pair = halves_of(scales[block / 2u]);
    return select(pair.x, pair.y, block % 2u == 1u);
}

fn dot16(a: vec4<u32>, b: vec4<u32>, sum: i32) -> i32 {
    return sum + dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}
//!end
