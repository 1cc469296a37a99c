// Linear layers with quantised weights as linear.wgsl, whose inputs are quantised too: products of bytes four at a time, an integer sum a
// block of 32, scaled into f32 sums. It is what the CPU computes; only the order of the f32 sums differs.
//
// WIDE: 64 x 64 a workgroup, 4 rows x 8 columns a lane, of rows that quantise.wgsl made. Otherwise 16 x 32 a workgroup, which quantises its
// rows on the way (with NORM, normed rows); its lanes also split the depth in four and add up at the end.

//!kernel linear_dot4_q8_wide SCALES Q8 WIDE CODES DEEP
//!kernel linear_dot4_q8_skinny SCALES Q8
//!kernel linear_dot4_q8_norm SCALES Q8 NORM
//!kernel linear_dot4_q4_wide SCALES Q4 WIDE CODES DEEP
//!kernel linear_dot4_q4_skinny SCALES Q4
//!kernel linear_dot4_q4_norm SCALES Q4 NORM

//!import shared/linear
//!import shared/codes

const LANES = 128u;

//!if WIDE
const ROWS = 64u;
const COLUMNS = 64u;

@group(1) @binding(6) var<storage, read> codes: array<vec4<u32>>;
@group(1) @binding(7) var<storage, read> code_scales: array<f32>;

/// [half, row] and [half, column]: neighbouring lanes read neighbours.
var<workgroup> left: array<vec4<u32>, 2u * ROWS>;
var<workgroup> right: array<vec4<u32>, 2u * COLUMNS>;
var<workgroup> left_scales: array<f32, ROWS>;
var<workgroup> right_scales: array<f32, COLUMNS>;

/// The column of a tile that lies at this place of `right`. Halves leave a lane two at a time: what is eight places apart is neighbours.
fn column_at(place: u32) -> u32 {
//!if HALVES_y
    return place / 16u * 16u + place % 8u * 2u + place / 8u % 2u;
//!else
    return place;
//!end
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = (node.first_tile + group.y) * ROWS;
    let column = group.x * COLUMNS;
    let r = lane / 8u;
    let c = lane % 8u;
    let blocks = node.inputs / 32u;
    // What this lane stages: half a block of a row and of a column, and one of their scales.
    let stage_half = lane / 64u;
    let stage_left = min(row + lane % 64u, node.rows - 1u) * blocks;
    let stage_right = (node.first + min(column + column_at(lane % 64u), node.outputs - 1u)) * blocks;
//!repeat j 0 8
    var sum{j} = vec4<f32>();
//!end
    let depth = own_depth(group.z, node.inputs) / 32u;
    for (var block = depth.x; block < depth.y; block++) {
        left[lane] = codes[(stage_left + block) * 2u + stage_half];
        right[lane] = weight_codes((stage_right + block) * 2u + stage_half);
        if stage_half == 0u {
            left_scales[lane] = code_scales[stage_left + block];
        } else {
            right_scales[lane - 64u] = weight_scale(stage_right + block);
        }
        workgroupBarrier();
//!repeat i 0 4
        let a{i} = left[{i}u * 16u + r];
        let b{i} = left[64u + {i}u * 16u + r];
//!end
        let scale = vec4<f32>(left_scales[r], left_scales[16u + r], left_scales[32u + r], left_scales[48u + r]);
//!repeat j 0 8
        let u{j} = right[{j}u * 8u + c];
        let v{j} = right[64u + {j}u * 8u + c];
        let dots{j} = vec4<i32>(
            dot16(b0, v{j}, dot16(a0, u{j}, 0)),
            dot16(b1, v{j}, dot16(a1, u{j}, 0)),
            dot16(b2, v{j}, dot16(a2, u{j}, 0)),
            dot16(b3, v{j}, dot16(a3, u{j}, 0)),
        );
        sum{j} += vec4<f32>(dots{j}) * (scale * right_scales[{j}u * 8u + c]);
//!end
        workgroupBarrier();
    }
//!if HALVES_y
//!repeat i 0 4
    finish_two(row + {i}u * 16u + r, column + c * 2u, vec2<f32>(sum0[{i}u], sum1[{i}u]));
    finish_two(row + {i}u * 16u + r, column + 16u + c * 2u, vec2<f32>(sum2[{i}u], sum3[{i}u]));
    finish_two(row + {i}u * 16u + r, column + 32u + c * 2u, vec2<f32>(sum4[{i}u], sum5[{i}u]));
    finish_two(row + {i}u * 16u + r, column + 48u + c * 2u, vec2<f32>(sum6[{i}u], sum7[{i}u]));
//!end
//!else
//!repeat j 0 8
//!repeat i 0 4
    finish(row + {i}u * 16u + r, column + {j}u * 8u + c, sum{j}[{i}u]);
//!end
//!end
//!end
}
//!else
const ROWS = 16u;
const COLUMNS = 32u;
/// Blocks staged at a time, one for each quarter of the lanes.
const BLOCKS = 4u;

/// [block, half, row] and [block, half, column].
var<workgroup> left: array<vec4<u32>, BLOCKS * 2u * ROWS>;
var<workgroup> right: array<vec4<u32>, BLOCKS * 2u * COLUMNS>;
var<workgroup> left_scales: array<f32, BLOCKS * ROWS>;
var<workgroup> right_scales: array<f32, BLOCKS * COLUMNS>;
/// The quarters' sums [quarter, row, column].
var<workgroup> parts: array<f32, BLOCKS * ROWS * COLUMNS>;

fn total(i: u32) -> f32 {
    return (parts[i] + parts[i + ROWS * COLUMNS]) + (parts[i + 2u * ROWS * COLUMNS] + parts[i + 3u * ROWS * COLUMNS]);
}

/// Quantises half a block of a row a lane; the scale is the whole block's.
fn stage_left(lane: u32, row: u32, first: u32) {
    let i = lane % ROWS;
    let half_block = lane / ROWS;
    let k = (first + half_block / 2u) * 32u;
    var top = vec4<f32>();
    for (var quad = 0u; quad < 8u; quad++) {
        top = max(top, abs(fetch_a(row + i, k + quad * 4u)));
    }
    let step = steps(largest(top));
    let from_k = k + half_block % 2u * 16u;
    left[lane] = vec4<u32>(
        pack(fetch_a(row + i, from_k) * step.x),
        pack(fetch_a(row + i, from_k + 4u) * step.x),
        pack(fetch_a(row + i, from_k + 8u) * step.x),
        pack(fetch_a(row + i, from_k + 12u) * step.x),
    );
    if half_block % 2u == 0u {
        left_scales[half_block / 2u * ROWS + i] = step.y;
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * ROWS;
    let column = group.x * COLUMNS;
//!if NORM
    first_row = row;
    measure_rows(lane);
//!end
    let quarter = lane / 32u;
    let r = lane % 32u / 8u;
    let c = lane % 8u;
    let blocks = node.inputs / 32u;
//!repeat j 0 4
    var sum{j} = vec4<f32>();
//!end
    for (var first = 0u; first < blocks; first += BLOCKS) {
        // Beyond the depth a row's scale is 0, and a weight any other.
        stage_left(lane, row, first);
        for (var i = lane; i < BLOCKS * 2u * COLUMNS; i += LANES) {
            let block = min(first + i / (2u * COLUMNS), blocks - 1u);
            let at = (node.first + min(column + i % COLUMNS, node.outputs - 1u)) * blocks + block;
            right[i] = weight_codes(at * 2u + i / COLUMNS % 2u);
            if i / COLUMNS % 2u == 0u {
                right_scales[i / (2u * COLUMNS) * COLUMNS + i % COLUMNS] = weight_scale(at);
            }
        }
        workgroupBarrier();
        let from_left = quarter * 2u * ROWS + r;
        let from_right = quarter * 2u * COLUMNS + c;
//!repeat i 0 4
        let a{i} = left[from_left + {i}u * 4u];
        let b{i} = left[from_left + ROWS + {i}u * 4u];
//!end
        let at = quarter * ROWS + r;
        let scale = vec4<f32>(left_scales[at], left_scales[at + 4u], left_scales[at + 8u], left_scales[at + 12u]);
//!repeat j 0 4
        let u{j} = right[from_right + {j}u * 8u];
        let v{j} = right[from_right + COLUMNS + {j}u * 8u];
        let dots{j} = vec4<i32>(
            dot16(b0, v{j}, dot16(a0, u{j}, 0)),
            dot16(b1, v{j}, dot16(a1, u{j}, 0)),
            dot16(b2, v{j}, dot16(a2, u{j}, 0)),
            dot16(b3, v{j}, dot16(a3, u{j}, 0)),
        );
        sum{j} += vec4<f32>(dots{j}) * (scale * right_scales[quarter * COLUMNS + c + {j}u * 8u]);
//!end
        workgroupBarrier();
    }
//!repeat j 0 4
//!repeat i 0 4
    parts[(quarter * ROWS + r + {i}u * 4u) * COLUMNS + c + {j}u * 8u] = sum{j}[{i}u];
//!end
//!end
    workgroupBarrier();
//!if HALVES_y
    for (var i = 2u * lane; i < ROWS * COLUMNS; i += 2u * LANES) {
        finish_two(row + i / COLUMNS, column + i % COLUMNS, vec2<f32>(total(i), total(i + 1u)));
    }
//!else
    for (var i = lane; i < ROWS * COLUMNS; i += LANES) {
        finish(row + i / COLUMNS, column + i % COLUMNS, total(i));
    }
//!end
}
//!end
