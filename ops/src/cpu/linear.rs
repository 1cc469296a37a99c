//! Linear layers.

use core::{marker::PhantomData, ops::Range};

use super::{
    context::Context,
    parts::Parts,
    scratch::Need,
    shared::{
        epilogue::{Epilogue, Gates, Store},
        gemm::{self, Element, Left, VECTORS},
        int8::{self, Quantised},
    },
    simd::{Kernel, Level, Simd},
    split::Split,
    weights::{Panels, Prepared},
};
use crate::op::Linear;

/// Rows that one piece of work multiplies with one panel: enough to pay for reading the panel, few enough to stay in L2.
const BLOCK_ROWS: usize = 64;

/// Scratch of a layer with quantised weights: its quantised input.
pub(super) fn need(op: &Linear, quantised: bool) -> Need {
    Need { shared: if quantised { op.rows * int8::row_words(op.inputs) } else { 0 }, ..Need::default() }
}

/// A piece is a block of rows times a panel; a block's panels follow each other.
pub(super) fn parts(op: &Linear, level: Level) -> Parts {
    let width = VECTORS * level.lanes();
    let flops = 2 * BLOCK_ROWS.min(op.rows) as u64 * op.inputs as u64 * width as u64;
    Parts::of(op.rows.div_ceil(BLOCK_ROWS) * op.outputs.div_ceil(width), flops)
}

pub(super) fn run(op: &Linear, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let gate = op.gate.map(|gate| {
        // SAFETY: declared access.
        let vectors = unsafe { cx.read::<f32>(gate.modulation) };
        Gates {
            vectors: &vectors[gate.index * op.outputs..],
            stride: gate.vectors * op.outputs,
            rows_per_frame: gate.rows_per_frame,
        }
    });
    let epilogue = Epilogue {
        outputs: op.outputs,
        bias: op.bias.map(|id| cx.vector(id)),
        before: None,
        activation: op.activation,
        gate,
        residual: op.residual,
    };
    let y = Split::new(&mut y[..op.rows * op.outputs]);
    let (level, work) = (cx.level, op.rows * op.inputs * op.outputs);
    let width = VECTORS * level.lanes();
    let columns = op.outputs.div_ceil(width);
    let parts = parts(op, level);
    let place = |piece: usize| {
        let (block, column) = (piece / columns, piece % columns * width);
        (block * BLOCK_ROWS..op.rows.min((block + 1) * BLOCK_ROWS), column)
    };
    match cx.weight(op.weight) {
        weight @ (Prepared::Panels(panels) | Prepared::Halves(panels)) => {
            let halves = matches!(weight, Prepared::Halves(_));
            cx.for_parts(&parts, work, |piece, _, _| {
                let (rows, column) = place(piece);
                let left = Left::rows(&x[rows.start * op.inputs..], rows.len(), op.inputs, op.inputs);
                let store = Store::new(&epilogue, &y, rows.start, column);
                if halves {
                    level.run(Numbers { left, panels, store, element: PhantomData::<u16> });
                } else {
                    level.run(Numbers { left, panels, store, element: PhantomData::<f32> });
                }
            });
        }
        Prepared::Bytes(panels) => {
            // SAFETY: this node's only view of shared scratch.
            let quantised = unsafe { cx.scratch.shared::<u32>() };
            let quantised = &mut quantised[..op.rows * int8::row_words(op.inputs)];
            let offset = panels.offset;
            let pieces = cx.pieces(&parts);
            let needed = pieces.start / columns * BLOCK_ROWS..op.rows.min(pieces.end.div_ceil(columns) * BLOCK_ROWS);
            let rows = missing(cx, needed);
            let x = &x[rows.start * op.inputs..];
            let words = int8::row_words(op.inputs);
            // Quantising costs some ten multiply-adds an element.
            cx.for_rows(&mut quantised[rows.start * words..rows.end * words], words, 10 * op.inputs, |row, out| {
                level.run(int8::Quantise { x: &x[row * op.inputs..], out, offset });
            });
            let quantised = &*quantised;
            // A byte product costs about a third of one of numbers.
            cx.for_parts(&parts, work / 3, |piece, _, _| {
                let (rows, column) = place(piece);
                let left = Quantised { words: quantised, rows, inputs: op.inputs };
                let store = Store::new(&epilogue, &y, left.rows.start, column);
                level.run(int8::Multiply { left, panels, store });
            });
        }
        Prepared::Vector(..) => {}
    }
}

/// Those of the `needed` rows that no earlier part has quantised; all of them are from here on.
fn missing(cx: &Context<'_>, needed: Range<usize>) -> Range<usize> {
    let [from, to] = cx.ready.get();
    if needed.start < from || needed.start > to {
        cx.ready.set([needed.start, needed.end]);
        return needed;
    }
    cx.ready.set([from, to.max(needed.end)]);
    to.min(needed.end)..needed.end
}

/// Rows of numbers times one panel.
struct Numbers<'a, E> {
    left: Left<'a>,
    panels: &'a Panels,
    store: Store<'a>,
    element: PhantomData<E>,
}

impl<E: Element + bytemuck::Pod> Kernel for Numbers<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (panel, vectors) = self.panels.at::<E>(self.store.column(), S::LANES);
        match vectors {
            1 => gemm::multiply::<S, 1>(s, self.left, panel, &mut self.store),
            _ => gemm::multiply::<S, 2>(s, self.left, panel, &mut self.store),
        }
    }
}
