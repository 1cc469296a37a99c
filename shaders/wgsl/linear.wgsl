// y = act(x W^T + b), or y += gate * act(x W^T + b). The rows of several matrices may follow each other; each makes a part of y.

//!kernel linear_f32_wide F32 WIDE DEEP
//!kernel linear_f32_skinny F32
//!kernel linear_f32_scalar F32 SCALAR
//!kernel linear_f16_wide F16 WIDE DEEP
//!kernel linear_f16_skinny F16
//!kernel linear_f16_scalar F16 SCALAR
//!kernel linear_q8_wide Q8 SCALES WIDE DEEP
//!kernel linear_q8_skinny Q8 SCALES
//!kernel linear_q4_wide Q4 SCALES WIDE DEEP
//!kernel linear_q4_skinny Q4 SCALES
//!kernel linear_f32_norm F32 NORM
//!kernel linear_f16_norm F16 NORM
//!kernel linear_q8_norm Q8 SCALES NORM
//!kernel linear_q4_norm Q4 SCALES NORM

//!kernel linear_half_f16 F16 WIDE HALF DEEP
//!kernel linear_half_q8 Q8 SCALES WIDE HALF DEEP
//!kernel linear_half_q4 Q4 SCALES WIDE HALF DEEP

//!if HALF
enable f16;
//!end
//!import shared/gemm
//!import shared/linear
//!import shared/weight

fn fetch_b(column: u32, k: u32) -> vec4<f32> {
    return decode((node.first + min(column, node.outputs - 1u)) * node.stride + min(k, node.stride - 4u));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
//!if NORM
    first_row = group.y * ROWS;
    measure_rows(lane);
//!end
//!if DEEP
    let depth = own_depth(group.z, node.stride);
    multiply(vec2<u32>(group.x, node.first_tile + group.y), lane, depth.x, depth.y);
//!else
    multiply(group.xy, lane, 0u, node.stride);
//!end
}
