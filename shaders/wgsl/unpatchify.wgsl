// Rows of patches (patch row, patch column, channel fastest) to latents [frames, height, width, channels].

//!kernel unpatchify

//!import shared/grid

struct Node {
    frames: u32,
    height: u32,
    width: u32,
    channels: u32,
    patch_height: u32,
    patch_width: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<f32>;
@group(1) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    if at >= node.frames * node.height * node.width * node.channels {
        return;
    }
    let channel = at % node.channels;
    let j = at / node.channels % node.width;
    let i = at / (node.channels * node.width) % node.height;
    let frame = at / (node.channels * node.width * node.height);
    let rows = node.height / node.patch_height;
    let columns = node.width / node.patch_width;
    let token = (frame * rows + i / node.patch_height) * columns + j / node.patch_width;
    let within = i % node.patch_height * node.patch_width + j % node.patch_width;
    y[at] = x[(token * node.patch_height * node.patch_width + within) * node.channels + channel];
}
