// y = sum over i of mix[i] * weight[i], weight [entries, len].

//!kernel embed

//!import shared/grid

struct Node {
    entries: u32,
    len: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> mix: array<f32>;
@group(1) @binding(2) var<storage, read> weight: array<f32>;
@group(1) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if i >= node.len {
        return;
    }
    var total = 0.0;
    for (var entry = 0u; entry < node.entries; entry++) {
        total += mix[entry] * weight[entry * node.len + i];
    }
    y[i] = total;
}
