// Counter-based noise: Philox 4x32-10 (Salmon et al., 2011) and Box-Muller, the twin of ops/src/philox.rs.

//!import shared/math

/// (high, low) words of a 32 x 32 bit product, from four 16 x 16 bit products.
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let left = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let right = (a & 0xffffu) * (b >> 16u) + (left & 0xffffu);
    let high = (a >> 16u) * (b >> 16u) + (left >> 16u) + (right >> 16u);
    return vec2<u32>(high, a * b);
}

fn philox(start: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    var counter = start;
    var key = seed;
    for (var round = 0u; round < 10u; round++) {
        let p0 = multiply_wide(0xd2511f53u, counter.x);
        let p1 = multiply_wide(0xcd9e8d57u, counter.z);
        counter = vec4<u32>(p1.x ^ counter.y ^ key.x, p1.y, p0.x ^ counter.w ^ key.y, p0.y);
        key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return counter;
}

/// Two normal numbers: radius from the first word (24 bits, never 0), angle from the second.
fn box_muller(x: u32, y: u32) -> vec2<f32> {
    let radius = sqrt(-2.0 * log_positive((f32(x >> 8u) + 0.5) / 16777216.0));
    return radius * sin_cos_turns(f32(y >> 8u) / 16777216.0).yx;
}

/// Four normal numbers for the elements 4 * quad .. 4 * quad + 4 of a latent frame.
fn normal4(seed: vec2<u32>, frame: u32, step: u32, quad: u32) -> vec4<f32> {
    let bits = philox(vec4<u32>(quad, frame, step, 0u), seed);
    return vec4<f32>(box_muller(bits.x, bits.y), box_muller(bits.z, bits.w));
}
