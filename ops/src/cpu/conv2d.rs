//! Convolutions, as matrix products without a matrix of patches.
//!
//! The input rows that some output rows need are copied once into a slab, with padding, doubling and concatenation done on
//! the way. In the slab the window of a pixel is `kernel` runs of adjacent numbers, and the next pixel's begins a fixed step
//! further: exactly what [`Left`] describes.

use super::{
    context::Context,
    scratch::Need,
    shared::{
        epilogue::{Epilogue, Store},
        gemm::{self, Left, VECTORS},
    },
    simd::{Kernel, Simd},
    split::Split,
    weights::{Panels, Prepared},
};
use crate::op::Conv2d;

/// Output rows of one piece of work: about 32 pixels, but at least four pieces where there are four rows.
fn rows_a_piece(op: &Conv2d) -> usize {
    let [height, width] = op.out_size();
    (32 / width).min(height / 4).max(1)
}

/// (rows, numbers a row) of the slab of one piece.
fn slab_size(op: &Conv2d) -> [usize; 2] {
    let up = if op.upsample { 2 } else { 1 };
    [(rows_a_piece(op) - 1) * op.stride + op.kernel, (op.width * up + op.kernel - 1) * op.inputs()]
}

pub(super) fn need(op: &Conv2d) -> Need {
    let [rows, width] = slab_size(op);
    Need { shared: 0, piece: rows * width }
}

pub(super) fn run(op: &Conv2d, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    // SAFETY: declared access.
    let x2 = op.x2.map(|(id, _)| unsafe { cx.read::<f32>(id) });
    // SAFETY: declared access.
    let before = op.residual.map(|id| unsafe { cx.read::<f32>(id) });
    let Prepared::Panels(panels) = cx.weight(op.weight) else { return };
    let epilogue = Epilogue {
        outputs: op.outputs,
        bias: op.bias.map(|id| cx.vector(id)),
        before,
        activation: op.activation,
        gate: None,
        residual: false,
    };
    let [height, width] = op.out_size();
    let y = Split::new(&mut y[..height * width * op.outputs]);
    let (rows, work) = (rows_a_piece(op), height * width * op.outputs * op.inputs() * op.kernel * op.kernel);
    let (level, scratch) = (cx.level, cx.scratch);
    let [slab_rows, slab_width] = slab_size(op);
    cx.for_each(height.div_ceil(rows), work, |piece| {
        let mut loan = scratch.lend();
        let slab = &mut loan.as_mut_slice::<f32>()[..slab_rows * slab_width];
        let first = piece * rows;
        for (row, slab) in slab.chunks_exact_mut(slab_width).enumerate() {
            fill(op, x, x2, first * op.stride + row, slab);
        }
        for row in first..height.min(first + rows) {
            let left = Left {
                data: &slab[(row - first) * op.stride * slab_width..],
                rows: width,
                row_step: op.stride * op.inputs(),
                segments: op.kernel,
                segment_step: slab_width,
                terms: op.kernel * op.inputs(),
                term_step: 1,
            };
            level.run(Row { left, panels, epilogue: &epilogue, y: &y, row: row * width });
        }
    });
}

/// Fills one slab row with row `row` of the padded input.
fn fill(op: &Conv2d, x: &[f32], x2: Option<&[f32]>, row: usize, slab: &mut [f32]) {
    let up = if op.upsample { 2 } else { 1 };
    let pad = op.padding();
    let inputs = op.inputs();
    if row < pad || row - pad >= op.height * up {
        return slab.fill(0.0);
    }
    let source = (row - pad) / up * op.width;
    let (left, rest) = slab.split_at_mut(pad * inputs);
    let (pixels, right) = rest.split_at_mut(op.width * up * inputs);
    left.fill(0.0);
    right.fill(0.0);
    let x = &x[source * op.channels..][..op.width * op.channels];
    if !op.upsample && x2.is_none() {
        return pixels.copy_from_slice(x);
    }
    for (column, pixels) in pixels.chunks_exact_mut(up * inputs).enumerate() {
        for pixel in pixels.chunks_exact_mut(inputs) {
            let (first, second) = pixel.split_at_mut(op.channels);
            first.copy_from_slice(&x[column * op.channels..][..op.channels]);
            if let Some(x2) = x2 {
                second.copy_from_slice(&x2[(source + column) * second.len()..][..second.len()]);
            }
        }
    }
}

/// One output row.
struct Row<'a> {
    left: Left<'a>,
    panels: &'a Panels,
    epilogue: &'a Epilogue<'a>,
    y: &'a Split<'a, f32>,
    /// Its first pixel.
    row: usize,
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for column in (0..self.epilogue.outputs).step_by(VECTORS * S::LANES) {
            let mut store = Store::new(self.epilogue, self.y, self.row, column);
            let (panel, vectors) = self.panels.at::<f32>(column, S::LANES);
            match vectors {
                1 => gemm::multiply::<S, 1>(s, self.left, panel, &mut store),
                _ => gemm::multiply::<S, 2>(s, self.left, panel, &mut store),
            }
        }
    }
}
