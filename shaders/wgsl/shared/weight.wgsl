// Four consecutive weights of a row of a matrix [outputs, stride], stride a multiple of 4, in any of the file's encodings
// (docs/model-file.md). Weights stay packed in memory and are decoded here, on their way into a tile.

//!import shared/half

//!if F32
@group(1) @binding(1) var<storage, read> weight: array<vec4<f32>>;

fn decode(element: u32) -> vec4<f32> {
    return weight[element / 4u];
}
//!end
//!if F16
@group(1) @binding(1) var<storage, read> weight: array<vec2<u32>>;

fn decode(element: u32) -> vec4<f32> {
    let halves = weight[element / 4u];
    return vec4<f32>(halves_of(halves.x), halves_of(halves.y));
}
//!end
//!if Q8
@group(1) @binding(1) var<storage, read> weight: array<u32>;
@group(1) @binding(2) var<storage, read> scales: array<u32>;

fn decode(element: u32) -> vec4<f32> {
    let codes = vec4<i32>(vec4<u32>(weight[element / 4u]) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
    return vec4<f32>(codes) * scale_of(element / 32u);
}
//!end
//!if Q4
@group(1) @binding(1) var<storage, read> weight: array<u32>;
@group(1) @binding(2) var<storage, read> scales: array<u32>;

fn decode(element: u32) -> vec4<f32> {
    let word = weight[element / 8u] >> (element % 8u * 4u);
    let codes = (vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u);
    return (vec4<f32>(codes) - 8.0) * scale_of(element / 32u);
}
//!end
//!if SCALES
fn scale_of(block: u32) -> f32 {
    let pair = halves_of(scales[block / 2u]);
    return select(pair.x, pair.y, block % 2u == 1u);
}
//!end
