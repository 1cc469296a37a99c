// The chunk's first noise: one invocation draws four elements of a frame.

//!kernel noise

//!import shared/grid
//!import shared/params
//!import shared/philox

struct Node {
    frames: u32,
    /// Elements a frame, a multiple of 4.
    len: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    let quads = node.len / 4u;
    if at < node.frames * quads {
        y[at] = normal4(params.seed, params.frame + at / quads, 0u, at % quads);
    }
}
