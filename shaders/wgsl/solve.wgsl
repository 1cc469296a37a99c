// One sampler step: clean latents from the network's answer, then weighted sums (ops/src/op/solve.rs). An invocation takes four elements.

//!kernel solve
//!kernel solve_past PAST

//!import shared/grid
//!import shared/params
//!import shared/philox

struct Node {
    frames: u32,
    /// Elements a frame, a multiple of 4.
    len: u32,
    /// Whether the network answers with the clean latents.
    clean: u32,
    has_negative: u32,
    has_fresh: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> v: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read> negative: array<vec4<f32>>;
@group(1) @binding(3) var<storage, read> fresh: array<vec4<f32>>;
@group(1) @binding(4) var<storage, read_write> x: array<vec4<f32>>;
//!if PAST
/// `from` is a reserved word.
@group(1) @binding(5) var<storage, read_write> start: array<vec4<f32>>;
@group(1) @binding(6) var<storage, read_write> newer: array<vec4<f32>>;
@group(1) @binding(7) var<storage, read_write> older: array<vec4<f32>>;
//!end

/// A term of a sum. What has no weight may be anything, not-a-number too.
fn term(weight: f32, value: vec4<f32>) -> vec4<f32> {
    if weight == 0.0 {
        return vec4<f32>();
    }
    return weight * value;
}

fn noise(at: u32) -> vec4<f32> {
    if params.predict.w == 0.0 {
        return vec4<f32>();
    }
    if node.has_fresh != 0u {
        return fresh[at];
    }
    let quads = node.len / 4u;
    return normal4(params.seed, params.frame + at / quads, params.step + 1u, at % quads);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    if at >= node.frames * (node.len / 4u) {
        return;
    }
    var clean = v[at];
    if node.has_negative != 0u {
        clean = negative[at] + params.guidance * (clean - negative[at]);
    }
    if node.clean == 0u {
        clean = x[at] - params.sigma * clean;
    }
    var next = term(params.predict.y, clean) + term(params.predict.w, noise(at));
//!if PAST
    let sample = term(params.keep, x[at])
        + term(params.correct.x, start[at])
        + term(params.correct.y, newer[at])
        + term(params.correct.z, older[at])
        + term(params.correct.w, clean);
    next += term(params.predict.x, sample) + term(params.predict.z, newer[at]);
    older[at] = newer[at];
    newer[at] = clean;
    start[at] = sample;
//!else
    next += term(params.predict.x, x[at]);
//!end
    x[at] = next;
}
