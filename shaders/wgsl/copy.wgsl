// y[y_offset..][..len] = x[x_offset..][..len], bits untouched.

//!kernel copy

//!import shared/grid

struct Node {
    len: u32,
    x_offset: u32,
    y_offset: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<u32>;
@group(1) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if i < node.len {
        y[node.y_offset + i] = x[node.x_offset + i];
    }
}
