//! Linear layers.

use super::{Context, elementwise::apply};
use crate::op::Linear;

pub(crate) fn linear(op: &Linear, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let weight = cx.vector(op.weight);
    let bias = op.bias.map(|id| cx.vector(id));
    let gate = op.gate.map(|gate| {
        // SAFETY: declared access.
        (gate, unsafe { cx.read::<f32>(gate.modulation) })
    });
    cx.for_rows(&mut y[..op.rows * op.outputs], op.outputs, op.inputs * op.outputs, |first, rows| {
        for (row, y) in rows.chunks_exact_mut(op.outputs).enumerate() {
            let row = first + row;
            let x = &x[row * op.inputs..][..op.inputs];
            for (n, y) in y.iter_mut().enumerate() {
                let w = &weight[n * op.inputs..][..op.inputs];
                let mut lanes = [0.0f32; 16];
                let (xs, x_rest) = x.as_chunks::<16>();
                let (ws, w_rest) = w.as_chunks::<16>();
                for (x, w) in xs.iter().zip(ws) {
                    for i in 0..16 {
                        lanes[i] += x[i] * w[i];
                    }
                }
                let mut sum = lanes.iter().sum::<f32>() + bias.map_or(0.0, |bias| bias[n]);
                sum += x_rest.iter().zip(w_rest).map(|(x, w)| x * w).sum::<f32>();
                sum = apply(op.activation, sum);
                if let Some((gate, m)) = gate {
                    sum *= m[(row / gate.rows_per_frame * gate.vectors + gate.index) * op.outputs + n];
                }
                *y = if op.residual { *y + sum } else { sum };
            }
        }
    });
}
