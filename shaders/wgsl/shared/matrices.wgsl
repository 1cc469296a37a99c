// Arrays in workgroup memory that cooperative matrices are loaded from. On Metal these must be of numbers (LONE), elsewhere vectors are
// written faster. Positions and strides count units of them.
//
// A subgroup that has another size than this text was made for computes wrong numbers: it raises an alarm, which the host reads.

//!import shared/narrow

//!if LONE
alias Unit = f16;
const UNIT = 1u;
//!else
alias Unit = vec4<f16>;
const UNIT = 4u;
//!end

/// Rows and columns of a matrix, lanes of a subgroup, of which a workgroup has four.
const EDGE = {EDGE}u;
const SUBGROUP = {LANES}u;
const LANES = 4u * SUBGROUP;

@group(1) @binding(15) var<storage, read_write> alarm: array<u32>;

fn check_subgroup(size: u32) {
    if size != SUBGROUP {
        alarm[0] = size;
    }
}
