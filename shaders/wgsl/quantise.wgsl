// Rows of f32 to int8 in blocks of 32 with a scale each, which linear_dot4.wgsl reads. One lane a block.

//!kernel quantise

//!import shared/codes
//!import shared/grid

struct Node {
    /// From one block to another.
    first: u32,
    end: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
//!numbers 1 read x 4
@group(1) @binding(2) var<storage, read_write> codes: array<u32>;
@group(1) @binding(3) var<storage, read_write> code_scales: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let block = node.first + item(id, groups);
    if block >= node.end {
        return;
    }
    var top = vec4<f32>();
    for (var i = 0u; i < 8u; i++) {
        top = max(top, abs(load_x(block * 8u + i)));
    }
    let step = steps(largest(top));
    for (var i = 0u; i < 8u; i++) {
        codes[block * 8u + i] = pack(load_x(block * 8u + i) * step.x);
    }
    code_scales[block] = step.y;
}
