// y[r] = [x[r] | z[r / every]].

//!kernel join

//!import shared/grid

struct Node {
    rows: u32,
    first: u32,
    second: u32,
    every: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<f32>;
@group(1) @binding(2) var<storage, read> z: array<f32>;
@group(1) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    let width = node.first + node.second;
    if at >= node.rows * width {
        return;
    }
    let row = at / width;
    let column = at % width;
    if column < node.first {
        y[at] = x[row * node.first + column];
    } else {
        y[at] = z[row / node.every * node.second + column - node.first];
    }
}
