// Attention as flash.wgsl, which tells what an importing kernel defines and calls, in half precision: sums of four products of queries and keys
// in it, whose errors a softmax multiplies, sums of eight of weights and values, longer sums in f32. 64 queries and 32 keys at a time, 4 x 4 of them a lane; then the lane has 4 queries and an eighth of the features. The eight
// lanes of a query are neighbours in a subgroup, and agree on its softmax by shuffles.

//!import shared/narrow

const COLUMNS = {HEAD/4}u;
const LANES = 128u;
const QUERIES = 64u;
const KEYS = 32u;
const HIDDEN = -1e30;

/// [feature, query / 4].
var<workgroup> queries: array<vec4<f16>, COLUMNS * QUERIES>;
/// Keys [feature, key / 4], then values [key, feature / 4].
var<workgroup> tile: array<vec4<f16>, COLUMNS * KEYS>;
/// [key, query / 4].
var<workgroup> weights: array<vec4<f16>, KEYS * QUERIES / 4u>;

/// Softmax state of the lane's four queries: largest scores so far, and sums over the lane's keys.
var<private> peak: vec4<f32>;
var<private> mass: vec4<f32>;
/// Weighted values [query, features from 4 * (lane % 8 + 8 j) on].
//!repeat i 0 4
//!repeat j 0 {HEAD/32}
var<private> output{i}{j}: vec4<f32>;
//!end
//!end

fn start_flash(lane: u32) {
    peak = vec4<f32>(HIDDEN);
    mass = vec4<f32>();
//!repeat i 0 4
//!repeat j 0 {HEAD/32}
    output{i}{j} = vec4<f32>();
//!end
//!end
}

/// Fetches columns 0..count of all queries.
fn stage_queries(lane: u32, count: u32) {
    for (var i = lane; i < QUERIES / 4u * count; i += LANES) {
        let four = i % (QUERIES / 4u);
        let column = i / (QUERIES / 4u);
        let turned = transpose(mat4x4<f16>(
            narrow(fetch_query(four * 4u, column)),
            narrow(fetch_query(four * 4u + 1u, column)),
            narrow(fetch_query(four * 4u + 2u, column)),
            narrow(fetch_query(four * 4u + 3u, column)),
        ));
//!repeat c 0 4
        queries[(column * 4u + {c}u) * (QUERIES / 4u) + four] = turned[{c}];
//!end
    }
    workgroupBarrier();
}

fn stage_keys(lane: u32, first: u32, last: u32) {
    for (var i = lane; i < KEYS / 4u * COLUMNS; i += LANES) {
        let column = i % COLUMNS;
        let four = i / COLUMNS;
        let key = first + four * 4u;
        let turned = transpose(mat4x4<f16>(
            narrow(fetch_key(min(key, last), column)),
            narrow(fetch_key(min(key + 1u, last), column)),
            narrow(fetch_key(min(key + 2u, last), column)),
            narrow(fetch_key(min(key + 3u, last), column)),
        ));
//!repeat c 0 4
        tile[(column * 4u + {c}u) * (KEYS / 4u) + four] = turned[{c}];
//!end
    }
}

fn stage_values(lane: u32, first: u32, last: u32) {
    for (var i = lane; i < KEYS * COLUMNS; i += LANES) {
        tile[i] = narrow(fetch_value(min(first + i / COLUMNS, last), i % COLUMNS));
    }
}

/// The largest number of the lanes of a query.
fn highest(x: vec4<f32>) -> f32 {
    var most = max(max(x.x, x.y), max(x.z, x.w));
    most = max(most, subgroupShuffleXor(most, 1u));
    most = max(most, subgroupShuffleXor(most, 2u));
    return max(most, subgroupShuffleXor(most, 4u));
}

/// The sum over the lanes of a query.
fn total(x: f32) -> f32 {
    var sum = x;
    sum += subgroupShuffleXor(sum, 1u);
    sum += subgroupShuffleXor(sum, 2u);
    return sum + subgroupShuffleXor(sum, 4u);
}

/// Adds keys first..end, at most 32, to the softmax. Lanes must agree on the arguments.
fn absorb(lane: u32, first: u32, end: u32) {
    let q = lane / 8u;
    let k = lane % 8u;
    stage_keys(lane, first, end - 1u);
    workgroupBarrier();
//!repeat i 0 4
    var dots{i} = vec4<f32>();
//!end
    for (var feature = 0u; feature < COLUMNS * 4u; feature += 4u) {
//!repeat i 0 4
        var few{i} = vec4<f16>();
//!end
//!repeat c 0 4
        let q{c} = queries[(feature + {c}u) * (QUERIES / 4u) + q];
        let k{c} = tile[(feature + {c}u) * (KEYS / 4u) + k];
//!repeat i 0 4
        few{i} += q{c}[{i}] * k{c};
//!end
//!end
//!repeat i 0 4
        dots{i} += vec4<f32>(few{i});
//!end
    }
    let near = first + k * 4u;
    let keys = vec4<u32>(near, near + 1u, near + 2u, near + 3u);
    let there = keys < vec4<u32>(end);
    let known = min(keys, vec4<u32>(end - 1u));
//!repeat i 0 4
    let more{i} = vec4<f32>(
        offset(q * 4u + {i}u, known.x),
        offset(q * 4u + {i}u, known.y),
        offset(q * 4u + {i}u, known.z),
        offset(q * 4u + {i}u, known.w),
    );
    dots{i} = select(vec4<f32>(HIDDEN), dots{i} + more{i}, there & vec4<bool>(visible(q * 4u + {i}u)));
//!end
    let next = max(peak, vec4<f32>(highest(dots0), highest(dots1), highest(dots2), highest(dots3)));
    let scale = exp(peak - next);
    peak = next;
    let one = vec4<f32>(1.0);
//!repeat i 0 4
    let part{i} = select(vec4<f32>(), exp(dots{i} - next[{i}]), dots{i} > vec4<f32>(HIDDEN));
//!end
    mass = mass * scale + vec4<f32>(dot(part0, one), dot(part1, one), dot(part2, one), dot(part3, one));
//!repeat c 0 4
    weights[(k * 4u + {c}u) * (QUERIES / 4u) + q] = vec4<f16>(vec4<f32>(part0[{c}], part1[{c}], part2[{c}], part3[{c}]));
//!end
    workgroupBarrier();
    stage_values(lane, first, end - 1u);
    workgroupBarrier();
//!repeat i 0 4
//!repeat j 0 {HEAD/32}
    output{i}{j} *= scale[{i}];
//!end
//!end
    for (var key = 0u; key < KEYS; key += 8u) {
//!repeat i 0 4
//!repeat j 0 {HEAD/32}
        var few{i}{j} = vec4<f16>();
//!end
//!end
//!repeat c 0 8
        let p{c} = weights[(key + {c}u) * (QUERIES / 4u) + q];
//!repeat j 0 {HEAD/32}
        let v{c}{j} = tile[(key + {c}u) * COLUMNS + k + {j}u * 8u];
//!repeat i 0 4
        few{i}{j} += p{c}[{i}] * v{c}{j};
//!end
//!end
//!end
//!repeat i 0 4
//!repeat j 0 {HEAD/32}
        output{i}{j} += vec4<f32>(few{i}{j});
//!end
//!end
    }
    workgroupBarrier();
}

/// Divides by the softmax sums and stores.
fn finish_flash(lane: u32) {
    let all = vec4<f32>(total(mass.x), total(mass.y), total(mass.z), total(mass.w));
//!repeat i 0 4
//!repeat j 0 {HEAD/32}
    store(lane / 8u * 4u + {i}u, lane % 8u + {j}u * 8u, output{i}{j} / all[{i}]);
//!end
//!end
}
