// One few-step sampler update: x0 = x - sigma v, or v itself where the network answers with it; then x = (1 - next) x0 + next * noise of the next step. An invocation takes
// four elements.

//!kernel denoise

//!import shared/grid
//!import shared/params
//!import shared/philox

struct Node {
    frames: u32,
    /// Elements a frame, a multiple of 4.
    len: u32,
    /// Whether v is x0.
    clean: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> v: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    let quads = node.len / 4u;
    if at >= node.frames * quads {
        return;
    }
    var value = select(x[at] - params.sigma * v[at], v[at], node.clean != 0u);
    if params.next_sigma != 0.0 {
        let noise = normal4(params.seed, params.frame + at / quads, params.step + 1u, at % quads);
        value = (1.0 - params.next_sigma) * value + params.next_sigma * noise;
    }
    x[at] = value;
}
