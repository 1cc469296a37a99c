// What varies from run to run of one pass: the twin of ops/src/params.rs.

struct Params {
    seed: vec2<u32>,
    frame: u32,
    step: u32,
    history: vec4<u32>,
    /// Most of these that a route keeps; 0 for as many as it has room for.
    route: vec4<u32>,
    level: u32,
    sigma: f32,
    guidance: f32,
    keep: f32,
    /// Weights of from, newer, older, clean.
    correct: vec4<f32>,
    /// Weights of sample, clean, newer, fresh noise.
    predict: vec4<f32>,
    /// 1 where routes keep no newest frame by force.
    cut: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
