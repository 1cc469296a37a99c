// Half precision as bits, without asking the device for it.

//!if UNPACK
/// Two f16 numbers from a word.
fn halves_of(word: u32) -> vec2<f32> {
    return unpack2x16float(word);
}
//!else
/// Two finite f16 numbers from a word without the builtin, which Vulkan drivers without f16 arithmetic may lack. Moving the bits up leaves an
/// exponent that is 112 too small; subnormal numbers go by their integer value, because GPUs may flush the f32 they would pass through.
fn halves_of(word: u32) -> vec2<f32> {
    let bits = vec2<u32>(word, word >> 16u);
    let normal = bitcast<vec2<f32>>((bits & vec2<u32>(0x7fffu)) << vec2<u32>(13u)) * 5.192296858534828e33;
    let subnormal = vec2<f32>(bits & vec2<u32>(0x3ffu)) * 5.960464477539063e-8;
    let size = select(normal, subnormal, (bits & vec2<u32>(0x7c00u)) == vec2<u32>());
    return select(size, -size, (bits & vec2<u32>(0x8000u)) != vec2<u32>());
}
//!end

/// The nearest f16 numbers, ties to even; magnitudes beyond them become the largest.
fn floats_to_halves(x: vec2<f32>) -> vec2<u32> {
    let size = min(abs(x), vec2<f32>(65504.0));
    let bits = bitcast<vec2<u32>>(size);
    // Half of the last place kept, less one where that place is even; then the exponent's offset goes from 127 to 15.
    let rounded = bits + vec2<u32>(0xfffu) + ((bits >> vec2<u32>(13u)) & vec2<u32>(1u));
    let normal = (rounded - vec2<u32>(0x38000000u)) >> vec2<u32>(13u);
    let subnormal = vec2<u32>(round(size * 16777216.0));
    let halves = select(normal, subnormal, size < vec2<f32>(6.103515625e-5));
    // The sign's own bit, not a comparison: with LLVM 19 for Granite Rapids, under lavapipe, that gives some numbers the wrong one.
    return halves | ((bitcast<vec2<u32>>(x) >> vec2<u32>(16u)) & vec2<u32>(0x8000u));
}
