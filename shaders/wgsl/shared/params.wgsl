// What varies from run to run of one pass: the twin of ops/src/params.rs.

struct Params {
    seed: vec2<u32>,
    frame: u32,
    step: u32,
    history: u32,
    timestep: f32,
    sigma: f32,
    next_sigma: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
