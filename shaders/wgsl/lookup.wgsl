// y[f] = table[level] for every frame f; a level beyond the table takes its last row.

//!kernel lookup

//!import shared/grid
//!import shared/params

struct Node {
    rows: u32,
    frames: u32,
    len: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> table: array<f32>;
@group(1) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    if at < node.frames * node.len {
        y[at] = table[min(params.level, node.rows - 1u) * node.len + at % node.len];
    }
}
