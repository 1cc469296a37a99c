// Commits a chunk's clean keys and values to the ring, with each frame's key mean; how a row is stored is told in ops/src/kv.rs.
//
// Two kinds of workgroups share a dispatch [heads, chunk, copies + means]: the first `copies` of a head of a frame store 64 tokens each,
// the others take the mean of 8 features each over all tokens.

//!kernel commit RING32
//!kernel commit_f16 RING16
//!kernel commit_q8 RING8

//!if RING16
//!import shared/half
//!end

struct Node {
    tokens: u32,
    heads: u32,
    head_dim: u32,
    slots: u32,
    max_history: u32,
    /// 1: means are of keys without their spatial rotation, which pairs from `first_pair` on have.
    plain: u32,
    first_pair: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<uniform> frames: array<vec4<u32>, 64>;
//!numbers 2 read k 1
//!numbers 3 read v 1
@group(1) @binding(4) var<storage, read_write> ring_k: array<u32>;
@group(1) @binding(5) var<storage, read_write> ring_v: array<u32>;
@group(1) @binding(6) var<storage, read_write> means: array<f32>;
@group(1) @binding(7) var<storage, read> spatial: array<vec2<f32>>;

const LANES = 64u;

/// A number, 0 for what is none: all exponent bits are set in NaN and infinity. Comparisons are optimised away by some compilers.
fn number(x: f32) -> f32 {
    return select(x, 0.0, (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u);
}

/// A row's first feature in `k` and `v`.
fn here(frame: u32, token: u32, head: u32) -> u32 {
    return ((frame * node.tokens + token) * node.heads + head) * node.head_dim;
}

//!if RING32
fn store(lane: u32, frame: u32, slot: u32, head: u32, first: u32, end: u32) {
    for (var i = first * node.head_dim + lane; i < end * node.head_dim; i += LANES) {
        let at = here(frame, i / node.head_dim, head) + i % node.head_dim;
        let to = here(slot, i / node.head_dim, head) + i % node.head_dim;
        ring_k[to] = bitcast<u32>(number(load_k(at)));
        ring_v[to] = bitcast<u32>(number(load_v(at)));
    }
}
//!end
//!if RING16
fn store(lane: u32, frame: u32, slot: u32, head: u32, first: u32, end: u32) {
    let words = (node.head_dim + 1u) / 2u;
    for (var i = first * words + lane; i < end * words; i += LANES) {
        let token = i / words;
        let column = i % words * 2u;
        let at = here(frame, token, head) + column;
        // The last word of an odd row is half empty.
        let whole = column + 1u < node.head_dim;
        let next = select(at, at + 1u, whole);
        let key = floats_to_halves(vec2<f32>(number(load_k(at)), select(0.0, number(load_k(next)), whole)));
        let value = floats_to_halves(vec2<f32>(number(load_v(at)), select(0.0, number(load_v(next)), whole)));
        let to = ((slot * node.tokens + token) * node.heads + head) * words + i % words;
        ring_k[to] = key.x | (key.y << 16u);
        ring_v[to] = value.x | (value.y << 16u);
    }
}
//!end
//!if RING8
/// Lanes that share a row.
const SHARE = 8u;

var<workgroup> tops: array<vec2<f32>, LANES>;

/// The nearest codes of four features.
fn codes(x: vec4<f32>, inverse: f32) -> u32 {
    let codes = vec4<u32>(vec4<i32>(round(x * inverse))) & vec4<u32>(255u);
    return codes.x | (codes.y << 8u) | (codes.z << 16u) | (codes.w << 24u);
}

fn inverse(top: f32) -> f32 {
    return select(0.0, 127.0 / top, top > 0.0);
}

fn store(lane: u32, frame: u32, slot: u32, head: u32, first: u32, end: u32) {
    let words = (node.head_dim + 3u) / 4u;
    let share = lane % SHARE;
    for (var row = first; row < end; row += LANES / SHARE) {
        // Lanes beyond the last row repeat it.
        let token = min(row + lane / SHARE, end - 1u);
        let at = here(frame, token, head);
        var top = vec2<f32>();
        for (var column = share; column < node.head_dim; column += SHARE) {
            top = max(top, abs(vec2<f32>(number(load_k(at + column)), number(load_v(at + column)))));
        }
        tops[lane] = top;
        workgroupBarrier();
        for (var i = 0u; i < SHARE; i++) {
            top = max(top, tops[lane / SHARE * SHARE + i]);
        }
        workgroupBarrier();
        let to = ((slot * node.tokens + token) * node.heads + head) * (words + 1u);
        for (var word = share; word < words; word += SHARE) {
            var key = vec4<f32>();
            var value = vec4<f32>();
            for (var i = 0u; i < 4u && word * 4u + i < node.head_dim; i++) {
                key[i] = number(load_k(at + word * 4u + i));
                value[i] = number(load_v(at + word * 4u + i));
            }
            ring_k[to + word] = codes(key, inverse(top.x));
            ring_v[to + word] = codes(value, inverse(top.y));
        }
        if share == 0u {
            ring_k[to + words] = bitcast<u32>(top.x / 127.0);
            ring_v[to + words] = bitcast<u32>(top.y / 127.0);
        }
    }
}
//!end

/// Tokens that a workgroup stores.
const TOKENS = 64u;
/// Features whose means a workgroup takes, 8 lanes each.
const FEATURES = 8u;

var<workgroup> sums: array<f32, LANES>;

/// A key's feature as its mean takes it.
fn key(frame: u32, token: u32, head: u32, feature: u32) -> f32 {
    let at = here(frame, token, head);
    let value = number(load_k(at + feature));
    let pair = feature / 2u;
    if node.plain == 0u || pair < node.first_pair {
        return value;
    }
    let a = spatial[token * (node.head_dim / 2u - node.first_pair) + pair - node.first_pair];
    let other = number(load_k(at + (feature ^ 1u)));
    return value * a.x + select(other, -other, feature % 2u == 1u) * a.y;
}

fn mean(lane: u32, frame: u32, slot: u32, head: u32, first: u32) {
    let feature = min(first + lane % FEATURES, node.head_dim - 1u);
    var sum = 0.0;
    for (var token = lane / FEATURES; token < node.tokens; token += LANES / FEATURES) {
        sum += key(frame, token, head, feature);
    }
    sums[lane] = sum;
    workgroupBarrier();
    if lane < FEATURES && first + lane < node.head_dim {
        var total = 0.0;
        for (var i = lane; i < LANES; i += FEATURES) {
            total += sums[i];
        }
        means[(slot * node.heads + head) * node.head_dim + feature] = total / f32(node.tokens);
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.x;
    let frame = group.y;
    let row = node.max_history + frame;
    let slot = min(frames[row / 4u][row % 4u], node.slots - 1u);
    let copies = (node.tokens + TOKENS - 1u) / TOKENS;
    if group.z < copies {
        let first = group.z * TOKENS;
        store(lane, frame, slot, head, first, min(first + TOKENS, node.tokens));
    } else {
        mean(lane, frame, slot, head, (group.z - copies) * FEATURES);
    }
}
