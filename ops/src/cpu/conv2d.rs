//! Convolutions, as matrix products without a matrix of patches.
//!
//! The input rows that some output rows need are copied once into a slab, with padding, doubling and concatenation done on
//! the way. In the slab the window of a pixel is `kernel` runs of adjacent numbers, and the next pixel's begins a fixed step
//! further: exactly what [`Left`] describes.

use core::ops::Range;

use super::{
    context::Context,
    parts::{MOST, Parts},
    scratch::Need,
    shared::{
        epilogue::{Epilogue, Store},
        gemm::{self, Left, VECTORS},
    },
    simd::{Kernel, Level, Simd},
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
    Need { piece: rows * width, ..Need::default() }
}

/// Pixels of a piece below which its weights take longer to arrive than to be used.
const LEAST_PIXELS: usize = 48;

/// What the pieces of a convolution are: runs of rows, where they are too much for a part cut into spans of pixels, and where these are too much
/// also by columns.
struct Pieces {
    rows: usize,
    pixels: usize,
    /// Spans of pixels in a row.
    spans: usize,
    /// Output channels of a piece, whole panels.
    columns: usize,
    /// Pieces of the same pixels.
    groups: usize,
}

impl Pieces {
    fn of(op: &Conv2d, level: Level) -> Self {
        let ([_, width], rows, panel) = (op.out_size(), rows_a_piece(op), VECTORS * level.lanes());
        let spans = flops(op, rows * width, op.outputs).div_ceil(MOST) as usize;
        let pixels = width.div_ceil(spans.min(width / LEAST_PIXELS).max(1));
        let groups = flops(op, rows * pixels, op.outputs).div_ceil(MOST) as usize;
        let columns = op.outputs.div_ceil(panel).div_ceil(groups) * panel;
        Self { rows, pixels, spans: width.div_ceil(pixels), columns, groups: op.outputs.div_ceil(columns) }
    }
}

fn flops(op: &Conv2d, pixels: usize, columns: usize) -> u64 {
    2 * pixels as u64 * columns as u64 * (op.inputs() * op.kernel * op.kernel) as u64
}

pub(super) fn parts(op: &Conv2d, level: Level) -> Parts {
    let pieces = Pieces::of(op, level);
    let count = op.out_size()[0].div_ceil(pieces.rows) * pieces.spans * pieces.groups;
    Parts::of(count, flops(op, pieces.rows * pieces.pixels, pieces.columns.min(op.outputs)))
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
    let work = height * width * op.outputs * op.inputs() * op.kernel * op.kernel;
    let (level, scratch) = (cx.level, cx.scratch);
    let Pieces { rows, pixels, spans, columns, groups } = Pieces::of(op, level);
    let [slab_rows, slab_width] = slab_size(op);
    cx.for_parts(&parts(op, level), work, |piece, _, _| {
        let mut loan = scratch.lend();
        let slab = &mut loan.as_mut_slice::<f32>()[..slab_rows * slab_width];
        let (first, span, group) = (piece / groups / spans * rows, piece / groups % spans, piece % groups);
        let pixels = span * pixels..width.min((span + 1) * pixels);
        let columns = group * columns..op.outputs.min((group + 1) * columns);
        // Columns of the padded input that the windows of these pixels cover; the last pixel may leave some of the input out.
        let window = pixels.start * op.stride..if pixels.end == width {
            slab_width / op.inputs()
        } else {
            (pixels.end - 1) * op.stride + op.kernel
        };
        for (row, slab) in slab.chunks_exact_mut(slab_width).enumerate() {
            let slab = &mut slab[window.start * op.inputs()..window.end * op.inputs()];
            fill(op, x, x2, first * op.stride + row, window.start, slab);
        }
        for row in first..height.min(first + rows) {
            let left = Left {
                data: &slab[(row - first) * op.stride * slab_width + pixels.start * op.stride * op.inputs()..],
                rows: pixels.len(),
                row_step: op.stride * op.inputs(),
                segments: op.kernel,
                segment_step: slab_width,
                terms: op.kernel * op.inputs(),
                term_step: 1,
            };
            let (row, columns) = (row * width + pixels.start, columns.clone());
            level.run(Row { left, panels, epilogue: &epilogue, y: &y, row, columns });
        }
    });
}

/// Fills a part of a slab row with row `row` of the padded input, from column `first` on.
fn fill(op: &Conv2d, x: &[f32], x2: Option<&[f32]>, row: usize, first: usize, slab: &mut [f32]) {
    let up = if op.upsample { 2 } else { 1 };
    let pad = op.padding();
    let inputs = op.inputs();
    if row < pad || row - pad >= op.height * up {
        return slab.fill(0.0);
    }
    let source = (row - pad) / up * op.width;
    let left = pad.saturating_sub(first);
    let (left, rest) = slab.split_at_mut(left * inputs);
    // The first pixel that is not padding, counted as they are after doubling.
    let from = first.max(pad) - pad;
    let pixels = (rest.len() / inputs).min((op.width * up).saturating_sub(from));
    let (pixels, right) = rest.split_at_mut(pixels * inputs);
    left.fill(0.0);
    right.fill(0.0);
    let x = &x[source * op.channels..][..op.width * op.channels];
    if !op.upsample && x2.is_none() {
        return pixels.copy_from_slice(&x[from * inputs..][..pixels.len()]);
    }
    for (column, pixel) in pixels.chunks_exact_mut(inputs).enumerate() {
        let column = (from + column) >> usize::from(op.upsample);
        let (first, second) = pixel.split_at_mut(op.channels);
        first.copy_from_slice(&x[column * op.channels..][..op.channels]);
        if let Some(x2) = x2 {
            second.copy_from_slice(&x2[(source + column) * second.len()..][..second.len()]);
        }
    }
}

/// One output row, or a part of it.
struct Row<'a> {
    left: Left<'a>,
    panels: &'a Panels,
    epilogue: &'a Epilogue<'a>,
    y: &'a Split<'a, f32>,
    /// Its first pixel.
    row: usize,
    /// Whole panels, but for the last.
    columns: Range<usize>,
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for column in self.columns.step_by(VECTORS * S::LANES) {
            let mut store = Store::new(self.epilogue, self.y, self.row, column);
            let (panel, vectors) = self.panels.at::<f32>(column, S::LANES);
            match vectors {
                1 => gemm::multiply::<S, 1>(s, self.left, panel, &mut store),
                _ => gemm::multiply::<S, 2>(s, self.left, panel, &mut store),
            }
        }
    }
}
