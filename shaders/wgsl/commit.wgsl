// Commits a chunk's clean keys and values to the ring, with each frame's key mean. An invocation takes one feature of a frame.

//!kernel commit

struct Node {
    tokens: u32,
    dim: u32,
    slots: u32,
    max_history: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<uniform> frames: array<vec4<u32>, 64>;
@group(1) @binding(2) var<storage, read> k: array<f32>;
@group(1) @binding(3) var<storage, read> v: array<f32>;
@group(1) @binding(4) var<storage, read_write> ring_k: array<f32>;
@group(1) @binding(5) var<storage, read_write> ring_v: array<f32>;
@group(1) @binding(6) var<storage, read_write> means: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let feature = id.x;
    let frame = id.y;
    if feature >= node.dim {
        return;
    }
    let row = node.max_history + frame;
    let slot = min(frames[row / 4u][row % 4u], node.slots - 1u);
    var sum = 0.0;
    for (var token = 0u; token < node.tokens; token++) {
        let here = (frame * node.tokens + token) * node.dim + feature;
        let there = (slot * node.tokens + token) * node.dim + feature;
        sum += k[here];
        ring_k[there] = k[here];
        ring_v[there] = v[here];
    }
    means[slot * node.dim + feature] = sum / f32(node.tokens);
}
