// y[r] = x[table[offset + r]], bits untouched; an entry beyond the slots leaves its row alone.

//!kernel gather

//!import shared/grid

struct Node {
    rows: u32,
    slots: u32,
    len: u32,
    offset: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<u32>;
@group(1) @binding(2) var<storage, read> table: array<u32>;
@group(1) @binding(3) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    if at >= node.rows * node.len {
        return;
    }
    let slot = table[node.offset + at / node.len];
    if slot < node.slots {
        y[at] = x[slot * node.len + at % node.len];
    }
}
