// Attention as flash.wgsl, which tells what an importing kernel defines and calls, on cooperative matrices of half precision with sums in f32.
//
// Each of four subgroups has EDGE queries, whose matrices stay in registers from frame to frame; 32 keys, then values, at a time lie in
// workgroup memory for all of them. Maxima are lazy: outputs stay in matrices, and are rescaled (through the memory of the scores) only
// when a score exceeds its query's reference by more than SLACK, so that weights stay below e^SLACK.

//!import shared/matrices

const COLUMNS = {HEAD/4}u;
const QUERIES = 4u * EDGE;
const KEYS = 32u;
const HIDDEN = -1e30;
const SLACK = 4.0;
/// Numbers from row to row; rows begin at multiples of 16 bytes.
const ROW = {HEAD}u + 8u;
const SCORES = KEYS + 4u;
const WEIGHTS = KEYS + 8u;
/// Lanes that share a query.
const SHARE = SUBGROUP / EDGE;

/// Queries on their way to registers; then the keys' or values' rows, and behind them the weights.
var<workgroup> tile: array<Unit, max(QUERIES * ROW, KEYS * ROW + QUERIES * WEIGHTS) / UNIT>;
const TILE_WEIGHTS = KEYS * ROW;
var<workgroup> scores: array<f32, QUERIES * SCORES>;
/// Of each query: what its scores are relative to, its sum, what its output is multiplied by.
var<workgroup> reference: array<f32, QUERIES>;
var<workgroup> mass: array<f32, QUERIES>;
var<workgroup> change: array<f32, QUERIES>;
/// Whether an output must be rescaled.
var<workgroup> moving: atomic<u32>;
var<workgroup> stale: u32;

//!repeat p 0 {HEAD/32}
//!repeat n 0 {32/EDGE}
/// Features from 32 p + EDGE n on.
var<private> query_{p}_{n}: coop_mat{EDGE}x{EDGE}<f16, A>;
var<private> output_{p}_{n}: coop_mat{EDGE}x{EDGE}<f32, C>;
//!end
//!end

fn put(at: u32, x: vec4<f32>) {
    let half = narrow(x);
//!if LONE
    tile[at] = half.x;
    tile[at + 1u] = half.y;
    tile[at + 2u] = half.z;
    tile[at + 3u] = half.w;
//!else
    tile[at / 4u] = half;
//!end
}

fn start_flash(lane: u32) {
    for (var i = lane; i < QUERIES; i += LANES) {
        reference[i] = HIDDEN;
        mass[i] = 0.0;
    }
    if lane == 0u {
        atomicStore(&moving, 0u);
    }
//!repeat p 0 {HEAD/32}
//!repeat n 0 {32/EDGE}
    output_{p}_{n} = coop_mat{EDGE}x{EDGE}<f32, C>();
//!end
//!end
}

/// Fetches all columns of all queries, whose place was lent to keys.
fn stage_queries(lane: u32, count: u32) {
    for (var i = lane; i < QUERIES * COLUMNS; i += LANES) {
        put(i / COLUMNS * ROW + i % COLUMNS * 4u, fetch_query(i / COLUMNS, i % COLUMNS));
    }
    workgroupBarrier();
    let mine = lane / SUBGROUP * EDGE * ROW;
    let stride = ROW / UNIT;
//!repeat p 0 {HEAD/32}
//!repeat n 0 {32/EDGE}
    query_{p}_{n} = coopLoadT<coop_mat{EDGE}x{EDGE}<f16, A>>(&tile[(mine + {p}u * 32u + {n}u * EDGE) / UNIT], stride);
//!end
//!end
    workgroupBarrier();
}

//!repeat p 0 {HEAD/32}
/// Puts outputs of 32 features in the scores' place.
fn spill_{p}(lane: u32) {
    let mine = lane / SUBGROUP * EDGE * SCORES;
    let stride = SCORES;
//!repeat n 0 {32/EDGE}
    { let at = mine + {n}u * EDGE; coopStoreT(output_{p}_{n}, &scores[at], stride); }
//!end
    workgroupBarrier();
}

//!end
/// Multiplies each query's output by its change.
fn rescale_outputs(lane: u32) {
    let mine = lane / SUBGROUP * EDGE * SCORES;
    let stride = SCORES;
//!repeat p 0 {HEAD/32}
    spill_{p}(lane);
    for (var i = lane; i < QUERIES * KEYS; i += LANES) {
        scores[i / KEYS * SCORES + i % KEYS] *= change[i / KEYS];
    }
    workgroupBarrier();
//!repeat n 0 {32/EDGE}
    output_{p}_{n} = coopLoadT<coop_mat{EDGE}x{EDGE}<f32, C>>(&scores[mine + {n}u * EDGE], stride);
//!end
    workgroupBarrier();
//!end
}

/// Four scores of a query, of keys from `key` on.
fn scores_of(query: u32, key: u32) -> vec4<f32> {
    let at = query * SCORES + key;
    return vec4<f32>(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]);
}

/// Turns a tile's scores into weights; says what outputs must be multiplied by.
fn soften(lane: u32, first: u32, end: u32) {
    let query = lane / SHARE;
    let part = lane % SHARE;
    let shown = visible(query);
    var most = vec4<f32>(HIDDEN);
    for (var key = part * 4u; key < KEYS; key += SHARE * 4u) {
        let keys = first + key + vec4<u32>(0u, 1u, 2u, 3u);
        let known = min(keys, vec4<u32>(end - 1u));
        let more = vec4<f32>(offset(query, known.x), offset(query, known.y), offset(query, known.z), offset(query, known.w));
        let there = (keys < vec4<u32>(end)) & vec4<bool>(shown);
        let found = select(vec4<f32>(HIDDEN), scores_of(query, key) + more, there);
//!repeat c 0 4
        scores[query * SCORES + key + {c}u] = found[{c}];
//!end
        most = max(most, found);
    }
    var top = max(max(most.x, most.y), max(most.z, most.w));
    for (var step = 1u; step < SHARE; step *= 2u) {
        top = max(top, subgroupShuffleXor(top, step));
    }
    let before = reference[query];
    let moved = top > before + SLACK;
    let now = select(before, top, moved);
    let scale = select(1.0, exp(before - now), moved);
    var sum = 0.0;
    for (var key = part * 4u; key < KEYS; key += SHARE * 4u) {
        let found = scores_of(query, key);
        let weights = select(vec4<f32>(), exp(found - now), found > vec4<f32>(HIDDEN));
        put(TILE_WEIGHTS + query * WEIGHTS + key, weights);
        // What is multiplied with values is rounded.
        sum += dot(vec4<f32>(vec4<f16>(weights)), vec4<f32>(1.0));
    }
    for (var step = 1u; step < SHARE; step *= 2u) {
        sum += subgroupShuffleXor(sum, step);
    }
    // All lanes of a query have read its state.
    workgroupBarrier();
    if part == 0u {
        mass[query] = mass[query] * scale + sum;
        reference[query] = now;
        change[query] = scale;
        if moved {
            atomicStore(&moving, 1u);
        }
    }
}

/// Adds keys first..end, at most 32, to the softmax. Lanes must agree on the arguments.
fn absorb(lane: u32, first: u32, end: u32) {
    let mine = lane / SUBGROUP * EDGE;
    let row = ROW / UNIT;
    for (var i = lane; i < KEYS * COLUMNS; i += LANES) {
        put(i / COLUMNS * ROW + i % COLUMNS * 4u, fetch_key(min(first + i / COLUMNS, end - 1u), i % COLUMNS));
    }
    workgroupBarrier();
    for (var k = 0u; k < KEYS; k += EDGE) {
        var sums = coop_mat{EDGE}x{EDGE}<f32, C>();
//!repeat p 0 {HEAD/32}
//!repeat n 0 {32/EDGE}
        let keys_{p}_{n} = coopLoad<coop_mat{EDGE}x{EDGE}<f16, B>>(&tile[(k * ROW + {p}u * 32u + {n}u * EDGE) / UNIT], row);
        sums = coopMultiplyAdd(query_{p}_{n}, keys_{p}_{n}, sums);
//!end
//!end
        let at = mine * SCORES + k;
        let stride = SCORES;
        coopStoreT(sums, &scores[at], stride);
    }
    workgroupBarrier();
    soften(lane, first, end);
    for (var i = lane; i < KEYS * COLUMNS; i += LANES) {
        put(i / COLUMNS * ROW + i % COLUMNS * 4u, fetch_value(min(first + i / COLUMNS, end - 1u), i % COLUMNS));
    }
    workgroupBarrier();
    if lane == 0u {
        stale = atomicLoad(&moving);
    }
    if workgroupUniformLoad(&stale) != 0u {
        rescale_outputs(lane);
        if lane == 0u {
            atomicStore(&moving, 0u);
        }
    }
    let weights = WEIGHTS / UNIT;
    for (var k = 0u; k < KEYS; k += EDGE) {
        let part = coopLoadT<coop_mat{EDGE}x{EDGE}<f16, A>>(&tile[(TILE_WEIGHTS + mine * WEIGHTS + k) / UNIT], weights);
//!repeat p 0 {HEAD/32}
//!repeat n 0 {32/EDGE}
        let values_{p}_{n} = coopLoadT<coop_mat{EDGE}x{EDGE}<f16, B>>(&tile[(k * ROW + {p}u * 32u + {n}u * EDGE) / UNIT], row);
        output_{p}_{n} = coopMultiplyAdd(part, values_{p}_{n}, output_{p}_{n});
//!end
//!end
    }
    workgroupBarrier();
}

/// Divides by the softmax sums and stores.
fn finish_flash(lane: u32) {
//!repeat p 0 {HEAD/32}
    spill_{p}(lane);
    for (var i = lane; i < QUERIES * KEYS / 4u; i += LANES) {
        let query = i / (KEYS / 4u);
        let column = i % (KEYS / 4u);
        store(query, {p}u * 8u + column, scores_of(query, column * 4u) / mass[query]);
    }
    workgroupBarrier();
//!end
}
