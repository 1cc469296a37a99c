// Attention of 16 queries of one head over keys that arrive in tiles of 16, with an online softmax: only running maxima, sums
// and weighted values are kept (Milakov and Gimelshein, 2018; Dao et al., 2022).
//
// An importing kernel defines
//   fetch_query(query, column): a vec4 column of a query of this tile, scaled, zero beyond the head;
//   fetch_key(key, column), fetch_value(key, column): of the keys being visited, zero beyond the head;
//   visible(query): whether this query sees the keys being visited;
//   offset(query, key): added to this score;
//   store(query, column, value).
// and calls start_flash, then stage_queries and absorb as it likes, then finish_flash.
//
// A head of d features is padded to COLUMNS vec4s. Workgroup memory holds 16 keys (then values) of at most 16 columns, so
// that 16 KiB suffice for heads of 128. Rows in workgroup memory are one longer than needed: lanes that read a column of
// different rows then meet different banks.

const COLUMNS = {HEAD/4}u;
const LANES = 64u;
const QUERIES = 16u;
const KEYS = 16u;
/// Columns staged at a time.
const SLICE = min(COLUMNS, 16u);
const SLICES = COLUMNS / SLICE;
/// Queries whose outputs one lane accumulates, in one column of each slice.
const SHARE = QUERIES * SLICE / LANES;
const HIDDEN = -1e30;

var<workgroup> queries: array<vec4<f32>, QUERIES * (COLUMNS + 1u)>;
var<workgroup> tile: array<vec4<f32>, KEYS * (SLICE + 1u)>;
var<workgroup> scores: array<f32, QUERIES * (KEYS + 1u)>;
var<workgroup> weights: array<f32, QUERIES * (KEYS + 1u)>;
var<workgroup> rescale: array<f32, QUERIES>;

/// Softmax state of query lane / 4: its largest score so far, and the sum over keys lane % 4 * 4 .. + 4 of every tile.
var<private> peak: f32;
var<private> mass: f32;
/// Weighted values of the lane's queries, [slice, share].
var<private> output: array<vec4<f32>, SLICES * SHARE>;

fn start_flash(lane: u32) {
    peak = HIDDEN;
    mass = 0.0;
    for (var i = 0u; i < SLICES * SHARE; i++) {
        output[i] = vec4<f32>();
    }
}

/// Fetches columns 0..count of all queries.
fn stage_queries(lane: u32, count: u32) {
    for (var i = lane; i < QUERIES * count; i += LANES) {
        queries[i / count * (COLUMNS + 1u) + i % count] = fetch_query(i / count, i % count);
    }
    workgroupBarrier();
}

fn stage_keys(lane: u32, first: u32, last: u32, slice: u32) {
    for (var i = lane; i < KEYS * SLICE; i += LANES) {
        tile[i / SLICE * (SLICE + 1u) + i % SLICE] = fetch_key(min(first + i / SLICE, last), slice * SLICE + i % SLICE);
    }
}

fn stage_values(lane: u32, first: u32, last: u32, slice: u32) {
    for (var i = lane; i < KEYS * SLICE; i += LANES) {
        tile[i / SLICE * (SLICE + 1u) + i % SLICE] = fetch_value(min(first + i / SLICE, last), slice * SLICE + i % SLICE);
    }
}

/// Adds keys first..end, at most 16, to the softmax. Lanes must agree on the arguments.
fn absorb(lane: u32, first: u32, end: u32) {
    // Scores: a lane takes 2 queries x 2 keys.
    let q = lane / 8u;
    let k = lane % 8u;
    var dots = vec4<f32>();
    for (var slice = 0u; slice < SLICES; slice++) {
        stage_keys(lane, first, end - 1u, slice);
        workgroupBarrier();
        for (var c = 0u; c < SLICE; c++) {
            let q0 = queries[q * (COLUMNS + 1u) + slice * SLICE + c];
            let q1 = queries[(q + 8u) * (COLUMNS + 1u) + slice * SLICE + c];
            let k0 = tile[k * (SLICE + 1u) + c];
            let k1 = tile[(k + 8u) * (SLICE + 1u) + c];
            dots += vec4<f32>(dot(q0, k0), dot(q0, k1), dot(q1, k0), dot(q1, k1));
        }
        workgroupBarrier();
    }
    let seen = vec4<bool>(visible(q), visible(q), visible(q + 8u), visible(q + 8u));
    let near = min(first + k, end - 1u);
    let far = min(first + k + 8u, end - 1u);
    dots += vec4<f32>(offset(q, near), offset(q, far), offset(q + 8u, near), offset(q + 8u, far));
    let there = vec4<bool>(first + k < end, first + k + 8u < end, first + k < end, first + k + 8u < end);
    dots = select(vec4<f32>(HIDDEN), dots, seen & there);
    scores[q * (KEYS + 1u) + k] = dots.x;
    scores[q * (KEYS + 1u) + k + 8u] = dots.y;
    scores[(q + 8u) * (KEYS + 1u) + k] = dots.z;
    scores[(q + 8u) * (KEYS + 1u) + k + 8u] = dots.w;
    stage_values(lane, first, end - 1u, 0u);
    workgroupBarrier();
    soften(lane);
    workgroupBarrier();
    // Values: a lane takes one column of SHARE queries.
    let column = lane % SLICE;
    let share = lane / SLICE * SHARE;
    for (var slice = 0u; slice < SLICES; slice++) {
        if slice > 0u {
            stage_values(lane, first, end - 1u, slice);
            workgroupBarrier();
        }
        for (var i = 0u; i < SHARE; i++) {
            output[slice * SHARE + i] *= rescale[share + i];
        }
        for (var key = 0u; key < KEYS; key++) {
            let value = tile[key * (SLICE + 1u) + column];
            for (var i = 0u; i < SHARE; i++) {
                output[slice * SHARE + i] += weights[(share + i) * (KEYS + 1u) + key] * value;
            }
        }
        workgroupBarrier();
    }
}

/// Turns a tile's scores into weights relative to the new maximum. Four lanes serve a query.
fn soften(lane: u32) {
    let row = lane / 4u * (KEYS + 1u);
    var highest = peak;
    for (var key = 0u; key < KEYS; key++) {
        highest = max(highest, scores[row + key]);
    }
    let scale = exp(peak - highest);
    mass *= scale;
    peak = highest;
    for (var key = lane % 4u * 4u; key < lane % 4u * 4u + 4u; key++) {
        let score = scores[row + key];
        let weight = select(0.0, exp(score - highest), score > HIDDEN);
        weights[row + key] = weight;
        mass += weight;
    }
    if lane % 4u == 0u {
        rescale[lane / 4u] = scale;
    }
}

/// Divides by the softmax sums and stores.
fn finish_flash(lane: u32) {
    scores[lane] = mass;
    workgroupBarrier();
    let share = lane / SLICE * SHARE;
    for (var i = 0u; i < SHARE; i++) {
        let parts = (share + i) * 4u;
        let total = (scores[parts] + scores[parts + 1u]) + (scores[parts + 2u] + scores[parts + 3u]);
        for (var slice = 0u; slice < SLICES; slice++) {
            store(share + i, slice * SLICE + lane % SLICE, output[slice * SHARE + i] / total);
        }
    }
}
