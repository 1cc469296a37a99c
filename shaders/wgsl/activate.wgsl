// y = scale_c * act(x) + shift_c, the affine part per channel and optional.

//!kernel activate

//!import shared/activation
//!import shared/grid

struct Node {
    len: u32,
    activation: u32,
    /// Channels of the affine table, 0 without it.
    channels: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<f32>;
/// [2, channels]: scales, then shifts.
@group(1) @binding(2) var<storage, read> affine: array<f32>;
@group(1) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if i >= node.len {
        return;
    }
    var value = activate(node.activation, x[i]);
    if node.channels > 0u {
        let channel = i % node.channels;
        value = affine[channel] * value + affine[node.channels + channel];
    }
    y[i] = value;
}
