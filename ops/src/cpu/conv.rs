//! Convolutions.

use super::{Context, elementwise::apply};
use crate::op::Conv2d;

pub(crate) fn conv2d(op: &Conv2d, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    // SAFETY: declared accesses.
    let x2 = op.x2.map(|(id, channels)| (unsafe { cx.read::<f32>(id) }, channels));
    // SAFETY: declared access.
    let residual = op.residual.map(|id| unsafe { cx.read::<f32>(id) });
    let (weight, bias) = (cx.vector(op.weight), op.bias.map(|id| cx.vector(id)));
    let up = if op.upsample { 2 } else { 1 };
    let [oh, ow] = op.out_size();
    let (inputs, k) = (op.inputs(), op.kernel);
    let pad = (k - 1) / 2;
    cx.for_rows(&mut y[..oh * ow * op.outputs], ow * op.outputs, ow * op.outputs * inputs * k * k, |first, rows| {
        for (pixel, y) in rows.chunks_exact_mut(op.outputs).enumerate() {
            let (i, j) = (first + pixel / ow, pixel % ow);
            let base = (i * ow + j) * op.outputs;
            for (n, y) in y.iter_mut().enumerate() {
                *y = bias.map_or(0.0, |bias| bias[n]) + residual.map_or(0.0, |residual| residual[base + n]);
            }
            for ky in 0..k {
                for kx in 0..k {
                    let (Some(i), Some(j)) =
                        ((i * op.stride + ky).checked_sub(pad), (j * op.stride + kx).checked_sub(pad))
                    else {
                        continue;
                    };
                    if i >= op.height * up || j >= op.width * up {
                        continue;
                    }
                    let at = i / up * op.width + j / up;
                    let first = &x[at * op.channels..][..op.channels];
                    let second = x2.map_or(&[][..], |(x2, channels)| &x2[at * channels..][..channels]);
                    for (n, y) in y.iter_mut().enumerate() {
                        let inputs = first.iter().chain(second).enumerate();
                        *y += inputs.map(|(c, x)| x * weight[((n * op.inputs() + c) * k + ky) * k + kx]).sum::<f32>();
                    }
                }
            }
            for y in y {
                *y = apply(op.activation, *y);
            }
        }
    });
}
