// y[f, i] = x[f, i or 0] + weight[i] for the modulation vectors i of every frame f.

//!kernel modulation

//!import shared/grid

struct Node {
    frames: u32,
    vectors: u32,
    dim: u32,
    /// 1: the input holds one vector a frame.
    broadcast: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<f32>;
@group(1) @binding(2) var<storage, read> weight: array<f32>;
@group(1) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    let offset = node.vectors * node.dim;
    if i >= node.frames * offset {
        return;
    }
    let source = select(i, i / offset * node.dim + i % node.dim, node.broadcast != 0u);
    y[i] = x[source] + weight[i % offset];
}
