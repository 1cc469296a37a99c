// Rows leave a workgroup as quantise.wgsl would make them: int8 in blocks of 32 with a scale each.
//
// An importing kernel imports shared/reduce too. Its lanes take four numbers each; eight neighbours have a block.

//!import shared/codes

@group(1) @binding(5) var<storage, read_write> codes: array<u32>;
@group(1) @binding(6) var<storage, read_write> code_scales: array<f32>;

/// Puts LANES times four numbers in the place of `first`, of which the first `count` lanes' are there. All lanes must call it.
fn put_codes(lane: u32, first: u32, count: u32, value: vec4<f32>) {
    partial[lane] = largest(abs(value));
    workgroupBarrier();
    var top = 0.0;
    for (var i = 0u; i < 8u; i++) {
        top = max(top, partial[lane / 8u * 8u + i]);
    }
    let step = steps(top);
    if lane < count {
        codes[first + lane] = pack(value * step.x);
        if lane % 8u == 0u {
            code_scales[(first + lane) / 8u] = step.y;
        }
    }
    workgroupBarrier();
}
