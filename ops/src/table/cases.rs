//! The rows of the table.

use super::{
    history::{group, window},
    maker::Maker,
    sampling,
};
use crate::{
    Kv, Params,
    buffer::{BufferId, WeightRole},
    op::*,
    quant::DType,
};

const EPS: f32 = 1e-6;

/// Makes every row.
pub(super) fn all(m: &mut Maker) {
    linear(m);
    quantised(m);
    convolutions(m);
    attention(m);
    routes(m);
    preferences(m);
    cross_attention(m);
    commit(m);
    norms(m);
    activations(m);
    patches(m);
    pixels(m);
    sampling::all(m);
    small(m);
    tables(m);
    by_size(m);
    #[cfg(feature = "matrix-game")]
    super::temporal::all(m);
    #[cfg(feature = "waypoint")]
    super::shared::all(m);
}

fn linear_case(
    m: &mut Maker,
    dtype: DType,
    [rows, inputs, outputs]: [usize; 3],
    activation: Activation,
    epilogue: u32,
) {
    let weight = m.weight(&[outputs, inputs], WeightRole::Matrix, dtype, 1.7 / (inputs as f32).sqrt());
    let residual = epilogue == 2 || epilogue == 3;
    // Two frames, or a gate for each row.
    let rows_per_frame = if epilogue == 4 { 1 } else { rows.div_ceil(2) };
    let gate = (epilogue >= 3).then(|| Gate {
        modulation: m.random("gate", rows.div_ceil(rows_per_frame) * 3 * outputs, 1.0),
        vectors: 3,
        index: 1,
        rows_per_frame,
    });
    let op = Linear {
        x: m.random("x", rows * inputs, 1.0),
        weight,
        bias: (epilogue >= 1).then(|| m.vector(&[outputs])),
        y: m.random("y", rows * outputs, 1.0),
        rows,
        inputs,
        outputs,
        activation,
        residual,
        gate,
    };
    m.case(op, Params::default(), 4e-6);
}

fn linear(m: &mut Maker) {
    let shapes = [
        [1, 1, 1],
        [1, 64, 33],
        [2, 192, 96],
        [3, 7, 5],
        [5, 32, 31],
        [6, 16, 16],
        [8, 48, 64],
        [13, 96, 100],
        [16, 192, 192],
        [17, 40, 65],
        [64, 64, 32],
        [65, 33, 17],
        [130, 20, 40],
        [9, 30, 22],
    ];
    for (i, shape) in shapes.into_iter().enumerate() {
        for dtype in [DType::F32, DType::F16] {
            linear_case(m, dtype, shape, Activation::None, i as u32 % 4);
        }
    }
    for (i, activation) in ACTIVATIONS.into_iter().enumerate() {
        linear_case(m, DType::F32, [11, 24, 37], activation, i as u32 % 4);
    }
    for dtype in [DType::F32, DType::F16, DType::Q8, DType::Q4] {
        linear_case(m, dtype, [13, 64, 100], Activation::None, 4);
    }
    // Enough work to be spread over threads.
    linear_case(m, DType::F32, [64, 192, 192], Activation::Gelu, 1);
    linear_case(m, DType::F32, [70, 130, 300], Activation::None, 3);
}

fn quantised(m: &mut Maker) {
    let shapes = [
        [1, 32, 1],
        [2, 64, 100],
        [3, 32, 17],
        [7, 64, 48],
        [16, 192, 96],
        [33, 96, 70],
        [64, 128, 33],
        [64, 192, 576],
    ];
    for (i, shape) in shapes.into_iter().enumerate() {
        for dtype in [DType::Q8, DType::Q4] {
            linear_case(m, dtype, shape, ACTIVATIONS[i % 4], i as u32 % 4);
        }
    }
    // A depth that GPUs share.
    linear_case(m, DType::Q8, [66, 2080, 1030], Activation::None, 1);
    linear_case(m, DType::Q8, [66, 2080, 1030], Activation::Gelu, 3);
}

const ACTIVATIONS: [Activation; 5] =
    [Activation::None, Activation::Relu, Activation::Silu, Activation::Gelu, Activation::SoftClamp];

struct Conv {
    size: [usize; 2],
    channels: [usize; 2],
    outputs: usize,
    kernel: usize,
    stride: usize,
    pad_after: bool,
    upsample: bool,
    bias: bool,
    residual: bool,
    activation: Activation,
}

fn convolution(m: &mut Maker, dtype: DType, conv: Conv) {
    let Conv { size: [height, width], channels: [channels, channels2], outputs, kernel, .. } = conv;
    let inputs = channels + channels2;
    let scale = 1.7 / ((inputs * kernel * kernel) as f32).sqrt();
    let mut op = Conv2d {
        x: m.random("x", height * width * channels, 1.0),
        x2: (channels2 > 0).then(|| (m.random("x2", height * width * channels2, 1.0), channels2)),
        weight: m.weight(&[outputs, inputs, kernel, kernel], WeightRole::Conv, dtype, scale),
        bias: conv.bias.then(|| m.vector(&[outputs])),
        residual: None,
        y: BufferId(0),
        height,
        width,
        channels,
        outputs,
        kernel,
        stride: conv.stride,
        pad_after: conv.pad_after,
        upsample: conv.upsample,
        activation: conv.activation,
    };
    let [oh, ow] = op.out_size();
    op.residual = conv.residual.then(|| m.random("residual", oh * ow * outputs, 1.0));
    op.y = m.random("y", oh * ow * outputs, 1.0);
    m.case(op, Params::default(), 4e-6);
}

fn convolutions(m: &mut Maker) {
    let base = Conv {
        size: [8, 8],
        channels: [16, 0],
        outputs: 24,
        kernel: 3,
        stride: 1,
        pad_after: false,
        upsample: false,
        bias: true,
        residual: false,
        activation: Activation::None,
    };
    convolution(m, DType::F32, Conv { ..base });
    convolution(m, DType::F16, Conv { size: [1, 1], channels: [3, 0], outputs: 5, ..base });
    convolution(m, DType::F32, Conv { size: [5, 7], channels: [3, 0], outputs: 12, stride: 2, bias: false, ..base });
    convolution(m, DType::F32, Conv { size: [6, 4], channels: [8, 0], outputs: 33, stride: 2, ..base });
    convolution(m, DType::F32, Conv { size: [6, 4], channels: [8, 0], stride: 2, pad_after: true, ..base });
    convolution(m, DType::F32, Conv { size: [2, 8], channels: [3, 2], stride: 2, pad_after: true, ..base });
    convolution(m, DType::F16, Conv { size: [3, 5], channels: [4, 0], outputs: 7, upsample: true, ..base });
    convolution(m, DType::F32, Conv { size: [2, 3], channels: [4, 5], outputs: 9, upsample: true, stride: 2, ..base });
    convolution(m, DType::F32, Conv { size: [9, 1], channels: [2, 0], outputs: 2, ..base });
    convolution(m, DType::F32, Conv { size: [1, 11], channels: [2, 1], outputs: 70, ..base });
    let mem = Conv { channels: [16, 16], outputs: 16, activation: Activation::Relu, ..base };
    convolution(m, DType::F32, Conv { ..mem });
    convolution(m, DType::F32, Conv { channels: [16, 0], residual: true, ..mem });
    let point = Conv { size: [4, 6], kernel: 1, outputs: 40, bias: false, ..base };
    convolution(m, DType::F32, Conv { ..point });
    convolution(m, DType::F16, Conv { channels: [5, 6], ..point });
    convolution(m, DType::F32, Conv { upsample: true, ..point });
    convolution(m, DType::F32, Conv { stride: 2, residual: true, activation: Activation::Silu, ..point });
    // Enough work to be spread over threads.
    convolution(m, DType::F32, Conv { size: [24, 20], channels: [16, 16], outputs: 32, residual: true, ..base });
}

struct Window {
    chunk: usize,
    tokens: usize,
    heads: usize,
    head_dim: usize,
    pairs: usize,
    slots: usize,
    max_history: usize,
    history: usize,
    route: usize,
    kv: Kv,
}

fn attention_case(m: &mut Maker, w: Window) {
    let Window { chunk, tokens, heads, head_dim, pairs, slots, max_history, history, route, kv } = w;
    let (rows, dim) = (chunk * tokens, heads * head_dim);
    let (frames, rotations, params) = window(m, [chunk, slots, max_history, history, pairs]);
    let mut table = Vec::new();
    for _ in 0..rows * heads {
        let mut pool: Vec<u32> = (0..history as u32).collect();
        while pool.len() > route {
            pool.remove(m.below(pool.len()));
        }
        pool.resize(route, u32::MAX);
        table.extend(pool);
    }
    let op = Attention {
        // Scores of some size, so that the softmax has something to choose from.
        q: m.random("q", rows * dim, 3.0),
        k: m.random("k", rows * dim, 1.5),
        v: m.random("v", rows * dim, 1.0),
        ring_k: m.ring("ring_k", kv, slots * tokens * heads, head_dim, 1.5),
        ring_v: m.ring("ring_v", kv, slots * tokens * heads, head_dim, 1.0),
        kv,
        frames,
        rotations,
        routes: (route > 0).then(|| (m.integers("routes", table), route)),
        y: m.random("y", rows * dim, 1.0),
        chunk,
        tokens,
        heads,
        shared: 1,
        head_dim,
        temporal_pairs: pairs,
        slots,
        max_history,
        group: group(history),
    };
    m.case(op, params, 1e-5);
}

fn attention(m: &mut Maker) {
    let base = Window {
        chunk: 1,
        tokens: 16,
        heads: 2,
        head_dim: 32,
        pairs: 6,
        slots: 8,
        max_history: 6,
        history: 6,
        route: 0,
        kv: Kv::F32,
    };
    for history in [0, 1, 5, 6] {
        attention_case(m, Window { history, ..base });
        attention_case(m, Window { history, chunk: 3, slots: 9, tokens: 5, heads: 3, head_dim: 6, pairs: 2, ..base });
        attention_case(m, Window { history, route: 2, ..base });
        attention_case(m, Window { history, route: 3, chunk: 3, slots: 9, tokens: 7, head_dim: 10, pairs: 5, ..base });
    }
    attention_case(m, Window { tokens: 1, heads: 1, head_dim: 2, pairs: 1, ..base });
    attention_case(m, Window { tokens: 1, heads: 1, head_dim: 2, pairs: 0, history: 0, ..base });
    attention_case(m, Window { tokens: 40, head_dim: 24, pairs: 0, ..base });
    attention_case(m, Window { tokens: 33, head_dim: 128, pairs: 22, history: 3, route: 1, ..base });
    // Routes that few queries share, with whole and partial vectors of channels; and a frame that nearly all keep.
    for head_dim in [6, 32, 40, 64] {
        let few = Window { chunk: 2, slots: 22, max_history: 20, history: 19, route: 2, ..base };
        attention_case(m, Window { tokens: 37, head_dim, pairs: 2, ..few });
        attention_case(m, Window { tokens: 19, head_dim, pairs: 3, history: 3, ..few });
    }
    // More keys a frame than one tile of keys, and enough work to be spread over threads.
    attention_case(m, Window { tokens: 150, slots: 3, max_history: 2, history: 2, ..base });
    attention_case(m, Window { tokens: 64, slots: 9, max_history: 8, history: 8, route: 2, ..base });
    for kv in [Kv::F16, Kv::Q8] {
        attention_case(m, Window { kv, ..base });
        for route in [0, 2] {
            let odd = Window { chunk: 3, slots: 9, tokens: 7, heads: 3, pairs: 2, route, kv, ..base };
            attention_case(m, Window { head_dim: 6, ..odd });
            attention_case(m, Window { head_dim: 10, ..odd });
            // Several runs of keys a frame, and routes that few queries share.
            attention_case(m, Window { tokens: 150, slots: 3, max_history: 2, history: 2, route, kv, ..base });
            let few = Window { tokens: 37, slots: 22, max_history: 20, history: 19, route, kv, ..base };
            attention_case(m, Window { head_dim: 64, ..few });
            attention_case(m, Window { head_dim: 128, heads: 1, pairs: 22, ..few });
        }
    }
}

fn routes(m: &mut Maker) {
    let table = [
        // chunk, tokens, heads, head_dim, pairs, max_history, history, k, sink, recent
        [1, 4, 2, 8, 2, 6, 6, 2, 0, 0],
        [1, 4, 2, 8, 2, 6, 6, 3, 1, 1],
        [3, 5, 3, 6, 1, 9, 7, 4, 0, 1],
        [3, 5, 1, 10, 5, 9, 9, 9, 2, 2],
        [1, 20, 2, 24, 4, 12, 0, 3, 1, 1],
        [1, 20, 2, 24, 4, 12, 2, 3, 1, 1],
        [1, 20, 2, 24, 4, 12, 3, 3, 2, 1],
        [1, 37, 2, 64, 11, 20, 19, 5, 1, 2],
        [2, 9, 1, 128, 22, 70, 69, 6, 1, 1],
    ];
    for row in table {
        // As much as there is room for, one frame less, and after a cut.
        let [k, forced_sink, forced_recent]: [usize; 3] = [row[7], row[8], row[9]];
        let less = k.saturating_sub(1).max(forced_sink + forced_recent).max(1) as u32;
        for (route, cut) in [(0, 0), (less, 0), (0, 1), (less, 1)] {
            route_case(m, row, false, (route, cut), false);
        }
        route_case(m, row, false, (less, 0), true);
    }
    // Ties: no rotation and small integers, so that scores are exact.
    for says in [(0, 0), (2, 0), (3, 1), (99, 0)] {
        route_case(m, [1, 16, 2, 4, 1, 12, 12, 4, 0, 0], true, says, false);
        route_case(m, [1, 16, 2, 4, 1, 12, 11, 4, 1, 1], true, says, false);
    }
}

/// `says` is what the run's parameters say of routes: how many frames, and whether there was a cut.
fn route_case(m: &mut Maker, row: [usize; 10], ties: bool, says: (u32, u32), plain: bool) {
    let [chunk, tokens, heads, head_dim, pairs, max_history, history, k, force_sink, force_recent] = row;
    let (rows, dim, slots) = (chunk * tokens, heads * head_dim, max_history + chunk);
    let (frames, mut rotations, mut params) = window(m, [chunk, slots, max_history, history, pairs]);
    (params.route[group(history)], params.cut) = says;
    let (mut q, mut means) = (m.uniforms(rows * dim, 1.0), m.uniforms(slots * dim, 1.0));
    if ties {
        m.fill.pop();
        rotations = m.numbers("rotations", &[1.0, 0.0].repeat((max_history + chunk) * pairs));
        for x in q.iter_mut().chain(&mut means) {
            *x = (*x * 1.6).round();
        }
    }
    let op = Route {
        q: m.numbers("q", &q),
        means: m.numbers("means", &means),
        plain: plain.then(|| spatial(m, tokens, head_dim / 2 - pairs)),
        frames,
        rotations,
        routes: m.integers("routes", vec![7; rows * heads * k]),
        k,
        force_sink,
        force_recent,
        chunk,
        tokens,
        heads,
        head_dim,
        temporal_pairs: pairs,
        slots,
        max_history,
        group: group(history),
    };
    m.case(op, params, if ties { 0.0 } else { 1e-5 });
}

/// Rotations [tokens, pairs, 2].
fn spatial(m: &mut Maker, tokens: usize, pairs: usize) -> BufferId {
    let angles = m.uniforms(tokens * pairs, 3.0);
    let table: Vec<f32> = angles.iter().flat_map(|angle| [angle.cos(), angle.sin()]).collect();
    m.numbers("spatial", &table)
}

fn preferences(m: &mut Maker) {
    let sizes = [
        [1, 4, 2, 8, 2, 6, 6, 0, 1],
        [3, 5, 3, 6, 1, 9, 7, 4, 1],
        [1, 20, 2, 24, 4, 12, 0, 3, 1],
        [1, 64, 7, 32, 6, 63, 63, 10, 1],
        [2, 65, 2, 64, 11, 20, 19, 5, 8],
        [3, 150, 1, 128, 22, 70, 69, 0, 2],
    ];
    for (size, plain) in sizes.into_iter().flat_map(|size| [(size, false), (size, true)]) {
        let [chunk, tokens, heads, head_dim, pairs, max_history, history, k, every] = size;
        let (rows, dim, slots) = (chunk * tokens, heads * head_dim, max_history + chunk);
        let (frames, rotations, params) = window(m, [chunk, slots, max_history, history, pairs]);
        // Rows of the history, some of them none.
        let row = |at: usize| if at % 7 == 5 { u32::MAX } else { (at * 5 % max_history) as u32 };
        let routes = (k > 0).then(|| (m.integers("routes", (0..rows * heads * k).map(row).collect()), k));
        let op = Prefer {
            q: m.random("q", rows * dim, 1.0),
            means: m.random("means", slots * dim, 1.0),
            plain: plain.then(|| spatial(m, tokens, head_dim / 2 - pairs)),
            frames,
            rotations,
            routes,
            y: m.random("y", 2 * heads + 3, 1.0),
            y_offset: 3,
            chunk,
            tokens,
            heads,
            head_dim,
            temporal_pairs: pairs,
            slots,
            max_history,
            every,
            group: group(history),
        };
        m.case(op, params, 1e-6);
    }
}

fn cross_attention(m: &mut Maker) {
    for [rows, context, heads, head_dim] in [
        [1, 1, 1, 2],
        [16, 4, 2, 32],
        [5, 7, 3, 6],
        [33, 40, 2, 24],
        [17, 300, 1, 128],
        [64, 64, 6, 32],
        [7, 70, 2, 132],
        [5, 64, 1, 384],
        [1, 130, 1, 512],
    ] {
        let dim = heads * head_dim;
        for kind in 0..3 {
            // Rows that stand for several, and the last one (of more than one) for none.
            let none = |row| row > 0 && row + 1 == context;
            let offset = |row: usize| if none(row) { -1e30 } else { (1.0 + row as f32).ln() };
            let offsets: Vec<f32> = (0..context).map(offset).collect();
            let offsets = match kind {
                0 => None,
                1 => Some(Offsets::Rows(m.numbers("offsets", &offsets))),
                _ => Some(Offsets::Distances(m.random("distances", heads * (rows + context - 1), 3.0))),
            };
            let scaled = kind < 2;
            let op = CrossAttention {
                q: m.random("q", rows * dim, if scaled { 3.0 } else { 3.0 / (head_dim as f32).sqrt() }),
                k: m.random("k", context * dim, 1.5),
                v: m.random("v", context * dim, 1.0),
                offsets,
                scaled,
                y: m.random("y", rows * dim, 1.0),
                rows,
                context,
                heads,
                head_dim,
            };
            m.case(op, Params::default(), 1e-5);
        }
    }
}

fn commit(m: &mut Maker) {
    let sizes = [[1, 16, 2, 24, 4, 3], [3, 5, 1, 7, 9, 6], [2, 1, 1, 1, 2, 0], [2, 70, 3, 128, 5, 3]];
    let all = sizes.into_iter().flat_map(|size| Kv::ALL.map(|kv| (size, kv, None)));
    // Means of keys that lose their spatial rotation, of pairs from one on.
    let plain = [(sizes[0], Kv::Q8, Some(4)), (sizes[0], Kv::F32, Some(0)), (sizes[3], Kv::F16, Some(22))];
    for ([chunk, tokens, heads, head_dim, slots, max_history], kv, first) in all.chain(plain) {
        let (dim, rows) = (heads * head_dim, slots * tokens * heads);
        let (frames, _, params) = window(m, [chunk, slots, max_history, max_history, 1]);
        // Some of what comes is no number.
        let mut odd = |name: &str| {
            let mut values = m.uniforms(chunk * tokens * dim, 1.0);
            values.iter_mut().step_by(11).skip(1).for_each(|x| *x = f32::NAN);
            values.iter_mut().step_by(29).skip(1).for_each(|x| *x = f32::INFINITY);
            m.numbers(name, &values)
        };
        let (k, v) = (odd("k"), odd("v"));
        let op = Commit {
            k,
            v,
            frames,
            ring_k: m.ring("ring_k", kv, rows, head_dim, 1.0),
            ring_v: m.ring("ring_v", kv, rows, head_dim, 1.0),
            kv,
            means: m.random("means", slots * dim, 1.0),
            plain: first.map(|first| (spatial(m, tokens, head_dim / 2 - first), first)),
            chunk,
            tokens,
            heads,
            head_dim,
            slots,
            max_history,
        };
        m.case(op, params, 1e-6);
    }
}

fn norms(m: &mut Maker) {
    for [rows, dim, rows_per_frame] in [[1usize, 1, 1], [3, 7, 2], [16, 192, 16], [33, 100, 11], [48, 33, 16]] {
        let frames = rows.div_ceil(rows_per_frame);
        let modulation = m.random("modulation", frames * 6 * dim, 1.0);
        let scale = Scale::Modulation { modulation, vectors: 6, shift: 3, scale: 4 };
        layer_norm(m, rows, dim, rows_per_frame, scale);
        let scale = Scale::Affine { weight: m.vector(&[dim]), bias: m.vector(&[dim]) };
        layer_norm(m, rows, dim, rows_per_frame, scale);
    }
    for [rows, heads, head_dim, temporal_pairs, tokens] in
        [[1, 1, 2, 0, 1], [16, 6, 32, 6, 16], [10, 3, 10, 2, 5], [48, 2, 24, 4, 16], [7, 2, 6, 3, 7]]
    {
        let dim = heads * head_dim;
        rms_norm(m, [rows, dim], true, None);
        let pairs = head_dim / 2 - temporal_pairs;
        let angles = m.uniforms(tokens * pairs, 3.0);
        let table: Vec<f32> = angles.iter().flat_map(|angle| [angle.cos(), angle.sin()]).collect();
        let numbers = table.iter().map(|x| x.to_bits()).collect();
        let table = m.numbers("table", &table);
        rms_norm(m, [rows, dim], true, Some(Grid { table, tokens, rows: 1, heads, temporal_pairs }));
        // Each head by itself, and without a weight.
        let grid = Some(Grid { table, tokens, rows: heads, heads: 1, temporal_pairs });
        m.fill.push((table, numbers));
        rms_norm(m, [rows * heads, head_dim], false, grid);
    }
    rms_norm(m, [3, 7], true, None);
    rms_norm(m, [3, 7], false, None);
    for ([rows, dim], activation) in [[1, 1], [3, 7], [16, 96], [5, 130], [700, 64]].into_iter().zip(ACTIVATIONS) {
        let (x, weight, y) = (m.random("x", rows * dim, 2.0), m.vector(&[dim]), m.random("y", rows * dim, 1.0));
        m.case(ChannelNorm { x, weight, y, rows, dim, activation }, Params::default(), 2e-6);
    }
}

fn layer_norm(m: &mut Maker, rows: usize, dim: usize, rows_per_frame: usize, scale: Scale) {
    let (x, y) = (m.random("x", rows * dim, 2.0), m.random("y", rows * dim, 1.0));
    m.case(LayerNorm { x, y, rows, dim, rows_per_frame, eps: EPS, scale }, Params::default(), 1e-5);
}

fn rms_norm(m: &mut Maker, [rows, dim]: [usize; 2], weighted: bool, grid: Option<Grid>) {
    let (x, weight) = (m.random("x", rows * dim, 2.0), weighted.then(|| m.vector(&[dim])));
    m.case(RmsNormRope { x, weight, rows, dim, eps: EPS, grid }, Params::default(), 2e-6);
}

fn activations(m: &mut Maker) {
    for activation in ACTIVATIONS {
        for (len, scale) in [(1, 1.0), (67, 8.0), (256, 100.0)] {
            let (x, y) = (m.random("x", len, scale), m.random("y", len, 1.0));
            m.case(Activate { x, y, len, activation, affine: None }, Params::default(), 2e-6);
        }
        let (x, y) = (m.random("x", 5 * 13, 4.0), m.random("y", 5 * 13, 1.0));
        let affine = Some((m.random("affine", 2 * 13, 1.0), 13));
        m.case(Activate { x, y, len: 5 * 13, activation, affine }, Params::default(), 2e-6);
    }
}

fn patches(m: &mut Maker) {
    for ([frames, height, width, channels], patch, previous, apart) in [
        ([1, 8, 8, 8], [2, 2], true, false),
        ([3, 4, 6, 5], [1, 2], false, false),
        ([2, 6, 3, 1], [3, 1], true, false),
        ([3, 4, 2, 5], [2, 1], true, true),
    ] {
        let len = frames * height * width * channels;
        let before = if apart { len } else { len / frames };
        let mut op = Patchify {
            x: m.random("x", len, 1.0),
            previous: previous.then(|| m.random("previous", before, 1.0)),
            apart,
            y: BufferId(0),
            frames,
            height,
            width,
            channels,
            patch,
        };
        op.y = m.random("y", len / channels * op.features() / (patch[0] * patch[1]), 1.0);
        m.case(op, Params::default(), 0.0);
        let (x, y) = (m.random("x", len, 1.0), m.random("y", len, 1.0));
        m.case(Unpatchify { x, y, frames, height, width, channels, patch }, Params::default(), 0.0);
    }
}

fn pixels(m: &mut Maker) {
    for [height, width, patch] in [[4, 6, 2], [3, 5, 1], [1, 2, 3]] {
        let pixels = height * width * patch * patch;
        let (x, y) = (m.random("x", 3 * pixels, 1.3), m.integers("y", vec![9; pixels]));
        m.case(ToPixels { x, x_offset: 0, y, height, width, patch, black: 0.0 }, Params::default(), 0.0);
        let colours = (0..pixels).map(|_| m.below(1 << 16) as u32 * 65_521).collect();
        let (x, y) = (m.integers("x", colours), m.random("y", 3 * pixels, 1.0));
        m.case(FromPixels { x, y, height, width, patch, black: 0.0 }, Params::default(), 1e-7);
    }
    for ([height, width, patch], x_offset, black) in
        [([4, 6, 2], 13, -1.0), ([3, 5, 1], 64, -0.25), ([1, 7, 1], 3, 0.0)]
    {
        let pixels = height * width * patch * patch;
        let (x, y) = (m.random("x", x_offset + 3 * pixels, 1.3), m.integers("y", vec![9; pixels]));
        m.case(ToPixels { x, x_offset, y, height, width, patch, black }, Params::default(), 0.0);
        let colours = (0..pixels).map(|_| m.below(1 << 16) as u32 * 65_521).collect();
        let (x, y) = (m.integers("x", colours), m.random("y", 3 * pixels, 1.0));
        m.case(FromPixels { x, y, height, width, patch, black }, Params::default(), 2e-7);
    }
}

fn small(m: &mut Maker) {
    for (len, x_offset, y_offset) in [(1, 0, 0), (37, 3, 11), (500, 0, 20)] {
        let (x, y) = (m.random("x", len + x_offset + 2, 1.0), m.random("y", len + y_offset + 5, 1.0));
        m.case(Copy { x, x_offset, y, y_offset, len }, Params::default(), 0.0);
    }
    for [rows, channels, depth] in [[1, 1, 1], [7, 5, 2], [30, 16, 3]] {
        let (x, y) = (m.random("x", rows * channels, 1.0), m.random("y", rows * depth * channels, 1.0));
        m.case(Remember { x, y, rows, channels, depth }, Params::default(), 0.0);
    }
    for [entries, len] in [[1, 1], [4, 100], [3, 33]] {
        let (mix, weight) = (m.random("mix", entries, 1.0), m.vector(&[entries, len]));
        let y = m.random("y", len, 1.0);
        m.case(Embed { mix, weight, y, entries, len }, Params::default(), 1e-6);
    }
    for [frames, vectors, dim] in [[1, 1, 1], [3, 6, 48], [2, 2, 19]] {
        for broadcast in [false, true] {
            let x = m.random("x", frames * if broadcast { 1 } else { vectors } * dim, 1.0);
            let (weight, y) = (m.vector(&[1, vectors, dim]), m.random("y", frames * vectors * dim, 1.0));
            m.case(Modulation { x, weight, y, frames, vectors, dim, broadcast }, Params::default(), 1e-6);
        }
    }
}

/// Rows by a table: in any order, from the middle of the table, and to nowhere.
fn tables(m: &mut Maker) {
    for (table, offset, rows, slots, len) in [
        (vec![0], 0, 1, 1, 1),
        (vec![4, 0, 2, 1], 0, 4, 5, 7),
        (vec![9, 9, 1, 3, 0, 9], 2, 3, 4, 64),
        (vec![2, 3, 0, u32::MAX, 1], 0, 5, 3, 20),
    ] {
        let (x, y) = (m.random("x", slots * len, 1.0), m.random("y", rows * len, 1.0));
        let gather = Gather { x, table: m.integers("table", table.clone()), offset, y, rows, slots, len };
        m.case(gather, Params::default(), 0.0);
        for x_offset in [0, 11] {
            let (x, y) = (m.random("x", x_offset + rows * len, 1.0), m.random("y", slots * len, 1.0));
            let scatter =
                Scatter { x, x_offset, table: m.integers("table", table.clone()), offset, y, rows, slots, len };
            m.case(scatter, Params::default(), 0.0);
        }
    }
}

/// Shapes that choose other kernels on the GPU: enough tiles for the wide matrix products, heads of 33 to 64 features.
fn by_size(m: &mut Maker) {
    for (i, dtype) in [DType::F32, DType::F16, DType::Q8, DType::Q4].into_iter().enumerate() {
        linear_case(m, dtype, [1030, 64, 140], ACTIVATIONS[i], i as u32);
    }
    // Sums that do not go on may be stored otherwise.
    for dtype in [DType::Q8, DType::Q4] {
        linear_case(m, dtype, [1030, 64, 140], Activation::None, 1);
    }
    // A depth that is no multiple of theirs.
    for dtype in [DType::F32, DType::F16] {
        linear_case(m, dtype, [1030, 36, 140], Activation::None, 3);
    }
    let conv = Conv {
        size: [64, 34],
        channels: [8, 4],
        outputs: 20,
        kernel: 3,
        stride: 1,
        pad_after: false,
        upsample: false,
        bias: true,
        residual: true,
        activation: Activation::Relu,
    };
    convolution(m, DType::F32, Conv { ..conv });
    convolution(m, DType::F16, Conv { size: [32, 34], upsample: true, channels: [4, 0], ..conv });
    let (q, k, v) = (m.random("q", 9 * 48, 3.0), m.random("k", 20 * 48, 1.5), m.random("v", 20 * 48, 1.0));
    let y = m.random("y", 9 * 48, 1.0);
    let op = CrossAttention { q, k, v, offsets: None, scaled: true, y, rows: 9, context: 20, heads: 1, head_dim: 48 };
    m.case(op, Params::default(), 1e-5);
    attention_case(
        m,
        Window {
            chunk: 2,
            tokens: 20,
            heads: 2,
            head_dim: 42,
            pairs: 9,
            slots: 6,
            max_history: 4,
            history: 3,
            route: 2,
            kv: Kv::F32,
        },
    );
}
