// The timestep sinusoid [cos(t f_i) | sin(t f_i)], f_i = 10000^(-i / half), the same row for every frame.

//!kernel timestep

//!import shared/grid
//!import shared/math
//!import shared/params

struct Node {
    frames: u32,
    features: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read_write> y: array<f32>;

const LOG_10000 = 9.210340371976184;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    if at >= node.frames * node.features {
        return;
    }
    let half = node.features / 2u;
    let feature = at % node.features;
    let i = feature % half;
    let turned = sin_cos(params.timestep * exp_accurate(-LOG_10000 * f32(i) / f32(half)));
    y[at] = select(turned.x, turned.y, feature < half);
}
