//! Kernels that touch each element once.

use super::{
    Context, math,
    simd::{Kernel, Simd, vectors},
};
use crate::{
    op::{
        Activate, Activation, Copy, Denoise, Embed, FromPixels, Modulation, Noise, Patchify, Remember, Timestep,
        ToPixels, Unpatchify,
    },
    philox,
};

/// Multiply-adds that one of these elements costs at most, about.
const WORK: usize = 16;

pub(crate) fn activate(op: &Activate, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    // SAFETY: declared access.
    let affine = op.affine.map(|(table, channels)| unsafe { cx.read::<f32>(table) }.split_at(channels));
    // Rows end where the affine part's channels begin anew.
    let width = op.affine.map_or(op.len, |(_, channels)| channels);
    let level = cx.level;
    cx.for_rows(&mut y[..op.len], width, WORK * width, |first, y| {
        level.run(Activated { activation: op.activation, x: &x[first * width..], y, width, affine });
    });
}

struct Activated<'a> {
    activation: Activation,
    x: &'a [f32],
    y: &'a mut [f32],
    width: usize,
    affine: Option<(&'a [f32], &'a [f32])>,
}

impl Kernel for Activated<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (x, y) in self.x.chunks_exact(self.width).zip(self.y.chunks_exact_mut(self.width)) {
            vectors(
                s,
                self.width,
                #[inline(always)]
                |at, n| {
                    let mut value = math::activate(s, self.activation, s.load(&x[at..at + n]));
                    if let Some((scale, shift)) = self.affine {
                        value = s.fma(value, s.load(&scale[at..at + n]), s.load(&shift[at..at + n]));
                    }
                    s.store(&mut y[at..at + n], value);
                },
            );
        }
    }
}

pub(crate) fn modulation(op: &Modulation, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let weight = cx.vector(op.weight);
    let row = op.vectors * op.dim;
    for (frame, y) in y.chunks_exact_mut(row).take(op.frames).enumerate() {
        for (vector, y) in y.chunks_exact_mut(op.dim).enumerate() {
            let from = if op.broadcast { frame * op.dim } else { frame * row + vector * op.dim };
            let offset = &weight[vector * op.dim..];
            for ((y, x), offset) in y.iter_mut().zip(&x[from..]).zip(offset) {
                *y = x + offset;
            }
        }
    }
}

pub(crate) fn timestep(op: &Timestep, cx: &Context<'_>) {
    // SAFETY: declared access.
    let y = unsafe { cx.write::<f32>(op.y) };
    let half = op.features / 2;
    for i in 0..half {
        let frequency = libm::pow(10_000.0, -(i as f64) / half as f64);
        let angle = f64::from(cx.params.timestep) * frequency;
        let (sin, cos) = libm::sincos(angle);
        for frame in 0..op.frames {
            y[frame * op.features + i] = cos as f32;
            y[frame * op.features + half + i] = sin as f32;
        }
    }
}

pub(crate) fn patchify(op: &Patchify, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    // SAFETY: declared access.
    let previous = op.previous.map(|id| unsafe { cx.read::<f32>(id) });
    let [ph, pw] = op.patch;
    let (rows, columns) = (op.height / ph, op.width / pw);
    let frame = op.height * op.width * op.channels;
    for (token, y) in y.chunks_exact_mut(op.features()).take(op.frames * rows * columns).enumerate() {
        let (f, i, j) = (token / (rows * columns), token / columns % rows, token % columns);
        let sources = [Some(&x[f * frame..]), previous];
        for (source, y) in sources.into_iter().flatten().zip(y.chunks_exact_mut(op.channels * ph * pw)) {
            for dy in 0..ph {
                for dx in 0..pw {
                    let pixel = (i * ph + dy) * op.width + j * pw + dx;
                    for (c, x) in source[pixel * op.channels..][..op.channels].iter().enumerate() {
                        y[(c * ph + dy) * pw + dx] = *x;
                    }
                }
            }
        }
    }
}

pub(crate) fn unpatchify(op: &Unpatchify, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<f32>(op.y)) };
    let [ph, pw] = op.patch;
    let (rows, columns) = (op.height / ph, op.width / pw);
    let frame = op.height * op.width;
    for (token, x) in x.chunks_exact(ph * pw * op.channels).take(op.frames * rows * columns).enumerate() {
        let (f, i, j) = (token / (rows * columns), token / columns % rows, token % columns);
        for (at, x) in x.chunks_exact(op.channels).enumerate() {
            let pixel = f * frame + (i * ph + at / pw) * op.width + j * pw + at % pw;
            y[pixel * op.channels..][..op.channels].copy_from_slice(x);
        }
    }
}

pub(crate) fn noise(op: &Noise, cx: &Context<'_>) {
    // SAFETY: declared access.
    let y = unsafe { cx.write::<f32>(op.y) };
    for (f, y) in y.chunks_exact_mut(op.len).take(op.frames).enumerate() {
        for (quad, y) in y.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *y = philox::normal4(cx.params.seed, cx.params.frame + f as u32, 0, quad as u32);
        }
    }
}

pub(crate) fn denoise(op: &Denoise, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (v, x) = unsafe { (cx.read::<f32>(op.v), cx.write::<f32>(op.x)) };
    let next = cx.params.next_sigma;
    // x0 = kept x + taken v.
    let (kept, taken) = if op.clean { (0.0, 1.0) } else { (1.0, -cx.params.sigma) };
    for (f, (x, v)) in x.chunks_exact_mut(op.len).zip(v.chunks_exact(op.len)).take(op.frames).enumerate() {
        let quads = x.as_chunks_mut::<4>().0.iter_mut().zip(v.as_chunks::<4>().0);
        for (quad, (x, v)) in quads.enumerate() {
            let noise = if next > 0.0 {
                philox::normal4(cx.params.seed, cx.params.frame + f as u32, cx.params.step + 1, quad as u32)
            } else {
                [0.0; 4]
            };
            for i in 0..4 {
                let clean = kept * x[i] + taken * v[i];
                x[i] = (1.0 - next) * clean + next * noise[i];
            }
        }
    }
}

pub(crate) fn to_pixels(op: &ToPixels, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<f32>(op.x), cx.write::<u32>(op.y)) };
    let (p, channels) = (op.patch, 3 * op.patch * op.patch);
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u32;
    // One row of the input makes p rows of pixels.
    let rows = y.chunks_exact_mut(op.width * p * p).zip(x.chunks_exact(op.width * channels));
    for (y, x) in rows.take(op.height) {
        for (dy, y) in y.chunks_exact_mut(op.width * p).enumerate() {
            for (y, cell) in y.chunks_exact_mut(p).zip(x.chunks_exact(channels)) {
                let [red, green, blue] = [0, 1, 2].map(|c| &cell[(c * p + dy) * p..][..p]);
                for (((y, red), green), blue) in y.iter_mut().zip(red).zip(green).zip(blue) {
                    *y = byte(*red) | byte(*green) << 8 | byte(*blue) << 16 | 0xff00_0000;
                }
            }
        }
    }
}

pub(crate) fn from_pixels(op: &FromPixels, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<u32>(op.x), cx.write::<f32>(op.y)) };
    let (p, width) = (op.patch, op.width * op.patch);
    for (row, x) in x.chunks_exact(width).take(op.height * p).enumerate() {
        for (column, &pixel) in x.iter().enumerate() {
            let cell = &mut y[((row / p) * op.width + column / p) * 3 * p * p..][..3 * p * p];
            for c in 0..3 {
                cell[(c * p + row % p) * p + column % p] = (pixel >> (8 * c) & 255) as f32 / 255.0;
            }
        }
    }
}

pub(crate) fn copy(op: &Copy, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<u32>(op.x), cx.write::<u32>(op.y)) };
    y[op.y_offset..][..op.len].copy_from_slice(&x[op.x_offset..][..op.len]);
}

pub(crate) fn remember(op: &Remember, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (x, y) = unsafe { (cx.read::<u32>(op.x), cx.write::<u32>(op.y)) };
    let memory = op.depth * op.channels;
    cx.for_rows(&mut y[..op.rows * memory], memory, memory, |first, y| {
        for (x, y) in x[first * op.channels..].chunks_exact(op.channels).zip(y.chunks_exact_mut(memory)) {
            y.copy_within(op.channels.., 0);
            y[memory - op.channels..].copy_from_slice(x);
        }
    });
}

pub(crate) fn embed(op: &Embed, cx: &Context<'_>) {
    // SAFETY: declared accesses.
    let (mix, y) = unsafe { (cx.read::<f32>(op.mix), cx.write::<f32>(op.y)) };
    let y = &mut y[..op.len];
    y.fill(0.0);
    for (&mix, row) in mix.iter().zip(cx.vector(op.weight).chunks_exact(op.len)).take(op.entries) {
        if mix != 0.0 {
            for (y, x) in y.iter_mut().zip(row) {
                *y += mix * x;
            }
        }
    }
}
