// The inverse of to_pixels: packed RGBA8 to [height, width, 3 p p] in [black, 1]; alpha is ignored. An invocation takes a pixel.

//!kernel from_pixels

//!import shared/grid

struct Node {
    height: u32,
    width: u32,
    patch_size: u32,
    black: f32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<u32>;
@group(1) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    let p = node.patch_size;
    if at >= node.height * node.width * p * p {
        return;
    }
    let row = at / (node.width * p);
    let column = at % (node.width * p);
    let cell = (row / p * node.width + column / p) * 3u * p * p + row % p * p + column % p;
    for (var c = 0u; c < 3u; c++) {
        y[cell + c * p * p] = f32((x[at] >> (8u * c)) & 255u) / 255.0 * (1.0 - node.black) + node.black;
    }
}
