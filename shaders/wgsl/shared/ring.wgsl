// Reading one head of one token from the ring, in any of its types (ops/src/kv.rs).
//
// An importing kernel imports shared/heads too; its node has `heads` and `head_dim`.

//!if RING32
@group(1) @binding(7) var<storage, read> ring_k: array<vec2<f32>>;
@group(1) @binding(8) var<storage, read> ring_v: array<vec2<f32>>;

fn ring_key(token: u32, column: u32) -> vec4<f32> {
    let at = pairs(token, column);
    return trim(column, ring_k[at.x], ring_k[at.y]);
}

fn ring_value(token: u32, column: u32) -> vec4<f32> {
    let at = pairs(token, column);
    return trim(column, ring_v[at.x], ring_v[at.y]);
}
//!end
//!if RING16
//!import shared/half

@group(1) @binding(7) var<storage, read> ring_k: array<u32>;
@group(1) @binding(8) var<storage, read> ring_v: array<u32>;

fn halves(column: u32, first: u32, second: u32) -> vec4<f32> {
    return trim(column, halves_of(first), halves_of(second));
}

fn ring_key(token: u32, column: u32) -> vec4<f32> {
    let at = pairs(token, column);
    return halves(column, ring_k[at.x], ring_k[at.y]);
}

fn ring_value(token: u32, column: u32) -> vec4<f32> {
    let at = pairs(token, column);
    return halves(column, ring_v[at.x], ring_v[at.y]);
}
//!end
//!if RING8
@group(1) @binding(7) var<storage, read> ring_k: array<u32>;
@group(1) @binding(8) var<storage, read> ring_v: array<u32>;

/// Words of a column's codes and of the row's scale.
fn place(token: u32, column: u32) -> vec2<u32> {
    let words = (node.head_dim + 3u) / 4u;
    let row = (token * node.heads + head) * (words + 1u);
    return vec2<u32>(row + min(column, words - 1u), row + words);
}

fn bytes(column: u32, word: u32, scale: u32) -> vec4<f32> {
    let codes = vec4<i32>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
    let values = vec4<f32>(codes) * bitcast<f32>(scale);
    return trim(column, values.xy, values.zw);
}

fn ring_key(token: u32, column: u32) -> vec4<f32> {
    let at = place(token, column);
    return bytes(column, ring_k[at.x], ring_k[at.y]);
}

fn ring_value(token: u32, column: u32) -> vec4<f32> {
    let at = place(token, column);
    return bytes(column, ring_v[at.x], ring_v[at.y]);
}
//!end
