// Which frames of the past attention looks for: one workgroup takes a head, a lane a pair of its queries' sum, then a frame, then a query's route.

//!kernel prefer

//!import shared/params
//!import shared/ranked

struct Node {
    rows: u32,
    tokens: u32,
    heads: u32,
    head_dim: u32,
    temporal_pairs: u32,
    slots: u32,
    max_history: u32,
    /// Which of the histories.
    ring: u32,
    /// Frames of a route; 0 without routes.
    k: u32,
    /// Rows from one that is asked to the next; at most LANES are.
    stride: u32,
    /// Age of the newest frame.
    every: u32,
    y_offset: u32,
    /// 1: means are plain, and queries lose their spatial rotation.
    plain: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<uniform> frames: array<vec4<u32>, 64>;
@group(1) @binding(2) var<storage, read> rotations: array<vec2<f32>>;
//!numbers 3 read q 2
@group(1) @binding(4) var<storage, read> means: array<vec2<f32>>;
@group(1) @binding(5) var<storage, read> routes: array<u32>;
@group(1) @binding(6) var<storage, read_write> y: array<f32>;
@group(1) @binding(7) var<storage, read> spatial: array<vec2<f32>>;

const LANES = 64u;
const MOST = 256u;

/// The sum of the queries: pairs of a head, as many as there are lanes at most.
var<workgroup> queries: array<vec2<f32>, LANES>;
var<workgroup> scores: array<f32, MOST>;
/// Of the routes of each query: sum of ages, and how many.
var<workgroup> ages: array<u32, LANES>;
var<workgroup> counts: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.x;
    let pairs = node.head_dim / 2u;
    let history = min(params.history[node.ring], node.max_history);
    var sum = vec2<f32>();
    if lane < pairs {
        for (var row = 0u; row < node.rows; row += node.stride) {
            sum += query_at(row, head, lane);
        }
    }
    queries[lane] = sum;
    workgroupBarrier();
    for (var frame = lane; frame < history; frame += LANES) {
        let slot = min(frames[frame / 4u][frame % 4u], node.slots - 1u);
        var score = 0.0;
        for (var pair = 0u; pair < pairs; pair++) {
            score += dot(queries[pair], turn(means[(slot * node.heads + head) * pairs + pair], frame, pair));
        }
        scores[frame] = score;
    }
    var age = 0u;
    var count = 0u;
    let row = lane * node.stride;
    if row < node.rows {
        for (var i = 0u; i < node.k; i++) {
            let frame = routes[(row * node.heads + head) * node.k + i];
            if frame < history {
                age += history - frame;
                count += 1u;
            }
        }
    }
    ages[lane] = age;
    counts[lane] = count;
    workgroupBarrier();
    if lane > 0u {
        return;
    }
    var preferred = 0u;
    for (var frame = 1u; frame < history; frame++) {
        if scores[frame] > scores[preferred] {
            preferred = frame;
        }
    }
    for (var other = 1u; other < LANES; other++) {
        age += ages[other];
        count += counts[other];
    }
    y[node.y_offset + 2u * head] = f32((history - preferred) * node.every);
    y[node.y_offset + 2u * head + 1u] = f32(age * node.every) / f32(max(count, 1u));
}
