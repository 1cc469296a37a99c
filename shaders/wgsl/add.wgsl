// y[r] = act(x[r] + z[r / every]).

//!kernel add

//!import shared/activation
//!import shared/grid

struct Node {
    rows: u32,
    dim: u32,
    every: u32,
    activation: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<f32>;
@group(1) @binding(2) var<storage, read> z: array<f32>;
@group(1) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    if at < node.rows * node.dim {
        let shared_row = at / node.dim / node.every;
        y[at] = activate(node.activation, x[at] + z[shared_row * node.dim + at % node.dim]);
    }
}
