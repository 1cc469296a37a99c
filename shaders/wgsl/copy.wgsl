// y[y_offset..][..len] = x[x_offset..][..len], bits untouched, or numbers into or out of half precision.

//!kernel copy

//!import shared/grid

struct Node {
    len: u32,
    x_offset: u32,
    y_offset: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
//!if HALVES_x
//!numbers 1 read x 1
//!else
@group(1) @binding(1) var<storage, read> x: array<u32>;

fn load_x(at: u32) -> f32 {
    return bitcast<f32>(x[at]);
}
//!end
//!if HALVES_y
//!numbers 2 write y 1
//!else
@group(1) @binding(2) var<storage, read_write> y: array<u32>;

//!if HALVES_x
fn store_y(at: u32, value: vec2<f32>) {
    y[at] = bitcast<u32>(value.x);
    y[at + 1u] = bitcast<u32>(value.y);
}
//!else
fn store_y(at: u32, from_at: u32) {
    y[at] = x[from_at];
}
//!end
//!end

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if i >= node.len {
        return;
    }
    let to = node.y_offset + i;
    let at = node.x_offset + i;
//!if HALVES_y
    if i % 2u == 0u {
        store_y(to, vec2<f32>(load_x(at), load_x(at + 1u)));
    }
//!else
//!if HALVES_x
    if i % 2u == 0u {
        store_y(to, vec2<f32>(load_x(at), load_x(at + 1u)));
    }
//!else
    store_y(to, at);
//!end
//!end
}
