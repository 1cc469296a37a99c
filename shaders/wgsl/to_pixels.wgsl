// Pixel shuffle of [height, width, 3 p p] to packed RGBA8: channel (c p + dy) p + dx is colour c of pixel (p i + dy, p j + dx). Values
// from black to 1 are shown.

//!kernel to_pixels

//!import shared/grid

struct Node {
    height: u32,
    width: u32,
    patch_size: u32,
    x_offset: u32,
    black: f32,
    /// 1 / (1 - black).
    scale: f32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<f32>;
@group(1) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    let p = node.patch_size;
    if at >= node.height * node.width * p * p {
        return;
    }
    let row = at / (node.width * p);
    let column = at % (node.width * p);
    let cell = node.x_offset + (row / p * node.width + column / p) * 3u * p * p + row % p * p + column % p;
    var pixel = 0xff000000u;
    for (var c = 0u; c < 3u; c++) {
        let value = (x[cell + c * p * p] - node.black) * node.scale;
        let level = u32(floor(255.0 * clamp(value, 0.0, 1.0) + 0.5));
        pixel |= level << (8u * c);
    }
    y[at] = pixel;
}
