// Linear layers whose depth several workgroups shared: their sums are added up in order, and finished as linear.wgsl does.

//!kernel linear_sum CODES SUM

//!import shared/linear
//!import shared/grid

/// [part of the depth, row, column].
@group(1) @binding(6) var<storage, read> sums: array<f32>;

fn total(at: u32, count: u32) -> f32 {
    var total = 0.0;
    for (var span = 0u; span < node.spans; span++) {
        total += sums[span * count + at];
    }
    return total;
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    let count = node.rows * node.outputs;
    if at >= count {
        return;
    }
//!if HALVES_y
    if at % 2u == 0u {
        finish_two(at / node.outputs, at % node.outputs, vec2<f32>(total(at, count), total(at + 1u, count)));
    }
//!else
    finish(at / node.outputs, at % node.outputs, total(at, count));
//!end
}
