// A memory of `depth` frames a row drops the oldest and takes x at its end. An invocation moves one channel.

//!kernel remember

//!import shared/grid

struct Node {
    len: u32,
    channels: u32,
    depth: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<u32>;
@group(1) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if i >= node.len {
        return;
    }
    var at = i / node.channels * node.channels * node.depth + i % node.channels;
    for (var frame = 1u; frame < node.depth; frame++) {
        y[at] = y[at + node.channels];
        at += node.channels;
    }
    y[at] = x[i];
}
