// Latents [frames, height, width, channels], and the previous frame's channels behind them, to rows of patches: channel
// slowest, then patch row, then patch column.

//!kernel patchify

//!import shared/grid

struct Node {
    frames: u32,
    height: u32,
    width: u32,
    channels: u32,
    patch_height: u32,
    patch_width: u32,
    /// 1: `previous` is there.
    has_previous: u32,
    /// Values from a frame's previous one to that of the next; 0 where all have the same.
    previous_step: u32,
}

@group(1) @binding(0) var<uniform> node: Node;
@group(1) @binding(1) var<storage, read> x: array<f32>;
@group(1) @binding(2) var<storage, read> previous: array<f32>;
@group(1) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = item(id, groups);
    let channels = node.channels * (1u + node.has_previous);
    let patch_size = node.patch_height * node.patch_width;
    if at >= node.frames * node.height * node.width * channels {
        return;
    }
    let feature = at % (channels * patch_size);
    let token = at / (channels * patch_size);
    let columns = node.width / node.patch_width;
    let rows = node.height / node.patch_height;
    let channel = feature / patch_size;
    let i = token / columns % rows * node.patch_height + feature % patch_size / node.patch_width;
    let j = token % columns * node.patch_width + feature % node.patch_width;
    let pixel = (i * node.width + j) * node.channels;
    let frame = token / (rows * columns);
    if channel < node.channels {
        y[at] = x[frame * node.height * node.width * node.channels + pixel + channel];
    } else {
        y[at] = previous[frame * node.previous_step + pixel + channel - node.channels];
    }
}
