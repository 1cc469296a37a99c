// What a device can do at best, for `causeway bench gpu`: loops of one kind of work, of which the result must not be known beforehand. Eight
// chains of it hide the time that one takes.

//!kernel peak_f32 F32
//!kernel peak_half HALF
//!kernel peak_dot4 DOT4
//!kernel peak_workgroup WORKGROUP
//!kernel peak_copy COPY

//!if HALF
enable f16;
//!end

struct Node {
    rounds: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<vec4<u32>>;
@group(1) @binding(2) var<storage, read_write> y: array<vec4<u32>>;

const LANES = 64u;

//!if WORKGROUP
var<workgroup> tile: array<vec4<u32>, 512>;
//!end

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * LANES + lane;
//!if COPY
    if at < arrayLength(&y) {
        y[at] = x[at];
    }
//!else
    let seed = x[at];
//!end
//!if F32
    let factor = vec4<f32>(seed & vec4<u32>(255u)).x;
    let more = vec4<f32>(seed & vec4<u32>(127u)).y;
//!repeat i 0 8
    var a{i} = f32(lane + {i}u);
//!end
    for (var round = 0u; round < node.rounds; round++) {
        // Four multiply-adds a chain.
//!repeat i 0 8
        a{i} = fma(a{i}, factor, more);
        a{i} = fma(a{i}, factor, more);
        a{i} = fma(a{i}, factor, more);
        a{i} = fma(a{i}, factor, more);
//!end
    }
    y[at] = bitcast<vec4<u32>>(vec4<f32>(a0 + a1, a2 + a3, a4 + a5, a6 + a7));
//!end
//!if HALF
    let factor = vec2<f16>(vec2<f32>(seed.xy & vec2<u32>(255u)));
    let more = vec2<f16>(vec2<f32>(seed.zw & vec2<u32>(127u)));
//!repeat i 0 8
    var a{i} = vec2<f16>(f16(lane + {i}u));
//!end
    for (var round = 0u; round < node.rounds; round++) {
        // Four multiply-adds a chain.
//!repeat i 0 8
        a{i} = fma(a{i}, factor, more);
        a{i} = fma(a{i}, factor, more);
//!end
    }
    let sum = vec4<f32>(vec4<f16>(a0 + a1 + a2 + a3, a4 + a5 + a6 + a7));
    y[at] = bitcast<vec4<u32>>(sum);
//!end
//!if DOT4
    var other = seed.x;
//!repeat i 0 8
    var a{i} = i32(lane + {i}u);
//!end
    for (var round = 0u; round < node.rounds; round++) {
        // Four multiply-adds a chain, of other numbers each time.
//!repeat i 0 8
        a{i} += dot4I8Packed(u32(a{i}), other);
//!end
        other += 1u;
    }
    y[at] = bitcast<vec4<u32>>(vec4<i32>(a0 + a1, a2 + a3, a4 + a5, a6 + a7));
//!end
//!if WORKGROUP
    for (var i = lane; i < 512u; i += LANES) {
        tile[i] = seed + i;
    }
    workgroupBarrier();
    var total = vec4<u32>();
    for (var round = 0u; round < node.rounds; round++) {
//!repeat i 0 8
        total += tile[(lane + round + {i}u * 64u) & 511u];
//!end
    }
    y[at] = total;
//!end
}
