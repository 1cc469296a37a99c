// cross_attention for heads of more than 128 features, a multiple of 4 up to 512, which the tiles of flash.wgsl do not hold: queries
// lie in workgroup memory, keys and values are read where they are. One workgroup takes 4 queries of one head.

//!kernel cross_attention_broad

struct Node {
    rows: u32,
    context: u32,
    heads: u32,
    head_dim: u32,
    /// Multiplies scores.
    scale: f32,
    /// 1: an offset for each context row.
    row_offsets: u32,
    /// 1: one for each head and distance [heads, rows + context - 1].
    distance_offsets: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(1) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(1) @binding(4) var<storage, read> offsets: array<f32>;
@group(1) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

const LANES = 64u;
const QUERIES = 4u;
/// vec4s of the largest head.
const COLUMNS = 128u;
const HIDDEN = -1e30;

var<workgroup> queries: array<vec4<f32>, QUERIES * COLUMNS>;
/// Scores, then weights, of a tile's keys: a component a query.
var<workgroup> scores: array<vec4<f32>, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let columns = node.head_dim / 4u;
    let first_row = group.x * QUERIES;
    // Column c of row r of this head is at (r * heads + head) * columns + c.
    let step = node.heads * columns;
    let base = group.y * columns;
    for (var i = lane; i < QUERIES * columns; i += LANES) {
        let row = min(first_row + i / columns, node.rows - 1u);
        queries[i / columns * COLUMNS + i % columns] = node.scale * q[row * step + base + i % columns];
    }
    workgroupBarrier();

    var peak = vec4<f32>(HIDDEN);
    var mass = vec4<f32>();
    // Weighted values of the 4 queries in columns lane and lane + LANES.
    var output: array<mat4x4<f32>, 2>;
    for (var first = 0u; first < node.context; first += LANES) {
        let key = first + lane;
        var dots = vec4<f32>(HIDDEN);
        if key < node.context {
            dots = vec4<f32>();
            for (var c = 0u; c < columns; c++) {
                let column = k[key * step + base + c];
                dots += vec4<f32>(
                    dot(queries[c], column),
                    dot(queries[COLUMNS + c], column),
                    dot(queries[2u * COLUMNS + c], column),
                    dot(queries[3u * COLUMNS + c], column),
                );
            }
            if node.row_offsets == 1u {
                dots += offsets[key];
            }
            if node.distance_offsets == 1u {
                let nearest = group.y * (node.rows + node.context - 1u) + node.context - 1u - key;
                let rows = min(vec4<u32>(first_row) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(node.rows - 1u));
                let at = rows + nearest;
                dots += vec4<f32>(offsets[at.x], offsets[at.y], offsets[at.z], offsets[at.w]);
            }
        }
        scores[lane] = dots;
        workgroupBarrier();
        var highest = peak;
        for (var i = 0u; i < LANES; i++) {
            highest = max(highest, scores[i]);
        }
        workgroupBarrier();
        scores[lane] = select(vec4<f32>(), exp(dots - highest), vec4<bool>(key < node.context));
        workgroupBarrier();
        let rescale = exp(peak - highest);
        peak = highest;
        mass *= rescale;
        for (var i = 0u; i < LANES; i++) {
            mass += scores[i];
        }
        let count = min(LANES, node.context - first);
        for (var half = 0u; half < 2u; half++) {
            let c = lane + half * LANES;
            if c >= columns {
                continue;
            }
            // A column of the matrix is a query.
            var sums = output[half];
            sums = mat4x4<f32>(sums[0] * rescale.x, sums[1] * rescale.y, sums[2] * rescale.z, sums[3] * rescale.w);
            for (var i = 0u; i < count; i++) {
                let value = v[(first + i) * step + base + c];
                let weight = scores[i];
                sums[0] += weight.x * value;
                sums[1] += weight.y * value;
                sums[2] += weight.z * value;
                sums[3] += weight.w * value;
            }
            output[half] = sums;
        }
        workgroupBarrier();
    }
    for (var half = 0u; half < 2u; half++) {
        let c = lane + half * LANES;
        if c >= columns {
            continue;
        }
        let sums = output[half];
        let shares = array<vec4<f32>, 4>(sums[0] / mass.x, sums[1] / mass.y, sums[2] / mass.z, sums[3] / mass.w);
        for (var query = 0u; query < QUERIES && first_row + query < node.rows; query++) {
            y[(first_row + query) * step + base + c] = shares[query];
        }
    }
}
